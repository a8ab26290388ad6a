//! `causeway service`: descriptions from a system's documents to access rights, on the state of a node that
//! does not run and on the copies that a file declares.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::{causeway, text, told};

const CLIENT: &str = "CW/GOV/1001/permits";

type Documents = Arc<Mutex<HashMap<String, String>>>;

/// A system that serves documents; its address.
fn system(documents: &Documents) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let documents = Arc::clone(documents);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let found = documents.lock().expect("documents").get(path).cloned();
            let (status, body) = found.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    format!("http://{address}")
}

fn wsdl(operations: &[&str]) -> String {
    let operation = |name: &&str| {
        format!(
            "<operation name='{name}'><version xmlns='http://x-road.eu/xsd/xroad.xsd'>v1</version></operation>"
        )
    };
    format!(
        "<definitions xmlns='http://schemas.xmlsoap.org/wsdl/' xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/'>
         <binding name='b'><s:binding transport='http://schemas.xmlsoap.org/soap/http'/>{}</binding>
         <service><port binding='b'><s:address location='http://127.0.0.1:1/soap'/></port></service></definitions>",
        operations.iter().map(operation).collect::<String>()
    )
}

fn api(endpoints: &str) -> String {
    format!(
        "openapi: 3.1.0\ninfo: {{title: Permits, version: '1'}}\nservers: [{{url: /v1}}]\npaths:\n{endpoints}"
    )
}

/// A file for a node, with these lines at its end.
fn node_file(folder: &Path, more: &str) -> std::path::PathBuf {
    let file = folder.join("server.toml");
    let head = "[server]\ninstance = \"CW\"\nclass = \"GOV\"\nmember = \"1001\"\ncode = \"ss\"\nstate = \"state\"\n\
                anchor = \"anchor.xml\"\n[token]\npin-variable = \"PIN\"\n";
    std::fs::write(&file, format!("{head}{more}")).expect("written");
    file
}

/// Runs `causeway service COMMAND --config FILE …` and checks its status and what it tells.
#[track_caller]
fn check(file: &Path, command: &str, arguments: &[&str], status: i32, expected: &[&str]) -> String {
    let mut all = vec!["service", command, "--config", text(file)];
    all.extend(arguments);
    let (found, output, errors) = told(&causeway(&all));
    let told = format!("{output}{errors}");
    assert_eq!(found, Some(status), "{all:?}: {told}");
    for part in expected {
        assert!(told.contains(part), "{all:?}: {part:?} is not in {told}");
    }
    told
}

