//! A registry over real sockets: what it publishes, judged by a verifier that shares no code with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_tests::conformance::vectors;
use certs::key::{KeyKind, PrivateKey};
use certs::self_signed;
use gateway::Clock;
use gateway::configuration::{ConfigurationClient, Settings};
use gateway::http::Fetcher;
use gateway::snapshot::SnapshotCell;
use protocol::configuration::{Anchor, NodeClass, SignedDirectory, shared};
use registry::config::Padding;
use registry::publish::{Published, SourceKind};
use registry::{Config, PinSource, Registry, Running, StartError};
use tempfile::TempDir;

const PIN: &str = "Pilot-2026-pin";

/// An instance with two servers, everything optional in it.
const INSTANCE: &str = r#"
instance = "CW-TEST"

[settings]
ocsp-freshness-seconds = 1800
ocsp-fetch-interval-seconds = 120
verify-next-update = false
monitoring-client = "CW-TEST/GOV/1001/permits"

[[member-class]]
code = "GOV"
description = "Government & <others>"

[[member]]
class = "GOV"
code = "1001"
name = "Ministry of \"Permits\" & Co"
[[member.subsystem]]
code = "permits"
name = "Giấy phép"
[[member.subsystem]]
code = "management"

[[member]]
class = "GOV"
code = "1002"
name = "Data centre"

[[security-server]]
owner = "CW-TEST/GOV/1001"
code = "ss1"
class = "state"
address = "127.0.1.11"
authentication-certificates = ["ss1.pem"]
clients = ["CW-TEST/GOV/1001/permits"]

[[security-server]]
owner = "CW-TEST/GOV/1002"
code = "hub"
class = "data-center"
address = "127.0.1.12"
authentication-certificates = ["hub.pem"]
clients = ["CW-TEST/GOV/1001/permits", "CW-TEST/GOV/1001/management"]
maintenance = "back at noon"

[[certification-service]]
name = "Pilot CA"
profile = "FiVRK"
certificate = "ca.pem"
acme-directory = "http://127.0.1.2:8888/acme/directory"
acme-ip-addresses = "127.0.1.2"
acme-authentication-profile = "auth"
acme-signing-profile = "sign"
default-csr-format = "der"
[[certification-service.ocsp]]
url = "http://127.0.1.2:8888/ocsp"
certificate = "ca.pem"
cost = "free"

[[timestamping-service]]
name = "Pilot TSA"
url = "http://127.0.1.2:8888/tsa"
certificate = "ca.pem"
cost = "paid"

[[global-group]]
code = "all"
description = "Everybody"
members = ["CW-TEST/GOV/1001/permits", "ELSEWHERE/COM/9/x"]

[[class-pair]]
consumer = "state"
provider = "data-center"
tls = "1.3"

[[optional-part]]
identifier = "LOCAL-RULES"
file = "local-rules.xml"
file-name = "local-rules-params.xml"

[management]
provider = "CW-TEST/GOV/1001/management"
"#;

struct Place {
    folder: TempDir,
    config: Config,
}

impl Place {
    /// A folder with an instance file, certificates and a PIN, and a configuration on free ports.
    fn new(key: KeyKind) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("instance.toml"), INSTANCE).expect("writes");
        std::fs::write(path("local-rules.xml"), "<rules/>").expect("writes");
        for name in ["ss1.pem", "hub.pem", "new.pem"] {
            std::fs::write(path(name), server_certificate()).expect("writes");
        }
        let key_of_ca = PrivateKey::generate(KeyKind::P256).expect("a key");
        let ca = self_signed::key_container(&key_of_ca, "Pilot CA").expect("a certificate");
        std::fs::write(path("ca.pem"), ca.to_pem()).expect("writes");
        std::fs::write(path("pin"), PIN).expect("writes");
        std::fs::set_permissions(path("pin"), PermissionsExt::from_mode(0o600)).expect("sets the mode");
        let config = Config {
            http: "127.0.0.1:0".parse().expect("an address"),
            https: Some("127.0.0.1:0".parse().expect("an address")),
            period: Duration::from_secs(1),
            expiry: Duration::from_secs(30),
            key,
            ..Config::new(path("state"), path("instance.toml"), PinSource::File(path("pin")))
        };
        Self { folder, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn start(&self) -> Running {
        match Registry::start(self.config.clone(), Clock::system()).await {
            Ok(running) => running,
            Err(error) => panic!("{error}"),
        }
    }

    async fn refused(&self) -> StartError {
        match Registry::start(self.config.clone(), Clock::system()).await {
            Ok(_) => panic!("it starts"),
            Err(error) => error,
        }
    }

    fn declare(&self, text: &str) {
        std::fs::write(self.path("instance.toml"), text).expect("writes");
    }
}

