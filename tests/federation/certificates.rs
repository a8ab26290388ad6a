//! Certificates that do not count any more, and those of information systems.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use causeway::client::{Call, Tls, call};
use causeway::up::plan::NODES;
use certs::certificate::CertificateUsage;
use certs::token::SoftwareToken;
use gateway::http::Outgoing;
use http::{HeaderMap, HeaderValue, Method};

use crate::support::{Pilot, code, persons, run, text};

/// Revokes a node's certificates of one usage at the authority, as its operator does.
async fn revoke(pilot: &Pilot, node: usize, usage: CertificateUsage) {
    let own = pilot.federation.role_folder(NODES[node].name);
    let pin = std::fs::read_to_string(own.join("pin")).expect("a PIN");
    let token = SoftwareToken::open(&own.join("state").join("token"), pin.trim()).expect("a token");
    let keys = token.keys().into_iter().filter(|key| key.usage == usage);
    let certificates: Vec<_> = keys.flat_map(|key| key.certificates).collect();
    assert_eq!(certificates.len(), 1);
    let secret = pilot.federation.role_folder("authority").join("operator-token");
    let secret = std::fs::read_to_string(secret).expect("the operator's token");
    for held in certificates {
        let mut serial = String::new();
        held.certificate.serial().iter().for_each(|octet| {
            let _ = write!(serial, "{octet:02x}");
        });
        let url =
            format!("http://{}/revoke?serial={serial}&reason=1", pilot.federation.network().authority());
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::from_str(&format!("Bearer {}", secret.trim())).expect("ASCII");
        headers.insert("authorization", bearer);
        let timeout = Duration::from_secs(30);
        let body = Outgoing::from(Bytes::new());
        let answer = call(Call { method: Method::POST, url, headers, body, timeout }, None)
            .await
            .expect("the authority answers");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }
}

#[test]
fn nothing_passes_with_a_revoked_certificate() {
    run(async {
        let pilot = Pilot::start(18).await;
        // Responses must be younger than ten seconds, so that the servers ask for them every five.
        let pair = "consumer = \"state\"\nprovider = \"data-center\"\n";
        pilot.edit("registry", "instance.toml", &[(pair, &format!("{pair}ocsp-live-seconds = 10\n"))]);
        let ours = persons("/079200001234");
        let theirs = format!("{}/29A-123.45", NODES[0].service_id().expect("a service"));
        // While responses are exchanged for younger ones a call may fail; after that none does.
        let span = Duration::from_secs(30);
        pilot.until(0, &ours, span, |answer| answer.status == 200).await;
        assert_eq!(pilot.get(1, &theirs).await.status, 200);
        assert_eq!(pilot.get(2, &ours).await.status, 200);

        // An honest server signs nothing with a revoked certificate. That a peer would refuse what a
        // dishonest one sends is shown by `revoked_certificates_are_refused` in
        // `gateway/tests/exchange/refusals.rs`.
        revoke(&pilot, 0, CertificateUsage::Signing).await;
        for (from, target, expected, what) in [
            (0, ours.as_str(), "server.clientproxy.cannot_create_signature", "as consumer"),
            (1, theirs.as_str(), "server.serverproxy.service_failed.cannot_create_signature", "as provider"),
            (0, theirs.as_str(), "server.clientproxy.cannot_create_signature", "with itself"),
        ] {
            pilot.until(from, target, span, |answer| code(answer) == expected).await;
            for _ in 0..3 {
                assert_eq!(code(&pilot.get(from, target).await), expected, "{what}");
            }
        }
        assert_eq!(pilot.get(2, &ours).await.status, 200, "others go on");

        // The certificate of a server: the connections that are open do not help it.
        revoke(&pilot, 2, CertificateUsage::Authentication).await;
        pilot.until(2, &ours, span, |answer| code(answer).contains("ssl_authentication_failed")).await;
        println!("the server's certificate: {}", code(&pilot.get(2, &ours).await));
        pilot.federation.stop().await;
    });
}

/// A key and a self-made certificate of an information system.
fn system(folder: &Path, name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    (text(&certificate).to_owned(), text(&key).to_owned())
}

#[test]
fn a_client_is_bound_to_its_certificate() {
    run(async {
        let mut pilot = Pilot::start(19).await;
        let folder = pilot.federation.role_folder("ministry");
        let right = system(&folder, "right");
        let wrong = system(&folder, "wrong");
        let tls = |(certificate, key): &(String, String)| {
            Tls::new(None, Some((certificate, key))).expect("an identity")
        };
        let nobody = Tls::new(None, None).expect("no identity");
        pilot
            .reconfigure(
                "ministry",
                &[("connection = \"http\"\n", "connection = \"https\"\ncertificates = [\"right.pem\"]\n")],
            )
            .await;
        let target = persons("/079200001234");
        let refused = "server.clientproxy.ssl_authentication_failed";
        assert_eq!(code(&pilot.get(0, &target).await), refused, "plain HTTP");
        for (name, tls, expected) in [
            ("the right certificate", &tls(&right), (200, "")),
            ("another certificate", &tls(&wrong), (500, refused)),
            ("no certificate", &nobody, (500, refused)),
        ] {
            let (status, code) = pilot.get_tls(0, &target, tls).await;
            assert_eq!((status, code.as_str()), expected, "{name}");
        }

        pilot.reconfigure("ministry", &[("connection = \"https\"", "connection = \"https-no-auth\"")]).await;
        assert_eq!(code(&pilot.get(0, &target).await), refused, "plain HTTP");
        for (name, tls) in [("another certificate", &tls(&wrong)), ("no certificate", &nobody)] {
            assert_eq!(pilot.get_tls(0, &target, tls).await, (200, String::new()), "{name}");
        }
        pilot.federation.stop().await;
    });
}
