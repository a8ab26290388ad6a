//! Calls to the information systems of this node's providers (messages and transport §3.9, §3.10, §5.5).
//!
//! Nothing is followed, retried or remembered between calls but open connections: no redirects, no
//! cookies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use protocol::fault::{Fault, code};
use protocol::id::ClientId;
use protocol::message::RestRequest;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::dial::{DialError, dial};
use crate::exchange::refusal::{Refusal, chain};
use crate::http::Outgoing;
use crate::pool::{Connection, Pool, SendError};
use crate::ports::{LocalService, ServiceTls};
use crate::tls::{self, Identity, Pin};

/// Servers close idle connections after five seconds (Node.js) or more. Ours are given up before.
const LONGEST_IDLE: Duration = Duration::from_secs(4);

/// Largest description of a service (§5.7).
const LARGEST_DESCRIPTION: usize = 10 * 1024 * 1024;

/// Calls services; one for each worker.
pub(crate) struct ServiceCaller {
    identity: Option<Identity>,
    connect_timeout: Duration,
    pool: Arc<Pool<Tls>>,
    tls: Mutex<HashMap<(ClientId, ServiceTls), PinnedTo>>,
}

/// How a connection was secured, if it was.
type Tls = Option<Arc<rustls::ClientConfig>>;

/// TLS settings, and the certificates they were made for.
type PinnedTo = (Vec<Bytes>, Arc<rustls::ClientConfig>);

/// The description of a service, as it was fetched.
pub(crate) struct Description {
    /// Its content type, if there was one.
    pub(crate) content_type: Option<String>,
    /// The path of the URL that it came from.
    pub(crate) path: String,
    /// The document.
    pub(crate) body: Bytes,
}

/// A service's answer of any status; its body is still coming.
pub(crate) struct ServiceAnswer {
    /// Status and headers.
    pub(crate) head: http::response::Parts,
    body: Option<Incoming>,
    may_have_body: bool,
    timeout: Duration,
    pool: Arc<Pool<Tls>>,
    key: Arc<str>,
    connection: Option<Connection<Tls>>,
}

impl ServiceCaller {
    pub(crate) fn new(identity: Option<Identity>, connect_timeout: Duration) -> Self {
        Self { identity, connect_timeout, pool: Arc::new(Pool::new(LONGEST_IDLE)), tls: Mutex::default() }
    }

    /// Calls a service with the request of a client. `pins` are the certificates registered for the
    /// owner's information systems.
    ///
    /// # Errors
    /// The leaf codes of §7.2 for what went wrong between here and the provider.
    pub(crate) async fn call(
        &self,
        service: &LocalService,
        pins: &[Bytes],
        request: &RestRequest,
        body: Option<Outgoing>,
    ) -> Result<ServiceAnswer, Refusal> {
        let target = Target::of(&service.url, request.service_path(), request.query())?;
        let outgoing = target.request(request, body)?;
        self.send(service, pins, &target, outgoing).await
    }

