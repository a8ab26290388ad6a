//! OCSP responses of the node and of its peers (global configuration and trust §16).
//!
//! [`OwnResponses`] keeps a fresh response for every certificate that this node shows to others, asks
//! the responders of the global configuration for new ones in time, and survives a restart. What it
//! holds goes out with messages and through [`relay`], the service on port 5577. [`PeerResponses`]
//! holds what was learnt about the certificates of peers, and asks their port 5577 for what is missing.
//!
//! A response that says *revoked* is kept and handed on like any other; it is refused where the
//! certificate is used.

mod fetch;
pub mod multipart;
mod own;
mod peer;
mod relay;

pub use fetch::{FetchFailure, Prioritization, fetch, responder_urls};
pub use own::{OwnResponses, OwnSettings, Standing};
pub use peer::{PeerResponses, PeerSettings};
pub use relay::Relay;

/// The port on which servers give each other their OCSP responses.
pub const RELAY_PORT: u16 = 5577;
/// Content type of a response.
pub const RESPONSE_TYPE: &str = "application/ocsp-response";
/// Content type of a request.
const REQUEST_TYPE: &str = "application/ocsp-request";
