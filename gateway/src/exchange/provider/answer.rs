//! From the answer of the service to the message that is sent.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::Response;
use hyper::header::{self, HeaderName, HeaderValue};
use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, code};
use protocol::message::{RestRequest, RestResponse};
use protocol::soap::{Limits, Sender, SoapDecoder};
use protocol::transport;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::built_in::Told;
use super::request::Call;
use super::{refuse, tell};
use crate::exchange::evidence::append;
use crate::exchange::framing::{Attachment, Framing};
use crate::exchange::kinds::{RequestMessage, ResponseMessage, SoapRequest, SoapResponse};
use crate::exchange::message;
use crate::exchange::passage::{Input, Passage, Sink, SoapRead, Source, Taken};
use crate::exchange::refusal::Refusal;
use crate::exchange::summary::Summary;
use crate::http::Outgoing;
use crate::http::body::Piece;
use crate::node::Node;
use crate::ports::{Direction, Signed};
use crate::service::{ServiceAnswer, header_lines, header_value, reason};

/// Pieces of a body that wait for a slow reader.
const WAITING: usize = 8;

/// The service has begun to answer (step 16).
pub(super) struct Called {
    call: Call,
    answer: Outcome,
}

/// Where an answer comes from.
pub(super) enum Outcome {
    /// The provider's information system.
    Service(ServiceAnswer),
    /// This node.
    BuiltIn(Told),
}

/// An answer whose attachments or body are whole and hashed.
pub(super) struct Answer {
    call: Call,
    response: ResponseMessage,
    attachments: Vec<Attachment>,
}

/// An answer that is long; what was taken of it waits.
pub(super) struct LongAnswer {
    call: Call,
    response: ResponseMessage,
    taken: Taken,
    source: Box<Source<Outcome>>,
}

pub(super) enum Received {
    Whole(Answer),
    Long(LongAnswer),
}

/// The provider's member has signed.
pub(super) struct SignedAnswer {
    answer: Answer,
    signed: Signed,
}

/// Answer and evidence are durable.
pub(super) struct LoggedAnswer {
    answer: Answer,
    signed: Signed,
}

impl Called {
    pub(super) fn new(call: Call, answer: Outcome) -> Self {
        Self { call, answer }
    }

    /// The content type of what a SOAP service answers: the message that carries it has begun, so what
    /// goes wrong from here on stands inside of it (§4.7, shape B). None over REST.
    pub(super) fn soap_content_type(&self) -> Option<HeaderValue> {
        match &self.call.request {
            RequestMessage::Rest(_) => None,
            RequestMessage::Soap(_) => {
                let content_type = self.answer.content_type();
                Some(content_type.unwrap_or_else(|| HeaderValue::from_static("")))
            }
        }
    }

    /// Takes the answer whole, or its beginning if it is long.
    pub(super) async fn receive(self, summary: &mut Summary) -> Result<Received, Refusal> {
        let Self { call, answer } = self;
        summary.status = Some(answer.status());
        let (response, mut source) = match &call.request {
            RequestMessage::Rest(request) => rest(&call, request, answer)?,
            RequestMessage::Soap(request) => soap(request, answer).await?,
        };
        let taken = Taken::from(&mut source).await?;
        if !taken.is_whole() {
            return Ok(Received::Long(LongAnswer { call, response, taken, source: Box::new(source) }));
        }
        let attachments = taken.into_attachments(&call.node().settings.spool_folder)?;
        Ok(Received::Whole(Answer { call, response, attachments }))
    }
}

impl Outcome {
    fn status(&self) -> u16 {
        match self {
            Self::Service(answer) => answer.head.status.as_u16(),
            Self::BuiltIn(_) => 200,
        }
    }

    fn content_type(&self) -> Option<HeaderValue> {
        match self {
            Self::Service(answer) => answer.head.headers.get(header::CONTENT_TYPE).cloned(),
            Self::BuiltIn(told) => header_value(&told.content_type),
        }
    }

