use proptest::prelude::*;

use super::*;
use crate::configuration::SignedDirectory;
use crate::digest::DigestAlgorithm;

const ALGORITHM: SignatureAlgorithm =
    SignatureAlgorithm::new(SignatureScheme::Ecdsa, DigestAlgorithm::Sha512);
const CERTIFICATE: &[u8] = b"certificate";

fn part(identifier: &str, location: &str) -> Part {
    Part {
        content_identifier: Some(identifier.to_owned()),
        instance: Some("I".to_owned()),
        location: location.to_owned(),
        file_name: None,
        digest: DigestAlgorithm::Sha512.digest(location.as_bytes()),
    }
}

fn now() -> UtcTime {
    UtcTime::from_seconds(1_800_000_000)
}

/// The signature value is the digest of what is signed.
fn sign(signed: &[u8]) -> Vec<u8> {
    let value = DigestAlgorithm::Sha256.digest(signed);
    assemble(signed, "inner", "outer", ALGORITHM, CERTIFICATE, value.bytes()).expect("a named algorithm")
}

fn verify(document: &[u8]) -> Result<Directory, ConfigurationError> {
    SignedDirectory::parse(document)?.verify(
        &[b"other".to_vec(), CERTIFICATE.to_vec()],
        &|_, algorithm, signed, value| {
            algorithm == ALGORITHM && DigestAlgorithm::Sha256.digest(signed).bytes() == value
        },
        now(),
    )
}

#[test]
fn what_is_written_reads_the_same() {
    let parts = vec![
        part(SHARED_PARAMETERS, "/V6/20261124030558987226000/shared-params.xml"),
        part("FOO", "/V6/20261124030558987227000/foo.xml"),
        Part { content_identifier: None, instance: None, ..part("", "http://x/a/b.xml?q=/c") },
    ];
    let directory = Directory { expires: now(), version: 3, parts };
    let document = sign(&content(now(), 3, &directory.parts, "inner"));
    assert_eq!(verify(&document), Ok(directory.clone()));
    assert_eq!(directory.stamp("I"), Stamp::newest(["/V6/20261124030558987227000/x"].into_iter()));
    assert!(directory.part(SHARED_PARAMETERS, "I").is_some());
    assert!(directory.part(SHARED_PARAMETERS, "J").is_none());
    let names: Vec<_> = directory.parts.iter().map(|part| part.local_name().expect("plain")).collect();
    assert_eq!(names, ["shared-params.xml", "foo.xml", "b.xml"]);
}

/// Changes the signed octets, signs them, and tells what is said about it.
#[track_caller]
fn check(from: &str, to: &str, expected: Result<(), &str>) {
    let parts = [part(SHARED_PARAMETERS, "/V6/1/shared-params.xml"), part("FOO", "/V6/1/foo.xml")];
    let text = String::from_utf8(content(now(), 6, &parts, "inner")).expect("text");
    assert!(text.contains(from), "{from}");
    let got = verify(&sign(text.replacen(from, to, 1).as_bytes()));
    assert_eq!(got.map(drop).map_err(|error| error.code()), expected, "{from} -> {to}");
}

