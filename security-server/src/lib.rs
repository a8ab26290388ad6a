//! The node an agency runs: signer, message log, access rights, node configuration.

mod administered;
pub mod api;
pub mod archive;
pub mod config;
pub mod description;
pub mod directory;
pub mod doctor;
pub mod enrol;
mod files;
mod gather;
pub mod keyring;
pub mod management;
pub mod message_log;
pub mod node;
mod replay_journal;
pub mod signer;
pub mod state;
#[cfg(test)]
mod testkit;

pub use administered::{AdministrationError, RunningAdministration, administer};
pub use node::SecurityServer;
