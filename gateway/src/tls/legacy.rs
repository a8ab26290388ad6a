//! The old channel: TLS 1.2 with CBC suites by OpenSSL, for peers that offer nothing better (§4.2.1).
//!
//! Who the peer is, is decided by the same code as on the other channel: the leaf must be registered before
//! a byte of a message is read, and everything else is checked right after. Sessions are not resumed, so
//! every connection proves possession of the key.
//!
//! Whoever stands between two servers that both have the old channel can make them use it. They still know
//! each other by certificate; what is lost is the strength of authenticated encryption.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef, SslSessionCacheMode, SslVerifyMode,
    SslVersion,
};
use openssl::x509::X509;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::verifiers::RegisteredPeers;
use super::{Identity, IdentityError};
use crate::snapshot::SnapshotCell;

/// The suites of §4.2.1 by OpenSSL's names, in the order of the field.
const SUITES: &str = "ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA256:ECDHE-ECDSA-AES256-SHA384";

/// How long a server is known to need the old channel.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Servers that are remembered.
const MOST_REMEMBERED: usize = 4096;

/// Both directions of the old channel under one authentication certificate.
pub(crate) struct LegacyTls {
    acceptor: SslContext,
    connector: SslContext,
    peers: RegisteredPeers,
    known: Mutex<HashMap<Arc<str>, Instant>>,
}

/// A connection with the certificates of the other side, leaf first.
pub(crate) struct Secured {
    pub(crate) stream: SslStream<TcpStream>,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

impl LegacyTls {
    /// # Errors
    /// A key on a device, which OpenSSL cannot use, or what OpenSSL says.
    pub(super) fn new(identity: &Identity, snapshot: Arc<SnapshotCell>) -> Result<Self, IdentityError> {
        let told = |error: ErrorStack| IdentityError::Legacy(error.to_string());
        let mut acceptor = context(identity, SslMethod::tls_server())?;
        let demanded = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
        // Paths are not OpenSSL's matter; the leaf is looked at as soon as the handshake has ended.
        acceptor.set_verify_callback(demanded, |_, _| true);
        acceptor.set_tmp_dh(&*Dh::get_2048_256().map_err(told)?).map_err(told)?;
        let mut connector = context(identity, SslMethod::tls_client())?;
        connector.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        Ok(Self {
            acceptor: acceptor.build(),
            connector: connector.build(),
            peers: RegisteredPeers(snapshot),
            known: Mutex::default(),
        })
    }

    /// The server's part of a handshake.
    ///
    /// # Errors
    /// It fails, or the leaf is not registered.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Secured> {
        let ssl = Ssl::new(&self.acceptor)?;
        let mut stream = SslStream::new(ssl, stream)?;
        Pin::new(&mut stream).accept().await.map_err(io::Error::other)?;
        self.admit(stream)
    }

    /// The client's part of a handshake.
    ///
    /// # Errors
    /// As for [`LegacyTls::accept`].
    pub(crate) async fn connect(&self, stream: TcpStream) -> io::Result<Secured> {
        let ssl = Ssl::new(&self.connector)?;
        let mut stream = SslStream::new(ssl, stream)?;
        Pin::new(&mut stream).connect().await.map_err(io::Error::other)?;
        self.admit(stream)
    }

    fn admit(&self, stream: SslStream<TcpStream>) -> io::Result<Secured> {
        let certificates = shown(stream.ssl())?;
        match certificates.first() {
            Some(leaf) if self.peers.admits(leaf) => Ok(Secured { stream, certificates }),
            _ => Err(io::Error::other("the certificate is not registered")),
        }
    }

    /// Whether a server was found to need the old channel a while ago.
    pub(crate) fn knows(&self, address: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(address).is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    /// Remembers that a server needs the old channel.
    pub(crate) fn remember(&self, address: &Arc<str>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, since| since.elapsed() < REMEMBERED);
        if known.len() < MOST_REMEMBERED {
            known.insert(Arc::clone(address), Instant::now());
        }
    }
}

/// Whether a handshake of the modern channel ended because the two sides have no suite in common.
pub(crate) fn is_needed(error: &io::Error) -> bool {
    use rustls::AlertDescription::{HandshakeFailure, InsufficientSecurity, ProtocolVersion};
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(
        error,
        Some(
            rustls::Error::AlertReceived(HandshakeFailure | InsufficientSecurity | ProtocolVersion)
                | rustls::Error::PeerIncompatible(_)
        )
    )
}

fn context(identity: &Identity, method: SslMethod) -> Result<SslContextBuilder, IdentityError> {
    let told = |error: ErrorStack| IdentityError::Legacy(error.to_string());
    let pkcs8 = identity.private_key().and_then(|key| key.pkcs8());
    let pkcs8 = pkcs8.ok_or_else(|| IdentityError::Legacy("the key lies on a device".to_owned()))?;
    let key = PKey::private_key_from_pkcs8(&pkcs8).map_err(told)?;
    let mut builder = SslContextBuilder::new(method).map_err(told)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(told)?;
    builder.set_max_proto_version(Some(SslVersion::TLS1_2)).map_err(told)?;
    builder.set_cipher_list(SUITES).map_err(told)?;
    builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION);
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    for (number, der) in identity.chain().iter().enumerate() {
        let certificate = X509::from_der(der).map_err(told)?;
        match number {
            0 => builder.set_certificate(&certificate).map_err(told)?,
            _ => builder.add_extra_chain_cert(certificate).map_err(told)?,
        }
    }
    builder.set_private_key(&key).map_err(told)?;
    builder.check_private_key().map_err(told)?;
    Ok(builder)
}

/// The certificates of the other side. OpenSSL leaves the leaf out of the chain on a server.
fn shown(ssl: &SslRef) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut shown = Vec::new();
    if let Some(leaf) = ssl.peer_certificate() {
        shown.push(CertificateDer::from(leaf.to_der()?));
    }
    for certificate in ssl.peer_cert_chain().into_iter().flatten() {
        let der = CertificateDer::from(certificate.to_der()?);
        if shown.first() != Some(&der) {
            shown.push(der);
        }
    }
    Ok(shown)
}
