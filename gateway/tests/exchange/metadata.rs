//! The services that a node itself has for each of its clients (messages and transport §6.2, §6.3).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gateway::http::Outgoing;
use gateway::ports::{ConnectionType, LocalClient, LocalService, ServiceEndpoint, ServiceTls, ServiceType};
use hyper::HeaderMap;
use protocol::id::{ClientId, ServiceId};

use crate::calls::{Answer, call_at, request};
use crate::federation::{CLIENT_PORT, Federation, client, provider, service};
use crate::interface::fault_code;

const PROVIDER: &str = "/r1/CW/COM/2/service";

fn described(code: &str, service_type: ServiceType, url: &str, endpoints: &[(&str, &str)]) -> LocalService {
    let endpoint = |(method, path): &(&str, &str)| ServiceEndpoint {
        method: (*method).to_owned(),
        path: (*path).to_owned(),
    };
    LocalService {
        id: service(code),
        url: "http://127.0.0.1:1/".to_owned(),
        timeout: Duration::from_secs(2),
        tls: ServiceTls::Pinned,
        disabled: None,
        service_type,
        description_url: Some(url.to_owned()).filter(|url| !url.is_empty()),
        endpoints: endpoints.iter().map(endpoint).collect(),
    }
}

impl Federation {
    fn add(&self, added: LocalService) {
        self.provider.directory.services.lock().unwrap().insert(added.id.clone(), Arc::new(added));
    }

    fn allow(&self, code: &str) {
        self.provider.directory.rights.lock().unwrap().insert((client(), service(code)));
    }
}

/// Service codes of a list, with their endpoints.
fn listed(answer: &Answer) -> Vec<String> {
    assert_eq!((answer.status, answer.error()), (200, ""), "{:?}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/json");
    let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let services = list["service"].as_array().unwrap().iter();
    services
        .map(|service| {
            let endpoints: Vec<String> = service["endpoint_list"]
                .as_array()
                .unwrap()
                .iter()
                .map(|endpoint| {
                    format!("{} {}", endpoint["method"].as_str().unwrap(), endpoint["path"].as_str().unwrap())
                })
                .collect();
            let text = |name: &str| service[name].as_str().unwrap().to_owned();
            format!("{} {} [{}]", text("service_code"), text("service_type"), endpoints.join(", "))
        })
        .collect()
}

#[tokio::test]
async fn services_are_listed_and_rights_respected() {
    let federation = Federation::start();
    let endpoints = [("GET", "/a/*"), ("*", "/forbidden"), ("POST", "/b")];
    federation.add(described("api", ServiceType::OpenApi, "http://x/", &endpoints));
    federation.add(described("other", ServiceType::Rest, "", &[("GET", "/only")]));
    federation.add(described("soap", ServiceType::Soap, "http://x/", &[]));
    let off =
        LocalService { disabled: Some("off".to_owned()), ..described("off", ServiceType::Rest, "", &[]) };
    federation.add(off);
    federation.allow("api");
    federation.allow("soap");
    let all = federation.call("GET", &format!("{PROVIDER}/listMethods"), Outgoing::Empty).await;
    assert_eq!(
        listed(&all),
        [
            "api OPENAPI [GET /a/*, * /forbidden, POST /b]",
            "echo REST []",
            "off REST []",
            "other REST [GET /only]"
        ]
    );
    let allowed = federation.call("GET", &format!("{PROVIDER}/allowedMethods"), Outgoing::Empty).await;
    assert_eq!(listed(&allowed), ["api OPENAPI [GET /a/*, POST /b]", "echo REST []"]);
    // What stands behind the service code is ignored, and so is a body.
    let answer = federation.call("GET", &format!("{PROVIDER}/listMethods/x/y?z"), "body".to_owned()).await;
    assert_eq!(listed(&answer).len(), 4);
    // No right at all is needed.
    federation.provider.directory.rights.lock().unwrap().clear();
    let allowed = federation.call("GET", &format!("{PROVIDER}/allowedMethods"), Outgoing::Empty).await;
    assert!(listed(&allowed).is_empty());
    // All of it is signed and logged at both ends, and no service saw anything.
    assert_eq!((federation.consumer.log.len(), federation.provider.log.len()), (8, 8));
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn built_in_services_tell_nothing_of_the_request_but_its_ties() {
    let federation = Federation::start();
    let mut call = request("GET", &format!("{PROVIDER}/listMethods"), Outgoing::Empty);
    for (name, value) in [("accept", "text/xml"), ("x-mine", "1"), ("cookie", "a=b"), ("x-road-id", "id-9")] {
        call.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = call_at(federation.consumer.address(CLIENT_PORT), call).await;
    let mut names: Vec<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "content-length",
            "content-type",
            "date",
            "x-road-client",
            "x-road-id",
            "x-road-request-hash",
            "x-road-request-id",
            "x-road-service"
        ]
    );
    assert_eq!(answer.headers["x-road-id"], "id-9");
    assert_eq!(answer.headers["x-road-service"], "CW/COM/2/service/listMethods");
}

