//! What tells answers over SOAP apart.

use bytes::Bytes;
use protocol::digest::DigestAlgorithm;
use protocol::soap::{Event, Limits, Sender, SoapDecoder};
use protocol::xml::{Canonicalization, CanonicalizationMethod, Document};

use super::http::Message;

/// Status, content type, message and attachments. Of a message of ours the octets may differ from the
/// recorded ones where the recorded server writes a provider's message anew (§2.6): white space at its
/// end, and whatever canonical XML does not keep. Of a server's fault only the code counts.
pub(super) fn answered(answer: &Message) -> String {
    parts(answer, |octets| {
        let document = Document::parse(octets.trim_ascii(), &protocol::xml::Limits::default());
        let method = CanonicalizationMethod::from_uri("http://www.w3.org/TR/2001/REC-xml-c14n-20010315");
        let form = method.map(|method| Canonicalization { method, inclusive_prefixes: Vec::new() });
        match (document, form) {
            (Ok(document), Some(form)) => digest(&document.canonicalize(&form)),
            _ => format!("no XML: {}", digest(octets)),
        }
    })
}

/// The same, and every octet of message and attachments counts.
pub(super) fn to_the_byte(answer: &Message) -> String {
    parts(answer, digest)
}

fn parts(answer: &Message, of_message: impl Fn(&[u8]) -> String) -> String {
    let content_type = answer.header("content-type").unwrap_or_default();
    let mut told = format!("{} {}", answer.status(), content_type.to_ascii_lowercase());
    let read = SoapDecoder::new(Some(content_type), Sender::Provider, Limits::default());
    let Ok(mut decoder) = read else { return told + " of no SOAP message" };
    decoder.push(answer.body.clone());
    if let Err(fault) = decoder.finish() {
        return format!("{told} {fault}");
    }
    let mut body = Vec::new();
    loop {
        match decoder.next() {
            Ok(Some(Event::Message { headers, message })) => {
                let headers: Vec<_> = headers.other().collect();
                told += &format!("\nmessage {headers:?} {}", of_message(message.octets()));
            }
            Ok(Some(Event::Fault(fault))) => {
                let code = fault.fault.code.as_ref();
                let of_server = code.starts_with("server.") || code.starts_with("client.");
                let octets = if of_server { String::new() } else { of_message(&fault.octets) };
                return format!("{told}\nfault {code} {octets}");
            }
            Ok(Some(Event::Attachment(headers))) => {
                let headers: Vec<_> = headers.other().collect();
                told += &format!("\nattachment {headers:?}");
            }
            Ok(Some(Event::Body(piece))) => body.extend_from_slice(&piece),
            Ok(Some(Event::BodyEnd)) => {
                told += &format!(" {}", digest(&Bytes::from(std::mem::take(&mut body))))
            }
            Ok(Some(Event::End) | None) => return told,
            Err(fault) => return format!("{told} {fault}"),
        }
    }
}

fn digest(octets: &[u8]) -> String {
    let digest: String = DigestAlgorithm::Sha256.digest(octets).to_hex().chars().take(16).collect();
    format!("{} bytes {digest}", octets.len())
}
