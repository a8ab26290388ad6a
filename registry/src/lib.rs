//! The central registry: who is a member, which server serves whom, and whom to trust.

pub mod config;
mod fields;
mod pin;
pub mod publish;
pub mod serve;
pub mod state;
pub mod store;

pub use fields::{Problem, Problems};
pub use pin::{PinError, PinSource};