    /// Whether an answer of this kind has a body at all; an empty one counts (§3.10).
    fn may_have_body(&self) -> bool {
        match self {
            Self::Service(answer) => answer.may_have_body(),
            Self::BuiltIn(_) => true,
        }
    }
}

impl Input for Outcome {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        match self {
            Self::Service(answer) => answer.next().await,
            Self::BuiltIn(told) => Ok(Some(std::mem::take(&mut told.body)).filter(|body| !body.is_empty())),
        }
    }
}

/// The head of a response over REST; its body follows.
fn rest(
    call: &Call,
    request: &RestRequest,
    answer: Outcome,
) -> Result<(ResponseMessage, Source<Outcome>), Refusal> {
    let hash = call.request.hash(&call.attachments);
    let request_id = &call.head.request_id;
    let response = match &answer {
        Outcome::Service(ServiceAnswer { head, .. }) => {
            let headers = header_lines(&head.headers);
            RestResponse::build(answer.status(), &reason(head), headers, request, request_id, &hash)
        }
        Outcome::BuiltIn(told) => RestResponse::build_own(&told.content_type, request, request_id, &hash),
    };
    let response = response.map_err(|error| {
        Refusal::because(code::INTERNAL_ERROR, "the service's response cannot be passed on", error)
    })?;
    let has_body = answer.may_have_body();
    let source = if has_body { Source::body(answer, true) } else { Source::nothing(answer) };
    Ok((ResponseMessage::Rest(response), source))
}

/// The message of a response over SOAP, with the hash of the request in it (step 17); its attachments
/// follow.
///
/// # Errors
/// `service_failed` and below it `http_error`, `invalid_content_type` and what is wrong with the message;
/// the fault of the service as it is.
async fn soap(request: &SoapRequest, answer: Outcome) -> Result<(ResponseMessage, Source<Outcome>), Refusal> {
    let failed = |fault: Fault| fault.within(code::SERVICE_FAILED);
    let status = answer.status();
    if status != 200 && status != 500 {
        let text = format!("the service answered with HTTP status {status}");
        return Err(failed(Fault::new(code::HTTP_ERROR, text)).into());
    }
    let content_type: Option<String> =
        answer.content_type().map(|value| value.as_bytes().iter().map(|byte| char::from(*byte)).collect());
    let decoder = SoapDecoder::new(content_type.as_deref(), Sender::Provider, Limits::default());
    let mut source = Source::soap(answer, decoder.map_err(failed)?, Sender::Provider);
    match source.message().await.map_err(|refusal| refusal.within(code::SERVICE_FAILED))? {
        SoapRead::Fault(fault) => Err(Refusal::foreign(fault)),
        SoapRead::Message(headers, message) => {
            let hash = DigestAlgorithm::Sha512.digest(request.message.octets());
            let message = message.with_request_hash(&hash);
            let content_type = content_type.unwrap_or_default();
            let response = SoapResponse { message, headers, content_type };
            Ok((ResponseMessage::Soap(Box::new(response)), source))
        }
    }
}

