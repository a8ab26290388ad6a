//! The provider's side of an exchange (messages and transport §4.6.3).
//!
//! The request is kept until all of it is there, verified and logged; the service sees none of it
//! before. Answers up to [`WHOLE`] bytes go out in one piece. Larger ones stream to the consumer's
//! server while they are hashed; what they lack there until the answer is logged here is the signature.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, Response};
use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, Origin, code};
use protocol::message::path::normalised_service_path;
use protocol::message::{RestRequest, RestResponse};
use protocol::time::UtcTime;
use protocol::transport::{self, Encoder, MessageType, PartKind, ProxyVersion, RequestHead};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::evidence::{Signature, append, request_hash};
use super::message::{self, Inlet, WHOLE};
use super::refusal::Refusal;
use super::spool::{Keep, Spool, Spooled};
use super::summary::{Summary, Verdict};
use crate::http::Outgoing;
use crate::http::body::Piece;
use crate::http::server::{Connection, Service};
use crate::node::{Node, Worker};
use crate::peer::{Part, Peer};
use crate::policy::{self, Terms};
use crate::ports::{Direction, LocalService, LogEntry, LoggedBody, Side, Signed};
use crate::service::{ServiceAnswer, discard, header_lines, reason};
use crate::snapshot::Snapshot;

/// Pieces of a body that wait for a slow reader.
const WAITING: usize = 8;

/// One connection of another security server.
pub(crate) struct PeerService {
    worker: Arc<Worker>,
    peer: Result<Peer, Fault>,
}

impl PeerService {
    pub(crate) fn new(worker: Arc<Worker>, connection: &Connection) -> Self {
        let peer = Peer::new(&connection.certificates, connection.tls);
        Self { worker, peer }
    }
}

impl Service for PeerService {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let mut summary = Summary::new(Side::Provider);
        let call = match begin(&self, request, &mut summary).await {
            Ok(call) => call,
            Err(refusal) => return refuse(&self.worker.node, refusal, &summary),
        };
        // From here on the service may act: what follows runs to its end whether or not the other
        // server waits for it.
        tokio::spawn(complete(call, summary)).await.unwrap_or_else(|error| {
            let text = "the exchange could not be finished";
            let refusal = Refusal::because(code::INTERNAL_ERROR, text, error);
            refuse(&self.worker.node, refusal, &Summary::new(Side::Provider))
        })
    }
}

/// The steps up to the moment when the request is to be logged. Until here nothing has happened.
async fn begin(
    connection: &Arc<PeerService>,
    request: Request<Incoming>,
    summary: &mut Summary,
) -> Result<Verified, Refusal> {
    let call = Accepted::new(connection, request)?;
    let call = call.read_head(summary).await?;
    let call = call.check_addressee()?;
    let call = call.check_peer(summary)?;
    let call = call.read_rest().await?;
    let call = call.authorise()?;
    call.verify(summary)
}

/// The steps from the log to the answer.
async fn complete(call: Verified, mut summary: Summary) -> Response<Outgoing> {
    let connection = Arc::clone(&call.0.call.connection);
    let node = &connection.worker.node;
    let answer = async {
        let call = call.log(&mut summary).await?;
        let call = call.call().await?;
        call.receive(&mut summary).await
    };
    let answer = match answer.await {
        Ok(Received::Whole(answer)) => answer,
        Ok(Received::Long(answer)) => return answer.stream(summary),
        Err(refusal) => return refuse(node, refusal, &summary),
    };
    let answer = async {
        let answer = answer.sign().await?;
        answer.log(&mut summary).await
    };
    match answer.await {
        Ok(answer) => answer.send(node, &summary),
        Err(refusal) => refuse(node, refusal, &summary),
    }
}

/// A request whose HTTP head is in order, at a node whose configuration is in force (steps 1 to 6).
struct Accepted {
    connection: Arc<PeerService>,
    snapshot: Arc<Snapshot>,
    head: RequestHead,
    inlet: Inlet,
    now: UtcTime,
}

/// The signed head was read; nothing in it is believed yet.
struct HeadRead {
    connection: Arc<PeerService>,
    snapshot: Arc<Snapshot>,
    head: RequestHead,
    inlet: Inlet,
    now: UtcTime,
    request: RestRequest,
    ocsp: Vec<Bytes>,
}

