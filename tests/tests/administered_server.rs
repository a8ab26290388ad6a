//! A security server that starts with nothing and is set up over its administration interface.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use administration::access::{Role, set_user};
use administration::audit::ToLog;
use causeway::ca;
use causeway_tests::scenario::Player;
use certs::ca::Purpose;
use certs::key::KeyKind;
use gateway::Clock;
use http::{HeaderValue, Method};
use protocol::configuration::CostType;
use registry::instance::{Authority, CertificationSettings, Initialisation, SOFTWARE_TOKEN};
use registry::management::Place;
use registry::publish::SourceKind;
use registry::{Actor, Config, Desk, Refusal, Registry, Running};
use security_server::config::Administered;
use security_server::{RunningAdministration, administer};
use serde_json::{Value, json};

const PIN: &str = "Secret1234";
const HOST: &str = "ss";

async fn at<T: Send + 'static>(
    running: &Running,
    act: impl FnOnce(&Desk) -> Result<T, Refusal> + Send + 'static,
) -> T {
    let desk = running.desk();
    let done = tokio::task::spawn_blocking(move || act(&desk)).await.expect("no panic");
    done.unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// A registry of an instance with one member.
async fn registry(folder: &Path, network: &str) -> Running {
    let config = Config {
        management_services: registry::management::Settings {
            registration: Place::At(format!("{network}:4001").parse().expect("an address")),
            management: Place::At(format!("{network}:4002").parse().expect("an address")),
            requests_per_minute: 1000,
            ..registry::management::Settings::default()
        },
        http: format!("{network}:0").parse().expect("an address"),
        https: None,
        expiry: Duration::from_secs(60),
        key: KeyKind::P256,
        ..Config::administered(folder.join("registry"))
    };
    let running = Registry::start(config, Clock::system()).await.unwrap_or_else(|error| panic!("{error}"));
    let address = running.http().to_string();
    at(&running, move |desk| {
        desk.initialise(Initialisation {
            instance: Some("DEV".to_owned()),
            address: Some(address),
            pin: Some(PIN.to_owned().into()),
        })?;
        desk.add_member_class("GOV", "Government")?;
        desk.login(SOFTWARE_TOKEN, PIN)?;
        for source in SourceKind::ALL {
            desk.add_signing_key(source, SOFTWARE_TOKEN, "a key")?;
        }
        let member = desk.add_member("GOV", "1", "One")?.id;
        let provider = desk.add_subsystem(&member, "MANAGEMENT", None)?.id;
        desk.set_provider(&provider)
    })
    .await;
    published(&running).await;
    running
}

/// Waits until the last change is published.
async fn published(running: &Running) {
    let generation = running.desk().look().generation();
    let mut published = running.published();
    let wait = published.wait_for(|published| published.generation >= generation);
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("in time").expect("it runs");
}

/// A pilot authority that the registry approves.
async fn authority(folder: &Path, network: &str, registry: &Running) -> ca::Running {
    let folder = folder.join("ca");
    let settings =
        format!("listen = \"{network}:0\"\nfolder = {folder:?}\npin = \"1234\"\ninstance = \"DEV\"\n");
    let config = ca::Config::parse(&settings).expect("a configuration");
    let authority = ca::start(config, Clock::system()).await.expect("it starts");
    let (url, pilot) = (format!("http://{}/ocsp", authority.address()), authority.authority());
    let root = pilot.certificate().der().to_vec();
    let ocsp = pilot.ocsp_certificate().der().to_vec();
    at(registry, move |desk| {
        let settings = CertificationSettings { profile: "Ejbca".to_owned(), ..Default::default() };
        let service = desk.add_certification_service(&root, settings)?;
        desk.add_responder(Authority::Service(service.id), &url, Some(&ocsp), CostType::Free)
    })
    .await;
    published(registry).await;
    authority
}

async fn server(folder: &Path, network: &str) -> RunningAdministration {
    let users = folder.join("users.toml");
    if !users.exists() {
        set_user(&users, "mai", "correct horse", &Role::ALL).expect("a user");
        set_user(&users, "lan", "correct horse", &[Role::Observer]).expect("a user");
    }
    let file = folder.join("server.toml");
    let text = format!(
        "[server]\nstate = \"state\"\n[listen]\naddress = \"{network}\"\n\
         [configuration]\nrefresh-seconds = 1\n\
         [administration]\nlisten = \"127.0.0.1:0\"\nusers-file = \"users.toml\"\n\
         requests-per-second = 1000\nrequests-per-minute = 10000\n"
    );
    std::fs::write(&file, text).expect("a file");
    let administered = Administered::read(&file).unwrap_or_else(|error| panic!("{error}"));
    let administered = administered.expect("it has [administration]");
    administer(administered, Clock::system(), Arc::new(ToLog)).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Somebody who is logged in.
struct Person(Player);

impl Person {
    async fn log_in(server: &RunningAdministration, name: &str) -> Self {
        let mut player = Player::new([(HOST, server.address())]);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let body = format!("username={name}&password=correct+horse");
        let answer = player.send(HOST, &Method::POST, "/login", Some(form), body.into()).await;
        assert_eq!(answer.status, 200);
        Self(player)
    }

    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let json = body.as_ref().map(|_| HeaderValue::from_static("application/json"));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self.0.send(HOST, &method, &format!("/api/v1{path}"), json, body.into()).await;
        (answer.status, answer.json())
    }

    async fn upload(&mut self, method: Method, path: &str, bytes: Vec<u8>) -> (u16, Value) {
        let octets = HeaderValue::from_static("application/octet-stream");
        let answer = self.0.send(HOST, &method, &format!("/api/v1{path}"), Some(octets), bytes.into()).await;
        (answer.status, answer.json())
    }
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn from_nothing_to_a_server_that_waits_for_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = registry(folder.path(), "127.88.1.2").await;
    let running = server(folder.path(), "127.88.1.1").await;
    let mut lan = Person::log_in(&running, "lan").await;
    let mut mai = Person::log_in(&running, "mai").await;
    let wanted = json!({
        "owner_member_class": "GOV", "owner_member_code": "1", "security_server_code": "SS1",
        "software_token_pin": PIN, "ignore_warnings": true,
    });

    let status = mai.ask(Method::GET, "/initialization/status", None).await;
    assert_eq!(status.1["is_anchor_imported"], false);
    assert_eq!(status.1["software_token_init_status"], "NOT_INITIALIZED");
    let early = mai.ask(Method::POST, "/initialization", Some(wanted.clone())).await;
    assert_eq!(code(&early), (409, "anchor_not_found"));
    assert_eq!(code(&mai.ask(Method::GET, "/system/anchor", None).await), (404, "anchor_file_not_found"));
    let early = mai.ask(Method::PUT, "/tokens/0/login", Some(json!({"password": PIN}))).await;
    assert_eq!(code(&early), (409, "server_not_initialized"));

    let (internal, external) = (SourceKind::Internal, SourceKind::External);
    let anchor = registry.anchor(internal).expect("an anchor");
    for (bytes, expected) in [
        (b"<no/>".to_vec(), (400, "malformed_anchor")),
        (registry.anchor(external).expect("an anchor"), (500, "conf_verification.other")),
    ] {
        let answer = mai.upload(Method::POST, "/system/anchor", bytes).await;
        assert_eq!(code(&answer), expected);
    }
    let refused = lan.upload(Method::POST, "/system/anchor", anchor.clone()).await;
    assert_eq!(code(&refused), (403, "access_denied"));
    let preview = mai.upload(Method::POST, "/system/anchor/previews", anchor.clone()).await;
    assert_eq!(preview.0, 200);
    assert_eq!(mai.upload(Method::POST, "/system/anchor", anchor.clone()).await.0, 201);
    assert_eq!(mai.ask(Method::GET, "/system/anchor", None).await, preview);
    let again = mai.upload(Method::POST, "/system/anchor", anchor.clone()).await;
    assert_eq!(code(&again), (409, "anchor_already_exists"));

    for (change, expected) in [
        (json!({"owner_member_class": null}), (400, "invalid_init_params")),
        (json!({"security_server_code": "a/b"}), (400, "invalid_init_params")),
        (json!({"software_token_pin": null}), (400, "invalid_init_params")),
        (json!({"software_token_pin": "mật khẩu"}), (400, "invalid_characters_pin")),
        (json!({"unknown": 1}), (400, "validation_failure")),
    ] {
        let mut body = wanted.clone();
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let answer = mai.ask(Method::POST, "/initialization", Some(body)).await;
        assert_eq!(code(&answer), expected, "{change}");
    }
    let done = mai.ask(Method::POST, "/initialization", Some(wanted.clone())).await;
    assert_eq!(done.0, 201, "{}", done.1);
    let again = mai.ask(Method::POST, "/initialization", Some(wanted)).await;
    assert_eq!(code(&again), (409, "server_already_fully_initialized"));
    let control = running.office().control().expect("it runs");
    assert_eq!(control.server().to_string(), "DEV/GOV/1/SS1");
    assert!(!control.software().is_logged_in());
    drop(control);

    log_in_and_out(&mut mai, &running).await;
    // The identity is durable, and the token is closed after a restart.
    running.stop().await;
    let running = server(folder.path(), "127.88.1.1").await;
    let control = running.office().control().expect("it runs");
    assert_eq!(control.server().to_string(), "DEV/GOV/1/SS1");
    assert!(!control.software().is_logged_in());
    drop(control);
    running.stop().await;
    registry.stop().await;
}

async fn log_in_and_out(mai: &mut Person, running: &RunningAdministration) {
    let is_open = || running.office().control().expect("it runs").software().is_logged_in();
    let wrong = mai.ask(Method::PUT, "/tokens/0/login", Some(json!({"password": "1"}))).await;
    assert_eq!(code(&wrong), (400, "pin_incorrect"));
    assert!(!is_open());
    assert_eq!(mai.ask(Method::PUT, "/tokens/0/login", Some(json!({"password": PIN}))).await.0, 200);
    assert!(is_open());
    let unknown = mai.ask(Method::PUT, "/tokens/1/login", Some(json!({"password": PIN}))).await;
    assert_eq!(code(&unknown), (404, "token_not_found"));
    assert_eq!(mai.ask(Method::PUT, "/tokens/0/logout", None).await.0, 200);
    assert!(!is_open());
}

/// Asks for a key with a request of this use; what was answered.
async fn ask_for_key(mai: &mut Person, usage: &str, name: &str, more: Value) -> (u16, Value) {
    let mut fields = json!({"C": "DEV", "CN": name});
    if usage == "SIGNING" {
        fields["O"] = "GOV".into();
    }
    let mut request = json!({
        "key_usage_type": usage, "ca_name": "Test CA", "csr_format": "DER",
        "member_id": "DEV:GOV:1", "subject_field_values": fields,
    });
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    let body = json!({"key_label": format!("{usage} key"), "csr_generate_request": request});
    mai.ask(Method::POST, "/tokens/0/keys-with-csrs", Some(body)).await
}

/// Has a key made, its request answered by the authority, and the certificate imported.
async fn enrol(mai: &mut Person, authority: &ca::Running, ca: &str, usage: &str, name: &str) -> Value {
    let made = ask_for_key(mai, usage, name, json!({"ca_name": ca})).await;
    assert_eq!(made.0, 200, "{}", made.1);
    assert_eq!(made.1["key"]["usage"], usage);
    let (key, csr) =
        (made.1["key"]["id"].as_str().expect("an id"), made.1["csr_id"].as_str().expect("an id"));
    let target = format!("/api/v1/keys/{key}/csrs/{csr}?csr_format=PEM");
    let csr = mai.0.send(HOST, &Method::GET, &target, None, Default::default()).await;
    assert_eq!(csr.status, 200);
    let purpose = if usage == "SIGNING" { Purpose::Signing } else { Purpose::Authentication };
    let now = Clock::system().now();
    let certificate = authority.authority().issue(&csr.body, purpose, now).expect("a certificate");
    let imported = mai.upload(Method::POST, "/token-certificates", certificate.to_pem().into_bytes()).await;
    assert_eq!(imported.0, 201, "{}", imported.1);
    let again = mai.upload(Method::POST, "/token-certificates", certificate.to_pem().into_bytes()).await;
    assert_eq!(code(&again), (409, "cert_exists"));
    imported.1
}

#[tokio::test]
async fn keys_certificates_and_registration() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = registry(folder.path(), "127.88.2.2").await;
    let authority = authority(folder.path(), "127.88.2.3", &registry).await;
    let running = server(folder.path(), "127.88.2.1").await;
    let mut mai = Person::log_in(&running, "mai").await;
    let anchor = registry.anchor(SourceKind::Internal).expect("an anchor");
    assert_eq!(mai.upload(Method::POST, "/system/anchor", anchor).await.0, 201);
    let wanted = json!({
        "owner_member_class": "GOV", "owner_member_code": "1", "security_server_code": "SS1",
        "software_token_pin": PIN,
    });
    assert_eq!(mai.ask(Method::POST, "/initialization", Some(wanted)).await.0, 201);
    let services = mai.ask(Method::GET, "/certificate-authorities", None).await;
    let ca = services.1[0]["name"].as_str().expect("a name").to_owned();
    assert_eq!(services.1[0]["ocsp_responders"][0]["cost_type"], "FREE");

    let closed = ask_for_key(&mut mai, "SIGNING", "1", json!({"ca_name": ca})).await;
    assert_eq!(code(&closed), (409, "token_not_active"));
    let opened = mai.ask(Method::PUT, "/tokens/0/login", Some(json!({"password": PIN}))).await;
    assert_eq!(
        (opened.0, &opened.1["logged_in"], &opened.1["type"]),
        (200, &json!(true), &json!("SOFTWARE"))
    );
    for (change, expected) in [
        (json!({}), (400, "certificate_authority_not_found")),
        (json!({"ca_name": ca, "member_id": null}), (400, "missing_member_id")),
        (json!({"ca_name": ca, "member_id": "DEV:GOV:2"}), (400, "client_not_found")),
        (json!({"ca_name": ca, "subject_field_values": {"CN": "1"}}), (400, "invalid_dn_parameter")),
    ] {
        let refused = ask_for_key(&mut mai, "SIGNING", "1", change.clone()).await;
        assert_eq!(code(&refused), expected, "{change}");
    }
    let wrong = ask_for_key(&mut mai, "SIGNING", "2", json!({"ca_name": ca})).await;
    assert_eq!(
        (code(&wrong), &wrong.1["error"]["metadata"]),
        ((400, "invalid_dn_parameter"), &json!(["CN"]))
    );
    let tokens = mai.ask(Method::GET, "/tokens", None).await.1;
    assert_eq!(tokens[0]["keys"], json!([]), "a refused request leaves no key behind");

    let signing = enrol(&mut mai, &authority, &ca, "SIGNING", "1").await;
    assert_eq!((&signing["status"], &signing["active"]), (&json!("REGISTERED"), &json!(true)));
    assert_eq!(signing["owner_id"], "DEV:GOV:1");
    let authentication = enrol(&mut mai, &authority, &ca, "AUTHENTICATION", "SS1").await;
    assert_eq!((&authentication["status"], &authentication["active"]), (&json!("SAVED"), &json!(false)));
    assert_eq!(authentication["ocsp_status"], "DISABLED");

    register(&mut mai, &running, &registry, authentication["certificate_details"]["hash"].as_str()).await;
    running.stop().await;
    registry.stop().await;
    authority.stop().await;
}

