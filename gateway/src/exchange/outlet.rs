//! The way to another security server: choice, connection, and what must hold before a byte is sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::{Request, Response};
use protocol::fault::{Fault, code};
use protocol::id::{ClientId, SecurityServerId};
use protocol::time::UtcTime;
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::refusal::{Refusal, chain};
use crate::dial::{DialError, dial};
use crate::http::Outgoing;
use crate::node::{PeerLink, Worker};
use crate::peer::{Part, Peer};
use crate::policy::{self, Terms};
use crate::pool::{Connection, SendError};
use crate::route::Preference;
use crate::snapshot::Snapshot;
use crate::tls::PeerTls;
#[cfg(feature = "legacy-transport")]
use crate::tls::legacy;

/// Least time allowed for a connection when there are other servers to turn to.
const LEAST_LIMIT: Duration = Duration::from_secs(5);

/// Where a message goes: the provider and the addresses of its servers.
#[derive(Clone)]
pub(super) struct Destination {
    pub(super) worker: Arc<Worker>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) tls: Arc<PeerTls>,
    pub(super) provider: ClientId,
    pub(super) addresses: Vec<Arc<str>>,
    pub(super) now: UtcTime,
}

/// A connection to a server that may speak for the provider, on terms that hold.
pub(super) struct Reached {
    pub(super) address: Arc<str>,
    pub(super) server: SecurityServerId,
    pub(super) terms: Terms,
    connection: Connection<PeerLink>,
}

impl Destination {
    /// Finds a server: an open connection to the preferred one, else the first to accept. Those that
    /// do not answer, or show a certificate that does not count, are left out and the rest is tried.
    /// No byte of a message has been sent before this returns, so turning to another server is safe.
    ///
    /// # Errors
    /// The last failure of verification, else `network_error`.
    pub(super) async fn reach(&self, reuse: bool) -> Result<Reached, Refusal> {
        let node = &self.worker.node;
        let mut left = self.addresses.clone();
        let mut limit = node.settings.connect_timeout;
        let mut refusal = None;
        while !left.is_empty() {
            let chosen = if let [_] = left.as_slice() {
                left.clone()
            } else {
                match node.health.preference(&left, Instant::now()) {
                    Preference::Winner(winner) => vec![winner],
                    Preference::Race(addresses) => addresses,
                }
            };
            if reuse && let Some(reached) = self.reuse(&chosen).await {
                return Ok(reached);
            }
            let limit_now = if left.len() > 1 { limit.min(LEAST_LIMIT) } else { limit };
            match race(&chosen, node.settings.peer_port, limit_now).await {
                Ok((address, stream)) => match self.secure(&address, stream, limit).await {
                    Ok(reached) => {
                        node.health.won(&self.addresses, &address, Instant::now());
                        return Ok(reached);
                    }
                    Err(error) => {
                        node.health.failed(&address, Instant::now());
                        left.retain(|other| *other != address);
                        refusal = Some(error);
                    }
                },
                Err(error) => {
                    for address in &chosen {
                        node.health.failed(address, Instant::now());
                    }
                    left.retain(|other| !chosen.contains(other));
                    refusal.get_or_insert_with(|| unreachable(&self.provider, &error));
                }
            }
            limit = (limit / 2).max(LEAST_LIMIT);
        }
        Err(refusal.unwrap_or_else(|| {
            Fault::new(code::NETWORK_ERROR, "no security server of the provider can be reached").into()
        }))
    }

    /// An open connection to one of the addresses, if it still counts.
    async fn reuse(&self, addresses: &[Arc<str>]) -> Option<Reached> {
        for address in addresses {
            while let Some(connection) = self.worker.peers.take(address) {
                if !Arc::ptr_eq(&connection.peer.tls, &self.tls) {
                    continue;
                }
                let checked = self.vouch(&connection.peer.peer, address).await;
                if let Ok((server, terms)) = checked {
                    self.worker.node.stats.peer_reuses();
                    return Some(Reached { address: Arc::clone(address), server, terms, connection });
                }
            }
        }
        None
    }