    /// Fetches the description of a service from where it was registered, with the TLS rules of the
    /// service.
    ///
    /// # Errors
    /// Those of [`call`](Self::call); `internal_error` for another status than 200, a description that
    /// is too large, and a service without one.
    pub(crate) async fn description(
        &self,
        service: &LocalService,
        pins: &[Bytes],
    ) -> Result<Description, Refusal> {
        let refused = |text: &str| Refusal::from(Fault::new(code::INTERNAL_ERROR, text));
        let url = service.description_url.as_deref();
        let url = url.ok_or_else(|| refused("the service has no description that can be fetched"))?;
        let (url, query) = url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query)));
        let target = Target::of(url, "", query)?;
        let mut request = Request::new(Outgoing::Empty);
        *request.uri_mut() = target.path.clone();
        request.headers_mut().insert(header::HOST, target.authority.clone());
        let mut answer = self.send(service, pins, &target, request).await?;
        if answer.head.status != hyper::StatusCode::OK {
            return Err(Refusal::because(
                code::INTERNAL_ERROR,
                "the description of the service cannot be fetched",
                answer.head.status,
            ));
        }
        let mut body = BytesMut::new();
        while let Some(piece) = answer.next().await? {
            if body.len() + piece.len() > LARGEST_DESCRIPTION {
                return Err(refused("the description of the service is too large"));
            }
            body.extend_from_slice(&piece);
        }
        let content_type = answer.head.headers.get(header::CONTENT_TYPE);
        Ok(Description {
            content_type: content_type.and_then(|value| value.to_str().ok()).map(str::to_owned),
            path: target.path.path().to_owned(),
            body: body.freeze(),
        })
    }

    /// Sends a request to where it goes, over a connection that is open or is opened.
    async fn send(
        &self,
        service: &LocalService,
        pins: &[Bytes],
        target: &Target,
        mut outgoing: Request<Outgoing>,
    ) -> Result<ServiceAnswer, Refusal> {
        let answers_without_body = outgoing.method() == Method::HEAD;
        let tls = if target.secure { Some(self.tls_config(service, pins)?) } else { None };
        let key: Arc<str> = match &tls {
            Some(_) => format!("{}:{} {}", target.host, target.port, service.id.provider()).into(),
            None => format!("{}:{}", target.host, target.port).into(),
        };
        loop {
            let mut connection = match self.reuse(&key, tls.as_ref()) {
                Some(connection) => connection,
                None => self.connect(target, service, tls.clone()).await?,
            };
            let was_used = connection.was_used();
            let sent = timeout(service.timeout, connection.send(outgoing)).await;
            match sent {
                Ok(Ok(response)) => {
                    let (head, body) = response.into_parts();
                    let status = head.status;
                    let may_have_body = !answers_without_body
                        && !status.is_informational()
                        && !matches!(status.as_u16(), 204 | 205 | 304);
                    return Ok(ServiceAnswer {
                        head,
                        body: Some(body),
                        may_have_body,
                        timeout: service.timeout,
                        pool: Arc::clone(&self.pool),
                        key,
                        connection: Some(connection),
                    });
                }
                // The provider closed an idle connection and has seen nothing of the request.
                Ok(Err(SendError::NotSent(request))) if was_used => outgoing = *request,
                Ok(Err(error @ SendError::NotSent(_))) => {
                    return Err(failed(code::NETWORK_ERROR, "the service closed the connection", &error));
                }
                Ok(Err(error @ SendError::Broken(_))) => {
                    return Err(failed(
                        code::NETWORK_ERROR,
                        "the connection to the service broke off",
                        &error,
                    ));
                }
                Err(_) => return Err(timed_out(service.timeout)),
            }
        }
    }

    /// An open connection that was secured in the same way: by the same certificates, if by any.
    fn reuse(&self, key: &str, tls: Option<&Arc<rustls::ClientConfig>>) -> Option<Connection<Tls>> {
        loop {
            let connection = self.pool.take(key)?;
            match (&connection.peer, tls) {
                (None, None) => return Some(connection),
                (Some(one), Some(other)) if Arc::ptr_eq(one, other) => return Some(connection),
                _ => {}
            }
        }
    }

    async fn connect(
        &self,
        target: &Target,
        service: &LocalService,
        tls: Tls,
    ) -> Result<Connection<Tls>, Refusal> {
        let limit = self.connect_timeout.min(service.timeout);
        let stream = dial(&target.host, target.port, limit).await.map_err(|error| {
            let text = match &error {
                DialError::UnknownHost(_) => "the host of the service is unknown",
                DialError::Timeout(_) => "the service did not accept a connection in time",
                DialError::Connect(_) => "cannot connect to the service",
            };
            failed(error.code(), text, &error)
        })?;
        let broken =
            |error: hyper::Error| failed(code::NETWORK_ERROR, "cannot connect to the service", &error);
        let Some(config) = tls else { return Connection::start(stream, None).await.map_err(broken) };
        let name = ServerName::try_from(target.host.clone()).map_err(|error| {
            failed(code::UNKNOWN_HOST, "the host of the service is not a valid name", &error)
        })?;
        let handshake = timeout(limit, TlsConnector::from(Arc::clone(&config)).connect(name, stream)).await;
        let stream = handshake.map_err(|_| timed_out(limit))?.map_err(|error| {
            let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            let code = if is_tls { code::SSL_AUTHENTICATION_FAILED } else { code::NETWORK_ERROR };
            failed(code, "no TLS connection to the service that its registered certificates allow", &error)
        })?;
        Connection::start(stream, Some(config)).await.map_err(broken)
    }

    fn tls_config(
        &self,
        service: &LocalService,
        pins: &[Bytes],
    ) -> Result<Arc<rustls::ClientConfig>, Refusal> {
        let key = (service.id.provider().clone(), service.tls);
        let mut known = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((same, config)) = known.get(&key)
            && same == pins
        {
            return Ok(Arc::clone(config));
        }
        let pin = match service.tls {
            ServiceTls::Pinned => Pin::OneOf(pins.to_vec()),
            ServiceTls::Verified => Pin::Platform(platform_verifier()?),
            ServiceTls::Unchecked => Pin::Nothing,
        };
        let config = Arc::new(tls::service_connector(self.identity.as_ref(), pin));
        known.insert(key, (pins.to_vec(), Arc::clone(&config)));
        Ok(config)
    }
}

