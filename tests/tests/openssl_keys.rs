//! Keys, requests, certificates and paths against the `openssl` command, in both directions.
//!
//! Without the command nothing is compared, which is said on standard error.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use certs::certificate::name::attribute;
use certs::certificate::{Certificate, CertificateUsage, DistinguishedName};
use certs::key::{KeyError, KeyKind, PrivateKey, SignatureForm, verify};
use certs::profile::Subject;
use certs::request::{self, CertificateRequest};
use certs::trust::{PathUse, TrustStore};
use protocol::configuration::{ApprovedCa, CaCertificate, GlobalConfiguration, Instance, SharedParameters};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use protocol::time::UtcTime;

/// A folder in which the command runs.
struct Openssl(tempfile::TempDir);

impl Openssl {
    fn find() -> Option<Self> {
        let works =
            Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
        if !works {
            eprintln!("NOT RUN: there is no `openssl` command, nothing was compared with it");
            return None;
        }
        Some(Self(tempfile::tempdir().expect("a folder")))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("writes");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("reads")
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    fn output(&self, arguments: &str) -> Output {
        Command::new("openssl").args(words(arguments)).current_dir(self.0.path()).output().expect("runs")
    }

    /// Runs the command and returns what it printed.
    #[track_caller]
    fn run(&self, arguments: &str) -> String {
        let output = self.output(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "openssl {arguments}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned() + &error
    }

    fn succeeds(&self, arguments: &str) -> bool {
        self.output(arguments).status.success()
    }
}

/// Words between blanks; what stands in single quotes is one word.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().expect("there is one").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn digest_option(digest: DigestAlgorithm) -> String {
    format!("-{}", digest.name().to_lowercase().replace('-', ""))
}

fn padding(scheme: SignatureScheme) -> &'static str {
    match scheme {
        SignatureScheme::RsaPss => "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
        SignatureScheme::RsaPkcs1 | SignatureScheme::Ecdsa => "",
    }
}

fn schemes(kind: KeyKind) -> &'static [SignatureScheme] {
    match kind {
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => &[SignatureScheme::Ecdsa],
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => {
            &[SignatureScheme::RsaPkcs1, SignatureScheme::RsaPss]
        }
    }
}

const DATA: &[u8] = b"some octets\r\nto sign\0";

