//! A provider's information system, with habits that the path asks for.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gateway::http::body::Piece;
use gateway::http::server::Service;
use gateway::http::{Outgoing, bind, serve};
use gateway::tls::Identity;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::sync::watch;

/// What the system has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub calls: AtomicUsize,
    pub last: Mutex<Option<(String, String, HeaderMap, usize)>>,
    /// Content type and text of what it answers to `/described`.
    pub description: Mutex<(String, String)>,
}

pub(crate) struct System {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
    _stop: watch::Sender<bool>,
}

struct Answers(Arc<Seen>);

impl System {
    /// Starts on a free port of an address.
    pub(crate) fn start(ip: &str) -> Self {
        Self::start_with(ip, None)
    }

    /// The same over TLS, if there is an identity to show.
    pub(crate) fn start_with(ip: &str, identity: Option<&Identity>) -> Self {
        let listener = bind(format!("{ip}:0").parse().unwrap(), false).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = watch::channel(false);
        let service = Arc::new(Answers(Arc::clone(&seen)));
        tokio::spawn(serve(listener, identity.map(shown), move |_| Some(Arc::clone(&service)), stopped));
        Self { address, seen, _stop: stop }
    }
}

/// TLS that shows an identity and asks for none.
pub(crate) fn shown(identity: &Identity) -> impl Fn() -> Option<Arc<ServerConfig>> + Send + Sync + use<> {
    let config = showing(identity);
    move || Some(Arc::clone(&config))
}

/// The same as a configuration.
pub(crate) fn showing(identity: &Identity) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(identity.server_resolver());
    Arc::new(config)
}

impl System {
    /// Sets what it answers to `/described…`.
    pub(crate) fn describes(&self, content_type: &str, document: &str) {
        *self.seen.description.lock().unwrap() = (content_type.to_owned(), document.to_owned());
    }
}

impl Service for Answers {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        let (head, mut body) = request.into_parts();
        let mut received = Vec::new();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.unwrap().into_data() else { continue };
            length += data.len();
            if length < 1024 * 1024 {
                received.extend_from_slice(&data);
            }
        }
        let target = head.uri.path_and_query().unwrap().as_str().to_owned();
        *self.0.last.lock().unwrap() = Some((head.method.to_string(), target, head.headers, length));
        let path = head.uri.path();
        let number = path.rsplit('/').next().and_then(|last| last.parse::<usize>().ok()).unwrap_or_default();
        let mut response = Response::new(Outgoing::Empty);
        response.headers_mut().insert("x-mine", "yes".parse().unwrap());
        response.headers_mut().insert("x-road-error", "smuggled".parse().unwrap());
        if path.contains("/status/") {
            *response.status_mut() = hyper::StatusCode::from_u16(number as u16).unwrap();
        } else if path.contains("/bytes/") {
            *response.body_mut() = bytes_of(number);
        } else if path.contains("/length") {
            *response.body_mut() = length.to_string().into();
        } else if path.contains("/cut/") {
            let (sender, body) = Outgoing::channel(4);
            tokio::spawn(async move {
                let _ = sender.send(Piece::Data(Bytes::from(vec![b'x'; number]))).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            });
            *response.body_mut() = body;
        } else if path.contains("/headers/") {
            *response.status_mut() = hyper::StatusCode::from_u16(number as u16).unwrap();
            for (name, value) in [
                ("location", "http://elsewhere/x"),
                ("content-encoding", "gzip"),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
                ("etag", "\"7\""),
                ("server", "mine"),
                ("x-road-service", "CW/COM/9/forged"),
                ("x-road-client", "CW/COM/9/forged"),
            ] {
                response.headers_mut().append(name, value.parse().unwrap());
            }
            *response.body_mut() = Bytes::from_static(b"\x1f\x8bnot really").into();
        } else if path.contains("/described") {
            let (content_type, document) = self.0.description.lock().unwrap().clone();
            if !content_type.is_empty() {
                response.headers_mut().insert("content-type", content_type.parse().unwrap());
            }
            *response.body_mut() = document.into();
        } else if path.contains("/slow/") {
            tokio::time::sleep(Duration::from_millis(number as u64)).await;
            *response.body_mut() = "slow".to_owned().into();
        } else {
            *response.body_mut() = Bytes::from(received).into();
        }
        response
    }
}

/// A body of so many bytes, made as it goes.
pub(crate) fn bytes_of(mut length: usize) -> Outgoing {
    let (sender, body) = Outgoing::channel(4);
    tokio::spawn(async move {
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        while length > 0 {
            let now = length.min(piece.len());
            if sender.send(Piece::Data(piece.slice(..now))).await.is_err() {
                return;
            }
            length -= now;
        }
        let _ = sender.send(Piece::End).await;
    });
    body
}
