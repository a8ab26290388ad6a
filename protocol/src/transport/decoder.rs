//! Reads the body of a message, in either direction (§4.6).

use bytes::Bytes;

use super::{MessageType, PartKind};
use crate::fault::{Fault, code};
use crate::mime::{ContentType, Found, Gathered, Multipart, PartHeaders};
use crate::soap::{Envelope, SoapFault, SoapMessage};

/// Which way a message goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the consumer's server to the provider's.
    Request,
    /// Back.
    Response,
}

/// How much of each kind of part is taken, in bytes (§4.6). The body of a REST message and those of
/// attachments are streamed and have no limit here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// One OCSP response.
    pub ocsp: usize,
    /// How many OCSP responses.
    pub ocsp_count: usize,
    /// The head of a REST message.
    pub blob: usize,
    /// A SOAP message.
    pub soap: usize,
    /// How many attachments.
    pub attachments: usize,
    /// The signature and each of the hash chain documents.
    pub evidence: usize,
    /// A fault.
    pub fault: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ocsp: 64 * 1024,
            ocsp_count: 16,
            blob: 1024 * 1024,
            soap: 10 * 1024 * 1024,
            attachments: 1000,
            evidence: 1024 * 1024,
            fault: 1024 * 1024,
        }
    }
}

/// What was read, in the order of the message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// One OCSP response of the sender's TLS chain.
    Ocsp(Bytes),
    /// The whole head of a REST message, not parsed yet.
    Rest(Bytes),
    /// A whole SOAP message that is no fault.
    Soap {
        /// Headers of the part, as the information system wrote them. Nobody signs them.
        headers: PartHeaders,
        /// The message.
        message: Box<SoapMessage>,
    },
    /// The next attachment of a SOAP message begins; its body follows as that of a REST message does.
    /// Nobody signs the headers.
    Attachment(PartHeaders),
    /// A piece of the REST body or of an attachment, a slice of what was pushed. An empty body has
    /// [`Event::BodyEnd`] without any piece.
    Body(Bytes),
    /// The REST body or attachment is complete.
    BodyEnd,
    /// The result document of the hash chain.
    HashChainResult(Bytes),
    /// The hash chain document.
    HashChain(Bytes),
    /// The signature document.
    Signature(Bytes),
    /// A fault of the peer, alone or in the place of the signature: what came before it counts no more.
    Fault(SoapFault),
    /// The closing boundary was read.
    End,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Start,
    AfterRest,
    AfterSoap,
    Tail,
    ExpectChain,
    ExpectSignature,
    Done,
}

/// The part that is being read.
#[derive(Debug)]
enum Current {
    None,
    Streamed,
    Attachments(Box<Nested>),
    Gathered { kind: PartKind, headers: PartHeaders, limit: usize, bytes: Gathered },
}

/// The multipart of the attachments, inside of its part.
#[derive(Debug)]
struct Nested {
    multipart: Multipart,
    closed: bool,
}

#[derive(Debug)]
enum Source {
    Multipart(Box<Multipart>),
    /// The whole body is one fault (§4.7, shape A).
    Fault(Gathered),
    /// That fault was handed out.
    FaultRead,
}

/// A state machine over the parts. Its faults carry the group `service_failed` where the specification
/// wants it; the caller adds the origin.
#[derive(Debug)]
pub struct Decoder {
    source: Source,
    direction: Direction,
    limits: Limits,
    state: State,
    current: Current,
    ocsp_count: usize,
    attachment_count: usize,
    expected: MessageType,
    message: Option<PartKind>,
    signed: bool,
    faulty: bool,
    closed: bool,
}

