//! The recorded scenario, as far as the central server is asked: every answer equals the recorded one,
//! but for the values that are named here.

use bytes::Bytes;
use causeway_tests::scenario::{Answer, Differing, Entry, Multipart, Part, Player, Scenario, compare, file};
use protocol::configuration::Anchor;
use protocol::id::{ClientId, MemberId, SecurityServerId};
use registry::requests::Content;
use registry::{Actor, Running};

use crate::support::Office;

/// What must differ: times, and what is made from random numbers.
const DIFFERING: &[Differing] = &[
    Differing {
        method: "POST",
        path: "/login",
        value: "",
        why: "the recording lost the line end that its Content-Length of 3 counts",
    },
    Differing {
        method: "POST",
        path: "/api/v1/configuration-sources/*/signing-keys",
        value: "created_at",
        why: "the time at which the key was made",
    },
    Differing {
        method: "POST",
        path: "/api/v1/configuration-sources/*/signing-keys",
        value: "id",
        why: "the id of a key is made from the key",
    },
    Differing {
        method: "GET",
        path: "/api/v1/configuration-sources/*/anchor/download",
        value: "",
        why: "the anchor has the time and the key's certificate in it; what it says is compared apart",
    },
    Differing {
        method: "GET",
        path: "/api/v1/management-requests",
        value: "items.*.created_at",
        why: "the time at which the request came",
    },
    Differing {
        method: "POST",
        path: "/api/v1/management-requests/*/approval",
        value: "created_at",
        why: "the time at which the request came",
    },
    Differing {
        method: "POST",
        path: "/api/v1/management-requests/*/approval",
        value: "updated_at",
        why: "the time at which it was approved",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_set_up() {
    let office = Office::start().await;
    let mut player = office.player();
    for named in DIFFERING {
        println!("may differ: {} {} {}: {}", named.method, named.path, named.value, named.why);
    }
    let (mut played, mut equal) = (0, 0);
    let scenario = Scenario::setup();
    for entry in scenario.entries() {
        if entry.host() != "cs" {
            stand_in(&office.registry, entry).await;
            continue;
        }
        // The page for people is another part's.
        if entry.target() == "/" {
            continue;
        }
        played += 1;
        let answer = play(&mut player, entry).await;
        let mut differences = compare(entry, &answer, DIFFERING);
        if entry.is("GET", "/api/v1/configuration-sources/*/anchor/download") {
            differences.extend(anchors(entry, &answer));
        }
        if differences.is_empty() {
            equal += 1;
        } else {
            let body = String::from_utf8_lossy(&answer.body);
            println!("line {}: {} {}: {body}", entry.line, entry.method, entry.target());
            differences.iter().for_each(|difference| println!("    {difference}"));
        }
    }
    println!("{played} answers, {equal} equal");
    assert_eq!(played, equal, "{} answers differ", played - equal);
    assert_eq!(played, 30);
    office.registry.stop().await;
}

/// What two anchors differ in, times and certificates left out.
fn anchors(entry: &Entry, answer: &Answer) -> Vec<String> {
    let told = |anchor: &[u8]| {
        let anchor = Anchor::parse(anchor).expect("an anchor");
        let sources = anchor.sources.iter();
        let sources: Vec<_> =
            sources.map(|source| (source.download_url.clone(), source.verification_certs.len())).collect();
        (anchor.instance, sources)
    };
    let (recorded, answered) =
        (told(entry.body.as_deref().unwrap_or_default().as_bytes()), told(&answer.body));
    if recorded == answered { Vec::new() } else { vec![format!("{answered:?} in place of {recorded:?}")] }
}

/// Sends a recorded call; bodies that the recording cut off are made anew.
async fn play(player: &mut Player, entry: &Entry) -> Answer {
    let read = |name: &str| std::fs::read(file(name)).expect("a file of the recording");
    if entry.is("POST", "/login") {
        return player.play_with(entry, "username=xrd&password=secret").await;
    }
    let form = if entry.is("POST", "/api/v1/certification-services") {
        let profile = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider";
        Multipart::of(&[
            Part::Field("certificate_profile_info", profile),
            Part::Field("tls_auth", "false"),
            Part::Field("default_csr_format", "DER"),
            Part::Field("acme_server_directory_url", "http://testca:8887"),
            Part::File("certificate", "ca.pem", &read("ca.pem")),
        ])
    } else if entry.is("POST", "/api/v1/certification-services/*/ocsp-responders") {
        Multipart::of(&[
            Part::Field("url", "http://testca:8888"),
            Part::Field("cost_type", "FREE"),
            Part::File("certificate", "ocsp.pem", &read("ocsp.pem")),
        ])
    } else if entry.is("POST", "/api/v1/timestamping-services") {
        Multipart::of(&[
            Part::Field("url", "http://testca:8899"),
            Part::Field("cost_type", "FREE"),
            Part::File("certificate", "tsa.pem", &read("tsa.pem")),
        ])
    } else {
        return player.play(entry).await;
    };
    player.play_multipart(entry, &form).await
}

/// What the security servers of the recording did towards the registry when they answered this call.
async fn stand_in(registry: &Running, entry: &Entry) {
    if !matches!(entry.status, 200..300) {
        return;
    }
    let owner = |code: &str| MemberId::new("DEV", "COM", code).expect("a member");
    let server = match entry.host() {
        "ss0" => SecurityServerId::new(owner("1234"), "SS0"),
        _ => SecurityServerId::new(owner("4321"), "SS1"),
    };
    let content = if entry.is("PUT", "/api/v1/token-certificates/*/register") {
        let pem = std::fs::read_to_string(file(&format!("{}.authentication.pem", entry.host())));
        let certificate =
            certs::certificate::Certificate::from_pem(&pem.expect("a certificate")).expect("PEM");
        let address = Some(entry.host().to_owned());
        Content::CertificateRegistration { certificate: Bytes::clone(certificate.der()), address }
    } else if entry.is("PUT", "/api/v1/clients/*/register") {
        let client = entry.url.path().split('/').nth(4).expect("a client");
        let client = ClientId::parse_joined(client).expect("a client");
        Content::ClientRegistration { client, subsystem_name: None }
    } else {
        return;
    };
    let (desk, server) = (registry.desk(), server.expect("a server"));
    let add = move || desk.add_request(&Actor::SecurityServer, &server, content, None);
    tokio::task::spawn_blocking(add).await.expect("done").unwrap_or_else(|refusal| panic!("{refusal}"));
}
