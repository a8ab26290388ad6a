//! SOAP messages: message protocol 4.0.
//!
//! Messages and transport §2. A message is read once, from the octets that were signed, and these octets
//! never change: what is asked of a [`SoapMessage`] was found in them, and they are what is hashed and
//! passed on. The one thing that is ever written into a message is the hash of its request, and that
//! makes a new message ([`SoapMessage::with_request_hash`]).
//!
//! Faults carry leaf codes; the caller puts the origin and groups before them.

mod binding;
mod fault;
mod header;
mod mime;
mod read;
mod respond;
mod text;

use bytes::Bytes;

pub use binding::{Carriage, PLAIN_CONTENT_TYPE, check_action, client_content_type, provider_content_type};
pub use fault::SoapFault;
pub use header::{RepresentedParty, RequestHash};
pub use mime::{Event, Limits, RelatedEncoder, Sender, SoapDecoder};

use self::header::Header;
use self::text::Text;
use crate::digest::{Digest, DigestAlgorithm};
use crate::fault::{Fault, code};
use crate::id::{ClientId, SecurityServerId, ServiceId};

/// Namespace of SOAP 1.1 envelopes.
pub const ENVELOPE_NAMESPACE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Namespace of the header blocks and of the metadata services.
pub const XROAD_NAMESPACE: &str = "http://x-road.eu/xsd/xroad.xsd";
/// Namespace of the parts of identifiers.
pub const IDENTIFIERS_NAMESPACE: &str = "http://x-road.eu/xsd/identifiers";
/// Namespace of the header block `representedParty`.
pub const REPRESENTATION_NAMESPACE: &str = "http://x-road.eu/xsd/representation.xsd";
/// Namespace of the header block `securityToken`.
pub const SECURITY_TOKEN_NAMESPACE: &str = "http://x-road.eu/xsd/security-token.xsd";

/// What a SOAP envelope is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Envelope {
    /// A request or response with its header blocks.
    Message(Box<SoapMessage>),
    /// A fault, which needs no header blocks.
    Fault(SoapFault),
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// The rejections of §2.2: `invalid_soap`, `duplicate_header_field`, `invalid_protocol_version`,
    /// `invalid_xml`, `missing_header`, `missing_header_field`, `missing_body`, `invalid_body`,
    /// `inconsistent_headers`.
    pub fn parse(octets: Bytes) -> Result<Self, Fault> {
        read::read(octets)
    }
}

/// A SOAP message that keeps all rules of §2.2.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SoapMessage {
    octets: Bytes,
    text: Text,
    header: Header,
    places: Places,
    wrapper_namespace: String,
    wrapper: String,
    is_rpc: bool,
}

/// Where things stand in the text of a message, in octets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Places {
    /// The start tag of `id`.
    id_tag: std::ops::Range<usize>,
    /// Behind the end of `id`.
    id_end: usize,
    /// White space before the first header block.
    indentation: std::ops::Range<usize>,
    /// `requestHash`, without the white space before it.
    request_hash: Option<std::ops::Range<usize>>,
    /// Behind the end of the header.
    header_end: usize,
    /// The one child of the body.
    wrapper: std::ops::Range<usize>,
}

impl SoapMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// As [`Envelope::parse`]; `invalid_message` when it is a fault.
    pub fn parse(octets: Bytes) -> Result<Self, Fault> {
        match Envelope::parse(octets)? {
            Envelope::Message(message) => Ok(*message),
            Envelope::Fault(_) => Err(Fault::new(code::INVALID_MESSAGE, "a fault in the place of a message")),
        }
    }

    /// The octets of `/message.xml`, as they came.
    pub fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// Who calls.
    pub fn client(&self) -> &ClientId {
        &self.header.client
    }

    /// What is called.
    pub fn service(&self) -> &ServiceId {
        &self.header.service
    }

    /// The one server that the client wants the request to go to.
    pub fn security_server(&self) -> Option<&SecurityServerId> {
        self.header.security_server.as_ref()
    }

    /// The message id.
    pub fn id(&self) -> &str {
        &self.header.id
    }

    /// The person in whose name the client calls. Present and empty is not the same as absent.
    pub fn user_id(&self) -> Option<&str> {
        self.header.user_id.as_deref()
    }

    /// The matter that the request belongs to.
    pub fn issue(&self) -> Option<&str> {
        self.header.issue.as_deref()
    }

    /// In whose place the client calls.
    pub fn represented_party(&self) -> Option<&RepresentedParty> {
        self.header.represented_party.as_ref()
    }

    /// The protocol version; it begins with `4.`.
    pub fn protocol_version(&self) -> &str {
        &self.header.protocol_version
    }

    /// The hash of the request that this message says it answers.
    pub fn request_hash(&self) -> Option<&RequestHash> {
        self.header.request_hash.as_ref()
    }

    /// Whether the envelope has the RPC encoding style. It changes nothing.
    pub fn is_rpc(&self) -> bool {
        self.is_rpc
    }

    /// Whether the body is a response by its name (§2.3).
    pub fn is_response(&self) -> bool {
        self.wrapper.ends_with("Response")
    }

    /// Namespace and local name of the one element in the body.
    pub fn wrapper(&self) -> (&str, &str) {
        (&self.wrapper_namespace, &self.wrapper)
    }

    /// The one element in the body, in UTF-8, as it stands. Its namespaces may be declared outside of it.
    pub fn wrapper_octets(&self) -> Bytes {
        self.text.octets.slice(self.places.wrapper.clone())
    }

    /// The text of the whole envelope in UTF-8, without a byte order mark.
    pub fn text(&self) -> &Bytes {
        &self.text.octets
    }

    /// The digest that a response to this message carries (§2.6): SHA-512 of its octets. It is that of
    /// `/message.xml`, so whoever has that needs no second one.
    pub fn digest(&self) -> Digest {
        DigestAlgorithm::Sha512.digest(&self.octets)
    }

    /// Refuses a client identifier whose type contradicts its parts, as the consumer's server does with
    /// its own clients (§1.2). Such messages of peers are taken.
    ///
    /// # Errors
    /// `invalid_client_identifier`.
    pub fn check_client_type(&self) -> Result<(), Fault> {
        if self.header.client_type_fits {
            return Ok(());
        }
        Err(Fault::new(
            code::INVALID_CLIENT_IDENTIFIER,
            "object type and subsystem code of the client contradict each other",
        ))
    }
}

/// The text of a message in UTF-8, without byte order mark and XML declaration; none when its encoding is
/// not known. For readers of evidence, who also take what [`Envelope::parse`] refuses.
pub(crate) fn undeclared_text(octets: &[u8]) -> Option<Bytes> {
    let text = text::decode(&Bytes::copy_from_slice(octets)).ok()?.octets;
    Some(text.slice(text::declaration_length(&text)..))
}

fn invalid(why: &str) -> Fault {
    Fault::new(code::INVALID_SOAP, why)
}

#[cfg(test)]
mod tests;
