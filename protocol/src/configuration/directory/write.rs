//! Writes a directory in the form of the central server (§4.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Part;
use crate::digest::DigestAlgorithm;
use crate::signature::SignatureAlgorithm;
use crate::time::UtcTime;

/// The octets to sign: expiry, version, and one block a part. The boundary is random, of letters and
/// digits.
pub fn content(expires: UtcTime, version: u8, parts: &[Part], inner_boundary: &str) -> Vec<u8> {
    let mut text = format!(
        "--{inner_boundary}\r\nExpire-date: {}\r\nVersion: {version}\r\n\r\n",
        expires.to_seconds_text()
    );
    for part in parts {
        text.push_str(&format!(
            "--{inner_boundary}\r\n\
             Content-type: application/octet-stream\r\n\
             Content-transfer-encoding: base64\r\n"
        ));
        if let Some(identifier) = &part.content_identifier {
            let instance =
                part.instance.as_ref().map_or(String::new(), |instance| format!("; instance='{instance}'"));
            text.push_str(&format!("Content-identifier: {identifier}{instance}\r\n"));
        }
        if let Some(name) = &part.file_name {
            text.push_str(&format!("Content-file-name: {name}\r\n"));
        }
        text.push_str(&format!(
            "Content-location: {}\r\nHash-algorithm-id: {}\r\n\r\n{}\r\n",
            part.location,
            part.digest.algorithm().uri(),
            part.digest.to_base64()
        ));
    }
    text.push_str(&format!("--{inner_boundary}--\r\n"));
    text.into_bytes()
}

/// The whole document around [`content`] and its signature value (RSA, or ECDSA in DER). `certificate`
/// is the DER of the verification certificate, announced by its SHA-512 hash. None for an algorithm
/// that has no name.
pub fn assemble(
    content: &[u8],
    inner_boundary: &str,
    outer_boundary: &str,
    algorithm: SignatureAlgorithm,
    certificate: &[u8],
    value: &[u8],
) -> Option<Vec<u8>> {
    let hash = DigestAlgorithm::Sha512;
    let head = format!(
        "Content-Type: multipart/related; charset=UTF-8; boundary={outer_boundary}\r\n\
         \r\n\
         --{outer_boundary}\r\n\
         Content-Type: multipart/mixed; charset=UTF-8; boundary={inner_boundary}\r\n\
         \r\n"
    );
    let tail = format!(
        "\r\n--{outer_boundary}\r\n\
         Content-Type: application/octet-stream\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Signature-Algorithm-Id: {}\r\n\
         Verification-certificate-hash: {}; hash-algorithm-id=\"{}\"\r\n\
         \r\n\
         {}\r\n\
         --{outer_boundary}--\r\n",
        algorithm.uri()?,
        hash.digest(certificate).to_base64(),
        hash.uri(),
        STANDARD.encode(value)
    );
    Some([head.as_bytes(), content, tail.as_bytes()].concat())
}
