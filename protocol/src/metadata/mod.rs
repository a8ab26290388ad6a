//! What a node tells about members, services and their descriptions (messages and transport §6).
//!
//! The answers are the ones that information systems have been reading for years: names, order of
//! members and namespaces prefixes are part of what they may hang on, so they are written as they are
//! known.

mod accept;
pub mod clients;
pub mod openapi;
pub mod services;
pub mod soap;
mod tree;

pub use accept::{UnreadableAccept, accepts_json};

/// Namespace of X-Road's own elements.
pub(crate) const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
/// Namespace of identifiers.
pub(crate) const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";
