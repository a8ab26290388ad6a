//! Bytes from strangers are refused or read, and never make us panic.

use std::sync::LazyLock;

use certs::ca::{PilotCa, Settings};
use certs::ocsp::{self, OcspResponse};
use certs::timestamp::{self, TimestampToken};
use proptest::prelude::*;
use protocol::digest::DigestAlgorithm;
use protocol::time::UtcTime;

/// An authority, and good messages of each kind.
struct Samples {
    ca: PilotCa,
    messages: [Vec<u8>; 4],
}

fn now() -> UtcTime {
    UtcTime::from_seconds(1_795_000_000)
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("ca");
    let ca = PilotCa::create(&place, "1234", &Settings::for_instance("CW"), now()).expect("an authority");
    let question = ocsp::request(ca.timestamp_certificate(), ca.certificate());
    let query = timestamp::request(&DigestAlgorithm::Sha256.digest(b"x"));
    let messages = [ca.ocsp_answer(&question, now()), ca.timestamp_answer(&query, now()), question, query];
    Samples { ca, messages }
});

/// Everything that reads.
fn read(bytes: &[u8]) {
    let imprint = DigestAlgorithm::Sha256.digest(b"x");
    let _ = OcspResponse::parse(bytes.to_vec());
    let _ = ocsp::Request::parse(bytes);
    let _ = TimestampToken::from_response(bytes, &imprint);
    if let Ok(token) = TimestampToken::parse(bytes.to_vec()) {
        let _ = token.with_certificate(b"\x30\0");
    }
    let _ = timestamp::Request::parse(bytes);
    assert!(!SAMPLES.ca.ocsp_answer(bytes, now()).is_empty());
    assert!(!SAMPLES.ca.timestamp_answer(bytes, now()).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read(&bytes);
    }

    #[test]
    fn damaged_messages(which in 0_usize..4, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), end in any::<prop::sample::Index>()) {
        let mut bytes = SAMPLES.messages[which].clone();
        for (place, octet) in changes {
            let place = place.index(bytes.len());
            bytes[place] = octet;
        }
        read(&bytes);
        // The token inside a response, and messages cut short.
        read(bytes.get(9..).unwrap_or_default());
        bytes.truncate(end.index(bytes.len()));
        read(&bytes);
    }
}

#[test]
fn messages_are_bounded() {
    let mut large = vec![0x30, 0x83, 0x10, 0, 0];
    large.resize(0x10_0005, 0);
    read(&large);
    assert!(OcspResponse::parse(large.clone()).is_err());
    assert!(TimestampToken::parse(large).is_err());
    // One request for very many certificates.
    let id = &SAMPLES.messages[2][8..];
    assert!(ocsp::Request::parse(id).is_err());
}