/// The request is for a provider that this node serves and can sign for (steps 7 to 9).
struct Addressed(HeadRead);

/// The sender's server may speak for the client (step 10), and the node-class policy allows the pair.
struct FromPeer {
    call: HeadRead,
    terms: Terms,
}

/// The whole message is here (step 11).
struct Call {
    connection: Arc<PeerService>,
    snapshot: Arc<Snapshot>,
    head: RequestHead,
    now: UtcTime,
    request: RestRequest,
    terms: Terms,
    body: Option<Spooled>,
    signed: Signed,
}

/// The client may use the service (steps 12 and 13).
struct Authorised {
    call: Call,
    service: Arc<LocalService>,
}

/// The client's member signed the request (step 14).
struct Verified(Authorised);

/// Request and evidence are durable (step 15).
struct LoggedCall(Authorised);

/// The service has begun to answer (step 16).
struct Called {
    call: Call,
    answer: ServiceAnswer,
}

/// An answer whose body is whole and hashed.
struct Answer {
    call: Call,
    response: RestResponse,
    body: Option<Spooled>,
}

/// An answer whose body is long; what was read of it waits in `pieces`.
struct LongAnswer {
    call: Call,
    response: RestResponse,
    pieces: Vec<Bytes>,
    answer: ServiceAnswer,
}

enum Received {
    Whole(Answer),
    Long(LongAnswer),
}

/// The provider's member has signed.
struct SignedAnswer {
    answer: Answer,
    signed: Signed,
}

/// Answer and evidence are durable.
struct LoggedAnswer {
    answer: Answer,
    signed: Signed,
}

impl Accepted {
    fn new(connection: &Arc<PeerService>, request: Request<Incoming>) -> Result<Self, Refusal> {
        let node = &connection.worker.node;
        let (head, body) = request.into_parts();
        let now = node.clock.now();
        let (snapshot, head) = match check_head(node, &head, now) {
            Ok(checked) => checked,
            Err(fault) => {
                discard(body);
                return Err(fault.into());
            }
        };
        let silence = node.settings.peer_timeout;
        let inlet = Inlet::new(body, &head.content_type, transport::Direction::Request, silence)?;
        Ok(Self { connection: Arc::clone(connection), snapshot, head, inlet, now })
    }

    async fn read_head(mut self, summary: &mut Summary) -> Result<HeadRead, Refusal> {
        // A fault in the place of a message is not a request, whatever it says (§0.2 D12).
        let (ocsp, blob) = self.inlet.head().await.map_err(Refusal::into_ours)?;
        let request = RestRequest::parse(blob)
            .map_err(|error| Refusal::from(error.from_peer()).within(code::SERVICE_FAILED))?;
        summary.client = Some(request.client().clone());
        summary.service = Some(request.service().clone());
        request.id().clone_into(&mut summary.message_id);
        self.head.request_id.clone_into(&mut summary.request_id);
        let Self { connection, snapshot, head, inlet, now } = self;
        Ok(HeadRead { connection, snapshot, head, inlet, now, request, ocsp })
    }
}

/// Steps 1 to 6 in their order.
fn check_head(
    node: &Node,
    head: &http::request::Parts,
    now: UtcTime,
) -> Result<(Arc<Snapshot>, RequestHead), Fault> {
    if head.method != hyper::Method::POST {
        return Err(Fault::new(code::INVALID_HTTP_METHOD, "messages are sent by POST"));
    }
    let snapshot = node.current_snapshot(now)?;
    let header = |name: &str| head.headers.get(name).map(HeaderValue::to_str).and_then(Result::ok);
    let least: Option<&ProxyVersion> = node.settings.least_peer_version.as_ref();
    transport::check_proxy_version(header(transport::PROXY_VERSION), least)?;
    let head = RequestHead::read(head.method.as_str(), header)?;
    if head.message_type != MessageType::Rest {
        let fault = Fault::new(code::INVALID_CONTENT_TYPE, "SOAP messages are not supported here");
        return Err(fault.within(code::SERVICE_FAILED));
    }
    Ok((snapshot, head))
}

