//! Signatures of batches and containers of evidence, made and verified with keys of an instance.

use bytes::Bytes;
use causeway_tests::testkit::{TestInstance, TestKey, noon};
use certs::evidence::{AttachmentVerdict, Report, VerifiedSignatures, verify_container, verify_message};
use certs::key::{KeyKind, SignatureForm};
use certs::trust::TrustStore;
use protocol::container::{Attachment, Container, ContainerParts, ContainerTimestamp, write_container};
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::hash_chain::{Batch, signature_batch, timestamp_batch};
use protocol::id::ClientId;
use protocol::signature::{
    PartDigests, Parts, Rules, SignatureDocument, SignedReference, SigningEvidence, insert_timestamp, prepare,
};

const BODY: &[u8] = b"{\"order\":42}";

fn sha512(octets: &[u8]) -> Digest {
    DigestAlgorithm::Sha512.digest(octets)
}

fn message(number: usize) -> Bytes {
    Bytes::from(format!(
        "POST\r\n/r1/CW/GOV/1001/permits/orders\r\nX-Road-Client:CW/COM/2002/shop\r\nx-road-id:id-{number}\r\n"
    ))
}

struct Scene {
    instance: TestInstance,
    trust: TrustStore,
    signer: ClientId,
    key: TestKey,
}

impl Scene {
    fn new(kind: KeyKind) -> Self {
        let mut instance = TestInstance::new("CW", noon());
        instance.add_member("GOV/1001", &["permits"]);
        instance.add_member("COM/2002", &["shop"]);
        let signer = instance.client("COM/2002/shop");
        let key = instance.credentials().with_keys(kind).signing(signer.member());
        Self { trust: instance.trust(), signer, key, instance }
    }

    fn sign(&self, reference: SignedReference) -> Bytes {
        let certificate = &self.key.certificate;
        let evidence = SigningEvidence {
            certificate: certificate.der().clone(),
            issuer_name: certificate.issuer_name(),
            serial: certificate.serial_decimal(),
            intermediates: Vec::new(),
            ocsp_responses: vec![self.instance.ocsp(certificate).der().clone()],
        };
        let algorithm = self.key.key.default_algorithm();
        let unsigned = prepare(&evidence, reference, algorithm, self.instance.now());
        let value = self.key.key.sign(algorithm, unsigned.octets(), SignatureForm::Raw).expect("a signature");
        unsigned.finish(&value)
    }

    /// A signature over `count` messages, each with a body.
    fn batch(&self, count: usize) -> (Bytes, Batch) {
        let messages: Vec<[Digest; 2]> =
            (0..count).map(|number| [sha512(&message(number)), sha512(BODY)]).collect();
        let slices: Vec<&[Digest]> = messages.iter().map(|parts| &parts[..]).collect();
        let batch = signature_batch(&slices);
        (self.sign(SignedReference::HashChainResult(sha512(&batch.result))), batch)
    }

    fn verify(&self, document: &Bytes, parts: &Parts, memory: &VerifiedSignatures) -> Result<(), String> {
        verify_message(document, parts, &self.signer, &self.trust, Some(memory), self.instance.now())
            .map_err(|fault| fault.code.into_owned())
    }

    /// A container of message 0 of a batch of three, its time-stamp shared with two other documents.
    fn container(&self) -> Vec<u8> {
        let (signature, batch) = self.batch(3);
        let stamps = timestamp_batch(&[sha512(b"another"), sha512(&signature), sha512(b"a third")]);
        let token = self.instance.timestamp(&sha512(&stamps.result));
        write_container(ContainerParts {
            time: self.instance.now(),
            message: message(0),
            signature,
            hash_chain: Some((batch.result, batch.chains[0].clone())),
            timestamp: ContainerTimestamp::Token {
                token: token.der().clone(),
                hash_chain_result: stamps.result,
                hash_chain: stamps.chains[1].clone(),
            },
            attachments: vec![Attachment::Memory(Bytes::from_static(BODY))],
        })
        .expect("a container")
    }

