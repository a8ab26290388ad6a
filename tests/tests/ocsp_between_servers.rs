//! OCSP responses from the responder to a server, and from server to server (global configuration and
//! trust §16; messages and transport §4.3).

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use causeway::ca::{self, Config, Running};
use certs::ca::{PilotCa, Purpose};
use certs::certificate::{Certificate, CertificateUsage};
use certs::key::{KeyKind, PrivateKey};
use certs::ocsp::{CertificateStatus, OcspResponse};
use certs::profile::{Profile, RequestFor};
use gateway::Clock;
use gateway::http::{Fetcher, bind};
use gateway::ocsp::{OwnResponses, OwnSettings, PeerResponses, PeerSettings, Relay, Standing};
use gateway::snapshot::{Snapshot, SnapshotCell};
use protocol::configuration::{
    ApprovedCa, CaCertificate, GlobalConfiguration, Instance, OcspResponder, SharedParameters,
};
use protocol::fault::code;
use protocol::id::{MemberId, SecurityServerId};
use protocol::time::UtcTime;
use tempfile::TempDir;
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_secs(10);

/// A CA that runs, the configuration that approves it, and a server's certificate.
struct Setting {
    folder: TempDir,
    ca: Running,
    snapshot: Arc<SnapshotCell>,
    server: Certificate,
}

async fn setting(clock: Clock) -> Setting {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "listen='127.0.0.1:0'\nfolder='{}'\npin='1234'\ninstance='CW'",
        folder.path().join("authority").display()
    );
    let ca = ca::start(Config::parse(&text).expect("a configuration"), clock).await.expect("started");
    let snapshot = Arc::new(SnapshotCell::new());
    snapshot.store(Arc::new(configuration(&ca, 3600)));
    let server = certificate(ca.authority(), Purpose::Authentication, clock.now());
    Setting { folder, ca, snapshot, server }
}

fn configuration(ca: &Running, freshness: u64) -> Snapshot {
    let responder =
        OcspResponder { url: format!("http://{}/ocsp", ca.address()), ..OcspResponder::default() };
    let nobody = OcspResponder { url: "http://127.0.0.1:1/".to_owned(), ..OcspResponder::default() };
    let top = CaCertificate {
        certificate: ca.authority().certificate().der().to_vec(),
        // The first one cannot be reached, so the second is asked.
        ocsp: vec![nobody, responder],
    };
    let shared = SharedParameters {
        instance: "CW".to_owned(),
        approved_cas: vec![ApprovedCa { top, ..ApprovedCa::default() }],
        ocsp_freshness_seconds: freshness,
        ..SharedParameters::default()
    };
    let instance = Instance::new(shared, 6, UtcTime::from_seconds(i64::from(u32::MAX)));
    let instances = HashMap::from([("CW".to_owned(), Arc::new(instance))]);
    Snapshot::new(Arc::new(GlobalConfiguration { own_instance: "CW".to_owned(), instances }))
}

fn certificate(ca: &PilotCa, purpose: Purpose, now: UtcTime) -> Certificate {
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let owner = MemberId::new("CW", "GOV", "1001").expect("a member");
    let server = SecurityServerId::new(owner, "SS1").expect("a server");
    let member = server.owner();
    let of = RequestFor { server: &server, member, member_name: "", dns_name: "", country: "" };
    let subject = Profile::Ejbca.subject(CertificateUsage::Authentication, &of).expect("a subject");
    let request =
        certs::request::create(&key, &subject, CertificateUsage::Authentication).expect("a request");
    ca.issue(&request, purpose, now).expect("a certificate")
}

fn own(setting: &Setting, clock: Clock) -> Arc<OwnResponses> {
    let settings = OwnSettings::in_folder(setting.folder.path().join("ocsp"));
    Arc::new(OwnResponses::new(settings, Fetcher::new(LIMIT, LIMIT), Arc::clone(&setting.snapshot), clock))
}

/// Serves a node's responses; gives the port.
async fn relay(own: &Arc<OwnResponses>, clock: Clock, stop: watch::Receiver<bool>) -> u16 {
    let listener = bind(([127, 0, 0, 1], 0).into(), false).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(Relay::new(Arc::clone(own), clock).serve(listener, stop));
    port
}