    /// TLS and its checks over a new connection (§4.2.4).
    async fn secure(
        &self,
        address: &Arc<str>,
        stream: TcpStream,
        limit: Duration,
    ) -> Result<Reached, Refusal> {
        let node = &self.worker.node;
        let refused = |text: &str, cause: &dyn std::error::Error| {
            Refusal::because(code::SSL_AUTHENTICATION_FAILED, text, format!("{address}: {}", chain(cause)))
        };
        #[cfg(feature = "legacy-transport")]
        if let Some(legacy) = self.tls.legacy.as_ref().filter(|legacy| legacy.knows(address)) {
            return self.secure_legacy(legacy, address, stream, limit).await;
        }
        let name = ServerName::try_from(address.to_string())
            .map_err(|error| refused("the address of the provider's security server is malformed", &error))?;
        let handshake = TlsConnector::from(Arc::clone(&self.tls.connector)).connect(name, stream);
        let stream = match timeout(limit, handshake).await {
            Ok(Ok(stream)) => stream,
            #[cfg(feature = "legacy-transport")]
            Ok(Err(error)) if self.tls.legacy.is_some() && legacy::is_needed(&error) => {
                let Some(legacy) = &self.tls.legacy else { return Err(refused("no TLS", &error)) };
                let stream = dial(address, node.settings.peer_port, limit)
                    .await
                    .map_err(|error| unreachable(&self.provider, &error))?;
                let reached = self.secure_legacy(legacy, address, stream, limit).await?;
                legacy.remember(address);
                return Ok(reached);
            }
            Ok(Err(error)) => {
                return Err(refused("no TLS connection to the provider's security server", &error));
            }
            Err(_) => {
                let text = "the provider's security server did not complete the TLS handshake";
                return Err(Fault::new(code::NETWORK_ERROR, text).into());
            }
        };
        let session = stream.get_ref().1;
        node.stats.peer_connections();
        if session.handshake_kind() == Some(HandshakeKind::Resumed) {
            node.stats.peer_resumptions();
        }
        let peer = Peer::new(session.peer_certificates().unwrap_or_default(), session.protocol_version())?;
        self.begin(address, stream, peer).await
    }

    /// The same over the old channel.
    #[cfg(feature = "legacy-transport")]
    async fn secure_legacy(
        &self,
        legacy: &legacy::LegacyTls,
        address: &Arc<str>,
        stream: TcpStream,
        limit: Duration,
    ) -> Result<Reached, Refusal> {
        let refused = |cause: String| {
            let text = "no TLS connection to the provider's security server";
            Refusal::because(code::SSL_AUTHENTICATION_FAILED, text, format!("{address}: {cause}"))
        };
        let secured = match timeout(limit, legacy.connect(stream)).await {
            Ok(Ok(secured)) => secured,
            Ok(Err(error)) => return Err(refused(chain(&error))),
            Err(_) => {
                let text = "the provider's security server did not complete the TLS handshake";
                return Err(Fault::new(code::NETWORK_ERROR, text).into());
            }
        };
        self.worker.node.stats.peer_connections();
        self.worker.node.stats.legacy_connections();
        let peer = Peer::new(&secured.certificates, Some(rustls::ProtocolVersion::TLSv1_2))?;
        self.begin(address, secured.stream, peer).await
    }

    /// HTTP over a connection whose other end may take messages for the provider.
    async fn begin(
        &self,
        address: &Arc<str>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
    ) -> Result<Reached, Refusal> {
        let (server, terms) = self.vouch(&peer, address).await?;
        let link = PeerLink { peer, tls: Arc::clone(&self.tls) };
        let connection = Connection::start(stream, link).await.map_err(|error| {
            Refusal::because(code::NETWORK_ERROR, "the provider's security server broke off", chain(&error))
        })?;
        Ok(Reached { address: Arc::clone(address), server, terms, connection })
    }

