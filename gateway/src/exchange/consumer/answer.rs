//! From the answer of the provider's server to what the client gets.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, code};
use protocol::message::RestResponse;
use protocol::soap::{self, SoapMessage};
use protocol::transport::{self, ResponseHead};
use tokio::task::JoinError;

use super::outgoing::{Call, lost, panicked};
use crate::exchange::evidence::{Signature, append};
use crate::exchange::framing::Attachment;
use crate::exchange::kinds::{RequestMessage, ResponseMessage, SoapResponse};
use crate::exchange::message::{Inlet, Received, Rest};
use crate::exchange::outlet::Reached;
use crate::exchange::refusal::Refusal;
use crate::exchange::related::Related;
use crate::exchange::summary::{Summary, Verdict};
use crate::http::Outgoing;
use crate::node::Node;
use crate::ports::{Direction, Signed};
use crate::service::header_value;

/// The provider's server has answered; nothing of the answer is believed yet.
pub(super) struct Answered {
    call: Call,
    algorithm: DigestAlgorithm,
    response: ResponseMessage,
    attachments: Vec<Attachment>,
    /// How a SOAP client gets it.
    related: Related,
    signed: Signed,
}

/// The answer is signed by the provider's member and answers this request.
pub(super) struct Verified(Answered);

/// Answer and evidence are durable.
pub(super) struct LoggedAnswer(Answered);

impl Call {
    pub(super) async fn receive(
        self,
        response: Response<Incoming>,
        reached: Reached,
    ) -> Result<Answered, Refusal> {
        let (head, body) = response.into_parts();
        let silence = self.node().settings.peer_timeout;
        let (mut inlet, algorithm, content_type) = inlet(&head, body, silence)?;
        let read = read_answer(&mut inlet, algorithm, self.node()).await;
        if inlet.is_at_end() {
            reached.give_back(&self.parsed.accepted.worker);
        }
        let (head, Rest { attachments, related, signed }) = read?;
        let response = match (&self.parsed.request, head) {
            (RequestMessage::Rest(_), Received::Rest(blob)) => {
                let response = RestResponse::parse(blob).map_err(|error| error.from_peer());
                ResponseMessage::Rest(response.map_err(|fault| fault.within(code::SERVICE_FAILED))?)
            }
            (RequestMessage::Soap(_), Received::Soap(headers, message)) => {
                let content_type = content_type.unwrap_or_else(|| soap::PLAIN_CONTENT_TYPE.to_owned());
                ResponseMessage::Soap(Box::new(SoapResponse { message: *message, headers, content_type }))
            }
            (RequestMessage::Rest(_), Received::Soap(..)) => {
                return Err(Fault::new(code::MISSING_REST, "the answer to a REST request is SOAP").into());
            }
            (RequestMessage::Soap(_), Received::Rest(_)) => {
                return Err(Fault::new(code::MISSING_SOAP, "the answer to a SOAP request is REST").into());
            }
        };
        Ok(Answered { call: self, algorithm, response, attachments, related, signed })
    }
}

impl Answered {
    pub(super) fn verify(mut self, summary: &mut Summary) -> Result<Verified, Refusal> {
        let call = &self.call;
        let request = &call.parsed.request;
        let signature = Signature {
            message: self.response.octets(),
            algorithm: self.response.digest_algorithm(self.algorithm),
            attachments: &self.attachments,
            signed: &self.signed,
        };
        let snapshot = &call.parsed.accepted.snapshot;
        let now = call.node().clock.now();
        let provider = request.service().provider();
        let message = signature.verify(call.node(), snapshot, provider, &call.terms, now)?;
        summary.signature = Verdict::Good;
        self.response.check_answers(request, &request.hash(&call.attachments))?;
        self.signed.document = message.document;
        Ok(Verified(self))
    }
}

impl Verified {
    /// A crash before this returns loses an answer that the client has not seen; the provider's server
    /// has it in its log.
    pub(super) async fn log(self, summary: &mut Summary) -> Result<LoggedAnswer, Refusal> {
        let Self(answer) = self;
        let Answered { call, response, attachments, signed, .. } = &answer;
        let entry = call.entry(Direction::Response, response.octets(), attachments, signed);
        summary.response_position = Some(append(call.node(), &call.terms, entry).await?);
        Ok(LoggedAnswer(answer))
    }
}

impl LoggedAnswer {
    /// The first attachment of the answer, if there is one.
    pub(super) fn attachment(self, summary: &mut Summary) -> Result<Option<Outgoing>, Refusal> {
        summary.status = Some(StatusCode::OK.as_u16());
        let Some(first) = self.0.attachments.into_iter().next() else { return Ok(None) };
        Ok(Some(first.body.into_outgoing().ok_or_else(lost)?))
    }

