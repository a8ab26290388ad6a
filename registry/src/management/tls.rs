//! Key and certificate of the management services.
//!
//! Security servers know the registration service by its very certificate, which stands in the private
//! parameters; no name and no issuer is looked at. So a self-signed one does, is made at the first start,
//! and another one counts for a server as soon as it has fetched the next configuration. Key and certificate
//! lie in one file, so that a crash leaves the old pair or the new one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use certs::certificate::{Certificate, CertificateUsage, DistinguishedName};
use certs::key::{KeyError, KeyKind, PrivateKey};
use certs::profile::Subject;
use certs::request::{self, RequestError};
use certs::self_signed::server_certificate;
use gateway::tls::{Identity, IdentityError, anybody_acceptor};
use protocol::time::UtcTime;
use rustls::ServerConfig;
use tokio::sync::watch;

use crate::files;
use crate::random::{self, NoRandomness};

/// The file with both.
const FILE: &str = "management.pem";

/// Why the pair cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum ManagementTlsError {
    /// The file cannot be read, written or understood.
    #[error("key and certificate of the management services in {}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// No key can be made, or it does not sign.
    #[error("the key of the management services cannot be used: {0}")]
    Key(#[from] KeyError),
    /// There is no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The certificate is not one of the key.
    #[error("the certificate is not one for the key of the management services")]
    OtherKey,
    /// Key and certificate cannot be used for TLS.
    #[error("key and certificate cannot be used for TLS: {0}")]
    Unusable(#[from] IdentityError),
    /// The request cannot be made.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// The pair in use. Whoever wants to know when it changes subscribes.
pub struct ManagementTls {
    path: PathBuf,
    kind: KeyKind,
    current: watch::Sender<Arc<Pair>>,
}

/// A key with its certificate, ready for both ports.
pub struct Pair {
    key: Arc<PrivateKey>,
    certificate: Certificate,
    acceptor: Arc<ServerConfig>,
}

impl Pair {
    /// The certificate that security servers are told.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What connections are accepted with. A certificate of the other end is asked for and not demanded:
    /// who may come is decided later.
    pub fn acceptor(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.acceptor)
    }

    /// The pair for a port that asks nobody for a certificate.
    pub(crate) fn identity(&self) -> Result<Identity, IdentityError> {
        Identity::of_key(vec![self.certificate.der().clone()], Arc::clone(&self.key))
    }

    fn new(key: Arc<PrivateKey>, certificate: Certificate) -> Result<Self, ManagementTlsError> {
        if certificate.public_key() != key.public_key() {
            return Err(ManagementTlsError::OtherKey);
        }
        let chain: Vec<Bytes> = vec![certificate.der().clone()];
        let acceptor = Arc::new(anybody_acceptor(&Identity::of_key(chain, Arc::clone(&key))?));
        Ok(Self { key, certificate, acceptor })
    }
}

impl ManagementTls {
    /// Reads the pair of a registry from its folder, or makes one for a host.
    ///
    /// # Errors
    /// The file is there and of no use, or cannot be written.
    pub fn open_or_create(
        folder: &Path,
        kind: KeyKind,
        host: &str,
        now: UtcTime,
    ) -> Result<Self, ManagementTlsError> {
        let path = folder.join(FILE);
        let pair = match read(&path)? {
            Some(pair) => pair,
            None => {
                let pair = make(kind, host, now)?;
                write(&path, &pair)?;
                pair
            }
        };
        let (current, _) = watch::channel(Arc::new(pair));
        Ok(Self { path, kind, current })
    }

    /// The pair in use.
    pub fn current(&self) -> Arc<Pair> {
        Arc::clone(&self.current.borrow())
    }

    /// Tells of changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Pair>> {
        self.current.subscribe()
    }

    /// Makes a new key with a self-signed certificate. Servers that have not fetched the next configuration
    /// yet cannot register certificates until then.
    ///
    /// # Errors
    /// The old pair stays in use.
    pub fn renew(&self, host: &str, now: UtcTime) -> Result<Certificate, ManagementTlsError> {
        self.change(make(self.kind, host, now)?)
    }

    /// A certificate request for the key in use, PKCS#10 in DER.
    ///
    /// # Errors
    /// The subject cannot be written, or the key does not sign.
    pub fn request(&self, subject: DistinguishedName) -> Result<Vec<u8>, ManagementTlsError> {
        let subject = Subject { name: subject, dns_name: None };
        let pair = self.current();
        Ok(request::create(&pair.key, &subject, CertificateUsage::Authentication)?)
    }

    /// Takes another certificate for the key in use.
    ///
    /// # Errors
    /// It is for another key. The old one stays in use.
    pub fn replace_certificate(&self, certificate: Certificate) -> Result<Certificate, ManagementTlsError> {
        self.change(Pair::new(Arc::clone(&self.current().key), certificate)?)
    }

    fn change(&self, pair: Pair) -> Result<Certificate, ManagementTlsError> {
        write(&self.path, &pair)?;
        let certificate = pair.certificate.clone();
        self.current.send_replace(Arc::new(pair));
        Ok(certificate)
    }
}

