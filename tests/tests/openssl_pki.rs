//! OCSP, time-stamps and certificates in both directions with OpenSSL, and against recordings.
//!
//! Without the `openssl` command the tests say so loudly and pass.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use causeway::ca::{self, Config, Running};
use certs::certificate::Certificate;
use certs::ocsp::{self, CertificateStatus, OcspResponse};
use certs::timestamp::{self, TimestampToken};
use certs::trust::TrustStore;
use gateway::Clock;
use gateway::http::Fetcher;
use gateway::ocsp::{Prioritization, fetch};
use protocol::configuration::{
    ApprovedCa, CaCertificate, GlobalConfiguration, Instance, OcspResponder, SharedParameters,
    TimestampingService,
};
use protocol::digest::{DigestAlgorithm, hex};
use protocol::fault::code;
use protocol::time::UtcTime;
use tempfile::TempDir;

const TOKEN: &str = "a token of the operator";
const LIMIT: Duration = Duration::from_secs(20);

/// A folder in which OpenSSL works; `None` where there is no OpenSSL.
struct Workshop(TempDir);

impl Workshop {
    fn open() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("SKIPPED: there is no openssl command, so nothing was compared with OpenSSL");
            return None;
        }
        Some(Self(tempfile::tempdir().expect("a folder")))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("written");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("read")
    }

    /// Runs OpenSSL with arguments separated by blanks; gives what it said.
    fn try_run(&self, arguments: &str) -> (bool, String) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    #[track_caller]
    fn run(&self, arguments: &str) -> String {
        let (done, said) = self.try_run(arguments);
        assert!(done, "openssl {arguments}\n{said}");
        said
    }

    fn certificate(&self, name: &str) -> Certificate {
        Certificate::from_pem(&String::from_utf8(self.read(name)).expect("a text")).expect("a certificate")
    }

    /// A CA with a leaf, an OCSP responder and a time-stamp signer, all by OpenSSL. `new_key` are the
    /// arguments for each key.
    fn authority(&self, new_key: &str) {
        self.run(&format!(
            "req -x509 {new_key} -nodes -keyout ca.key -out ca.pem -days 30 -subj /O=Test/CN=CA"
        ));
        for (name, extensions) in [
            ("leaf", "keyUsage=critical,nonRepudiation"),
            ("ocsp", "extendedKeyUsage=OCSPSigning"),
            ("tsa", "extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature"),
        ] {
            self.write("extensions", extensions);
            self.run(&format!(
                "req -new {new_key} -nodes -keyout {name}.key -out {name}.csr -subj /O=Test/CN={name}"
            ));
            self.run(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -extfile extensions -out {name}.pem"
            ));
        }
    }
}

/// Trust in one CA with its responder and time-stamp signer.
fn trust(ca: &Certificate, url: &str, responder: Option<&Certificate>, tsa: &Certificate) -> TrustStore {
    let responder = OcspResponder {
        url: url.to_owned(),
        certificate: responder.map(|certificate| certificate.der().to_vec()),
        ..OcspResponder::default()
    };
    let shared = SharedParameters {
        instance: "CW".to_owned(),
        approved_cas: vec![ApprovedCa {
            top: CaCertificate { certificate: ca.der().to_vec(), ocsp: vec![responder] },
            ..ApprovedCa::default()
        }],
        timestamping_services: vec![TimestampingService {
            certificate: tsa.der().to_vec(),
            ..TimestampingService::default()
        }],
        ocsp_freshness_seconds: 3600,
        ..SharedParameters::default()
    };
    let instance = Instance::new(shared, 6, UtcTime::from_seconds(i64::from(u32::MAX)));
    let instances = HashMap::from([("CW".to_owned(), Arc::new(instance))]);
    TrustStore::new(Arc::new(GlobalConfiguration { own_instance: "CW".to_owned(), instances }))
}

async fn start(folder: &Path) -> Running {
    let folder = folder.join("authority");
    let config = Config::parse(&format!(
        "listen='127.0.0.1:0'\nfolder='{}'\npin='1234'\ninstance='CW'\noperator-token='{TOKEN}'",
        folder.display()
    ));
    ca::start(config.expect("a configuration"), Clock::system()).await.expect("started")
}

