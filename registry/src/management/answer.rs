//! Answers as the management services give them (§3.9).

use bytes::Bytes;
use gateway::http::Outgoing;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES, HeaderName, HeaderValue, PRAGMA};
use http::{Response, StatusCode};
use protocol::fault::Fault;
use protocol::transport::write_fault;

/// What stands in every answer, as recorded.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_TYPE, "text/xml;charset=utf-8"),
    (PRAGMA, "no-cache"),
    (EXPIRES, "0"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("x-xss-protection"), "1; mode=block"),
];

/// An answer with this body.
pub(super) fn with(status: StatusCode, body: Bytes) -> Response<Outgoing> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Outgoing::from(body));
    *response.status_mut() = status;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// A fault.
pub(super) fn refusal(status: StatusCode, fault: &Fault) -> Response<Outgoing> {
    with(status, write_fault(fault).into())
}