impl Decoder {
    /// Begins to read a body of this content type.
    ///
    /// # Errors
    /// `service_failed.invalid_content_type` unless it is `multipart/mixed` with a boundary or, in a
    /// response only, `text/xml`.
    pub fn new(content_type: &str, direction: Direction, limits: Limits) -> Result<Self, Fault> {
        let parsed = ContentType::parse(content_type).map_err(decoding)?;
        let source = match (parsed.essence(), direction) {
            ("multipart/mixed", _) => {
                Source::Multipart(Box::new(Multipart::new(parsed.boundary().map_err(decoding)?)))
            }
            ("text/xml", Direction::Response) => Source::Fault(Gathered::default()),
            _ => {
                return Err(decoding(Fault::new(
                    code::INVALID_CONTENT_TYPE,
                    format!("content type '{}' is not acceptable", shown(parsed.essence())),
                )));
            }
        };
        Ok(Self {
            source,
            direction,
            limits,
            state: State::Start,
            current: Current::None,
            ocsp_count: 0,
            attachment_count: 0,
            expected: MessageType::Rest,
            message: None,
            signed: false,
            faulty: false,
            closed: false,
        })
    }

    /// Says which kind of message is missing when there is none; REST unless said.
    #[must_use]
    pub fn expecting(mut self, message_type: MessageType) -> Self {
        self.expected = message_type;
        self
    }

    /// Takes more bytes of the body. They are looked at by [`next`](Self::next), which the caller calls
    /// until it has nothing more to give.
    pub fn push(&mut self, bytes: Bytes) {
        match &mut self.source {
            Source::Multipart(multipart) => multipart.push(bytes),
            // One byte more than the limit is enough to refuse it later.
            Source::Fault(gathered) => gathered.push_up_to(bytes, self.limits.fault.saturating_add(1)),
            Source::FaultRead => {}
        }
    }

    /// The next thing read; none until more bytes are pushed.
    ///
    /// # Errors
    /// Whatever breaks the framing, the order or a limit, below `service_failed`. The decoder must not
    /// be used after an error.
    #[expect(clippy::should_implement_trait, reason = "it can fail, and goes on after more was pushed")]
    pub fn next(&mut self) -> Result<Option<Event>, Fault> {
        self.advance().map_err(decoding)
    }

    /// Says that no more bytes will come. A fault that is the whole body comes out here; after a
    /// multipart there is nothing more to give.
    ///
    /// # Errors
    /// `missing_soap`, `missing_rest` or `missing_signature` when the message lacks these, without group; below
    /// `service_failed`: a body that ends before its closing boundary, a fault that cannot be read.
    pub fn finish(&mut self) -> Result<Option<Event>, Fault> {
        if let Source::Fault(gathered) = &mut self.source {
            let bytes = std::mem::take(gathered).finish();
            self.source = Source::FaultRead;
            self.closed = true;
            self.faulty = true;
            if bytes.len() > self.limits.fault {
                return Err(decoding(too_large(PartKind::Fault)));
            }
            return match Envelope::parse(bytes).map_err(decoding)? {
                Envelope::Fault(fault) => Ok(Some(Event::Fault(fault))),
                Envelope::Message(_) => Err(decoding(Fault::new(
                    code::INVALID_MESSAGE,
                    "a message without signature where only a fault may stand",
                ))),
            };
        }
        match self.message {
            _ if self.faulty => {}
            None => {
                let code = match self.expected {
                    MessageType::Rest => code::MISSING_REST,
                    MessageType::Soap => code::MISSING_SOAP,
                };
                return Err(Fault::new(code, "transport message without a message"));
            }
            Some(_) if !self.signed => {
                return Err(Fault::new(code::MISSING_SIGNATURE, "transport message without a signature"));
            }
            Some(_) => {}
        }
        if !self.closed {
            return Err(decoding(Fault::new(
                code::MIME_PARSING_FAILED,
                "the message ends before its closing boundary",
            )));
        }
        Ok(None)
    }

