//! What X-Road lacks: invitations, node classes, the question whether a call would be allowed, what a
//! pending request would change, two persons, suspension of a federation.

use administration::access::Role;
use bytes::Bytes;
use causeway_tests::scenario::{Multipart, Part, file};
use http::Method;
use protocol::id::{ClientId, SecurityServerId};
use registry::requests::Content;
use registry::{Actor, Refusal};
use serde_json::{Value, json};

use crate::support::Office;

/// An office whose instance has two members with a server each, and someone who may do everything.
async fn office(rules: &str) -> (Office, String) {
    let office = Office::with_rules(rules).await;
    office.initialise().await;
    let key = office.officer().await;
    ok(&office, &key, Method::POST, "/member-classes", json!({"code": "COM", "description": "c"})).await;
    for code in ["1", "2"] {
        let member = json!({"member_id": {"member_class": "COM", "member_code": code}, "member_name": code});
        ok(&office, &key, Method::POST, "/members", member).await;
    }
    (office, key)
}

/// Asks for something that is done; gives the answer.
async fn ok(office: &Office, key: &str, method: Method, path: &str, body: Value) -> Value {
    let body = (!body.is_null()).then(|| body.to_string());
    let answer = office.ask(Some(key), &method, path, body.as_deref()).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!((200..300).contains(&answer.status), "{method} {path}: {} {text}", answer.status);
    answer.json()
}

/// Asks for something that is refused.
async fn refused(office: &Office, key: &str, method: Method, path: &str, body: Value, wanted: (u16, &str)) {
    let body = (!body.is_null()).then(|| body.to_string());
    let answer = office.ask(Some(key), &method, path, body.as_deref()).await;
    let code = answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!((answer.status, code.as_str()), wanted, "{method} {path}");
}

/// Registers a server of a member with the certificate of the recording, as the server asks for it.
fn ask_for_server(office: &Office, number: usize) -> u32 {
    let server = SecurityServerId::parse_joined(&format!("DEV:COM:{}:SS", number + 1)).expect("a server");
    let pem =
        std::fs::read_to_string(file(&format!("ss{number}.authentication.pem"))).expect("a certificate");
    let certificate = certs::certificate::Certificate::from_pem(&pem).expect("PEM");
    let certificate = Bytes::clone(certificate.der());
    let content =
        Content::CertificateRegistration { certificate, address: Some(format!("ss{number}.example")) };
    let added = office.registry.desk().add_request(&Actor::SecurityServer, &server, content, None);
    added.unwrap_or_else(|refusal| panic!("{refusal}")).id
}

