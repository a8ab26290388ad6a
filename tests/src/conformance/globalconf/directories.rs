//! Signed directories: signature, content and parts.

use std::collections::HashMap;
use std::path::Path;

use protocol::configuration::{Anchor, ConfigurationError, SignedDirectory, shared};
use protocol::digest::DigestAlgorithm;
use protocol::time::UtcTime;
use serde_json::Value;

use super::super::{Cases, files_below, read};
use super::{certificate, code, entries, time, verify};

/// The verdict on the signature alone, in the words of `expected.json`.
fn signature_verdict(document: &[u8], certificates: &[Vec<u8>], now: UtcTime) -> &'static str {
    match verify(document, certificates, now) {
        Err(ConfigurationError::NoVerificationCertificate) => "NO_CERT",
        Err(ConfigurationError::Signature) => "BAD_SIG",
        Err(ConfigurationError::MissingSignature) => "NOT_VERIFIABLE",
        _ => "OK",
    }
}

/// Range and digest of the signed octets.
fn signed_range(name: &str, document: &[u8], expected: &Value, cases: &mut Cases) {
    let Ok(signed) = SignedDirectory::parse(document) else { return };
    let octets = signed.signed_octets();
    let digest = DigestAlgorithm::Sha256.digest(octets).to_hex();
    for (key, got) in [
        ("signed_offset", Value::from(signed.signed_offset())),
        ("signed_length", Value::from(octets.len())),
        ("signed_sha256", Value::from(digest)),
        ("signature_algorithm", signed.algorithm().uri().map_or(Value::Null, Value::from)),
    ] {
        if let Some(expected) = expected.get(key) {
            cases.case(format!("{name}, {key}"), expected, got);
        }
    }
}

pub(super) fn signed_unit(folder: &Path, expected: &Value, cases: &mut Cases) {
    let folder = folder.join("signed-unit");
    let set = |name: &str| vec![certificate(&folder.join(name))];
    let (before, after) = (time("2026-05-20T17:42:55Z"), time("2026-05-20T17:42:56Z"));
    for (file, stated) in entries(expected, "signed-unit") {
        let document = read(&folder.join(file));
        signed_range(file, &document, stated, cases);
        for (pem, verdict) in entries(stated, "signature") {
            let got = signature_verdict(&document, &set(pem), before);
            cases.case(format!("{file} with {pem}"), verdict.as_str().unwrap_or_default(), got);
        }
    }
    for (file, pem, now, verdict) in [
        ("test-conf-simple.txt", "consumer.pem", before, "accepted"),
        ("test-conf-simple.txt", "consumer.pem", after, "global_conf_outdated"),
        ("test-conf-simple.txt", "producer.pem", before, "global_conf_missing_verification_cert"),
        ("test-conf-missing-date.txt", "consumer.pem", before, "global_conf_header_field_missing"),
        (
            "test-conf-invalid-signature.txt",
            "consumer.pem",
            before,
            "global_conf_signature_verification_failure",
        ),
        (
            "test-conf-malformed.txt",
            "consumer.pem",
            before,
            "global_conf_missing_signed_data_expiration_date",
        ),
    ] {
        let got = verify(&read(&folder.join(file)), &set(pem), now);
        cases.case(format!("{file}, {pem}, {now}"), verdict, code(&got));
        let Ok(directory) = got else { continue };
        cases.case(format!("{file}, version"), 2, directory.version);
        for part in &directory.parts {
            let name = part.local_name().unwrap_or_default();
            let bytes = read(&folder.join("test-conf-simple/EE").join(name));
            cases.case(format!("{file}, digest of {name}"), "accepted", code(&part.check(&bytes)));
        }
        cases.case(format!("{file}, parts"), 3, directory.parts.len());
    }
}

pub(super) fn signed_central(folder: &Path, expected: &Value, cases: &mut Cases) {
    let folder = folder.join("signed-central");
    let now = time("2026-01-01T00:00:00Z");
    let anchor = Anchor::parse(&read(&folder.join("configuration_anchor_CS_internal.xml")));
    let anchored: Vec<Vec<u8>> = anchor
        .iter()
        .flat_map(|anchor| &anchor.sources)
        .flat_map(|source| source.verification_certs.clone())
        .collect();
    for (file, stated) in entries(expected, "signed-central") {
        let document = read(&folder.join(file));
        signed_range(file, &document, stated, cases);
        let (tree, version) = file.split_once('/').unwrap_or_default();
        let version_folder = version.split('/').next().unwrap_or_default();
        for (set, verdict) in entries(stated, "signature") {
            let certificates = if set == "anchor" {
                anchored.clone()
            } else {
                let from = if set.starts_with("own") { tree } else { "public" };
                listed(&folder.join(from).join(version_folder), set.contains("internal"))
            };
            let got = signature_verdict(&document, &certificates, now);
            cases.case(format!("{file} with {set}"), verdict.as_str().unwrap_or_default(), got);
        }
        central_parts(&folder, tree, file, &document, stated, &anchored, cases);
    }
}

