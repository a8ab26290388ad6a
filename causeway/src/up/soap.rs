//! Calls over SOAP for the pilot: the message, its attachments, and what comes back.

use std::time::Duration;

use bytes::Bytes;
use gateway::http::Outgoing;
use http::{HeaderMap, HeaderValue, Method, header};
use protocol::soap::{self, Event, Limits, Sender, SoapDecoder};

use super::plan::{INSTANCE, Node, SOAP_SERVICE};
use crate::client::{Answer, Call, CallError, call as send_call};

const TIMEOUT: Duration = Duration::from_secs(60);
const BOUNDARY: &str = "causeway-pilot-MIME-boundary";

/// A message as HTTP carries it.
pub struct Message {
    /// Its content type.
    pub content_type: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Read {
    /// The element in the body of the message.
    pub text: String,
    /// The attachments.
    pub attachments: Vec<Vec<u8>>,
}

/// A call of the pilot's SOAP service that asks for a key and encloses attachments.
pub fn call(from: &Node, to: &Node, id: &str, key: &str, attachments: &[&[u8]]) -> Message {
    let party = |node: &Node, subsystem: &str| {
        format!(
            "<id:xRoadInstance>{INSTANCE}</id:xRoadInstance><id:memberClass>{}</id:memberClass>\
             <id:memberCode>{}</id:memberCode><id:subsystemCode>{subsystem}</id:subsystemCode>",
            node.member_class, node.member_code
        )
    };
    let provider = to.provider.map(|(subsystem, _)| subsystem).unwrap_or_default();
    let envelope = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soap:Envelope xmlns:soap=\"{}\" xmlns:x=\"{}\" xmlns:id=\"{}\"><soap:Header>\
         <x:client id:objectType=\"SUBSYSTEM\">{}</x:client>\
         <x:service id:objectType=\"SERVICE\">{}<id:serviceCode>{SOAP_SERVICE}</id:serviceCode></x:service>\
         <x:id>{id}</x:id><x:protocolVersion>4.0</x:protocolVersion></soap:Header>\
         <soap:Body><q:{SOAP_SERVICE} xmlns:q=\"urn:causeway:sample\">{key}</q:{SOAP_SERVICE}></soap:Body>\
         </soap:Envelope>",
        soap::ENVELOPE_NAMESPACE,
        soap::XROAD_NAMESPACE,
        soap::IDENTIFIERS_NAMESPACE,
        party(from, from.consumer),
        party(to, provider),
    );
    if attachments.is_empty() {
        return Message { content_type: soap::PLAIN_CONTENT_TYPE.to_owned(), body: envelope.into_bytes() };
    }
    let mut body =
        format!("--{BOUNDARY}\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n{envelope}").into_bytes();
    for (number, octets) in attachments.iter().enumerate() {
        let head = format!(
            "\r\n--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\n\
             Content-Transfer-Encoding: binary\r\nContent-ID: <attachment-{number}>\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(octets);
    }
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    Message { content_type: format!("multipart/related; type=\"text/xml\"; boundary={BOUNDARY}"), body }
}

/// Sends a message to a security server.
///
/// # Errors
/// When no answer came.
pub async fn send(url: String, message: Message) -> Result<Answer, CallError> {
    let mut headers = HeaderMap::new();
    let content_type = HeaderValue::from_str(&message.content_type)
        .map_err(|_| CallError::Header(message.content_type.clone()))?;
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert("soapaction", HeaderValue::from_static("\"\""));
    let body = Outgoing::from(Bytes::from(message.body));
    send_call(Call { method: Method::POST, url, headers, body, timeout: TIMEOUT }, None).await
}

/// Takes an answer apart.
///
/// # Errors
/// A clause that tells of the fault that it is, or of what is wrong with it.
pub fn read(answer: &Answer) -> Result<Read, String> {
    let content_type = answer.header("content-type");
    let decoder = SoapDecoder::new(Some(content_type), Sender::Provider, Limits::default());
    let mut decoder = decoder.map_err(|fault| fault.to_string())?;
    decoder.push(answer.body.clone());
    decoder.finish().map_err(|fault| fault.to_string())?;
    let mut read = Read { text: String::new(), attachments: Vec::new() };
    while let Some(event) = decoder.next().map_err(|fault| fault.to_string())? {
        match event {
            Event::Message { message, .. } => {
                read.text = String::from_utf8_lossy(&message.wrapper_octets()).into_owned();
            }
            Event::Fault(fault) => return Err(format!("the answer was a fault: {}", fault.fault)),
            Event::Attachment(_) => read.attachments.push(Vec::new()),
            Event::Body(piece) => {
                if let Some(last) = read.attachments.last_mut() {
                    last.extend_from_slice(&piece);
                }
            }
            Event::BodyEnd | Event::End => {}
        }
    }
    Ok(read)
}
