use std::os::unix::fs::PermissionsExt as _;

use certs::key::{AlgorithmChoice, RsaScheme};
use gateway::ports::{ConnectionType, ServiceTls, ServiceType};
use protocol::digest::DigestAlgorithm;
use protocol::id::ClientId;

use super::*;
use crate::state::{ClientSettings, ServiceKey, Subject};

const LEAST: &str = r#"
[server]
instance = "CW"
class = "GOV"
member = "1001"
code = "ss1"
state = "state"
anchor = "/etc/anchor.xml"

[token]
pin-variable = "PIN"
"#;

fn parse(text: &str) -> Result<Config, Vec<String>> {
    Config::parse(text, Path::new("/node/node.toml")).map_err(|error| error.problems)
}

#[test]
fn defaults() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.server.to_string(), "CW/GOV/1001/ss1");
    assert_eq!(config.state_folder, Path::new("/node/state"));
    assert_eq!(config.anchor, Path::new("/etc/anchor.xml"));
    let ports =
        [config.listen.http, config.listen.https, Some(config.listen.messages), Some(config.listen.ocsp)];
    assert_eq!(ports.map(|socket| socket.unwrap().port()), [8080, 8443, 5500, 5577]);
    assert_eq!(config.listen.health, None);
    assert_eq!(config.configuration.refresh, Duration::from_secs(60));
    assert_eq!(config.message_log.bodies, crate::message_log::BodySettings::default());
    assert_eq!(config.archive, None);
    assert!(config.data_plane.verify_clients && config.clients.is_none());
}

#[test]
fn declared_clients() {
    let text = format!(
        r#"{LEAST}
[listen]
address = "127.0.1.1"
http = 0

[[client]]
id = "CW/GOV/1001/permits"
connection = "https-no-auth"

[[client.group]]
code = "friends"
members = ["CW/GOV/1002/a", "CW/GOV/1002"]

[[client.service]]
code = "permits"
url = "http://127.0.0.1:9000/api"

[[client.service.allow]]
client = "CW/GOV/1002/a"
method = "get"
path = "/open/*"

[[client.service.allow]]
global-group = "CW/all"

[[client.service.allow]]
local-group = "friends"

[[client]]
id = "CW/GOV/1001"
"#
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.listen.http, None);
    assert_eq!(config.listen.messages, "127.0.1.1:5500".parse().unwrap());
    let clients = config.clients.unwrap().clients;
    let owner = &clients[&ClientId::parse_encoded("CW/GOV/1001").unwrap()];
    assert_eq!(owner.connection_type, ConnectionType::Https, "the safe way is the default");
    let permits = &clients[&ClientId::parse_encoded("CW/GOV/1001/permits").unwrap()];
    let service = permits.services.values().next().unwrap();
    assert_eq!((service.tls, service.timeout), (ServiceTls::Pinned, Duration::from_secs(60)));
    let rights: Vec<String> = permits.rights.keys().map(ToString::to_string).collect();
    assert!(rights.contains(&"permits GET /open/* for CW/GOV/1002/a".to_owned()), "{rights:?}");
    assert!(permits.rights.keys().any(|right| right.subject == Subject::LocalGroup("friends".into())));
    assert_eq!(permits.rights.len(), 3);
}

#[test]
fn declared_service_types() {
    let text = format!(
        r#"{LEAST}
[[client]]
id = "CW/GOV/1001/a"

[[client.service]]
code = "api"
type = "openapi"
url = "http://127.0.0.1:9000/api"
description = "http://127.0.0.1:9000/api.yaml"
endpoint = [{{ method = "get", path = "/a/*" }}, {{ path = "/b" }}]

[[client.service]]
code = "getPerson"
type = "soap"
version = "v1"
url = "http://127.0.0.1:9000/soap?service"

[[client.service]]
code = "getPerson"
type = "soap"
version = "v2"
url = "http://127.0.0.1:9000/soap"
allow = [{{ client = "CW/GOV/1002/a" }}]
"#
    );
    let clients = parse(&text).unwrap().clients.unwrap().clients;
    let services = &clients[&ClientId::parse_encoded("CW/GOV/1001/a").unwrap()].services;
    let names: Vec<_> = services.iter().map(|(key, service)| (&*key.code, service.service_type)).collect();
    let soap = ("getPerson", ServiceType::Soap);
    assert_eq!(names, [("api", ServiceType::OpenApi), soap, soap]);
    let endpoints = services.values().next().unwrap().endpoints.iter();
    let endpoints: Vec<_> = endpoints.map(|part| format!("{} {}", part.method, part.path)).collect();
    assert_eq!(endpoints, ["GET /a/*", "* /b"]);
}

