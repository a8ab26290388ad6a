//! Messages of information systems: plain or `multipart/related`, read and written in pieces (§2.4, §2.5).

use bytes::Bytes;
use memchr::memmem::Finder;

use super::binding::{Carriage, is_soap};
use super::{Envelope, SoapFault, SoapMessage};
use crate::fault::{Fault, code};
use crate::mime::{Found, Gathered, Multipart, PartHeaders};

/// Who sent a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sender {
    /// A client that calls.
    Client,
    /// A provider that answers.
    Provider,
}

/// How much is taken. The bodies of attachments are streamed and have no limit here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The SOAP message, in octets (§4.6).
    pub soap: usize,
    /// How many attachments.
    pub attachments: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { soap: 10 * 1024 * 1024, attachments: 1000 }
    }
}

/// What was read, in the order of the message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The message itself; always first.
    Message {
        /// The headers of its part. Of a plain message, the content type of the whole.
        headers: PartHeaders,
        /// The message.
        message: Box<SoapMessage>,
    },
    /// A fault in the place of the message. What follows it counts for nothing.
    Fault(SoapFault),
    /// The next attachment begins.
    Attachment(PartHeaders),
    /// A piece of its body, a slice of what was pushed.
    Body(Bytes),
    /// The attachment is complete.
    BodyEnd,
    /// The message is complete.
    End,
}

#[derive(Debug)]
enum Source {
    Plain { content_type: String },
    Related(Box<Multipart>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The message was not read yet.
    Start,
    /// In the message.
    Message,
    /// Between attachments.
    Tail,
    /// In an attachment.
    Attachment,
    /// Behind a fault, or complete.
    Done,
}

/// Reads what an information system sent. Nested multiparts stay whole: the attachments are the parts of
/// the outermost one.
#[derive(Debug)]
pub struct SoapDecoder {
    source: Source,
    sender: Sender,
    limits: Limits,
    state: State,
    headers: PartHeaders,
    gathered: Gathered,
    attachments: usize,
}

impl SoapDecoder {
    /// Begins to read a body of this content type.
    ///
    /// # Errors
    /// `invalid_content_type` as of [`Carriage::of`]; without a content type, that of providers, and of
    /// clients `invalid_request`.
    pub fn new(content_type: Option<&str>, sender: Sender, limits: Limits) -> Result<Self, Fault> {
        let Some(content_type) = content_type.filter(|value| !value.is_empty()) else {
            let code = match sender {
                Sender::Client => code::INVALID_REQUEST,
                Sender::Provider => code::INVALID_CONTENT_TYPE,
            };
            return Err(Fault::new(code, "message without a content type"));
        };
        let source = match Carriage::of(content_type)? {
            Carriage::Plain => Source::Plain { content_type: content_type.to_owned() },
            Carriage::Related { boundary } => Source::Related(Box::new(Multipart::new(&boundary))),
        };
        Ok(Self {
            source,
            sender,
            limits,
            state: State::Start,
            headers: PartHeaders::default(),
            gathered: Gathered::default(),
            attachments: 0,
        })
    }

    /// Whether the message is carried as a multipart; it stays one, even with nothing in it but the
    /// message.
    pub fn is_multipart(&self) -> bool {
        matches!(self.source, Source::Related(_))
    }

    /// Takes more octets of the body. They are looked at by [`next`](Self::next), which the caller calls
    /// until it has nothing more to give.
    pub fn push(&mut self, octets: Bytes) {
        match &mut self.source {
            // One octet more than the limit is enough to refuse it later.
            Source::Plain { .. } => self.gathered.push_up_to(octets, self.limits.soap.saturating_add(1)),
            Source::Related(multipart) => multipart.push(octets),
        }
    }

    /// Says that no more octets will come. What is left comes out of [`next`](Self::next); it ends with
    /// [`Event::End`], or with [`Event::Fault`].
    ///
    /// # Errors
    /// As of [`next`](Self::next).
    pub fn finish(&mut self) -> Result<(), Fault> {
        match &mut self.source {
            Source::Related(multipart) => multipart.end(),
            Source::Plain { content_type } => {
                if self.state == State::Start {
                    self.headers = PartHeaders::new(content_type)?;
                    self.state = State::Message;
                }
            }
        }
        Ok(())
    }