    /// A container of a message without body; the time-stamp is inside the signature.
    fn small_container(&self) -> Vec<u8> {
        let signature = self.sign(SignedReference::Message(sha512(&message(0))));
        let document = SignatureDocument::parse(signature.clone(), Rules::Message).expect("a signature");
        let token = self.instance.timestamp(&sha512(document.value()));
        write_container(ContainerParts {
            time: self.instance.now(),
            message: message(0),
            signature: insert_timestamp(&signature, token.der()).expect("room for a time-stamp"),
            hash_chain: None,
            timestamp: ContainerTimestamp::InSignature,
            attachments: Vec::new(),
        })
        .expect("a container")
    }
}

fn parts(batch: &Batch, number: usize) -> Parts {
    Parts {
        message: PartDigests::of(message(number)),
        attachments: vec![PartDigests::known(sha512(BODY))],
        hash_chain_result: Some(batch.result.clone()),
        hash_chain: batch.chains.get(number).cloned(),
    }
}

#[test]
fn one_signature_of_a_batch_is_verified_once() {
    let scene = Scene::new(KeyKind::P256);
    let (document, batch) = scene.batch(5);
    let memory = VerifiedSignatures::default();
    for number in 0..5 {
        assert_eq!(scene.verify(&document, &parts(&batch, number), &memory), Ok(()));
    }
    assert_eq!(memory.recalled(), 4);

    // What is remembered does not help another message, another chain or another member.
    let chain = parts(&batch, 1);
    let wrong = Parts { message: PartDigests::of(message(0)), ..chain.clone() };
    let refused = "signature_verification.malformed_signature.invalid_hash_chain";
    assert_eq!(scene.verify(&document, &wrong, &memory), Err(refused.to_owned()));
    let (_, other) = scene.batch(2);
    let refused = "signature_verification.invalid_signature_value";
    assert_eq!(scene.verify(&document, &parts(&other, 1), &memory), Err(refused.to_owned()));
    let stranger = scene.instance.client("GOV/1001/permits");
    let verdict =
        verify_message(&document, &chain, &stranger, &scene.trust, Some(&memory), scene.instance.now());
    assert_eq!(
        verdict.map_err(|fault| fault.code),
        Err("signature_verification.incorrect_certificate".into())
    );
}

#[test]
fn what_is_remembered_ends_with_its_evidence() {
    let scene = Scene::new(KeyKind::P256);
    let (document, batch) = scene.batch(2);
    let memory = VerifiedSignatures::default();
    assert_eq!(scene.verify(&document, &parts(&batch, 0), &memory), Ok(()));
    let later = scene.instance.now().plus(std::time::Duration::from_secs(2 * 86_400));
    let verdict =
        verify_message(&document, &parts(&batch, 1), &scene.signer, &scene.trust, Some(&memory), later);
    assert!(verdict.is_err(), "the OCSP response is old by then");
    // Another configuration, even an equal one, is asked anew.
    let other = scene.instance.trust();
    let recalled = memory.recalled();
    let now = scene.instance.now();
    verify_message(&document, &parts(&batch, 1), &scene.signer, &other, Some(&memory), now).expect("valid");
    assert_eq!(memory.recalled(), recalled);
}

/// A signer that was seen before is not treated better: each changed octet gets the verdict that it gets
/// from somebody who has never seen the signer.
#[test]
fn a_signer_that_is_known_is_verified_like_any_other() {
    let scene = Scene::new(KeyKind::P256);
    let memory = VerifiedSignatures::default();
    let (first, batch) = scene.batch(2);
    assert_eq!(scene.verify(&first, &parts(&batch, 0), &memory), Ok(()));
    let (document, batch) = scene.batch(3);
    let parts = parts(&batch, 1);
    let mut wrong = 0;
    for position in (0..document.len()).step_by(3) {
        for byte in *b"A9=<" {
            let mut changed = document.to_vec();
            changed[position] = byte;
            let changed = Bytes::from(changed);
            let verdict = scene.verify(&changed, &parts, &memory);
            assert_eq!(verdict, scene.verify(&changed, &parts, &VerifiedSignatures::default()), "{position}");
            wrong += usize::from(verdict.is_err());
        }
    }
    assert!(wrong > document.len(), "{wrong} changes were refused");
    assert_eq!(scene.verify(&document, &parts, &memory), Ok(()));
}

