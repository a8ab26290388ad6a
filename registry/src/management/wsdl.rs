//! The description of the management services, as the registry publishes it on port 80 (§3.11).
//!
//! The names in it are those that X-Road's registry publishes: servers take the codes of the services from
//! it, and scripts know its address by heart. `authCertReg` is described and not offered, since it does not
//! travel over the exchange protocol. The document is written from the kinds of requests, so that it cannot
//! lack one.

use std::sync::LazyLock;

use bytes::Bytes;
use protocol::management::RequestType;

/// Where it is published.
pub(crate) const WSDL_PATH: &str = "/managementservices.wsdl";

/// The document.
pub(crate) static WSDL: LazyLock<Bytes> = LazyLock::new(|| document().into());

/// What stands for the address of the services until the administrator of the provider's server sets it.
const NO_ADDRESS: &str = "http://INSERT_MANAGEMENT_SERVICE_ADDRESS_HERE";

/// The parts of an identifier in the order of its elements, and which kinds of objects there are.
const PARTS: [&str; 7] = [
    "xRoadInstance",
    "memberClass",
    "memberCode",
    "subsystemCode",
    "serviceCode",
    "serviceVersion",
    "serverCode",
];
const OBJECTS: [&str; 4] = ["MEMBER", "SUBSYSTEM", "SERVER", "SERVICE"];

/// Header blocks; the last one is only in answers.
const HEADERS: [(&str, &str); 5] = [
    ("client", "id:XRoadClientIdentifierType"),
    ("service", "id:XRoadServiceIdentifierType"),
    ("id", "xsd:string"),
    ("protocolVersion", "xsd:string"),
    ("requestHash", "xsd:string"),
];

/// An element of a sequence: name, type, whether it may be missing.
type Field = (&'static str, &'static str, bool);

const SERVER: Field = ("server", "id:XRoadSecurityServerIdentifierType", false);
const CLIENT: Field = ("client", "id:XRoadClientIdentifierType", false);
const CERTIFICATE: Field = ("authCert", "xsd:base64Binary", false);

/// The type of a body, and what is in it besides server and number.
fn body_type(kind: RequestType) -> (&'static str, Vec<Field>) {
    let text = |name, optional| (name, "xsd:string", optional);
    match kind {
        RequestType::AuthCertReg => ("AuthCertRegRequestType", vec![text("address", true), CERTIFICATE]),
        RequestType::AuthCertDeletion => ("AuthCertDeletionRequestType", vec![CERTIFICATE]),
        RequestType::ClientReg => ("ClientRegRequestType", vec![CLIENT, text("subsystemName", true)]),
        RequestType::ClientRename => ("ClientRenameRequestType", vec![CLIENT, text("subsystemName", false)]),
        RequestType::ClientDeletion
        | RequestType::ClientDisable
        | RequestType::ClientEnable
        | RequestType::OwnerChange => ("ClientRequestType", vec![CLIENT]),
        RequestType::AddressChange => ("AddressChangeRequestType", vec![text("address", false)]),
        RequestType::MaintenanceModeEnable => {
            ("MaintenanceModeEnableRequestType", vec![text("message", true)])
        }
        RequestType::MaintenanceModeDisable => ("MaintenanceModeDisableRequestType", Vec::new()),
    }
}

fn document() -> String {
    let offered: Vec<&str> = RequestType::ALL
        .into_iter()
        .filter(|kind| *kind != RequestType::AuthCertReg)
        .map(RequestType::service_code)
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <wsdl:definitions name=\"centralservice\" targetNamespace=\"http://x-road.eu/centralservice/\"\n    \
         xmlns:tns=\"http://x-road.eu/centralservice/\" xmlns:xroad=\"http://x-road.eu/xsd/xroad.xsd\"\n    \
         xmlns:wsdl=\"http://schemas.xmlsoap.org/wsdl/\" xmlns:soap=\"http://schemas.xmlsoap.org/wsdl/soap/\"\n    \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\n\
         <wsdl:types>\n{}{}</wsdl:types>\n{}{}{}\
         <wsdl:service name=\"centralservice\">\n\
         <wsdl:port name=\"centralserviceSOAP\" binding=\"tns:centralserviceSOAP\">\
         <soap:address location=\"{NO_ADDRESS}\"/></wsdl:port>\n\
         </wsdl:service>\n</wsdl:definitions>\n",
        identifiers(),
        bodies(),
        messages(),
        port_type(&offered),
        binding(&offered),
    )
}