#[tokio::test]
async fn built_in_services_answer_get_alone_and_registered_providers() {
    let federation = Federation::start();
    for (method, path, code) in [
        ("POST", "/r1/CW/COM/2/service/listMethods", "server.serverproxy.unknown_service"),
        ("HEAD", "/r1/CW/COM/2/service/allowedMethods", "server.serverproxy.unknown_service"),
        ("DELETE", "/r1/CW/COM/2/service/getOpenAPI", "server.serverproxy.unknown_service"),
        ("GET", "/r1/CW/COM/2/service/ListMethods", "server.serverproxy.unknown_service"),
        ("GET", "/r1/CW/COM/2/service/getWsdl", "server.serverproxy.unknown_service"),
        ("GET", "/r1/CW/COM/2/other/listMethods", "server.clientproxy.unknown_member"),
    ] {
        let answer = federation.call(method, path, Outgoing::Empty).await;
        assert_eq!(answer.error(), code, "{method} {path}");
    }
}

const OPENAPI: &str =
    "{\"openapi\":\"3.0.3\",\"servers\":[{\"url\":\"http://10.9.8.7:8080/in\"}],\"paths\":{}}";

#[tokio::test]
async fn descriptions_are_handed_out_without_the_addresses_of_servers() {
    let federation = Federation::start();
    let system = format!("http://{}", federation.system.address);
    let yaml = "openapi: 3.1.0\nservers:\n  - url: http://10.9.8.7/in\npaths: {}\n";
    let large = format!("{{\"openapi\":\"3.0.3\",\"x\":\"{}\",\"paths\":{{}}}}", "y".repeat(400_000));
    for (code, path, content_type, document) in [
        ("json", "/described", "application/json;charset=utf-8", OPENAPI),
        ("named", "/described.json", "", OPENAPI),
        ("yaml", "/described", "application/x-yaml", yaml),
        ("text", "/described?format=yaml", "text/plain", yaml),
        ("large", "/described", "application/json", large.as_str()),
    ] {
        federation.system.describes(content_type, document);
        federation.add(described(code, ServiceType::OpenApi, &format!("{system}{path}"), &[]));
        let target = format!("{PROVIDER}/getOpenAPI?serviceCode=nothing&SERVICECODE={code}");
        let answer = federation.call("GET", &target, Outgoing::Empty).await;
        assert_eq!((answer.status, answer.error()), (200, ""), "{code} {:?}", answer.body);
        let expected = if content_type.is_empty() { "text/plain" } else { content_type };
        assert_eq!(answer.headers["content-type"], expected, "{code}");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(text.contains("openapi") && !text.contains("10.9.8.7"), "{code} {text}");
        assert!(code == "large" || text.contains("/in"), "{code} {text}");
    }
    let seen: (String, String, HeaderMap, usize) =
        federation.system.seen.last.lock().unwrap().clone().unwrap();
    assert_eq!((seen.0.as_str(), seen.1.as_str()), ("GET", "/described"));
    assert!(!seen.2.keys().any(|name| name.as_str().starts_with("x-road")), "{:?}", seen.2);
}

