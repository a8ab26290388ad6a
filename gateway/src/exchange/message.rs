//! Messages between security servers as they are read from a connection.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::fault::{Fault, code};
use protocol::soap::SoapMessage;
use protocol::transport::{Decoder, Direction, Event, Limits, PartHeaders};
use tokio::time::timeout;

use super::framing::Attachment;
use super::pace::Pace;
use super::refusal::{Refusal, chain};
use super::related::Related;
use super::spool::{Keep, Spool};
use crate::ports::Signed;
use crate::service::discard;

/// Bodies up to this size are taken whole before anything is sent: one write a message, and a request
/// that did not get out can be sent again.
pub(super) const WHOLE: usize = 64 * 1024;

/// The digests that are signed: of the message, and of each attachment or of the body.
pub(super) fn signed_digests(message: &Bytes, attachments: &[Attachment]) -> Vec<Digest> {
    let mut digests = Vec::with_capacity(1 + attachments.len());
    digests.push(DigestAlgorithm::Sha512.digest(message));
    digests.extend(attachments.iter().map(|attachment| *attachment.body.digest()));
    digests
}

/// A message that is being read. What is not read of a request is discarded in the background, so that
/// its sender gets to read our answer.
pub(super) struct Inlet {
    body: Option<Incoming>,
    direction: Direction,
    decoder: Decoder,
    silence: Duration,
    /// Of a request. An answer may come as slowly as its service makes it.
    pace: Option<Pace>,
    ended: bool,
    /// The content type that the information system gave a SOAP message.
    original: Option<String>,
    related: Related,
}

/// The head of a message.
pub(super) enum Received {
    /// The blob of a REST message, not parsed yet.
    Rest(Bytes),
    /// A SOAP message with the headers of its part.
    Soap(PartHeaders, Box<SoapMessage>),
}

/// What stands behind the head of a message.
pub(super) struct Rest {
    pub(super) attachments: Vec<Attachment>,
    /// How a SOAP message is carried to the other information system.
    pub(super) related: Related,
    pub(super) signed: Signed,
}

impl Inlet {
    /// `original` is the content type with which an information system sent the message, and `silence` the
    /// longest time that the sender may be silent.
    pub(super) fn new(
        body: Incoming,
        content_type: &str,
        original: Option<String>,
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
        let pace = (direction == Direction::Request).then(|| Pace::new(silence));
        let (body, related) = (Some(body), Related::Plain);
        Ok(Self { body, direction, decoder, silence, pace, ended: false, original, related })
    }

    /// The next thing in the message; none behind its end, when the HTTP body was read to its end.
    async fn next(&mut self) -> Result<Option<Event>, Refusal> {
        loop {
            if let Some(event) = self.decoder.next()? {
                return Ok(Some(event));
            }
            let Some(body) = self.body.as_mut().filter(|_| !self.ended) else { return Ok(None) };
            let wait = self.pace.as_ref().map_or(self.silence, Pace::wait);
            let Ok(frame) = timeout(wait, body.frame()).await else {
                // Nothing more is waited for: the connection closes behind the answer.
                self.body = None;
                let text = "the other security server was too slow in the middle of its message";
                return Err(Fault::new(code::IO_ERROR, text).within(code::SERVICE_FAILED).into());
            };
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        if let Some(pace) = &mut self.pace {
                            pace.came(data.len());
                        }
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

    /// Reads up to and with the head: OCSP responses, then the signed message.
    ///
    /// # Errors
    /// Those of the decoder, and a fault of the peer.
    pub(super) async fn head(&mut self) -> Result<(Vec<Bytes>, Received), Refusal> {
        let mut ocsp = Vec::with_capacity(2);
        while let Some(event) = self.next().await? {
            match event {
                Event::Ocsp(response) => ocsp.push(response),
                Event::Rest(blob) => return Ok((ocsp, Received::Rest(blob))),
                Event::Soap { headers, message } => {
                    if let Some(original) = &self.original {
                        self.related = Related::new(original).map_err(decoding)?;
                        self.related.message(&headers, message.octets()).map_err(decoding)?;
                    }
                    return Ok((ocsp, Received::Soap(headers, message)));
                }
                Event::Fault(fault) => return Err(Refusal::foreign(fault)),
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

    /// Reads everything behind the head. Attachments are hashed and kept while they come, and looked
    /// through for the boundary that will stand between them on the way to the information system.
    ///
    /// # Errors
    /// Those of the decoder, a fault in the place of the signature, attachments that the original content
    /// type does not fit, and trouble with the spool file.
    pub(super) async fn rest(&mut self, algorithm: DigestAlgorithm, folder: &Path) -> Result<Rest, Refusal> {
        let mut spool: Option<Spool> = None;
        let mut attachments = Vec::new();
        let mut headers = None;
        let (mut hash_chain_result, mut hash_chain, mut document) = (None, None, None);
        while let Some(event) = self.next().await? {
            match event {
                Event::Attachment(found) => {
                    self.related.attachment(&found).map_err(decoding)?;
                    headers = Some(found);
                }
                Event::Body(piece) => {
                    self.related.piece(&piece).map_err(decoding)?;
                    let spool = spool.get_or_insert_with(|| Spool::new(algorithm, Keep::Whole));
                    spool.push(piece, folder).map_err(spool_failed)?;
                }
                Event::BodyEnd => {
                    let spool = spool.get_or_insert_with(|| Spool::new(algorithm, Keep::Whole));
                    attachments.push(Attachment { headers: headers.take(), body: spool.complete() });
                }
                Event::HashChainResult(bytes) => hash_chain_result = Some(bytes),
                Event::HashChain(bytes) => hash_chain = Some(bytes),
                Event::Signature(bytes) => document = Some(bytes),
                Event::Fault(fault) => return Err(Refusal::foreign(fault)),
                Event::End => {}
                // The decoder keeps the order; these cannot stand behind the head.
                Event::Ocsp(_) | Event::Rest(_) | Event::Soap { .. } => {}
            }
        }
        let document = document
            .ok_or_else(|| Fault::new(code::MISSING_SIGNATURE, "transport message without a signature"))?;
        let signed = Signed { document, hash_chain_result, hash_chain };
        let related = std::mem::replace(&mut self.related, Related::Plain);
        Ok(Rest { attachments, related, signed })
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

fn decoding(fault: Fault) -> Fault {
    fault.within(code::SERVICE_FAILED)
}

pub(super) fn spool_failed(error: std::io::Error) -> Refusal {
    Refusal::because(code::IO_ERROR, "the body could not be kept", error)
}