    fn advance(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            if let Some(event) = self.attachment()? {
                return Ok(Some(event));
            }
            let Source::Multipart(multipart) = &mut self.source else { return Ok(None) };
            let Some(found) = multipart.next()? else { return Ok(None) };
            match found {
                Found::Part(headers) => self.begin(headers)?,
                Found::Piece(piece) => match &mut self.current {
                    Current::Streamed => return Ok(Some(Event::Body(piece))),
                    Current::Attachments(nested) => nested.multipart.push(piece),
                    Current::Gathered { kind, limit, bytes, .. } => {
                        if bytes.len().saturating_add(piece.len()) > *limit {
                            return Err(too_large(*kind));
                        }
                        bytes.push(piece);
                    }
                    Current::None => {}
                },
                Found::PartEnd => {
                    return match std::mem::replace(&mut self.current, Current::None) {
                        Current::Streamed => Ok(Some(Event::BodyEnd)),
                        Current::Gathered { kind, headers, bytes, .. } => {
                            self.complete(kind, headers, bytes.finish()).map(Some)
                        }
                        Current::Attachments(nested) if !nested.closed => Err(Fault::new(
                            code::MIME_PARSING_FAILED,
                            "the attachments end before their closing boundary",
                        )),
                        Current::Attachments(_) | Current::None => continue,
                    };
                }
                Found::Closed => {
                    self.closed = true;
                    return Ok(Some(Event::End));
                }
            }
        }
    }

    /// What the attachments hold, as far as they were received.
    fn attachment(&mut self) -> Result<Option<Event>, Fault> {
        let Current::Attachments(nested) = &mut self.current else { return Ok(None) };
        let Some(found) = nested.multipart.next()? else { return Ok(None) };
        Ok(match found {
            Found::Part(headers) => {
                if headers.content_type().is_none() {
                    return Err(Fault::new(code::INVALID_CONTENT_TYPE, "attachment without a content type"));
                }
                self.attachment_count = self.attachment_count.saturating_add(1);
                if self.attachment_count > self.limits.attachments {
                    return Err(Fault::new(code::INVALID_MESSAGE, "too many attachments"));
                }
                Some(Event::Attachment(headers))
            }
            Found::Piece(piece) => Some(Event::Body(piece)),
            Found::PartEnd => Some(Event::BodyEnd),
            Found::Closed => {
                nested.closed = true;
                None
            }
        })
    }

    /// Decides whether this part may stand here, and how it is read.
    fn begin(&mut self, headers: PartHeaders) -> Result<(), Fault> {
        let content_type = headers
            .content_type()
            .ok_or_else(|| Fault::new(code::INVALID_CONTENT_TYPE, "part without a content type"))?;
        if self.state == State::Done {
            return Err(Fault::new(code::INVALID_MESSAGE, "a part behind the signature or fault"));
        }
        let foreign = || {
            Fault::new(
                code::INVALID_CONTENT_TYPE,
                format!("part of type '{}' may not stand here", shown(content_type)),
            )
        };
        let kind = PartKind::of(content_type).ok_or_else(foreign)?;
        let limits = &self.limits;
        let (next, limit) = match (self.state, kind, self.direction) {
            (State::Start, PartKind::Ocsp, _) => {
                self.ocsp_count += 1;
                if self.ocsp_count > limits.ocsp_count {
                    return Err(Fault::new(code::INVALID_MESSAGE, "too many OCSP responses"));
                }
                (State::Start, limits.ocsp)
            }
            (State::Start, PartKind::RestRequest, Direction::Request)
            | (State::Start, PartKind::RestResponse, Direction::Response) => {
                self.message = Some(kind);
                (State::AfterRest, limits.blob)
            }
            (State::Start, PartKind::Soap, _) => (State::AfterSoap, limits.soap),
            (State::AfterRest, PartKind::RestBody, _) => {
                self.state = State::Tail;
                self.current = Current::Streamed;
                return Ok(());
            }
            (State::AfterSoap, PartKind::Attachments, _) => {
                let multipart = Multipart::new(ContentType::parse(content_type)?.boundary()?);
                self.state = State::Tail;
                self.current = Current::Attachments(Box::new(Nested { multipart, closed: false }));
                return Ok(());
            }
            (State::AfterRest | State::AfterSoap | State::Tail, PartKind::HashChainResult, _) => {
                (State::ExpectChain, limits.evidence)
            }
            (State::ExpectChain, PartKind::HashChain, _) => (State::ExpectSignature, limits.evidence),
            (
                State::AfterRest | State::AfterSoap | State::Tail | State::ExpectSignature,
                PartKind::Signature,
                _,
            ) => (State::Done, limits.evidence),
            // Whatever stands in the place of the signature and is text must be a fault.
            (
                State::AfterRest
                | State::AfterSoap
                | State::Tail
                | State::ExpectChain
                | State::ExpectSignature,
                PartKind::Soap,
                _,
            ) => (State::Done, limits.fault),
            _ => return Err(foreign()),
        };
        self.state = next;
        let kind = if next == State::Done && kind == PartKind::Soap { PartKind::Fault } else { kind };
        self.current = Current::Gathered { kind, headers, limit, bytes: Gathered::default() };
        Ok(())
    }

    fn complete(&mut self, kind: PartKind, headers: PartHeaders, bytes: Bytes) -> Result<Event, Fault> {
        Ok(match kind {
            PartKind::Ocsp => {
                if !is_one_der_sequence(&bytes) {
                    return Err(Fault::new(code::IO_ERROR, "an OCSP part is not DER"));
                }
                Event::Ocsp(bytes)
            }
            PartKind::HashChainResult => Event::HashChainResult(bytes),
            PartKind::HashChain => Event::HashChain(bytes),
            PartKind::Signature => {
                self.signed = true;
                Event::Signature(bytes)
            }
            PartKind::Soap => match Envelope::parse(bytes)? {
                Envelope::Fault(fault) => self.fault(fault),
                Envelope::Message(message) => {
                    self.message = Some(kind);
                    Event::Soap { headers, message }
                }
            },
            PartKind::Fault => match Envelope::parse(bytes)? {
                Envelope::Fault(fault) => self.fault(fault),
                Envelope::Message(_) => {
                    return Err(Fault::new(code::INVALID_MESSAGE, "a message in the place of the signature"));
                }
            },
            // Streamed, or refused in `begin`.
            PartKind::RestRequest | PartKind::RestResponse | PartKind::RestBody | PartKind::Attachments => {
                Event::Rest(bytes)
            }
        })
    }

    fn fault(&mut self, fault: SoapFault) -> Event {
        // A fault in the place of the message may be followed by a signature, which nobody looks at.
        self.faulty = true;
        Event::Fault(fault)
    }
}

