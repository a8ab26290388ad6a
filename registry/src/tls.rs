//! The server certificate of the HTTPS port. It protects nothing that the signature does not protect,
//! so a self-signed one will do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use certs::key::PrivateKey;
use gateway::tls::{Identity, IdentityError};
use protocol::time::UtcTime;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::TlsFiles;
use crate::keys::{KeysError, SigningKeys};
use crate::management::ManagementTls;

/// Why there is no HTTPS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or used.
    #[error("{}: {problem}; see [tls] in the configuration file", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// Certificate and key cannot be used for TLS together.
    #[error("the HTTPS certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// The key does not belong to the certificate.
    #[error("the HTTPS certificate cannot be used: {0}")]
    Identity(#[from] IdentityError),
    /// The self-signed certificate cannot be made.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// The TLS configuration from files, or else with a self-signed certificate for the host.
pub(crate) fn acceptor(
    configured: Option<&TlsFiles>,
    keys: &SigningKeys,
    host: &str,
    now: UtcTime,
) -> Result<Arc<ServerConfig>, TlsError> {
    let identity = match configured {
        Some(files) => from_files(files)?,
        None => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let (key, certificate) = keys.tls(host, now)?;
            Identity::of_key(vec![certificate.der().clone()], key)?
        }
    };
    config(&identity)
}

/// The same for an administered instance, whose keys cannot be used before somebody logs in: the pair of
/// the management services serves.
pub(crate) fn administered_acceptor(
    configured: Option<&TlsFiles>,
    own: &ManagementTls,
) -> Result<Arc<ServerConfig>, TlsError> {
    match configured {
        Some(files) => config(&from_files(files)?),
        None => config(&own.current().identity()?),
    }
}

fn config(identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(identity.server_resolver());
    Ok(Arc::new(config))
}

fn from_files(files: &TlsFiles) -> Result<Identity, TlsError> {
    let told = |path: &Path, problem: String| TlsError::File { path: path.to_owned(), problem };
    let path = files.certificate.as_path();
    let text = std::fs::read(path).map_err(|error| told(path, error.to_string()))?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .map(|read| read.map(|certificate| Bytes::from(certificate.to_vec())))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| told(path, error.to_string()))?;
    if chain.is_empty() {
        return Err(told(path, "there is no certificate in it".into()));
    }
    let path = files.key.as_path();
    let text = std::fs::read_to_string(path).map_err(|error| told(path, error.to_string()))?;
    let text = zeroize::Zeroizing::new(text);
    let key = PrivateKey::from_pem(&text).map_err(|error| told(path, error.to_string()))?;
    Ok(Identity::of_key(chain, Arc::new(key))?)
}
