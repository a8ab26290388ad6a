use protocol::id::ClientId;

use super::*;
use crate::description::WarningKind;
use crate::state::{AccessRight, Subject, Term};

const WSDL: &str = "http://h/service.wsdl";
const API: &str = "http://h/api.yaml";

fn wsdl(operations: &[&str]) -> Document {
    let operation = |name: &&str| {
        let (name, version) = name.split_once('.').unwrap_or((name, ""));
        format!("<operation name='{name}'><version xmlns='urn:x'>{version}</version></operation>")
    };
    let text = format!(
        "<definitions xmlns='http://schemas.xmlsoap.org/wsdl/' xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/'>
         <binding name='b'><s:binding transport='http://schemas.xmlsoap.org/soap/http'/>{}</binding>
         <service><port binding='b'><s:address location='http://h/soap'/></port></service></definitions>",
        operations.iter().map(operation).collect::<String>()
    );
    Document::parse(ServiceType::Soap, text.as_bytes(), None, WSDL).unwrap()
}

fn api(endpoints: &[&str]) -> Document {
    let mut text = "openapi: 3.0.0\ninfo: {title: T, version: 1}\npaths:\n  x-none: 1\n".to_owned();
    for endpoint in endpoints {
        let (method, path) = endpoint.split_once(' ').unwrap();
        text += &format!("  {path}: {{{method}: {{responses: {{}}}}}}\n");
    }
    Document::parse(ServiceType::OpenApi, text.as_bytes(), None, API).unwrap()
}

fn added(
    client: &mut ClientSettings,
    url: &str,
    document: &Document,
) -> Result<Vec<String>, DescriptionError> {
    let source = match document {
        Document::Wsdl(document) => Source::Wsdl { url, document },
        Document::OpenApi(document) => Source::OpenApi { url, document, code: "api" },
    };
    add(client, source, false).map(|keys| keys.iter().map(full_code).collect())
}

fn right(code: &str, method: Option<&str>, path: Option<&str>) -> (AccessRight, Term) {
    let right = AccessRight {
        service_code: code.into(),
        method: method.map(str::to_owned),
        path: path.map(str::to_owned),
        subject: Subject::Client(ClientId::parse_encoded("CW/GOV/1/a").unwrap()),
    };
    (right, Term::default())
}

#[track_caller]
fn check_code<T: std::fmt::Debug>(outcome: Result<T, DescriptionError>, expected: &str) {
    match outcome {
        Err(error) => assert_eq!(error.code(), expected, "{error}"),
        Ok(value) => panic!("{value:?} instead of {expected}"),
    }
}

#[test]
fn new_descriptions() {
    let mut client = ClientSettings::default();
    assert_eq!(added(&mut client, WSDL, &wsdl(&["get.v1", "set"])).unwrap(), ["get.v1", "set"]);
    assert_eq!(added(&mut client, API, &api(&["get /a"])).unwrap(), ["api"]);
    let rest = |url, code| Source::Rest { url, code };
    add(&mut client, rest("http://h/rest", "rest"), false).unwrap();
    assert!(client.services.values().all(|service| service.disabled.as_deref() == Some(NEW)));
    assert!(client.services.values().all(|service| service.timeout == TIMEOUT));
    let urls: Vec<_> =
        list(&client).into_iter().map(|summary| (summary.url, summary.services.len())).collect();
    assert_eq!(urls, [(API.into(), 1), (WSDL.into(), 2), ("http://h/rest".into(), 1)]);

    let before = client.clone();
    check_code(added(&mut client, WSDL, &wsdl(&["other"])), "wsdl_exists");
    check_code(added(&mut client, API, &api(&[])), "url_already_exists");
    check_code(add(&mut client, rest(API, "new"), false), "url_already_exists");
    check_code(add(&mut client, rest("http://h/rest", "new"), false), "url_already_exists");
    check_code(added(&mut client, "http://h/2", &wsdl(&["new", "GET.v1"])), "service_already_exists");
    check_code(added(&mut client, "http://h/2", &api(&[])), "service_code_already_exists");
    check_code(add(&mut client, rest("http://h/2", "Get"), false), "service_code_already_exists");
    check_code(add(&mut client, rest("http://h/2", "getWsdl"), false), "service_code_reserved");
    check_code(added(&mut client, "http://h/2", &wsdl(&["listMethods"])), "service_code_reserved");
    check_code(add(&mut client, rest("http://h/2", "a/b"), false), "invalid_wsdl_service_identifier");
    check_code(add(&mut client, rest("ftp://h/2", "new"), false), "invalid_service_url");
    assert_eq!(client, before, "what is refused changes nothing");
    added(&mut client, "http://h/2", &wsdl(&["get.v2"])).unwrap();
}

#[test]
fn warnings_stop_until_they_are_seen() {
    let mut client = ClientSettings::default();
    let text = b"openapi: 3.0.0\npaths: {}";
    let Ok(Document::OpenApi(document)) = Document::parse(ServiceType::OpenApi, text, None, API) else {
        panic!()
    };
    let source = Source::OpenApi { url: API, document: &document, code: "api" };
    check_code(add(&mut client, source, false), "warnings_detected");
    assert!(client.services.is_empty());
    add(&mut client, source, true).unwrap();
}

