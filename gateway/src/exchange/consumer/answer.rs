//! From the answer of the provider's server to what the client gets.

use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, code};
use protocol::message::RestResponse;
use protocol::transport::{self, ResponseHead};
use tokio::task::JoinError;

use super::request::{Call, lost, panicked};
use crate::exchange::evidence::{Signature, append, request_hash};
use crate::exchange::message::{Inlet, Rest};
use crate::exchange::outlet::Reached;
use crate::exchange::refusal::Refusal;
use crate::exchange::spool::Spooled;
use crate::exchange::summary::{Summary, Verdict};
use crate::http::Outgoing;
use crate::node::Node;
use crate::ports::{Direction, Signed};
use crate::service::header_value;

/// The provider's server has answered; nothing of the answer is believed yet.
pub(super) struct Answered {
    call: Call,
    algorithm: DigestAlgorithm,
    response: RestResponse,
    body: Option<Spooled>,
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
        let (mut inlet, algorithm) = inlet(&head, body, silence)?;
        let read = read_answer(&mut inlet, algorithm, self.node()).await;
        if inlet.is_at_end() {
            reached.give_back(&self.parsed.accepted.worker);
        }
        let (blob, rest) = read?;
        let response = RestResponse::parse(blob)
            .map_err(|error| Refusal::from(error.from_peer()).within(code::SERVICE_FAILED))?;
        Ok(Answered { call: self, algorithm, response, body: rest.body, signed: rest.signed })
    }
}

impl Answered {
    pub(super) fn verify(mut self, summary: &mut Summary) -> Result<Verified, Refusal> {
        let call = &self.call;
        let request = &call.parsed.request;
        let signature = Signature {
            blob: self.response.blob(),
            algorithm: self.algorithm,
            attachments: self.body.as_slice(),
            signed: &self.signed,
        };
        let snapshot = &call.parsed.accepted.snapshot;
        let now = call.node().clock.now();
        let provider = request.service().provider();
        let message = signature.verify(call.node(), snapshot, provider, &call.terms, now)?;
        summary.signature = Verdict::Good;
        let expected = request_hash(request.blob(), call.body.as_ref());
        self.response.check_answers(request, &expected)?;
        self.signed.document = message.document;
        Ok(Verified(self))
    }
}

impl Verified {
    /// A crash before this returns loses an answer that the client has not seen; the provider's server
    /// has it in its log.
    pub(super) async fn log(self, summary: &mut Summary) -> Result<LoggedAnswer, Refusal> {
        let Self(answer) = self;
        let Answered { call, response, body, signed, .. } = &answer;
        let entry = call.entry(Direction::Response, response.blob(), body.as_ref(), signed);
        summary.response_position = Some(append(call.node(), &call.terms, entry).await?);
        Ok(LoggedAnswer(answer))
    }
}

impl LoggedAnswer {
    /// The answer as the client gets it: status, headers and body of the provider's (§3.6).
    pub(super) fn release(self, summary: &mut Summary) -> Result<Response<Outgoing>, Refusal> {
        let Answered { response, body, .. } = self.0;
        let refused = |text: &str| Fault::new(code::INCONSISTENT_RESPONSE, text);
        let status = StatusCode::from_u16(response.status())
            .ok()
            .filter(|status| !status.is_informational())
            .ok_or_else(|| refused("the response has a status that HTTP cannot carry"))?;
        let body = match body {
            Some(body) => body.into_outgoing().ok_or_else(lost)?,
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
        summary.status = Some(status.as_u16());
        Ok(answer)
    }
}

fn inlet(
    head: &http::response::Parts,
    body: Incoming,
    silence: Duration,
) -> Result<(Inlet, DigestAlgorithm), Fault> {
    let header = |name: &str| head.headers.get(name).map(HeaderValue::to_str).and_then(Result::ok);
    let head = ResponseHead::read(head.status.as_u16(), header)?;
    let inlet = Inlet::new(body, &head.content_type, transport::Direction::Response, silence)?;
    Ok((inlet, head.digest))
}

async fn read_answer(
    inlet: &mut Inlet,
    algorithm: DigestAlgorithm,
    node: &Node,
) -> Result<(Bytes, Rest), Refusal> {
    let (_, blob) = inlet.head().await?;
    let rest = inlet.rest(algorithm, &node.settings.spool_folder).await?;
    Ok((blob, rest))
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
        Ok((mut inlet, algorithm)) => read_answer(&mut inlet, algorithm, node).await,
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
