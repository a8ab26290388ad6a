//! Security servers from their configuration files up: start, exchange, restart, and what is said when
//! something is wrong. Authority and registry are real ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "node/replayed.rs"]
mod replayed;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use causeway::ca;
use certs::ca::Purpose;
use certs::certificate::{Certificate, CertificateUsage};
use certs::key::{KeyKind, PrivateKey};
use certs::profile::{Profile, RequestFor};
use certs::self_signed::key_container;
use gateway::Clock;
use protocol::configuration::Anchor;
use protocol::id::{MemberId, SecurityServerId};
use registry::{Registry, publish::SourceKind};
use security_server::SecurityServer;
use security_server::config::Config;
use security_server::doctor::{self, Verdict};
use security_server::enrol;
use security_server::node::{Readiness, Running, StartError};

const MESSAGES: u16 = 15_500;
const OCSP: u16 = 15_577;
const HTTP: u16 = 18_080;

/// An authority, a registry, and what two servers need to start.
struct Federation {
    folder: tempfile::TempDir,
    /// None once they have been switched off.
    outside: Option<(ca::Running, registry::Running)>,
    runtime: tokio::runtime::Runtime,
    provider: SocketAddr,
    network: u8,
}

/// Every test has loopback addresses of its own, since servers of a federation share port numbers.
fn address(network: u8, host: u8) -> String {
    format!("127.0.{network}.{host}")
}