/// Registers the certificate, has the registry approve it, and waits until the server shows it.
async fn register(mai: &mut Person, running: &RunningAdministration, registry: &Running, hash: Option<&str>) {
    let at_hash = |act: &str| format!("/token-certificates/{}{act}", hash.expect("a hash"));
    let address = json!({"address": "127.88.2.1"});
    // The first OCSP response of the signing certificate has to come first.
    let mut registered = (0, Value::Null);
    for _ in 0..100 {
        registered = mai.ask(Method::PUT, &at_hash("/register"), Some(address.clone())).await;
        if registered.0 == 204 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(registered.0, 204, "{}", registered.1);
    let again = mai.ask(Method::PUT, &at_hash("/register"), Some(address)).await;
    assert_eq!(code(&again), (409, "action_not_possible"));
    let clerk = Actor::Person("clerk".to_owned());
    at(registry, move |desk| desk.approve_request(&clerk, 1)).await;
    assert_eq!(mai.ask(Method::PUT, &at_hash("/activate"), None).await.0, 204);
    let mut status = Value::Null;
    for _ in 0..100 {
        status = mai.ask(Method::GET, &at_hash(""), None).await.1;
        if status["status"] == "REGISTERED" && status["ocsp_status"] == "OCSP_RESPONSE_GOOD" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status["status"], "REGISTERED");
    assert_eq!(status["ocsp_status"], "OCSP_RESPONSE_GOOD");
    let id = running.office().control().expect("it runs").server().clone();
    let entry = registry.desk().look().server(&id).cloned();
    assert_eq!(entry.and_then(|entry| entry.server.address).as_deref(), Some("127.88.2.1"));
    let refused = mai.ask(Method::DELETE, &at_hash(""), None).await;
    assert_eq!(code(&refused), (409, "action_not_possible"));
    look_up(mai).await;
}

/// What the global configuration says, as those who fill in forms see it.
async fn look_up(mai: &mut Person) {
    let server = json!({
        "id": "DEV:GOV:1:SS1", "instance_id": "DEV", "member_class": "GOV", "member_code": "1",
        "server_code": "SS1", "server_address": "127.88.2.1",
    });
    for (path, expected) in [
        ("/member-classes?current_instance=true", json!(["GOV"])),
        ("/member-classes/DEV", json!(["GOV"])),
        ("/member-names?member_class=GOV&member_code=1", json!({"member_name": "One"})),
        ("/xroad-instances", json!([{"identifier": "DEV", "local": true}])),
        ("/security-servers?current_server=true", json!([server])),
        ("/security-servers/DEV:GOV:1:SS1", server.clone()),
        ("/timestamping-services", json!([])),
        ("/system/server-address", json!({"current_address": {"address": "127.88.2.1"}})),
        (
            "/system/maintenance-mode",
            json!({"status": "DISABLED_MAINTENANCE_MODE", "is_management_services_provider": false}),
        ),
        ("/system/node-type", json!({"node_type": "STANDALONE"})),
    ] {
        assert_eq!(mai.ask(Method::GET, path, None).await, (200, expected), "{path}");
    }
    for (method, path, body, expected) in [
        (Method::GET, "/member-classes/XX", None, (404, "instance_not_found")),
        (Method::GET, "/member-names?member_class=GOV&member_code=9", None, (404, "member_name_not_found")),
        (Method::GET, "/member-names", None, (400, "validation_failure")),
        (Method::GET, "/security-servers/DEV:GOV:1:SS9", None, (404, "security_server_not_found")),
        (Method::PUT, "/system/maintenance-mode/disable", None, (409, "action_not_possible")),
        (
            Method::PUT,
            "/system/server-address",
            Some(json!({"address": "127.88.2.1"})),
            (409, "same_address_change_request"),
        ),
    ] {
        assert_eq!(code(&mai.ask(method, path, body).await), expected, "{path}");
    }
}