    /// The next thing read; none until more is pushed, and after the end.
    ///
    /// # Errors
    /// The rejections of [`Envelope::parse`]; `invalid_content_type` for a part without content type, or
    /// a first part that is no SOAP message; `missing_soap` of a client, `invalid_message` of a provider,
    /// when there is no part at all; `mime_parsing_failed`; `invalid_message` beyond a limit. The decoder
    /// must not be used after an error.
    #[expect(clippy::should_implement_trait, reason = "it can fail, and goes on after more was pushed")]
    pub fn next(&mut self) -> Result<Option<Event>, Fault> {
        let Source::Related(multipart) = &mut self.source else {
            return match self.state {
                State::Message => self.message().map(Some),
                State::Tail => {
                    self.state = State::Done;
                    Ok(Some(Event::End))
                }
                _ => Ok(None),
            };
        };
        if self.state == State::Done {
            return Ok(None);
        }
        loop {
            let Some(found) = multipart.next()? else { return Ok(None) };
            match (found, self.state) {
                (Found::Part(headers), State::Start) => {
                    if !is_soap(content_type(&headers)?) {
                        return Err(Fault::new(
                            code::INVALID_CONTENT_TYPE,
                            "the first part is not of a SOAP message's type",
                        ));
                    }
                    self.headers = headers;
                    self.state = State::Message;
                }
                (Found::Part(headers), _) => {
                    content_type(&headers)?;
                    self.attachments = self.attachments.saturating_add(1);
                    if self.attachments > self.limits.attachments {
                        return Err(Fault::new(code::INVALID_MESSAGE, "too many attachments"));
                    }
                    self.state = State::Attachment;
                    return Ok(Some(Event::Attachment(headers)));
                }
                (Found::Piece(piece), State::Message) => {
                    if self.gathered.len().saturating_add(piece.len()) > self.limits.soap {
                        return Err(too_large());
                    }
                    self.gathered.push(piece);
                }
                (Found::Piece(piece), _) => return Ok(Some(Event::Body(piece))),
                (Found::PartEnd, State::Message) => return self.message().map(Some),
                (Found::PartEnd, _) => {
                    self.state = State::Tail;
                    return Ok(Some(Event::BodyEnd));
                }
                (Found::Closed, State::Start) => {
                    let code = match self.sender {
                        Sender::Client => code::MISSING_SOAP,
                        Sender::Provider => code::INVALID_MESSAGE,
                    };
                    return Err(Fault::new(code, "multipart message without a SOAP message"));
                }
                (Found::Closed, _) => {
                    self.state = State::Done;
                    return Ok(Some(Event::End));
                }
            }
        }
    }

    fn message(&mut self) -> Result<Event, Fault> {
        if self.gathered.len() > self.limits.soap {
            return Err(too_large());
        }
        match Envelope::parse(std::mem::take(&mut self.gathered).finish())? {
            Envelope::Message(message) => {
                if self.sender == Sender::Client {
                    message.check_client_type()?;
                }
                self.state = State::Tail;
                Ok(Event::Message { headers: std::mem::take(&mut self.headers), message })
            }
            Envelope::Fault(fault) => {
                self.state = State::Done;
                Ok(Event::Fault(fault))
            }
        }
    }
}

fn content_type(headers: &PartHeaders) -> Result<&str, Fault> {
    headers
        .content_type()
        .ok_or_else(|| Fault::new(code::INVALID_CONTENT_TYPE, "part without a content type"))
}

fn too_large() -> Fault {
    Fault::new(code::INVALID_MESSAGE, "the SOAP message is too large")
}

/// Writes a `multipart/related` body with the boundary that its content type names already.
///
/// What goes out is the text of [`part`](Self::part), then the part's body, and so on for every part, then
/// the text of [`end`](Self::end). The boundary was chosen by somebody else, so every body must pass
/// [`check`](Self::check).
#[derive(Debug)]
pub struct RelatedEncoder {
    boundary: String,
    begun: bool,
    delimiter: Finder<'static>,
    /// The end of what was checked, with the line break before the body.
    tail: Vec<u8>,
}

impl RelatedEncoder {
    /// For this boundary; see [`Carriage::Related`].
    pub fn new(boundary: &str) -> Self {
        let delimiter = Finder::new(&format!("--{boundary}")).into_owned();
        Self { boundary: boundary.to_owned(), begun: false, delimiter, tail: Vec::new() }
    }

    /// What stands before the body of the next part.
    pub fn part(&mut self, headers: &PartHeaders) -> Vec<u8> {
        let mut text = Vec::with_capacity(256);
        if std::mem::replace(&mut self.begun, true) {
            text.extend_from_slice(b"\r\n");
        }
        for piece in ["--", &self.boundary, "\r\n"] {
            text.extend_from_slice(piece.as_bytes());
        }
        headers.write(":", &mut text);
        self.tail = b"\n".to_vec();
        text
    }

    /// Looks at the next piece of a body. A body that holds the boundary at the beginning of a line would
    /// be taken apart by the receiver: it would see parts that nobody signed.
    ///
    /// # Errors
    /// `invalid_content_type`, as the boundary is wrong for the message.
    pub fn check(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let needle = self.delimiter.needle().len();
        let seam = [self.tail.as_slice(), piece.get(..piece.len().min(needle)).unwrap_or_default()].concat();
        if self.occurs(&seam) || self.occurs(piece) {
            return Err(Fault::new(code::INVALID_CONTENT_TYPE, "a part holds the boundary of its message"));
        }
        self.tail = if piece.len() >= needle { tail(piece, needle) } else { tail(&seam, needle) };
        Ok(())
    }

    /// What stands behind the body of the last part.
    pub fn end(self) -> Vec<u8> {
        format!("\r\n--{}--\r\n", self.boundary).into_bytes()
    }

    fn occurs(&self, octets: &[u8]) -> bool {
        self.delimiter.find_iter(octets).any(|at| {
            at.checked_sub(1)
                .and_then(|before| octets.get(before))
                .is_some_and(|octet| b"\r\n".contains(octet))
        })
    }
}

/// The last octets, at most `length`.
fn tail(octets: &[u8], length: usize) -> Vec<u8> {
    octets.get(octets.len().saturating_sub(length)..).unwrap_or_default().to_vec()
}
