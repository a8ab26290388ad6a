//! From the call to the request that is sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName};
use hyper::{Method, Request, Response};
use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, code};
use protocol::message::RestRequest;
use protocol::time::UtcTime;
use protocol::transport::{self, Encoder, MessageType, PartKind};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use uuid::Uuid;

use super::answer::{Answered, answered_early};
use crate::exchange::evidence::append;
use crate::exchange::message::{self, WHOLE};
use crate::exchange::outlet::{Destination, Reached};
use crate::exchange::refusal::{Refusal, chain};
use crate::exchange::spool::{Keep, Spool, Spooled};
use crate::exchange::summary::Summary;
use crate::http::Outgoing;
use crate::http::body::Piece;
use crate::http::server::Connection;
use crate::node::{Node, Worker};
use crate::policy::Terms;
use crate::ports::{ConnectionType, Direction, LocalClient, LogEntry, Side, Signed};
use crate::route;
use crate::service::{header_lines, header_value};
use crate::snapshot::Snapshot;
use crate::tls::PeerTls;

/// Pieces of a body that wait for a slow reader.
const WAITING: usize = 8;

/// A call on a node that can make calls: its configuration is in force, and it has a certificate with
/// OCSP responses to show.
pub(super) struct Accepted {
    pub(super) worker: Arc<Worker>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) tls: Arc<PeerTls>,
    pub(super) ocsp: Vec<Bytes>,
    pub(super) now: UtcTime,
}

/// The call is well formed.
pub(super) struct Parsed {
    pub(super) accepted: Accepted,
    pub(super) request: RestRequest,
    pub(super) request_id: String,
}

/// The client is registered here, and it connected as its connection type demands.
pub(super) struct Identified {
    parsed: Parsed,
}

/// The servers of the provider are known.
pub(super) struct Resolved {
    parsed: Parsed,
    destination: Destination,
}

/// There is a connection to one of them, verified and on terms that the node-class policy allows.
pub(super) struct Connected {
    parsed: Parsed,
    destination: Destination,
    reached: Reached,
}

/// A whole call, wherever its bytes are.
pub(super) struct Call {
    pub(super) parsed: Parsed,
    pub(super) destination: Destination,
    pub(super) terms: Terms,
    pub(super) body: Option<Spooled>,
}

/// The body was taken and hashed; a large one is on its way.
pub(in crate::exchange) struct Hashed {
    call: Call,
    outbound: Outbound,
}

/// The client's member has signed.
pub(super) struct SignedCall {
    call: Call,
    outbound: Outbound,
    signed: Signed,
}

/// Request and evidence are durable.
pub(super) struct LoggedCall {
    call: Call,
    outbound: Outbound,
    signed: Signed,
}

/// How much of the request is out.
pub(super) enum Outbound {
    /// Nothing.
    Held(Box<Reached>),
    /// Everything but what follows the body.
    Streaming { encoder: Encoder, pieces: mpsc::Sender<Piece>, answer: Answer },
}

pub(super) type Answer = JoinHandle<Result<(Response<Incoming>, Reached), Refusal>>;

impl Accepted {
    pub(super) fn new(worker: &Arc<Worker>) -> Result<Self, Refusal> {
        let node = &worker.node;
        let now = node.clock.now();
        let snapshot = node.current_snapshot(now)?;
        let refused = |text: &str| Fault::new(code::SSL_AUTHENTICATION_FAILED, text);
        let tls = node
            .identity
            .load()
            .ok_or_else(|| refused("this security server has no authentication certificate in use"))?;
        let ocsp = node.own_responses(&tls.chain, now).ok_or_else(|| {
            refused("this security server has no usable OCSP response for its authentication certificate")
        })?;
        Ok(Self { worker: Arc::clone(worker), snapshot, tls, ocsp, now })
    }

