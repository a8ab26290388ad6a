use super::shelf::index_path;
use super::*;
use std::fs;

const PIN: &str = "Secret-1234";

fn certificate(key: &PrivateKey, usages: &[rcgen::KeyUsagePurpose]) -> Certificate {
    let pair =
        rcgen::KeyPair::try_from(key.pkcs8().expect("in memory").as_slice()).expect("rcgen reads the key");
    let mut params = rcgen::CertificateParams::default();
    params.key_usages = usages.to_vec();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    Certificate::from_der(params.self_signed(&pair).expect("issues").der().to_vec()).expect("parses")
}

fn now() -> UtcTime {
    "2026-11-24T00:00:00Z".parse().expect("a date")
}

#[track_caller]
fn refused<T>(result: Result<T, TokenError>, code: &str) {
    assert_eq!(result.map(drop).map_err(|error| error.code().to_owned()), Err(code.to_owned()));
}

#[test]
fn a_token_keeps_keys_and_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    refused(SoftwareToken::open(&path, PIN), "token_not_initialized");
    let token = SoftwareToken::create(&path, PIN).expect("creates");
    refused(SoftwareToken::create(&path, PIN), "token_already_initialized");
    let signing = token.generate(KeyKind::P256, CertificateUsage::Signing, "sign").expect("generates");
    let other = token.generate(KeyKind::P256, CertificateUsage::Authentication, "auth").expect("generates");
    let sign_cert = certificate(&signing.key, &[rcgen::KeyUsagePurpose::ContentCommitment]);
    let auth_cert = certificate(&other.key, &[rcgen::KeyUsagePurpose::DigitalSignature]);
    token.import_certificate(&sign_cert, now()).expect("imports");
    token.import_certificate(&auth_cert, now()).expect("imports");
    token.set_active(&sign_cert, false).expect("switches");
    token.set_status(&auth_cert, CertificateStatus::RegistrationInProgress).expect("changes");

    refused(SoftwareToken::open(&path, "wrong"), "token_pin_incorrect");
    let again = SoftwareToken::open(&path, PIN).expect("opens");
    let found: Vec<_> = again
        .keys()
        .iter()
        .map(|key| {
            let certificates: Vec<_> = key
                .certificates
                .iter()
                .map(|held| (held.certificate.clone(), held.status, held.active))
                .collect();
            (key.id.clone(), key.name.clone(), key.usage, key.key.public_key().to_vec(), certificates)
        })
        .collect();
    let status = [CertificateStatus::Registered, CertificateStatus::RegistrationInProgress];
    let expected = [
        (
            signing.id.clone(),
            "sign".to_owned(),
            CertificateUsage::Signing,
            signing.key.public_key().to_vec(),
            vec![(sign_cert.clone(), status[0], false)],
        ),
        (
            other.id.clone(),
            "auth".to_owned(),
            CertificateUsage::Authentication,
            other.key.public_key().to_vec(),
            vec![(auth_cert.clone(), status[1], true)],
        ),
    ];
    assert_eq!(found, expected);

    token.remove_certificate(&auth_cert).expect("removes");
    refused(token.remove_certificate(&auth_cert), "cert_not_found");
    token.remove_key(&signing.id).expect("removes");
    refused(token.remove_key(&signing.id), "key_not_found");
    again.reload().expect("reads again");
    assert_eq!(again.keys().len(), 1);
    assert_eq!(fs::read_dir(path.join("keys")).expect("reads").count(), 1);
    assert_eq!(fs::read_dir(path.join("certificates")).expect("reads").count(), 0);
}

#[test]
fn certificates_that_do_not_fit_are_refused() {
    use rcgen::KeyUsagePurpose::{ContentCommitment, DigitalSignature};
    let folder = tempfile::tempdir().expect("a folder");
    let token = SoftwareToken::create(folder.path(), PIN).expect("creates");
    let key = token.generate(KeyKind::P256, CertificateUsage::Signing, "sign").expect("generates").key;
    refused(token.import_certificate(&certificate(&key, &[DigitalSignature]), now()), "wrong_cert_usage");
    refused(
        token.import_certificate(&certificate(&key, &[DigitalSignature, ContentCommitment]), now()),
        "wrong_cert_usage",
    );
    let good = certificate(&key, &[ContentCommitment]);
    refused(
        token.import_certificate(&good, "2040-01-01T00:00:00Z".parse().expect("a date")),
        "cert_import_failed",
    );
    token.import_certificate(&good, now()).expect("imports");
    refused(token.import_certificate(&good, now()), "cert_exists");
    let stranger = PrivateKey::generate(KeyKind::P256).expect("generates");
    refused(token.import_certificate(&certificate(&stranger, &[ContentCommitment]), now()), "key_not_found");
}

