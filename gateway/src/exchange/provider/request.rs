//! From the message to the call of the service.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::evidence::{MessageIdentity, SignedMessage};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use protocol::fault::{Fault, code};
use protocol::id::GlobalGroupId;
use protocol::message::RestRequest;
use protocol::message::path::normalised_service_path;
use protocol::soap;
use protocol::time::UtcTime;
use protocol::transport::{self, MessageType, ProxyVersion, RequestHead};

use super::PeerService;
use super::answer::{Called, Outcome};
use super::built_in::BuiltIn;
use super::built_in_soap;
use crate::exchange::evidence::{Signature, append};
use crate::exchange::framing::Attachment;
use crate::exchange::kinds::{RequestMessage, SoapRequest};
use crate::exchange::message::{Inlet, Received, Rest};
use crate::exchange::refusal::Refusal;
use crate::exchange::related::Related;
use crate::exchange::summary::{Summary, Verdict};
use crate::node::Node;
use crate::peer::Part;
use crate::policy::{self, Terms};
use crate::ports::{Direction, LocalService, LogEntry, Side, Signed};
use crate::replays::Mark;
use crate::service::{Description, ServiceAnswer, ServiceRequest, discard};
use crate::snapshot::Snapshot;

/// A request whose HTTP head is in order, at a node whose configuration is in force (steps 1 to 6).
pub(super) struct Accepted {
    connection: Arc<PeerService>,
    snapshot: Arc<Snapshot>,
    head: RequestHead,
    /// What the client said over HTTP of a SOAP message.
    client: ClientHead,
    inlet: Inlet,
    now: UtcTime,
}

/// What a client said over HTTP of its SOAP message (§4.4.1).
#[derive(Default)]
struct ClientHead {
    content_type: Option<String>,
    action: String,
}

/// The signed head was read; nothing in it is believed yet.
pub(super) struct HeadRead {
    connection: Arc<PeerService>,
    snapshot: Arc<Snapshot>,
    head: RequestHead,
    inlet: Inlet,
    now: UtcTime,
    request: RequestMessage,
    ocsp: Vec<Bytes>,
}

/// The request is for a provider that this node serves and can sign for (steps 7 to 9).
pub(super) struct Addressed(HeadRead);

/// The sender's server may speak for the client (step 10), and the node-class policy allows the pair.
pub(super) struct FromPeer {
    call: HeadRead,
    terms: Terms,
}

/// The whole message is here (step 11).
pub(super) struct Call {
    pub(super) connection: Arc<PeerService>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) head: RequestHead,
    pub(super) now: UtcTime,
    pub(super) request: RequestMessage,
    pub(super) terms: Terms,
    pub(super) attachments: Vec<Attachment>,
    /// How a SOAP service gets the message.
    pub(super) related: Related,
    pub(super) signed: Signed,
}

/// The client may use the service (steps 12 and 13).
pub(super) struct Authorised {
    call: Call,
    target: Target,
}

/// What is called.
enum Target {
    /// A service of the provider's information system.
    Service(Arc<LocalService>),
    /// A service that the node has itself.
    BuiltIn(BuiltIn),
}

/// The client's member signed the request (step 14).
pub(super) struct Verified {
    authorised: Authorised,
    message: SignedMessage,
}

/// The request was not received before.
pub(super) struct Fresh {
    authorised: Authorised,
    taken: Option<MessageIdentity>,
}

/// Request and evidence are durable (step 15).
pub(super) struct LoggedCall(Authorised);

impl Accepted {
    pub(super) fn new(connection: &Arc<PeerService>, request: Request<Incoming>) -> Result<Self, Refusal> {
        let node = &connection.worker.node;
        let (head, body) = request.into_parts();
        let now = node.clock.now();
        let (snapshot, head, client) = match check_head(node, &head, now) {
            Ok(checked) => checked,
            Err(fault) => {
                discard(body);
                return Err(fault.into());
            }
        };
        let silence = node.settings.peer_timeout;
        let (direction, original) = (transport::Direction::Request, client.content_type.clone());
        let inlet = Inlet::new(body, &head.content_type, original, direction, silence)?;
        Ok(Self { connection: Arc::clone(connection), snapshot, head, client, inlet, now })
    }

