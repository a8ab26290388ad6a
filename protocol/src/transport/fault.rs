//! SOAP faults between security servers, whatever the message protocol (§4.7, messages and transport §2.9).

use quick_xml::escape::escape;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use crate::fault::{Fault, code};

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Deepest element that is followed.
const DEPTH_LIMIT: usize = 200;
/// Longest texts that are kept of a peer's fault, bytes.
const CODE_LIMIT: usize = 500;
const TEXT_LIMIT: usize = 8000;

/// The body of a fault of ours, in the bytes that peers write.
pub fn write_fault(fault: &Fault) -> String {
    let detail = fault.detail.as_deref().map_or(String::new(), |detail| {
        format!("<detail><faultDetail xmlns=\"\">{}</faultDetail></detail>", escape(carried(detail)))
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>{}</faultcode><faultstring>{}</faultstring>\
         <faultactor></faultactor>{detail}</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>",
        escape(carried(&fault.code)),
        escape(carried(&fault.text)),
    )
}

/// Replaces what XML cannot carry.
fn carried(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\t' | '\n' | '\r' => ' ',
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            character => character,
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Document,
    Envelope,
    Header,
    Body,
    Fault,
    Code,
    Text,
    Actor,
    Detail,
    Other,
}

/// Reads a SOAP envelope as far as needed to know whether it is a fault; none when it is a message.
///
/// # Errors
/// `invalid_soap` when it is not well formed, has a document type, or is no SOAP 1.1 envelope with a body.
pub fn read_fault(bytes: &[u8]) -> Result<Option<Fault>, Fault> {
    let refused = |why: &str| Fault::new(code::INVALID_SOAP, why);
    let broken = || refused("not well-formed XML");
    let text = std::str::from_utf8(bytes).map_err(|_| refused("not UTF-8"))?;
    if !text.chars().all(is_allowed) {
        return Err(refused("characters that XML does not allow"));
    }
    let mut reader = NsReader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    reader.config_mut().expand_empty_elements = true;
    let mut places = vec![Place::Document];
    let (mut fault_code, mut text, mut detail) = (String::new(), String::new(), String::new());
    let (mut is_fault, mut has_body, mut has_root) = (false, false, false);
    loop {
        let place = places.last().copied().unwrap_or(Place::Document);
        let (namespace, event) = reader.read_resolved_event().map_err(|_| broken())?;
        match event {
            Event::Start(start) => {
                let soap = matches!(namespace, ResolveResult::Bound(name) if name.0 == ENVELOPE);
                let next = match (place, soap, start.local_name().as_ref()) {
                    (Place::Document, true, "Envelope") if !has_root => {
                        has_root = true;
                        Place::Envelope
                    }
                    (Place::Document, _, _) => return Err(refused("no SOAP envelope")),
                    (Place::Envelope, true, "Header") => Place::Header,
                    (Place::Envelope, true, "Body") => {
                        has_body = true;
                        Place::Body
                    }
                    (Place::Body, true, "Fault") => {
                        is_fault = true;
                        Place::Fault
                    }
                    (Place::Fault, _, "faultcode") => Place::Code,
                    (Place::Fault, _, "faultstring") => Place::Text,
                    (Place::Fault, _, "faultactor") => Place::Actor,
                    (Place::Fault, _, "detail") | (Place::Detail, _, _) => Place::Detail,
                    _ => Place::Other,
                };
                if places.len() > DEPTH_LIMIT {
                    return Err(refused("elements are nested too deep"));
                }
                places.push(next);
            }
            Event::End(_) => {
                places.pop();
            }
            Event::Text(content) => {
                let content = content.xml10_content();
                if place == Place::Document && !content.trim_ascii().is_empty() {
                    return Err(refused("text outside of the envelope"));
                }
                add(place, &content, &mut fault_code, &mut text, &mut detail);
            }
            Event::CData(_) | Event::GeneralRef(_) if place == Place::Document => {
                return Err(refused("text outside of the envelope"));
            }
            Event::CData(content) => {
                let content = content.xml10_content();
                add(place, &content, &mut fault_code, &mut text, &mut detail);
            }
            Event::GeneralRef(reference) => {
                let content = quick_xml::escape::unescape(&format!("&{};", &*reference))
                    .map_err(|_| refused("an entity that is not declared"))?
                    .into_owned();
                if !content.chars().all(is_allowed) {
                    return Err(refused("a reference to a character that XML does not allow"));
                }
                add(place, &content, &mut fault_code, &mut text, &mut detail);
            }
            Event::DocType(_) => return Err(refused("document type declarations are not taken")),
            Event::Eof => break,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if !has_root || places.len() != 1 {
        return Err(refused("no SOAP envelope"));
    }
    if !has_body {
        return Err(Fault::new("missing_body", "SOAP envelope without a body"));
    }
    let detail = detail.trim();
    Ok(is_fault.then(|| Fault {
        code: fault_code.trim().to_owned().into(),
        text: text.trim().to_owned(),
        detail: (!detail.is_empty()).then(|| detail.to_owned()),
    }))
}

fn add(place: Place, content: &str, code: &mut String, text: &mut String, detail: &mut String) {
    let (kept, limit) = match place {
        Place::Code => (code, CODE_LIMIT),
        Place::Text => (text, TEXT_LIMIT),
        Place::Detail => (detail, TEXT_LIMIT),
        _ => return,
    };
    for character in content.chars() {
        if kept.len() + character.len_utf8() > limit {
            return;
        }
        kept.push(character);
    }
}

/// Whether XML 1.0 allows the character.
fn is_allowed(character: char) -> bool {
    !matches!(character, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}
