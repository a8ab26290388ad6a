//! Messages between security servers as they are written to and read from a connection.

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::fault::{Fault, code};
use protocol::transport::{Decoder, Direction, Encoder, Event, Limits, PartKind, boundary_from};
use tokio::time::timeout;
use uuid::Uuid;

use super::refusal::{Refusal, chain};
use super::spool::{Keep, Spool, Spooled};
use crate::ports::Signed;
use crate::service::discard;

/// Bodies up to this size are taken whole before anything is sent: one write a message, and a request
/// that did not get out can be sent again.
pub(super) const WHOLE: usize = 64 * 1024;

/// An encoder with a fresh boundary.
pub(super) fn encoder() -> Encoder {
    let mut random = [0; 30];
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    for (place, byte) in random.iter_mut().zip(one.as_bytes().iter().chain(other.as_bytes())) {
        *place = *byte;
    }
    Encoder::new(&boundary_from(&random))
}

/// A whole message in one piece. What is copied here is bounded by [`WHOLE`] and the evidence, and
/// saves a system call and a TLS record for each part.
pub(super) fn whole(
    mut encoder: Encoder,
    ocsp: &[Bytes],
    head: (PartKind, &Bytes),
    body: Option<&Bytes>,
    signed: &Signed,
) -> Bytes {
    let parts = ocsp
        .iter()
        .map(|response| (PartKind::Ocsp, response))
        .chain([head])
        .chain(body.map(|body| (PartKind::RestBody, body)))
        .chain(evidence(signed));
    let mut message = BytesMut::with_capacity(
        1024 + body.map_or(0, Bytes::len) + head.1.len() + signed.document.len() + 4096 * (ocsp.len() + 1),
    );
    for (kind, bytes) in parts {
        message.extend_from_slice(&encoder.part(kind));
        message.extend_from_slice(bytes);
    }
    message.extend_from_slice(&encoder.end());
    message.freeze()
}

/// Everything of a message before the bytes of its body.
pub(super) fn beginning(
    encoder: &mut Encoder,
    ocsp: &[Bytes],
    head: (PartKind, &Bytes),
    body: bool,
) -> Bytes {
    let mut message = BytesMut::with_capacity(4096 + head.1.len());
    for (kind, bytes) in ocsp.iter().map(|response| (PartKind::Ocsp, response)).chain([head]) {
        message.extend_from_slice(&encoder.part(kind));
        message.extend_from_slice(bytes);
    }
    if body {
        message.extend_from_slice(&encoder.part(PartKind::RestBody));
    }
    message.freeze()
}

/// Everything behind the body.
pub(super) fn ending(mut encoder: Encoder, signed: &Signed) -> Bytes {
    let mut message = BytesMut::with_capacity(signed.document.len() + 8192);
    for (kind, bytes) in evidence(signed) {
        message.extend_from_slice(&encoder.part(kind));
        message.extend_from_slice(bytes);
    }
    message.extend_from_slice(&encoder.end());
    message.freeze()
}

fn evidence(signed: &Signed) -> impl Iterator<Item = (PartKind, &Bytes)> {
    let chain = signed.hash_chain_result.as_ref().map(|result| (PartKind::HashChainResult, result));
    let result = signed.hash_chain.as_ref().map(|chain| (PartKind::HashChain, chain));
    chain.into_iter().chain(result).chain([(PartKind::Signature, &signed.document)])
}

/// The digests that are signed: of the head, and of the body if there is one.
pub(super) fn signed_digests(head: &Bytes, body: Option<&Spooled>) -> Vec<Digest> {
    let mut digests = Vec::with_capacity(2);
    digests.push(DigestAlgorithm::Sha512.digest(head));
    digests.extend(body.map(|body| *body.digest()));
    digests
}

/// A message that is being read. What is not read of a request is discarded in the background, so that
/// its sender gets to read our answer.
pub(super) struct Inlet {
    body: Option<Incoming>,
    direction: Direction,
    decoder: Decoder,
    silence: Duration,
    ended: bool,
}

/// What stands behind the head of a message.
pub(super) struct Rest {
    pub(super) body: Option<Spooled>,
    pub(super) signed: Signed,
}

impl Inlet {
    /// `silence` is the longest time that the sender may be silent.
    pub(super) fn new(
        body: Incoming,
        content_type: &str,
        direction: Direction,
        silence: Duration,
    ) -> Result<Self, Fault> {
        let decoder = match Decoder::new(content_type, direction, Limits::default()) {
            Ok(decoder) => decoder,
            Err(fault) => {
                if direction == Direction::Request {
                    discard(body);
                }
                return Err(fault);
            }
        };
        Ok(Self { body: Some(body), direction, decoder, silence, ended: false })
    }

