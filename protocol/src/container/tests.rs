use std::io::{Cursor, Write as _};

use bytes::Bytes;
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::digest::DigestAlgorithm;
use crate::signature::{
    SignatureAlgorithm, SignatureScheme, SignedReference, SigningEvidence, insert_timestamp, prepare,
};
use crate::time::UtcTime;

fn signature() -> Bytes {
    let evidence = SigningEvidence {
        certificate: Bytes::from_static(b"a certificate"),
        issuer_name: "CN=CA".to_owned(),
        serial: "1".to_owned(),
        intermediates: Vec::new(),
        ocsp_responses: vec![Bytes::from_static(b"a response")],
    };
    let reference = SignedReference::Message(DigestAlgorithm::Sha512.digest(b"a message"));
    let algorithm = SignatureAlgorithm::new(SignatureScheme::Ecdsa, DigestAlgorithm::Sha256);
    prepare(&evidence, reference, algorithm, UtcTime::from_seconds(0)).finish(&[7; 64])
}

fn stamped() -> Bytes {
    insert_timestamp(&signature(), b"a token").expect("room for a time-stamp")
}

fn parts() -> ContainerParts<'static> {
    ContainerParts {
        time: UtcTime::from_seconds(1_795_279_797),
        message: Bytes::from_static(b"a message"),
        signature: stamped(),
        hash_chain: None,
        timestamp: ContainerTimestamp::InSignature,
        attachments: vec![Attachment::Memory(Bytes::from_static(b"a body"))],
    }
}

#[test]
fn what_was_written_is_read_back() {
    let bytes = write_container(parts()).expect("a container");
    assert_eq!(bytes.get(38..69), Some(MIME_TYPE.as_bytes()), "the media type is at a fixed offset");
    let container = Container::read(&bytes).expect("a container");
    assert_eq!(container.message(), "a message");
    assert_eq!(container.timestamp(), "a token");
    assert_eq!(container.stamped(), [7; 64]);
    let [attachment] = container.attachments() else { panic!("one attachment") };
    assert_eq!((attachment.name.as_str(), attachment.length), ("attachment1", 6));
    assert_eq!(container.attachment_octets(attachment).as_deref(), Ok(&b"a body"[..]));
    assert_eq!(
        container.attachment_digest(attachment, DigestAlgorithm::Sha256),
        Ok(DigestAlgorithm::Sha256.digest(b"a body"))
    );
    assert!(container.others().is_empty());

    let mut body = &b"a body"[..];
    let bytes = write_container(ContainerParts {
        signature: signature(),
        hash_chain: Some((Bytes::from_static(b"<r/>"), Bytes::from_static(b"<c/>"))),
        timestamp: ContainerTimestamp::Token {
            token: Bytes::from_static(b"a token"),
            hash_chain_result: Bytes::from_static(b"<tr/>"),
            hash_chain: Bytes::from_static(b"<tc/>"),
        },
        attachments: vec![Attachment::Reader(&mut body)],
        ..parts()
    })
    .expect("a container");
    let container = Container::read(&bytes).expect("a container");
    assert_eq!(container.stamped(), b"<tr/>");
    assert_eq!(
        container.hash_chain().map(|(result, chain)| (&result[..], &chain[..])),
        Some((&b"<r/>"[..], &b"<c/>"[..]))
    );
}

/// A zip of these entries.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, octets) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).expect("an entry");
        zip.write_all(octets).expect("memory");
    }
    zip.finish().expect("a zip").into_inner()
}

#[track_caller]
fn check(entries: &[(&str, &[u8])], expected: &str) {
    let bytes = zip(entries);
    assert_eq!(
        Container::read(&bytes).map(drop).map_err(|fault| fault.code.into_owned()),
        Err(expected.to_owned())
    );
}

#[test]
fn what_is_missing_is_named() {
    let stamped = stamped();
    let signature = signature();
    let mime = ("mimetype", MIME_TYPE.as_bytes());
    let message = ("message.xml", &b"a message"[..]);
    let signed = ("META-INF/signatures.xml", &stamped[..]);
    let result = ("sig-hashchainresult.xml", &b"<r/>"[..]);
    check(&[message, signed], code::MIME_TYPE_NOT_FOUND);
    check(&[("mimetype", b""), message, signed], code::MIME_TYPE_NOT_FOUND);
    check(&[("mimetype", b"x"), message, signed], code::INVALID_MIME_TYPE);
    check(&[mime, ("message.xml", b" \n"), signed], code::MESSAGE_NOT_FOUND);
    check(&[mime, message], code::SIGNATURE_NOT_FOUND);
    check(&[mime, message, signed, result], code::HASH_CHAIN_NOT_FOUND);
    check(&[mime, message, signed, ("ts-hashchain.xml", b"<c/>")], code::HASH_CHAIN_RESULT_NOT_FOUND);
    check(&[mime, message, signed, ("META-INF/timestamp.tst", b"")], code::TIMESTAMP_NOT_FOUND);
    check(&[mime, message, signed, ("META-INF/manifest.xml", b"")], code::MANIFEST_NOT_FOUND);
    check(&[mime, message, ("META-INF/signatures.xml", &signature)], "malformed_signature");
    check(&[mime, message, signed, ("MESSAGE.XML", b"another")], "internal_error");
    assert!(Container::read(&zip(&[mime, message, signed])).is_ok());
}

#[test]
fn sizes_are_bounded() {
    let zeros = vec![0; 1 << 20];
    let bytes = write_container(ContainerParts {
        attachments: vec![Attachment::Memory(Bytes::from(zeros))],
        ..parts()
    })
    .expect("a container");
    assert!(bytes.len() < 1 << 17, "it is a small bomb");
    let read = |limits| Container::read_within(&bytes, limits).is_ok();
    let limits = ContainerLimits { entries: 10, entry: 10_000, attachments: 1 << 20 };
    assert!(read(limits));
    assert!(!read(ContainerLimits { attachments: (1 << 20) - 1, ..limits }));
    assert!(!read(ContainerLimits { entry: 100, ..limits }));
    assert!(!read(ContainerLimits { entries: 3, ..limits }));
}

proptest! {
    #[test]
    fn no_panic_on_arbitrary_octets(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Container::read(&octets).is_err());
    }

    #[test]
    fn no_panic_on_changed_containers(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = write_container(parts()).expect("a container");
        for (index, octet) in changes {
            let position = index.index(bytes.len());
            bytes[position] = octet;
        }
        if let Ok(container) = Container::read(&bytes) {
            prop_assert_eq!(&container.message()[..], b"a message");
        }
    }
}