/// One request by hand: status and body.
async fn exchange(address: SocketAddr, head: String, body: Vec<u8>) -> (u16, Vec<u8>) {
    let talk = move || {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
        let head = format!("{head}Host: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.into_bytes(), body].concat()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let status = std::str::from_utf8(&answer[9..12]).expect("a status").parse().expect("a status");
        (status, answer[end + 4..].to_vec())
    };
    tokio::task::spawn_blocking(talk).await.expect("talked")
}

async fn sign(ca: &Running, usage: &str, token: &str, csr: Vec<u8>) -> (u16, Vec<u8>) {
    let head = format!("POST /sign?usage={usage} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n");
    exchange(ca.address(), head, csr).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_takes_our_certificates_and_ocsp_responses() {
    let Some(shop) = Workshop::open() else { return };
    let ca = start(&shop.path("")).await;
    for (name, path) in [("ca.pem", "/ca.pem"), ("ocsp.pem", "/ocsp.pem")] {
        let (status, body) = exchange(ca.address(), format!("GET {path} HTTP/1.1\r\n"), Vec::new()).await;
        assert_eq!(status, 200);
        shop.write(name, body);
    }
    for (key, usage, form) in
        [("ec -pkeyopt ec_paramgen_curve:P-256", "sign", "PEM"), ("rsa:2048", "auth", "DER")]
    {
        shop.run(&format!(
            "req -new -newkey {key} -nodes -keyout m.key -out m.csr -outform {form} -subj /C=CW/O=GOV/CN=1001"
        ));
        assert_eq!(sign(&ca, usage, "another token of someone", shop.read("m.csr")).await.0, 401);
        assert_eq!(sign(&ca, "all", TOKEN, shop.read("m.csr")).await.0, 400);
        let (status, certificate) = sign(&ca, usage, TOKEN, shop.read("m.csr")).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&certificate));
        shop.write("m.pem", certificate);
        assert!(shop.run("verify -x509_strict -CAfile ca.pem m.pem").contains("OK"));

        let ask = format!("ocsp -issuer ca.pem -CAfile ca.pem -url http://{}/ocsp", ca.address());
        for form in ["-cert m.pem", "-cert m.pem -no_nonce", "-sha256 -cert m.pem"] {
            let said = shop.run(&format!("{ask} {form}"));
            assert!(said.contains("Response verify OK") && said.contains("m.pem: good"), "{said}");
            assert!(!said.contains("WARNING"), "{said}");
        }
        // RFC 6960 appendix A: the same by GET.
        shop.run("ocsp -issuer ca.pem -cert m.pem -no_nonce -reqout request.der");
        let path =
            base64::engine::general_purpose::STANDARD.encode(shop.read("request.der")).replace('+', "%2B");
        let (status, body) =
            exchange(ca.address(), format!("GET /ocsp/{path} HTTP/1.1\r\n"), Vec::new()).await;
        assert_eq!(status, 200);
        shop.write("response.der", body);
        let said = shop.run("ocsp -issuer ca.pem -cert m.pem -no_nonce -CAfile ca.pem -respin response.der");
        assert!(said.contains("m.pem: good"), "{said}");

        let serial = hex(shop.certificate("m.pem").serial());
        let head = |serial: &str| {
            format!("POST /revoke?serial={serial}&reason=1 HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n")
        };
        assert_eq!(exchange(ca.address(), head(&serial), Vec::new()).await.0, 200);
        assert_eq!(exchange(ca.address(), head("00ff"), Vec::new()).await.0, 404);
        assert_eq!(exchange(ca.address(), head("0g"), Vec::new()).await.0, 400);
        let said = shop.run(&format!("{ask} -cert m.pem"));
        assert!(said.contains("m.pem: revoked") && said.contains("keyCompromise"), "{said}");
    }
    // A signing certificate must name a member of the instance.
    shop.run("req -new -newkey rsa:2048 -nodes -keyout m.key -out m.csr -subj /C=XX/O=GOV/CN=1001");
    assert_eq!(sign(&ca, "sign", TOKEN, shop.read("m.csr")).await.0, 400);
    let large = vec![0; 20_000];
    assert_eq!(exchange(ca.address(), "POST /ocsp HTTP/1.1\r\n".to_owned(), large).await.0, 413);
    ca.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_takes_our_timestamps() {
    let Some(shop) = Workshop::open() else { return };
    let ca = start(&shop.path("")).await;
    shop.write("ca.pem", ca.authority().certificate().to_pem());
    shop.write("tsa.pem", ca.authority().timestamp_certificate().to_pem());
    shop.write("data", "what is stamped");
    for (query, verify) in [
        ("-sha512 -cert", ""),
        ("-sha256 -no_nonce", " -untrusted tsa.pem"),
        ("-sha384 -cert -no_nonce -tspolicy 1.2.3.4.1", ""),
    ] {
        shop.run(&format!("ts -query -data data {query} -out query.tsq"));
        let head = "POST /tsa HTTP/1.1\r\nContent-Type: application/timestamp-query\r\n".to_owned();
        let (status, reply) = exchange(ca.address(), head, shop.read("query.tsq")).await;
        assert_eq!(status, 200);
        shop.write("reply.tsr", reply);
        let said = shop.run(&format!("ts -verify -queryfile query.tsq -in reply.tsr -CAfile ca.pem{verify}"));
        assert!(said.contains("Verification: OK"), "{said}");
        assert!(
            shop.run(&format!("ts -verify -data data -in reply.tsr -CAfile ca.pem{verify}")).contains("OK")
        );
    }
    shop.run("ts -query -data data -sha256 -tspolicy 1.2.3.9 -out query.tsq");
    let refused = ca.authority().timestamp_answer(&shop.read("query.tsq"), Clock::system().now());
    shop.write("reply.tsr", refused);
    let said = shop.run("ts -reply -in reply.tsr -text");
    assert!(said.contains("Rejected") || said.contains("rejected"), "{said}");
    assert!(said.contains("policy is not supported"), "{said}");
    ca.stop().await;
}

/// A responder by OpenSSL; ends with the test.
struct Responder(Child);

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn openssl_responder(shop: &Workshop, extra: &str) -> (Responder, String) {
    let arguments =
        format!("ocsp -port 0 -index index.txt -CA ca.pem -rkey ocsp.key -rsigner ocsp.pem {extra}");
    let mut child = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(shop.0.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    // It says `ACCEPT [::]:PORT PID=…`. To try the port out would block it.
    let mut said = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut said).expect("a line");
    let port: String =
        said.rsplit(':').next().unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    (Responder(child), format!("http://127.0.0.1:{port}/"))
}

fn index(shop: &Workshop, state: &str) {
    let serial = hex(shop.certificate("leaf.pem").serial()).to_uppercase();
    let serial = serial.trim_start_matches("00");
    let revoked = if state == "R" { "250101000000Z,keyCompromise" } else { "" };
    shop.write(
        "index.txt",
        format!("{state}\t491231235959Z\t{revoked}\t{serial}\tunknown\t/O=Test/CN=leaf\n"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_take_ocsp_responses_of_openssl() {
    let Some(shop) = Workshop::open() else { return };
    for (key, extra) in [
        ("-newkey ec -pkeyopt ec_paramgen_curve:P-256", ""),
        ("-newkey rsa:2048", "-resp_key_id"),
        ("-newkey rsa:2048", "-resp_no_certs -nmin 5"),
    ] {
        shop.authority(key);
        let (ca, leaf, responder) =
            (shop.certificate("ca.pem"), shop.certificate("leaf.pem"), shop.certificate("ocsp.pem"));
        let fetcher = Fetcher::new(LIMIT, LIMIT);
        for (state, expected) in [("V", None), ("R", Some("REVOKED"))] {
            index(&shop, state);
            let (_running, url) = openssl_responder(&shop, extra);
            let trust = trust(&ca, &url, Some(&responder), &ca);
            let now = Clock::system().now();
            let response =
                fetch(&leaf, &ca, &trust, &fetcher, Prioritization::None, now).await.expect("a response");
            match (ocsp::check(&response, &leaf, &ca, &trust, now), expected) {
                (Ok(()), None) => assert_eq!(response.status(), CertificateStatus::Good),
                (Err(fault), Some(word)) => {
                    assert_eq!(fault.code, code::CERT_VALIDATION);
                    assert!(fault.text.contains(word), "{fault}");
                }
                (got, _) => panic!("{state}: {got:?}"),
            }
            assert_eq!(response.next_update().is_some(), extra.contains("-nmin"));
        }
    }
}

#[test]
fn we_take_timestamps_of_openssl() {
    let Some(shop) = Workshop::open() else { return };
    for key in ["-newkey ec -pkeyopt ec_paramgen_curve:P-384", "-newkey rsa:2048"] {
        shop.authority(key);
        shop.write("serial", "01");
        for (digest, ess) in [("sha256", "sha1"), ("sha512", "sha256"), ("sha512", "sha384")] {
            shop.write(
                "ts.cnf",
                format!(
                    "[tsa]\ndefault_tsa=one\n[one]\nserial=serial\nsigner_cert=tsa.pem\nsigner_key=tsa.key\n\
                     signer_digest={digest}\ndefault_policy=1.2.3.4.1\ndigests=sha256,sha384,sha512\n\
                     accuracy=secs:1\nordering=yes\ntsa_name=yes\ness_cert_id_alg={ess}\nclock_precision_digits=3\n"
                ),
            );
            let (ca, tsa) = (shop.certificate("ca.pem"), shop.certificate("tsa.pem"));
            let trust = trust(&ca, "http://127.0.0.1/", None, &tsa);
            let imprint = DigestAlgorithm::Sha512.digest(b"what is stamped");
            shop.write("query.tsq", timestamp::request(&imprint));
            assert!(shop.run("ts -query -in query.tsq -text").contains("sha512"));
            shop.run("ts -reply -config ts.cnf -queryfile query.tsq -out reply.tsr");
            let now = Clock::system().now();
            let accepted =
                timestamp::accept(&shop.read("reply.tsr"), &imprint, &trust, now).expect("accepted");
            assert!(accepted.time <= now && accepted.time > now.minus(LIMIT));
            let token = TimestampToken::parse(accepted.token.clone()).expect("a token");
            assert_eq!(token.check(b"what is stamped", &trust), Ok(accepted.time));
            // With the signer's certificate in it, OpenSSL still takes the token.
            shop.write("token.tst", &accepted.token);
            shop.write("data", "what is stamped");
            assert!(shop.run("ts -verify -token_in -data data -in token.tst -CAfile ca.pem").contains("OK"));
        }
    }
}

/// The body of a recorded HTTP message with a length, the first one in the file.
fn recorded_body(file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).expect("a recording");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
    bytes[end..end + length].to_vec()
}

#[test]
fn recordings_verify() {
    let Some(vectors) = causeway_tests::conformance::vectors() else {
        eprintln!("SKIPPED: the recordings are not here");
        return;
    };
    let live = vectors.join("live");
    let certificate = |name: &str| {
        let text = fs::read_to_string(live.join("keys").join(name)).expect("a certificate");
        Certificate::from_pem(&text).expect("a certificate")
    };
    let (ca, responder, tsa) =
        (certificate("ca.cert.pem"), certificate("ocsp.cert.pem"), certificate("tsa.cert.pem"));
    let trust = trust(&ca, "http://testca:8888/", Some(&responder), &tsa);
    let subjects: Vec<Certificate> = fs::read_dir(live.join("keys"))
        .expect("the keys")
        .filter_map(|entry| {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            (name.starts_with("ss") && name.ends_with(".cert.pem")).then(|| certificate(&name))
        })
        .collect();

    let mut verified = 0;
    for number in 1..=6 {
        let server = if number <= 3 { "ss0" } else { "ss1" };
        let file = |kind: &str| live.join(format!("ocsp/responder-{number:02}-from-{server}.{kind}.http"));
        let response = OcspResponse::parse(recorded_body(&file("response"))).expect("a response");
        let subject =
            subjects.iter().find(|subject| ocsp::certificate_id(subject, &ca) == response.certificate_id());
        let Some(subject) = subject else { continue };
        assert_eq!(ocsp::request(subject, &ca), recorded_body(&file("request")), "the same octets");
        let at = response.this_update();
        assert_eq!(ocsp::check(&response, subject, &ca, &trust, at), Ok(()), "{number}");
        let late = at.plus(Duration::from_secs(3601));
        let fault = ocsp::check(&response, subject, &ca, &trust, late).expect_err("too old");
        assert_eq!(fault.code, code::INCORRECT_VALIDATION_INFO);
        verified += 1;
    }
    assert!(verified > 0, "no recorded OCSP response is about one of the certificates");

    for number in 1..=6 {
        let server = if number <= 3 { "ss0" } else { "ss1" };
        let file = |kind: &str| live.join(format!("timestamp/tsa-{number:02}-from-{server}.{kind}.http"));
        let query = recorded_body(&file("request"));
        let request = timestamp::Request::parse(&query).expect("a request");
        assert_eq!(timestamp::request(&request.imprint), query, "the same octets");
        let reply = recorded_body(&file("response"));
        let token = TimestampToken::from_response(&reply, &request.imprint).expect("a token");
        assert_eq!(token.check_digest(&request.imprint, &trust), Ok(token.time()));
        timestamp::accept(&reply, &request.imprint, &trust, token.time()).expect("accepted");
    }
}
