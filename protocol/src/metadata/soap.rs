//! `listMethods`, `allowedMethods` and `getWsdl` over SOAP (§6.2).

use bytes::Bytes;
use quick_xml::escape::{escape, partial_escape};

use super::{IDENTIFIERS, XROAD};
use crate::fault::{Fault, code};
use crate::id::{ClientId, ServiceId};
use crate::soap::{ENVELOPE_NAMESPACE, SoapMessage};
use crate::xml::{Document, Element, Limits, XmlError, next_attribute};

/// Where addresses of services stand in a WSDL: SOAP 1.1 and SOAP 1.2 bindings.
const ADDRESSES: [&str; 2] =
    ["http://schemas.xmlsoap.org/wsdl/soap/", "http://schemas.xmlsoap.org/wsdl/soap12/"];

/// What stands in a WSDL in the place of an address.
const NO_ADDRESS: &str = "http://example.org/xroad-endpoint";

/// The service whose WSDL is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WsdlQuery {
    /// Its code.
    pub code: String,
    /// Its version, if it has one.
    pub version: Option<String>,
}

/// The answer of `listMethods` and `allowedMethods`: the services in their order.
///
/// # Errors
/// `internal_error` when the request's envelope cannot hold it.
pub fn service_list(request: &SoapMessage, services: &[&ServiceId]) -> Result<SoapMessage, Fault> {
    let mut body = Body::of(request, &format!("{}Response", request.service().code()))?;
    for service in services {
        let (x, i) = (&body.xroad, &body.identifiers);
        let mut entry = format!("<{x}:service {i}:objectType=\"SERVICE\">");
        for (name, value) in parts(service) {
            entry.push_str(&format!("<{i}:{name}>{}</{i}:{name}>", partial_escape(value)));
        }
        entry.push_str(&format!("</{x}:service>"));
        body.children.push_str(&entry);
    }
    body.answer(request)
}

