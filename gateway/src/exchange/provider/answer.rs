//! From the answer of the service to the message that is sent.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{self, HeaderName, HeaderValue};
use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, code};
use protocol::message::{RestError, RestResponse};
use protocol::transport::{self, Encoder, PartKind};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::built_in::Told;
use super::request::Call;
use super::{refuse, tell};
use crate::exchange::evidence::{append, request_hash};
use crate::exchange::message::{self, WHOLE};
use crate::exchange::refusal::Refusal;
use crate::exchange::spool::{Keep, Spool, Spooled};
use crate::exchange::summary::Summary;
use crate::http::Outgoing;
use crate::http::body::Piece;
use crate::node::Node;
use crate::ports::{Direction, Signed};
use crate::service::{ServiceAnswer, header_lines, reason};

/// Pieces of a body that wait for a slow reader.
const WAITING: usize = 8;

/// The service has begun to answer (step 16).
pub(super) struct Called {
    call: Call,
    answer: Source,
}

/// Where an answer comes from.
pub(super) enum Source {
    /// The provider's information system.
    Service(ServiceAnswer),
    /// This node.
    BuiltIn(Told),
}

/// An answer whose body is whole and hashed.
pub(super) struct Answer {
    call: Call,
    response: RestResponse,
    body: Option<Spooled>,
}

/// An answer whose body is long; what was read of it waits in `pieces`.
pub(super) struct LongAnswer {
    call: Call,
    response: RestResponse,
    pieces: Vec<Bytes>,
    answer: Source,
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
    pub(super) fn new(call: Call, answer: Source) -> Self {
        Self { call, answer }
    }

    /// Takes the answer whole, or its beginning if it is long.
    pub(super) async fn receive(self, summary: &mut Summary) -> Result<Received, Refusal> {
        let Self { call, mut answer } = self;
        let response = answer.response_to(&call).map_err(|error| {
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

impl Source {
    fn response_to(&self, call: &Call) -> Result<RestResponse, RestError> {
        let hash = request_hash(call.request.blob(), call.body.as_ref());
        let (request, request_id) = (&call.request, &call.head.request_id);
        match self {
            Self::Service(ServiceAnswer { head, .. }) => {
                let headers = header_lines(&head.headers);
                let status = head.status.as_u16();
                RestResponse::build(status, &reason(head), headers, request, request_id, &hash)
            }
            Self::BuiltIn(told) => RestResponse::build_own(&told.content_type, request, request_id, &hash),
        }
    }

    /// Whether an answer of this kind has a body at all; an empty one counts (§3.10).
    fn may_have_body(&self) -> bool {
        match self {
            Self::Service(answer) => answer.may_have_body(),
            Self::BuiltIn(_) => true,
        }
    }

    /// The next bytes of the body; none at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        match self {
            Self::Service(answer) => answer.next().await,
            Self::BuiltIn(told) => Ok(Some(std::mem::take(&mut told.body)).filter(|body| !body.is_empty())),
        }
    }
}

impl Answer {
    pub(super) async fn sign(self) -> Result<SignedAnswer, Refusal> {
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
    pub(super) async fn log(self, summary: &mut Summary) -> Result<LoggedAnswer, Refusal> {
        let Self { answer, signed } = self;
        let Answer { call, response, body } = &answer;
        let entry = call.entry(Direction::Response, response.blob(), body.as_ref(), &signed);
        summary.response_position = Some(append(call.node(), &call.terms, entry).await?);
        Ok(LoggedAnswer { answer, signed })
    }
}

impl LoggedAnswer {
    /// The whole answer in one piece.
    pub(super) fn send(self, node: &Node, summary: &Summary) -> Response<Outgoing> {
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
    pub(super) fn stream(self, mut summary: Summary) -> Response<Outgoing> {
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

    pub(super) async fn send(
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
