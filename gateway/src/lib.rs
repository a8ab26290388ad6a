//! The data plane: what happens to a message between two information systems.
//!
//! `exchange` is the hot path and reads like `docs/exchange.md`. This crate owns the traits by which
//! it is given a signer, a message log and the node's own configuration; it knows no database and no
//! administration interface.

pub mod clock;
pub mod configuration;
pub mod http;
pub mod ocsp;
pub mod ports;
pub mod settings;
pub mod snapshot;
pub mod tls;

pub use clock::Clock;
pub use settings::Settings;
