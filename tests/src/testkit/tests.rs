use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::CertificateUsage;
use certs::evidence::verify_message;
use certs::key::KeyKind;
use certs::token::{CertificateStatus, SoftwareToken};
use certs::trust::{PathUse, Peer, TrustStore};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{PartDigests, Parts};

use super::*;

fn instance() -> (TestInstance, TestServer) {
    let mut instance = TestInstance::new("CW", noon());
    instance.add_member("GOV/1001", &["permits"]);
    instance.add_member("COM/2002", &["shop"]);
    let server =
        instance.add_server("GOV/1001", "ss1", Some("127.0.1.1"), &["GOV/1001/permits", "COM/2002/shop"]);
    (instance, server)
}

#[test]
fn good_credentials_are_believed_and_others_are_not() {
    let (instance, server) = instance();
    let other = TestInstance::new("XX", noon());
    let trust = instance.trust();
    let used = PathUse::Signature { instance: "CW" };
    let good = instance.signing("GOV/1001");
    let expired = instance.expired_credentials().signing(&instance.member("GOV/1001"));
    let foreign = other.signing("GOV/1001");
    for (key, expected) in
        [(&good, Ok(1)), (&expired, Err("invalid_cert_path")), (&foreign, Err("cannot_create_cert_path"))]
    {
        let path = trust.validate_path(&key.certificate, &[], used, instance.now());
        let found = path.as_ref().map(|path| path.certificates.len()).map_err(|fault| fault.code.as_ref());
        assert_eq!(found, expected);
    }
    let signer = instance.client("GOV/1001/permits");
    assert_eq!(trust.member_of_signing_certificate(&good.certificate, &signer), Ok(()));
    let chain = [server.authentication.certificate];
    for client in ["GOV/1001", "GOV/1001/permits", "COM/2002/shop"] {
        let client = instance.client(client);
        let peer = trust.verify_authentication(&chain, &client, Peer::Provider, instance.now());
        assert_eq!(peer.map(|peer| peer.server), Ok(server.id.clone()));
    }
    let stranger = instance.client("COM/2002");
    assert!(trust.verify_authentication(&chain, &stranger, Peer::Provider, instance.now()).is_err());
}

#[test]
fn ocsp_answers_and_time_stamps_hold() {
    let (instance, _) = instance();
    let trust = instance.trust();
    let [good, revoked] = [instance.signing("GOV/1001"), instance.signing("COM/2002")];
    instance.revoke(&revoked.certificate);
    let issuer = instance.ca().certificate();
    let check = |key: &TestKey| {
        certs::ocsp::check(&instance.ocsp(&key.certificate), &key.certificate, issuer, &trust, instance.now())
    };
    assert_eq!(check(&good), Ok(()));
    assert!(check(&revoked).is_err());
    let imprint = DigestAlgorithm::Sha512.digest(b"stamped");
    assert_eq!(instance.timestamp(&imprint).check(b"stamped", &trust), Ok(instance.now()));
}

fn alone(message: &'static [u8]) -> Parts {
    Parts {
        message: PartDigests::of(message.into()),
        attachments: Vec::new(),
        hash_chain_result: None,
        hash_chain: None,
    }
}

#[test]
fn signed_messages_verify() {
    let (instance, _) = instance();
    let trust = instance.trust();
    let verify = |document: &Bytes, message, signer: &str| {
        verify_message(document, &alone(message), &instance.client(signer), &trust, None, instance.now())
            .map_err(|fault| fault.code.into_owned())
    };
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048] {
        let key = instance.credentials().with_keys(kind).signing(&instance.member("GOV/1001"));
        let document = key.sign(&instance, b"a message");
        assert_eq!(verify(&document, b"a message", "GOV/1001/permits"), Ok(()), "{kind:?}");
        let wrong = verify(&document, b"another", "GOV/1001/permits");
        assert_eq!(wrong, Err("signature_verification.invalid_signature_value".to_owned()));
        let wrong = verify(&document, b"a message", "COM/2002/shop");
        assert_eq!(wrong, Err("signature_verification.incorrect_certificate".to_owned()));
    }
}

#[test]
fn messages_of_bad_certificates_are_refused() {
    let (instance, _) = instance();
    let trust = instance.trust();
    let signer = instance.client("GOV/1001");
    let expired = instance.expired_credentials().signing(signer.member());
    let [revoked, stale] = [(); 2].map(|()| instance.signing("GOV/1001"));
    instance.revoke(&revoked.certificate);
    let old = instance.ocsp_at(&stale.certificate, instance.now().minus(Duration::from_secs(3601)));
    for (document, expected) in [
        (expired.sign(&instance, b"m"), "invalid_cert_path"),
        (revoked.sign(&instance, b"m"), "invalid_cert_path.cert_validation"),
        (
            stale.sign_with(old.der().clone(), b"m", instance.now()),
            "invalid_cert_path.incorrect_validation_info",
        ),
        (TestInstance::new("CW", noon()).signing("GOV/1001").sign(&instance, b"m"), "internal_error"),
    ] {
        let verdict = verify_message(&document, &alone(b"m"), &signer, &trust, None, instance.now());
        let code = verdict.map_err(|fault| fault.code.into_owned());
        assert_eq!(code, Err(format!("signature_verification.{expected}")));
    }
}

#[test]
fn federations_know_both_instances() {
    let (own, _) = instance();
    let mut other = TestInstance::new("XX", noon());
    other.add_member("GOV/1001", &["permits"]);
    let there = other.add_server("GOV/1001", "ss1", None, &["GOV/1001/permits"]);
    let trust = TrustStore::new(Arc::new(federation(&own, &[&other])));
    let chain = [there.authentication.certificate];
    let verify = |client| trust.verify_authentication(&chain, &client, Peer::Consumer, own.now());
    assert!(verify(other.client("GOV/1001/permits")).is_ok());
    assert!(verify(own.client("GOV/1001/permits")).is_err(), "the same codes in another instance");
}

#[test]
fn tokens_hold_the_keys() {
    let (instance, server) = instance();
    let signing = instance.signing("GOV/1001");
    let folder = instance.folder().join("token");
    let pin = write_token(&folder, &[&signing, &server.authentication], instance.now());
    let keys = SoftwareToken::open(&folder, pin).expect("opens").keys();
    let found: Vec<_> = keys
        .iter()
        .flat_map(|key| key.certificates.iter().map(|held| (key.usage, held.status, held.active)))
        .collect();
    assert_eq!(
        found,
        [
            (CertificateUsage::Signing, CertificateStatus::Registered, true),
            (CertificateUsage::Authentication, CertificateStatus::Registered, true)
        ]
    );
}
