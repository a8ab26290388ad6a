//! From the connection to the request that is sent.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName};
use hyper::{Method, Request, Response};
use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, code};
use protocol::transport;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use super::answer::{Answered, answered_early};
use super::request::{Connected, Parsed};
use crate::exchange::evidence::append;
use crate::exchange::framing::{Attachment, Framing};
use crate::exchange::kinds::RequestMessage;
use crate::exchange::message;
use crate::exchange::outlet::{Destination, Reached};
use crate::exchange::passage::{Input, Passage, Sink, Source, Taken};
use crate::exchange::refusal::Refusal;
use crate::exchange::summary::Summary;
use crate::http::Outgoing;
use crate::http::body::Piece;
use crate::node::Node;
use crate::policy::Terms;
use crate::ports::{Direction, LogEntry, Side, Signed};
use crate::service::header_value;

/// Pieces of a body that wait for a slow reader.
const WAITING: usize = 8;

/// A call that has a way out; its body or attachments were taken.
pub(super) struct Call {
    pub(super) parsed: Parsed,
    pub(super) destination: Destination,
    /// On what terms the message goes out.
    pub(super) terms: Terms,
    pub(super) attachments: Vec<Attachment>,
}

/// Body or attachments were taken and hashed; large ones are on their way.
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
    /// Everything but `text` and what follows the attachments.
    Streaming { framing: Framing, text: BytesMut, pieces: mpsc::Sender<Piece>, answer: Answer },
}

pub(super) type Answer = JoinHandle<Result<(Response<Incoming>, Reached), Refusal>>;

impl Connected {
    pub(super) async fn hash(self, source: &mut Source<impl Input>) -> Result<Hashed, Refusal> {
        let taken = Taken::from(source).await?;
        if !taken.is_whole() {
            return self.stream(taken, source).await;
        }
        let attachments = taken.into_attachments(&self.parsed.node().settings.spool_folder)?;
        let Self { parsed, destination, reached } = self;
        let terms = reached.terms;
        let outbound = Outbound::Held(Box::new(reached));
        Ok(Hashed { call: Call { parsed, destination, terms, attachments }, outbound })
    }

    /// Sends a long message on while it comes in.
    async fn stream(self, taken: Taken, source: &mut Source<impl Input>) -> Result<Hashed, Refusal> {
        let Self { parsed, destination, reached } = self;
        let terms = reached.terms;
        let settings = &parsed.node().settings;
        let mut framing = Framing::new();
        let (pieces, outgoing) = Outgoing::channel(WAITING);
        let request = transport_request(&parsed, &reached, &framing.content_type(), outgoing)?;
        let way = destination.clone();
        let mut answer: Answer = tokio::spawn(async move { way.deliver(reached, request).await });

        let mut beginning = BytesMut::with_capacity(4096 + parsed.request.octets().len());
        framing.begin(&parsed.accepted.ocsp, parsed.request.head(), &mut beginning);
        let sink = ToPeer { node: parsed.node(), pieces: &pieces, answer: &mut answer };
        let (limit, folder) = (settings.logged_body_limit, &settings.spool_folder);
        let mut passage = Passage::new(framing, beginning, sink, limit, folder);
        passage.run(taken, source).await?;
        let (framing, text, attachments) = passage.finish();
        let outbound = Outbound::Streaming { framing, text, pieces, answer };
        Ok(Hashed { call: Call { parsed, destination, terms, attachments }, outbound })
    }
}

/// The other server, while it does not answer yet.
struct ToPeer<'a> {
    node: &'a Node,
    pieces: &'a mpsc::Sender<Piece>,
    answer: &'a mut Answer,
}

impl Sink for ToPeer<'_> {
    async fn put(&mut self, octets: Bytes) -> Result<(), Refusal> {
        tokio::select! {
            biased;
            early = &mut *self.answer => Err(answered_early(self.node, early).await),
            sent = timeout(self.node.settings.peer_timeout, self.pieces.send(Piece::Data(octets))) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(answered_early(self.node, (&mut *self.answer).await).await),
                Err(_) => Err(silent()),
            },
        }
    }
}

impl Hashed {
    pub(super) async fn sign(self) -> Result<SignedCall, Refusal> {
        let Self { call, outbound } = self;
        let request = &call.parsed.request;
        let digests = message::signed_digests(request.octets(), &call.attachments);
        let signed = call.node().signer.sign(request.client().member(), digests).await?;
        Ok(SignedCall { call, outbound, signed })
    }
}

impl SignedCall {
    /// A crash before this returns leaves a message without signature at the provider's server, or
    /// none at all: nothing was done. A crash after it leaves the evidence here, whatever happens there.
    pub(super) async fn log(self, summary: &mut Summary) -> Result<LoggedCall, Refusal> {
        let Self { call, outbound, signed } = self;
        let octets = call.parsed.request.octets();
        let entry = call.entry(Direction::Request, octets, &call.attachments, &signed);
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
                let framing = Framing::new();
                let content_type = framing.content_type();
                let (ocsp, head) = (&call.parsed.accepted.ocsp, call.parsed.request.head());
                let whole = framing.whole(ocsp, head, &call.attachments, &signed).ok_or_else(lost)?;
                let request = transport_request(&call.parsed, &reached, &content_type, whole.into())?;
                within(limit, call.destination.deliver(*reached, request)).await?
            }
            Outbound::Streaming { framing, mut text, pieces, answer } => {
                let silence = call.node().settings.peer_timeout;
                framing.end(&signed, &mut text);
                for piece in [Piece::Data(text.freeze()), Piece::End] {
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
        message: &Bytes,
        attachments: &[Attachment],
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
            protocol: request.protocol(),
            message_id: request.id().to_owned(),
            request_id: self.parsed.request_id.clone(),
            message: message.clone(),
            attachments: attachments.iter().map(|attachment| attachment.body.for_the_log(limit)).collect(),
            signed: signed.clone(),
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
    let port = parsed.node().settings.peer_port;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    let mut insert = |name: HeaderName, value: &str| {
        let value = header_value(value)
            .ok_or_else(|| Fault::new(code::INTERNAL_ERROR, "the request cannot be passed on over HTTP"))?;
        headers.insert(name, value);
        Ok::<(), Fault>(())
    };
    insert(header::HOST, &format!("{}:{port}", reached.address))?;
    insert(header::CONTENT_TYPE, content_type)?;
    insert(header::TRANSFER_ENCODING, "chunked")?;
    insert(HeaderName::from_static(transport::HASH_ALGORITHM), DigestAlgorithm::Sha512.name())?;
    insert(HeaderName::from_static(transport::REQUEST_ID), &parsed.request_id)?;
    insert(HeaderName::from_static(transport::PROXY_VERSION), transport::OUR_PROXY_VERSION)?;
    let original = HeaderName::from_static(transport::ORIGINAL_CONTENT_TYPE);
    match &parsed.request {
        RequestMessage::Rest(request) => {
            let sent = request.headers().filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).last();
            insert(original, sent.map_or("", |(_, value)| value))?;
            insert(HeaderName::from_static(transport::MESSAGE_TYPE), transport::MESSAGE_TYPE_REST)?;
        }
        RequestMessage::Soap(request) => {
            insert(original, &request.content_type)?;
            insert(HeaderName::from_static(transport::ORIGINAL_SOAP_ACTION), &request.action)?;
        }
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
