//! What the node shows of itself in a handshake.

use std::sync::Arc;

use bytes::Bytes;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate chain with its private key.
///
/// For the message port this is the authentication certificate followed by the intermediate CA
/// certificates, without the trust anchor: a peer would ask for an OCSP response for it (§4.2.2).
#[derive(Clone)]
pub struct Identity {
    chain: Arc<[Bytes]>,
    key: Arc<CertifiedKey>,
}

/// Why a chain and key make no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Its kind is not supported, it is malformed, or it does not belong to the certificate.
    #[error("the key cannot be used for TLS: {0}")]
    Key(rustls::Error),
    /// A certificate of the chain is malformed.
    #[error("the chain has an unreadable certificate: {0}")]
    Certificate(String),
}

impl Identity {
    /// An identity of a chain in DER, leaf first, and a PKCS#8 key. RSA, P-256, P-384 and Ed25519 keys
    /// can be used for TLS.
    pub fn new(chain: Vec<Bytes>, pkcs8: &[u8]) -> Result<Self, IdentityError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
        let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(IdentityError::Key)?;
        let certificates = chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
        let key = CertifiedKey::new(certificates, key);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(error) => return Err(IdentityError::Key(error)),
        }
        Ok(Self { chain: chain.into(), key: Arc::new(key) })
    }

    /// The chain in DER, leaf first.
    pub fn chain(&self) -> &[Bytes] {
        &self.chain
    }

    pub(super) fn server_resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Always(Arc::clone(&self.key)))
    }

    pub(super) fn client_resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(Always(Arc::clone(&self.key)))
    }
}

/// Shows the same certificate whatever the other side hints at (§4.2.2).
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl ResolvesClientCert for Always {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
