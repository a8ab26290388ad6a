//! TLS between security servers and towards information systems.
//!
//! Between security servers both sides always present their authentication certificate; the handshake
//! admits a registered certificate and nothing else (messages and transport §4.2). Everything that
//! resumption would skip is checked after the handshake by `peer`.

mod cell;
#[cfg(feature = "legacy-transport")]
pub(crate) mod hello;
mod identity;
#[cfg(feature = "legacy-transport")]
pub(crate) mod legacy;
mod possession;
mod suites;
mod verifiers;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ServerConfig};

pub use cell::IdentityCell;
pub(crate) use cell::PeerTls;
pub use identity::{Identity, IdentityError};
pub use suites::{CipherSuites, SuiteError};
pub(crate) use verifiers::Pin;
use verifiers::{AnyCertificate, RegisteredPeers};

use crate::snapshot::SnapshotCell;

/// The one cryptography provider of all TLS in this crate: ring, and P-521.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(suites::provider())
}

const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Accepts security servers on the message port: a client certificate is demanded, and it must be
/// registered in the global configuration in force at the moment of the handshake.
pub(crate) fn peer_acceptor(
    identity: &Identity,
    suites: &CipherSuites,
    snapshot: Arc<SnapshotCell>,
) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(suites.provider())
        .with_protocol_versions(&suites.versions())
        .expect("every version has a suite")
        .with_client_cert_verifier(Arc::new(RegisteredPeers(snapshot)))
        .with_cert_resolver(identity.server_resolver());
    config.max_fragment_size = None;
    config
}

/// Connects to security servers. The handshake proves that the peer has the key of the certificate it
/// shows; whom that certificate belongs to is decided right after it.
pub(crate) fn peer_connector(identity: &Identity, suites: &CipherSuites) -> ClientConfig {
    ClientConfig::builder_with_provider(suites.provider())
        .with_protocol_versions(&suites.versions())
        .expect("every version has a suite")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_client_cert_resolver(identity.client_resolver())
}

/// Accepts information systems, or whoever else is judged per call (§5.2): with any certificate or none.
/// Whoever shows one has its key.
pub fn anybody_acceptor(identity: &Identity) -> ServerConfig {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .expect("ring supports TLS 1.2 and 1.3")
        .with_client_cert_verifier(Arc::new(AnyCertificate))
        .with_cert_resolver(identity.server_resolver())
}

/// Connects to a provider's system and offers the node's internal certificate.
pub(crate) fn service_connector(identity: Option<&Identity>, pin: Pin) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .expect("ring supports TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pin));
    match identity {
        Some(identity) => builder.with_client_cert_resolver(identity.client_resolver()),
        None => builder.with_no_client_auth(),
    }
}