/// Trusts the CA of the recording.
async fn trust(office: &Office, key: &str) {
    let ca = std::fs::read(file("ca.pem")).expect("a certificate");
    let profile = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider";
    let form = Multipart::of(&[
        Part::Field("certificate_profile_info", profile),
        Part::Field("tls_auth", "false"),
        Part::Field("default_csr_format", "DER"),
        Part::File("certificate", "ca.pem", &ca),
    ]);
    assert_eq!(office.upload(key, "/certification-services", &form).await.status, 201);
    // The second time it is the same service again.
    assert_eq!(office.upload(key, "/certification-services", &form).await.status, 409);
    let twice = Multipart::of(&[
        Part::Field("certificate_profile_info", profile),
        Part::Field("default_csr_format", "DER"),
        Part::File("certificate", "ca.tar.gz", &ca),
    ]);
    let answer = office.upload(key, "/certification-services", &twice).await;
    assert_eq!(answer.json()["error"]["code"], "double_file_extension");
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_work_once() {
    let (office, key) = office("").await;
    let body = json!({"member_id": "DEV:COM:1", "server_code": "SS"});
    let invitation = ok(&office, &key, Method::POST, "/invitations", body).await;
    let secret = invitation["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.len() >= 43 && invitation["anchor"].as_str().is_some_and(|anchor| anchor.len() > 500));
    assert_eq!(invitation["member_name"], "1");
    let status = async || ok(&office, &key, Method::GET, "/invitations", Value::Null).await;
    let list = status().await;
    assert_eq!(
        (&list["items"][0]["status"], &list["paging_metadata"]["total_items"]),
        (&json!("OPEN"), &json!(1))
    );
    assert!(!list.to_string().contains(&secret), "the secret is told once");

    let desk = office.registry.desk();
    let server = |text: &str| SecurityServerId::parse_joined(text).expect("a server");
    for (secret, id) in [("x", "DEV:COM:1:SS"), (&secret, "DEV:COM:2:SS"), (&secret, "DEV:COM:1:OTHER")] {
        let outcome = desk.redeem_invitation(secret, &server(id));
        assert!(matches!(outcome, Err(Refusal::InvitationNotFound)), "{id}");
    }
    desk.redeem_invitation(&secret, &server("DEV:COM:1:SS")).expect("redeemed");
    assert!(desk.redeem_invitation(&secret, &server("DEV:COM:1:SS")).is_err(), "it works once");
    let list = status().await;
    assert_eq!(list["items"][0]["status"], "REDEEMED");
    assert_eq!(list["items"][0]["security_server_id"], "DEV:COM:1:SS");
    refused(&office, &key, Method::DELETE, "/invitations/1", Value::Null, (409, "invitation_used")).await;

    let second = ok(&office, &key, Method::POST, "/invitations", json!({"member_id": "DEV:COM:2"})).await;
    ok(&office, &key, Method::DELETE, "/invitations/2", Value::Null).await;
    let secret = second["secret"].as_str().expect("a secret");
    assert!(desk.redeem_invitation(secret, &server("DEV:COM:2:SS")).is_err(), "it was taken back");
    for (body, wanted) in [
        (json!({"member_id": "DEV:COM:3"}), (404, "member_not_found")),
        (json!({"member_id": "DEV:COM:1:S"}), (400, "invalid_member_id")),
        (json!({"member_id": "DEV:COM:1", "valid_hours": 0}), (400, "validation_failure")),
        (json!({"member_id": "DEV:COM:1", "valid_hours": 2161}), (400, "validation_failure")),
    ] {
        refused(&office, &key, Method::POST, "/invitations", body, wanted).await;
    }
    office.registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_persons_decide_and_see_what_changes() {
    let (office, key) = office("second-person = true\n").await;
    trust(&office, &key).await;
    let id = ask_for_server(&office, 0);
    let path = format!("/management-requests/{id}");
    let changes = ok(&office, &key, Method::GET, &format!("{path}/changes"), Value::Null).await;
    let all = changes.as_array().expect("a list");
    let added =
        all.iter().any(|change| change["action"] == "ADD" && change["thing"] == "server/DEV/COM/1/SS");
    assert!(added, "{changes}");

    let approval = format!("{path}/approval");
    let first = office.ask(Some(&key), &Method::POST, &approval, None).await;
    assert_eq!((first.status, first.json()["status"].clone()), (202, json!("WAITING")));
    let wanted = (409, "management_request_second_person_required");
    refused(&office, &key, Method::POST, &approval, Value::Null, wanted).await;
    let other = office.officer().await;
    let second = office.ask(Some(&other), &Method::POST, &approval, None).await;
    assert_eq!((second.status, second.json()["status"].clone()), (200, json!("APPROVED")));
    let details = ok(&office, &key, Method::GET, &path, Value::Null).await;
    assert_ne!(details["first_approval_by"], details["decided_by"], "{details}");
    assert_eq!(details["certificate_details"]["subject_common_name"], "ss0");
    let wanted = (400, "management_request_invalid_state_for_approval");
    refused(&office, &other, Method::POST, &approval, Value::Null, wanted).await;
    office.registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_call_would_be_allowed() {
    let (office, key) = office("").await;
    trust(&office, &key).await;
    for number in [0, 1] {
        let id = ask_for_server(&office, number);
        ok(&office, &key, Method::POST, &format!("/management-requests/{id}/approval"), Value::Null).await;
    }
    let check = async |client: &str, provider: &str| {
        let body = json!({"client_id": client, "provider_id": provider});
        let verdict = ok(&office, &key, Method::POST, "/call-checks", body).await;
        (
            verdict["allowed"].as_bool().expect("a verdict"),
            verdict["rule"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let says = |allowed: bool, rule: &str| (allowed, rule.to_owned());
    assert_eq!(check("DEV:COM:1", "DEV:COM:2").await, says(true, "ACCESS_RIGHTS"));
    assert_eq!(check("DEV:COM:9", "DEV:COM:2").await, says(false, "CLIENT_REGISTERED"));
    assert_eq!(check("DEV:COM:1", "DEV:COM:2:S").await, says(false, "PROVIDER_REGISTERED"));
    assert_eq!(check("DEV:COM:1", "ELSE:COM:2").await, says(false, "FEDERATION"));

    let policy =
        json!({"enabled": true, "pairs": [{"consumer": "state", "provider": "data-center", "tls": "1.3"}]});
    let shown = ok(&office, &key, Method::PUT, "/class-policy", policy).await;
    assert_eq!(shown["pairs"][0]["synchronous_timestamp"], false);
    assert_eq!(check("DEV:COM:1", "DEV:COM:2").await, says(false, "CLASS_POLICY"));
    for (server, class) in [("DEV:COM:1:SS", "state"), ("DEV:COM:2:SS", "data-center")] {
        let path = format!("/security-servers/{server}/node-class");
        let view = ok(&office, &key, Method::PUT, &path, json!({"node_class": class})).await;
        assert_eq!(view["node_class"], class);
    }
    assert_eq!(check("DEV:COM:1", "DEV:COM:2").await, says(true, "ACCESS_RIGHTS"));
    assert_eq!(check("DEV:COM:2", "DEV:COM:1").await, says(false, "CLASS_POLICY"));
    let counts = ok(&office, &key, Method::GET, "/node-classes", Value::Null).await;
    assert_eq!(counts[0], json!({"node_class": "state", "security_servers": 1}));

    let server = SecurityServerId::parse_joined("DEV:COM:2:SS").expect("a server");
    let content = Content::MaintenanceModeEnable { message: Some("until noon".into()) };
    office
        .registry
        .desk()
        .add_request(&Actor::SecurityServer, &server, content, None)
        .expect("in maintenance");
    assert_eq!(check("DEV:COM:1", "DEV:COM:2").await, says(false, "MAINTENANCE"));
    let client = ClientId::parse_joined("DEV:COM:1").expect("a client");
    assert_eq!(client.joined(), "DEV:COM:1");
    office.registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federation_is_suspended_and_resumed() {
    let (office, key) = office("").await;
    let partner = Office::start().await;
    let address = format!("127.0.0.1:{}", partner.registry.http().port());
    partner.initialise_as("ELSE", &address).await;
    let their_key = partner.officer().await;
    let steps = [
        (Method::POST, "/member-classes", json!({"code": "COM", "description": "c"})),
        (
            Method::POST,
            "/members",
            json!({"member_id": {"member_class": "COM", "member_code": "1"}, "member_name": "1"}),
        ),
        (
            Method::POST,
            "/subsystems",
            json!({"subsystem_id": {"member_class": "COM", "member_code": "1", "subsystem_code": "M"}}),
        ),
        (Method::PATCH, "/management-services-configuration", json!({"service_provider_id": "ELSE:COM:1:M"})),
    ];
    for (method, path, body) in steps {
        ok(&partner, &their_key, method, path, body).await;
    }
    let mut published = partner.registry.published();
    published.wait_for(|published| published.made.is_some()).await.expect("published");
    let path = "/configuration-sources/EXTERNAL/anchor/download";
    let anchor = partner.ask(Some(&their_key), &Method::GET, path, None).await;
    let form = Multipart::of(&[Part::File("anchor", "anchor.xml", &anchor.body)]);

    let preview = office.upload(&key, "/trusted-anchors/preview", &form).await;
    assert_eq!((preview.status, preview.json()["instance_identifier"].clone()), (200, json!("ELSE")));
    assert_eq!(ok(&office, &key, Method::GET, "/trusted-anchors", Value::Null).await, json!([]));
    let added = office.upload(&key, "/trusted-anchors", &form).await;
    assert_eq!(added.status, 201, "{}", String::from_utf8_lossy(&added.body));
    let hash = added.json()["hash"].as_str().expect("a hash").to_owned();
    for (step, suspended) in [("suspend", true), ("resume", false)] {
        let view =
            ok(&office, &key, Method::PUT, &format!("/trusted-anchors/{hash}/{step}"), Value::Null).await;
        assert_eq!(view["suspended"].as_bool().unwrap_or(false), suspended);
    }
    let download =
        office.ask(Some(&key), &Method::GET, &format!("/trusted-anchors/{hash}/download"), None).await;
    assert_eq!(download.body, anchor.body);
    // The internal anchor leads to no external configuration.
    let path = "/configuration-sources/INTERNAL/anchor/download";
    let internal = partner.ask(Some(&their_key), &Method::GET, path, None).await;
    let form = Multipart::of(&[Part::File("anchor", "anchor.xml", &internal.body)]);
    let answer = office.upload(&key, "/trusted-anchors", &form).await;
    assert_eq!(answer.json()["error"]["code"], "trusted_anchor_verification_failed");
    partner.registry.stop().await;
    office.registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_instance_is_only_looked_at() {
    let office = Office::declared(&crate::scale::instance(20)).await;
    let key = office.api_key(&[Role::RegistrationOfficer, Role::SecurityOfficer]).await;
    let clients = ok(&office, &key, Method::GET, "/clients?client_type=MEMBER", Value::Null).await;
    assert_eq!(clients["paging_metadata"]["total_items"], 20);
    let body = json!({"code": "ORG", "description": "o"});
    refused(&office, &key, Method::POST, "/member-classes", body, (409, "declared_in_file")).await;
    office.registry.stop().await;
}