/// The schema of identifiers.
fn identifiers() -> String {
    let mut text = String::from(
        "<xsd:schema targetNamespace=\"http://x-road.eu/xsd/identifiers\" elementFormDefault=\"qualified\" \
         xmlns=\"http://x-road.eu/xsd/identifiers\">\n\
         <xsd:simpleType name=\"XRoadObjectType\"><xsd:restriction base=\"xsd:string\">",
    );
    for object in OBJECTS {
        text += &format!("<xsd:enumeration value=\"{object}\"/>");
    }
    text += "</xsd:restriction></xsd:simpleType>\n<xsd:attribute name=\"objectType\" type=\"XRoadObjectType\"/>\n";
    for part in PARTS {
        text += &format!("<xsd:element name=\"{part}\" type=\"xsd:string\"/>\n");
    }
    for (name, parts) in [
        ("XRoadClientIdentifierType", ["subsystemCode?", "", ""]),
        ("XRoadServiceIdentifierType", ["subsystemCode?", "serviceCode", "serviceVersion?"]),
        ("XRoadSecurityServerIdentifierType", ["serverCode", "", ""]),
    ] {
        text += &format!("<xsd:complexType name=\"{name}\"><xsd:sequence>");
        let member = ["xRoadInstance", "memberClass", "memberCode"];
        for part in member.into_iter().chain(parts).filter(|part| !part.is_empty()) {
            text += &match part.strip_suffix('?') {
                Some(part) => format!("<xsd:element ref=\"{part}\" minOccurs=\"0\"/>"),
                None => format!("<xsd:element ref=\"{part}\"/>"),
            };
        }
        text += "</xsd:sequence><xsd:attribute ref=\"objectType\" use=\"required\"/></xsd:complexType>\n";
    }
    text + "</xsd:schema>\n"
}

/// The schema of bodies and header blocks.
fn bodies() -> String {
    let mut text = String::from(
        "<xsd:schema targetNamespace=\"http://x-road.eu/xsd/xroad.xsd\" elementFormDefault=\"qualified\" \
         xmlns:id=\"http://x-road.eu/xsd/identifiers\">\n\
         <xsd:import namespace=\"http://x-road.eu/xsd/identifiers\"/>\n",
    );
    let mut types: Vec<(&str, Vec<Field>)> = Vec::new();
    for kind in RequestType::ALL {
        let (name, fields) = body_type(kind);
        for suffix in ["", "Response"] {
            let code = kind.service_code();
            text += &format!("<xsd:element name=\"{code}{suffix}\" type=\"xroad:{name}\"/>\n");
        }
        if !types.iter().any(|(known, _)| *known == name) {
            types.push((name, fields));
        }
    }
    for (name, kind) in HEADERS {
        text += &format!("<xsd:element name=\"{name}\" type=\"{kind}\"/>\n");
    }
    for (name, fields) in types {
        text += &format!("<xsd:complexType name=\"{name}\"><xsd:sequence>");
        let number: Field = ("requestId", "xroad:RequestIdType", true);
        for (name, kind, optional) in std::iter::once(SERVER).chain(fields).chain([number]) {
            let least = if optional { " minOccurs=\"0\"" } else { "" };
            text += &format!("<xsd:element name=\"{name}\" type=\"{kind}\"{least}/>");
        }
        text += "</xsd:sequence></xsd:complexType>\n";
    }
    text +=
        "<xsd:simpleType name=\"RequestIdType\"><xsd:restriction base=\"xsd:integer\"/></xsd:simpleType>\n";
    text + "</xsd:schema>\n"
}

