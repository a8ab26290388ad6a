//! From the call to a connection on which it can be sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use protocol::fault::{Fault, Origin, code};
use protocol::id::ClientId;
use protocol::message::RestRequest;
use protocol::mime::PartHeaders;
use protocol::soap::{self, Sender, SoapDecoder, SoapMessage};
use protocol::time::UtcTime;
use protocol::transport::MessageType;
use tokio::time::timeout;
use uuid::Uuid;

use super::client::{Client, Held};
use crate::exchange::kinds::{RequestMessage, SoapRequest};
use crate::exchange::outlet::{Destination, Reached};
use crate::exchange::passage::{Input, SoapRead, Source};
use crate::exchange::refusal::Refusal;
use crate::exchange::summary::Summary;
use crate::http::server::Connection;
use crate::node::{Node, Worker};
use crate::ports::{ConnectionType, LocalClient};
use crate::route;
use crate::service::header_lines;
use crate::snapshot::Snapshot;
use crate::tls::PeerTls;

/// Longest wait for a SOAP message, without its attachments (§2.4).
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

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
    pub(super) request: RequestMessage,
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
    pub(super) parsed: Parsed,
    pub(super) destination: Destination,
    pub(super) reached: Reached,
}

impl Accepted {
    pub(super) fn new(worker: &Arc<Worker>) -> Result<Self, Refusal> {
        let node = &worker.node;
        let now = node.clock.now();
        let snapshot = node.current_snapshot(now)?;
        let refused = |text: &str| Fault::new(code::SSL_AUTHENTICATION_FAILED, text);
        let tls = node
            .identity
            .load()
            .ok_or_else(|| refused("Security server has no valid authentication certificate"))?;
        let ocsp = node.own_responses(&tls.chain, now).ok_or_else(|| {
            refused("this security server has no usable OCSP response for its authentication certificate")
        })?;
        Ok(Self { worker: Arc::clone(worker), snapshot, tls, ocsp, now })
    }

    /// What this server sends itself.
    ///
    /// # Errors
    /// As [`source`](Self::source).
    pub(super) fn held(&self, head: &http::request::Parts, body: Bytes) -> Result<Source<Held>, Refusal> {
        let decoder = soap_decoder(head).map_err(|fault| fault.from_origin(Origin::Client))?;
        Ok(Source::soap(Held::new(body), decoder, Sender::Client))
    }

    /// What the client sends behind the HTTP head.
    ///
    /// # Errors
    /// `client.invalid_http_method`, `client.invalid_soap_action`, `client.invalid_content_type`.
    pub(super) fn source<'a>(
        &self,
        protocol: MessageType,
        head: &http::request::Parts,
        body: &'a mut Option<Incoming>,
    ) -> Result<Source<Client<'a>>, Refusal> {
        let client = Client::new(body, self.worker.node.settings.peer_timeout);
        match protocol {
            MessageType::Rest => Ok(Source::body(client, false)),
            MessageType::Soap => {
                let decoder = soap_decoder(head).map_err(|fault| fault.from_origin(Origin::Client))?;
                Ok(Source::soap(client, decoder, Sender::Client))
            }
        }
    }

    /// Reads the message, without its attachments or body.
    ///
    /// # Errors
    /// `client.bad_request` over REST, `client.…` over SOAP.
    pub(super) async fn read(
        self,
        protocol: MessageType,
        head: &http::request::Parts,
        source: &mut Source<impl Input>,
        summary: &mut Summary,
    ) -> Result<Parsed, Refusal> {
        let request_id = Uuid::new_v4().to_string();
        let request = match protocol {
            MessageType::Rest => self.parse_rest(head, &request_id)?,
            MessageType::Soap => {
                let read = timeout(MESSAGE_TIMEOUT, read_soap(head, source)).await;
                read.map_err(|_| Fault::new(code::INTERNAL_ERROR, "the request did not come in time"))??
            }
        };
        Ok(self.parsed(request, request_id, summary))
    }

    /// A SOAP request that this server makes itself.
    pub(super) fn own(self, message: SoapMessage, summary: &mut Summary) -> Result<Parsed, Refusal> {
        let request = RequestMessage::Soap(Box::new(SoapRequest {
            message,
            headers: PartHeaders::new(soap::PLAIN_CONTENT_TYPE)?,
            content_type: soap::PLAIN_CONTENT_TYPE.to_owned(),
            action: String::new(),
        }));
        Ok(self.parsed(request, Uuid::new_v4().to_string(), summary))
    }

    fn parsed(self, request: RequestMessage, request_id: String, summary: &mut Summary) -> Parsed {
        summary.client = Some(request.client().clone());
        summary.service = Some(request.service().clone());
        request.id().clone_into(&mut summary.message_id);
        request_id.clone_into(&mut summary.request_id);
        Parsed { accepted: self, request, request_id }
    }

    fn parse_rest(&self, head: &http::request::Parts, request_id: &str) -> Result<RequestMessage, Fault> {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let own_instance = || self.snapshot.configuration().own_instance.clone();
        let new_id = || format!("{}-{}", own_instance(), Uuid::new_v4());
        let request = RestRequest::from_client(
            head.method.as_str(),
            target,
            header_lines(&head.headers),
            request_id,
            new_id,
        );
        request.map(RequestMessage::Rest).map_err(|error| error.from_client())
    }
}

/// The checks of the HTTP head of a SOAP call (§2.4).
fn soap_decoder(head: &http::request::Parts) -> Result<SoapDecoder, Fault> {
    if head.method != Method::POST {
        let text = format!("messages are sent by POST, not by {}", head.method);
        return Err(Fault::new(code::INVALID_HTTP_METHOD, text));
    }
    let action = text_of(&head.headers, &SOAP_ACTION);
    soap::check_action(action.as_deref())?;
    let content_type = text_of(&head.headers, &header::CONTENT_TYPE);
    SoapDecoder::new(content_type.as_deref(), Sender::Client, soap::Limits::default())
}

async fn read_soap(
    head: &http::request::Parts,
    source: &mut Source<impl Input>,
) -> Result<RequestMessage, Refusal> {
    match source.message().await? {
        SoapRead::Message(headers, message) => Ok(RequestMessage::Soap(Box::new(SoapRequest {
            message: *message,
            headers,
            content_type: text_of(&head.headers, &header::CONTENT_TYPE).unwrap_or_default(),
            action: text_of(&head.headers, &SOAP_ACTION).unwrap_or_default(),
        }))),
        SoapRead::Fault(fault) => Err(fault.refused().from_origin(Origin::Client).into()),
    }
}

static SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");

/// The value of a header, ISO-8859-1 as HTTP has it.
fn text_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    headers.get(name).map(text)
}

impl Parsed {
    pub(super) fn identify(self, connection: &Connection) -> Result<Identified, Refusal> {
        let node = &self.accepted.worker.node;
        identify(node, self.request.client(), connection)?;
        Ok(Identified { parsed: self })
    }

    /// As [`identify`](Self::identify) for a call that this server makes itself, in the name of its owner.
    pub(super) fn identify_owner(self) -> Result<Identified, Refusal> {
        let owner = self.node().directory.server_id().owner();
        if *self.request.client() == ClientId::from(owner.clone()) {
            return Ok(Identified { parsed: self });
        }
        let text = format!("client '{}' is not the owner of this server", self.request.client());
        Err(Fault::new(code::UNKNOWN_MEMBER, text).into())
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
