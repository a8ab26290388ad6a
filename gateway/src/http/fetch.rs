//! One request, one bounded answer: configuration, OCSP and time-stamp services.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::body::{CollectError, collect};
use super::trust::HttpsTrust;
use crate::tls::{self, Identity, Pin};

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is no absolute `http` or `https` URL.
    #[error("not an http or https URL: {0}")]
    Url(String),
    /// The other end did not answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// No connection, or TLS failed.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// The connection failed in the middle.
    #[error("the exchange broke off")]
    Http(#[from] hyper::Error),
    /// The answer's body.
    #[error(transparent)]
    Body(#[from] CollectError),
}

/// An answer of any status.
#[derive(Debug)]
pub struct Fetched {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Fetches over HTTP and HTTPS. Every call opens its own connection; redirects are not followed.
#[derive(Clone)]
pub struct Fetcher {
    tls: Arc<rustls::ClientConfig>,
    connect: Duration,
    read: Duration,
}

impl Fetcher {
    /// A fetcher that trusts the platform's certificate store for HTTPS.
    pub fn new(connect: Duration, read: Duration) -> Self {
        Self::trusting(connect, read, &HttpsTrust::default())
    }

    /// A fetcher that demands of HTTPS servers what it is told.
    pub fn trusting(connect: Duration, read: Duration, trust: &HttpsTrust) -> Self {
        Self { tls: trust.client(), connect, read }
    }

    /// A fetcher of documents that somebody looks at before they count: it takes every certificate, and
    /// offers `identity` to servers that ask for one (messages and transport §5.7).
    pub fn dangerous_unchecked(identity: Option<&Identity>, connect: Duration, read: Duration) -> Self {
        let tls = tls::service_connector(identity, Pin::Nothing);
        Self { tls: Arc::new(tls), connect, read }
    }

    /// A fetcher from servers that show one of these certificates, whatever their names and issuers. It
    /// offers `identity` to servers that ask for one.
    pub fn pinned(
        certificates: Vec<Bytes>,
        identity: Option<&Identity>,
        connect: Duration,
        read: Duration,
    ) -> Self {
        let tls = tls::service_connector(identity, Pin::OneOf(certificates));
        Self { tls: Arc::new(tls), connect, read }
    }

    /// GETs a URL; at most `limit` bytes of body.
    pub async fn get(&self, url: &str, accept: Option<&str>, limit: usize) -> Result<Fetched, FetchError> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept.and_then(|accept| accept.parse().ok()) {
            headers.insert(header::ACCEPT, accept);
        }
        self.exchange(Method::GET, url, headers, Bytes::new(), limit).await
    }

    /// POSTs a body; at most `limit` bytes of answer.
    pub async fn post(
        &self,
        url: &str,
        content_type: &str,
        body: Bytes,
        limit: usize,
    ) -> Result<Fetched, FetchError> {
        self.post_accepting(url, content_type, None, body, limit).await
    }

    /// As [`Fetcher::post`], with an `Accept` header.
    pub async fn post_accepting(
        &self,
        url: &str,
        content_type: &str,
        accept: Option<&str>,
        body: Bytes,
        limit: usize,
    ) -> Result<Fetched, FetchError> {
        let mut headers = HeaderMap::new();
        if let Ok(content_type) = content_type.parse() {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        if let Some(accept) = accept.and_then(|accept| accept.parse().ok()) {
            headers.insert(header::ACCEPT, accept);
        }
        self.exchange(Method::POST, url, headers, body, limit).await
    }

    async fn exchange(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        limit: usize,
    ) -> Result<Fetched, FetchError> {
        let bad = || FetchError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad()),
        };
        let host = uri.host().ok_or_else(bad)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let connect = async {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            let _ = stream.set_nodelay(true);
            if !secure {
                return Ok(Stream::Plain(stream));
            }
            let name = ServerName::try_from(host.clone())
                .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
            let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
            Ok(Stream::Tls(Box::new(stream)))
        };
        let stream = tokio::time::timeout(self.connect, connect)
            .await
            .map_err(|_| FetchError::Timeout(self.connect))?
            .map_err(FetchError::Connect)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        if let Some(host) = uri.authority().and_then(|authority| authority.as_str().parse().ok()) {
            request.headers_mut().insert(header::HOST, host);
        }
        request.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        *request.uri_mut() =
            uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
        let answer = async {
            match stream {
                Stream::Plain(stream) => send(stream, request, limit).await,
                Stream::Tls(stream) => send(stream, request, limit).await,
            }
        };
        tokio::time::timeout(self.read, answer).await.map_err(|_| FetchError::Timeout(self.read))?
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Fetched, FetchError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = collect(body, limit).await?;
        Ok(Fetched { status: head.status, headers: head.headers, body })
    };
    let fetched = answer.await;
    driver.abort();
    fetched
}
