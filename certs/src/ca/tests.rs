use std::collections::HashMap;

use protocol::configuration::{
    ApprovedCa, CaCertificate, GlobalConfiguration, Instance, OcspResponder, SharedParameters,
    TimestampingService,
};
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::fault::code;
use tempfile::TempDir;

use super::*;
use crate::asn1::{self, Reader};
use crate::certificate::DistinguishedName;
use crate::key::SignatureForm;
use crate::ocsp::{self, OcspResponse};
use crate::timestamp::{self, TimestampToken};
use crate::trust::TrustStore;

const PIN: &str = "Correct-Horse-1";

fn now() -> UtcTime {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

struct Pilot {
    folder: TempDir,
    ca: PilotCa,
}

impl Pilot {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            ocsp_url: Some("http://127.0.0.1:8888/ocsp".to_owned()),
            ..Settings::for_instance("CW")
        };
        let ca = PilotCa::create(&folder.path().join("ca"), PIN, &settings, now()).expect("an authority");
        Self { folder, ca }
    }

    fn reopen(self) -> Self {
        let ca = PilotCa::open(&self.folder.path().join("ca"), PIN).expect("the same authority");
        Self { ca, ..self }
    }

    /// What a registry publishes of it. `listed`: the responder's certificate is in it.
    fn trust(&self, listed: bool) -> TrustStore {
        let responder = OcspResponder {
            url: "http://127.0.0.1:8888/ocsp".to_owned(),
            certificate: listed.then(|| self.ca.ocsp_certificate().der().to_vec()),
            ..OcspResponder::default()
        };
        let shared = SharedParameters {
            instance: "CW".to_owned(),
            approved_cas: vec![ApprovedCa {
                name: "pilot".to_owned(),
                top: CaCertificate {
                    certificate: self.ca.certificate().der().to_vec(),
                    ocsp: vec![responder],
                },
                certificate_profile: self.ca.settings().certificate_profile.clone(),
                ..ApprovedCa::default()
            }],
            timestamping_services: vec![TimestampingService {
                certificate: self.ca.timestamp_certificate().der().to_vec(),
                ..TimestampingService::default()
            }],
            ocsp_freshness_seconds: 3600,
            ..SharedParameters::default()
        };
        let instance = Instance::new(shared, 6, now().plus(DAY));
        let instances = HashMap::from([("CW".to_owned(), Arc::new(instance))]);
        TrustStore::new(Arc::new(GlobalConfiguration { own_instance: "CW".to_owned(), instances }))
    }
}

/// A request whose subject is C, O and CN, made by hand.
fn request(key: &PrivateKey, attributes: &[(&str, &str)]) -> Vec<u8> {
    let subject: Vec<u8> = attributes
        .iter()
        .flat_map(|(kind, value)| {
            let kind = const_oid::ObjectIdentifier::new_unwrap(kind);
            asn1::set_of(vec![asn1::sequence(&[
                &asn1::oid(kind),
                &asn1::tlv(asn1::UTF8_STRING, &[value.as_bytes()]),
            ])])
        })
        .collect();
    let info = asn1::sequence(&[
        &asn1::unsigned(&[0]),
        &asn1::sequence(&[&subject]),
        key.public_key(),
        &asn1::tlv(asn1::context(0), &[]),
    ]);
    let algorithm = key.default_algorithm();
    let signature = key.sign(algorithm, &info, SignatureForm::Der).expect("a signature");
    let identifier = crate::key::algorithm_identifier(algorithm).expect("a name");
    asn1::sequence(&[&info, &identifier, &asn1::bit_string(&signature)])
}

fn member_request() -> Vec<u8> {
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    request(&key, &[("2.5.4.6", "CW"), ("2.5.4.10", "GOV"), ("2.5.4.3", "1001")])
}

fn answer(pilot: &Pilot, subject: &Certificate, at: UtcTime) -> OcspResponse {
    let request = ocsp::request(subject, pilot.ca.certificate());
    OcspResponse::parse(pilot.ca.ocsp_answer(&request, at)).expect("a response")
}

