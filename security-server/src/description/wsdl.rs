//! WSDL 1.1, as far as a security server needs it (registry and administration §4.5).
//!
//! Every operation of every binding that a port uses and that is SOAP 1.1 or 1.2 over HTTP is a service.
//! Imports and schemas are not followed, so nothing is fetched; a DOCTYPE is refused.

use std::collections::BTreeSet;

use protocol::xml::{Document, Element, Limits};

use super::error::DescriptionError;
use super::names::is_usable;
use crate::state::ServiceKey;

const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
/// The namespaces of SOAP 1.1 and SOAP 1.2 elements in a WSDL.
const SOAP: [&str; 2] = ["http://schemas.xmlsoap.org/wsdl/soap/", "http://schemas.xmlsoap.org/wsdl/soap12/"];
/// What bindings write for HTTP.
const HTTP: [&str; 2] =
    ["http://schemas.xmlsoap.org/soap/http", "http://www.w3.org/2003/05/soap/bindings/HTTP/"];

/// Largest document in octets.
pub(super) const LARGEST: usize = 10 << 20;
/// Schemas that stand inside one another go deeper than messages do.
const LIMITS: Limits = Limits { octets: LARGEST, depth: 256, nodes: 1_000_000, attributes: 256 };

/// The services that a WSDL describes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wsdl {
    /// In the order of the document, each code and version once; never empty.
    pub services: Vec<WsdlService>,
}

/// One operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WsdlService {
    /// The operation's name and its version.
    pub key: ServiceKey,
    /// Address of the first port that has it.
    pub url: String,
    /// What its documentation calls it.
    pub title: Option<String>,
}

impl Wsdl {
    /// Reads a document.
    ///
    /// # Errors
    /// [`DescriptionError::Wsdl`] when it is none or describes no service,
    /// [`DescriptionError::ServiceUrl`] and [`DescriptionError::Identifier`] with everything they object to.
    pub fn parse(octets: &[u8]) -> Result<Self, DescriptionError> {
        let invalid = |reason: &str| DescriptionError::Wsdl(reason.to_owned());
        let document =
            Document::parse(octets, &LIMITS).map_err(|error| DescriptionError::Wsdl(error.to_string()))?;
        let root = document.root();
        if !root.is(WSDL, "definitions") {
            return Err(invalid("the root is not the element definitions of WSDL 1.1"));
        }
        let mut services = Vec::new();
        let mut seen = BTreeSet::new();
        let ports = children(root, "service").flat_map(|service| children(service, "port"));
        for port in ports {
            let Some(binding) = named(root, "binding", port) else {
                return Err(invalid("a port uses a binding that the document does not have"));
            };
            if !is_soap_over_http(binding) {
                continue;
            }
            let url = soap_child(port, "address").and_then(|address| address.attribute("location"));
            for operation in children(binding, "operation") {
                let name = operation.attribute("name").ok_or_else(|| invalid("an operation has no name"))?;
                let key = ServiceKey { code: name.to_owned(), version: version(operation) };
                if seen.insert(key.clone()) {
                    let title = title(root, binding, name);
                    services.push(WsdlService { key, url: url.unwrap_or_default().to_owned(), title });
                }
            }
        }
        if services.is_empty() {
            return Err(invalid("it has no operation of SOAP over HTTP"));
        }
        check_urls(&services)?;
        check_identifiers(&services)?;
        Ok(Self { services })
    }
}

fn check_urls(services: &[WsdlService]) -> Result<(), DescriptionError> {
    let bad: BTreeSet<_> = services.iter().map(|service| &service.url).filter(|url| !is_http(url)).collect();
    if bad.is_empty() {
        Ok(())
    } else {
        Err(DescriptionError::ServiceUrl(bad.into_iter().cloned().collect()))
    }
}

fn check_identifiers(services: &[WsdlService]) -> Result<(), DescriptionError> {
    let mut bad: Vec<String> = Vec::new();
    for key in services.iter().map(|service| &service.key) {
        for part in [Some(&key.code), key.version.as_ref()].into_iter().flatten() {
            if !is_usable(part) && !bad.contains(part) {
                bad.push(part.clone());
            }
        }
    }
    if bad.is_empty() { Ok(()) } else { Err(DescriptionError::Identifier(bad)) }
}

/// Whether a text is the URL of a system that can be called.
pub(super) fn is_http(url: &str) -> bool {
    let host = ["http://", "https://"].iter().find_map(|scheme| {
        url.get(..scheme.len())
            .filter(|start| start.eq_ignore_ascii_case(scheme))
            .and(url.get(scheme.len()..))
    });
    host.is_some_and(|host| host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '['))
        && url.parse::<http::Uri>().is_ok()
}

fn children<'d>(parent: Element<'d>, local: &'static str) -> impl Iterator<Item = Element<'d>> {
    parent.elements().filter(move |child| child.is(WSDL, local))
}

/// The binding of a port, or the port type of a binding, by its qualified name. The namespace must be the
/// document's own, since imports are not followed.
fn named<'d>(root: Element<'d>, local: &'static str, user: Element<'_>) -> Option<Element<'d>> {
    let name = user.attribute(if local == "binding" { "binding" } else { "type" });
    let name = match name?.trim().split_once(':') {
        Some((prefix, name)) if user.resolve_prefix(prefix) == root.attribute("targetNamespace") => name,
        Some(_) => return None,
        None => name?.trim(),
    };
    children(root, local).find(|element| element.attribute("name").is_some_and(|found| found.trim() == name))
}