#[test]
fn services_of_the_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = Documents::default();
    let system = system(&documents);
    let put = |path: &str, text: String| drop(documents.lock().expect("documents").insert(path.into(), text));
    put("/s.wsdl", wsdl(&["get", "set"]));
    put("/api.yaml", api("  /cars/{id}: {get: {parameters: [{name: id, in: path}]}}\n"));
    let (soap_url, api_url) = (format!("{system}/s.wsdl"), format!("{system}/api.yaml"));
    let file = node_file(folder.path(), "");
    let on_client = |command: &str, arguments: &[&str], status: i32, expected: &[&str]| {
        let mut all = vec!["--client", CLIENT];
        all.extend(arguments);
        check(&file, command, &all, status, expected)
    };

    on_client("add", &["--type", "wsdl", "--url", &soap_url], 0, &["+ service get.v1", "+ service set.v1"]);
    on_client("add", &["--type", "wsdl", "--url", &soap_url], 1, &["wsdl_exists"]);
    on_client("add", &["--type", "openapi", "--url", &api_url, "--code", "cars"], 0, &["+ service cars"]);
    let rest = "http://127.0.0.1:1/rest";
    on_client(
        "add",
        &["--type", "rest", "--url", rest, "--code", "GET"],
        1,
        &["service_code_already_exists"],
    );
    on_client("add", &["--type", "rest", "--url", rest, "--code", "plain"], 0, &["+ service plain"]);
    on_client("add", &["--type", "wsdl", "--url", &format!("{system}/none")], 1, &["404"]);
    on_client("enable", &["--url", &api_url], 0, &["changed service CW/GOV/1001/permits/cars"]);

    let consumer = "CW/GOV/1002/office";
    on_client("allow", &["--service", "get", "--to", consumer], 0, &["added access right"]);
    let part = ["--service", "cars", "--to", consumer, "--method", "get", "--path", "/cars/*"];
    on_client("allow", &part, 0, &["cars GET /cars/* for CW/GOV/1002/office"]);
    on_client("allow", &part, 1, &["duplicate_accessright"]);
    on_client(
        "endpoint",
        &["--service", "cars", "--path", "/cars/*", "--method", "GET", "--remove"],
        1,
        &["illegal_generated_endpoint_remove"],
    );
    on_client("endpoint", &["--service", "cars", "--path", "/hand/**"], 0, &["changed service"]);
    on_client(
        "set",
        &["--service", "get.v1", "--url", "http://127.0.0.1:2/", "--timeout-seconds", "9"],
        0,
        &[],
    );

    check(&file, "refresh", &[], 0, &["no difference"]);
    put("/s.wsdl", wsdl(&["get", "new"]));
    put("/api.yaml", api("  /cars: {post: {}}\n"));
    let differences =
        ["+ service new.v1", "- service set.v1", "+ endpoint POST /cars", "- endpoint GET /cars/*"];
    check(&file, "refresh", &[], 1, &differences);
    check(&file, "refresh", &["--accept"], 0, &differences);
    let listed = check(
        &file,
        "list",
        &[],
        0,
        &[
            "get.v1 → http://127.0.0.1:2/",
            "WSDL new.v1 → http://127.0.0.1:1/soap",
            "switched off: Out of order",
            &format!("OPENAPI cars (Permits) → {system}/v1"),
            "endpoint * /hand/** (by hand)",
            "allowed * ** for CW/GOV/1002/office",
        ],
    );
    assert!(!listed.contains("allowed GET /cars/*"), "the right went with its endpoint: {listed}");
    put("/api.yaml", "openapi: 3.2.0\npaths: {}".to_owned());
    check(&file, "refresh", &["--accept"], 1, &["unsupported_openapi_version", "s.wsdl: no difference"]);
    on_client("deny", &["--service", "get", "--to", consumer], 0, &["removed access right"]);
    on_client("remove", &["--url", &soap_url], 0, &["removed service CW/GOV/1001/permits/get/v1"]);
    let json = check(&file, "list", &["--json"], 0, &[]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["clients"][0]["services"].as_array().map(Vec::len), Some(2), "{json}");
}

#[test]
fn copies_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = Documents::default();
    let system = system(&documents);
    let put = |path: &str, text: String| drop(documents.lock().expect("documents").insert(path.into(), text));
    put("/s.wsdl", wsdl(&["get"]));
    let file = node_file(
        folder.path(),
        &format!(
            "[[client]]\nid = \"{CLIENT}\"\n[[client.description]]\ntype = \"wsdl\"\nurl = \"{system}/s.wsdl\"\n\
             file = \"copies/s.wsdl\"\nallow = [{{ client = \"CW/GOV/1002/office\" }}]\n"
        ),
    );
    check(&file, "list", &[], 2, &["copies/s.wsdl cannot be read", "causeway service refresh"]);
    check(&file, "refresh", &[], 1, &["+ service get.v1", "--accept"]);
    check(&file, "refresh", &["--accept"], 0, &["+ service get.v1", "written to"]);
    check(&file, "list", &[], 0, &["WSDL get.v1", "allowed * ** for CW/GOV/1002/office"]);
    check(&file, "refresh", &[], 0, &["no difference"]);
    put("/s.wsdl", wsdl(&["get", "more"]));
    check(&file, "refresh", &[], 1, &["+ service more.v1"]);
    put("/s.wsdl", wsdl(&["a:b"]));
    check(&file, "refresh", &["--accept"], 1, &["invalid_wsdl_service_identifier"]);
    let rest = ["--client", CLIENT, "--type", "rest", "--url", "http://h", "--code", "x"];
    check(&file, "add", &rest, 2, &["declares the clients"]);
}

#[test]
fn documents_are_checked_by_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("api.yaml");
    std::fs::write(&file, "openapi: 3.0.1\npaths: {/a: {get: {}}}").expect("written");
    let (status, output, _) = told(&causeway(&["service", "check", "--type", "openapi", text(&file)]));
    assert_eq!(status, Some(0), "{output}");
    for part in ["OpenAPI 3.0.1", "endpoint GET /a", "openapi_validation_warnings"] {
        assert!(output.contains(part), "{part} is not in {output}");
    }
    let (status, _, errors) = told(&causeway(&["service", "check", "--type", "wsdl", text(&file)]));
    assert_eq!(status, Some(1));
    assert!(errors.contains("invalid_wsdl"), "{errors}");
}