#[test]
fn issues_for_each_purpose() {
    let pilot = Pilot::new();
    let issue = |purpose| pilot.ca.issue(&member_request(), purpose, now()).expect("a certificate");
    let signing = issue(Purpose::Signing);
    assert_eq!(signing.usage(), Some(CertificateUsage::Signing));
    let member =
        profile::member_of(&pilot.ca.settings().certificate_profile, &signing, "CW").expect("a member");
    assert_eq!(member.to_string(), "CW/GOV/1001");
    let authentication = issue(Purpose::Authentication);
    assert_eq!(authentication.usage(), Some(CertificateUsage::Authentication));
    assert_eq!(authentication.ocsp_url(), Some("http://127.0.0.1:8888/ocsp"));
    for certificate in [&signing, &authentication, &issue(Purpose::Tls)] {
        assert!(certificate.is_issued_by(pilot.ca.certificate()));
        assert!(certificate.is_valid_at(now()) && !certificate.is_ca());
        assert!(certificate.not_after() <= pilot.ca.certificate().not_after());
    }
    assert_ne!(signing.serial(), authentication.serial());
}

#[test]
fn refuses_requests() {
    let pilot = Pilot::new();
    let mut broken = member_request();
    if let Some(last) = broken.last_mut() {
        *last ^= 1;
    }
    assert!(matches!(pilot.ca.issue(&broken, Purpose::Signing, now()), Err(CaError::Request(_))));
    assert!(matches!(pilot.ca.issue(b"junk", Purpose::Signing, now()), Err(CaError::Request(_))));
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    for subject in [
        &[("2.5.4.6", "XX"), ("2.5.4.10", "GOV"), ("2.5.4.3", "1001")][..], // another instance
        &[("2.5.4.6", "CW"), ("2.5.4.3", "1001")],                          // no class
    ] {
        let request = request(&key, subject);
        assert!(matches!(pilot.ca.issue(&request, Purpose::Signing, now()), Err(CaError::Subject(_))));
    }
    let before = pilot.ca.issued().len();
    assert_eq!(before, 2, "the responder and the time-stamping authority");
}

#[test]
fn answers_are_accepted() {
    let pilot = Pilot::new();
    let subject = pilot.ca.issue(&member_request(), Purpose::Signing, now()).expect("a certificate");
    for listed in [true, false] {
        let trust = pilot.trust(listed);
        let response = answer(&pilot, &subject, now());
        for _ in 0..2 {
            assert_eq!(ocsp::check(&response, &subject, pilot.ca.certificate(), &trust, now()), Ok(()));
        }
    }
}

#[track_caller]
fn check_refused(result: Result<(), Fault>, expected: &str, text: &str) {
    let fault = result.expect_err("refused");
    assert_eq!(fault.code, expected, "{fault}");
    assert!(fault.text.contains(text), "{fault}");
}