fn server_certificate() -> String {
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let now = Clock::system().now();
    self_signed::server_certificate(&key, "ss.example", [7; 16], now).expect("a certificate").to_pem()
}

/// Runs a command while the registry, on the same thread, answers it.
async fn run(mut command: Command) -> std::io::Result<Output> {
    tokio::task::spawn_blocking(move || command.output()).await.expect("the command is waited for")
}

/// Runs the independent verifier; none if this machine cannot, and says so.
async fn verify(anchor: &Path, more: &[&str]) -> Option<Result<serde_json::Value, String>> {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("kits/verify_configuration.py");
    let able = Command::new("python3").args(["-c", "import cryptography"]).output();
    if !able.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: the independent verifier needs python3 with the package cryptography");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(kit).arg(anchor).args(more);
    match vectors().map(|vectors| vectors.join("schemas")).filter(|schemas| schemas.is_dir()) {
        Some(schemas) => drop(command.arg("--schemas").arg(schemas)),
        None => eprintln!("SKIPPED: validation by schema needs the folder of vectors, see CAUSEWAY_VECTORS"),
    }
    let output = run(command).await.expect("the verifier runs");
    Some(if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).expect("JSON"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    })
}

/// Waits until what is published fits, at most as long as a client would notice.
async fn published_until(running: &Running, fits: impl Fn(&Published) -> bool) -> Duration {
    let started = Instant::now();
    let mut published = running.published();
    tokio::time::timeout(Duration::from_secs(10), published.wait_for(|published| fits(published)))
        .await
        .expect("in time")
        .expect("the registry runs");
    started.elapsed()
}

