//! Answers to requests: the request with another name and a number in it (§3.9).

use crate::fault::{Fault, code};
use crate::soap::{ENVELOPE_NAMESPACE, SoapMessage, XROAD_NAMESPACE};
use crate::xml::{Document, Limits};

/// The answer to a request that was taken under this number. Everything but the name of the body's
/// element and its new last child stays as it was sent.
///
/// # Errors
/// `internal_error` when the request's envelope cannot be answered.
pub fn accept(request: &SoapMessage, request_id: u64) -> Result<SoapMessage, Fault> {
    let refused = || Fault::new(code::INTERNAL_ERROR, "the request has an envelope that cannot be answered");
    let octets = request.wrapper_octets();
    let text = std::str::from_utf8(&octets).map_err(|_| refused())?;
    let name_end = text.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/'));
    let (start, rest) = text.split_at_checked(name_end.unwrap_or(0)).ok_or_else(refused)?;
    let name = start.strip_prefix('<').filter(|name| !name.is_empty()).ok_or_else(refused)?;
    let prefix = name.split_once(':').map_or(String::new(), |(prefix, _)| format!("{prefix}:"));
    // An element without an end tag has no server in it and is no request.
    let (inside, _) = rest.rsplit_once("</").ok_or_else(refused)?;
    let element = format!(
        "<{name}Response{inside}<{prefix}requestId>{request_id}</{prefix}requestId></{name}Response>"
    );
    request.answer(&element).map_err(|_| refused())
}

/// Reads the number from the answer to a request; none when there is none, which is no failure (§3.9).
/// Answers that came over the exchange protocol had their hash checked there.
///
/// # Errors
/// `service_failed.inconsistent_response` when it answers another request, `invalid_body` when it is no
/// answer.
pub fn check_answer(request: &SoapMessage, answer: &SoapMessage) -> Result<Option<u64>, Fault> {
    answer.check_header(request)?;
    let (namespace, name) = answer.wrapper();
    let expected = format!("{}Response", request.wrapper().1);
    if namespace != XROAD_NAMESPACE || !name.eq_ignore_ascii_case(&expected) {
        return Err(Fault::new(code::INVALID_BODY, "the body of the answer is not that of an answer"));
    }
    let document = Document::parse(answer.text(), &Limits::default())
        .map_err(|error| Fault::new(code::INVALID_XML, error.to_string()))?;
    let body = document.root().child(ENVELOPE_NAMESPACE, "Body");
    let number = body
        .and_then(|body| body.elements().next())
        .and_then(|wrapper| wrapper.child(XROAD_NAMESPACE, "requestId"))
        .and_then(|element| element.text().trim().parse().ok());
    Ok(number)
}
