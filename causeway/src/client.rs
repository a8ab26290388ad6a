//! A client of a security server's information-system interface, for `call`, `up` and `doctor`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::http::{Outgoing, collect};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Largest answer that is taken into memory.
pub const ANSWER_LIMIT: usize = 128 * 1024 * 1024;

/// Why a call could not be made. What a server answered is not an error here.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The address is no absolute `http` or `https` URL.
    #[error("{0} is not an http or https URL")]
    Url(String),
    /// A header cannot be sent.
    #[error("'{0}' is not a header; write NAME: VALUE")]
    Header(String),
    /// A certificate or key file.
    #[error("cannot use {0}: {1}")]
    Identity(String, String),
    /// Nobody listens there, or TLS failed.
    #[error("cannot connect to {0}: {1}")]
    Connect(String, std::io::Error),
    /// The answer did not come in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The connection failed in the middle.
    #[error("the connection broke off: {0}")]
    Broken(String),
}

/// What is sent.
pub struct Call {
    /// The method.
    pub method: Method,
    /// Where to, absolute.
    pub url: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Outgoing,
    /// Time for the whole call.
    pub timeout: Duration,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// A header as text; empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// How TLS is done when the URL is `https`.
#[derive(Clone)]
pub struct Tls(Arc<rustls::ClientConfig>);

impl Tls {
    /// Trusts the certificates of `roots` (PEM), or with `None` only proves that the server has some
    /// key, which is what a security server's self-made certificate allows at first.
    ///
    /// # Errors
    /// When a file cannot be read or holds no certificate or key.
    pub fn new(roots: Option<&str>, identity: Option<(&str, &str)>) -> Result<Self, CallError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| CallError::Identity("TLS".into(), error.to_string()))?;
        let bad = |file: &str| {
            let file = file.to_owned();
            move |error: &dyn std::fmt::Display| CallError::Identity(file.clone(), error.to_string())
        };
        let builder = match roots {
            Some(file) => {
                let mut store = rustls::RootCertStore::empty();
                let certificates = CertificateDer::pem_file_iter(file).map_err(|error| bad(file)(&error))?;
                for certificate in certificates {
                    let certificate = certificate.map_err(|error| bad(file)(&error))?;
                    store.add(certificate).map_err(|error| bad(file)(&error))?;
                }
                builder.with_root_certificates(store)
            }
            None => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider))),
        };
        let config = match identity {
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_file_iter(certificate)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                    .map_err(|error| bad(certificate)(&error))?;
                let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key)(&error))?;
                builder.with_client_auth_cert(chain, key_der).map_err(|error| bad(certificate)(&error))?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self(Arc::new(config)))
    }

    /// What connections are made with.
    pub fn config(&self) -> &Arc<rustls::ClientConfig> {
        &self.0
    }
}

/// Takes any server certificate; for a first contact on a machine that is trusted otherwise.
#[derive(Debug)]
struct AnyServer(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Reads `NAME: VALUE`.
///
/// # Errors
/// When it has no colon, or name or value cannot be sent.
pub fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), CallError> {
    let bad = || CallError::Header(text.to_owned());
    let (name, value) = text.split_once(':').ok_or_else(bad)?;
    let name = name.trim().parse().map_err(|_| bad())?;
    let value = value.trim().parse().map_err(|_| bad())?;
    Ok((name, value))
}

/// Makes one call on a connection of its own.
///
/// # Errors
/// When no answer came; any answer, faults included, is `Ok`.
pub async fn call(call: Call, tls: Option<&Tls>) -> Result<Answer, CallError> {
    let timeout = call.timeout;
    match tokio::time::timeout(timeout, exchange(call, tls)).await {
        Ok(answer) => answer,
        Err(_) => Err(CallError::Timeout(timeout)),
    }
}

async fn exchange(call: Call, tls: Option<&Tls>) -> Result<Answer, CallError> {
    let bad = || CallError::Url(call.url.clone());
    let uri: Uri = call.url.parse().map_err(|_| bad())?;
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(bad()),
    };
    let authority = uri.authority().ok_or_else(bad)?.clone();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let failed = |error| CallError::Connect(format!("{host}:{port}"), error);
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(failed)?;
    let _ = stream.set_nodelay(true);

    let mut request = Request::new(call.body);
    *request.method_mut() = call.method;
    *request.uri_mut() = uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    *request.headers_mut() = call.headers;
    let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| bad())?;
    request.headers_mut().insert(header::HOST, authority);
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    if secure {
        let own;
        let tls = match tls {
            Some(tls) => tls,
            None => {
                own = Tls::new(None, None)?;
                &own
            }
        };
        let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
        let stream = TlsConnector::from(Arc::clone(&tls.0)).connect(name, stream).await.map_err(failed)?;
        send(stream, request).await
    } else {
        send(stream, request).await
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Outgoing>,
) -> Result<Answer, CallError> {
    let broken = |error: hyper::Error| CallError::Broken(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let (head, body): (_, Incoming) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let body = collect(body, ANSWER_LIMIT).await.map_err(|error| CallError::Broken(error.to_string()))?;
        Ok(Answer { status: head.status, headers: head.headers, body })
    };
    let answer = answer.await;
    driver.abort();
    answer
}