#[test]
fn the_pin_can_be_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = SoftwareToken::create(folder.path(), PIN).expect("creates");
    token.generate(KeyKind::P256, CertificateUsage::Signing, "sign").expect("generates");
    refused(token.change_pin("wrong", "new"), "token_pin_incorrect");
    refused(token.change_pin(PIN, ""), "token_pin_policy_failure");
    token.change_pin(PIN, "new").expect("changes");
    refused(SoftwareToken::open(folder.path(), PIN), "token_pin_incorrect");
    assert_eq!(SoftwareToken::open(folder.path(), "new").expect("opens").keys().len(), 1);
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = SoftwareToken::create(folder.path(), PIN).expect("creates");
    let ids = ["one", "two"]
        .map(|name| token.generate(KeyKind::P256, CertificateUsage::Signing, name).expect("generates").id);
    let [one, two] = ids.map(|id| token.key_path(&id));
    let (first, second) = (fs::read(&one).expect("reads"), fs::read(&two).expect("reads"));
    assert!(!first.windows(16).any(|window| {
        token.keys()[0].key.pkcs8().expect("in memory").windows(16).any(|plain| plain == window)
    }));
    for content in [&second[..], &first[..first.len() - 1], &[], &[0; 200]] {
        fs::write(&one, content).expect("writes");
        assert!(
            matches!(SoftwareToken::open(folder.path(), PIN), Err(TokenError::Damaged(path)) if path == one)
        );
    }
    fs::write(&one, &first).expect("writes");
    assert!(SoftwareToken::open(folder.path(), PIN).is_ok());
    let index = fs::read_to_string(index_path(folder.path())).expect("reads");
    for (from, to) in [("\"version\": 1", "\"version\": 2"), ("\"id\": \"", "\"id\": \"../"), ("{", "")] {
        fs::write(index_path(folder.path()), index.replacen(from, to, 1)).expect("writes");
        assert!(matches!(SoftwareToken::open(folder.path(), PIN), Err(TokenError::Damaged(_))), "{from}");
    }
    for (from, to) in [("\"memory_kib\": 65536", "\"memory_kib\": 4294967295"), ("argon2id", "argon2i")] {
        fs::write(index_path(folder.path()), index.replacen(from, to, 1)).expect("writes");
        refused(SoftwareToken::open(folder.path(), PIN), "token_pin_incorrect");
    }
}

#[test]
fn threads_lose_no_change_of_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = SoftwareToken::create(folder.path(), PIN).expect("creates");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..4 {
                    token.generate(KeyKind::P256, CertificateUsage::Signing, "sign").expect("generates");
                }
            });
        }
    });
    assert_eq!(token.keys().len(), 16);
    assert_eq!(SoftwareToken::open(folder.path(), PIN).expect("opens").keys().len(), 16);
}

#[test]
fn pin_policy() {
    for (pin, good) in [
        ("Secret-1234", true),
        ("abcdefgh12", false),
        ("Abcdefgh12", true),
        ("Short-1", false),
        ("Sécret-1234", false),
        ("", false),
    ] {
        assert_eq!(check_pin_policy(pin).is_ok(), good, "{pin}");
    }
}

#[test]
fn a_closed_token_shows_its_keys_and_signs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let token = SoftwareToken::create(folder.path(), "1234").unwrap();
    let key = token.generate(KeyKind::P256, CertificateUsage::Signing, "first").unwrap();
    let sign = |token: &SoftwareToken| {
        let key = token.key(&key.id).unwrap().key;
        key.sign(key.default_algorithm(), b"octets", crate::key::SignatureForm::Der)
    };
    sign(&token).unwrap();
    token.log_out().unwrap();
    assert!(!token.is_logged_in());
    assert!(matches!(sign(&token), Err(crate::key::KeyError::Device(_))));
    let refused = token.generate(KeyKind::P256, CertificateUsage::Signing, "second");
    assert!(matches!(refused, Err(TokenError::NotActive)));
    token.rename_key(&key.id, "renamed").unwrap();
    let token = SoftwareToken::closed(folder.path()).unwrap();
    assert_eq!(token.key(&key.id).unwrap().name, "renamed");
    assert!(matches!(token.log_in("12345"), Err(TokenError::WrongPin)));
    assert!(!token.is_logged_in());
    token.log_in("1234").unwrap();
    sign(&token).unwrap();
}