/// Each signs with the key in `key.pem`, and the other verifies.
#[track_caller]
fn sign_both_ways(openssl: &Openssl, key: &PrivateKey) {
    openssl.write("data", DATA);
    openssl.run("pkey -in key.pem -pubout -out public.pem");
    openssl.run("pkey -in key.pem -pubout -outform DER -out public.der");
    assert_eq!(openssl.read("public.der"), key.public_key());
    for scheme in schemes(key.kind()) {
        for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
            let algorithm = SignatureAlgorithm::new(*scheme, digest);
            let options = format!("dgst {} {}", digest_option(digest), padding(*scheme));
            let ours = key.sign(algorithm, DATA, SignatureForm::Der).expect("signs");
            openssl.write("ours", &ours);
            openssl.run(&format!("{options} -verify public.pem -signature ours data"));
            openssl.run(&format!("{options} -sign key.pem -out theirs data"));
            let theirs = openssl.read("theirs");
            assert!(verify(key.public_key(), algorithm, DATA, &theirs, SignatureForm::Der), "{algorithm:?}");
            assert!(
                !verify(key.public_key(), algorithm, b"other", &theirs, SignatureForm::Der),
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn our_keys_work_there() {
    let Some(openssl) = Openssl::find() else { return };
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048] {
        let key = PrivateKey::generate(kind).expect("generates");
        openssl.write("key.pem", key.to_pem().expect("a key in memory").as_bytes());
        openssl.run("pkey -in key.pem -check -noout");
        sign_both_ways(&openssl, &key);
    }
}

#[test]
fn their_keys_work_here() {
    let Some(openssl) = Openssl::find() else { return };
    for (arguments, kind) in [
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem", KeyKind::P256),
        ("ecparam -name prime256v1 -genkey -out key.pem", KeyKind::P256),
        ("ecparam -name secp384r1 -genkey -out key.pem", KeyKind::P384),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out key.pem", KeyKind::P521),
        ("genrsa -out key.pem 2048", KeyKind::Rsa2048),
        ("genrsa -traditional -out key.pem 3072", KeyKind::Rsa3072),
    ] {
        openssl.run(arguments);
        let key = PrivateKey::from_pem(&openssl.text("key.pem")).expect(arguments);
        assert_eq!(key.kind(), kind);
        sign_both_ways(&openssl, &key);
    }
}

#[test]
fn weak_strange_and_encrypted_keys_are_refused() {
    let Some(openssl) = Openssl::find() else { return };
    for (arguments, error) in [
        ("genrsa -out key.pem 1024", KeyError::Unsupported),
        ("genrsa -traditional -out key.pem 1024", KeyError::Unsupported),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out key.pem", KeyError::Unsupported),
        ("ecparam -name brainpoolP256r1 -genkey -out key.pem", KeyError::Unsupported),
        ("genpkey -algorithm ED25519 -out key.pem", KeyError::Unsupported),
        ("genrsa -aes256 -passout pass:x -out key.pem 2048", KeyError::Encrypted),
        ("genrsa -traditional -aes256 -passout pass:x -out key.pem 2048", KeyError::Encrypted),
    ] {
        openssl.run(arguments);
        let found = PrivateKey::from_pem(&openssl.text("key.pem")).map(|key| key.kind());
        assert_eq!(found, Err(error), "{arguments}");
    }
    openssl.write("data", DATA);
    openssl.run("genrsa -out key.pem 1024");
    openssl.run("pkey -in key.pem -pubout -outform DER -out public.der");
    openssl.run("dgst -sha256 -sign key.pem -out theirs data");
    let algorithm = SignatureAlgorithm::new(SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha256);
    let accepted =
        verify(&openssl.read("public.der"), algorithm, DATA, &openssl.read("theirs"), SignatureForm::Der);
    assert!(!accepted, "a signature by a key of 1024 bits");
}

/// Every digest on every curve, also those that no signature of ours has.
#[test]
fn every_digest_verifies_on_every_curve() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.write("data", DATA);
    for curve in ["P-256", "P-384", "P-521"] {
        openssl.run(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out key.pem"));
        openssl.run("pkey -in key.pem -pubout -outform DER -out public.der");
        for digest in DigestAlgorithm::ALL {
            openssl.run(&format!("dgst {} -sign key.pem -out theirs data", digest_option(digest)));
            let algorithm = SignatureAlgorithm::new(SignatureScheme::Ecdsa, digest);
            let (public_key, theirs) = (openssl.read("public.der"), openssl.read("theirs"));
            assert!(verify(&public_key, algorithm, DATA, &theirs, SignatureForm::Der), "{curve} {digest:?}");
            assert!(!verify(&public_key, algorithm, b"x", &theirs, SignatureForm::Der), "{curve} {digest:?}");
        }
    }
}

fn subject() -> Subject {
    let fields = [
        (attribute::COUNTRY, "XX"),
        (attribute::ORGANIZATION, "Ämt, \"x\" + y"),
        (attribute::SERIAL_NUMBER, "XX/ss1/GOV"),
        (attribute::COMMON_NAME, "70000001"),
    ];
    Subject {
        name: DistinguishedName::build(fields).expect("a name"),
        dns_name: Some("ss1.example".to_owned()),
    }
}

#[test]
fn requests_are_understood_both_ways() {
    let Some(openssl) = Openssl::find() else { return };
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048] {
        let key = PrivateKey::generate(kind).expect("generates");
        openssl.write("key.pem", key.to_pem().expect("a key in memory").as_bytes());
        for (usage, expected) in [
            (CertificateUsage::Signing, "Non Repudiation, Certificate Sign"),
            (CertificateUsage::Authentication, "Digital Signature, Key Encipherment, Data Encipherment"),
        ] {
            let der = request::create(&key, &subject(), usage).expect("creates");
            openssl.write("request.pem", request::to_pem(&der));
            let text = openssl.run("req -in request.pem -verify -noout -text -nameopt RFC2253,-esc_msb,utf8");
            let subject = r#"CN=70000001,serialNumber=XX/ss1/GOV,O=Ämt\, \"x\" \+ y,C=XX"#;
            for part in ["verify OK", expected, "DNS:ss1.example", subject] {
                assert!(text.contains(part), "{part} is not in\n{text}");
            }
            assert!(!text.contains("critical"), "{text}");
        }
        for (usage, expected) in [
            ("nonRepudiation", Some(CertificateUsage::Signing)),
            ("digitalSignature", Some(CertificateUsage::Authentication)),
            ("cRLSign", None),
        ] {
            openssl.run(&format!(
                "req -new -key key.pem -subj /C=XX/O=GOV/CN=1 -addext keyUsage=critical,{usage} \
                 -addext subjectAltName=DNS:a.example,DNS:b.example -out request.pem"
            ));
            let read = CertificateRequest::from_pem_or_der(&openssl.read("request.pem")).expect("reads");
            assert_eq!(read.usage(), expected);
            assert_eq!(read.subject.to_rfc2253(), "CN=1,O=GOV,C=XX");
            assert_eq!(read.dns_names, ["a.example", "b.example"]);
            assert_eq!(read.public_key, key.public_key());
        }
    }
    openssl.run("genrsa -out key.pem 1024");
    openssl.run("req -new -key key.pem -subj /CN=1 -out request.pem");
    assert!(CertificateRequest::from_pem_or_der(&openssl.read("request.pem")).is_err(), "a weak key");
}

/// A hierarchy made by the command: `root`, below it `middle`, below that `leaf`.
fn hierarchy(openssl: &Openssl, middle: &str, leaf: &str) {
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl
        .run(&format!("req -x509 {new_key} -keyout root.key -subj /O=Test/CN=Root -days 30 -out root.pem"));
    for (name, by, extensions) in [("middle", "root", middle), ("leaf", "middle", leaf)] {
        openssl.run(&format!("req {new_key} -keyout {name}.key -subj /O=Test/CN={name} -out {name}.csr"));
        openssl.write("extensions", extensions);
        openssl.run(&format!(
            "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days 20 \
             -extfile extensions -out {name}.pem"
        ));
    }
}

fn certificate(openssl: &Openssl, name: &str) -> Certificate {
    Certificate::from_pem(&openssl.text(name)).expect("parses")
}

fn trust(root: &Certificate) -> TrustStore {
    let top = CaCertificate { certificate: root.der().to_vec(), ocsp: Vec::new() };
    let shared = SharedParameters {
        instance: "XX".to_owned(),
        approved_cas: vec![ApprovedCa { top, ..ApprovedCa::default() }],
        ..SharedParameters::default()
    };
    let instance = Instance::new(shared, 6, UtcTime::from_seconds(i64::MAX / 1000));
    TrustStore::new(Arc::new(GlobalConfiguration {
        own_instance: "XX".to_owned(),
        instances: [("XX".to_owned(), Arc::new(instance))].into(),
    }))
}

#[test]
fn paths_get_the_same_verdict() {
    let Some(openssl) = Openssl::find() else { return };
    let (good_ca, good_leaf) =
        ("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign", "keyUsage=nonRepudiation");
    for (middle, leaf, expected) in [
        (good_ca, good_leaf, true),
        ("basicConstraints=CA:TRUE,pathlen:0", good_leaf, true),
        ("basicConstraints=CA:FALSE", good_leaf, false),
        ("basicConstraints=CA:TRUE\nkeyUsage=digitalSignature", good_leaf, false),
        (good_ca, "1.3.6.1.4.1.99999.1=critical,DER:0500", false),
    ] {
        hierarchy(&openssl, middle, leaf);
        let now = UtcTime::from(std::time::SystemTime::now());
        let theirs = openssl.succeeds("verify -CAfile root.pem -untrusted middle.pem leaf.pem");
        let [root, middle, leaf] =
            ["root.pem", "middle.pem", "leaf.pem"].map(|name| certificate(&openssl, name));
        let trust = trust(&root);
        let used = PathUse::Consumer { instance: "XX" };
        let ours = trust.validate_path(&leaf, std::slice::from_ref(&middle), used, now);
        assert_eq!((ours.is_ok(), theirs), (expected, expected), "{middle:?} {leaf:?} {ours:?}");
    }
}

#[test]
fn certificates_read_the_same() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.run(
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -utf8 -days 10 -set_serial 0xF123456789ABCDEF0123 \
         -subj '/C=XX/O=a, b=c/OU=#1 \"q\"/serialNumber=A\\/1/CN= x ' -out certificate.pem",
    );
    let read = certificate(&openssl, "certificate.pem");
    let expected = "CN=\\ x\\ ,2.5.4.5=#1303412f31,OU=\\#1 \\\"q\\\",O=a\\, b\\=c,C=XX";
    assert_eq!(read.subject_name(), expected);
    let serial = openssl.run("x509 -in certificate.pem -noout -serial");
    let hexadecimal: String =
        read.serial().iter().skip_while(|octet| **octet == 0).map(|octet| format!("{octet:02X}")).collect();
    assert_eq!(serial, format!("serial={hexadecimal}"));
    assert_eq!(read.serial_decimal(), "1138740959531446536438051");
    for (option, digest) in [("-sha1", read.hashes().sha1), ("-sha256", read.hashes().sha256)] {
        let printed = openssl.run(&format!("x509 -in certificate.pem -noout -fingerprint {option}"));
        let printed = printed.split_once('=').expect("a fingerprint").1.replace(':', "").to_lowercase();
        assert_eq!(printed, digest.to_hex());
    }
    openssl.run("x509 -in certificate.pem -pubkey -noout -out public.pem");
    openssl.run("pkey -pubin -in public.pem -outform DER -out public.der");
    assert_eq!(openssl.read("public.der"), read.public_key());
    assert!(read.is_self_signed());
}

