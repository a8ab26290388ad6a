//! What a node keeps of its own: clients, services, local groups, access rights.
//!
//! A store (`administration::store`) keeps bytes under keys; [`NodeState`] says which bytes. Everything
//! here is bounded and small. Messages never come here (see `message_log`), and private keys neither (see
//! `certs::token`).

mod model;
mod node_state;
mod records;

pub use model::{
    AccessRight, ClientSettings, Endpoint, LocalConfiguration, LocalGroup, ServiceKey, ServiceSettings,
    Subject,
};
pub use node_state::{Change, NodeState, StateError};