fn soap_child<'d>(parent: Element<'d>, local: &str) -> Option<Element<'d>> {
    parent.elements().find(|child| SOAP.iter().any(|namespace| child.is(namespace, local)))
}

fn is_soap_over_http(binding: Element<'_>) -> bool {
    let transport = soap_child(binding, "binding").and_then(|binding| binding.attribute("transport"));
    transport.is_some_and(|transport| HTTP.contains(&transport))
}

/// The version of an operation. Its namespace is not looked at: descriptions of the time before version 4
/// of the message protocol have another one than those of today.
fn version(operation: Element<'_>) -> Option<String> {
    text_of(operation.elements().find(|child| child.local_name() == "version")?)
}

/// The title in the documentation of the operation of the binding's port type.
fn title(root: Element<'_>, binding: Element<'_>, operation: &str) -> Option<String> {
    let port_type = named(root, "portType", binding)?;
    let operation =
        children(port_type, "operation").find(|found| found.attribute("name") == Some(operation))?;
    let documentation = children(operation, "documentation").next()?;
    text_of(documentation.elements().find(|child| child.local_name() == "title")?)
}

fn text_of(element: Element<'_>) -> Option<String> {
    Some(element.text().trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: &str = r#"<w:service name="s"><w:port name="p" binding="t:b"><s:address location="http://h:1/x"/></w:port></w:service>"#;

    fn document(binding: &str, service: &str) -> String {
        format!(
            r#"<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:t="urn:t" targetNamespace="urn:t"
                xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s2="http://schemas.xmlsoap.org/wsdl/soap12/"
                xmlns:x="http://x-road.eu/xsd/xroad.xsd">
              <w:portType name="pt"><w:operation name="get"><w:documentation><x:title> Get it </x:title>
                </w:documentation></w:operation></w:portType>
              <w:binding name="b" type="t:pt">{binding}</w:binding>{service}</w:definitions>"#
        )
    }

    fn operations(prefix: &str, transport: &str, names: &[(&str, Option<&str>)]) -> String {
        let mut text = format!(r#"<{prefix}:binding transport="{transport}"/>"#);
        for (name, version) in names {
            let version =
                version.map(|version| format!("<x:version>{version}</x:version>")).unwrap_or_default();
            text += &format!(r#"<w:operation name="{name}"><{prefix}:operation/>{version}</w:operation>"#);
        }
        text
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &str>) {
        let found = Wsdl::parse(text.as_bytes());
        let found = found.map(|wsdl| {
            let line = |service: WsdlService| {
                let version = service.key.version.map(|version| format!(".{version}")).unwrap_or_default();
                format!("{}{version} {} {}", service.key.code, service.url, service.title.unwrap_or_default())
            };
            wsdl.services.into_iter().map(line).collect::<Vec<_>>()
        });
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(error), Err(code)) => assert_eq!(error.code(), code, "{error}: {text}"),
            (found, _) => panic!("{found:?} for {text}"),
        }
    }

    #[test]
    fn services_of_a_document() {
        let get = [("get", Some("v1"))];
        let expected = Ok(&["get.v1 http://h:1/x Get it"][..]);
        check(&document(&operations("s", HTTP[0], &get), PORT), expected);
        check(
            &document(&operations("s2", HTTP[0], &get), &PORT.replace("s:address", "s2:address")),
            expected,
        );
        check(
            &document(&operations("s2", HTTP[1], &get), &PORT.replace("s:address", "s2:address")),
            expected,
        );
        // Two ports with the same operation are one service.
        check(&document(&operations("s", HTTP[0], &get), &PORT.repeat(2)), expected);
        let several = [("get", None), ("get", Some("v2")), ("set", Some(" "))];
        check(
            &document(&operations("s", HTTP[0], &several), PORT),
            Ok(&["get http://h:1/x Get it", "get.v2 http://h:1/x Get it", "set http://h:1/x "]),
        );
    }

    #[test]
    fn refused_documents() {
        let get = operations("s", HTTP[0], &[("get", None)]);
        check("FooBar!", Err("invalid_wsdl"));
        check("", Err("invalid_wsdl"));
        check("<definitions/>", Err("invalid_wsdl"));
        check(&format!("<!DOCTYPE w:definitions>{}", document(&get, PORT)), Err("invalid_wsdl"));
        check(&document(&get, ""), Err("invalid_wsdl"));
        check(&document(&get, &PORT.replace("t:b", "t:other")), Err("invalid_wsdl"));
        check(&document(&get, &PORT.replace("t:b", "x:b")), Err("invalid_wsdl"));
        check(&document(&operations("s", "urn:jms", &[("get", None)]), PORT), Err("invalid_wsdl"));
        for address in ["ftp://h/x", "", "http://", "http:///x", "//h", "http://h h/"] {
            check(&document(&get, &PORT.replace("http://h:1/x", address)), Err("invalid_service_url"));
        }
        check(&document(&get, &PORT.replace("s:address", "x:address")), Err("invalid_service_url"));
        for name in ["a:b", "a;b", "a/../b", "a\\b", "50%", " "] {
            let bad = operations("s", HTTP[0], &[(name, None)]);
            check(&document(&bad, PORT), Err("invalid_wsdl_service_identifier"));
            let bad = operations("s", HTTP[0], &[("get", Some(&format!("v{name}:")))]);
            check(&document(&bad, PORT), Err("invalid_wsdl_service_identifier"));
        }
    }
}