#[tokio::test]
async fn descriptions_that_cannot_be_handed_out() {
    let federation = Federation::start();
    let system = format!("http://{}", federation.system.address);
    federation.system.describes("application/json", "{\"swagger\":\"2.0\"}");
    for (code, url) in [
        ("old", format!("{system}/described")),
        ("missing", format!("{system}/status/404")),
        ("moved", format!("{system}/status/302")),
        ("huge", format!("{system}/bytes/11000000")),
        ("nowhere", "http://127.0.0.1:1/".to_owned()),
        ("unknown-host", "http://no-such-host.invalid/".to_owned()),
        ("untrusted", format!("https://{}/", federation.system.address)),
        ("slow", format!("{system}/slow/3000")),
        ("without", String::new()),
    ] {
        federation.add(described(code, ServiceType::OpenApi, &url, &[]));
    }
    federation.add(described("plain", ServiceType::Rest, "", &[]));
    federation.add(described("soap", ServiceType::Soap, &system, &[]));
    let internal = "server.serverproxy.internal_error";
    let invalid = "server.serverproxy.invalid_request";
    for (query, code) in [
        ("", invalid),
        ("?serviceCode=", invalid),
        ("?serviceCode", invalid),
        ("?service=old", invalid),
        ("?serviceCode=%zz", "client.bad_request"),
        ("?serviceCode=%ff", invalid),
        ("?serviceCode=other", internal),
        ("?serviceCode=old", internal),
        ("?serviceCode=missing", internal),
        ("?serviceCode=moved", internal),
        ("?serviceCode=huge", internal),
        ("?serviceCode=nowhere", internal),
        ("?serviceCode=unknown-host", internal),
        ("?serviceCode=untrusted", internal),
        ("?serviceCode=slow", internal),
        ("?serviceCode=without", internal),
        ("?serviceCode=plain", internal),
        ("?serviceCode=soap", internal),
    ] {
        let answer = federation.call("GET", &format!("{PROVIDER}/getOpenAPI{query}"), Outgoing::Empty).await;
        assert_eq!(answer.error(), code, "{query} {:?}", answer.body);
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!text.contains("127."), "an address is told: {text}");
    }
}

/// A call of a built-in service over SOAP.
pub(crate) fn soap_request(built_in: &str, body: &str) -> String {
    format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:i=\"http://x-road.eu/xsd/identifiers\"><e:Header>\
         <x:client i:objectType=\"SUBSYSTEM\"><i:xRoadInstance>CW</i:xRoadInstance>\
         <i:memberClass>COM</i:memberClass><i:memberCode>1</i:memberCode>\
         <i:subsystemCode>client</i:subsystemCode></x:client>\
         <x:service i:objectType=\"SERVICE\"><i:xRoadInstance>CW</i:xRoadInstance>\
         <i:memberClass>COM</i:memberClass><i:memberCode>2</i:memberCode>\
         <i:subsystemCode>service</i:subsystemCode><i:serviceCode>{built_in}</i:serviceCode>\
         <i:serviceVersion>any</i:serviceVersion></x:service>\
         <x:userId>EE1</x:userId><x:id>id-1</x:id><x:protocolVersion>4.0</x:protocolVersion></e:Header>\
         <e:Body><x:{built_in}>{body}</x:{built_in}></e:Body></e:Envelope>"
    )
}

pub(crate) async fn soap(federation: &Federation, content_type: &str, body: String) -> Answer {
    let mut call = request("POST", "/", body.into());
    call.headers_mut().remove("x-road-client");
    call.headers_mut().insert("content-type", content_type.parse().unwrap());
    call_at(federation.consumer.address(CLIENT_PORT), call).await
}

