//! Global configuration: anchors, directories, parameters, optional parts, local copies.

use bytes::Bytes;
use protocol::configuration::directory::{self, SignedDirectory};
use protocol::configuration::local::{LocalCopy, Purpose};
use protocol::configuration::{Anchor, ConfigurationError, node_classes, optional_parts, private, shared};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use protocol::time::UtcTime;

use crate::Target;

/// Targets of this module.
pub const TARGETS: &[(&str, Target)] = &[
    ("anchor", anchor),
    ("signed_directory", signed_directory),
    ("directory_content", directory_content),
    ("shared_parameters", shared_parameters),
    ("private_parameters", private_parameters),
    ("optional_parts", parts),
    ("node_classes", classes),
    ("local_copy_zip", local_copy_zip),
];

fn anchor(data: &[u8]) {
    if let Ok(anchor) = Anchor::parse(data) {
        let again = Anchor::parse(&anchor.to_xml()).expect("we read what we wrote");
        assert_eq!(again.to_xml(), anchor.to_xml());
    }
    let _ = Anchor::shown_hash(data);
}

const NOW: UtcTime = UtcTime::from_millis(1_400_000_000_000);

fn signed_directory(data: &[u8]) {
    let Ok(signed) = SignedDirectory::parse(data) else { return };
    let _ = (signed.signed_octets(), signed.signed_offset(), signed.signature_value());
    let refused = signed.verify(&[data.to_vec()], &|_, _, _, _| true, NOW);
    assert!(refused.is_err(), "no document has its own hash in it");
}

/// The signed half, in a document around it whose signature holds.
fn directory_content(data: &[u8]) {
    let boundary = data.strip_prefix(b"--").unwrap_or(data);
    let boundary: String = boundary
        .iter()
        .take(70)
        .take_while(|octet| octet.is_ascii_graphic())
        .map(|octet| char::from(*octet))
        .collect();
    let algorithm = SignatureAlgorithm::new(SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha512);
    let Some(document) = directory::assemble(data, &boundary, "outer", algorithm, b"certificate", b"value")
    else {
        return;
    };
    let Ok(signed) = SignedDirectory::parse(&document) else { return };
    let Ok(directory) = signed.verify(&[b"certificate".to_vec()], &|_, _, _, _| true, NOW) else { return };
    let _ = directory.stamp("DEV");
    for part in &directory.parts {
        let _ = (part.local_name(), directory.check_part(part, data));
    }
}

/// What is written leaves out what the version has no place for; what is written of that is the same.
fn shared_parameters(data: &[u8]) {
    for version in 0..=7 {
        let Ok(read) = shared::parse(data, version) else { continue };
        match shared::write(&read, version) {
            Ok(written) => {
                let again = shared::parse(&written, version).expect("we read what we wrote");
                assert_eq!(shared::write(&again, version).ok(), Some(written));
            }
            Err(ConfigurationError::Unwritable(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

fn private_parameters(data: &[u8]) {
    for version in 0..=7 {
        let Ok(read) = private::parse(data, version) else { continue };
        match private::write(&read, version) {
            Ok(written) => {
                assert_eq!(private::parse(&written, version).expect("we read what we wrote"), read)
            }
            Err(ConfigurationError::Unwritable(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

fn parts(data: &[u8]) {
    use optional_parts::{
        parse_fetch_interval, parse_monitoring, parse_next_update, write_fetch_interval, write_monitoring,
        write_next_update,
    };
    if let Ok(verify) = parse_next_update(data) {
        assert_eq!(parse_next_update(&write_next_update(verify)).ok(), Some(verify));
    }
    if let Ok(seconds) = parse_fetch_interval(data) {
        assert_eq!(parse_fetch_interval(&write_fetch_interval(seconds)).ok(), Some(seconds));
    }
    if let Ok(client) = parse_monitoring(data) {
        assert_eq!(parse_monitoring(&write_monitoring(client.as_ref())).ok(), Some(client));
    }
}

fn classes(data: &[u8]) {
    if let Ok(read) = node_classes::parse(data, "CW") {
        assert_eq!(node_classes::parse(&node_classes::write(&read, "CW"), "CW").ok(), Some(read));
    }
}

fn local_copy_zip(data: &[u8]) {
    let Ok(copy) = LocalCopy::from_zip(data) else { return };
    let _ = copy.state();
    for purpose in [Purpose::Running(NOW), Purpose::Evidence] {
        let _ = copy.load(purpose);
    }
    let again = LocalCopy::from_files(copy.files());
    assert!(again.files().map(|(path, _)| path).eq(copy.files().map(|(path, _): (String, Bytes)| path)));
}
