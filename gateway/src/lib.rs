//! The data plane: what happens to a message between two information systems.
//!
//! `exchange` is the hot path and reads like `docs/exchange.md`. This crate owns the traits by which
//! it is given a signer, a message log and the node's own configuration; it knows no database and no
//! administration interface.

pub mod clock;
pub mod configuration;
mod dial;
mod exchange;
mod gateway;
pub mod http;
mod node;
pub mod ocsp;
mod peer;
mod policy;
mod pool;
pub mod ports;
pub mod replays;
mod route;
mod service;
pub mod settings;
pub mod snapshot;
pub mod stats;
pub mod tls;
mod workers;

pub use clock::Clock;
pub use exchange::own::OwnCalls;
pub use gateway::{Gateway, GatewayParts, RunningGateway};
pub use settings::Settings;
