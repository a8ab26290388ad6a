//! The registers over SOAP, for messages with and without attachments.
//!
//! `query` looks for a key in both registers and gives attachments back as they came.

use bytes::Bytes;
use gateway::http::{Outgoing, collect};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};
use protocol::fault::{Fault, code};
use protocol::soap::{self, Carriage, Event, Limits, RelatedEncoder, Sender, SoapDecoder, SoapMessage};
use protocol::transport::{self, PartHeaders};
use protocol::xml::{Document, Limits as XmlLimits};

use super::{PERSONS, VEHICLES};

/// Largest message with its attachments, all of which is given back.
const LIMIT: usize = 256 * 1024 * 1024;

/// Namespace of the service's own elements.
const NAMESPACE: &str = "urn:causeway:sample";

/// Answers one call.
pub(super) async fn answer(request: Request<Incoming>) -> Response<Outgoing> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body = match collect(request.into_body(), LIMIT).await {
        Ok(body) => body,
        Err(error) => return refused(&Fault::new("Client.TooLarge", error.to_string())),
    };
    respond(&content_type, body).unwrap_or_else(|fault| refused(&fault))
}

fn respond(content_type: &str, body: Bytes) -> Result<Response<Outgoing>, Fault> {
    let mut decoder = SoapDecoder::new(Some(content_type), Sender::Client, Limits::default())?;
    decoder.push(body);
    decoder.finish()?;
    let mut message = None;
    let mut attachments: Vec<(PartHeaders, Vec<u8>)> = Vec::new();
    while let Some(event) = decoder.next()? {
        match event {
            Event::Message { headers, message: read } => message = Some((headers, read)),
            Event::Fault(fault) => return Err(fault.refused()),
            Event::Attachment(headers) => attachments.push((headers, Vec::new())),
            Event::Body(piece) => {
                if let Some((_, octets)) = attachments.last_mut() {
                    octets.extend_from_slice(&piece);
                }
            }
            Event::BodyEnd | Event::End => {}
        }
    }
    let (headers, message) = message.ok_or_else(|| Fault::new(code::MISSING_SOAP, "no message"))?;
    let answer = look_up(&message)?;
    let body = match Carriage::of(content_type)? {
        Carriage::Plain => answer.octets().clone(),
        Carriage::Related { boundary } => {
            let mut encoder = RelatedEncoder::new(&boundary);
            let mut body = encoder.part(&headers);
            body.extend_from_slice(answer.octets());
            for (headers, octets) in &attachments {
                body.extend_from_slice(&encoder.part(headers));
                body.extend_from_slice(octets);
            }
            body.extend_from_slice(&encoder.end());
            body.into()
        }
    };
    let mut response = Response::new(Outgoing::from(body));
    let content_type = soap::provider_content_type(content_type)?;
    let content_type = HeaderValue::from_str(&content_type)
        .map_err(|_| Fault::new(code::INVALID_CONTENT_TYPE, "the content type cannot be given back"))?;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

/// The answer to one message.
fn look_up(message: &SoapMessage) -> Result<SoapMessage, Fault> {
    let key = key_of(message)?;
    let vehicle = VEHICLES.iter().find(|(plate, ..)| *plate == key).map(|(_, owner, make)| (owner, make));
    let person = PERSONS.iter().find(|(code, ..)| *code == key).map(|(_, name, province)| (name, province));
    let (one, other) = vehicle
        .or(person)
        .ok_or_else(|| Fault::new("Client.NotRegistered", format!("'{key}' is not registered")))?;
    let name = message.service().code();
    message.answer(&format!(
        "<s:{name}Response xmlns:s=\"{NAMESPACE}\"><s:key>{key}</s:key><s:value>{one}</s:value>\
         <s:value>{other}</s:value></s:{name}Response>"
    ))
}

/// The text of the element in the body. Only a key of the registers is ever written back.
fn key_of(message: &SoapMessage) -> Result<String, Fault> {
    let document = Document::parse(message.text(), &XmlLimits::default())
        .map_err(|error| Fault::new(code::INVALID_SOAP, error.to_string()))?;
    let (namespace, local) = message.wrapper();
    let body = document.root().child(soap::ENVELOPE_NAMESPACE, "Body");
    let wrapper = body.and_then(|body| body.child(namespace, local));
    Ok(wrapper.map(|wrapper| wrapper.text().trim().to_owned()).unwrap_or_default())
}

fn refused(fault: &Fault) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::from(Bytes::from(transport::write_fault(fault))));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let content_type = HeaderValue::from_static(soap::PLAIN_CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