    /// The SOAP message of the answer.
    pub(super) fn message(self, summary: &mut Summary) -> Result<SoapMessage, Refusal> {
        summary.status = Some(StatusCode::OK.as_u16());
        match self.0.response {
            ResponseMessage::Soap(response) => Ok(response.message),
            ResponseMessage::Rest(_) => {
                Err(Fault::new(code::MISSING_SOAP, "the answer to a SOAP request is REST").into())
            }
        }
    }

    /// The answer as the client gets it.
    pub(super) fn release(self, summary: &mut Summary) -> Result<Response<Outgoing>, Refusal> {
        let Answered { response, attachments, related, .. } = self.0;
        let answer = match response {
            ResponseMessage::Rest(response) => release_rest(&response, attachments)?,
            ResponseMessage::Soap(response) => release_soap(*response, related, attachments)?,
        };
        summary.status = Some(answer.status().as_u16());
        Ok(answer)
    }
}

/// Status, headers and body of the provider's (§3.6).
fn release_rest(
    response: &RestResponse,
    mut attachments: Vec<Attachment>,
) -> Result<Response<Outgoing>, Refusal> {
    let refused = |text: &str| Fault::new(code::INCONSISTENT_RESPONSE, text);
    let status = StatusCode::from_u16(response.status())
        .ok()
        .filter(|status| !status.is_informational())
        .ok_or_else(|| refused("the response has a status that HTTP cannot carry"))?;
    let body = match attachments.pop() {
        Some(body) => body.body.into_outgoing().ok_or_else(lost)?,
        None => Outgoing::Empty,
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in response.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        let (Some(name), Some(value)) = (name, header_value(value)) else {
            return Err(refused("the response has a header that HTTP cannot carry").into());
        };
        headers.append(name, value);
    }
    Ok(answer)
}

/// The message, with its attachments if it was a multipart (§2.8).
fn release_soap(
    response: SoapResponse,
    related: Related,
    attachments: Vec<Attachment>,
) -> Result<Response<Outgoing>, Refusal> {
    let content_type = soap::client_content_type(&response.content_type)?;
    let content_type = header_value(&content_type).ok_or_else(|| {
        Fault::new(code::INCONSISTENT_RESPONSE, "the response has a content type that HTTP cannot carry")
    })?;
    let body = related.into_body(response.message.octets().clone(), attachments).ok_or_else(lost)?;
    let mut answer = Response::new(body);
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(answer)
}

/// The reader of an answer, the digest of its parts, and the provider's content type, which comes with
/// SOAP.
fn inlet(
    head: &http::response::Parts,
    body: Incoming,
    silence: Duration,
) -> Result<(Inlet, DigestAlgorithm, Option<String>), Fault> {
    let header = |name: &str| head.headers.get(name).map(HeaderValue::to_str).and_then(Result::ok);
    let original = header(transport::ORIGINAL_CONTENT_TYPE).map(str::to_owned);
    let head = ResponseHead::read(head.status.as_u16(), header)?;
    let direction = transport::Direction::Response;
    let inlet = Inlet::new(body, &head.content_type, original.clone(), direction, silence)?;
    Ok((inlet, head.digest, original))
}

async fn read_answer(
    inlet: &mut Inlet,
    algorithm: DigestAlgorithm,
    node: &Node,
) -> Result<(Received, Rest), Refusal> {
    let (_, head) = inlet.head().await?;
    let rest = inlet.rest(algorithm, &node.settings.spool_folder).await?;
    Ok((head, rest))
}

/// What the provider's server answered before it had the whole request: a fault, or nothing of use.
pub(super) async fn answered_early(
    node: &Node,
    answer: Result<Result<(Response<Incoming>, Reached), Refusal>, JoinError>,
) -> Refusal {
    let (head, body) = match answer {
        Ok(Ok((response, _))) => response.into_parts(),
        Ok(Err(refusal)) => return refusal,
        Err(error) => return panicked(&error),
    };
    let read = match inlet(&head, body, node.settings.peer_timeout) {
        Ok((mut inlet, algorithm, _)) => read_answer(&mut inlet, algorithm, node).await,
        Err(fault) => return fault.into(),
    };
    match read {
        Err(refusal) => refusal,
        Ok(_) => {
            let text = "the provider's security server answered before it had the request";
            Fault::new(code::INVALID_MESSAGE, text).within(code::SERVICE_FAILED).into()
        }
    }
}
