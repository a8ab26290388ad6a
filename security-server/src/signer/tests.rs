use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use certs::certificate::CertificateUsage;
use certs::key::{SignatureForm, verify};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{PartDigests, Parts, Rules, SignatureDocument, SignatureScheme};

use super::*;
use crate::testkit::{Testkit, enrol_on, member, now};

/// Responses as the authority gives them at a settable time.
struct Responses {
    kit: Arc<Testkit>,
    made: UtcTime,
    round: AtomicU64,
}

impl OwnOcsp for Responses {
    fn good(
        &self,
        certificate: &Certificate,
        trust: &TrustStore,
        at: UtcTime,
    ) -> Result<OcspResponse, Fault> {
        let response = self.kit.ocsp(certificate, self.made);
        certs::ocsp::check(&response, certificate, self.kit.ca.certificate(), trust, at)?;
        Ok(response)
    }

    fn round(&self) -> u64 {
        self.round.load(Ordering::Relaxed)
    }
}

struct Set {
    kit: Arc<Testkit>,
    ocsp: Arc<Responses>,
    signer: Arc<BatchSigner>,
}

fn set(responses_made: UtcTime) -> Set {
    let kit = Arc::new(Testkit::new());
    let snapshot = Arc::new(SnapshotCell::new());
    snapshot.store(kit.snapshot());
    let ocsp = Arc::new(Responses { kit: Arc::clone(&kit), made: responses_made, round: AtomicU64::new(0) });
    let signer = Arc::new(BatchSigner::new(snapshot, ocsp.clone(), Clock::set_to(now())));
    signer.set_keys(keys(&kit)).unwrap();
    Set { kit, ocsp, signer }
}

fn keys(kit: &Testkit) -> Vec<SigningKey> {
    let keys = kit.token.keys().into_iter().filter(|key| key.usage == CertificateUsage::Signing);
    keys.flat_map(|key| {
        key.certificates.into_iter().map(move |held| SigningKey {
            algorithm: key.key.default_algorithm(),
            key: Arc::clone(&key.key),
            certificate: held.certificate,
            member: member(),
        })
    })
    .collect()
}

#[tokio::test]
async fn the_operators_algorithm_is_used() {
    let set = set(now());
    let wanted = SignatureAlgorithm::new(SignatureScheme::Ecdsa, DigestAlgorithm::Sha512);
    let keys = keys(&set.kit).into_iter().map(|key| SigningKey { algorithm: wanted, ..key });
    let signer = BatchSigner::new(Arc::clone(&set.signer.snapshot), set.ocsp.clone(), Clock::set_to(now()));
    signer.set_keys(keys.collect()).unwrap();
    let signed = signer.sign(&member(), vec![digest("a message")]).await.unwrap();
    let document = SignatureDocument::parse(signed.document.clone(), Rules::Message).unwrap();
    assert_eq!(document.algorithm(), wanted);
    check(&set.kit, &signed, &["a message"]);
}

fn digest(text: &str) -> Digest {
    DigestAlgorithm::Sha512.digest(text.as_bytes())
}