#[test]
fn containers_verify_and_tell_what_they_hold() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048] {
        let scene = Scene::new(kind);
        for bytes in [scene.container(), scene.small_container()] {
            let report = verify_container(&bytes, &scene.trust, None);
            assert!(report.is_valid(), "{kind:?}: {report}");
            assert_eq!(report.signer.as_ref(), Some(&scene.signer));
            assert_eq!(report.message_id.as_deref(), Some("id-0"));
            assert_eq!(report.timestamp, Some(scene.instance.now()));
            assert!(report.timestamper.is_some());
            assert_eq!(report.to_json()["valid"], true);
        }
    }
}

/// The same container with one part changed.
fn changed(bytes: &[u8], change: impl FnOnce(&mut ContainerParts<'static>)) -> Vec<u8> {
    let container = Container::read(bytes).expect("a container");
    let (result, chain) = container.timestamp_hash_chain().cloned().expect("a chain");
    let mut parts = ContainerParts {
        time: noon(),
        message: container.message().clone(),
        signature: container.signature().octets().clone(),
        hash_chain: container.hash_chain().cloned(),
        timestamp: ContainerTimestamp::Token {
            token: container.timestamp().clone(),
            hash_chain_result: result,
            hash_chain: chain,
        },
        attachments: vec![Attachment::Memory(Bytes::from_static(BODY))],
    };
    change(&mut parts);
    write_container(parts).expect("a container")
}

#[test]
fn attachments_are_judged() {
    let scene = Scene::new(KeyKind::P256);
    let good = scene.container();
    let verdicts = |change: &dyn Fn(&mut ContainerParts<'static>)| {
        let report = verify_container(&changed(&good, change), &scene.trust, None);
        let verdicts: Vec<_> = report.attachments.iter().map(|attachment| attachment.verdict).collect();
        (report.is_valid(), verdicts)
    };
    let memory = |octets: &'static [u8]| Attachment::Memory(Bytes::from_static(octets));
    use AttachmentVerdict::{Absent, Differs, Matches, NotSigned};
    assert_eq!(verdicts(&|_| {}), (true, vec![Matches]));
    assert_eq!(verdicts(&|parts| parts.attachments.clear()), (true, vec![Absent]));
    assert_eq!(verdicts(&|parts| parts.attachments = vec![memory(b"x")]), (false, vec![Differs]));
    assert_eq!(verdicts(&|parts| parts.attachments.push(memory(b"x"))), (false, vec![Matches, NotSigned]));
}

/// Changes every octet of a container, one at a time. A verdict of valid is right only when everything
/// that was signed and stamped is still the same.
fn tamper(scene: &Scene, good: &[u8], step: usize) {
    let original = Container::read(good).expect("a container");
    let mut valid = 0;
    for position in (0..good.len()).step_by(step) {
        let mut bytes = good.to_vec();
        bytes[position] ^= 0x5a;
        let report: Report = verify_container(&bytes, &scene.trust, None);
        if !report.is_valid() {
            continue;
        }
        valid += 1;
        let container = Container::read(&bytes).expect("it is valid");
        assert_eq!(container.message(), original.message(), "octet {position}");
        assert_eq!(container.signature().octets(), original.signature().octets(), "octet {position}");
        assert_eq!(container.stamped(), original.stamped(), "octet {position}");
        for attachment in container.attachments() {
            let same = original.attachments().iter().any(|other| other.digest == attachment.digest);
            assert!(same, "octet {position}");
        }
    }
    // Dates, versions and attributes in the headers of the zip are nobody's evidence.
    assert!(valid * step < good.len() / 8, "{valid} changes of {} were not seen", good.len() / step);
}

#[test]
fn tampering_is_seen() {
    let scene = Scene::new(KeyKind::P256);
    tamper(&scene, &scene.container(), 3);
    tamper(&scene, &scene.small_container(), 3);
}

#[test]
fn arbitrary_octets_are_refused() {
    let scene = Scene::new(KeyKind::P256);
    let good = scene.container();
    for length in (0..good.len()).step_by(7) {
        assert!(!verify_container(&good[..length], &scene.trust, None).is_valid());
        assert!(!verify_container(&good[length + 1..], &scene.trust, None).is_valid());
    }
}
