//! Puts a security server together and keeps it running.

mod error;
mod internal_tls;
mod keys;
mod ports;
pub use error::StartError;
pub use internal_tls::CERTIFICATE_FILE;
pub(crate) use keys::member;
pub(crate) use ports::sockets;
/// Whether a server takes part in exchanges.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not, for this reason.
    NotReady(String),
}
