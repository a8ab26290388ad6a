//! Certificates that the state refers to: PEM or DER in, DER out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The DER of the one certificate that a file holds.
pub(super) fn der(content: &[u8]) -> Result<Vec<u8>, String> {
    // DER starts with a SEQUENCE, which is no text.
    if content.first() == Some(&0x30) {
        return Ok(content.to_vec());
    }
    let text = std::str::from_utf8(content).map_err(|_| "is neither PEM nor DER")?;
    let (_, rest) = text.split_once(BEGIN).ok_or("is neither PEM nor DER")?;
    let (body, rest) = rest.split_once(END).ok_or("has no end of the certificate")?;
    if rest.contains(BEGIN) {
        return Err("has more than one certificate".into());
    }
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(body).map_err(|_| "is not PEM: the base64 is broken".into())
}