    pub(super) fn parse(self, head: &http::request::Parts, summary: &mut Summary) -> Result<Parsed, Refusal> {
        let request_id = Uuid::new_v4().to_string();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let own_instance = || self.snapshot.configuration().own_instance.clone();
        let new_id = || format!("{}-{}", own_instance(), Uuid::new_v4());
        let request = RestRequest::from_client(
            head.method.as_str(),
            target,
            header_lines(&head.headers),
            &request_id,
            new_id,
        );
        let request = request.map_err(|error| error.from_client())?;
        summary.client = Some(request.client().clone());
        summary.service = Some(request.service().clone());
        request.id().clone_into(&mut summary.message_id);
        request_id.clone_into(&mut summary.request_id);
        Ok(Parsed { accepted: self, request, request_id })
    }
}

impl Parsed {
    pub(super) fn identify(self, connection: &Connection) -> Result<Identified, Refusal> {
        let node = &self.accepted.worker.node;
        identify(node, self.request.client(), connection)?;
        Ok(Identified { parsed: self })
    }

    pub(super) fn node(&self) -> &Node {
        &self.accepted.worker.node
    }
}

/// Whether whoever connected may speak for this client (§5.2).
///
/// # Errors
/// `unknown_member`, `ssl_authentication_failed`.
pub(in crate::exchange) fn identify(
    node: &Node,
    client: &protocol::id::ClientId,
    connection: &Connection,
) -> Result<Arc<LocalClient>, Fault> {
    let known = node.directory.client(client).ok_or_else(|| {
        Fault::new(code::UNKNOWN_MEMBER, format!("client '{client}' is not registered here"))
    })?;
    let refused = |text: &str| Fault::new(code::SSL_AUTHENTICATION_FAILED, text);
    if !node.settings.verify_clients {
        return Ok(known);
    }
    match known.connection_type {
        ConnectionType::Http => {}
        ConnectionType::HttpsNoAuth if connection.tls.is_some() => {}
        ConnectionType::HttpsNoAuth => return Err(refused("the client must connect over HTTPS")),
        ConnectionType::Https => {
            let shown = connection
                .certificates
                .first()
                .ok_or_else(|| refused("the client must connect over HTTPS with a registered certificate"))?;
            let own = node.internal.as_ref().and_then(|identity| identity.chain().first());
            if !known.certificates.iter().chain(own).any(|certificate| certificate.as_ref() == shown.as_ref())
            {
                return Err(refused("the certificate shown is not registered for the client"));
            }
        }
    }
    Ok(known)
}

impl Identified {
    pub(super) fn resolve(self) -> Result<Resolved, Refusal> {
        let parsed = self.parsed;
        let Accepted { worker, snapshot, tls, now, .. } = &parsed.accepted;
        let provider = parsed.request.service().provider().clone();
        let target = parsed.request.security_server();
        let addresses = route::candidates(snapshot.configuration(), &provider, target)?;
        let destination = Destination {
            worker: Arc::clone(worker),
            snapshot: Arc::clone(snapshot),
            tls: Arc::clone(tls),
            provider,
            addresses,
            now: *now,
        };
        Ok(Resolved { parsed, destination })
    }
}

impl Resolved {
    pub(super) async fn reach(self, summary: &mut Summary) -> Result<Connected, Refusal> {
        let reached = self.destination.reach(true).await?;
        summary.peer = Some(reached.server.clone());
        Ok(Connected { parsed: self.parsed, destination: self.destination, reached })
    }
}

impl Connected {
    pub(super) async fn hash(self, body: &mut Option<Incoming>) -> Result<Hashed, Refusal> {
        let node = self.parsed.node();
        let folder = &node.settings.spool_folder;
        let mut pieces = Vec::new();
        let mut length = 0;
        while length <= WHOLE {
            match next(node, body).await? {
                Some(piece) => {
                    length += piece.len();
                    pieces.push(piece);
                }
                None => {
                    let mut spool = Spool::new(DigestAlgorithm::Sha512, Keep::Whole);
                    for piece in pieces {
                        spool.push(piece, folder).map_err(message::spool_failed)?;
                    }
                    let body = (length > 0).then(|| spool.finish());
                    let Self { parsed, destination, reached } = self;
                    let terms = reached.terms;
                    let outbound = Outbound::Held(Box::new(reached));
                    return Ok(Hashed { call: Call { parsed, destination, terms, body }, outbound });
                }
            }
        }
        self.stream(pieces, body).await
    }