    /// Whether the peer may take messages for the provider from us, and on what terms.
    async fn vouch(&self, peer: &Peer, address: &str) -> Result<(SecurityServerId, Terms), Fault> {
        let node = &self.worker.node;
        let instance = self.provider.instance();
        let group = |fault: Fault| fault.within(code::SSL_AUTHENTICATION_FAILED);
        let server = peer.server_of(&self.snapshot, &self.provider).map_err(group)?;
        let terms = policy::terms(self.snapshot.configuration(), node.directory.server_id(), &server)?;
        terms.check_tls(peer.tls())?;
        let made = match peer.still_valid(&self.snapshot, instance, None, self.now) {
            Some(made) if terms.check_ocsp("authentication", made, self.now).is_ok() => made,
            Some(_) | None => {
                node.stats.peer_validations();
                let oldest =
                    terms.ocsp_live.map_or(UtcTime::from_millis(i64::MIN), |live| self.now.minus(live));
                let port = (address, node.settings.ocsp_port);
                // Remembered, else asked of the peer itself (§4.3).
                let responses = node
                    .peer_ocsp
                    .responses_since(peer.chain(), port, self.snapshot.trust(), oldest, self.now)
                    .await
                    .map_err(group)?;
                peer.validate(&self.snapshot, instance, Part::Provider, &responses, self.now)
                    .map_err(group)?
            }
        };
        terms.check_ocsp("authentication", made, self.now)?;
        Ok((server, terms))
    }

    /// Sends a message and waits for the beginning of the answer. A connection that turns out to be
    /// closed before any byte was written is replaced once; nothing else is ever repeated.
    pub(super) async fn deliver(
        &self,
        mut reached: Reached,
        mut request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Reached), Refusal> {
        let mut may_replace = reached.connection.was_used();
        loop {
            match reached.connection.send(request).await {
                Ok(response) => return Ok((response, reached)),
                Err(SendError::NotSent(returned)) if may_replace => {
                    may_replace = false;
                    request = *returned;
                    let other = self.reach(false).await?;
                    if other.terms != reached.terms {
                        // The message was logged on the old terms.
                        return Err(broken("the terms of the connection have changed"));
                    }
                    reached = other;
                }
                Err(error) => {
                    self.lost(&reached.address);
                    return Err(broken(&chain(&error)));
                }
            }
        }
    }

    /// A connection broke in the middle of an exchange: the server may be gone. That exchange has failed,
    /// since the server may have seen its request; those that follow try the others first.
    fn lost(&self, address: &Arc<str>) {
        self.worker.peers.forget(address);
        if self.addresses.len() > 1 {
            self.worker.node.health.failed(address, Instant::now());
        }
    }
}

impl Reached {
    /// Keeps the connection for the next message. The answer must have been read to its end.
    pub(super) fn give_back(self, worker: &Worker) {
        worker.peers.give_back(&self.address, self.connection);
    }
}

fn broken(cause: &str) -> Refusal {
    let text = "the connection to the provider's security server broke off";
    Refusal::because(code::NETWORK_ERROR, text, cause)
}

/// Connects to all addresses at once and takes the first that answers.
async fn race(
    addresses: &[Arc<str>],
    port: u16,
    limit: Duration,
) -> Result<(Arc<str>, TcpStream), DialError> {
    if let [address] = addresses {
        return dial(address, port, limit).await.map(|stream| (Arc::clone(address), stream));
    }
    let mut runners = JoinSet::new();
    for address in addresses.iter().cloned() {
        runners.spawn(async move { dial(&address, port, limit).await.map(|stream| (address, stream)) });
    }
    let mut last = DialError::Timeout(limit);
    while let Some(finished) = runners.join_next().await {
        match finished {
            Ok(Ok(first)) => return Ok(first),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
    }
    Err(last)
}

fn unreachable(provider: &ClientId, error: &DialError) -> Refusal {
    let text = format!("cannot connect to a security server of provider {provider}");
    Refusal::because(code::NETWORK_ERROR, &text, chain(error))
}