const WSDL: &str = r#"<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/">
<binding name="b"><s:binding transport="http://schemas.xmlsoap.org/soap/http"/>
<operation name="get"><version xmlns="urn:x">v1</version></operation>
<operation name="get"><version xmlns="urn:x">v2</version></operation><operation name="set"/></binding>
<service><port binding="b"><s:address location="http://h/soap"/></port></service></definitions>"#;

const API: &str = "openapi: 3.0.0\nservers: [{url: 'https://h/api'}]\npaths: {/a: {get: {}}}";

/// A file with one client, whose descriptions have copies in a folder.
fn described(descriptions: &str) -> Result<ClientSettings, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.wsdl"), WSDL).unwrap();
    std::fs::write(folder.path().join("api.yaml"), API).unwrap();
    let text = format!("{LEAST}[[client]]\nid = \"CW/GOV/1001/a\"\n{descriptions}");
    let config = Config::parse(&text, &folder.path().join("node.toml")).map_err(|error| error.problems)?;
    Ok(config.clients.unwrap().clients.into_values().next().unwrap())
}

#[test]
fn declared_descriptions() {
    let client = described(
        r#"
[[client.description]]
type = "wsdl"
url = "http://h/s.wsdl"
file = "s.wsdl"
service-url = "http://inside/soap"
timeout-seconds = 5
allow = [{ client = "CW/GOV/1002/all" }]

[[client.description.service]]
code = "get"
version = "v2"
url = "http://inside/v2"
disabled = "not yet"
allow = [{ client = "CW/GOV/1002/some" }]

[[client.description]]
type = "openapi"
url = "http://h/api.yaml"
file = "api.yaml"
code = "api"
tls = "unchecked"

[[client.description.service]]
code = "api"
endpoint = [{ path = "/b/**" }]
allow = [{ client = "CW/GOV/1002/some", method = "get", path = "/a" }]
"#,
    )
    .unwrap();
    let line = |(key, service): (&ServiceKey, &crate::state::ServiceSettings)| {
        let (version, notice) =
            (key.version.as_deref().unwrap_or("-"), service.disabled.as_deref().unwrap_or("on"));
        format!("{} {version} {} {} {notice}", key.code, service.url, service.timeout.as_secs())
    };
    let services: Vec<_> = client.services.iter().map(line).collect();
    let expected = [
        "api - https://h/api 60 on",
        "get v1 http://inside/soap 5 on",
        "get v2 http://inside/v2 5 not yet",
        "set - http://inside/soap 5 on",
    ];
    assert_eq!(services, expected);
    let rights: Vec<_> = client.rights.keys().map(ToString::to_string).collect();
    let expected = [
        "api GET /a for CW/GOV/1002/some",
        "get * ** for CW/GOV/1002/all",
        "get * ** for CW/GOV/1002/some",
        "set * ** for CW/GOV/1002/all",
    ];
    assert_eq!(rights, expected);
    let api = client.services.values().next().unwrap();
    let endpoints: Vec<_> = api.endpoints.iter().map(|part| (&*part.path, part.generated)).collect();
    assert_eq!(endpoints, [("/a", true), ("/b/**", false)]);
}