#[tokio::test]
async fn a_server_keeps_its_responses() {
    let clock = Clock::system();
    let setting = setting(clock).await;
    let responses = own(&setting, clock);
    responses.set_certificates(vec![setting.server.clone()]);
    assert_eq!(responses.standing(&setting.server, clock.now()), Standing::Unknown);
    assert_eq!(responses.refresh_once().await, 0);
    assert_eq!(responses.standing(&setting.server, clock.now()), Standing::Good);
    let snapshot = setting.snapshot.load().expect("a snapshot");
    assert!(responses.good(&setting.server, snapshot.trust(), clock.now()).is_ok());
    let late = clock.now().plus(Duration::from_secs(3700));
    assert_eq!(responses.get(&setting.server, late), None, "too old to be sent");

    // A restart finds the response in the folder; a damaged file is no response.
    let name = format!("{}.ocsp", setting.server.hashes().sha1.to_hex());
    let file = setting.folder.path().join("ocsp").join(name);
    let again = own(&setting, clock);
    again.set_certificates(vec![setting.server.clone()]);
    assert_eq!(again.get(&setting.server, clock.now()), responses.get(&setting.server, clock.now()));
    let mut octets = fs::read(&file).expect("the file");
    if let Some(octet) = octets.get_mut(100) {
        *octet ^= 1;
    }
    fs::write(&file, octets).expect("written");
    let damaged = own(&setting, clock);
    damaged.set_certificates(vec![setting.server.clone()]);
    assert_eq!(damaged.get(&setting.server, clock.now()), None);

    // Revoked: kept and sendable, and not good.
    setting.ca.authority().revoke(setting.server.serial(), 6, clock.now()).expect("revoked");
    assert_eq!(responses.refresh_once().await, 0);
    assert_eq!(responses.standing(&setting.server, clock.now()), Standing::Suspended);
    assert!(responses.get(&setting.server, clock.now()).is_some());
    let fault = responses.good(&setting.server, snapshot.trust(), clock.now()).expect_err("revoked");
    assert_eq!(fault.code, code::CERT_VALIDATION);

    // Not asked for any more, and gone.
    responses.set_certificates(Vec::new());
    assert_eq!(responses.refresh_once().await, 0);
    assert_eq!(responses.get(&setting.server, clock.now()), None);
    setting.ca.stop().await;
}

#[tokio::test]
async fn a_server_fetches_by_itself() {
    let clock = Clock::system();
    let setting = setting(clock).await;
    let responses = own(&setting, clock);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&responses).run(stopped));
    let mut rounds = responses.subscribe();
    responses.set_certificates(vec![setting.server.clone()]);
    tokio::time::timeout(LIMIT, rounds.changed()).await.expect("in time").expect("a round");
    assert_eq!(responses.standing(&setting.server, clock.now()), Standing::Good);
    // An own certificate that was not there before is asked for at once.
    let other = certificate(setting.ca.authority(), Purpose::Tls, clock.now());
    responses.set_certificates(vec![setting.server.clone(), other.clone()]);
    while responses.standing(&other, clock.now()) != Standing::Good {
        // A round that was under way may end first.
        tokio::time::timeout(LIMIT, rounds.changed()).await.expect("in time").expect("a round");
    }
    stop.send_replace(true);
    tokio::time::timeout(LIMIT, running).await.expect("in time").expect("it ended");
    setting.ca.stop().await;
}

#[tokio::test]
async fn peers_ask_each_other() {
    let clock = Clock::system();
    let setting = setting(clock).await;
    let provider = own(&setting, clock);
    provider.set_certificates(vec![setting.server.clone()]);
    provider.refresh_once().await;
    let (stop, stopped) = watch::channel(false);
    let port = relay(&provider, clock, stopped).await;

    let snapshot = setting.snapshot.load().expect("a snapshot");
    let consumer = PeerResponses::new(PeerSettings { connect: LIMIT, read: LIMIT });
    let chain = [setting.server.clone()];
    let now = clock.now();
    let got = consumer.responses(&chain, "127.0.0.1", port, snapshot.trust(), now).await.expect("responses");
    let response = OcspResponse::parse(got[0].clone()).expect("a response");
    assert_eq!(response.status(), CertificateStatus::Good);

    // An answer that is remembered needs no peer; one that must be newer does.
    let silent = consumer.responses(&chain, "127.0.0.1", 1, snapshot.trust(), now).await;
    assert_eq!(silent, Ok(got));
    let future = now.plus(Duration::from_secs(60));
    let fault = consumer
        .responses_since(&chain, ("127.0.0.1", port), snapshot.trust(), future, now)
        .await
        .expect_err("the peer has no newer one");
    assert_eq!(fault.code, code::INCORRECT_VALIDATION_INFO);

    // A certificate that the peer does not have, and a peer that is not there.
    let other = [certificate(setting.ca.authority(), Purpose::Authentication, now)];
    for port in [port, 1] {
        let fault = consumer
            .responses(&other, "127.0.0.1", port, snapshot.trust(), now)
            .await
            .expect_err("no response");
        assert_eq!(fault.code, code::SSL_AUTHENTICATION_FAILED);
    }
    stop.send_replace(true);
    setting.ca.stop().await;
}