impl Answer {
    pub(super) async fn sign(self) -> Result<SignedAnswer, Refusal> {
        let digests = message::signed_digests(self.response.octets(), &self.attachments);
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
    pub(super) async fn log(self, summary: &mut Summary) -> Result<LoggedAnswer, Refusal> {
        let Self { answer, signed } = self;
        let Answer { call, response, attachments } = &answer;
        let entry = call.entry(Direction::Response, response.octets(), attachments, &signed);
        summary.response_position = Some(append(call.node(), &call.terms, entry).await?);
        Ok(LoggedAnswer { answer, signed })
    }
}

impl LoggedAnswer {
    /// The whole answer in one piece.
    pub(super) fn send(self, node: &Node, summary: &Summary) -> Response<Outgoing> {
        let Self { answer: Answer { response, attachments, .. }, signed } = self;
        let framing = Framing::new();
        let content_type = framing.content_type();
        let Some(whole) = framing.whole(&[], response.head(), &attachments, &signed) else {
            let fault = Fault::new(code::INTERNAL_ERROR, "the body was not kept");
            return refuse(node, fault.into(), summary);
        };
        node.stats.provider_exchanges();
        summary.tell(None);
        transport_response(&content_type, &response, whole.into())
    }
}

impl LongAnswer {
    /// Sends the answer while it comes in; the signature follows when it is logged.
    pub(super) fn stream(self, mut summary: Summary) -> Response<Outgoing> {
        let framing = Framing::new();
        let (pieces, outgoing) = Outgoing::channel(WAITING);
        let response = transport_response(&framing.content_type(), &self.response, outgoing);
        tokio::spawn(async move {
            let connection = Arc::clone(&self.call.connection);
            let node = &connection.worker.node;
            let silence = node.settings.peer_timeout;
            let ending = self.send(framing, &pieces, &mut summary).await;
            for piece in [Piece::Data(ending), Piece::End] {
                let _ = timeout(silence, pieces.send(piece)).await;
            }
        });
        response
    }

    /// Sends everything but the ending, which it gives back.
    async fn send(self, mut framing: Framing, pieces: &mpsc::Sender<Piece>, summary: &mut Summary) -> Bytes {
        let Self { call, response, taken, mut source } = self;
        let connection = Arc::clone(&call.connection);
        let node = &connection.worker.node;
        let settings = &node.settings;
        let mut beginning = BytesMut::with_capacity(4096 + response.octets().len());
        framing.begin(&[], response.head(), &mut beginning);
        let sink = ToPeer { pieces, silence: settings.peer_timeout };
        let (limit, folder) = (settings.logged_body_limit, &settings.spool_folder);
        let mut passage = Passage::new(framing, beginning, sink, limit, folder);
        let passed = passage.run(taken, &mut source).await;
        let (framing, mut text, attachments) = passage.finish();
        let signed = async {
            passed?;
            let answer = Answer { call, response, attachments };
            let answer = answer.sign().await?;
            Ok(answer.log(summary).await?.signed)
        };
        match signed.await {
            Ok(signed) => {
                node.stats.provider_exchanges();
                summary.tell(None);
                framing.end(&signed, &mut text);
                text.freeze()
            }
            Err(refusal) => {
                // The fault stands in the place of the signature (§4.7, shape C).
                let octets = tell(node, refusal, summary);
                framing.end_with_fault(text, &octets)
            }
        }
    }
}

/// The consumer's server.
struct ToPeer<'a> {
    pieces: &'a mpsc::Sender<Piece>,
    silence: std::time::Duration,
}

impl Sink for ToPeer<'_> {
    async fn put(&mut self, octets: Bytes) -> Result<(), Refusal> {
        match timeout(self.silence, self.pieces.send(Piece::Data(octets))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                let text = "the consumer's security server does not take the response";
                Err(Fault::new(code::IO_ERROR, text).into())
            }
        }
    }
}

/// A message that holds nothing but a fault (§4.7, shape B); `original` is the content type of what the
/// service answered.
pub(super) fn fault_in_message(octets: &[u8], original: HeaderValue) -> Response<Outgoing> {
    let framing = Framing::new();
    let content_type = framing.content_type();
    let body = framing.end_with_fault(BytesMut::with_capacity(octets.len() + 256), octets);
    let mut response = with_headers(&content_type, body.into());
    response.headers_mut().insert(HeaderName::from_static(transport::ORIGINAL_CONTENT_TYPE), original);
    response
}

fn transport_response(content_type: &str, message: &ResponseMessage, body: Outgoing) -> Response<Outgoing> {
    let mut response = with_headers(content_type, body);
    if let ResponseMessage::Soap(message) = message
        && let Some(original) = header_value(&message.content_type)
    {
        response.headers_mut().insert(HeaderName::from_static(transport::ORIGINAL_CONTENT_TYPE), original);
    }
    response
}

fn with_headers(content_type: &str, body: Outgoing) -> Response<Outgoing> {
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