impl HeadRead {
    fn check_addressee(self) -> Result<Addressed, Refusal> {
        let node = &self.connection.worker.node;
        let group = |fault: Fault| fault.within(code::SERVICE_FAILED);
        if let Some(target) = self.request.security_server()
            && target != node.directory.server_id()
        {
            let text = format!("the request is for security server {target}");
            return Err(group(Fault::new(code::INVALID_SECURITY_SERVER, text)).into());
        }
        let provider = self.request.service().provider();
        if node.directory.client(provider).is_none() {
            let text = format!("provider '{provider}' is not registered here");
            return Err(group(Fault::new(code::UNKNOWN_MEMBER, text)).into());
        }
        node.signer.can_sign(provider.member()).map_err(|fault| {
            let code = code::CANNOT_CREATE_SIGNATURE;
            Refusal::because(code, "the provider has no usable signing key here", fault)
                .within(code::SERVICE_FAILED)
        })?;
        Ok(Addressed(self))
    }
}

impl Addressed {
    fn check_peer(self, summary: &mut Summary) -> Result<FromPeer, Refusal> {
        let Self(call) = self;
        let node = &call.connection.worker.node;
        let refused = |fault: Fault| {
            // The other side learns only that it was not authenticated.
            let code = if fault.code == code::INTERNAL_ERROR {
                code::INTERNAL_ERROR
            } else {
                code::SSL_AUTHENTICATION_FAILED
            };
            Refusal::because(code, &fault.text, &fault.code).within(code::SERVICE_FAILED)
        };
        let peer = call.connection.peer.as_ref().map_err(|fault| refused(fault.clone()))?;
        let client = call.request.client();
        let made = match peer.still_valid(&call.snapshot, client.instance(), Some(&call.ocsp), call.now) {
            Some(made) => made,
            None => {
                node.stats.peer_validations();
                peer.validate(&call.snapshot, client.instance(), Part::Consumer, &call.ocsp, call.now)
                    .map_err(refused)?
            }
        };
        let server = peer.server_of(&call.snapshot, client).map_err(refused)?;
        summary.peer = Some(server.clone());
        let configuration = call.snapshot.configuration();
        let terms = policy::terms(configuration, &server, node.directory.server_id())?;
        terms.check_tls(peer.tls())?;
        terms.check_ocsp("authentication", made, call.now)?;
        Ok(FromPeer { call, terms })
    }
}

impl FromPeer {
    async fn read_rest(self) -> Result<Call, Refusal> {
        let Self { call, terms } = self;
        let HeadRead { connection, snapshot, head, mut inlet, now, request, ocsp: _ } = call;
        let folder = &connection.worker.node.settings.spool_folder;
        let rest = inlet.rest(head.digest, folder).await.map_err(Refusal::into_ours)?;
        let (body, signed) = (rest.body, rest.signed);
        Ok(Call { connection, snapshot, head, now, request, terms, body, signed })
    }
}

impl Call {
    fn node(&self) -> &Node {
        &self.connection.worker.node
    }

    fn authorise(self) -> Result<Authorised, Refusal> {
        let (client, id) = (self.request.client(), self.request.service());
        let service = self.node().directory.service(id).ok_or_else(|| {
            Fault::new(code::UNKNOWN_SERVICE, format!("service '{id}' is not registered here"))
        })?;
        if !service.rest {
            let text = format!("service '{id}' cannot be called over REST");
            return Err(Fault::new(code::SERVICE_TYPE, text).into());
        }
        let configuration = self.snapshot.configuration();
        let is_in_group = |group: &protocol::id::GlobalGroupId| {
            configuration
                .instance(group.instance())
                .is_some_and(|instance| instance.is_in_group(client, group))
        };
        let path = normalised_service_path(self.request.service_path())?;
        let method = self.request.method();
        if !self.node().directory.is_allowed(client, id, method, &path, &is_in_group) {
            return Err(Fault::new(code::ACCESS_DENIED, format!("no access to service '{id}'")).into());
        }
        if let Some(notice) = &service.disabled {
            let text = format!("service '{id}' is disabled: {notice}");
            return Err(Fault::new(code::SERVICE_DISABLED, text).into());
        }
        Ok(Authorised { call: self, service })
    }

    fn entry(&self, direction: Direction, blob: &Bytes, body: Option<&Spooled>, signed: &Signed) -> LogEntry {
        let limit = self.node().settings.logged_body_limit;
        LogEntry {
            time: self.node().clock.now(),
            side: Side::Provider,
            direction,
            client: self.request.client().clone(),
            service: self.request.service().clone(),
            message_id: self.request.id().to_owned(),
            request_id: self.head.request_id.clone(),
            message: blob.clone(),
            body: body.map_or(LoggedBody::None, |body| body.for_the_log(limit)),
            signed: signed.clone(),
        }
    }
}