#[test]
fn answers_are_refused() {
    let pilot = Pilot::new();
    let (ca, trust) = (pilot.ca.certificate(), pilot.trust(true));
    let subject = pilot.ca.issue(&member_request(), Purpose::Signing, now()).expect("a certificate");
    let response = answer(&pilot, &subject, now());

    let later = now().plus(Duration::from_secs(3600));
    assert_eq!(ocsp::check(&response, &subject, ca, &trust, later), Ok(()));
    let late = later.plus(Duration::from_secs(1));
    check_refused(
        ocsp::check(&response, &subject, ca, &trust, late),
        code::INCORRECT_VALIDATION_INFO,
        "too old",
    );
    let early = now().minus(DAY);
    check_refused(
        ocsp::check(&response, &subject, ca, &trust, early),
        code::INCORRECT_VALIDATION_INFO,
        "not valid",
    );

    let other = pilot.ca.issue(&member_request(), Purpose::Signing, now()).expect("a certificate");
    check_refused(
        ocsp::check(&response, &other, ca, &trust, now()),
        code::INCORRECT_VALIDATION_INFO,
        "not about this certificate",
    );

    let mut changed = response.der().to_vec();
    let place = changed.len() / 8;
    for (offset, octet) in changed.iter_mut().enumerate() {
        // Somewhere in the digits of the time.
        if offset > place && *octet == b'4' {
            *octet = b'5';
            break;
        }
    }
    let changed = OcspResponse::parse(changed).expect("still a response");
    check_refused(ocsp::check(&changed, &subject, ca, &trust, now()), code::INCORRECT_VALIDATION_INFO, "");

    let stranger = Pilot::new();
    let forged = {
        let request = ocsp::request(&subject, ca);
        OcspResponse::parse(stranger.ca.ocsp_answer(&request, now())).expect("a response")
    };
    check_refused(
        ocsp::check(&forged, &subject, ca, &trust, now()),
        code::INCORRECT_VALIDATION_INFO,
        "not authorised",
    );

    pilot.ca.revoke(subject.serial(), 1, now()).expect("revoked");
    let revoked = answer(&pilot, &subject, now());
    assert_eq!(ocsp::check_current(&revoked, &subject, ca, &trust, now()), Ok(()));
    check_refused(ocsp::check(&revoked, &subject, ca, &trust, now()), code::CERT_VALIDATION, "REVOKED");
    assert!(matches!(pilot.ca.revoke(&[9], 0, now()), Err(CaError::UnknownSerial)));
}

#[test]
fn a_path_needs_a_response_for_each_certificate() {
    let pilot = Pilot::new();
    let trust = pilot.trust(true);
    let subject = pilot.ca.issue(&member_request(), Purpose::Signing, now()).expect("a certificate");
    let path =
        crate::trust::Path { certificates: vec![subject.clone()], anchor: pilot.ca.certificate().clone() };
    let other = pilot.ca.issue(&member_request(), Purpose::Signing, now()).expect("a certificate");
    let responses = [answer(&pilot, &other, now()), answer(&pilot, &subject, now())];
    assert_eq!(ocsp::check_path(&path, &responses, &trust, now()), Ok(()));
    check_refused(
        ocsp::check_path(&path, &responses[..1], &trust, now()),
        "invalid_cert_path.cert_validation",
        "Unable to find OCSP response",
    );
}

#[test]
fn state_survives() {
    let pilot = Pilot::new();
    let kept = pilot.ca.issue(&member_request(), Purpose::Signing, now()).expect("a certificate");
    let revoked = pilot.ca.issue(&member_request(), Purpose::Signing, now()).expect("a certificate");
    pilot.ca.revoke(revoked.serial(), 0, now()).expect("revoked");
    pilot.ca.revoke(revoked.serial(), 1, now().plus(DAY)).expect("the first revocation stays");
    let folder = pilot.folder.path().join("ca");
    assert!(matches!(PilotCa::open(&folder, "wrong"), Err(CaError::Token(_))));
    assert!(matches!(
        PilotCa::create(&folder, PIN, &Settings::for_instance("CW"), now()),
        Err(CaError::Exists)
    ));
    let empty = pilot.folder.path().join("empty");
    std::fs::create_dir(&empty).expect("made");
    assert!(!PilotCa::exists(&empty));
    PilotCa::create(&empty, PIN, &Settings::for_instance("CW"), now()).expect("an empty folder will do");
    assert!(PilotCa::exists(&empty));
    let pilot = pilot.reopen();
    assert_eq!(pilot.ca.status(kept.serial()), CertificateStatus::Good);
    assert_eq!(pilot.ca.status(revoked.serial()), CertificateStatus::Revoked(now(), None));
    assert_eq!(pilot.ca.status(&[1, 2, 3]), CertificateStatus::Unknown);
    assert_eq!(pilot.ca.issued().len(), 4);
}