/// A SOAP service of the provider with a version.
fn versioned(code: &str, version: &str, url: &str) -> LocalService {
    let id = ServiceId::new(provider(), code, Some(version)).unwrap();
    LocalService { id, ..described(code, ServiceType::Soap, url, &[]) }
}

#[tokio::test]
async fn soap_services_are_listed_and_rights_respected() {
    let federation = Federation::start();
    federation.add(versioned("query", "v1", "http://x/"));
    federation.add(versioned("query", "v2", "http://x/"));
    let off = LocalService { disabled: Some("off".to_owned()), ..versioned("off", "v1", "http://x/") };
    federation.add(off);
    let id = ServiceId::new(provider(), "query", Some("v1")).unwrap();
    federation.provider.directory.rights.lock().unwrap().insert((client(), id));
    let listed = |answer: &Answer| -> Vec<String> {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let list = text.split("<e:Body>").nth(1).unwrap_or_else(|| panic!("{text}"));
        let within = |text: &str, name: &str| {
            let rest = text.split(&format!("<i:{name}>")).nth(1)?;
            rest.split('<').next().map(str::to_owned)
        };
        let services = list.split("<x:service i:objectType=\"SERVICE\">").skip(1);
        services
            .map(|service| {
                let version = within(service, "serviceVersion").unwrap_or_default();
                format!("{} {version}", within(service, "serviceCode").unwrap())
            })
            .collect()
    };
    let answer = soap(&federation, "text/xml", soap_request("listMethods", "")).await;
    assert_eq!(fault_code(&answer), "");
    assert_eq!(answer.headers["content-type"], "text/xml; charset=UTF-8");
    assert_eq!(listed(&answer), ["off v1", "query v1", "query v2"]);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("<x:listMethodsResponse>") && text.contains("<x:requestHash "), "{text}");
    let answer = soap(&federation, "text/xml", soap_request("allowedMethods", "")).await;
    assert_eq!(listed(&answer), ["query v1"]);
    assert_eq!((federation.consumer.log.len(), federation.provider.log.len()), (4, 4));
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 0);
}

const WSDL: &str = "<w:definitions xmlns:w=\"http://schemas.xmlsoap.org/wsdl/\" \
    xmlns:s=\"http://schemas.xmlsoap.org/wsdl/soap/\"><w:service name=\"s\"><w:port name=\"p\">\
    <s:address location=\"http://10.9.8.7/soap\"/></w:port></w:service></w:definitions>";