impl ServiceAnswer {
    /// Whether an answer of this kind has a body at all; an empty one counts (§3.10).
    pub(crate) fn may_have_body(&self) -> bool {
        self.may_have_body
    }

    /// The next bytes of the body; none at its end.
    ///
    /// # Errors
    /// `io_error` when the service is silent for too long or drops the connection.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let Some(body) = &mut self.body else { return Ok(None) };
            match timeout(self.timeout, body.frame()).await {
                Err(_) => return Err(timed_out(self.timeout)),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
                Ok(Some(Err(error))) => {
                    return Err(failed(
                        code::IO_ERROR,
                        "the service broke off in the middle of its response",
                        &error,
                    ));
                }
                Ok(None) => {
                    self.body = None;
                    if let Some(connection) = self.connection.take() {
                        self.pool.give_back(&self.key, connection);
                    }
                    return Ok(None);
                }
            }
        }
    }
}

/// Where a call goes.
struct Target {
    secure: bool,
    host: String,
    port: u16,
    authority: HeaderValue,
    path: Uri,
}

impl Target {
    /// Service URL, service path and query put together as §3.9 says: raw, one slash between.
    fn of(url: &str, path: &str, query: Option<&str>) -> Result<Self, Refusal> {
        let bad =
            |why: &str| Refusal::because("service_malformed_url", "the service's URL is malformed", why);
        if url.is_empty() {
            return Err(Fault::new(code::SERVICE_MISSING_URL, "the service has no URL").into());
        }
        let base = if url.ends_with('/') && path.starts_with('/') { url.get(..url.len() - 1) } else { None };
        let mut full = base.unwrap_or(url).to_owned();
        full.push_str(path);
        if let Some(query) = query {
            full.push('?');
            full.push_str(query);
        }
        let uri: Uri = full.parse().map_err(|_| bad(&full))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad("neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| bad("no host"))?;
        let shown = authority.as_str().rsplit('@').next().unwrap_or_default();
        if shown != authority.host() && authority.port_u16().is_none() {
            return Err(bad("malformed port"));
        }
        let path = uri.path_and_query().map_or(Ok(Uri::from_static("/")), |path| path.as_str().parse());
        Ok(Self {
            secure,
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: HeaderValue::from_str(shown).map_err(|_| bad("unprintable host"))?,
            path: path.map_err(|_| bad("malformed path"))?,
        })
    }

    /// The HTTP request: every header line of the blob, and our own `Host` and length.
    fn request(&self, request: &RestRequest, body: Option<Outgoing>) -> Result<Request<Outgoing>, Refusal> {
        let refused = || Fault::new(code::INTERNAL_ERROR, "the request cannot be passed on over HTTP");
        let mut headers = HeaderMap::with_capacity(24);
        headers.insert(header::HOST, self.authority.clone());
        for (name, value) in request.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
            headers.append(name, header_value(value).ok_or_else(refused)?);
        }
        let body = if request.forwards_body() { body.unwrap_or(Outgoing::Empty) } else { Outgoing::Empty };
        if request.forwards_body() {
            let length = body.size_hint().exact().unwrap_or_default();
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut outgoing = Request::new(body);
        *outgoing.method_mut() = Method::from_bytes(request.method().as_bytes()).map_err(|_| refused())?;
        *outgoing.uri_mut() = self.path.clone();
        *outgoing.headers_mut() = headers;
        Ok(outgoing)
    }
}

/// A header value as HTTP carries it: the blob has it in UTF-8, the wire in ISO-8859-1 (§3.3).
pub(crate) fn header_value(text: &str) -> Option<HeaderValue> {
    if text.is_ascii() {
        return HeaderValue::from_str(text).ok();
    }
    let latin: Option<Vec<u8>> =
        text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
    HeaderValue::from_bytes(&latin.unwrap_or_else(|| text.as_bytes().to_vec())).ok()
}

fn platform_verifier() -> Result<Arc<WebPkiServerVerifier>, Refusal> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build().map_err(|error| {
        let text = "the service's certificate cannot be checked";
        failed(code::SSL_AUTHENTICATION_FAILED, text, &error)
    })
}

