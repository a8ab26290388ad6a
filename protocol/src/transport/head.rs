//! HTTP heads of requests and responses on port 5500 (§4.4.1, §4.5.1, §4.5.2).

use crate::digest::DigestAlgorithm;
use crate::fault::{Fault, code};
use crate::mime::ContentType;
use crate::soap::check_action;

/// `content-type`
pub const CONTENT_TYPE: &str = "content-type";
/// Digest of the parts. Responses must have this name in lower case: peers look it up by case.
pub const HASH_ALGORITHM: &str = "x-hash-algorithm";
/// Id of the exchange, made by the consumer's server.
pub const REQUEST_ID: &str = "x-road-request-id";
/// Release that the sender is compatible with.
pub const PROXY_VERSION: &str = "x-proxy-version";
/// Content type of the client's request or of the provider's response; lower case as above.
pub const ORIGINAL_CONTENT_TYPE: &str = "x-original-content-type";
/// `SOAPAction` of the client's request.
pub const ORIGINAL_SOAP_ACTION: &str = "x-original-soapaction";
/// What kind of message it is; absent for SOAP.
pub const MESSAGE_TYPE: &str = "x-road-message-type";
/// Empty, in a response that is nothing but a fault (§4.7, shape A).
pub const SOAP_ACTION: &str = "SOAPAction";

/// The one value of [`MESSAGE_TYPE`], compared with letter case.
pub const MESSAGE_TYPE_REST: &str = "REST";
/// What we put into [`PROXY_VERSION`].
pub const OUR_PROXY_VERSION: &str = "7.8.0";
/// Content type of a response that is nothing but a fault.
pub const FAULT_CONTENT_TYPE: &str = "text/xml;charset=utf-8";

/// The two message protocols.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageType {
    /// REST message protocol 1.
    Rest,
    /// SOAP message protocol 4.0.
    Soap,
}

/// What a provider's server needs of a request's head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestHead {
    /// The content type as received, for the decoder.
    pub content_type: String,
    /// REST or SOAP.
    pub message_type: MessageType,
    /// Digest of the parts: SHA-512, or SHA-256 (§4.4.4).
    pub digest: DigestAlgorithm,
    /// Id of the exchange; not empty.
    pub request_id: String,
    /// Content type of the client's request, of which the provider's is made. Empty when it is missing.
    pub original_content_type: String,
    /// `SOAPAction` of the client's request, for the provider. Empty when it is missing.
    pub original_soap_action: String,
}

impl RequestHead {
    /// Checks method and headers in the order of §4.6.3, as far as they do not depend on settings.
    /// `header` finds a value by name with letter case ignored.
    ///
    /// # Errors
    /// `invalid_http_method`, `invalid_soap_action`, `internal_error` for a missing or unsuitable digest or a missing id,
    /// `service_failed.invalid_content_type`.
    pub fn read<'a>(method: &str, header: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Fault> {
        if method != "POST" {
            return Err(Fault::new(code::INVALID_HTTP_METHOD, "messages are sent by POST"));
        }
        let message_type = match header(MESSAGE_TYPE) {
            Some(MESSAGE_TYPE_REST) => MessageType::Rest,
            _ => MessageType::Soap,
        };
        let action = header(ORIGINAL_SOAP_ACTION);
        if message_type == MessageType::Soap {
            check_action(action)?;
        }
        let digest = digest(header(HASH_ALGORITHM))?;
        let content_type = header(CONTENT_TYPE).filter(|value| !value.is_empty()).ok_or_else(|| {
            Fault::new(code::INVALID_CONTENT_TYPE, "no content type").within(code::SERVICE_FAILED)
        })?;
        let request_id = header(REQUEST_ID)
            .filter(|id| !id.is_empty() && id.len() <= 255 && id.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| {
                Fault::new(code::INTERNAL_ERROR, format!("{REQUEST_ID} is missing or malformed"))
            })?;
        Ok(Self {
            content_type: content_type.to_owned(),
            message_type,
            digest,
            request_id: request_id.to_owned(),
            original_content_type: header(ORIGINAL_CONTENT_TYPE).unwrap_or_default().to_owned(),
            original_soap_action: action.unwrap_or_default().to_owned(),
        })
    }
}

/// What a consumer's server needs of a response's head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResponseHead {
    /// The content type as received, for the decoder.
    pub content_type: String,
    /// Digest of the parts; SHA-512 in a response that is nothing but a fault.
    pub digest: DigestAlgorithm,
    /// Content type of the provider's response, of which the client's is made. SOAP only.
    pub original_content_type: Option<String>,
}

impl ResponseHead {
    /// Checks status and headers (§4.6.2 step 1).
    ///
    /// # Errors
    /// `http_error` for a status other than 200 and 500; `service_failed.invalid_content_type`;
    /// `internal_error` for a digest that we do not take.
    pub fn read<'a>(status: u16, header: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Fault> {
        if status != 200 && status != 500 {
            return Err(Fault::new(
                code::HTTP_ERROR,
                format!("the provider's security server answered with HTTP status {status}"),
            ));
        }
        let refused = |why: &str| Fault::new(code::INVALID_CONTENT_TYPE, why).within(code::SERVICE_FAILED);
        let content_type = header(CONTENT_TYPE)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| refused("no content type"))?;
        let digest = match ContentType::parse(content_type) {
            Ok(parsed) if parsed.essence() == "text/xml" => DigestAlgorithm::Sha512,
            Ok(_) => digest(header(HASH_ALGORITHM))?,
            Err(fault) => return Err(fault.within(code::SERVICE_FAILED)),
        };
        let original_content_type = header(ORIGINAL_CONTENT_TYPE).map(str::to_owned);
        Ok(Self { content_type: content_type.to_owned(), digest, original_content_type })
    }
}

fn digest(name: Option<&str>) -> Result<DigestAlgorithm, Fault> {
    let name = name.ok_or_else(|| Fault::new(code::INTERNAL_ERROR, format!("no {HASH_ALGORITHM} header")))?;
    match DigestAlgorithm::from_name(name) {
        Some(algorithm @ (DigestAlgorithm::Sha512 | DigestAlgorithm::Sha256)) => Ok(algorithm),
        _ => Err(Fault::new(code::INTERNAL_ERROR, format!("{HASH_ALGORITHM} names no digest that is taken"))),
    }
}