#[test]
fn refreshed_services() {
    let mut client = ClientSettings::default();
    added(&mut client, WSDL, &wsdl(&["get.v1", "get.v2", "set", "gone"])).unwrap();
    switch(&mut client, WSDL, None).unwrap();
    for service in client.services.values_mut() {
        service.timeout = Duration::from_secs(7);
        service.url = "http://moved/".into();
    }
    client.rights = ["get", "set", "gone", "elsewhere"].map(|code| right(code, None, None)).into();
    let now = wsdl(&["get.v2", "set", "new"]);
    let differences = compare(&client, WSDL, &now).unwrap();
    assert_eq!(differences.to_string(), "+ service new\n- service get.v1\n- service gone\n");
    let before = client.clone();
    match refresh(&mut client, WSDL, None, &now, false) {
        Err(DescriptionError::Warnings(warnings)) => {
            let kinds: Vec<_> = warnings.iter().map(|warning| warning.kind).collect();
            assert_eq!(kinds, [WarningKind::AddingServices, WarningKind::DeletingServices]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(client, before);
    assert_eq!(refresh(&mut client, WSDL, None, &now, true).unwrap(), differences);
    let names: Vec<_> = client.services.keys().map(full_code).collect();
    assert_eq!(names, ["get.v2", "new", "set"]);
    let services: Vec<_> = client.services.values().collect();
    assert_eq!((&*services[0].url, services[0].timeout.as_secs()), ("http://moved/", 7));
    assert_eq!((&*services[1].url, services[1].timeout), ("http://h/soap", TIMEOUT));
    assert!(services[1].disabled.is_none(), "the others are on");
    let rights: Vec<_> = client.rights.keys().map(|right| &*right.service_code).collect();
    assert_eq!(rights, ["elsewhere", "get", "set"], "rights to a code stay as long as a version does");
    assert!(refresh(&mut client, WSDL, None, &now, false).unwrap().is_empty());
}

#[test]
fn refreshed_endpoints() {
    let mut client = ClientSettings::default();
    added(&mut client, API, &api(&["get /a", "post /b", "get /c"])).unwrap();
    let service = client.services.values_mut().next().unwrap();
    let by_hand = |path: &str| Endpoint { path: path.into(), method: "GET".into(), generated: false };
    service.endpoints.extend([by_hand("/hand"), by_hand("/new")]);
    let all = [None, Some("/a"), Some("/b"), Some("/hand"), Some("/undeclared")];
    client.rights =
        all.map(|path| right("api", path.map(|path| if path == "/b" { "POST" } else { "GET" }), path)).into();
    let now = api(&["get /a", "get /new", "put /c"]);
    check_code(refresh(&mut client, API, None, &now, false), "warnings_detected");
    let differences = refresh(&mut client, API, None, &now, true).unwrap();
    assert_eq!(differences.to_string(), "+ endpoint PUT /c\n- endpoint POST /b\n- endpoint GET /c\n");
    let endpoints = &client.services.values().next().unwrap().endpoints;
    let endpoints: Vec<_> =
        endpoints.iter().map(|part| (&*part.method, &*part.path, part.generated)).collect();
    assert_eq!(
        endpoints,
        [("GET", "/a", true), ("PUT", "/c", true), ("GET", "/hand", false), ("GET", "/new", true)]
    );
    let rights: Vec<_> = client.rights.keys().map(|right| right.path.as_deref().unwrap_or("**")).collect();
    assert_eq!(rights, ["**", "/a", "/hand", "/undeclared"], "the right to what is gone is gone");
}

#[test]
fn moved_switched_and_removed() {
    let mut client = ClientSettings::default();
    added(&mut client, WSDL, &wsdl(&["get"])).unwrap();
    added(&mut client, API, &api(&[])).unwrap();
    client.rights = [right("get", None, None), right("api", None, None)].into();
    let now = wsdl(&["get", "more"]);
    check_code(refresh(&mut client, "http://h/unknown", None, &now, true), "service_description_not_found");
    check_code(refresh(&mut client, API, None, &now, true), "service_description_not_found");
    check_code(refresh(&mut client, WSDL, Some(API), &now, true), "url_already_exists");
    check_code(refresh(&mut client, WSDL, None, &wsdl(&["Api"]), true), "service_already_exists");
    refresh(&mut client, WSDL, Some("http://h/2.wsdl"), &now, true).unwrap();
    assert!(list(&client).iter().any(|summary| summary.url == "http://h/2.wsdl"));
    let disabled =
        |client: &ClientSettings| client.services.values().filter(|on| on.disabled.is_some()).count();
    assert_eq!(disabled(&client), 3, "the new one is as the others are");
    check_code(switch(&mut client, WSDL, None), "service_description_not_found");
    switch(&mut client, "http://h/2.wsdl", None).unwrap();
    assert_eq!(disabled(&client), 1);
    switch(&mut client, "http://h/2.wsdl", Some("moving")).unwrap();
    assert_eq!(disabled(&client), 3);
    remove(&mut client, "http://h/2.wsdl").unwrap();
    assert_eq!(client.services.len(), 1);
    assert_eq!(client.rights, [right("api", None, None)].into());
}

#[test]
fn an_address_with_variables_is_not_switched_on() {
    let mut client = ClientSettings::default();
    let text = b"openapi: 3.0.0\nservers: [{url: 'https://{host}/'}]\npaths: {}";
    let document = Document::parse(ServiceType::OpenApi, text, None, API).unwrap();
    let Document::OpenApi(document) = &document else { panic!() };
    add(&mut client, Source::OpenApi { url: API, document, code: "api" }, true).unwrap();
    check_code(switch(&mut client, API, None), "invalid_service_url");
    check_code(set(&mut client, "api", Some("https://{host}/"), None, None), "invalid_service_url");
    check_code(set(&mut client, "none", None, None, None), "service_not_found");
    let timeout = Some(Duration::from_secs(3));
    set(&mut client, "api", Some("https://h/"), timeout, Some(ServiceTls::Verified)).unwrap();
    assert!(client.services.values().all(|service| service.timeout.as_secs() == 3));
    switch(&mut client, API, None).unwrap();
}