#[tokio::test]
async fn an_independent_verifier_accepts_what_is_published() {
    let rsa = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512";
    let pss = "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1";
    let ecdsa = |digest: &str| format!("http://www.w3.org/2001/04/xmldsig-more#ecdsa-{digest}");
    for (key, padding, algorithm) in [
        (KeyKind::Rsa2048, Padding::Pkcs1, rsa.to_owned()),
        (KeyKind::Rsa2048, Padding::Pss, pss.to_owned()),
        (KeyKind::P256, Padding::Pkcs1, ecdsa("sha256")),
        (KeyKind::P384, Padding::Pkcs1, ecdsa("sha384")),
        (KeyKind::P521, Padding::Pkcs1, ecdsa("sha512")),
    ] {
        let mut place = Place::new(key);
        place.config.padding = padding;
        let running = place.start().await;
        for kind in SourceKind::ALL {
            let Some(verdict) = verify(&running.anchor_file(kind), &[]).await else { return };
            let found = verdict.unwrap_or_else(|refusal| panic!("{algorithm} {kind:?}: {refusal}"));
            assert_eq!(found["instance"], "CW-TEST");
            if found["validated"] == 0 {
                eprintln!("SKIPPED: validation by schema needs xmllint and the folder of vectors");
            }
            assert_eq!(found["urls"].as_array().map(Vec::len), Some(2));
            for version in 2..=6 {
                let found = &found["versions"][version.to_string()];
                assert_eq!(found["algorithm"], algorithm.as_str());
                assert_eq!((&found["members"], &found["servers"]), (&2.into(), &2.into()));
                let parts = found["parts"].as_object().expect("parts");
                match kind {
                    SourceKind::External | SourceKind::Mirror => assert_eq!(parts.len(), 1),
                    SourceKind::Internal => {
                        let names: Vec<&str> = parts.keys().map(String::as_str).collect();
                        let mut expected =
                            ["PRIVATE-PARAMETERS", "SHARED-PARAMETERS", "FETCHINTERVAL"].to_vec();
                        expected.extend(["NEXTUPDATE", "CAUSEWAY-NODE-CLASSES"]);
                        expected.extend(["MONITORING", "LOCAL-RULES"]);
                        assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");
                        assert_eq!(names.len(), 7);
                    }
                }
            }
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn what_has_expired_is_refused() {
    let place = Place::new(KeyKind::P256);
    let running = place.start().await;
    let later = Clock::system().now().plus(Duration::from_secs(3600)).to_string();
    let anchor = running.anchor_file(SourceKind::Internal);
    let Some(verdict) = verify(&anchor, &["--at", &later]).await else { return };
    assert!(verdict.expect_err("a refusal").contains("expired at"));
    // The registry of another folder has other keys, so its anchor does not verify this one's files.
    let other = Place::new(KeyKind::P256);
    let stranger = other.start().await;
    let mut wrong = Anchor::parse(&running.anchor(SourceKind::Internal).expect("an anchor")).expect("parses");
    let theirs = Anchor::parse(&stranger.anchor(SourceKind::Internal).expect("an anchor")).expect("parses");
    for (source, other) in wrong.sources.iter_mut().zip(theirs.sources) {
        source.verification_certs = other.verification_certs;
    }
    std::fs::write(place.path("wrong.xml"), wrong.to_xml()).expect("writes");
    let Some(verdict) = verify(&place.path("wrong.xml"), &[]).await else { return };
    assert!(verdict.expect_err("a refusal").contains("no certificate of the announced hash"));
}

#[tokio::test]
async fn a_change_in_the_file_shows_within_a_period() {
    let place = Place::new(KeyKind::P256);
    let running = place.start().await;
    published_until(&running, |published| published.generation == 1).await;

    place.declare(&INSTANCE.replace("Data centre", "The data centre"));
    let took = published_until(&running, |published| published.generation == 2).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    let fetched = shared_parameters(&running, 6).await;
    assert!(fetched.members.iter().any(|member| member.name == "The data centre"));

    // A file that somebody is still editing changes nothing.
    place.declare("instance = \"CW-TEST\"\n[[member]]\n");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(running.published().borrow().generation, 2);

    // A certificate that is replaced under its name is a change, and so is a server that goes away.
    place.declare(&INSTANCE.replace("hub.pem", "new.pem"));
    published_until(&running, |published| published.generation == 3).await;
    let before = shared_parameters(&running, 3).await;
    std::fs::write(place.path("new.pem"), server_certificate()).expect("writes");
    published_until(&running, |published| published.generation == 4).await;
    let after = shared_parameters(&running, 3).await;
    assert_eq!(before.servers[0], after.servers[0]);
    assert_ne!(before.servers[1].certificate_hashes, after.servers[1].certificate_hashes);
    running.stop().await;
}

/// Downloads the shared parameters as a client does.
async fn shared_parameters(running: &Running, version: u8) -> protocol::configuration::SharedParameters {
    let fetcher = Fetcher::new(Duration::from_secs(5), Duration::from_secs(5));
    let base = format!("http://{}", running.http());
    let url = format!("{base}/externalconf?version={version}");
    let document = fetcher.get(&url, None, 1 << 20).await.expect("a directory");
    let anchor = Anchor::parse(&running.anchor(SourceKind::External).expect("an anchor")).expect("parses");
    let directory = SignedDirectory::parse(&document.body)
        .expect("a directory")
        .verify(
            &anchor.sources[0].verification_certs,
            &|certificate, algorithm, octets, value| {
                let certificate =
                    certs::certificate::Certificate::from_der(certificate.to_vec()).expect("parses");
                let form = certs::key::SignatureForm::Der;
                certs::key::verify(certificate.public_key(), algorithm, octets, value, form)
            },
            Clock::system().now(),
        )
        .expect("verifies");
    let location = &directory.part("SHARED-PARAMETERS", "CW-TEST").expect("a part").location;
    let part = fetcher.get(&format!("{base}{location}"), None, 1 << 20).await.expect("a part");
    shared::parse(&part.body, version).expect("parses")
}

#[tokio::test]
async fn keys_rotate_without_a_new_anchor() {
    let place = Place::new(KeyKind::P256);
    let running = place.start().await;
    std::fs::copy(running.anchor_file(SourceKind::Internal), place.path("old-anchor.xml")).expect("copies");
    let Some(before) = verify(&place.path("old-anchor.xml"), &[]).await else { return };
    let early =
        running.change_keys(|keys| keys.rotate(SourceKind::Internal, false, Clock::system().now())).await;
    assert!(early.expect_err("too early").to_string().contains("is published since"));
    let now = Clock::system().now();
    running.change_keys(move |keys| keys.rotate(SourceKind::Internal, true, now)).await.expect("rotates");
    let after = verify(&place.path("old-anchor.xml"), &[])
        .await
        .expect("able")
        .expect("the old anchor still verifies");
    let before = before.expect("verifies");
    assert_ne!(before["versions"]["6"]["signed_by"], after["versions"]["6"]["signed_by"]);
    // The new next key is announced in the shared parameters, and in the anchor for newcomers.
    let announced = |found: &serde_json::Value| {
        found["versions"]["6"]["certificates"]["internalVerificationCert"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((announced(&before), announced(&after)), (2, 3));
    let anchor = Anchor::parse(&running.anchor(SourceKind::Internal).expect("an anchor")).expect("parses");
    assert_eq!(anchor.sources[0].verification_certs.len(), 3);
    running.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let mut place = Place::new(KeyKind::P256);
    place.config.address = Some("registry.example".to_owned());
    let running = place.start().await;
    let anchor = running.anchor(SourceKind::External).expect("an anchor");
    let text = String::from_utf8_lossy(&anchor).into_owned();
    let (http, https) = (text.find("http://registry.example/"), text.find("https://registry.example/"));
    assert!(http.is_some() && http < https, "{text}");
    assert!(matches!(place.refused().await, StartError::Store { .. } | StartError::Listen { .. }));
    running.stop().await;

    // With a broken file the state in force is published, with the same anchor.
    place.declare("broken");
    let running = place.start().await;
    assert_eq!(running.anchor(SourceKind::External).expect("an anchor"), anchor);
    assert_eq!(running.published().borrow().generation, 1);
    let on_disk = std::fs::read(place.path("state/published/V6/externalconf")).expect("a file");
    assert!(on_disk.starts_with(b"Content-Type: multipart/related"));
    running.stop().await;
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_told() {
    #[track_caller]
    fn check(error: &StartError, expected: &[&str]) {
        let text = error.to_string();
        assert!(expected.iter().all(|part| text.contains(part)), "{text}");
    }
    let mut place = Place::new(KeyKind::P256);
    place.declare(&INSTANCE.replace("owner = \"CW-TEST/GOV/1002\"", "ower = \"CW-TEST/GOV/1002\""));
    check(
        &place.refused().await,
        &["instance.toml is refused", "`owner` is missing", "security-server[1].ower"],
    );
    place.declare(INSTANCE);
    place.start().await.stop().await;

    std::fs::write(place.path("pin"), "another").expect("writes");
    check(&place.refused().await, &["state/keys", "the PIN is wrong"]);
    std::fs::remove_file(place.path("pin")).expect("removes");
    check(&place.refused().await, &["cannot read the PIN"]);
    place.config.pin = Some(PinSource::Variable("CAUSEWAY_TEST_NO_SUCH_PIN".to_owned()));
    check(&place.refused().await, &["CAUSEWAY_TEST_NO_SUCH_PIN"]);

    let mut place = Place::new(KeyKind::P256);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    place.config.http = taken.local_addr().expect("an address");
    check(&place.refused().await, &["cannot listen on 127.0.0.1", "another program listens there"]);
    place.config.http = "192.0.2.1:80".parse().expect("an address");
    check(&place.refused().await, &["does not have that address"]);
    place.config.state_folder = place.path("instance.toml");
    check(&place.refused().await, &["cannot use the state folder"]);
}

#[tokio::test]
async fn https_serves_the_same() {
    let place = Place::new(KeyKind::P256);
    let running = place.start().await;
    let https = running.https().expect("HTTPS");
    let probe = format!(
        "import ssl, urllib.request\n\
         context = ssl.create_default_context(); context.check_hostname = False\n\
         context.verify_mode = ssl.CERT_NONE\n\
         body = urllib.request.urlopen('https://{https}/internalconf?version=6', context=context).read()\n\
         assert body.startswith(b'Content-Type: multipart/related'), body\n"
    );
    let mut command = Command::new("python3");
    command.args(["-c", &probe]);
    match run(command).await {
        Err(_) => eprintln!("SKIPPED: HTTPS is tried with python3, which is not here"),
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
    }
    running.stop().await;
}

/// The names of the members and the class of the hub, as a security server knows them.
fn known(cell: &SnapshotCell) -> (Vec<String>, Option<NodeClass>) {
    let snapshot = cell.load().expect("a configuration in force");
    let own = snapshot.configuration().own().expect("the own instance");
    assert_eq!((own.version, own.verify_next_update, own.ocsp_fetch_interval), (6, false, 120));
    let names = own.shared.members.iter().map(|member| member.name.clone()).collect();
    let hub = own.shared.servers.iter().find(|server| server.id.code() == "hub").expect("the hub");
    (names, snapshot.configuration().class_of(&hub.id))
}

#[tokio::test]
async fn our_own_client_follows_a_registry() {
    let place = Place::new(KeyKind::P256);
    let running = place.start().await;
    let anchor = Anchor::parse(&running.anchor(SourceKind::Internal).expect("an anchor")).expect("parses");
    let cell = Arc::new(SnapshotCell::new());
    let client = || {
        let fetcher = Fetcher::new(Duration::from_secs(5), Duration::from_secs(5));
        let settings =
            Settings { refresh: Duration::from_secs(1), ..Settings::new(anchor.clone(), place.path("copy")) };
        ConfigurationClient::new(settings, fetcher, Arc::clone(&cell), Clock::system())
    };
    let mut running_client = client();
    running_client.refresh_once().await.expect("downloads");
    let (names, class) = known(&cell);
    assert_eq!(names, ["Ministry of \"Permits\" & Co", "Data centre"]);
    assert_eq!(class, Some(NodeClass::DataCenter));

    // A change, and after it two rotations of the key, without a new anchor.
    place.declare(&INSTANCE.replace("Data centre", "Hub").replace("\"data-center\"", "\"international\""));
    published_until(&running, |published| published.generation == 2).await;
    running_client.refresh_once().await.expect("downloads");
    assert_eq!(known(&cell), (vec![names[0].clone(), "Hub".to_owned()], Some(NodeClass::International)));
    for _ in 0..2 {
        let now = Clock::system().now();
        running.change_keys(move |keys| keys.rotate(SourceKind::Internal, true, now)).await.expect("rotates");
        published_until(&running, |published| published.made > Some(now)).await;
        running_client.refresh_once().await.expect("the cached sources verify");
    }

    // Without a registry, what was downloaded stays in force, also over a restart.
    running.stop().await;
    assert!(running_client.refresh_once().await.is_err());
    assert_eq!(known(&cell).0[1], "Hub");
    drop(running_client);
    let mut restarted = client();
    assert!(restarted.load_local().expect("reads the copy"));
    assert_eq!(known(&cell).0[1], "Hub");
}