fn make(kind: KeyKind, host: &str, now: UtcTime) -> Result<Pair, ManagementTlsError> {
    let key = PrivateKey::generate(kind)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let certificate = server_certificate(&key, host, random::bytes()?, now)?;
    Pair::new(Arc::new(key), certificate)
}

fn told(path: &Path, problem: impl ToString) -> ManagementTlsError {
    ManagementTlsError::File { path: path.to_owned(), problem: problem.to_string() }
}

fn read(path: &Path) -> Result<Option<Pair>, ManagementTlsError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(path, error)),
    };
    let key = PrivateKey::from_pem(&text).map_err(|error| told(path, error))?;
    let certificate = Certificate::from_pem(&text).map_err(|error| told(path, error))?;
    Pair::new(Arc::new(key), certificate).map(Some).map_err(|error| told(path, error))
}

fn write(path: &Path, pair: &Pair) -> Result<(), ManagementTlsError> {
    let key = pair.key.to_pem().ok_or_else(|| told(path, "the key cannot be written"))?;
    let mut text = zeroize::Zeroizing::new(String::with_capacity(8192));
    text.push_str(&key);
    text.push_str(&pair.certificate.to_pem());
    files::replace(path, text.as_bytes(), 0o600).map_err(|error| told(path, error))
}

#[cfg(test)]
mod tests {
    use certs::certificate::name::attribute;

    use super::*;

    #[test]
    fn the_pair_is_kept_and_changed() {
        let folder = tempfile::tempdir().unwrap();
        let now: UtcTime = "2026-11-24T12:00:00Z".parse().unwrap();
        let open = || ManagementTls::open_or_create(folder.path(), KeyKind::P256, "cs.example", now);
        let tls = open().unwrap();
        let first = tls.current().certificate().clone();
        assert_eq!(first.dns_names(), ["cs.example"]);
        assert_eq!(open().unwrap().current().certificate(), &first);

        let changes = tls.subscribe();
        let second = tls.renew("cs.example", now).unwrap();
        assert!(changes.has_changed().unwrap() && second != first);
        assert_eq!(open().unwrap().current().certificate(), &second);
        assert!(matches!(tls.replace_certificate(first), Err(ManagementTlsError::OtherKey)));
        assert_eq!(tls.current().certificate(), &second);

        let name = DistinguishedName::build([(attribute::COMMON_NAME, "cs")]).unwrap();
        let der = tls.request(name).unwrap();
        let asked = request::CertificateRequest::from_der(&der).unwrap();
        assert_eq!(asked.public_key, second.public_key());
        let third = server_certificate(&tls.current().key, "other.example", [7; 16], now).unwrap();
        assert_eq!(tls.replace_certificate(third.clone()).unwrap(), third);
        assert_eq!(open().unwrap().current().certificate(), &third);

        std::fs::write(folder.path().join(FILE), "rubbish").unwrap();
        assert!(matches!(open(), Err(ManagementTlsError::File { .. })));
    }
}
