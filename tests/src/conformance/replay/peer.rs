//! The recorded provider's server, played to the byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use certs::certificate::Certificate;
use gateway::Clock;
use gateway::http::{Outgoing, Service, bind, serve};
use gateway::ocsp::Relay;
use gateway::snapshot::SnapshotCell;
use gateway::tls::Identity;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::{Request, Response};
use protocol::time::UtcTime;
use tokio::sync::watch;

use super::http::Message;
use super::nodes::{OCSP_PORT, PEER_PORT, own_responses};
use super::recorded::Recorded;

/// The recorded provider's server: its certificate, its OCSP responses, and one answer after the other.
pub(super) struct RecordedPeer {
    answer: Mutex<Option<Message>>,
    _stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl RecordedPeer {
    /// Begins to listen on an address.
    pub(super) fn start(recorded: &Recorded, at: UtcTime, ip: &str) -> Result<Arc<Self>, String> {
        let text = |error: std::io::Error| error.to_string();
        let (key, certificate) = recorded.identity("ss0.AUTHENTICATION", ".cert.pem")?;
        let identity = Identity::of_key(vec![Certificate::der(&certificate).clone()], key);
        let identity = identity.map_err(|error| error.to_string())?;
        let clock = Clock::set_to(at);
        let snapshot = Arc::new(SnapshotCell::new());
        snapshot.store(Arc::new(recorded.snapshot_at(at, &|_| String::new())));
        let (own, folder) = own_responses(recorded, &snapshot, clock, vec![certificate])?;
        let address = |port: u16| -> Result<SocketAddr, String> {
            format!("{ip}:{port}").parse().map_err(|_| "address".to_owned())
        };
        let (stop, stopped) = watch::channel(false);
        let relay = bind(address(OCSP_PORT)?, false).map_err(text)?;
        tokio::spawn(Relay::new(own, clock).serve(relay, stopped.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(identity.server_resolver());
        let tls = Arc::new(tls);
        let peer = Arc::new(Self { answer: Mutex::default(), _stop: stop, _folder: folder });
        let messages = bind(address(PEER_PORT)?, false).map_err(text)?;
        let service = Arc::clone(&peer);
        let acceptor = move || Some(Arc::clone(&tls));
        tokio::spawn(serve(messages, Some(acceptor), move |_| Some(Arc::clone(&service)), stopped));
        Ok(peer)
    }

    /// What it answers from now on.
    pub(super) fn answers_with(&self, answer: &Message) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.clone());
    }
}

impl Service for RecordedPeer {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let _ = request.into_body().collect().await;
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut response = Response::new(Outgoing::Empty);
        let Some(answer) = answer else { return response };
        for (name, value) in &answer.headers {
            let framing = ["transfer-encoding", "content-length", "date", "connection"];
            if framing.iter().any(|framing| framing.eq_ignore_ascii_case(name)) {
                continue;
            }
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                response.headers_mut().insert(name, value);
            }
        }
        *response.body_mut() = answer.body.into();
        response
    }
}