fn central_parts(
    folder: &Path,
    tree: &str,
    file: &str,
    document: &[u8],
    stated: &Value,
    anchored: &[Vec<u8>],
    cases: &mut Cases,
) {
    let now = time("2026-01-01T00:00:00Z");
    let version_folder = file.split('/').nth(1).unwrap_or_default();
    let mut all = anchored.to_vec();
    for tree in ["public", "rotated"] {
        all.extend(listed(&folder.join(tree).join(version_folder), true));
        all.extend(listed(&folder.join(tree).join(version_folder), false));
    }
    let Ok(directory) = verify(document, &all, now) else {
        return cases.case(format!("{file}, read"), "accepted", "refused");
    };
    let first = stated.get("first_part").cloned().unwrap_or_default();
    let date = first.get("expire-date").and_then(Value::as_str).unwrap_or_default();
    cases.case(format!("{file}, expiry"), date, directory.expires);
    let version = first.get("version").and_then(Value::as_str).unwrap_or_default();
    cases.case(format!("{file}, version"), version, directory.version);
    let parts = stated.get("parts").and_then(Value::as_array).cloned().unwrap_or_default();
    cases.case(format!("{file}, parts"), parts.len(), directory.parts.len());
    for (stated, part) in parts.iter().zip(&directory.parts) {
        let location = stated.get("content_location").and_then(Value::as_str).unwrap_or_default();
        cases.case(format!("{file}, location"), location, &part.location);
        let bytes = read(&folder.join(tree).join(location.trim_start_matches('/')));
        let fits = stated.get("hash_matches_file") == Some(&Value::Bool(true));
        let expected = match (fits, version, location.ends_with("shared-params.xml")) {
            (false, _, _) => "global_conf_part_downloaded_file_integrity_failure",
            (true, "3", true) => "malformed_global_conf", // has ACME profile ids, which came with version 4
            (true, _, _) => "accepted",
        };
        cases.case(format!("{file}, {location}"), expected, code(&directory.check_part(part, &bytes)));
    }
}

/// The verification certificates that the shared parameters below a folder list.
fn listed(folder: &Path, internal: bool) -> Vec<Vec<u8>> {
    let mut certificates = Vec::new();
    for file in files_below(folder).iter().filter(|file| file.ends_with("shared-params.xml")) {
        // The file of version 3 breaks its schema; only its certificates are wanted.
        let bytes = read(file);
        let Ok(parameters) = (3..=6)
            .rev()
            .map(|version| shared::parse(&bytes, version))
            .find(Result::is_ok)
            .unwrap_or(Err(ConfigurationError::MissingSignedData))
        else {
            continue;
        };
        for source in parameters.sources {
            certificates.extend(if internal {
                source.internal_verification_certs
            } else {
                source.external_verification_certs
            });
        }
    }
    certificates
}

pub(super) fn worked(folder: &Path, cases: &mut Cases) {
    let expected: Value = serde_json::from_slice(&read(&folder.join("expected.json"))).unwrap_or_default();
    let now = time(expected.get("clock").and_then(Value::as_str).unwrap_or_default());
    let certificates: Vec<Vec<u8>> =
        ["signer-rsa.pem", "signer-ec.pem"].iter().map(|name| certificate(&folder.join(name))).collect();
    let parts: HashMap<&str, Vec<u8>> = HashMap::from([
        ("SHARED-PARAMETERS", read(&folder.join("shared-params.xml"))),
        ("PRIVATE-PARAMETERS", read(&folder.join("private-params.xml"))),
    ]);
    for (file, stated) in entries(&expected, "cases") {
        let document = read(&folder.join(file));
        signed_range(&format!("worked/{file}"), &document, stated, cases);
        let verdict = verify(&document, &certificates, now).and_then(|directory| {
            for part in &directory.parts {
                let bytes = part.content_identifier.as_deref().and_then(|name| parts.get(name));
                directory.check_part(part, bytes.map(Vec::as_slice).unwrap_or_default())?;
            }
            Ok(())
        });
        let got = match &verdict {
            Err(ConfigurationError::UnsupportedVersion(_)) => "unsupported version",
            verdict => code(verdict),
        };
        let stated = stated.get("expected").and_then(Value::as_str).unwrap_or_default();
        cases.case(format!("worked/{file}"), stated, got);
    }
}