    pub(super) async fn read_head(mut self, summary: &mut Summary) -> Result<HeadRead, Refusal> {
        // A fault in the place of a message is not a request, whatever it says (§0.2 D12).
        let (ocsp, head) = self.inlet.head().await.map_err(Refusal::into_ours)?;
        let ClientHead { content_type, action } = self.client;
        let request = match (self.head.message_type, head) {
            (MessageType::Rest, Received::Rest(blob)) => {
                let request = RestRequest::parse(blob).map_err(|error| error.from_peer());
                RequestMessage::Rest(request.map_err(|fault| fault.within(code::SERVICE_FAILED))?)
            }
            (MessageType::Soap, Received::Soap(headers, message)) => {
                let content_type = content_type.unwrap_or_else(|| soap::PLAIN_CONTENT_TYPE.to_owned());
                let message = *message;
                RequestMessage::Soap(Box::new(SoapRequest { message, headers, content_type, action }))
            }
            (MessageType::Rest, Received::Soap(..)) => {
                return Err(Fault::new(code::MISSING_REST, "a REST message was announced").into());
            }
            (MessageType::Soap, Received::Rest(_)) => {
                return Err(Fault::new(code::MISSING_SOAP, "a SOAP message was announced").into());
            }
        };
        summary.client = Some(request.client().clone());
        summary.service = Some(request.service().clone());
        request.id().clone_into(&mut summary.message_id);
        self.head.request_id.clone_into(&mut summary.request_id);
        let Self { connection, snapshot, head, inlet, now, .. } = self;
        Ok(HeadRead { connection, snapshot, head, inlet, now, request, ocsp })
    }
}

/// Steps 1 to 6 in their order.
fn check_head(
    node: &Node,
    head: &http::request::Parts,
    now: UtcTime,
) -> Result<(Arc<Snapshot>, RequestHead, ClientHead), Fault> {
    if head.method != hyper::Method::POST {
        return Err(Fault::new(code::INVALID_HTTP_METHOD, "messages are sent by POST"));
    }
    let snapshot = node.current_snapshot(now)?;
    // Of two values every reader would take another one.
    let names = [
        transport::PROXY_VERSION,
        transport::HASH_ALGORITHM,
        transport::REQUEST_ID,
        transport::MESSAGE_TYPE,
        hyper::header::CONTENT_TYPE.as_str(),
    ];
    if let Some(name) = names.into_iter().find(|name| head.headers.get_all(*name).iter().nth(1).is_some()) {
        let fault = Fault::new(code::INVALID_MESSAGE, format!("the header {name} stands there twice"));
        return Err(fault.within(code::SERVICE_FAILED));
    }
    let header = |name: &str| head.headers.get(name).map(HeaderValue::to_str).and_then(Result::ok);
    let least: Option<&ProxyVersion> = node.settings.least_peer_version.as_ref();
    transport::check_proxy_version(header(transport::PROXY_VERSION), least)?;
    let mut client = ClientHead::default();
    if header(transport::MESSAGE_TYPE) != Some(transport::MESSAGE_TYPE_REST) {
        let action = header(transport::ORIGINAL_SOAP_ACTION);
        soap::check_action(action)?;
        client.action = action.unwrap_or_default().to_owned();
        client.content_type = header(transport::ORIGINAL_CONTENT_TYPE).map(str::to_owned);
    }
    let head = RequestHead::read(head.method.as_str(), header)?;
    Ok((snapshot, head, client))
}

