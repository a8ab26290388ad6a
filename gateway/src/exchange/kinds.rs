//! The two messages of an exchange, in either protocol.

use bytes::Bytes;
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::fault::{Fault, code};
use protocol::id::{ClientId, SecurityServerId, ServiceId};
use protocol::message::{RestRequest, RestResponse, request_hash};
use protocol::soap::SoapMessage;
use protocol::transport::{MessageType, PartHeaders};

use super::framing::{Attachment, Head};
use super::refusal::Refusal;

/// A request that is well formed.
#[expect(clippy::large_enum_variant, reason = "most are REST, and there is one for each exchange")]
pub(super) enum RequestMessage {
    /// Over REST.
    Rest(RestRequest),
    /// Over SOAP.
    Soap(Box<SoapRequest>),
}

/// A SOAP request with what the client said over HTTP about it.
pub(super) struct SoapRequest {
    /// The signed message.
    pub(super) message: SoapMessage,
    /// The headers of its part.
    pub(super) headers: PartHeaders,
    /// The client's `Content-Type`.
    pub(super) content_type: String,
    /// The client's `SOAPAction`; it may be empty.
    pub(super) action: String,
}

/// A response that is well formed.
pub(super) enum ResponseMessage {
    /// Over REST.
    Rest(RestResponse),
    /// Over SOAP.
    Soap(Box<SoapResponse>),
}

/// A SOAP response with what the provider said over HTTP about it.
pub(super) struct SoapResponse {
    /// The signed message.
    pub(super) message: SoapMessage,
    /// The headers of its part.
    pub(super) headers: PartHeaders,
    /// The provider's `Content-Type`.
    pub(super) content_type: String,
}

impl RequestMessage {
    pub(super) fn protocol(&self) -> MessageType {
        match self {
            Self::Rest(_) => MessageType::Rest,
            Self::Soap(_) => MessageType::Soap,
        }
    }

    /// The signed octets, `/message.xml`.
    pub(super) fn octets(&self) -> &Bytes {
        match self {
            Self::Rest(request) => request.blob(),
            Self::Soap(request) => request.message.octets(),
        }
    }

    /// The part that begins the message.
    pub(super) fn head(&self) -> Head<'_> {
        match self {
            Self::Rest(request) => Head::RestRequest(request.blob()),
            Self::Soap(request) => Head::Soap(&request.headers, request.message.octets()),
        }
    }

    pub(super) fn client(&self) -> &ClientId {
        match self {
            Self::Rest(request) => request.client(),
            Self::Soap(request) => request.message.client(),
        }
    }

    pub(super) fn service(&self) -> &ServiceId {
        match self {
            Self::Rest(request) => request.service(),
            Self::Soap(request) => request.message.service(),
        }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Rest(request) => request.id(),
            Self::Soap(request) => request.message.id(),
        }
    }

    pub(super) fn security_server(&self) -> Option<&SecurityServerId> {
        match self {
            Self::Rest(request) => request.security_server(),
            Self::Soap(request) => request.message.security_server(),
        }
    }

    /// The query of a call over REST.
    pub(super) fn query(&self) -> Option<&str> {
        match self {
            Self::Rest(request) => request.query(),
            Self::Soap(_) => None,
        }
    }

    /// Puts the group before a failure of the service that peers expect there: over SOAP one, over REST
    /// none (§4.6.3 step 16).
    pub(super) fn of_service(&self, refusal: Refusal) -> Refusal {
        match self {
            Self::Rest(_) => refusal,
            Self::Soap(_) => refusal.within(code::SERVICE_FAILED),
        }
    }

    /// The digest algorithm of the message, where that of the parts was announced (§4.4.4).
    pub(super) fn digest_algorithm(&self, announced: DigestAlgorithm) -> DigestAlgorithm {
        match self {
            Self::Rest(_) => announced,
            Self::Soap(_) => DigestAlgorithm::Sha512,
        }
    }

    /// The digest that a response must carry: over REST of head and body (§3.7), over SOAP of the message
    /// alone (§2.6).
    pub(super) fn hash(&self, attachments: &[Attachment]) -> Digest {
        let message = DigestAlgorithm::Sha512.digest(self.octets());
        match self {
            Self::Rest(_) => request_hash(&message, attachments.first().map(|body| body.body.digest())),
            Self::Soap(_) => message,
        }
    }
}

impl ResponseMessage {
    /// The signed octets, `/message.xml`.
    pub(super) fn octets(&self) -> &Bytes {
        match self {
            Self::Rest(response) => response.blob(),
            Self::Soap(response) => response.message.octets(),
        }
    }

    /// The part that begins the message.
    pub(super) fn head(&self) -> Head<'_> {
        match self {
            Self::Rest(response) => Head::RestResponse(response.blob()),
            Self::Soap(response) => Head::Soap(&response.headers, response.message.octets()),
        }
    }

    /// As [`RequestMessage::digest_algorithm`].
    pub(super) fn digest_algorithm(&self, announced: DigestAlgorithm) -> DigestAlgorithm {
        match self {
            Self::Rest(_) => announced,
            Self::Soap(_) => DigestAlgorithm::Sha512,
        }
    }

    /// Whether this answers the request, whose hash is `expected` (§2.6, §2.7, §3.8).
    ///
    /// # Errors
    /// `inconsistent_response`.
    pub(super) fn check_answers(&self, request: &RequestMessage, expected: &Digest) -> Result<(), Fault> {
        match (self, request) {
            (Self::Rest(response), RequestMessage::Rest(request)) => {
                response.check_answers(request, expected)
            }
            (Self::Soap(response), RequestMessage::Soap(request)) => {
                response.message.check_answers(&request.message, expected)
            }
            (Self::Rest(_), RequestMessage::Soap(_)) | (Self::Soap(_), RequestMessage::Rest(_)) => {
                let text = "request and response are of different protocols";
                Err(Fault::new(code::INCONSISTENT_RESPONSE, text))
            }
        }
    }
}