impl Authorised {
    fn verify(self, summary: &mut Summary) -> Result<Verified, Refusal> {
        let call = &self.call;
        let signature = Signature {
            blob: call.request.blob(),
            algorithm: call.head.digest,
            body: call.body.as_ref(),
            signed: &call.signed,
        };
        signature.verify(call.node(), &call.snapshot, call.request.client(), &call.terms, call.now)?;
        summary.signature = Verdict::Good;
        Ok(Verified(self))
    }
}

impl Verified {
    /// A crash before this returns leaves a request that did nothing. A crash after it may leave a
    /// request that did something: its evidence is here.
    async fn log(self, summary: &mut Summary) -> Result<LoggedCall, Refusal> {
        let Self(authorised) = self;
        let call = &authorised.call;
        let entry = call.entry(Direction::Request, call.request.blob(), call.body.as_ref(), &call.signed);
        summary.request_position = Some(append(call.node(), &call.terms, entry).await?);
        Ok(LoggedCall(authorised))
    }
}

impl LoggedCall {
    async fn call(self) -> Result<Called, Refusal> {
        let Authorised { call, service } = self.0;
        let owner = call.node().directory.client(service.id.provider());
        let pins = owner.as_ref().map_or(&[][..], |owner| &owner.certificates);
        let body = call.body.clone().and_then(Spooled::into_outgoing);
        let services = &call.connection.worker.services;
        let answer = services.call(&service, pins, &call.request, body).await?;
        Ok(Called { call, answer })
    }
}

impl Called {
    /// Takes the answer whole, or its beginning if it is long.
    async fn receive(self, summary: &mut Summary) -> Result<Received, Refusal> {
        let Self { call, mut answer } = self;
        let response = RestResponse::build(
            answer.head.status.as_u16(),
            &reason(&answer.head),
            header_lines(&answer.head.headers),
            &call.request,
            &call.head.request_id,
            &request_hash(call.request.blob(), call.body.as_ref()),
        );
        let response = response.map_err(|error| {
            Refusal::because(code::INTERNAL_ERROR, "the service's response cannot be passed on", error)
        })?;
        summary.status = Some(response.status());
        if !answer.may_have_body() {
            return Ok(Received::Whole(Answer { call, response, body: None }));
        }
        let mut pieces = Vec::new();
        let mut length = 0;
        while length <= WHOLE {
            match answer.next().await? {
                Some(piece) => {
                    length += piece.len();
                    pieces.push(piece);
                }
                None => {
                    let folder = &call.node().settings.spool_folder;
                    let mut spool = Spool::new(DigestAlgorithm::Sha512, Keep::Whole);
                    for piece in pieces {
                        spool.push(piece, folder).map_err(message::spool_failed)?;
                    }
                    let body = Some(spool.finish());
                    return Ok(Received::Whole(Answer { call, response, body }));
                }
            }
        }
        Ok(Received::Long(LongAnswer { call, response, pieces, answer }))
    }
}

impl Answer {
    async fn sign(self) -> Result<SignedAnswer, Refusal> {
        let digests = message::signed_digests(self.response.blob(), self.body.as_ref());
        let member = self.call.request.service().provider().member();
        let signed = self.call.node().signer.sign(member, digests).await.map_err(|fault| {
            let text = "the response could not be signed";
            Refusal::because(code::CANNOT_CREATE_SIGNATURE, text, fault)
        })?;
        Ok(SignedAnswer { answer: self, signed })
    }
}

impl SignedAnswer {
    /// A crash before this returns loses an answer that the other side cannot have believed: it had no
    /// signature yet.
    async fn log(self, summary: &mut Summary) -> Result<LoggedAnswer, Refusal> {
        let Self { answer, signed } = self;
        let Answer { call, response, body } = &answer;
        let entry = call.entry(Direction::Response, response.blob(), body.as_ref(), &signed);
        summary.response_position = Some(append(call.node(), &call.terms, entry).await?);
        Ok(LoggedAnswer { answer, signed })
    }
}

