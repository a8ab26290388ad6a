//! Signature documents of X-Road's own tests (§5.1).
//!
//! Their configuration has a certificate profile that is a stub of a test: instance of the signer,
//! `BUSINESS`, common name. Here the profile of Ejbca stands in for it, so the same certificate names
//! EE/Cybernetica/consumer in place of EE/BUSINESS/consumer.

use std::sync::Arc;

use bytes::Bytes;
use certs::evidence::{verify_archived, verify_message};
use certs::trust::TrustStore;
use protocol::digest::DigestAlgorithm;
use protocol::fault::code;
use protocol::id::ClientId;
use protocol::signature::{PartDigests, Parts};
use protocol::time::UtcTime;

use super::{Case, Folder, VALID, member, time, verdict, with_profile};

const BASE: &str = "evidence/signatures";

struct Checker {
    trust: TrustStore,
    at: UtcTime,
}

impl Checker {
    /// By the rules for old evidence: certificates of 2014 are signed with SHA-1.
    fn archived(&self, document: &Bytes, parts: &Parts, signer: Option<&ClientId>) -> String {
        match signer {
            Some(signer) => verdict(verify_archived(document, parts, signer, &self.trust, self.at)),
            None => "no signer".to_owned(),
        }
    }

    /// By the rules of the message path, which include the form; its prefix is taken off.
    fn message(&self, document: &Bytes, parts: &Parts, signer: Option<&ClientId>) -> String {
        let Some(signer) = signer else { return "no signer".to_owned() };
        let verdict = verdict(verify_message(document, parts, signer, &self.trust, None, self.at));
        verdict.trim_start_matches(code::SIGNATURE_VERIFICATION).trim_start_matches('.').to_owned()
    }
}

pub(super) fn cases(folder: &Folder) -> Vec<Case> {
    let configuration = with_profile(
        folder.configuration("evidence/globalconf/good_v3_EE"),
        "EjbcaCertificateProfileInfoProvider",
    );
    let checker =
        Checker { trust: TrustStore::new(Arc::new(configuration)), at: time("2014-10-30T00:00:00Z") };
    let signer = member("EE", "Cybernetica", "consumer");
    let signer = signer.as_ref();
    let read = |name: &str| folder.read(&format!("{BASE}/{name}"));
    let parts = |message: Bytes| Parts { message: PartDigests::of(message), ..Parts::default() };
    let mut cases = Vec::new();
    let mut case = |name: &str, expected: &str, got: String| {
        cases.push(Case::new(format!("{BASE}/{name}"), expected, got));
    };

    let zero = read("sign-0.xml");
    let message = parts(read("message-0.xml"));
    case("sign-0.xml", VALID, checker.archived(&zero, &message, signer));
    let other = parts(Bytes::from_static(b"other bytes"));
    case("sign-0.xml over other bytes", "invalid_signature_value", checker.archived(&zero, &other, signer));
    let stranger = member("EE", "Cybernetica", "FOORBAR");
    case(
        "sign-0.xml of another signer",
        "incorrect_certificate",
        checker.archived(&zero, &message, stranger.as_ref()),
    );

    let batch = Parts {
        attachments: vec![PartDigests::of(Bytes::from_static(b"blaah"))],
        hash_chain_result: Some(read("hash-chain-result.xml")),
        hash_chain: Some(read("hash-chain-1.xml")),
        ..parts(read("message-1.xml"))
    };
    case("batch-sig.xml", VALID, checker.archived(&read("batch-sig.xml"), &batch, signer));

    for (name, expected) in [
        ("empty.xml", "invalid_xml"),
        ("sign-0-malformed-xml.xml", "invalid_xml"),
        ("sign-0-schema-fail.xml", "malformed_signature"),
        ("sign-0-no-signing-cert.xml", "malformed_signature"),
        ("extra-certs-digest-invalid.xml", "malformed_signature"),
    ] {
        case(name, expected, checker.message(&read(name), &message, signer));
    }
    let changed = "sign-0-invalid-signature-value.xml";
    case(changed, "invalid_signature_value", checker.archived(&read(changed), &message, signer));

    non_batch(folder, &mut case);
    cases
}

/// A bare `ds:Signature` with direct references to message and attachment.
fn non_batch(folder: &Folder, case: &mut dyn FnMut(&str, &str, String)) {
    let name = "non-batch-sig/signatures.xml";
    let trust = folder.trust("evidence/globalconf/good2_v3");
    let checker = Checker { trust, at: time("2024-07-09T00:00:00Z") };
    let read = |name: &str| folder.read(&format!("{BASE}/non-batch-sig/{name}"));
    let document = read("signatures.xml");
    let signer = member("DEV", "COM", "4321");
    let good = Parts {
        message: PartDigests::of(read("message.xml")),
        attachments: vec![PartDigests::of(read("attachment1"))],
        ..Parts::default()
    };
    case(name, VALID, checker.message(&document, &good, signer.as_ref()));
    let digest = DigestAlgorithm::Sha512.digest(b"another attachment");
    let bad = Parts { attachments: vec![PartDigests::known(digest)], ..good };
    case(
        "non-batch-sig/signatures.xml, another attachment",
        "invalid_signature_value",
        checker.message(&document, &bad, signer.as_ref()),
    );
}
