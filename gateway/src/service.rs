//! Calls to the information systems of this node's providers (messages and transport §3.9, §3.10, §5.5).
//!
//! Nothing is followed, retried or remembered between calls but open connections: no redirects, no
//! cookies.

mod request;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use protocol::fault::{Fault, code};
use protocol::id::ClientId;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub(crate) use self::request::ServiceRequest;
use self::request::Target;
use crate::dial::{DialError, dial};
use crate::exchange::passage::Input;
use crate::exchange::refusal::{Refusal, chain};
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

    /// Calls a service. `pins` are the certificates registered for the owner's information systems.
    ///
    /// # Errors
    /// The leaf codes of §7.2 for what went wrong between here and the provider.
    pub(crate) async fn call(
        &self,
        service: &LocalService,
        pins: &[Bytes],
        request: ServiceRequest,
    ) -> Result<ServiceAnswer, Refusal> {
        let ServiceRequest { target, request: mut outgoing } = request;
        let is_head = outgoing.method() == Method::HEAD;
        let tls = if target.secure { Some(self.tls_config(service, pins)?) } else { None };
        let key: Arc<str> = match &tls {
            Some(_) => format!("{}:{} {}", target.host, target.port, service.id.provider()).into(),
            None => format!("{}:{}", target.host, target.port).into(),
        };
        loop {
            let mut connection = match self.reuse(&key, tls.as_ref()) {
                Some(connection) => connection,
                None => self.connect(&target, service, tls.clone()).await?,
            };
            let was_used = connection.was_used();
            let sent = timeout(service.timeout, connection.send(outgoing)).await;
            match sent {
                Ok(Ok(response)) => {
                    let (head, body) = response.into_parts();
                    let status = head.status;
                    let may_have_body =
                        !is_head && !status.is_informational() && !matches!(status.as_u16(), 204 | 205 | 304);
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
        let request = ServiceRequest::get(url, query)?;
        let path = request.target.path.path().to_owned();
        let mut answer = self.call(service, pins, request).await?;
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
            path,
            body: body.freeze(),
        })
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
}

impl Input for ServiceAnswer {
    /// The next bytes of the body; none at its end.
    ///
    /// # Errors
    /// `io_error` when the service is silent for too long or drops the connection.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
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
    fn header_values_travel_as_iso_8859_1() {
        assert_eq!(header_value("plain").unwrap(), "plain");
        assert_eq!(header_value("caf\u{e9}").unwrap().as_bytes(), b"caf\xe9");
        assert_eq!(header_value("\u{1ec7}").unwrap().as_bytes(), "\u{1ec7}".as_bytes());
        assert!(header_value("a\nb").is_none());
    }
}