    /// The next thing in the message; none behind its end, when the HTTP body was read to its end.
    async fn next(&mut self) -> Result<Option<Event>, Refusal> {
        loop {
            if let Some(event) = self.decoder.next()? {
                return Ok(Some(event));
            }
            let Some(body) = self.body.as_mut().filter(|_| !self.ended) else { return Ok(None) };
            let frame = timeout(self.silence, body.frame()).await.map_err(|_| {
                Fault::new(code::IO_ERROR, "the other security server was silent for too long")
                    .within(code::SERVICE_FAILED)
            })?;
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.decoder.push(data);
                    }
                }
                Some(Err(error)) => {
                    let text = "the message broke off";
                    return Err(
                        Refusal::because(code::IO_ERROR, text, chain(&error)).within(code::SERVICE_FAILED)
                    );
                }
                None => {
                    self.ended = true;
                    if let Some(event) = self.decoder.finish()? {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    /// Reads up to and with the head: OCSP responses, then the blob.
    ///
    /// # Errors
    /// Those of the decoder, a fault of the peer, and SOAP messages, which are not served.
    pub(super) async fn head(&mut self) -> Result<(Vec<Bytes>, Bytes), Refusal> {
        let mut ocsp = Vec::with_capacity(2);
        while let Some(event) = self.next().await? {
            match event {
                Event::Ocsp(response) => ocsp.push(response),
                Event::Rest(blob) => return Ok((ocsp, blob)),
                Event::Fault(fault) => return Err(Refusal::foreign(fault.fault)),
                Event::Soap { .. } => {
                    let fault =
                        Fault::new(code::INVALID_CONTENT_TYPE, "SOAP messages are not supported here");
                    return Err(fault.within(code::SERVICE_FAILED).into());
                }
                // The decoder keeps the order; these cannot stand before the head.
                Event::Attachment(_)
                | Event::Body(_)
                | Event::BodyEnd
                | Event::HashChainResult(_)
                | Event::HashChain(_)
                | Event::Signature(_)
                | Event::End => {}
            }
        }
        Err(Fault::new(code::MISSING_REST, "transport message without a message").into())
    }

    /// Reads everything behind the head. The body is hashed and kept while it comes.
    ///
    /// # Errors
    /// Those of the decoder, a fault in the place of the signature, and trouble with the spool file.
    pub(super) async fn rest(&mut self, algorithm: DigestAlgorithm, folder: &Path) -> Result<Rest, Refusal> {
        let mut body: Option<Spool> = None;
        let (mut hash_chain_result, mut hash_chain, mut document) = (None, None, None);
        while let Some(event) = self.next().await? {
            match event {
                Event::Body(piece) => {
                    let body = body.get_or_insert_with(|| Spool::new(algorithm, Keep::Whole));
                    body.push(piece, folder).map_err(spool_failed)?;
                }
                Event::BodyEnd => {
                    body.get_or_insert_with(|| Spool::new(algorithm, Keep::Whole));
                }
                Event::HashChainResult(bytes) => hash_chain_result = Some(bytes),
                Event::HashChain(bytes) => hash_chain = Some(bytes),
                Event::Signature(bytes) => document = Some(bytes),
                Event::Fault(fault) => return Err(Refusal::foreign(fault.fault)),
                Event::End => {}
                // The decoder keeps the order; these cannot stand behind the head.
                Event::Ocsp(_) | Event::Rest(_) | Event::Soap { .. } | Event::Attachment(_) => {}
            }
        }
        let document = document
            .ok_or_else(|| Fault::new(code::MISSING_SIGNATURE, "transport message without a signature"))?;
        let signed = Signed { document, hash_chain_result, hash_chain };
        Ok(Rest { body: body.map(Spool::finish), signed })
    }

    /// Whether the HTTP body was read to its end, so that its connection can carry the next message.
    pub(super) fn is_at_end(&self) -> bool {
        self.ended
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        if self.direction == Direction::Request
            && !self.ended
            && let Some(body) = self.body.take()
        {
            discard(body);
        }
    }
}

pub(super) fn spool_failed(error: std::io::Error) -> Refusal {
    Refusal::because(code::IO_ERROR, "the body could not be kept", error)
}