fn messages() -> String {
    let mut text = String::from("<wsdl:message name=\"requestheader\">");
    for (name, _) in HEADERS {
        text += &format!("<wsdl:part name=\"{name}\" element=\"xroad:{name}\"/>");
    }
    text += "</wsdl:message>\n";
    for kind in RequestType::ALL {
        for suffix in ["", "Response"] {
            let name = format!("{}{suffix}", kind.service_code());
            text += &format!(
                "<wsdl:message name=\"{name}\"><wsdl:part name=\"parameters\" element=\"xroad:{name}\"/>\
                 </wsdl:message>\n"
            );
        }
    }
    text
}

fn port_type(offered: &[&str]) -> String {
    let mut text = String::from("<wsdl:portType name=\"centralservice\">\n");
    for code in offered {
        text += &format!(
            "<wsdl:operation name=\"{code}\"><wsdl:input message=\"tns:{code}\"/>\
             <wsdl:output message=\"tns:{code}Response\"/></wsdl:operation>\n"
        );
    }
    text + "</wsdl:portType>\n"
}

fn binding(offered: &[&str]) -> String {
    let headers = |count: usize| {
        let body = "<soap:body use=\"literal\"/>".to_owned();
        HEADERS.iter().take(count).fold(body, |text, (name, _)| {
            text + &format!("<soap:header message=\"tns:requestheader\" part=\"{name}\" use=\"literal\"/>")
        })
    };
    let (request, answer) = (headers(HEADERS.len() - 1), headers(HEADERS.len()));
    let mut text = String::from(
        "<wsdl:binding name=\"centralserviceSOAP\" type=\"tns:centralservice\">\n\
         <soap:binding style=\"document\" transport=\"http://schemas.xmlsoap.org/soap/http\"/>\n",
    );
    for code in offered {
        text += &format!(
            "<wsdl:operation name=\"{code}\"><soap:operation soapAction=\"\"/>\
             <wsdl:input>{request}</wsdl:input><wsdl:output>{answer}</wsdl:output></wsdl:operation>\n"
        );
    }
    text + "</wsdl:binding>\n"
}

#[cfg(test)]
mod tests {
    use protocol::xml::{Document, Limits};

    use super::*;

    const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
    const DESCRIPTION: &str = "http://schemas.xmlsoap.org/wsdl/";

    #[test]
    fn everything_that_is_named_is_there() {
        let document = Document::parse(&WSDL, &Limits::default()).unwrap();
        let all: Vec<_> = document.root().descendants().collect();
        let named = |namespace: &str, local: &str| -> Vec<&str> {
            all.iter()
                .filter(|element| element.is(namespace, local))
                .filter_map(|element| element.attribute("name"))
                .collect()
        };
        let messages = named(DESCRIPTION, "message");
        let elements = named(SCHEMA, "element");
        let types = [named(SCHEMA, "complexType"), named(SCHEMA, "simpleType")].concat();
        let values = |attribute: &str| -> Vec<&str> {
            all.iter().filter_map(|element| element.attribute(attribute)).collect()
        };
        for element in values("element") {
            assert!(elements.contains(&element.trim_start_matches("xroad:")), "{element}");
        }
        for message in values("message") {
            assert!(messages.contains(&message.trim_start_matches("tns:")), "{message}");
        }
        for kind in values("type").into_iter().filter(|kind| !kind.starts_with("xsd:")) {
            let plain = kind.rsplit(':').next().unwrap_or(kind);
            assert!(types.contains(&plain) || kind == "tns:centralservice", "{kind}");
        }
        // Each operation twice: in the port type and in the binding.
        assert_eq!(named(DESCRIPTION, "operation").len(), 20);
        assert_eq!(messages.len(), 23);
    }
}
