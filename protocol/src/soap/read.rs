//! From octets to a message or fault.

use bytes::Bytes;

use super::fault::{CODE_LIMIT, SoapFault, TEXT_LIMIT, add};
use super::header::{Block, Collector};
use super::text::{Text, decode};
use super::{ENVELOPE_NAMESPACE, Envelope, Places, SoapMessage, invalid};
use crate::fault::{Fault, code};
use crate::xml::{Limits, Scanner, Tag, Token, XmlError};

const ENCODING_STYLE: &str = "http://schemas.xmlsoap.org/soap/encoding/";

/// What a document may ask for. Its size is limited where it is received.
const LIMITS: Limits = Limits { octets: usize::MAX, depth: 512, nodes: usize::MAX, attributes: 128 };

/// What the innermost open element is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Envelope,
    Header,
    Block(Block),
    Part(usize),
    Body,
    Wrapper,
    Fault,
    FaultCode,
    FaultText,
    Detail,
    FaultDetail,
    Other,
}

pub(super) fn read(octets: Bytes) -> Result<Envelope, Fault> {
    if octets.is_empty() {
        return Err(invalid("the message is empty"));
    }
    let text = decode(&octets)?;
    let source = std::str::from_utf8(&text.octets).map_err(|_| invalid("the message is not UTF-8"))?;
    let mut scanner = Scanner::new(source, &LIMITS).map_err(refused)?;
    let mut reader = Reader::default();
    while let Some(token) = scanner.next().map_err(refused)? {
        match token {
            Token::Start(tag) => reader.start(&tag, &scanner)?,
            Token::End(end) => reader.end(end)?,
            Token::Text(text) => reader.text(&text),
        }
    }
    reader.finish(octets, text)
}

fn refused(error: XmlError) -> Fault {
    invalid(&error.to_string())
}

#[derive(Default)]
struct Reader {
    places: Vec<Place>,
    /// What stands in the element that is being read, if somebody wants it.
    text: String,
    header: Collector,
    has_header: bool,
    has_body: bool,
    is_rpc: bool,
    at: Places,
    /// Behind the last tag.
    last_end: usize,
    had_block: bool,
    wrappers: usize,
    wrapper: (String, String),
    is_fault: bool,
    fault_code: String,
    fault_text: String,
    detail: String,
    fault_detail: Option<String>,
}

impl Reader {
    fn start(&mut self, tag: &Tag<'_>, scanner: &Scanner<'_, '_>) -> Result<(), Fault> {
        let place = self.places.last().copied();
        let local = tag.local;
        let next = match place {
            // Most elements lie deep in the body, and nobody asks for their names.
            Some(Place::Wrapper | Place::Other | Place::FaultCode | Place::FaultText) => Place::Other,
            None => {
                if local != "Envelope" || scanner.namespace(tag) != ENVELOPE_NAMESPACE {
                    return Err(invalid("the root element is no SOAP envelope"));
                }
                self.is_rpc = scanner.attribute(ENVELOPE_NAMESPACE, "encodingStyle") == Some(ENCODING_STYLE);
                Place::Envelope
            }
            Some(Place::Envelope) => match (scanner.namespace(tag), local) {
                (ENVELOPE_NAMESPACE, "Header") => {
                    if std::mem::replace(&mut self.has_header, true) {
                        return Err(invalid("the envelope has two headers"));
                    }
                    Place::Header
                }
                (ENVELOPE_NAMESPACE, "Body") => {
                    if std::mem::replace(&mut self.has_body, true) {
                        return Err(invalid("the envelope has two bodies"));
                    }
                    Place::Body
                }
                _ => Place::Other,
            },
            Some(Place::Header) => self.block(tag, scanner)?,
            Some(Place::Block(_)) => match Collector::part(scanner.namespace(tag), local) {
                Some(part) => {
                    self.text.clear();
                    Place::Part(part)
                }
                None => Place::Other,
            },
            Some(Place::Body) => {
                self.wrappers = self.wrappers.saturating_add(1);
                let namespace = scanner.namespace(tag);
                if namespace == ENVELOPE_NAMESPACE && local == "Fault" {
                    self.is_fault = true;
                    Place::Fault
                } else {
                    if self.wrappers == 1 {
                        self.wrapper = (namespace.to_owned(), local.to_owned());
                        self.at.wrapper.start = tag.octets.start;
                    }
                    Place::Wrapper
                }
            }
            Some(Place::Fault) => match local {
                "faultcode" => Place::FaultCode,
                "faultstring" => Place::FaultText,
                "detail" => Place::Detail,
                _ => Place::Other,
            },
            Some(Place::Detail) if local == "faultDetail" && self.fault_detail.is_none() => {
                self.fault_detail = Some(String::new());
                Place::FaultDetail
            }
            Some(Place::Detail | Place::FaultDetail | Place::Part(_)) => Place::Other,
        };
        self.places.push(next);
        self.last_end = tag.octets.end;
        Ok(())
    }

