//! Attachments on their way through: taken as they come in, sent on, and kept for the log.
//!
//! The body of a REST message is its one attachment. What information systems send is read here; what
//! other security servers send is read by [`Inlet`](super::message::Inlet).

use std::future::Future;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, Origin, code};
use protocol::soap::{Event, Sender, SoapDecoder, SoapFault, SoapMessage};
use protocol::transport::PartHeaders;

use super::framing::{Attachment, Framing};
use super::message::{WHOLE, spool_failed};
use super::refusal::Refusal;
use super::spool::{Keep, Spool};

/// Least room that is counted for an attachment, however small it is.
const LEAST: usize = 256;

/// Gives the octets of an HTTP body.
pub(crate) trait Input: Send {
    /// The next octets; none at the end of the body.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Refusal>> + Send;
}

/// Takes what is written to another security server.
pub(super) trait Sink: Send {
    /// Sends octets on.
    fn put(&mut self, octets: Bytes) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// What an information system sends behind the head of its message.
pub(super) enum Content {
    /// An attachment begins; without headers, the body of a REST message.
    Attachment(Option<PartHeaders>),
    /// More of it.
    Piece(Bytes),
}

/// The message that a SOAP system sent.
pub(super) enum SoapRead {
    /// A request or response, with the headers of its part.
    Message(PartHeaders, Box<SoapMessage>),
    /// A fault.
    Fault(SoapFault),
}

/// Reads what an information system sends.
pub(super) struct Source<I> {
    input: I,
    kind: Kind,
}

enum Kind {
    /// There is nothing to read.
    Nothing,
    /// A REST body that has not begun; an empty one counts if `even_empty`.
    Body { even_empty: bool },
    /// A REST body that has begun; `first` waits in front of the rest.
    BodyRest { first: Option<Bytes> },
    /// SOAP.
    Soap { decoder: Box<SoapDecoder>, sender: Sender, ended: bool },
}

impl<I: Input> Source<I> {
    /// A message without body.
    pub(super) fn nothing(input: I) -> Self {
        Self { input, kind: Kind::Nothing }
    }

    /// The body of a REST message; with `even_empty`, there is one even if it has no octets.
    pub(super) fn body(input: I, even_empty: bool) -> Self {
        Self { input, kind: Kind::Body { even_empty } }
    }

    /// A SOAP message with its attachments.
    pub(super) fn soap(input: I, decoder: SoapDecoder, sender: Sender) -> Self {
        Self { input, kind: Kind::Soap { decoder: Box::new(decoder), sender, ended: false } }
    }

    /// The SOAP message itself, which stands before the attachments.
    ///
    /// # Errors
    /// `client.…` what is wrong with a client's message, `service_failed.…` with a provider's.
    pub(super) async fn message(&mut self) -> Result<SoapRead, Refusal> {
        match self.event().await? {
            Some(Event::Message { headers, message }) => Ok(SoapRead::Message(headers, message)),
            Some(Event::Fault(fault)) => Ok(SoapRead::Fault(fault)),
            // The decoder keeps the order.
            _ => Err(Fault::new(code::MISSING_SOAP, "no SOAP message").into()),
        }
    }

    /// The next part of the attachments; none behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Content>, Refusal> {
        match &mut self.kind {
            Kind::Nothing => Ok(None),
            Kind::Body { even_empty } => {
                let first = if *even_empty { None } else { self.input.next().await? };
                let begins = *even_empty || first.is_some();
                self.kind = if begins { Kind::BodyRest { first } } else { Kind::Nothing };
                Ok(begins.then_some(Content::Attachment(None)))
            }
            Kind::BodyRest { first } => match first.take() {
                Some(first) => Ok(Some(Content::Piece(first))),
                None => Ok(self.input.next().await?.map(Content::Piece)),
            },
            Kind::Soap { .. } => loop {
                match self.event().await? {
                    Some(Event::Attachment(headers)) => return Ok(Some(Content::Attachment(Some(headers)))),
                    Some(Event::Body(piece)) => return Ok(Some(Content::Piece(piece))),
                    Some(Event::BodyEnd) => {}
                    Some(Event::End | Event::Message { .. } | Event::Fault(_)) | None => return Ok(None),
                }
            },
        }
    }