impl Federation {
    fn new(network: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let settings = format!(
            "listen = \"{}:0\"\nfolder = {:?}\npin = \"1234\"\ninstance = \"CW\"\n",
            address(network, 1),
            path.join("ca")
        );
        let authority =
            runtime.block_on(ca::start(ca::Config::parse(&settings).unwrap(), Clock::system())).unwrap();
        let provider = provider();
        for (number, code) in [(1, "1001"), (2, "2002")] {
            prepare(&path.join(format!("ss{number}")), authority.authority(), code);
        }
        std::fs::write(path.join("instance.toml"), instance(path, network, &authority)).unwrap();
        std::fs::write(path.join("pin"), "1234\n").unwrap();
        std::fs::set_permissions(path.join("pin"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let configuration = format!(
            "[registry]\nstate = \"registry\"\ninstance-file = \"instance.toml\"\n[token]\npin-file = \"pin\"\n\
             [listen]\nhttp = \"{}:0\"\nhttps = \"off\"\n[publication]\nperiod-seconds = 1\n[signing]\nkey = \"P-256\"\n",
            address(network, 2)
        );
        let configuration = registry::Config::parse(&configuration, path).unwrap();
        let registry = runtime.block_on(Registry::start(configuration, Clock::system())).unwrap();
        std::fs::write(path.join("anchor.xml"), registry.anchor(SourceKind::Internal).unwrap()).unwrap();
        let federation = Self { folder, outside: Some((authority, registry)), runtime, provider, network };
        for number in [1, 2] {
            federation.write_config(number, "");
        }
        federation
    }

    fn file(&self, number: u8) -> PathBuf {
        self.folder.path().join(format!("ss{number}.toml"))
    }

    /// The consumer is server 1, the provider server 2.
    fn write_config(&self, number: u8, more: &str) {
        let member = ["", "1001", "2002"][usize::from(number)];
        let service = format!(
            "[[client.service]]\ncode = \"echo\"\nurl = \"http://{}/base\"\n\
             [[client.service.allow]]\nclient = \"CW/GOV/1001/a\"\nmethod = \"GET\"\npath = \"/open/**\"\n",
            self.provider
        );
        let text = format!(
            "[server]\ninstance = \"CW\"\nclass = \"GOV\"\nmember = \"{member}\"\ncode = \"ss{number}\"\n\
             state = \"ss{number}\"\nanchor = \"anchor.xml\"\n[token]\npin-file = \"pin\"\n\
             [listen]\naddress = \"{}\"\nhttp = {HTTP}\nhttps = 0\nmessages = {MESSAGES}\nocsp = {OCSP}\n\
             [configuration]\nrefresh-seconds = 1\n\
             [data-plane]\nworkers = 1\npeer-messages-port = {MESSAGES}\npeer-ocsp-port = {OCSP}\n\
             [message-log]\nsegment-megabytes = 1\nfree-space-floor-megabytes = 1\n{more}\n\
             [[client]]\nid = \"CW/GOV/{member}/a\"\nconnection = \"http\"\n{}",
            address(self.network, 10 + number),
            if number == 2 { &service } else { "" },
        );
        std::fs::write(self.file(number), text).unwrap();
    }

    fn start(&self, number: u8) -> Result<Running, StartError> {
        let config = Config::read(&self.file(number)).unwrap();
        self.runtime.block_on(SecurityServer::start(config, Clock::system()))
    }

    fn stop(&self, running: Running) {
        self.runtime.block_on(running.stop());
    }

    fn call(&self, path: &str) -> (u16, String) {
        call(&format!("{}:{HTTP}", address(self.network, 11)), path)
    }
}

/// Keys and certificates of one server, as an operator gets them.
fn prepare(folder: &Path, authority: &certs::ca::PilotCa, code: &str) {
    let owner = MemberId::new("CW", "GOV", code).unwrap();
    let server = SecurityServerId::new(owner.clone(), "ss").unwrap();
    let of = RequestFor { server: &server, member: &owner, member_name: code, dns_name: "", country: "" };
    let token = enrol::open_or_create_token(&folder.join("token"), "1234").unwrap();
    let now = Clock::system().now();
    let issue = |usage, purpose| {
        let requested = enrol::request(&token, KeyKind::P256, usage, Profile::Ejbca, &of).unwrap();
        let certificate = authority.issue(requested.to_pem().as_bytes(), purpose, now).unwrap();
        enrol::import_unchecked(&token, &certificate, now).unwrap();
        certificate
    };
    let authentication: Certificate = issue(CertificateUsage::Authentication, Purpose::Authentication);
    issue(CertificateUsage::Signing, Purpose::Signing);
    std::fs::write(folder.join("auth.pem"), authentication.to_pem()).unwrap();
}

fn instance(folder: &Path, network: u8, authority: &ca::Running) -> String {
    let pilot = authority.authority();
    let put = |name: &str, certificate: &Certificate| {
        std::fs::write(folder.join(name), certificate.to_pem()).unwrap()
    };
    put("ca.pem", pilot.certificate());
    put("ocsp.pem", pilot.ocsp_certificate());
    put("tsa.pem", pilot.timestamp_certificate());
    let at = authority.address();
    let mut text = format!(
        "instance = \"CW\"\n[[member-class]]\ncode = \"GOV\"\ndescription = \"Government\"\n\
         [[certification-service]]\nname = \"Pilot\"\nprofile = \"Ejbca\"\ncertificate = \"ca.pem\"\n\
         [[certification-service.ocsp]]\nurl = \"http://{at}/ocsp\"\ncertificate = \"ocsp.pem\"\n\
         [[timestamping-service]]\nname = \"Pilot\"\nurl = \"http://{at}/tsa\"\ncertificate = \"tsa.pem\"\n\
         [management]\nprovider = \"CW/GOV/1001\"\n"
    );
    for (number, code) in [(1, "1001"), (2, "2002")] {
        text += &format!(
            "[[member]]\nclass = \"GOV\"\ncode = \"{code}\"\nname = \"Member {code}\"\n\
             [[member.subsystem]]\ncode = \"a\"\n\
             [[security-server]]\nowner = \"CW/GOV/{code}\"\ncode = \"ss{number}\"\nclass = \"state\"\n\
             address = \"{}\"\nauthentication-certificates = [\"ss{number}/auth.pem\"]\n\
             clients = [\"CW/GOV/{code}/a\"]\n",
            address(network, 10 + number)
        );
    }
    text + "[[class-pair]]\nconsumer = \"state\"\nprovider = \"state\"\ntls = \"1.3\"\n"
}

/// A provider's system: answers every request with its request line.
fn provider() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{line}",
                    line.len()
                );
                stream.write_all(answer.as_bytes()).ok();
            });
        }
    });
    address
}

