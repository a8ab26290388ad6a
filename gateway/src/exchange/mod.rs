//! The exchange: what happens to one message, on both sides. It reads like `docs/exchange.md`.
//!
//! [`consumer`] and [`provider`] are lists of steps. Each step is a method on the type that the step
//! before returned, and nothing else makes such a value: a step cannot be skipped or moved.

mod client_list;
pub(crate) mod clients;
pub(crate) mod consumer;
mod documents;
mod evidence;
mod framing;
mod kinds;
mod message;
mod outlet;
pub(crate) mod own;
mod pace;
pub(crate) mod passage;
pub(crate) mod provider;
pub(crate) mod refusal;
mod related;
pub(crate) mod spool;
mod summary;
mod wsdl;