fn failed(code: &'static str, text: &str, error: &dyn std::error::Error) -> Refusal {
    Refusal::because(code, text, chain(error))
}

fn timed_out(limit: Duration) -> Refusal {
    let text = format!("the service did not answer within {} seconds", limit.as_secs());
    Fault::new(code::IO_ERROR, text).into()
}

/// Headers of a response in the order and spelling in which they came.
pub(crate) fn header_lines(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

/// The reason phrase of a response.
pub(crate) fn reason(response: &http::response::Parts) -> String {
    match response.extensions.get::<hyper::ext::ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => response.status.canonical_reason().unwrap_or_default().to_owned(),
    }
}

/// Discards what is left of a body that nobody wants, so that its sender gets to read our answer
/// before the connection closes; bounded in bytes and time.
pub(crate) fn discard(mut body: Incoming) {
    const MOST: u64 = 256 * 1024 * 1024;
    const LONGEST: Duration = Duration::from_secs(30);
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(LONGEST, async move {
        let mut taken = 0;
        while let Some(Ok(frame)) = body.frame().await {
            taken += frame.data_ref().map_or(0, |data| data.len() as u64);
            if taken > MOST {
                break;
            }
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_put_together_raw() {
        for (url, path, query, expected) in [
            ("http://h/api", "", None, "/api"),
            ("http://h/api", "/v1/x", Some("a=%20b"), "/api/v1/x?a=%20b"),
            ("http://h/api/", "/v1", None, "/api/v1"),
            ("http://h/api/", "", None, "/api/"),
            ("http://h", "", None, "/"),
            ("http://h", "/a%2Fb/..", Some(""), "/a%2Fb/..?"),
        ] {
            let target = Target::of(url, path, query).unwrap();
            assert_eq!(target.path.to_string(), expected, "{url} {path} {query:?}");
            assert_eq!(target.authority, "h");
            assert_eq!(target.port, 80);
        }
        let target = Target::of("https://user@[::1]:8443/x", "", None).unwrap();
        assert_eq!((target.host.as_str(), target.port, target.secure), ("::1", 8443, true));
        assert_eq!(target.authority, "[::1]:8443");
        for url in ["", "ftp://h/", "/x", "http://", "http://h:port/"] {
            assert!(Target::of(url, "", None).is_err(), "{url}");
        }
    }

    #[test]
    fn header_values_travel_as_iso_8859_1() {
        assert_eq!(header_value("plain").unwrap(), "plain");
        assert_eq!(header_value("caf\u{e9}").unwrap().as_bytes(), b"caf\xe9");
        assert_eq!(header_value("\u{1ec7}").unwrap().as_bytes(), "\u{1ec7}".as_bytes());
        assert!(header_value("a\nb").is_none());
    }
}
