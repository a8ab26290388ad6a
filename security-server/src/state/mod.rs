//! What a node keeps of its own: clients, services, local groups, access rights.
//!
//! A store (`administration::store`) keeps bytes under keys; [`NodeState`] says which bytes. Everything
//! here is bounded and small. Messages never come here (see `message_log`), and private keys neither (see
//! `certs::token`).

mod model;
mod node_state;
mod records;
mod settle;
mod status;

pub use model::{
    AccessRight, ClientSettings, Description, Endpoint, EndpointKey, LocalConfiguration, LocalGroup, Number,
    ServiceKey, ServiceSettings, Subject, Term,
};
pub use node_state::{Change, NodeState, StateError};
pub use status::{ClientStatus, Renaming};