    /// Sends a large body on while it comes in.
    async fn stream(self, pieces: Vec<Bytes>, body: &mut Option<Incoming>) -> Result<Hashed, Refusal> {
        let Self { parsed, destination, reached } = self;
        let terms = reached.terms;
        let node = parsed.node();
        let folder = &node.settings.spool_folder;
        let mut encoder = message::encoder();
        let (sender, outgoing) = Outgoing::channel(WAITING);
        let request = transport_request(&parsed, &reached, &encoder.content_type(), outgoing)?;
        let way = destination.clone();
        let mut answer: Answer = tokio::spawn(async move { way.deliver(reached, request).await });

        let head = (PartKind::RestRequest, parsed.request.blob());
        let beginning = message::beginning(&mut encoder, &parsed.accepted.ocsp, head, true);
        let mut spool = Spool::new(DigestAlgorithm::Sha512, Keep::ForTheLog(node.settings.logged_body_limit));
        let mut waiting = pieces.into_iter();
        let mut piece = beginning;
        loop {
            tokio::select! {
                biased;
                early = &mut answer => return Err(answered_early(node, early).await),
                sent = timeout(node.settings.peer_timeout, sender.send(Piece::Data(piece))) => match sent {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Err(answered_early(node, answer.await).await),
                    Err(_) => return Err(silent()),
                },
            }
            piece = match waiting.next() {
                Some(piece) => piece,
                None => match next(node, body).await? {
                    Some(piece) => piece,
                    None => break,
                },
            };
            spool.push(piece.clone(), folder).map_err(message::spool_failed)?;
        }
        let outbound = Outbound::Streaming { encoder, pieces: sender, answer };
        let call = Call { parsed, destination, terms, body: Some(spool.finish()) };
        Ok(Hashed { call, outbound })
    }
}

impl Hashed {
    pub(super) async fn sign(self) -> Result<SignedCall, Refusal> {
        let Self { call, outbound } = self;
        let request = &call.parsed.request;
        let digests = message::signed_digests(request.blob(), call.body.as_ref());
        let signed = call.node().signer.sign(request.client().member(), digests).await?;
        Ok(SignedCall { call, outbound, signed })
    }
}

impl SignedCall {
    /// A crash before this returns leaves a message without signature at the provider's server, or
    /// none at all: nothing was done. A crash after it leaves the evidence here, whatever happens there.
    pub(super) async fn log(self, summary: &mut Summary) -> Result<LoggedCall, Refusal> {
        let Self { call, outbound, signed } = self;
        let entry = call.entry(Direction::Request, call.parsed.request.blob(), call.body.as_ref(), &signed);
        summary.request_position = Some(append(call.node(), &call.terms, entry).await?);
        Ok(LoggedCall { call, outbound, signed })
    }
}

impl LoggedCall {
    pub(super) async fn send(self) -> Result<Answered, Refusal> {
        let Self { call, outbound, signed } = self;
        let limit = call.node().settings.response_timeout;
        let (response, reached) = match outbound {
            Outbound::Held(reached) => {
                let encoder = message::encoder();
                let content_type = encoder.content_type();
                let head = (PartKind::RestRequest, call.parsed.request.blob());
                let body = match &call.body {
                    Some(body) => Some(body.in_memory().ok_or_else(lost)?),
                    None => None,
                };
                let whole = message::whole(encoder, &call.parsed.accepted.ocsp, head, body, &signed);
                let request = transport_request(&call.parsed, &reached, &content_type, whole.into())?;
                within(limit, call.destination.deliver(*reached, request)).await?
            }
            Outbound::Streaming { encoder, pieces, answer } => {
                let silence = call.node().settings.peer_timeout;
                for piece in [Piece::Data(message::ending(encoder, &signed)), Piece::End] {
                    // When the other side has stopped reading, its answer tells why.
                    let _ = timeout(silence, pieces.send(piece)).await.map_err(|_| silent())?;
                }
                within(limit, async { answer.await.unwrap_or_else(|error| Err(panicked(&error))) }).await?
            }
        };
        call.receive(response, reached).await
    }
}

