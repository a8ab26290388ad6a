//! What the node shows of itself in a handshake.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use certs::key::{KeyKind, PrivateKey, SignatureForm};
use protocol::digest::DigestAlgorithm;
use protocol::signature::SignatureAlgorithm;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};

/// A certificate chain with its private key.
///
/// For the message port this is the authentication certificate followed by the intermediate CA
/// certificates, without the trust anchor: a peer would ask for an OCSP response for it (§4.2.2).
#[derive(Clone)]
pub struct Identity {
    chain: Arc<[Bytes]>,
    key: Arc<CertifiedKey>,
    #[cfg(feature = "legacy-transport")]
    private: Option<Arc<PrivateKey>>,
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
    /// The old channel cannot use it.
    #[cfg(feature = "legacy-transport")]
    #[error("the old channel cannot be used: {0}")]
    Legacy(String),
}

impl Identity {
    /// An identity of a chain in DER, leaf first, and a PKCS#8 key. All keys that sign messages can be
    /// used for TLS, and Ed25519 keys.
    pub fn new(chain: Vec<Bytes>, pkcs8: &[u8]) -> Result<Self, IdentityError> {
        if let Ok(key) = PrivateKey::from_pkcs8(pkcs8) {
            return Self::of_key(chain, Arc::new(key));
        }
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
        Self::of(chain, rustls::crypto::ring::sign::any_supported_type(&key).map_err(IdentityError::Key)?)
    }

    /// An identity of a chain in DER, leaf first, and a key that may be on a device.
    ///
    /// # Errors
    /// A key that does not belong to the certificate.
    pub fn of_key(chain: Vec<Bytes>, key: Arc<PrivateKey>) -> Result<Self, IdentityError> {
        let identity = Self::of(chain, Arc::new(TlsKey(Arc::clone(&key))))?;
        #[cfg(feature = "legacy-transport")]
        let identity = Self { private: Some(key), ..identity };
        Ok(identity)
    }

    fn of(chain: Vec<Bytes>, key: Arc<dyn SigningKey>) -> Result<Self, IdentityError> {
        let certificates = chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
        let key = CertifiedKey::new(certificates, key);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(error) => return Err(IdentityError::Key(error)),
        }
        Ok(Self {
            chain: chain.into(),
            key: Arc::new(key),
            #[cfg(feature = "legacy-transport")]
            private: None,
        })
    }

    #[cfg(feature = "legacy-transport")]
    pub(super) fn private_key(&self) -> Option<&PrivateKey> {
        self.private.as_deref()
    }

    /// The chain in DER, leaf first.
    pub fn chain(&self) -> &[Bytes] {
        &self.chain
    }

    /// Shows it as a server, whatever name the client asks for.
    pub fn server_resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Always(Arc::clone(&self.key)))
    }

    /// Shows it as a client, whatever the server hints at.
    pub fn client_resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(Always(Arc::clone(&self.key)))
    }
}

/// A key of ours in a handshake. It signs by the same library as messages are signed with: faster than
/// TLS's own for RSA, and it takes keys that TLS's own refuses, such as those whose second prime is the
/// greater one.
struct TlsKey(Arc<PrivateKey>);

/// That key with the scheme that both sides know.
struct TlsSigner {
    key: Arc<PrivateKey>,
    scheme: SignatureScheme,
    algorithm: SignatureAlgorithm,
}

type Scheme = (SignatureScheme, protocol::signature::SignatureScheme, DigestAlgorithm);

/// Schemes of TLS for a kind of key, best first.
fn schemes(kind: KeyKind) -> &'static [Scheme] {
    use DigestAlgorithm::{Sha256, Sha384, Sha512};
    use protocol::signature::SignatureScheme::{Ecdsa, RsaPkcs1, RsaPss};
    match kind {
        KeyKind::P256 => &[(SignatureScheme::ECDSA_NISTP256_SHA256, Ecdsa, Sha256)],
        KeyKind::P384 => &[(SignatureScheme::ECDSA_NISTP384_SHA384, Ecdsa, Sha384)],
        KeyKind::P521 => &[(SignatureScheme::ECDSA_NISTP521_SHA512, Ecdsa, Sha512)],
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => &[
            (SignatureScheme::RSA_PSS_SHA256, RsaPss, Sha256),
            (SignatureScheme::RSA_PSS_SHA384, RsaPss, Sha384),
            (SignatureScheme::RSA_PSS_SHA512, RsaPss, Sha512),
            (SignatureScheme::RSA_PKCS1_SHA256, RsaPkcs1, Sha256),
            (SignatureScheme::RSA_PKCS1_SHA384, RsaPkcs1, Sha384),
            (SignatureScheme::RSA_PKCS1_SHA512, RsaPkcs1, Sha512),
        ],
    }
}

impl SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let known = schemes(self.0.kind());
        let (scheme, how, digest) = *known.iter().find(|(scheme, ..)| offered.contains(scheme))?;
        let algorithm = SignatureAlgorithm::new(how, digest);
        Some(Box::new(TlsSigner { key: Arc::clone(&self.0), scheme, algorithm }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.0.public_key()))
    }

    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        match self.0.kind() {
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => rustls::SignatureAlgorithm::ECDSA,
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => rustls::SignatureAlgorithm::RSA,
        }
    }
}

impl Signer for TlsSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signed = self.key.sign(self.algorithm, message, SignatureForm::Der);
        signed.map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsKey").field(&self.0.kind()).finish()
    }
}

impl fmt::Debug for TlsSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSigner").field("scheme", &self.scheme).finish_non_exhaustive()
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