#[test]
fn timestamps_are_accepted() {
    let pilot = Pilot::new();
    let trust = pilot.trust(true);
    for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
        let imprint = algorithm.digest(b"signature value");
        let response = pilot.ca.timestamp_answer(&timestamp::request(&imprint), now());
        let accepted = timestamp::accept(&response, &imprint, &trust, now()).expect("accepted");
        assert_eq!(accepted.time, now());
        let token = TimestampToken::parse(accepted.token.clone()).expect("a token");
        assert_eq!(token.check(b"signature value", &trust), Ok(now()));
        assert_eq!(token.with_certificate(pilot.ca.timestamp_certificate().der()), Ok(accepted.token));
        let other = token.check(b"another value", &trust).expect_err("refused");
        assert_eq!(other.code, code::MALFORMED_SIGNATURE);
    }
}

#[test]
fn timestamps_are_refused() {
    let pilot = Pilot::new();
    let (trust, stranger) = (pilot.trust(true), Pilot::new().trust(true));
    let imprint = DigestAlgorithm::Sha512.digest(b"a");
    let response = pilot.ca.timestamp_answer(&timestamp::request(&imprint), now());
    let check = |response: &[u8], imprint: &Digest, trust: &TrustStore, at, expected: &str| {
        let fault = timestamp::accept(response, imprint, trust, at).expect_err("refused");
        assert_eq!(fault.code, expected, "{fault}");
    };
    check(&response, &imprint, &stranger, now(), timestamp::code::CERTIFICATE_NOT_FOUND);
    check(
        &response,
        &DigestAlgorithm::Sha512.digest(b"b"),
        &trust,
        now(),
        timestamp::code::VALIDATION_FAILED,
    );
    check(&response, &imprint, &trust, now().plus(DAY), timestamp::code::VALIDATION_FAILED);
    check(b"junk", &imprint, &trust, now(), timestamp::code::VALIDATION_FAILED);
    let nobody = TrustStore::new(Arc::new(GlobalConfiguration {
        own_instance: "CW".to_owned(),
        instances: HashMap::new(),
    }));
    check(&response, &imprint, &nobody, now(), timestamp::code::NO_PROVIDER);
    let mut changed = response.clone();
    if let Some(last) = changed.last_mut() {
        *last ^= 1;
    }
    check(&changed, &imprint, &trust, now(), timestamp::code::VERIFICATION_FAILED);
    let sha1 = DigestAlgorithm::Sha1.digest(b"a");
    let refused = pilot.ca.timestamp_answer(&timestamp::request(&sha1), now());
    check(&refused, &sha1, &trust, now(), timestamp::code::NOT_GRANTED);
    let refused = pilot.ca.timestamp_answer(b"junk", now());
    check(&refused, &imprint, &trust, now(), timestamp::code::NOT_GRANTED);
}

#[test]
fn requests_have_their_octets() {
    let imprint = DigestAlgorithm::Sha512.digest(b"a");
    let request = timestamp::request(&imprint);
    assert_eq!(request.len(), 86);
    assert!(request.starts_with(
        b"\x30\x54\x02\x01\x01\x30\x4F\x30\x0B\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x04\x40"
    ));
    let pilot = Pilot::new();
    let subject = pilot.ca.ocsp_certificate();
    let request = ocsp::request(subject, pilot.ca.certificate());
    assert_eq!(request.len(), 68 + 15, "a serial number of 16 octets");
    let read = ocsp::Request::parse(&request).expect("a request");
    assert_eq!((read.asked.len(), read.nonce), (1, None));
    assert_eq!(read.asked[0].der, ocsp::certificate_id(subject, pilot.ca.certificate()));
    let name = DistinguishedName::from_der(subject.issuer_der().to_vec()).expect("a name");
    assert_eq!(&name, pilot.ca.certificate().subject());
    assert!(Reader::new(&request).next().is_ok());
}

#[test]
fn errors_of_the_responder() {
    let pilot = Pilot::new();
    assert_eq!(pilot.ca.ocsp_answer(b"junk", now()), [0x30, 3, 0x0A, 1, 1]);
    assert!(OcspResponse::parse(pilot.ca.ocsp_answer(b"junk", now())).is_err());
}
