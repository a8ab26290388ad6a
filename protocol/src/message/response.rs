//! The response: status, headers, and the ties to its request.

use bytes::Bytes;

use super::blob::{Blob, RestError, is_skipped, push_header};
use super::request::RestRequest;
use crate::digest::Digest;
use crate::fault::{Fault, code};
use crate::id::{ClientId, ServiceId};

/// Headers of the provider that are replaced, or that would mislead the client (§3.6).
const DROPPED: [&str; 6] = [
    "x-road-id",
    "x-road-client",
    "x-road-request-id",
    "x-road-request-hash",
    "x-road-service",
    "x-road-error",
];

/// A REST response: canonical blob and what it says.
#[derive(Clone, Debug)]
pub struct RestResponse {
    blob: Blob,
    status: u16,
}

impl RestResponse {
    /// Builds the response that a provider's server signs from the HTTP response of the service
    /// (§3.6). `transport_request_id` is the value of the HTTP header `x-road-request-id`.
    pub fn build<'a>(
        status: u16,
        reason: &str,
        provider_headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        request: &RestRequest,
        transport_request_id: &str,
        request_hash: &Digest,
    ) -> Result<Self, RestError> {
        let mut blob = String::with_capacity(512);
        blob.push_str(&status.to_string());
        blob.push_str("\r\n");
        blob.extend(reason.chars().filter(|character| !character.is_control()));
        blob.push_str("\r\n");
        for (name, value) in provider_headers {
            if !is_skipped(name) && !DROPPED.iter().any(|dropped| dropped.eq_ignore_ascii_case(name)) {
                push_header(&mut blob, name, value)?;
            }
        }
        push_ties(&mut blob, request, transport_request_id, request_hash)?;
        Self::parse(blob.into())
    }

    /// Builds the response of a service that the provider's server has itself (§6.3): status 200 and
    /// nothing but the headers that every response has, and the content type.
    pub fn build_own(
        content_type: &str,
        request: &RestRequest,
        transport_request_id: &str,
        request_hash: &Digest,
    ) -> Result<Self, RestError> {
        let mut blob = String::with_capacity(512);
        blob.push_str("200\r\nOK\r\n");
        push_ties(&mut blob, request, transport_request_id, request_hash)?;
        push_header(&mut blob, "content-type", content_type.as_bytes())?;
        Self::parse(blob.into())
    }

    /// Reads a blob as a peer sent it; only the canonical form is taken.
    pub fn parse(blob: Bytes) -> Result<Self, RestError> {
        let blob = Blob::parse(blob)?;
        let status = blob.first();
        let status = match status.parse::<u16>() {
            Ok(number) if status.bytes().all(|byte| byte.is_ascii_digit()) => number,
            _ => return Err(RestError::Status),
        };
        if blob.last("x-road-id").is_none_or(str::is_empty) {
            return Err(RestError::Missing("x-road-id"));
        }
        if blob.last("x-road-request-hash").is_none() {
            return Err(RestError::Missing("x-road-request-hash"));
        }
        if let Some(service) = blob.last("x-road-service") {
            ServiceId::parse_encoded(service)
                .map_err(|error| RestError::Identifier { place: "x-road-service", error })?;
        }
        Ok(Self { status, blob })
    }

    /// The octets of `/message.xml`.
    pub fn blob(&self) -> &Bytes {
        self.blob.bytes()
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase; it may be empty.
    pub fn reason(&self) -> &str {
        self.blob.second()
    }

    /// All header lines in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.blob.headers()
    }

    /// The message id.
    pub fn id(&self) -> &str {
        self.blob.last("x-road-id").unwrap_or_default()
    }

    /// The id of the exchange.
    pub fn request_id(&self) -> Option<&str> {
        self.blob.last("x-road-request-id")
    }

    /// The request hash as written.
    pub fn request_hash(&self) -> &str {
        self.blob.last("x-road-request-hash").unwrap_or_default()
    }

    /// The service that answered; none when the header is missing.
    pub fn service(&self) -> Option<ServiceId> {
        ServiceId::parse_encoded(self.blob.last("x-road-service")?).ok()
    }

    /// The client that is answered; none when the header is missing or malformed.
    pub fn client(&self) -> Option<ClientId> {
        ClientId::parse_encoded(self.blob.last("x-road-client")?).ok()
    }

    /// Checks that this answers `request` (§3.8). `request_hash` is the consumer's own computation.
    ///
    /// # Errors
    /// `inconsistent_response`, its text naming the header that differs.
    pub fn check_answers(&self, request: &RestRequest, request_hash: &Digest) -> Result<(), Fault> {
        let differs = |what: &str| {
            Err(Fault::new(
                code::INCONSISTENT_RESPONSE,
                format!("response does not match the request: {what}"),
            ))
        };
        if self.client().as_ref() != Some(request.client()) {
            return differs("x-road-client");
        }
        if self.id() != request.id() {
            return differs("x-road-id");
        }
        if self.service().as_ref() != Some(request.service()) {
            return differs("x-road-service");
        }
        if self.request_id() != request.request_id() {
            return differs("x-road-request-id");
        }
        if self.request_hash() != request_hash.to_base64() {
            return differs("x-road-request-hash");
        }
        Ok(())
    }
}

/// Writes the headers that tie a response to its request.
fn push_ties(
    blob: &mut String,
    request: &RestRequest,
    transport_request_id: &str,
    request_hash: &Digest,
) -> Result<(), RestError> {
    for (name, value) in [
        ("x-road-id", request.id()),
        ("x-road-client", &request.client().encoded()),
        ("x-road-service", &request.service().encoded()),
        ("x-road-request-id", transport_request_id),
        ("x-road-request-hash", &request_hash.to_base64()),
    ] {
        push_header(blob, name, value.as_bytes())?;
    }
    Ok(())
}