impl HeadRead {
    pub(super) fn check_addressee(self) -> Result<Addressed, Refusal> {
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
    pub(super) fn check_peer(self, summary: &mut Summary) -> Result<FromPeer, Refusal> {
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
    pub(super) async fn read_rest(self) -> Result<Call, Refusal> {
        let Self { call, terms } = self;
        let HeadRead { connection, snapshot, head, mut inlet, now, request, ocsp: _ } = call;
        let folder = &connection.worker.node.settings.spool_folder;
        let rest = inlet.rest(head.digest, folder).await.map_err(Refusal::into_ours)?;
        let Rest { attachments, related, signed } = rest;
        Ok(Call { connection, snapshot, head, now, request, terms, attachments, related, signed })
    }
}

impl Call {
    pub(super) fn node(&self) -> &Node {
        &self.connection.worker.node
    }

    pub(super) fn authorise(self) -> Result<Authorised, Refusal> {
        let target = match BuiltIn::called_by(&self.request) {
            Some(built_in) => Target::BuiltIn(built_in),
            None => Target::Service(self.service()?),
        };
        Ok(Authorised { call: self, target })
    }

    /// The service that is called, if the client may call it.
    fn service(&self) -> Result<Arc<LocalService>, Fault> {
        let (client, id) = (self.request.client(), self.request.service());
        built_in_soap::check_monitoring(self)?;
        let service = self.node().directory.service(id).ok_or_else(|| {
            Fault::new(code::UNKNOWN_SERVICE, format!("service '{id}' is not registered here"))
        })?;
        let is_rest = self.request.protocol() == MessageType::Rest;
        if service.service_type.is_rest() != is_rest {
            let protocol = if is_rest { "REST" } else { "SOAP" };
            let text = format!("service '{id}' cannot be called over {protocol}");
            return Err(Fault::new(code::SERVICE_TYPE, text));
        }
        let is_in_group = self.group_membership();
        let (method, path) = match &self.request {
            RequestMessage::Rest(request) => {
                (request.method(), normalised_service_path(request.service_path())?)
            }
            // Services of SOAP have no endpoint but the base endpoint: only its right says so much.
            RequestMessage::Soap(_) => ("*", "**".to_owned()),
        };
        if !self.node().directory.is_allowed(client, id, method, &path, &is_in_group) {
            return Err(Fault::new(code::ACCESS_DENIED, format!("no access to service '{id}'")));
        }
        if let Some(notice) = &service.disabled {
            let text = format!("service '{id}' is disabled: {notice}");
            return Err(Fault::new(code::SERVICE_DISABLED, text));
        }
        Ok(service)
    }

    /// Whether the client is in a global group, by the configuration of this exchange.
    pub(super) fn group_membership(&self) -> impl Fn(&GlobalGroupId) -> bool {
        |group| {
            let instance = self.snapshot.configuration().instance(group.instance());
            instance.is_some_and(|instance| instance.is_in_group(self.request.client(), group))
        }
    }

    async fn call_service(&self, service: &LocalService, related: Related) -> Result<ServiceAnswer, Refusal> {
        let request = match &self.request {
            RequestMessage::Rest(request) => {
                let body = self.attachments.first().cloned();
                let body = body.and_then(|attachment| attachment.body.into_outgoing());
                ServiceRequest::rest(service, request, body)?
            }
            RequestMessage::Soap(request) => {
                let (message, attachments) = (request.message.octets().clone(), self.attachments.clone());
                let body = related.into_body(message, attachments);
                let body =
                    body.ok_or_else(|| Fault::new(code::INTERNAL_ERROR, "an attachment was not kept"))?;
                let content_type = soap::provider_content_type(&request.content_type)?;
                ServiceRequest::soap(service, &content_type, &request.action, body)?
            }
        };
        let owner = self.node().directory.client(service.id.provider());
        let pins = owner.as_ref().map_or(&[][..], |owner| &owner.certificates);
        self.connection.worker.services.call(service, pins, request).await
    }

    /// Fetches the description of a service of the provider.
    ///
    /// # Errors
    /// The leaf codes of §7.2 for what went wrong between here and the place of the description.
    pub(super) async fn fetch_description(&self, service: &LocalService) -> Result<Description, Refusal> {
        let owner = self.node().directory.client(service.id.provider());
        let pins = owner.as_ref().map_or(&[][..], |owner| &owner.certificates);
        self.connection.worker.services.description(service, pins).await
    }

    pub(super) fn entry(
        &self,
        direction: Direction,
        message: &Bytes,
        attachments: &[Attachment],
        signed: &Signed,
    ) -> LogEntry {
        let limit = self.node().settings.logged_body_limit;
        LogEntry {
            time: self.node().clock.now(),
            side: Side::Provider,
            direction,
            client: self.request.client().clone(),
            service: self.request.service().clone(),
            protocol: self.request.protocol(),
            message_id: self.request.id().to_owned(),
            request_id: self.head.request_id.clone(),
            message: message.clone(),
            attachments: attachments.iter().map(|attachment| attachment.body.for_the_log(limit)).collect(),
            signed: signed.clone(),
        }
    }
}

impl Authorised {
    pub(super) fn verify(mut self, summary: &mut Summary) -> Result<Verified, Refusal> {
        let call = &self.call;
        let signature = Signature {
            message: call.request.octets(),
            algorithm: call.request.digest_algorithm(call.head.digest),
            attachments: &call.attachments,
            signed: &call.signed,
        };
        let message =
            signature.verify(call.node(), &call.snapshot, call.request.client(), &call.terms, call.now)?;
        self.call.signed.document = message.document.clone();
        summary.signature = Verdict::Good;
        Ok(Verified { authorised: self, message })
    }
}

impl Verified {
    /// The connection that the request came on.
    pub(super) fn connection(&self) -> Arc<PeerService> {
        Arc::clone(&self.authorised.call.connection)
    }

    /// Refuses a signed message that was received before (docs/exchange.md, 'Replays').
    pub(super) fn take(self, summary: &Summary) -> Result<Fresh, Refusal> {
        let Self { authorised, message } = self;
        let call = &authorised.call;
        let node = call.node();
        let accepted = &node.settings.replays_accepted_from;
        if summary.peer.as_ref().is_some_and(|peer| accepted.contains(peer)) {
            return Ok(Fresh { authorised, taken: None });
        }
        let fresh = Duration::from_secs(call.snapshot.configuration().ocsp_freshness_seconds());
        if let Err(fault) = node.replays.take(Mark::from(&message), fresh, call.now) {
            node.stats.replays_refused();
            return Err(fault.into());
        }
        Ok(Fresh { authorised, taken: Some(message.identity) })
    }
}

impl Fresh {
    /// A crash before this returns leaves a request that did nothing. A crash after it may leave a
    /// request that did something: its evidence is here, and by it the request is known when it comes
    /// again.
    pub(super) async fn log(self, summary: &mut Summary) -> Result<LoggedCall, Refusal> {
        let Self { authorised, taken } = self;
        let call = &authorised.call;
        let replays = &call.node().replays;
        let octets = call.request.octets();
        let entry = call.entry(Direction::Request, octets, &call.attachments, &call.signed);
        match append(call.node(), &call.terms, entry).await {
            Ok(position) => {
                replays.logged(position);
                summary.request_position = Some(position);
            }
            Err(refusal) => {
                // Nothing was done, so whoever sends it again is right to do so.
                if let Some(identity) = taken {
                    replays.withdraw(identity);
                }
                return Err(refusal);
            }
        }
        Ok(LoggedCall(authorised))
    }
}

impl LoggedCall {
    pub(super) async fn call(self) -> Result<Called, Refusal> {
        let Authorised { mut call, target } = self.0;
        let related = std::mem::replace(&mut call.related, Related::Plain);
        let answer = match target {
            Target::BuiltIn(built_in) => Outcome::BuiltIn(built_in.answer(&call).await?),
            Target::Service(service) => {
                let answer = call.call_service(&service, related).await;
                Outcome::Service(answer.map_err(|refusal| call.request.of_service(refusal))?)
            }
        };
        Ok(Called::new(call, answer))
    }
}