#[tokio::test]
async fn a_wsdl_is_handed_out_as_an_attachment_and_by_its_old_address() {
    let federation = Federation::start();
    federation.system.describes("text/xml", WSDL);
    let system = format!("http://{}", federation.system.address);
    federation.add(versioned("query", "v1", &format!("{system}/described?wsdl")));
    let masked = WSDL.replace("http://10.9.8.7/soap", "http://example.org/xroad-endpoint");
    let named = "<x:serviceCode>query</x:serviceCode><x:serviceVersion>v1</x:serviceVersion>";
    let answer = soap(&federation, "text/xml", soap_request("getWsdl", named)).await;
    let content_type = answer.headers["content-type"].to_str().unwrap().to_owned();
    let start = "multipart/related; type=\"text/xml\"; charset=UTF-8; boundary=";
    let boundary = content_type.strip_prefix(start).unwrap_or_else(|| panic!("{content_type}"));
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let start = format!("--{boundary}\r\ncontent-type:text/xml; charset=UTF-8\r\n\r\n<e:Envelope");
    assert!(text.starts_with(&start), "{text}");
    assert!(text.contains(&format!("<x:getWsdlResponse>{named}</x:getWsdlResponse>")), "{text}");
    let attachment = format!("\r\n--{boundary}\r\ncontent-type:text/xml\r\nContent-ID: <wsdl=");
    assert!(text.contains(&attachment), "{text}");
    let end =
        format!("@x-road.eu>\r\nContent-Transfer-Encoding: binary\r\n\r\n{masked}\r\n--{boundary}--\r\n");
    assert!(text.ends_with(&end), "{text}");

    // The old address speaks in the name of the server's owner, who must be a client of it.
    let query =
        "xRoadInstance=CW&memberClass=COM&memberCode=2&subsystemCode=service&serviceCode=query&version=v1";
    let target = format!("/wsdl?{query}");
    let answer = federation.call("GET", &target, Outgoing::Empty).await;
    assert_eq!(fault_code(&answer), "server.clientproxy.unknown_member");
    let owner = ClientId::from(federation.consumer.id.owner().clone());
    let local = |connection_type| {
        Arc::new(LocalClient { id: owner.clone(), connection_type, certificates: Vec::new() })
    };
    let clients = &federation.consumer.directory.clients;
    clients.lock().unwrap().insert(owner.clone(), local(ConnectionType::Https));
    let answer = federation.call("GET", &target, Outgoing::Empty).await;
    assert_eq!(fault_code(&answer), "server.clientproxy.ssl_authentication_failed");
    clients.lock().unwrap().insert(owner.clone(), local(ConnectionType::Http));
    let before = (federation.consumer.log.len(), federation.provider.log.len());
    let answer = federation.call("GET", &target, Outgoing::Empty).await;
    assert_eq!((answer.status, fault_code(&answer).as_str()), (200, ""));
    assert_eq!(answer.headers["content-type"], "text/xml; charset=UTF-8");
    assert_eq!(answer.body, masked);
    assert_eq!((federation.consumer.log.len(), federation.provider.log.len()), (before.0 + 2, before.1 + 2));
    for (query, code) in [
        ("", "client.invalid_request"),
        ("xRoadInstance=CW", "client.invalid_request"),
        (&query.replace("=v1", "=v9"), "server.serverproxy.unknown_service"),
        (&query.replace("memberCode=2", "memberCode=9"), "server.clientproxy.unknown_member"),
    ] {
        let answer = federation.call("GET", &format!("/wsdl?{query}"), Outgoing::Empty).await;
        assert_eq!(fault_code(&answer), code, "{query}");
    }
}

#[tokio::test]
async fn soap_metadata_that_cannot_be_had() {
    let federation = Federation::start();
    let system = format!("http://{}", federation.system.address);
    federation.system.describes("text/xml", "<!DOCTYPE a><a/>");
    federation.add(versioned("doctype", "v1", &format!("{system}/described")));
    federation.add(versioned("missing", "v1", &format!("{system}/status/404")));
    federation.add(versioned("nowhere", "v1", "http://127.0.0.1:1/"));
    let named = |code: &str, version: &str| {
        format!("<x:serviceCode>{code}</x:serviceCode><x:serviceVersion>{version}</x:serviceVersion>")
    };
    for (body, code) in [
        (String::new(), "invalid_request"),
        ("<x:serviceCode> </x:serviceCode>".to_owned(), "invalid_request"),
        (named("other", "v1"), "unknown_service"),
        (named("doctype", "v2"), "unknown_service"),
        ("<x:serviceCode>echo</x:serviceCode>".to_owned(), "service_type"),
        (named("doctype", "v1"), "invalid_xml"),
        (named("missing", "v1"), "internal_error"),
        (named("nowhere", "v1"), "network_error"),
    ] {
        let answer = soap(&federation, "text/xml", soap_request("getWsdl", &body)).await;
        assert_eq!(fault_code(&answer), format!("server.serverproxy.{code}"), "{body}");
    }
    let related = format!(
        "--b\r\ncontent-type: text/xml\r\n\r\n{}\r\n--b\r\ncontent-type: text/plain\r\n\r\nx\r\n--b--\r\n",
        soap_request("listMethods", "")
    );
    let answer = soap(&federation, "multipart/related; boundary=b", related).await;
    assert_eq!(fault_code(&answer), "server.serverproxy.invalid_content_type");
    let answer = soap(&federation, "text/xml", soap_request("getOpenAPI", "")).await;
    assert_eq!(fault_code(&answer), "server.serverproxy.unknown_service");
}