/// The identifier of a service in the order of its elements.
fn parts(service: &ServiceId) -> impl Iterator<Item = (&'static str, &str)> {
    let provider = service.provider();
    [
        ("xRoadInstance", Some(provider.instance())),
        ("memberClass", Some(provider.member().class())),
        ("memberCode", Some(provider.member().code())),
        ("subsystemCode", provider.subsystem()),
        ("serviceCode", Some(service.code())),
        ("serviceVersion", service.version()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

/// Which WSDL a `getWsdl` request asks for.
///
/// # Errors
/// `invalid_request` when it names no service.
pub fn wsdl_query(request: &SoapMessage) -> Result<WsdlQuery, Fault> {
    let document = read(request.text())?;
    let body = document.root().child(ENVELOPE_NAMESPACE, "Body");
    let wrapper = body.and_then(|body| body.elements().next());
    let text = |name: &str| {
        let element = wrapper.and_then(|wrapper| wrapper.child(XROAD, name))?;
        Some(element.text().trim().to_owned()).filter(|text| !text.is_empty())
    };
    let code = text("serviceCode")
        .ok_or_else(|| Fault::new(code::INVALID_REQUEST, "the request names no service in serviceCode"))?;
    Ok(WsdlQuery { code, version: text("serviceVersion") })
}

/// The answer of `getWsdl`, beside which the WSDL stands as an attachment.
///
/// # Errors
/// `internal_error` when the request's envelope cannot hold it.
pub fn wsdl_answer(request: &SoapMessage, query: &WsdlQuery) -> Result<SoapMessage, Fault> {
    let mut body = Body::of(request, "getWsdlResponse")?;
    let named = [("serviceCode", Some(&query.code)), ("serviceVersion", query.version.as_ref())];
    for (name, value) in named {
        if let Some(value) = value {
            let x = &body.xroad;
            let element = format!("<{x}:{name}>{}</{x}:{name}>", partial_escape(value));
            body.children.push_str(&element);
        }
    }
    body.answer(request)
}

/// A request for the WSDL of a service, as an information system would write it.
pub fn wsdl_request(client: &ClientId, id: &str, service: &ServiceId) -> Result<SoapMessage, Fault> {
    let identifier = |client: &ClientId, code: Option<&str>| {
        let parts = [
            ("xRoadInstance", Some(client.instance())),
            ("memberClass", Some(client.member().class())),
            ("memberCode", Some(client.member().code())),
            ("subsystemCode", client.subsystem()),
            ("serviceCode", code),
        ];
        parts.into_iter().filter_map(|(name, value)| Some((name, value?))).fold(
            String::new(),
            |mut text, (name, value)| {
                text.push_str(&format!("<id:{name}>{}</id:{name}>", partial_escape(value)));
                text
            },
        )
    };
    let kind = if client.subsystem().is_some() { "SUBSYSTEM" } else { "MEMBER" };
    let version = service.version().map_or(String::new(), |version| {
        format!("<xrd:serviceVersion>{}</xrd:serviceVersion>", partial_escape(version))
    });
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{ENVELOPE_NAMESPACE}\" xmlns:id=\"{IDENTIFIERS}\" \
         xmlns:xrd=\"{XROAD}\"><SOAP-ENV:Header>\
         <xrd:client id:objectType=\"{kind}\">{}</xrd:client>\
         <xrd:service id:objectType=\"SERVICE\">{}</xrd:service>\
         <xrd:id>{}</xrd:id><xrd:protocolVersion>4.0</xrd:protocolVersion></SOAP-ENV:Header>\
         <SOAP-ENV:Body><xrd:getWsdl><xrd:serviceCode>{}</xrd:serviceCode>{version}</xrd:getWsdl>\
         </SOAP-ENV:Body></SOAP-ENV:Envelope>",
        identifier(client, None),
        identifier(service.provider(), Some("getWsdl")),
        partial_escape(id),
        partial_escape(service.code()),
    );
    SoapMessage::parse(text.into())
}

/// A WSDL without the addresses of services. Nothing else in it changes.
///
/// # Errors
/// `invalid_xml` when it is not XML in UTF-8, or has a document type.
pub fn without_addresses(wsdl: &Bytes) -> Result<Bytes, Fault> {
    let document = read(wsdl)?;
    let mut masked = Vec::with_capacity(wsdl.len() + 256);
    let mut from = 0;
    let is_address =
        |element: &Element<'_>| element.local_name() == "address" && ADDRESSES.contains(&element.namespace());
    for address in document.root().descendants().filter(is_address) {
        let tag = address.tag();
        let inside = wsdl.get(tag.clone()).and_then(|tag| std::str::from_utf8(tag).ok()).unwrap_or_default();
        let Some(location) = location_in(inside) else { continue };
        masked.extend_from_slice(wsdl.get(from..tag.start + location.start).unwrap_or_default());
        masked.extend_from_slice(escape(NO_ADDRESS).as_bytes());
        from = tag.start + location.end;
    }
    masked.extend_from_slice(wsdl.get(from..).unwrap_or_default());
    Ok(masked.into())
}

/// Where the value of the attribute `location` stands in a start tag.
fn location_in(tag: &str) -> Option<std::ops::Range<usize>> {
    let end = tag.trim_end_matches('>').trim_end_matches('/').len();
    let inside = tag.get(..end)?;
    let name_end = inside.find(|character: char| character.is_ascii_whitespace())?;
    let mut rest = inside.get(name_end..)?;
    while let Ok(Some((name, value))) = next_attribute(&mut rest) {
        if name == "location" {
            // Behind the value stand its closing quote and the rest.
            let value_end = (inside.len() - rest.len()).checked_sub(1)?;
            return Some(value_end.checked_sub(value.len())?..value_end);
        }
    }
    None
}

fn read(octets: &[u8]) -> Result<Document<'_>, Fault> {
    Document::parse(octets, &Limits::default())
        .map_err(|error: XmlError| Fault::new(code::INVALID_XML, error.to_string()))
}

/// The one element in the body of an answer, with the prefixes that its place has for it.
struct Body {
    name: String,
    xroad: String,
    identifiers: String,
    declarations: String,
    children: String,
}

impl Body {
    fn of(request: &SoapMessage, name: &str) -> Result<Self, Fault> {
        let document = read(request.text())?;
        let header = document.root().child(ENVELOPE_NAMESPACE, "Header");
        let client = header.and_then(|header| header.child(XROAD, "client"));
        let body = document.root().child(ENVELOPE_NAMESPACE, "Body");
        // The prefixes of the header blocks, if they stand for the same in the body.
        let mut declarations = String::new();
        let mut prefix = |found: Option<Element<'_>>, namespace: &str, fallback: &str| {
            let found = found.map(|element| element.prefix()).filter(|prefix| !prefix.is_empty());
            let found = found
                .filter(|prefix| body.is_some_and(|body| body.resolve_prefix(prefix) == Some(namespace)));
            found.map_or_else(
                || {
                    declarations.push_str(&format!(" xmlns:{fallback}=\"{namespace}\""));
                    fallback.to_owned()
                },
                str::to_owned,
            )
        };
        let identifier = client.and_then(|client| client.elements().next());
        let identifiers = prefix(identifier, IDENTIFIERS, "id");
        let xroad = prefix(client, XROAD, "xrd");
        Ok(Self { name: name.to_owned(), xroad, identifiers, declarations, children: String::new() })
    }

    fn answer(self, request: &SoapMessage) -> Result<SoapMessage, Fault> {
        let Self { name, xroad: x, declarations, children, .. } = self;
        let element = format!("<{x}:{name}{declarations}>{children}</{x}:{name}>");
        request.answer(&element).map_err(|fault| {
            let text = format!("the request has an envelope that cannot be answered: {}", fault.text);
            Fault::new(code::INTERNAL_ERROR, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::MemberId;

    fn service(code: &str, version: Option<&str>) -> ServiceId {
        let provider = ClientId::new(MemberId::new("CW", "COM", "2").unwrap(), Some("registry")).unwrap();
        ServiceId::new(provider, code, version).unwrap()
    }

    fn client() -> ClientId {
        ClientId::from(MemberId::new("CW", "COM", "1").unwrap())
    }

    #[test]
    fn a_wsdl_is_asked_for_and_answered() {
        let request = wsdl_request(&client(), "id-1", &service("query", Some("v1"))).unwrap();
        assert_eq!(request.service().code(), "getWsdl");
        let query = wsdl_query(&request).unwrap();
        assert_eq!(query, WsdlQuery { code: "query".to_owned(), version: Some("v1".to_owned()) });
        let answer = wsdl_answer(&request, &query).unwrap();
        let text = String::from_utf8(answer.octets().to_vec()).unwrap();
        assert!(
            text.contains(
                "<SOAP-ENV:Body><xrd:getWsdlResponse><xrd:serviceCode>query</xrd:serviceCode>\
                 <xrd:serviceVersion>v1</xrd:serviceVersion></xrd:getWsdlResponse></SOAP-ENV:Body>"
            ),
            "{text}"
        );
        let blank = String::from_utf8(request.octets().to_vec()).unwrap().replace(">query<", "> <");
        let blank = SoapMessage::parse(blank.into()).unwrap();
        assert_eq!(wsdl_query(&blank).map_err(|fault| fault.code), Err(code::INVALID_REQUEST.into()));
    }

    #[test]
    fn services_are_listed_whatever_the_prefixes() {
        let request = wsdl_request(&client(), "id-1", &service("x", None)).unwrap();
        let text = String::from_utf8(request.octets().to_vec()).unwrap().replace("getWsdl", "listMethods");
        let (one, other) = (service("a", Some("v1")), service("b", None));
        // Other prefixes, and prefixes that end with the header.
        let renamed =
            text.replace("xrd:", "a:").replace(":xrd", ":a").replace("id:", "b:").replace(":id=", ":b=");
        let ended = text
            .replace(&format!(" xmlns:id=\"{IDENTIFIERS}\""), "")
            .replace("<xrd:client ", &format!("<xrd:client xmlns:id=\"{IDENTIFIERS}\" "))
            .replace("<xrd:service ", &format!("<xrd:service xmlns:id=\"{IDENTIFIERS}\" "));
        for request in [text, renamed, ended] {
            let parsed = SoapMessage::parse(request.clone().into()).unwrap();
            let answer = service_list(&parsed, &[&one, &other]).unwrap();
            assert_eq!(answer.wrapper(), (XROAD, "listMethodsResponse"), "{request}");
            let document = Document::parse(answer.octets(), &Limits::default()).unwrap();
            let body = document.root().child(ENVELOPE_NAMESPACE, "Body").unwrap();
            let list: Vec<_> = body.elements().next().unwrap().elements().collect();
            assert_eq!(list.len(), 2);
            assert_eq!(list[0].attribute_in(IDENTIFIERS, "objectType"), Some("SERVICE"));
            let version = list[0].child(IDENTIFIERS, "serviceVersion").unwrap();
            assert_eq!(version.text(), "v1");
            assert!(list[1].child(IDENTIFIERS, "serviceVersion").is_none());
            assert!(service_list(&parsed, &[]).is_ok());
        }
    }

    #[test]
    fn addresses_are_taken_out_of_a_wsdl() {
        let wsdl = Bytes::from_static(
            b"<?xml version=\"1.0\"?>\n<w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' \
              xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/'><w:port><s:address location='http://10.0.0.1/a>b'/>\
              </w:port><w:port><address xmlns=\"http://schemas.xmlsoap.org/wsdl/soap12/\" \
              location = \"https://h/\" x=\"y\"></address></w:port><other:address xmlns:other=\"x\" \
              location=\"kept\"/><s:address/></w:definitions>",
        );
        assert_eq!(
            String::from_utf8(without_addresses(&wsdl).unwrap().to_vec()).unwrap(),
            String::from_utf8(wsdl.to_vec())
                .unwrap()
                .replace("http://10.0.0.1/a>b", NO_ADDRESS)
                .replace("https://h/", NO_ADDRESS)
        );
        for wsdl in ["", "<a>", "<!DOCTYPE a><a/>", "\u{0}"] {
            let refused = without_addresses(&Bytes::from_static(wsdl.as_bytes()));
            assert_eq!(refused.map_err(|fault| fault.code), Err(code::INVALID_XML.into()), "{wsdl}");
        }
    }
}