    /// A child of the header.
    fn block(&mut self, tag: &Tag<'_>, scanner: &Scanner<'_, '_>) -> Result<Place, Fault> {
        let start = tag.octets.start;
        if !std::mem::replace(&mut self.had_block, true) {
            self.at.indentation = self.last_end..start;
        }
        let Some(block) = Block::of(scanner.namespace(tag), tag.local) else { return Ok(Place::Other) };
        self.header.begin(block, |namespace, local| scanner.attribute(namespace, local))?;
        match block {
            Block::Id => self.at.id_tag = tag.octets.clone(),
            Block::RequestHash => self.at.request_hash = Some(start..start),
            _ => {}
        }
        self.text.clear();
        Ok(Place::Block(block))
    }

    fn text(&mut self, text: &str) {
        match self.places.last() {
            Some(Place::Block(_) | Place::Part(_)) => self.text.push_str(text),
            Some(Place::FaultCode) => add(&mut self.fault_code, text, CODE_LIMIT),
            Some(Place::FaultText) => add(&mut self.fault_text, text, TEXT_LIMIT),
            Some(Place::Detail) => add(&mut self.detail, text, TEXT_LIMIT),
            Some(Place::FaultDetail) => {
                add(self.fault_detail.get_or_insert_with(String::new), text, TEXT_LIMIT);
            }
            _ => {}
        }
    }

    fn end(&mut self, end: usize) -> Result<(), Fault> {
        match self.places.pop() {
            Some(Place::Block(block)) => {
                self.header.end(block, std::mem::take(&mut self.text))?;
                match block {
                    Block::Id => self.at.id_end = end,
                    Block::RequestHash => {
                        if let Some(place) = &mut self.at.request_hash {
                            place.end = end;
                        }
                    }
                    _ => {}
                }
            }
            Some(Place::Part(part)) => self.header.end_part(part, std::mem::take(&mut self.text))?,
            Some(Place::Header) => self.at.header_end = end,
            Some(Place::Wrapper) if self.wrappers == 1 => self.at.wrapper.end = end,
            _ => {}
        }
        self.last_end = end;
        Ok(())
    }

    /// The checks that need the whole envelope, in the order of §2.2.
    fn finish(self, octets: Bytes, text: Text) -> Result<Envelope, Fault> {
        if self.is_fault {
            let detail = self.fault_detail.as_deref().unwrap_or(&self.detail).trim();
            let fault = Fault {
                code: self.fault_code.trim().to_owned().into(),
                text: self.fault_text.trim().to_owned(),
                detail: (!detail.is_empty()).then(|| detail.to_owned()),
            };
            return Ok(Envelope::Fault(SoapFault { fault, octets }));
        }
        if !self.has_header {
            return Err(Fault::new(code::MISSING_HEADER, "the envelope has no header"));
        }
        let header = self.header.finish()?;
        if !self.has_body {
            return Err(Fault::new(code::MISSING_BODY, "the envelope has no body"));
        }
        if self.wrappers != 1 {
            return Err(Fault::new(code::INVALID_BODY, "the body must have exactly one child element"));
        }
        let (wrapper_namespace, wrapper) = self.wrapper;
        if !wrapper.starts_with(header.service.code()) {
            return Err(Fault::new(
                code::INCONSISTENT_HEADERS,
                "the element in the body does not begin with the service code",
            ));
        }
        Ok(Envelope::Message(Box::new(SoapMessage {
            octets,
            text,
            header,
            places: self.at,
            wrapper_namespace,
            wrapper,
            is_rpc: self.is_rpc,
        })))
    }
}