    async fn event(&mut self) -> Result<Option<Event>, Refusal> {
        let Kind::Soap { decoder, sender, ended } = &mut self.kind else { return Ok(None) };
        let refused = |fault: Fault| match sender {
            Sender::Client => fault.from_origin(Origin::Client),
            Sender::Provider => fault.within(code::SERVICE_FAILED),
        };
        loop {
            if let Some(event) = decoder.next().map_err(refused)? {
                return Ok(Some(event));
            }
            if *ended {
                return Ok(None);
            }
            match self.input.next().await? {
                Some(octets) => decoder.push(octets),
                None => {
                    *ended = true;
                    decoder.finish().map_err(refused)?;
                }
            }
        }
    }
}

/// The attachments of a message, or their beginning.
pub(super) struct Taken {
    parts: Vec<(Option<PartHeaders>, Vec<Bytes>)>,
    is_whole: bool,
}

impl Taken {
    /// Takes everything, or the beginning if it is more than [`WHOLE`].
    pub(super) async fn from<I: Input>(source: &mut Source<I>) -> Result<Self, Refusal> {
        let mut parts: Vec<(Option<PartHeaders>, Vec<Bytes>)> = Vec::new();
        let mut length = 0;
        while length <= WHOLE {
            match source.next().await? {
                Some(Content::Attachment(headers)) => {
                    length += headers.as_ref().map_or(0, |_| LEAST);
                    parts.push((headers, Vec::new()));
                }
                Some(Content::Piece(piece)) => {
                    length += piece.len();
                    if let Some((_, pieces)) = parts.last_mut() {
                        pieces.push(piece);
                    }
                }
                None => return Ok(Self { parts, is_whole: true }),
            }
        }
        Ok(Self { parts, is_whole: false })
    }

    /// Whether nothing follows.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The attachments, hashed and in memory.
    pub(super) fn into_attachments(self, folder: &Path) -> Result<Vec<Attachment>, Refusal> {
        let mut spool = Spool::new(DigestAlgorithm::Sha512, Keep::Whole);
        let mut attachments = Vec::with_capacity(self.parts.len());
        for (headers, pieces) in self.parts {
            for piece in pieces {
                spool.push(piece, folder).map_err(spool_failed)?;
            }
            attachments.push(Attachment { headers, body: spool.complete() });
        }
        Ok(attachments)
    }
}

/// A long message on its way to another security server.
pub(super) struct Passage<'a, S> {
    framing: Framing,
    sink: S,
    spool: Spool,
    folder: &'a Path,
    /// Framing that goes out with the next octets.
    text: BytesMut,
    attachments: Vec<Attachment>,
    /// Headers of the attachment that is passing, if one is.
    passing: Option<Option<PartHeaders>>,
}

impl<'a, S: Sink> Passage<'a, S> {
    /// `beginning` is what stands before the attachments. The log will take `limit` octets of each.
    pub(super) fn new(framing: Framing, beginning: BytesMut, sink: S, limit: u64, folder: &'a Path) -> Self {
        Self {
            framing,
            sink,
            spool: Spool::new(DigestAlgorithm::Sha512, Keep::ForTheLog(limit)),
            folder,
            text: beginning,
            attachments: Vec::new(),
            passing: None,
        }
    }

    /// Sends on what was taken and what comes behind it.
    pub(super) async fn run<I: Input>(
        &mut self,
        taken: Taken,
        source: &mut Source<I>,
    ) -> Result<(), Refusal> {
        for (headers, pieces) in taken.parts {
            self.begin(headers);
            for piece in pieces {
                self.piece(piece).await?;
            }
        }
        while let Some(content) = source.next().await? {
            match content {
                Content::Attachment(headers) => self.begin(headers),
                Content::Piece(piece) => self.piece(piece).await?,
            }
        }
        self.end();
        Ok(())
    }

    fn begin(&mut self, headers: Option<PartHeaders>) {
        self.end();
        self.framing.attachment(headers.as_ref(), &mut self.text);
        self.passing = Some(headers);
    }

    async fn piece(&mut self, piece: Bytes) -> Result<(), Refusal> {
        if !self.text.is_empty() {
            self.sink.put(self.text.split().freeze()).await?;
        }
        self.spool.push(piece.clone(), self.folder).map_err(spool_failed)?;
        self.sink.put(piece).await
    }

    fn end(&mut self) {
        if let Some(headers) = self.passing.take() {
            self.attachments.push(Attachment { headers, body: self.spool.complete() });
        }
    }

    /// The framing with what of it was not sent yet, and the attachments.
    pub(super) fn finish(self) -> (Framing, BytesMut, Vec<Attachment>) {
        (self.framing, self.text, self.attachments)
    }
}