fn decoding(fault: Fault) -> Fault {
    fault.within(code::SERVICE_FAILED)
}

fn too_large(kind: PartKind) -> Fault {
    Fault::new(code::INVALID_MESSAGE, format!("part of type '{}' is too large", kind.content_type()))
}

/// Foreign text in a message of ours: short, and nothing but printable ASCII.
fn shown(text: &str) -> String {
    text.chars().filter(|character| matches!(character, ' '..='~')).take(80).collect()
}

/// Whether the bytes are exactly one DER SEQUENCE, by its outer tag and length.
fn is_one_der_sequence(bytes: &[u8]) -> bool {
    let (length, header) = match bytes {
        [0x30, length, ..] if *length < 0x80 => (usize::from(*length), 2),
        [0x30, 0x81, length, ..] => (usize::from(*length), 3),
        [0x30, 0x82, high, low, ..] => (usize::from(*high) << 8 | usize::from(*low), 4),
        [0x30, 0x83, high, middle, low, ..] => {
            (usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low), 5)
        }
        _ => return false,
    };
    // The shortest form of a length is the only one that DER allows.
    let shortest = match length {
        0..=0x7f => 2,
        0x80..=0xff => 3,
        0x100..=0xffff => 4,
        _ => 5,
    };
    header == shortest && bytes.len().checked_sub(header) == Some(length)
}