impl Call {
    pub(super) fn node(&self) -> &Node {
        self.parsed.node()
    }

    pub(super) fn entry(
        &self,
        direction: Direction,
        blob: &Bytes,
        body: Option<&Spooled>,
        signed: &Signed,
    ) -> LogEntry {
        let request = &self.parsed.request;
        let limit = self.node().settings.logged_body_limit;
        LogEntry {
            time: self.node().clock.now(),
            side: Side::Consumer,
            direction,
            client: request.client().clone(),
            service: request.service().clone(),
            protocol: MessageType::Rest,
            message_id: request.id().to_owned(),
            request_id: self.parsed.request_id.clone(),
            message: blob.clone(),
            attachments: body.iter().map(|body| body.for_the_log(limit)).collect(),
            signed: signed.clone(),
        }
    }
}

/// The next bytes that the client sends; none at the end of the body.
async fn next(node: &Node, body: &mut Option<Incoming>) -> Result<Option<Bytes>, Refusal> {
    loop {
        let Some(incoming) = body else { return Ok(None) };
        let frame = timeout(node.settings.peer_timeout, incoming.frame()).await.map_err(|_| {
            Fault::new(code::IO_ERROR, "the client was silent for too long in the middle of its request")
        })?;
        match frame {
            None => {
                *body = None;
                return Ok(None);
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                Ok(_) | Err(_) => {}
            },
            Some(Err(error)) => {
                *body = None;
                return Err(Refusal::because(code::IO_ERROR, "the request broke off", chain(&error)));
            }
        }
    }
}

/// The HTTP request that carries a message (§4.4.1).
fn transport_request(
    parsed: &Parsed,
    reached: &Reached,
    content_type: &str,
    body: Outgoing,
) -> Result<Request<Outgoing>, Refusal> {
    let original = parsed
        .request
        .headers()
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .last()
        .map_or("", |(_, value)| value);
    let port = parsed.node().settings.peer_port;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    for (name, value) in [
        (header::HOST, &*format!("{}:{port}", reached.address)),
        (header::CONTENT_TYPE, content_type),
        (header::TRANSFER_ENCODING, "chunked"),
        (HeaderName::from_static(transport::HASH_ALGORITHM), DigestAlgorithm::Sha512.name()),
        (HeaderName::from_static(transport::REQUEST_ID), &parsed.request_id),
        (HeaderName::from_static(transport::PROXY_VERSION), transport::OUR_PROXY_VERSION),
        (HeaderName::from_static(transport::ORIGINAL_CONTENT_TYPE), original),
        (HeaderName::from_static(transport::MESSAGE_TYPE), transport::MESSAGE_TYPE_REST),
    ] {
        let value = header_value(value)
            .ok_or_else(|| Fault::new(code::INTERNAL_ERROR, "the request cannot be passed on over HTTP"))?;
        headers.insert(name, value);
    }
    Ok(request)
}

/// Waits without end when there is no limit.
async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    match limit {
        None => work.await,
        Some(limit) => timeout(limit, work).await.unwrap_or_else(|_| Err(silent())),
    }
}

fn silent() -> Refusal {
    Fault::new(code::IO_ERROR, "the provider's security server was silent for too long").into()
}

pub(super) fn lost() -> Fault {
    Fault::new(code::INTERNAL_ERROR, "the body was not kept")
}

pub(super) fn panicked(error: &JoinError) -> Refusal {
    Refusal::because(code::INTERNAL_ERROR, "the exchange could not be finished", error)
}
