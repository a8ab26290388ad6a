//! Multipart messages for information systems, put together while their parts are read (messages and
//! transport §2.5, §2.8).
//!
//! The boundary is the one in the content type that the sender of the message was sent, so it is not ours
//! to choose: everything that is to stand between two of them is looked through.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use protocol::fault::{Fault, code};
use protocol::soap::{Carriage, RelatedEncoder};
use protocol::transport::PartHeaders;

use super::framing::Attachment;
use super::message::WHOLE;
use crate::http::Outgoing;

/// How a SOAP message is carried to an information system.
pub(super) enum Related {
    /// The body is the message.
    Plain,
    /// The parts stand in a multipart.
    Multipart(Box<Parts>),
}

/// What stands before each part, and the state of the writer.
pub(super) struct Parts {
    encoder: RelatedEncoder,
    texts: Vec<Vec<u8>>,
}

impl Related {
    /// By the content type that the message was sent with at first.
    ///
    /// # Errors
    /// `invalid_content_type`.
    pub(super) fn new(content_type: &str) -> Result<Self, Fault> {
        Ok(match Carriage::of(content_type)? {
            Carriage::Plain => Self::Plain,
            Carriage::Related { boundary } => Self::Multipart(Box::new(Parts {
                encoder: RelatedEncoder::new(&boundary),
                texts: Vec::new(),
            })),
        })
    }

    /// The message itself.
    pub(super) fn message(&mut self, headers: &PartHeaders, octets: &[u8]) -> Result<(), Fault> {
        let Self::Multipart(parts) = self else { return Ok(()) };
        parts.texts.push(parts.encoder.part(headers));
        parts.encoder.check(octets)
    }

    /// An attachment begins.
    ///
    /// # Errors
    /// `invalid_content_type` in a plain message, which cannot carry it.
    pub(super) fn attachment(&mut self, headers: &PartHeaders) -> Result<(), Fault> {
        let Self::Multipart(parts) = self else {
            let text = "a message that was not sent as multipart/related has an attachment";
            return Err(Fault::new(code::INVALID_CONTENT_TYPE, text));
        };
        parts.texts.push(parts.encoder.part(headers));
        Ok(())
    }

    /// More of an attachment.
    pub(super) fn piece(&mut self, piece: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Plain => Ok(()),
            Self::Multipart(parts) => parts.encoder.check(piece),
        }
    }

    /// The body of the message; none if an attachment was not kept.
    pub(super) fn into_body(self, message: Bytes, attachments: Vec<Attachment>) -> Option<Outgoing> {
        let Self::Multipart(parts) = self else { return Some(message.into()) };
        let Parts { encoder, texts } = *parts;
        let ending = encoder.end();
        let framing = texts.iter().map(Vec::len).sum::<usize>() + ending.len();
        let in_memory: Option<Vec<Bytes>> =
            attachments.iter().map(|attachment| attachment.body.in_memory().cloned()).collect();
        if let Some(bodies) = in_memory {
            let length = framing + message.len() + bodies.iter().map(Bytes::len).sum::<usize>();
            if length <= 2 * WHOLE {
                // One write; what is copied is bounded.
                let mut whole = BytesMut::with_capacity(length);
                for (text, body) in texts.iter().zip([message].iter().chain(&bodies)) {
                    whole.extend_from_slice(text);
                    whole.extend_from_slice(body);
                }
                whole.extend_from_slice(&ending);
                return Some(whole.freeze().into());
            }
        }
        let mut bodies = VecDeque::with_capacity(2 * texts.len() + 1);
        let parts = attachments.into_iter().map(|attachment| attachment.body.into_outgoing());
        for (text, body) in texts.into_iter().zip([Some(message.into())].into_iter().chain(parts)) {
            bodies.push_back(Bytes::from(text).into());
            bodies.push_back(body?);
        }
        bodies.push_back(Bytes::from(ending).into());
        Some(Outgoing::Sequence(bodies))
    }
}
