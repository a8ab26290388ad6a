//! Messages between security servers as they are written (messages and transport §4.4.2 to §4.5.3).

use bytes::{Bytes, BytesMut};
use protocol::transport::{Encoder, PartHeaders, PartKind, boundary_from};
use uuid::Uuid;

use super::spool::Spooled;
use crate::ports::Signed;

/// An attachment of a message, or the body of a REST message, that was taken whole.
#[derive(Clone, Debug)]
pub(super) struct Attachment {
    /// What stands before a SOAP attachment; none before a REST body.
    pub(super) headers: Option<PartHeaders>,
    /// Its octets.
    pub(super) body: Spooled,
}

/// The signed part that begins a message.
#[derive(Clone, Copy)]
pub(super) enum Head<'a> {
    /// The blob of a REST request.
    RestRequest(&'a Bytes),
    /// The blob of a REST response.
    RestResponse(&'a Bytes),
    /// A SOAP message with the headers of its part.
    Soap(&'a PartHeaders, &'a Bytes),
}

impl Head<'_> {
    fn octets(&self) -> &Bytes {
        match self {
            Self::RestRequest(octets) | Self::RestResponse(octets) | Self::Soap(_, octets) => octets,
        }
    }
}

/// Makes the framing of one message; the parts themselves pass by.
pub(super) struct Framing {
    encoder: Encoder,
}

impl Framing {
    /// With a fresh boundary.
    pub(super) fn new() -> Self {
        let mut random = [0; 30];
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        for (place, byte) in random.iter_mut().zip(one.as_bytes().iter().chain(other.as_bytes())) {
            *place = *byte;
        }
        Self { encoder: Encoder::new(&boundary_from(&random)) }
    }

    /// The value of `Content-Type` for the whole message.
    pub(super) fn content_type(&self) -> String {
        self.encoder.content_type()
    }

    /// OCSP responses and head.
    pub(super) fn begin(&mut self, ocsp: &[Bytes], head: Head<'_>, to: &mut BytesMut) {
        for response in ocsp {
            to.extend_from_slice(&self.encoder.part(PartKind::Ocsp));
            to.extend_from_slice(response);
        }
        let framing = match head {
            Head::RestRequest(_) => self.encoder.part(PartKind::RestRequest),
            Head::RestResponse(_) => self.encoder.part(PartKind::RestResponse),
            Head::Soap(headers, _) => self.encoder.soap(headers),
        };
        to.extend_from_slice(&framing);
        to.extend_from_slice(head.octets());
    }

    /// What stands before the octets of an attachment, or of a REST body.
    pub(super) fn attachment(&mut self, headers: Option<&PartHeaders>, to: &mut BytesMut) {
        to.extend_from_slice(&match headers {
            Some(headers) => self.encoder.attachment(headers),
            None => self.encoder.part(PartKind::RestBody),
        });
    }

    /// Everything behind the attachments.
    pub(super) fn end(mut self, signed: &Signed, to: &mut BytesMut) {
        let result = signed.hash_chain_result.as_ref().map(|result| (PartKind::HashChainResult, result));
        let chain = signed.hash_chain.as_ref().map(|chain| (PartKind::HashChain, chain));
        let parts = result.into_iter().chain(chain).chain([(PartKind::Signature, &signed.document)]);
        for (kind, octets) in parts {
            to.extend_from_slice(&self.encoder.part(kind));
            to.extend_from_slice(octets);
        }
        to.extend_from_slice(&self.encoder.end());
    }

    /// Ends a message with a fault in the place of the signature, or of everything (§4.7, shapes B and
    /// C). `to` is what was not sent
    /// yet, `octets` the fault as it is written.
    pub(super) fn end_with_fault(mut self, mut to: BytesMut, octets: &[u8]) -> Bytes {
        to.extend_from_slice(&self.encoder.part(PartKind::Fault));
        to.extend_from_slice(octets);
        to.extend_from_slice(&self.encoder.end());
        to.freeze()
    }

    /// A whole message in one piece. What is copied here is bounded by [`WHOLE`](super::message::WHOLE)
    /// and the limits of head and evidence, and saves a system call and a TLS record for each part.
    /// None if an attachment is not in memory.
    pub(super) fn whole(
        mut self,
        ocsp: &[Bytes],
        head: Head<'_>,
        attachments: &[Attachment],
        signed: &Signed,
    ) -> Option<Bytes> {
        let mut length = 1024 + head.octets().len() + signed.document.len() + 4096 * (ocsp.len() + 1);
        for attachment in attachments {
            length += 256 + attachment.body.in_memory()?.len();
        }
        let mut message = BytesMut::with_capacity(length);
        self.begin(ocsp, head, &mut message);
        for attachment in attachments {
            self.attachment(attachment.headers.as_ref(), &mut message);
            message.extend_from_slice(attachment.body.in_memory()?);
        }
        self.end(signed, &mut message);
        Some(message.freeze())
    }
}