#[tokio::test]
async fn the_relay_answers_as_it_must() {
    let clock = Clock::system();
    let setting = setting(clock).await;
    let provider = own(&setting, clock);
    provider.set_certificates(vec![setting.server.clone()]);
    provider.refresh_once().await;
    let (stop, stopped) = watch::channel(false);
    let port = relay(&provider, clock, stopped).await;
    let fetcher = Fetcher::new(LIMIT, LIMIT);
    let hashes = setting.server.hashes();
    let (sha1, sha256) = (hashes.sha1.to_hex(), hashes.sha256.to_hex());
    for (query, status) in [
        (format!("cert={sha1}"), 200),
        (format!("cert={sha1}&cert_hash={sha256}"), 200),
        (format!("cert_hash={sha256}"), 200),
        (format!("cert={sha1}&cert={sha1}"), 200),
        ("cert=00".to_owned(), 500),
        (String::new(), 500),
        (format!("cert={}", "0".repeat(9000)), 500),
    ] {
        let url = format!("http://127.0.0.1:{port}/?{query}");
        let answer = fetcher.get(&url, Some("multipart/related"), 100_000).await.expect("an answer");
        assert_eq!(answer.status, status, "{query}");
        if status == 200 {
            let kind = answer.headers["content-type"].to_str().expect("a text");
            let start = "multipart/related; type=\"application/ocsp-response\"; charset=UTF-8; boundary=";
            let boundary = kind.strip_prefix(start).expect("the type of X-Road");
            let first = format!("--{boundary}\r\nContent-Type: application/ocsp-response\r\n\r\n");
            assert!(answer.body.starts_with(first.as_bytes()));
            assert!(answer.body.ends_with(format!("\r\n--{boundary}--\r\n").as_bytes()));
        }
    }
    let posted = fetcher.post(&format!("http://127.0.0.1:{port}/"), "a/b", "x".into(), 1000).await;
    assert_eq!(posted.expect("an answer").status, 500);
    stop.send_replace(true);
    setting.ca.stop().await;
}

/// The answer that a running X-Road gave on port 5577, replayed to us by a socket.
#[tokio::test]
async fn a_recorded_peer_is_understood() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let Some(vectors) = causeway_tests::conformance::vectors() else {
        eprintln!("SKIPPED: the recordings are not here");
        return;
    };
    let live = vectors.join("live");
    let read = |path: &Path| fs::read(live.join(path)).expect("a recording");
    let certificate = |name: &str| {
        let text = String::from_utf8(read(&Path::new("keys").join(name))).expect("a text");
        Certificate::from_pem(&text).expect("a certificate")
    };
    let question = read(Path::new("ocsp/between-servers-01-from-ss1.request.http"));
    let answer = read(Path::new("ocsp/between-servers-01-from-ss1.response.http"));
    let shared = SharedParameters {
        instance: "DEV".to_owned(),
        approved_cas: vec![ApprovedCa {
            top: CaCertificate { certificate: certificate("ca.cert.pem").der().to_vec(), ocsp: Vec::new() },
            ..ApprovedCa::default()
        }],
        ocsp_freshness_seconds: 3600,
        ..SharedParameters::default()
    };
    let instance = Instance::new(shared, 6, UtcTime::from_seconds(i64::from(u32::MAX)));
    let instances = HashMap::from([("DEV".to_owned(), Arc::new(instance))]);
    let trust = certs::trust::TrustStore::new(Arc::new(GlobalConfiguration {
        own_instance: "DEV".to_owned(),
        instances,
    }));
    let chain = [certificate("ss0.AUTHENTICATION.0B77D838A821ECC0279B5779EEA9B41BC1DC570F.cert.pem")];

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut asked = vec![0; 4096];
        let length = stream.read(&mut asked).await.expect("a question");
        stream.write_all(&answer).await.expect("sent");
        asked.truncate(length);
        asked
    });
    let at: UtcTime = "2026-11-24T02:52:03Z".parse().expect("a time");
    let consumer = PeerResponses::new(PeerSettings { connect: LIMIT, read: LIMIT });
    let got = consumer.responses(&chain, "127.0.0.1", port, &trust, at).await.expect("responses");
    assert_eq!(got.len(), 1);
    let line = |bytes: &[u8]| bytes.split(|octet| *octet == b'\r').next().map(<[u8]>::to_vec);
    assert_eq!(line(&peer.await.expect("it ran")), line(&question), "the same request line");
}
