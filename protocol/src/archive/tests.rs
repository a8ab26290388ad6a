use std::io::{Cursor, Write as _};

use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::digest::DigestAlgorithm;

/// A zip of these entries.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, octets) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).expect("an entry");
        zip.write_all(octets).expect("memory");
    }
    zip.finish().expect("a zip").into_inner()
}

fn linker(previous: Option<&Link>, containers: &[(&str, &[u8])]) -> Linker {
    let mut linker = Linker::new(DigestAlgorithm::Sha256, previous);
    for (name, octets) in containers {
        linker.add(&DigestAlgorithm::Sha256.digest(octets), name);
    }
    linker
}

fn verify(bytes: &[u8], previous: Option<&str>) -> Result<String, ArchiveError> {
    let mut archive = Archive::open(Cursor::new(bytes), ArchiveLimits::default())?;
    archive.continues(previous)?;
    archive.verify()
}

const A: (&str, &[u8]) = ("a.asice", b"first");
const B: (&str, &[u8]) = ("b.asice", b"second");

#[test]
fn a_chain_over_two_archives() {
    let first = linker(None, &[A]);
    // Worked out by hand: hexadecimal texts are joined and hashed as text.
    let expected =
        DigestAlgorithm::Sha256.digest(DigestAlgorithm::Sha256.digest(b"first").to_hex().as_bytes());
    assert_eq!(first.last(), expected.to_hex());
    assert_eq!(first.text(), format!("- - SHA-256\n{} a.asice\n", first.last()));
    let link = Link { digest: first.last().to_owned(), file: "one.zip".to_owned() };
    let second = linker(Some(&link), &[B, A]);
    let bytes = zip(&[B, A, (LINKING_INFORMATION, second.text().as_bytes())]);
    assert_eq!(verify(&bytes, Some(first.last())).as_deref(), Ok(second.last()));
    assert!(matches!(verify(&bytes, None), Err(ArchiveError::OtherPrevious { .. })));
    assert!(matches!(verify(&bytes, Some(second.last())), Err(ArchiveError::OtherPrevious { .. })));
}

#[track_caller]
fn check(entries: &[(&str, &[u8])], expected: &ArchiveError) {
    assert_eq!(verify(&zip(entries), None).as_ref(), Err(expected));
}

#[test]
fn what_is_wrong_is_told() {
    let good = linker(None, &[A, B]);
    let info = (LINKING_INFORMATION, good.text().as_bytes());
    assert_eq!(verify(&zip(&[A, B, info]), None).as_deref(), Ok(good.last()));
    check(&[A, B], &ArchiveError::NoLinkingInformation);
    check(&[info], &ArchiveError::NoContainers);
    check(&[B, A, info], &ArchiveError::Broken("b.asice".to_owned()));
    check(&[A, ("b.asice", b"changed"), info], &ArchiveError::Broken("b.asice".to_owned()));
    check(&[A, info], &ArchiveError::OtherNames("it names others too".to_owned()));
    check(&[A, B, ("c.asice", b""), info], &ArchiveError::OtherNames("c.asice is not in it".to_owned()));
    check(&[A, B, ("note.txt", b""), info], &ArchiveError::StrangeEntry("note.txt".to_owned()));
    check(&[A, ("../b.asice", b"second"), info], &ArchiveError::StrangeEntry("../b.asice".to_owned()));
    for text in ["", "- -", "- - MD5\n", "- - SHA-256 x\n", "- - SHA-256\nabc\n", " - SHA-256\n"] {
        check(&[A, (LINKING_INFORMATION, text.as_bytes())], &ArchiveError::MalformedLinkingInformation);
    }
    let twice = format!("{}{}", good.text(), good.text().lines().last().unwrap_or_default());
    let named_twice = [A, B, (LINKING_INFORMATION, twice.as_bytes())];
    check(&named_twice, &ArchiveError::OtherNames("it names others too".to_owned()));
    assert!(matches!(verify(b"no zip", None), Err(ArchiveError::Damaged(_))));
}

#[test]
fn sizes_are_bounded() {
    let zeros = vec![0; 1 << 20];
    let large = ("a.asice", &zeros[..]);
    let linker = linker(None, &[large]);
    let bytes = zip(&[large, (LINKING_INFORMATION, linker.text().as_bytes())]);
    let verify = |limits| {
        Archive::open(Cursor::new(&bytes), limits).and_then(|mut archive| archive.verify()).map(drop)
    };
    let limits = ArchiveLimits { containers: 1, container: 1 << 20, total: 1 << 20 };
    assert_eq!(verify(limits), Ok(()));
    for smaller in [
        ArchiveLimits { containers: 0, ..limits },
        ArchiveLimits { container: (1 << 20) - 1, ..limits },
        ArchiveLimits { total: (1 << 20) - 1, ..limits },
    ] {
        assert_eq!(verify(smaller), Err(ArchiveError::TooLarge), "{smaller:?}");
    }
    let mut archive = Archive::open(Cursor::new(&bytes), limits).expect("an archive");
    assert_eq!(archive.container(0, 100), Err(ArchiveError::TooLarge));
    assert_eq!(archive.container(0, 1 << 20).map(|octets| octets.len()), Ok(1 << 20));
}

#[test]
fn names_of_files() {
    let times = (UtcTime::from_seconds(1_795_489_950), UtcTime::from_millis(1_795_490_017_900));
    let digest = "baa82b08a7038de9cc0664ba6fa2ff25";
    for (group, encrypted, expected) in [
        (None, false, "mlog-20261124031230-20261124031337-baa82b08a7038de9.zip"),
        (Some("DEV/COM/1"), false, "mlog-DEV_COM_1-20261124031230-20261124031337-baa82b08a7038de9.zip"),
        (Some("a:b\0č"), true, "mlog-a_b_č-20261124031230-20261124031337-baa82b08a7038de9.zip.gpg"),
    ] {
        assert_eq!(file_name(group, times, digest, encrypted), expected);
    }
    let long = file_name(Some(&"x".repeat(300)), times, digest, false);
    assert!(long.starts_with(&format!("mlog-{}2026", "x".repeat(200))), "{long}");
}

proptest! {
    #[test]
    fn no_panic_on_changed_archives(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let good = linker(None, &[A, B]);
        let mut bytes = zip(&[A, B, (LINKING_INFORMATION, good.text().as_bytes())]);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let _ = verify(&bytes, None);
    }

    #[test]
    fn no_panic_on_texts(text in ".{0,200}") {
        let _ = LinkingInformation::parse(&text);
    }
}
