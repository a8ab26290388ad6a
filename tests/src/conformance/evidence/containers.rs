//! Containers: the whole of §5.5.

use std::io::{Cursor, Read as _};

use bytes::Bytes;
use certs::evidence::{Report, verify_container};
use certs::trust::TrustStore;
use zip::ZipArchive;

use super::{Case, Folder, VALID, or_none};

/// File, verdict, and for some who signed and when it was time-stamped.
type Stated = (&'static str, &'static str, Option<(&'static str, &'static str)>);

const GOOD2: [Stated; 9] = [
    ("valid-signed-message", VALID, Some(("DEV/COM/4321", "2024-12-05T13:16:35Z"))),
    ("valid-batch-ts", VALID, Some(("DEV/COM/4321", "2024-12-05T07:34:14Z"))),
    ("valid-non-batch-rest", VALID, Some(("DEV/COM/1234", "2024-07-11T12:51:12Z"))),
    ("invalid-not-signed-hashchain", VALID, None),
    ("wrong-message", "invalid_signature_value", None),
    ("invalid-signed-hashchain", "malformed_signature.invalid_hash_chain_ref", None),
    ("core-no-mimetype", "asic_mime_type_not_found", None),
    ("core-no-message", "asic_message_not_found", None),
    ("core-valid-signed-message-with-attachments", VALID, None),
];

/// Stricter than X-Road (§5.5): an attachment that differs makes a container invalid.
const WORKED: [Stated; 24] = [
    ("a-single", VALID, Some(("CWTEST/ORG/7001", "2026-11-21T16:49:57Z"))),
    ("b-multipart", VALID, Some(("CWTEST/ORG/7001", "2026-11-21T16:49:57Z"))),
    ("more/p-rsa-pss", VALID, None),
    ("more/p-ec-p384", VALID, None),
    ("more/p-ec-short-value", VALID, None),
    ("more/p-intermediate-ca", VALID, None),
    ("more/i-intermediate-digest", "malformed_signature", None),
    ("negative/a-message-modified", "invalid_signature_value", None),
    ("negative/a-no-timestamp", "malformed_signature", None),
    ("negative/a-timestamp-over-xml", "malformed_signature", None),
    ("negative/a-other-member", "incorrect_certificate", None),
    ("negative/a-signed-by-tsa-certificate", "malformed_signature", None),
    ("negative/a-ocsp-revoked", "invalid_cert_path.cert_validation", None),
    ("negative/a-ocsp-unknown", "invalid_cert_path.cert_validation", None),
    ("negative/a-ocsp-other-certificate", "invalid_cert_path.cert_validation", None),
    ("negative/a-ocsp-stale", "invalid_cert_path.incorrect_validation_info", None),
    ("negative/a-ocsp-unauthorised-responder", "invalid_cert_path.incorrect_validation_info", None),
    ("negative/b-attachment-modified", "malformed_signature.invalid_hash_chain_ref", None),
    ("negative/b-attachment-absent", VALID, None),
    ("negative/b-chain-attachment-digest-modified", "malformed_signature.invalid_hash_chain", None),
    ("negative/b-result-modified", "malformed_signature.invalid_hash_chain", None),
    ("negative/b-chain-missing", "asic_hash_chain_not_found", None),
    ("negative/b-ts-chain-modified", "malformed_signature", None),
    ("negative/b-ts-result-modified", "malformed_signature", None),
];

pub(super) fn cases(folder: &Folder) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut stated = |base: &str, configuration: &str, table: &[Stated]| {
        let trust = folder.trust(configuration);
        for (file, expected, details) in table {
            let name = format!("{base}/{file}.asice");
            let report = verify_container(&folder.read(&name), &trust, None);
            if let Some((signer, time)) = details {
                let member = report.signer.as_ref().map(|signer| signer.member().to_string());
                cases.push(Case::new(format!("{name}: signer"), *signer, or_none(member)));
                cases.push(Case::new(format!("{name}: time"), *time, or_none(report.timestamp)));
            }
            cases.push(Case::new(name, *expected, verdict(&report)));
        }
    };
    stated("evidence/containers", "evidence/globalconf/good2_v3", &GOOD2);
    stated("evidence/worked-example", "evidence/worked-example/globalconf", &WORKED);
    cases.extend(live(folder));
    cases
}

/// Containers that a running X-Road made. All verify.
fn live(folder: &Folder) -> Vec<Case> {
    let trust = folder.trust("live/globalconf-2/local-copy");
    let base = "live/evidence/containers";
    let mut cases = Vec::new();
    for file in folder.list(base) {
        let name = format!("{base}/{file}");
        let bytes = folder.read(&name);
        if file.ends_with(".zip") {
            for (inner, bytes) in entries(&bytes) {
                cases.push(live_case(format!("{name}/{inner}"), &bytes, &trust));
            }
        } else {
            cases.push(live_case(name, &bytes, &trust));
        }
    }
    cases
}

fn live_case(name: String, bytes: &[u8], trust: &TrustStore) -> Case {
    Case::new(name, VALID, verdict(&verify_container(bytes, trust, None)))
}

fn entries(bytes: &Bytes) -> Vec<(String, Vec<u8>)> {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) else { return Vec::new() };
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let Ok(mut entry) = archive.by_index(index) else { continue };
        let name = entry.name().map(|name| name.into_owned()).unwrap_or_default();
        let mut octets = Vec::new();
        if entry.read_to_end(&mut octets).is_ok() {
            entries.push((name, octets));
        }
    }
    entries
}

fn verdict(report: &Report) -> String {
    match report.fault() {
        None if report.is_valid() => VALID.to_owned(),
        None => "not valid".to_owned(),
        Some(fault) => fault.code.clone().into_owned(),
    }
}