impl LoggedAnswer {
    /// The whole answer in one piece.
    fn send(self, node: &Node, summary: &Summary) -> Response<Outgoing> {
        let Self { answer, signed } = self;
        let body = match &answer.body {
            Some(body) => match body.in_memory() {
                Some(bytes) => Some(bytes),
                None => {
                    let fault = Fault::new(code::INTERNAL_ERROR, "the body was not kept");
                    return refuse(node, fault.into(), summary);
                }
            },
            None => None,
        };
        let encoder = message::encoder();
        let content_type = encoder.content_type();
        let head = (PartKind::RestResponse, answer.response.blob());
        let whole = message::whole(encoder, &[], head, body, &signed);
        node.stats.provider_exchanges();
        summary.tell(None);
        transport_response(&content_type, whole.into())
    }
}

impl LongAnswer {
    /// Sends the answer while it comes in; the signature follows when it is logged.
    fn stream(self, mut summary: Summary) -> Response<Outgoing> {
        let mut encoder = message::encoder();
        let content_type = encoder.content_type();
        let (sender, outgoing) = Outgoing::channel(WAITING);
        tokio::spawn(async move {
            let connection = Arc::clone(&self.call.connection);
            let node = &connection.worker.node;
            let silence = node.settings.peer_timeout;
            let ending = match self.send(&mut encoder, &sender, &mut summary).await {
                Ok(signed) => {
                    node.stats.provider_exchanges();
                    summary.tell(None);
                    message::ending(encoder, &signed)
                }
                Err(refusal) => {
                    // The fault stands in the place of the signature (§4.7, shape C).
                    let fault = tell(node, refusal, &summary);
                    let mut ending = encoder.part(PartKind::Fault);
                    ending.extend_from_slice(transport::write_fault(&fault).as_ref());
                    ending.extend_from_slice(&encoder.end());
                    Bytes::from(ending)
                }
            };
            for piece in [Piece::Data(ending), Piece::End] {
                let _ = timeout(silence, sender.send(piece)).await;
            }
        });
        transport_response(&content_type, outgoing)
    }

    async fn send(
        self,
        encoder: &mut Encoder,
        sender: &mpsc::Sender<Piece>,
        summary: &mut Summary,
    ) -> Result<Signed, Refusal> {
        let Self { call, response, pieces, mut answer } = self;
        let settings = &call.node().settings;
        let gone = || Fault::new(code::IO_ERROR, "the consumer's security server does not take the response");
        let put = async |piece| match timeout(settings.peer_timeout, sender.send(Piece::Data(piece))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(gone()),
        };
        let head = (PartKind::RestResponse, response.blob());
        put(message::beginning(encoder, &[], head, true)).await?;
        let mut spool = Spool::new(DigestAlgorithm::Sha512, Keep::ForTheLog(settings.logged_body_limit));
        let mut waiting = pieces.into_iter();
        loop {
            let piece = match waiting.next() {
                Some(piece) => piece,
                None => match answer.next().await? {
                    Some(piece) => piece,
                    None => break,
                },
            };
            spool.push(piece.clone(), &settings.spool_folder).map_err(message::spool_failed)?;
            put(piece).await?;
        }
        let answer = Answer { body: Some(spool.finish()), call, response };
        let answer = answer.sign().await?;
        Ok(answer.log(summary).await?.signed)
    }
}

fn transport_response(content_type: &str, body: Outgoing) -> Response<Outgoing> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers.insert(
        HeaderName::from_static(transport::HASH_ALGORITHM),
        HeaderValue::from_static(DigestAlgorithm::Sha512.name()),
    );
    response
}

/// Tells log and counters why there is no answer.
fn tell(node: &Node, refusal: Refusal, summary: &Summary) -> Fault {
    node.stats.faults_made();
    let fault = refusal.tell(Origin::ServerProxy);
    summary.tell(Some(&fault));
    fault
}

/// A response that is nothing but a fault (§4.7, shape A).
fn refuse(node: &Node, refusal: Refusal, summary: &Summary) -> Response<Outgoing> {
    let fault = tell(node, refusal, summary);
    let mut response = Response::new(Outgoing::from(Bytes::from(transport::write_fault(&fault))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(transport::FAULT_CONTENT_TYPE));
    headers.insert(HeaderName::from_static("soapaction"), HeaderValue::from_static(""));
    response
}