#[test]
fn refused_descriptions() {
    #[track_caller]
    fn check(description: &str, expected: &str) {
        let problems = described(&format!("description = [{{ {description} }}]")).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:#?}");
    }
    let wsdl = r#"type = "wsdl", url = "http://h/s.wsdl", file = "s.wsdl""#;
    let api = r#"type = "openapi", url = "http://h/api.yaml", file = "api.yaml""#;
    check(&format!(r#"{wsdl} }}, {{ {wsdl}"#), "has this WSDL already");
    check(&format!(r#"{wsdl}, code = "a""#), "a WSDL brings the codes");
    check(api, "an OpenAPI service needs a code");
    check(&format!(r#"{api}, code = "api""#), "tls is pinned, so the client needs");
    check(&format!(r#"{api}, code = "getWsdl", tls = "unchecked""#), "reserved");
    check(&api.replace("openapi", "rest"), "type must be wsdl or openapi");
    check(&api.replace("api.yaml\"", "none.yaml\""), "causeway service refresh");
    check(&format!(r#"{}, code = "a""#, api.replace("file = \"api.yaml", "file = \"s.wsdl")), "is of no use");
    check(&format!(r#"{wsdl}, service = [{{ code = "gone" }}]"#), "the document has no such service");
    check(
        &format!(r#"{wsdl}, service = [{{ code = "set", endpoint = [{{ path = "/" }}] }}]"#),
        "no endpoints",
    );
    check(&format!(r#"{wsdl}, allow = [{{ client = "CW/GOV/1", method = "GET" }}]"#), "no methods and paths");
    check(&format!(r#"{wsdl}, service-url = "h""#), "must be http://host");
    check(&format!(r#"{wsdl}, timeout-seconds = 0"#), "timeout-seconds must be");
    check(
        &format!(
            r#"{api}, code = "api", tls = "unchecked", service = [{{ code = "api", endpoint = [{{ method = "GET", path = "/a" }}] }}]"#
        ),
        "the document has the endpoint GET /a already",
    );
}

#[test]
fn declarations_are_read_without_their_copies() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    let description = r#"description = [{ type = "wsdl", url = "http://h/x", file = "none.wsdl" }]"#;
    std::fs::write(&file, format!("{LEAST}[[client]]\nid = \"CW/GOV/1001/a\"\n{description}")).unwrap();
    let declared = Config::declared_descriptions(&file).unwrap();
    assert!(declared.decides);
    assert_eq!(declared.state_folder, folder.path().join("state"));
    assert_eq!(declared.descriptions[0].copy, folder.path().join("none.wsdl"));
    std::fs::write(&file, LEAST).unwrap();
    assert!(!Config::declared_descriptions(&file).unwrap().decides);
    std::fs::write(&file, "client = 3").unwrap();
    assert!(Config::declared_descriptions(&file).is_err());
}

#[test]
fn refused_services() {
    #[track_caller]
    fn check(services: &str, expected: &str) {
        let text = format!("{LEAST}[[client]]\nid = \"CW/GOV/1001/a\"\nservice = [{services}]");
        let problems = parse(&text).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:#?}");
    }
    let soap = r#"type = "soap", url = "http://h""#;
    check(r#"{ code = "a", type = "graphql", url = "http://h" }"#, "type must be rest, openapi or soap");
    check(r#"{ code = "getWsdl", url = "http://h" }"#, "the code is reserved");
    check(r#"{ code = "a/b", url = "http://h" }"#, "'a/b' is not usable");
    check(&format!(r#"{{ code = "a", version = "v1%234", {soap} }}"#), "'v1%234' is not usable");
    check(r#"{ code = "a", version = "v1", url = "http://h" }"#, "only SOAP services have a version");
    check(r#"{ code = "a", url = "http://h" }, { code = "A", url = "http://h" }"#, "declared twice");
    check(&format!(r#"{{ code = "a", url = "http://h" }}, {{ code = "a", {soap} }}"#), "declared twice");
    check(&format!(r#"{{ code = "a", {soap} }}, {{ code = "a", {soap} }}"#), "declared twice");
    check(r#"{ code = "a", url = "ftp://h" }"#, "url must be http://host");
    check(r#"{ code = "a", url = "http://h?x" }"#, "no query and no fragment");
    check(r#"{ code = "a", type = "openapi", url = "http://h" }"#, "needs the URL of its description");
    check(r#"{ code = "a", url = "http://h", description = "http://h/x" }"#, "has no description");
    check(
        &format!(r#"{{ code = "a", {soap}, endpoint = [{{ path = "/" }}] }}"#),
        "SOAP services have no endpoints",
    );
    let allow = r#"allow = [{ client = "CW/GOV/1", path = "/a" }]"#;
    check(&format!(r#"{{ code = "a", {soap}, {allow} }}"#), "a SOAP service has no methods and paths");
}

#[test]
fn algorithms_are_the_operators_choice() {
    let text = |more: &str| format!("{LEAST}\n{more}");
    let signing = parse(&text("[signing]\ndigest = \"SHA-384\"\nrsa-scheme = \"PSS\"")).unwrap().signing;
    let expected = AlgorithmChoice { digest: Some(DigestAlgorithm::Sha384), rsa: RsaScheme::Pss };
    assert_eq!(signing, expected);
    assert_eq!(parse(LEAST).unwrap().signing, AlgorithmChoice::default());
    let suites = parse(&text("[data-plane]\npeer-cipher-suites = [\"TLS_AES_256_GCM_SHA384\"]"));
    assert_eq!(suites.unwrap().data_plane.peer_cipher_suites.to_string(), "TLS_AES_256_GCM_SHA384");
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let problems = parse(text).unwrap_err();
        assert!(matches!(&problems[..], [problem] if problem.contains(expected)), "{problems:#?}");
    }
    check(&text("[signing]\ndigest = \"SHA-1\""), "[signing] digest must be");
    check(&text("[signing]\nrsa-scheme = \"raw\""), "[signing] rsa-scheme must be");
    check(&text("[data-plane]\npeer-cipher-suites = []"), "[data-plane] peer-cipher-suites: there must be");
    #[cfg(not(feature = "legacy-transport"))]
    check(&text("[data-plane]\nlegacy-transport = true"), "built without the feature legacy-transport");
    let cbc = "[data-plane]\npeer-cipher-suites = [\"TLS_RSA_WITH_AES_128_CBC_SHA\"]";
    check(&text(cbc), "TLS_RSA_WITH_AES_128_CBC_SHA is no cipher suite that can be used; there are TLS_AES");
}

#[test]
#[cfg(feature = "pkcs11")]
fn hardware_tokens() {
    let token = |more: &str| format!("{LEAST}\n[[hardware-token]]\nlibrary = \"/lib/p11.so\"\n{more}");
    let config = parse(&token("name = \"a\"\nslot = 3\npin-variable = \"PIN\"")).unwrap();
    let found = &config.hardware_tokens[0];
    assert_eq!((&*found.name, &found.slot), ("a", &TokenSlot::Number(3)));
    assert_eq!(found.pin, PinSource::Variable("PIN".to_owned()));
    assert!(config.hardware_token_folder("a").ends_with("hardware-tokens/a"));
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let problems = parse(text).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:#?}");
    }
    check(&token("name = \"a\"\nslot = 3"), "[[hardware-token]] a: give exactly one of pin-file and");
    check(&token("name = \"a\"\npin-variable = \"PIN\""), "exactly one of slot, label and serial");
    check(&token("name = \"../a\"\nslot = 1\npin-variable = \"P\""), "letters, digits, - and _");
    check(&token("name = \"a\"\nslot = 3\npin = \"1234\""), "unknown field");
}

#[test]
fn all_problems_are_told_at_once() {
    let text = r#"
rubbish = 1
[server]
instance = "CW"
class = " "
member = "1"
code = "ss"
state = "s"
anchor = "a"
[token]
pin-file = "a"
pin-variable = "b"
[listen]
htps = 3
[configuration]
refresh-seconds = 0
[data-plane]
workers = 0
[message-log]
segment-megabytes = 0
[[client]]
id = "CW/GOV"
[[client]]
id = "CW/GOV/1/a"
connection = "telnet"
certificates = ["nowhere.pem"]
[[client.service]]
code = "s"
url = "https://host"
[[client.service.allow]]
local-group = "none"
[[client.service.allow]]
client = "CW/GOV/2"
global-group = "CW/g"
[[client]]
id = "CW/GOV/1/a"
colour = "red"
"#;
    let problems = parse(text).unwrap_err();
    let expected = [
        "[listen]: unknown field `htps`",
        "rubbish: there is no such part",
        "[[client]] CW/GOV: the identifier has the wrong number of parts",
        "[[client]] CW/GOV/1/a: connection must be",
        "nowhere.pem: No such file",
        "service s: tls is pinned",
        "allow: the client has no group none",
        "allow: give exactly one of",
        "[[client]] CW/GOV/1/a: unknown field `colour`",
        "[token]: give exactly one",
        "[configuration] refresh-seconds must be 1 to 3600, not 0",
        "[message-log] segment-megabytes must be",
        "[data-plane] workers must be",
        "[server]: a part of the identifier is empty",
    ];
    for part in expected {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part:?} is not in {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

#[test]
fn refused_files() {
    #[track_caller]
    fn check(more: &str, expected: &str) {
        let problems = parse(&format!("{LEAST}{more}")).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:#?}");
    }
    check("[listen]\nmessages = 0", "messages must be a port");
    check("[listen]\nhttp = 5500", "messages and http have the same address and port");
    check("[listen]\naddress = \"here\"", "[listen]: invalid IP address");
    check("[server]", "duplicate key");
    check("client = 3", "unknown field `client`");
    assert!(parse("client = 3").unwrap_err().iter().any(|problem| problem.contains("[[client]]")));
    assert_eq!(parse("").unwrap_err().len(), 2, "server and token are missing");
    let missing = Config::read(Path::new("/nowhere/node.toml")).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/node.toml"), "{missing}");
}

#[test]
fn pins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pin");
    let source = PinSource::File(path.clone());
    assert!(matches!(source.read(), Err(PinError::Unreadable(..))));
    std::fs::write(&path, "1234 secret\nmore\n").unwrap();
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o640);
    assert!(matches!(source.read(), Err(PinError::Exposed(_, 0o640))));
    mode(0o600);
    assert_eq!(source.read().unwrap().as_str(), "1234 secret");
    std::fs::write(&path, "\n").unwrap();
    assert_eq!(source.read(), Err(PinError::Empty));
    let unset = PinSource::Variable("CAUSEWAY_TEST_NO_SUCH_VARIABLE".into());
    assert!(matches!(unset.read(), Err(PinError::Unset(_))));
}

#[test]
fn evidence_settings() {
    let text = format!(
        r#"{LEAST}
[message-log]
bodies = false
body-exceptions-local = ["CW/GOV/1001/a", "CW/GOV/1001/b"]
larger-bodies = "truncate"

[archive]
folder = "/srv/archives"
grouping = "member"
encrypt = true
keep-days = 0
default-keys = ["auditor.asc"]

[[archive.member-key]]
member = "CW/GOV/1001"
file = "ours.asc"
"#
    );
    let config = parse(&text).unwrap();
    let bodies = &config.message_log.bodies;
    assert_eq!(
        (bodies.logging, bodies.local_exceptions.len(), bodies.remote_exceptions.len()),
        (false, 2, 0)
    );
    assert_eq!(bodies.longest(), u64::MAX, "to be cut");
    let archive = config.archive.unwrap();
    assert_eq!(archive.folder, Path::new("/srv/archives"));
    assert_eq!((archive.grouping, archive.keep), (crate::archive::Grouping::Member, None));
    let keys = archive.encryption.unwrap();
    assert_eq!((keys.signing_key, keys.default_keys), (None, vec!["/node/auditor.asc".into()]));
    let member = protocol::id::MemberId::new("CW", "GOV", "1001").unwrap();
    assert_eq!(keys.member_keys, [(member, "/node/ours.asc".into())]);
    // The part alone is enough, with its defaults.
    let archive = parse(&format!("{LEAST}[archive]\n")).unwrap().archive.unwrap();
    assert_eq!(archive.folder, Path::new("/node/archive"));
    assert_eq!(
        (archive.interval, archive.keep),
        (Duration::from_secs(21_600), Some(Duration::from_secs(30 * 86_400)))
    );
    let problems = parse(&format!(
        r#"{LEAST}
[message-log]
larger-bodies = "cut"
body-exceptions-remote = ["CW"]

[archive]
grouping = "class"
interval-seconds = 1
signing-key = "a"

[[archive.member-key]]
member = "CW/GOV"
file = "x"
"#
    ))
    .unwrap_err();
    for word in
        ["larger-bodies", "body-exceptions-remote", "grouping", "interval-seconds", "encrypt is false"]
    {
        assert!(problems.iter().any(|problem| problem.contains(word)), "{word}: {problems:?}");
    }
}