#[test]
fn readers_are_strict_where_it_matters() {
    check("Version: 6\r\n", "", Ok(()));
    check("Version: 6", "version: 2", Ok(()));
    check("--inner--\r\n", "", Ok(()));
    check("Content-type: app", "CONTENT-TYPE:app", Ok(()));
    check("instance='I'", "instance=\"I\"", Ok(()));
    check("instance='I'", "instance=I", Ok(()));
    check("FOO; instance='I'", "", Ok(()));
    check("Version: 6", "Version: 7", Err("malformed_global_conf"));
    check("Version: 6", "Version: six", Err("malformed_global_conf"));
    check("Expire-date: ", "Expire-date: x", Err("global_conf_header_field_wrong_value"));
    check("Expire-date: ", "Other: ", Err("global_conf_header_field_missing"));
    check("Expire-date: 2027", "Expire-date: 2026", Err("global_conf_outdated"));
    check("application/octet-stream", "text/plain", Err("global_conf_header_field_wrong_value"));
    check("encoding: base64", "encoding: 8bit", Err("global_conf_header_field_wrong_value"));
    check(
        "SHARED-PARAMETERS; instance='I'",
        "SHARED-PARAMETERS",
        Err("global_conf_header_field_missing_parameter"),
    );
    check("instance='I'", "instance=''", Err("global_conf_header_field_missing_parameter"));
    check("Content-location: /V6/1/shared-params.xml\r\n", "", Err("global_conf_header_field_missing"));
    check("2001/04/xmlenc#sha512", "2000/09/xmldsig#sha1", Err("global_conf_header_field_wrong_value"));
    check("/foo.xml", "/..", Err("malformed_global_conf"));
    check("/foo.xml", "/a%2fb", Err("malformed_global_conf"));
    check("/foo.xml", "/shared-params.xml", Err("malformed_global_conf"));
    check(
        "Content-location: /V6/1/foo.xml",
        "Content-file-name: ../x\r\nContent-location: /a",
        Err("malformed_global_conf"),
    );
    check(
        "Content-type",
        "Content-type: x\r\nContent-type",
        Err("global_conf_parsing_downloaded_conf_directory_failure"),
    );
}

#[test]
fn signatures_are_judged_first() {
    let signed = content(now(), 6, &[part("FOO", "/foo.xml")], "inner");
    let document = String::from_utf8(sign(&signed)).expect("text");
    let check = |document: &str, expected: &str| {
        assert_eq!(verify(document.as_bytes()).map_err(|error| error.code()), Err(expected), "{document}");
    };
    check(&document.replace("foo.xml", "bar.xml"), "global_conf_signature_verification_failure");
    check(&document.replace("\r\n", "\n"), "global_conf_signature_verification_failure");
    check(&document.replace("ecdsa-sha512", "ecdsa-sha1"), "global_conf_header_field_wrong_value");
    check(
        &document.replace("boundary=inner", "boundary=inne"),
        "global_conf_parsing_downloaded_conf_directory_failure",
    );
    check(&document.replace("boundary=outer", "boundary=other"), "global_conf_missing_signed_data");
    let third = document.replace("--outer--", "--outer\r\n\r\nmore\r\n--outer--");
    check(&third, "global_conf_parsing_downloaded_conf_directory_failure");
    let unsigned = document.split("\r\n--outer\r\nContent-Type: application").next().unwrap_or_default();
    check(unsigned, "global_conf_missing_signed_data_expiration_date");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = verify(&bytes);
    }

    #[test]
    fn changed_directories_never_panic(at in 0usize..900, with in any::<u8>()) {
        let mut document = sign(&content(now(), 6, &[part("FOO", "/foo.xml")], "inner"));
        if let Some(byte) = document.get_mut(at) {
            *byte = with;
        }
        let _ = verify(&document);
    }
}

#[test]
fn stamps_of_one_clock_are_compared() {
    let stamp = |location: &'static str| Stamp::newest(std::iter::once(location));
    for (one, other, before) in [
        ("/V6/20261124030558987226000/s.xml", "/V6/20261124030558987227000/p.xml", Some(true)),
        ("/V6/20261124030558987227000/s.xml", "/V6/20261124030558987227000/p.xml", Some(false)),
        ("/V6/20261124030558987226000/s.xml", "/V5/20261124030558987227000/s.xml", None),
        ("/P/1732417558987/DEV/V6/20261124030558987226000/s.xml", "/V6/20261124030558987227000/s.xml", None),
        ("/V6/1732417558987/s.xml", "/V6/20261124030558987227000/s.xml", None),
    ] {
        let got = stamp(one).zip(stamp(other)).and_then(|(one, other)| one.is_before(&other));
        assert_eq!(got, before, "{one} {other}");
    }
    assert_eq!(stamp("/V6/shared-params.xml"), None);
}
