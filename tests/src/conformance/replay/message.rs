//! A recorded message between servers, decoded and judged.

use std::fmt;

use bytes::{Bytes, BytesMut};
use certs::evidence::verify_message;
use certs::ocsp::OcspResponse;
use gateway::snapshot::Snapshot;
use protocol::digest::DigestAlgorithm;
use protocol::fault::Fault;
use protocol::id::ClientId;
use protocol::message::{RestRequest, RestResponse, request_hash};
use protocol::signature::{PartDigests, Parts, Rules, SignatureDocument};
use protocol::soap::SoapMessage;
use protocol::time::UtcTime;
use protocol::transport::{Decoder, Direction, Event, Limits, RequestHead, ResponseHead};

use super::http::Message;

/// What becomes of a message.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Accepted,
    Refused(String),
}

impl Verdict {
    pub(super) fn from_result(result: Result<(), Fault>) -> Self {
        result.map_or_else(|fault| Self::Refused(fault.code.to_string()), |()| Self::Accepted)
    }
}

impl From<&Fault> for Verdict {
    fn from(fault: &Fault) -> Self {
        Self::Refused(format!("{}: {}", fault.code, fault.text))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Refused(code) => f.write_str(code),
        }
    }
}

/// The parts of a message.
pub(super) struct Received {
    algorithm: DigestAlgorithm,
    ocsp: Vec<Bytes>,
    /// `/message.xml`
    message: Bytes,
    /// Read, if it is SOAP.
    soap: Option<Box<SoapMessage>>,
    attachments: Vec<Bytes>,
    hash_chain_result: Option<Bytes>,
    hash_chain: Option<Bytes>,
    signature: Bytes,
}

impl Received {
    pub(super) fn request(message: &Message) -> Result<Self, Fault> {
        let method = message.start.split(' ').next().unwrap_or_default();
        let head = RequestHead::read(method, |name| message.header(name))?;
        Self::read(message, Direction::Request, &head.content_type, head.digest)
    }

    /// # Errors
    /// Also the fault that the message is, or that stands in it.
    pub(super) fn response(message: &Message) -> Result<Self, Fault> {
        let head = ResponseHead::read(message.status(), |name| message.header(name))?;
        Self::read(message, Direction::Response, &head.content_type, head.digest)
    }

    /// All OCSP responses in a message: those for TLS and those inside the signature.
    pub(super) fn ocsp_responses(message: &Message) -> Vec<OcspResponse> {
        let read = if message.start.starts_with("HTTP/") { Self::response } else { Self::request };
        let Ok(received) = read(message) else { return Vec::new() };
        let signature = SignatureDocument::parse(received.signature, Rules::Message).ok();
        let inside = signature.iter().flat_map(|signature| signature.ocsp_responses().iter().cloned());
        received.ocsp.into_iter().chain(inside).filter_map(|der| OcspResponse::parse(der).ok()).collect()
    }

    fn read(
        message: &Message,
        direction: Direction,
        content_type: &str,
        algorithm: DigestAlgorithm,
    ) -> Result<Self, Fault> {
        let mut decoder = Decoder::new(content_type, direction, Limits::default())?;
        let mut received = Self {
            algorithm,
            ocsp: Vec::new(),
            message: Bytes::new(),
            soap: None,
            attachments: Vec::new(),
            hash_chain_result: None,
            hash_chain: None,
            signature: Bytes::new(),
        };
        let mut body = BytesMut::new();
        // In pieces of an odd size, as a network might deliver them.
        for piece in message.body.chunks(777) {
            decoder.push(Bytes::copy_from_slice(piece));
            while let Some(event) = decoder.next()? {
                match event {
                    Event::Ocsp(bytes) => received.ocsp.push(bytes),
                    Event::Rest(bytes) => received.message = bytes,
                    Event::Soap { message, .. } => {
                        received.message = message.octets().clone();
                        received.soap = Some(message);
                    }
                    Event::Body(piece) => body.extend_from_slice(&piece),
                    Event::BodyEnd => received.attachments.push(body.split().freeze()),
                    Event::HashChainResult(bytes) => received.hash_chain_result = Some(bytes),
                    Event::HashChain(bytes) => received.hash_chain = Some(bytes),
                    Event::Signature(bytes) => received.signature = bytes,
                    Event::Fault(fault) => return Err(fault.fault),
                    Event::Attachment(_) | Event::End => {}
                }
            }
        }
        if let Some(Event::Fault(fault)) = decoder.finish()? {
            return Err(fault.fault);
        }
        Ok(received)
    }

    fn verify(&self, signer: &ClientId, snapshot: &Snapshot, at: UtcTime) -> Result<(), Fault> {
        let digest = |bytes: &Bytes| PartDigests::known(self.algorithm.digest(bytes));
        let parts = Parts {
            message: match &self.hash_chain {
                Some(_) => digest(&self.message),
                None => PartDigests::of(self.message.clone()),
            },
            attachments: self.attachments.iter().map(digest).collect(),
            hash_chain_result: self.hash_chain_result.clone(),
            hash_chain: self.hash_chain.clone(),
        };
        verify_message(&self.signature, &parts, signer, snapshot.trust(), None, at)
    }

    pub(super) fn verify_as_client(&self, snapshot: &Snapshot, at: UtcTime) -> Verdict {
        if let Some(request) = &self.soap {
            return Verdict::from_result(self.verify(request.client(), snapshot, at));
        }
        let request = match RestRequest::parse(self.message.clone()) {
            Ok(request) => request,
            Err(error) => return Verdict::from(&error.from_peer()),
        };
        Verdict::from_result(self.verify(request.client(), snapshot, at))
    }

    pub(super) fn verify_as_answer(&self, request: &Self, snapshot: &Snapshot, at: UtcTime) -> Verdict {
        if let (Some(asked), Some(response)) = (&request.soap, &self.soap) {
            return Verdict::from_result(
                self.verify(asked.service().provider(), snapshot, at)
                    .and_then(|()| response.check_answers(asked, &asked.digest())),
            );
        }
        let parsed = RestRequest::parse(request.message.clone());
        let response = RestResponse::parse(self.message.clone());
        let (asked, response) = match (parsed, response) {
            (Ok(asked), Ok(response)) => (asked, response),
            (Err(error), _) | (_, Err(error)) => return Verdict::from(&error.from_peer()),
        };
        let body = request.attachments.first().map(|body| request.algorithm.digest(body));
        let expected = request_hash(&DigestAlgorithm::Sha512.digest(&request.message), body.as_ref());
        Verdict::from_result(
            self.verify(asked.service().provider(), snapshot, at)
                .and_then(|()| response.check_answers(&asked, &expected)),
        )
    }
}
