//! How messages travel between two security servers on port 5500.
//!
//! Messages and transport §4.4 to §4.7: HTTP heads, the multipart body in both directions, and faults.
//! Nothing here owns a socket. Bytes go in as they arrive and come out as parts; the small parts whole
//! and bounded, the body in slices of what came in. What is written has exactly the framing that the
//! reference product writes, so that decoding and encoding again gives the same bytes.
//!
//! SOAP messages come out read and checked, since it takes reading them to tell a message from a fault.

mod decoder;
mod encoder;
mod fault;
mod head;
mod version;

pub use crate::mime::{ContentType, PartHeaders};
pub use decoder::{Decoder, Direction, Event, Limits};
pub use encoder::{Encoder, boundary_from};
pub use fault::write_fault;
pub use head::{
    CONTENT_TYPE, FAULT_CONTENT_TYPE, HASH_ALGORITHM, MESSAGE_TYPE, MESSAGE_TYPE_REST, MessageType,
    ORIGINAL_CONTENT_TYPE, ORIGINAL_SOAP_ACTION, OUR_PROXY_VERSION, PROXY_VERSION, REQUEST_ID, RequestHead,
    ResponseHead, SOAP_ACTION,
};
pub use version::{ProxyVersion, check_proxy_version};

/// The kinds of parts of a message, by content type (§4.4.3, §4.5.3).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PartKind {
    /// One OCSP response for the sender's TLS chain, in DER.
    Ocsp,
    /// The signed head of a REST request.
    RestRequest,
    /// The signed head of a REST response.
    RestResponse,
    /// The body of a REST message.
    RestBody,
    /// A SOAP message.
    Soap,
    /// The nested multipart with the attachments of a SOAP message.
    Attachments,
    /// The result document of a hash chain.
    HashChainResult,
    /// The hash chain document.
    HashChain,
    /// The signature document.
    Signature,
    /// A SOAP fault.
    Fault,
}

impl PartKind {
    /// The content type that we write for the part.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Ocsp => "application/ocsp-response",
            Self::RestRequest => "application/x-road-rest-request",
            Self::RestResponse => "application/x-road-rest-response",
            Self::RestBody => "application/x-road-rest-body",
            Self::Soap | Self::Fault => "text/xml; charset=UTF-8",
            Self::Attachments => "multipart/mixed; charset=UTF-8",
            Self::HashChainResult => "application/hash-chain-result",
            Self::HashChain => "application/hash-chain",
            Self::Signature => "signature/bdoc-1.0/ts",
        }
    }

    /// The kind of a received content type. A fault looks like a SOAP message until it is read.
    fn of(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim_matches([' ', '\t']);
        [
            (Self::Ocsp, "application/ocsp-response"),
            (Self::RestRequest, "application/x-road-rest-request"),
            (Self::RestResponse, "application/x-road-rest-response"),
            (Self::RestBody, "application/x-road-rest-body"),
            (Self::Soap, "text/xml"),
            (Self::Soap, "application/xop+xml"),
            (Self::Attachments, "multipart/mixed"),
            (Self::HashChainResult, "application/hash-chain-result"),
            (Self::HashChain, "application/hash-chain"),
            (Self::Signature, "signature/bdoc-1.0/ts"),
        ]
        .into_iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(essence))
        .map(|(kind, _)| kind)
    }
}

#[cfg(test)]
mod tests;