/// That a verifier accepts the signature over exactly these parts.
#[track_caller]
fn check(kit: &Testkit, signed: &Signed, texts: &[&str]) {
    let document = SignatureDocument::parse(signed.document.clone(), Rules::Message).unwrap();
    let octets = document.signed_info_octets();
    let key = kit.signing.public_key();
    assert!(verify(key, document.algorithm(), octets, document.value(), SignatureForm::Raw));
    assert_eq!(document.certificate(), kit.signing.der());
    assert_eq!(document.ocsp_responses().len(), 1);
    let mut parts = texts.iter().map(|text| PartDigests::of(Bytes::copy_from_slice(text.as_bytes())));
    let parts = Parts {
        message: parts.next().unwrap(),
        attachments: parts.collect(),
        hash_chain_result: signed.hash_chain_result.clone(),
        hash_chain: signed.hash_chain.clone(),
    };
    document.references().check(&parts).unwrap();
    let other = Parts { message: PartDigests::of(Bytes::from_static(b"other")), ..parts };
    assert!(document.references().check(&other).is_err(), "it must not fit another message");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn one_message_alone_needs_no_chain() {
    let Set { kit, signer, .. } = set(now());
    let signed = block_on(signer.sign(&member(), vec![digest("a")])).unwrap();
    assert!(signed.hash_chain.is_none() && signed.hash_chain_result.is_none());
    check(&kit, &signed, &["a"]);
}

#[test]
fn a_message_with_a_body_has_a_chain() {
    let Set { kit, signer, .. } = set(now());
    let signed = block_on(signer.sign(&member(), vec![digest("a"), digest("body")])).unwrap();
    assert!(signed.hash_chain.is_some());
    check(&kit, &signed, &["a", "body"]);
}

#[test]
fn what_waits_shares_a_signature() {
    let Set { kit, signer, .. } = set(now());
    let texts: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let signed: Vec<Signed> = block_on(async {
        let member = member();
        let mut signed = Vec::new();
        let mut set = tokio::task::JoinSet::new();
        for (index, text) in texts.iter().enumerate() {
            let (signer, member, parts) = (Arc::clone(&signer), member.clone(), vec![digest(text)]);
            set.spawn(async move { (index, signer.sign(&member, parts).await.unwrap()) });
        }
        while let Some(done) = set.join_next().await {
            signed.push(done.unwrap());
        }
        signed.sort_by_key(|(index, _)| *index);
        signed.into_iter().map(|(_, signed)| signed).collect()
    });
    for (text, signed) in texts.iter().zip(&signed) {
        check(&kit, signed, &[text]);
    }
    let documents: std::collections::HashSet<_> = signed.iter().map(|signed| &signed.document).collect();
    assert!(documents.len() < texts.len() / 2, "{} signatures for {} messages", documents.len(), texts.len());
}

#[track_caller]
fn refused(set: &Set, expected: &str) {
    let fault = set.signer.can_sign(&member()).unwrap_err();
    assert_eq!(fault.code, expected, "{fault}");
    let fault = block_on(set.signer.sign(&member(), vec![digest("a")])).unwrap_err();
    assert_eq!(fault.code, expected, "{fault}");
}

#[test]
fn without_a_key_the_member_is_unknown() {
    let set = set(now());
    set.signer.set_keys(Vec::new()).unwrap();
    refused(&set, code::UNKNOWN_MEMBER);
}

#[test]
fn a_stale_response_is_no_ground_to_sign() {
    refused(&set(now().minus(std::time::Duration::from_secs(3601))), code::CANNOT_CREATE_SIGNATURE);
}

#[test]
fn a_revoked_certificate_ends_signing_with_the_next_response() {
    let set = set(now());
    assert_eq!(set.signer.can_sign(&member()), Ok(()));
    set.kit.ca.revoke(set.kit.signing.serial(), 1, now()).unwrap();
    set.ocsp.round.fetch_add(1, Ordering::Relaxed);
    refused(&set, code::CANNOT_CREATE_SIGNATURE);
}

#[test]
fn a_certificate_of_somebody_else_is_not_used() {
    let set = set(now());
    let other = MemberId::new("CW", "GOV", "2002").unwrap();
    let foreign = enrol_on(&set.kit.token, &set.kit.ca, CertificateUsage::Signing, &other);
    let all = keys(&set.kit);
    let (foreign, own): (Vec<_>, Vec<_>) = all.into_iter().partition(|key| key.certificate == foreign);
    set.signer.set_keys(foreign.clone()).unwrap();
    refused(&set, code::CANNOT_CREATE_SIGNATURE);
    // The next certificate is tried when the first cannot be used.
    set.signer.set_keys(foreign.into_iter().chain(own).collect()).unwrap();
    let signed = block_on(set.signer.sign(&member(), vec![digest("a")])).unwrap();
    check(&set.kit, &signed, &["a"]);
}