fn call(host: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let request = format!(
        "GET /r1/CW/GOV/2002/a/echo{path} HTTP/1.1\r\nHost: {host}\r\nX-Road-Client: CW/GOV/1001/a\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, answer)
}

#[track_caller]
fn ready(running: &Running) {
    let mut readiness = running.readiness();
    let until = Instant::now() + Duration::from_secs(20);
    while *readiness.borrow_and_update() != Readiness::Ready {
        assert!(Instant::now() < until, "{:?}", *readiness.borrow());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn two_servers_exchange_messages_and_start_again() {
    let federation = Federation::new(91);
    let (consumer, provider) = (federation.start(1).unwrap(), federation.start(2).unwrap());
    ready(&consumer);
    ready(&provider);
    let (status, answer) = federation.call("/open/door");
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("GET /base/open/door HTTP/1.1"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("x-road-request-hash"), "{answer}");
    let (status, answer) = federation.call("/closed");
    assert_eq!(status, 500, "{answer}");
    assert!(answer.contains("access_denied"), "{answer}");
    // A second start on the same state is refused and disturbs nothing.
    assert!(matches!(federation.start(1), Err(StartError::Running(_) | StartError::Port { .. })));
    federation.stop(consumer);
    federation.stop(provider);

    // The responses of the last run are used at once, also when nobody can be asked.
    let started = Instant::now();
    let (consumer, provider) = (federation.start(1).unwrap(), federation.start(2).unwrap());
    ready(&consumer);
    ready(&provider);
    let (status, answer) = federation.call("/open/door");
    eprintln!("both servers started and made an exchange in {:?}", started.elapsed());
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn a_start_needs_neither_registry_nor_authority() {
    let mut federation = Federation::new(95);
    let (consumer, provider) = (federation.start(1).unwrap(), federation.start(2).unwrap());
    ready(&consumer);
    ready(&provider);
    federation.stop(consumer);
    federation.stop(provider);
    if let Some((authority, registry)) = federation.outside.take() {
        federation.runtime.block_on(registry.stop());
        federation.runtime.block_on(authority.stop());
    }
    let (consumer, provider) = (federation.start(1).unwrap(), federation.start(2).unwrap());
    assert_eq!(*consumer.readiness().borrow(), Readiness::Ready, "at once, from what the last run kept");
    assert_eq!(*provider.readiness().borrow(), Readiness::Ready);
    let (status, answer) = federation.call("/open/door");
    assert_eq!(status, 200, "{answer}");
    federation.stop(consumer);
    // Without a copy there is nothing to go by.
    std::fs::remove_dir_all(federation.folder.path().join("ss1/globalconf")).unwrap();
    let refused = federation.start(1).err().expect("a refusal").to_string();
    assert!(refused.contains("no global configuration") && refused.contains("anchor.xml"), "{refused}");
}

#[test]
fn a_change_of_the_file_is_applied_at_the_start() {
    let federation = Federation::new(92);
    let provider = federation.start(2).unwrap();
    ready(&provider);
    let text = std::fs::read_to_string(federation.file(2)).unwrap();
    federation.stop(provider);
    std::fs::write(federation.file(2), text.replace("/open/**", "/ajar/**")).unwrap();
    let (consumer, provider) = (federation.start(1).unwrap(), federation.start(2).unwrap());
    ready(&consumer);
    ready(&provider);
    assert_eq!(federation.call("/ajar/door").0, 200);
    assert_eq!(federation.call("/open/door").0, 500);
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let federation = Federation::new(93);
    let path = federation.folder.path();
    let text = std::fs::read_to_string(federation.file(1)).unwrap();
    let refused = |text: &str| -> String {
        let config = Config::parse(text, &federation.file(1)).unwrap();
        let started = federation.runtime.block_on(SecurityServer::start(config, Clock::system()));
        started.err().expect("a refusal").to_string()
    };
    #[track_caller]
    fn check(told: &str, expected: &[&str]) {
        for part in expected {
            assert!(told.contains(part), "{part:?} is not in {told:?}");
        }
    }

    let holder = TcpListener::bind((address(93, 11).as_str(), MESSAGES)).unwrap();
    check(&refused(&text), &["[listen] messages", "15500", "another program uses the port"]);
    drop(holder);
    check(
        &refused(&text.replace("instance = \"CW\"\n", "instance = \"XX\"\n")),
        &["stands for the instance CW", "XX"],
    );
    std::fs::write(path.join("rubbish.xml"), "<a/>").unwrap();
    check(&refused(&text.replace("anchor.xml", "rubbish.xml")), &["rubbish.xml", "[server] anchor"]);
    std::fs::write(path.join("wrong"), "4321\n").unwrap();
    check(&refused(&text.replace("\"pin\"", "\"wrong\"")), &["chmod 600"]);
    std::fs::set_permissions(path.join("wrong"), std::fs::Permissions::from_mode(0o600)).unwrap();
    check(&refused(&text.replace("\"pin\"", "\"wrong\"")), &["the PIN does not open", "[token]"]);
    check(&refused(&text.replace("state = \"ss1\"", "state = \"empty\"")), &["no key token", "empty"]);
    check(
        &refused(&text.replace("state = \"ss1\"", "state = \"pin\"")),
        &["cannot be written", "[server] state"],
    );
    // The other instance above has left no trace, but this server now owns the folder.
    let running = federation.start(1).unwrap();
    drop(running);
    check(
        &refused(&text.replace("code = \"ss1\"", "code = \"ss9\"")),
        &["belongs to the security server CW/GOV/1001/ss1"],
    );
}

#[test]
fn the_doctor_knows_a_healthy_node_and_a_sick_one() {
    let federation = Federation::new(94);
    let examine = |text: &str| {
        let config = Config::parse(text, &federation.file(1)).unwrap();
        federation.runtime.block_on(doctor::examine(&config, Clock::system()))
    };
    let text = std::fs::read_to_string(federation.file(1)).unwrap();
    let (consumer, provider) = (federation.start(1).unwrap(), federation.start(2).unwrap());
    ready(&consumer);
    ready(&provider);
    let healthy = examine(&text);
    let sick: Vec<_> = healthy.iter().filter(|finding| finding.verdict != Verdict::Good).collect();
    assert!(sick.is_empty(), "{sick:#?}");
    assert!(healthy.len() > 12, "{healthy:#?}");
    federation.stop(provider);
    federation.stop(consumer);

    #[track_caller]
    fn check(findings: &[doctor::Finding], check: &str, why: &str) {
        let found = findings.iter().any(|finding| {
            finding.verdict > Verdict::Unknown && finding.check.contains(check) && finding.why.contains(why)
        });
        assert!(found, "nothing about {check:?}: {why:?} in {findings:#?}");
    }
    check(&examine(&text), "security server CW/GOV/2002/ss2", "cannot be reached");
    check(&examine(&text.replace("anchor.xml", "nowhere.xml")), "configuration anchor", "nowhere.xml");
    check(&examine(&text.replace("code = \"ss1\"", "code = \"ss7\"")), "registration", "no security server");
    // An anchor of the right place with a key that is not the registry's.
    let path = federation.folder.path();
    let mut anchor = Anchor::parse(&std::fs::read(path.join("anchor.xml")).unwrap()).unwrap();
    let stranger = PrivateKey::generate(KeyKind::P256).unwrap();
    let stranger = key_container(&stranger, "stranger").unwrap();
    for source in &mut anchor.sources {
        source.verification_certs = vec![stranger.der().to_vec()];
    }
    std::fs::write(path.join("swapped.xml"), anchor.to_xml()).unwrap();
    let swapped = text.replace("anchor.xml", "swapped.xml");
    check(&examine(&swapped), "signed configuration", "");
    std::fs::remove_dir_all(path.join("ss1/globalconf")).unwrap();
    let config = Config::parse(&swapped, &federation.file(1)).unwrap();
    let started = federation.runtime.block_on(SecurityServer::start(config, Clock::system()));
    assert!(matches!(started, Err(StartError::NoConfiguration { .. })));
    let elsewhere = TcpListener::bind((address(94, 11).as_str(), OCSP)).unwrap();
    check(&examine(&text), "15577", "another program has the port");
    drop(elsewhere);
}
