//! Who speaks in an archived message (§5.5 step 4).
//!
//! Reads only what evidence needs: the parties and the id of a SOAP or REST message. It takes what old
//! versions wrote; the message path has its own, stricter readers.

use crate::fault::{Fault, code};
use crate::id::{ClientId, IdError, MemberId, ServiceId};
use crate::soap::undeclared_text;
use crate::xml::{Document, Element, Limits, XmlError};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";

/// What a message says about itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parties {
    /// A response, signed by the provider; else a request, signed by the client.
    pub is_response: bool,
    /// The calling client, if the message names it.
    pub client: Option<ClientId>,
    /// The called service, if the message names it; not so for central services.
    pub service: Option<ServiceId>,
    /// The message id.
    pub message_id: Option<String>,
}

impl Parties {
    /// Reads them from the octets of a message.
    ///
    /// # Errors
    /// `internal_error` if the message is of neither kind or does not name its sender.
    pub fn read(message: &[u8]) -> Result<Self, Fault> {
        let limits = Limits { octets: usize::MAX, depth: 256, ..Limits::default() };
        let parties = match Document::parse(message, &limits) {
            Ok(document) => soap(&document),
            // A SOAP message may be in any encoding.
            Err(XmlError::Encoding) => undeclared_text(message)
                .and_then(|text| soap(&Document::parse(&text, &limits).ok()?))
                .or_else(|| rest(message)),
            Err(_) => rest(message),
        };
        let parties = parties.ok_or_else(|| unknown("the message is neither SOAP nor REST"))?;
        parties.signer()?;
        Ok(parties)
    }

    /// Who must have signed the message.
    ///
    /// # Errors
    /// `internal_error` if the message does not name it.
    pub fn signer(&self) -> Result<&ClientId, Fault> {
        let signer = if self.is_response {
            self.service.as_ref().map(ServiceId::provider)
        } else {
            self.client.as_ref()
        };
        signer.ok_or_else(|| unknown("the message does not name its sender"))
    }
}

fn unknown(text: &str) -> Fault {
    Fault::new(code::INTERNAL_ERROR, text)
}

fn soap(document: &Document<'_>) -> Option<Parties> {
    let envelope = document.root();
    if !envelope.is(SOAP, "Envelope") {
        return None;
    }
    let header = envelope.child(SOAP, "Header")?;
    let content = envelope.child(SOAP, "Body")?.elements().next()?;
    let client = header.child(XROAD, "client").and_then(|element| client(&element).ok());
    let service = header.child(XROAD, "service").and_then(|element| service(&element).ok());
    Some(Parties {
        is_response: content.local_name().ends_with("Response"),
        client,
        service,
        message_id: header.child(XROAD, "id").map(|id| id.text().trim().to_owned()),
    })
}

fn identifier<'d>(element: &Element<'d>, local: &str) -> Option<std::borrow::Cow<'d, str>> {
    element.child(IDENTIFIERS, local).map(|part| part.text())
}

fn client(element: &Element<'_>) -> Result<ClientId, IdError> {
    let part = |local| identifier(element, local).unwrap_or_default();
    let member = MemberId::new(&part("xRoadInstance"), &part("memberClass"), &part("memberCode"))?;
    ClientId::new(member, identifier(element, "subsystemCode").as_deref())
}

fn service(element: &Element<'_>) -> Result<ServiceId, IdError> {
    let code = identifier(element, "serviceCode").unwrap_or_default();
    ServiceId::new(client(element)?, &code, identifier(element, "serviceVersion").as_deref())
}

/// A REST message: two lines, then headers; the first line of a response is its status.
fn rest(message: &[u8]) -> Option<Parties> {
    let text = std::str::from_utf8(message).ok()?;
    let is_response = matches!(message.first()?, b'1'..=b'9');
    let mut lines = text.split("\r\n");
    let _verb_or_status = lines.next()?;
    let target = lines.next()?;
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    // A name that stands twice with two values could be read in two ways.
    let header = |wanted: &str| {
        let mut values = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim());
        let first = values.next()?;
        values.all(|other| other == first).then_some(first)
    };
    let service = if is_response {
        header("x-road-service").and_then(|value| ServiceId::parse_encoded(value).ok())
    } else {
        let path = target.split('?').next().unwrap_or_default().strip_prefix("/r1/").unwrap_or_default();
        let end = path.match_indices('/').nth(4).map_or(path.len(), |(at, _)| at);
        path.get(..end).and_then(|service| ServiceId::parse_encoded(service).ok())
    };
    Some(Parties {
        is_response,
        client: header("x-road-client").and_then(|value| ClientId::parse_encoded(value).ok()),
        service,
        message_id: header("x-road-id").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(message: &str, expected: Option<(bool, &str)>) {
        let parties = Parties::read(message.as_bytes());
        let signer = parties.as_ref().ok().and_then(|parties| parties.signer().ok()).map(ToString::to_string);
        let got = parties
            .as_ref()
            .ok()
            .zip(signer.as_deref())
            .map(|(parties, signer)| (parties.is_response, signer));
        assert_eq!(got, expected, "{message}");
    }

    #[test]
    fn senders_are_found() {
        check(
            "GET\r\n/r1/XX/GOV/1/B/s/x/y?z\r\nX-Road-Client:XX/COM/2/A\r\nx-road-id:1\r\n",
            Some((false, "XX/COM/2/A")),
        );
        check(
            "200\r\nOK\r\nx-road-client:XX/COM/2/A\r\nx-road-service:XX/GOV/1/B/s\r\n",
            Some((true, "XX/GOV/1/B")),
        );
        check("200\r\nOK\r\nx-road-service:XX/GOV/1/B/s\r\nx-road-service:XX/GOV/3/B/s\r\n", None);
        check("GET\r\n/r1/XX/GOV/1/B/s\r\n", None);
        check("", None);
        check("<a/>", None);
        let soap = |body: &str| {
            format!(
                "<s:Envelope xmlns:s='{SOAP}' xmlns:x='{XROAD}' xmlns:i='{IDENTIFIERS}'><s:Header>\
                 <x:client><i:xRoadInstance>XX</i:xRoadInstance><i:memberClass>COM</i:memberClass>\
                 <i:memberCode>2</i:memberCode></x:client>\
                 <x:service><i:xRoadInstance>XX</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
                 <i:memberCode>1</i:memberCode><i:subsystemCode>B</i:subsystemCode><i:serviceCode>s</i:serviceCode>\
                 </x:service><x:id>1</x:id></s:Header><s:Body><{body}/></s:Body></s:Envelope>"
            )
        };
        check(&soap("get"), Some((false, "XX/COM/2")));
        check(&soap("getResponse"), Some((true, "XX/GOV/1/B")));
        let declared = |encoding: &str| format!("<?xml version='1.0' encoding='{encoding}'?>{}", soap("get"));
        check(&declared("ISO-8859-1"), Some((false, "XX/COM/2")));
        check(&declared("UTF-16"), None);
        let utf16: Vec<u8> = declared("UTF-16").encode_utf16().flat_map(u16::to_be_bytes).collect();
        let parties = Parties::read(&[b"\xfe\xff", &utf16[..]].concat()).unwrap();
        assert_eq!(parties.signer().unwrap().to_string(), "XX/COM/2");
    }

    proptest! {
        #[test]
        fn no_panic_on_arbitrary_octets(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parties::read(&octets);
        }
    }
}