/// The keys and certificates recorded from a running X-Road.
#[test]
fn recorded_keys_and_certificates_fit() {
    let Some(folder) = causeway_tests::conformance::vectors().map(|vectors| vectors.join("live/keys")) else {
        eprintln!("NOT RUN: the vectors are not there");
        return;
    };
    let read = |path: &Path| std::fs::read_to_string(path).expect("reads");
    let ca = Certificate::from_pem(&read(&folder.join("ca.cert.pem"))).expect("parses");
    assert!(ca.is_ca() && ca.is_self_signed());
    assert_eq!(ca.subject_name(), "CN=Test CA,O=Test");
    let mut keys = Vec::new();
    let mut certificates = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("reads") {
        let path = entry.expect("reads").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.ends_with(".key.pem") {
            keys.push(PrivateKey::from_pem(&read(&path)).expect(&name));
        } else if name.ends_with(".cert.pem") {
            certificates.push((name, Certificate::from_pem(&read(&path)).expect("parses")));
        }
    }
    assert!(keys.len() >= 10 && certificates.len() >= 10);
    for (name, certificate) in certificates {
        let usage = certificate.usage();
        if name.starts_with("ss") {
            assert!(certificate.is_issued_by(&ca), "{name}");
            let signing = name.contains("SIGNING");
            let expected = if signing { CertificateUsage::Signing } else { CertificateUsage::Authentication };
            assert_eq!(usage, Some(expected), "{name}");
        }
        let Some(key) = keys.iter().find(|key| key.public_key() == certificate.public_key()) else {
            continue;
        };
        let signature = key.sign(key.default_algorithm(), DATA, SignatureForm::Raw).expect("signs");
        let form = SignatureForm::Raw;
        assert!(verify(certificate.public_key(), key.default_algorithm(), DATA, &signature, form), "{name}");
    }
}

/// Every certificate in the recorded global configurations is read, in text form and in DER.
#[test]
fn certificates_of_recorded_configurations_are_read() {
    use base64::Engine as _;
    let Some(folder) = causeway_tests::conformance::vectors() else {
        eprintln!("NOT RUN: the vectors are not there");
        return;
    };
    let mut folders = vec![folder];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("reads") {
            let path = entry.expect("reads").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            for element in text.split("<cert>").skip(1) {
                let base64: String =
                    element.split('<').next().unwrap_or_default().split_whitespace().collect();
                let bytes = base64::engine::general_purpose::STANDARD.decode(base64).expect("base64");
                let certificate = Certificate::from_pem_or_der(&bytes);
                assert!(certificate.is_ok(), "{}: {certificate:?}", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 100, "only {read} certificates");
}
