//! The central registry: who is a member, which server serves whom, and whom to trust.
//!
//! An operator declares the instance in one file (`state`). Once a period the registry makes the global
//! configuration from it, signs it (`publish`, `keys`) and serves it (`serve`). A change in the file is
//! in force, durable and published within a second.

pub mod api;
pub mod config;
mod fields;
mod files;
pub mod instance;
pub mod keys;
pub mod management;
mod pin;
pub mod proxy;
pub mod publish;
mod publisher;
mod random;
mod registry;
pub mod requests;
mod serve;
pub mod state;
mod store;
mod tls;

pub use config::Config;
pub use fields::{Problem, Problems};
pub use instance::{Actor, Desk, Refusal};
pub use pin::{PinError, PinSource};
pub use publisher::anchor_file;
pub use registry::{ChangeError, Registry, Running, StartError};
pub use tls::TlsError;
