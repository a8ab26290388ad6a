//! Putting a time-stamp into a signature document (§3.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::document::{LIMITS, find_signature, malformed};
use crate::fault::{Fault, code};
use crate::xml::{Document, XADES_NAMESPACE};

/// Puts a `TimeStampToken` into a signature document as the first child of
/// `xades:UnsignedSignatureProperties`. No other octet of the document changes.
///
/// # Errors
/// `invalid_xml` or `malformed_signature` if the document has no such element, or a time-stamp already.
pub fn insert_timestamp(document: &[u8], token: &[u8]) -> Result<Bytes, Fault> {
    let tree = Document::parse(document, &LIMITS)
        .map_err(|error| Fault::new(code::INVALID_XML, format!("the signature is not XML: {error}")))?;
    let signature = find_signature(&tree)?;
    let properties = signature
        .descendants()
        .find(|element| element.is(XADES_NAMESPACE, "UnsignedSignatureProperties"))
        .ok_or_else(|| malformed("the signature has no place for a time-stamp"))?;
    if properties.child(XADES_NAMESPACE, "SignatureTimeStamp").is_some() {
        return Err(malformed("the signature has a time-stamp already"));
    }
    let tag = properties.tag();
    let (before, after) = document
        .split_at_checked(tag.end)
        .filter(|(before, _)| !before.ends_with(b"/>"))
        .ok_or_else(|| malformed("the signature has no unsigned properties"))?;
    let prefix = match properties.prefix() {
        "" => String::new(),
        prefix => format!("{prefix}:"),
    };
    let token = STANDARD.encode(token);
    let element = format!(
        "<{prefix}SignatureTimeStamp><{prefix}EncapsulatedTimeStamp>{token}</{prefix}EncapsulatedTimeStamp>\
         </{prefix}SignatureTimeStamp>"
    );
    Ok(Bytes::from([before, element.as_bytes(), after].concat()))
}
