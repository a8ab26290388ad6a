//! Every byte of a container is changed in turn; whatever is changed, the container is not accepted, save
//! bytes that the format does not protect.

use std::collections::BTreeMap;

use causeway::up::evidence;
use causeway::up::plan::NODES;
use certs::evidence::verify_container;

use crate::support::{Pilot, persons, run};

/// How the parts of a zip begin.
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const DIRECTORY: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";

#[test]
fn no_changed_byte_is_accepted() {
    run(async {
        let pilot = Pilot::start(17).await;
        let answer = pilot.get(0, &persons("/079200001234")).await;
        let id = answer.header("x-road-id").to_owned();
        let (_, trust) =
            evidence::configuration(&pilot.federation, &NODES[0]).await.expect("a configuration");
        let container = evidence::container(&pilot.federation, &NODES[0], &id, "responseOnly")
            .await
            .expect("a container");
        pilot.federation.stop().await;
        let report = verify_container(&container, &trust, None);
        assert!(report.is_valid(), "{report:#?}");

        // The lowest bit, letter case, the highest bit, all bits.
        let masks = [0x01, 0x20, 0x80, 0xff];
        let mut changed = container.to_vec();
        let mut accepted = Vec::new();
        for at in 0..changed.len() {
            for mask in masks {
                changed[at] ^= mask;
                if verify_container(&changed, &trust, None).is_valid() {
                    accepted.push(at);
                }
                changed[at] ^= mask;
            }
        }
        let mut reasons = BTreeMap::new();
        let mut unexplained = Vec::new();
        for at in &accepted {
            match unprotected(&container, *at) {
                Some(reason) => *reasons.entry(reason).or_insert(0) += 1,
                None => unexplained.push(*at),
            }
        }
        println!(
            "{} bytes changed in turn in {} ways: {} refused, {} accepted",
            container.len(),
            masks.len(),
            masks.len() * container.len() - accepted.len(),
            accepted.len()
        );
        for (reason, count) in &reasons {
            println!("  {count:>4} {reason}");
        }
        assert!(unexplained.is_empty(), "accepted, and no reason is known: {unexplained:?}");
        let tried = masks.len() * container.len();
        assert!(accepted.len() < tried / 10, "{} of {tried} accepted", accepted.len());
    });
}

/// Why a byte may be changed, if a reason is known: it belongs to the zip's own bookkeeping. The same list,
/// for people, stands in `docs/evidence.md`.
fn unprotected(container: &[u8], at: usize) -> Option<&'static str> {
    // Fields of local headers and of the directory, by offset from their signatures.
    for (signature, fields) in [
        (&LOCAL[..], &[(4..6, "version needed to extract"), (6..8, "flags")][..]),
        (
            &DIRECTORY[..],
            &[
                (4..6, "version of the writer"),
                (6..8, "version needed to extract"),
                (8..10, "flags"),
                (30..32, "length of an extra field"),
                (32..34, "length of a comment"),
                (34..36, "disk number"),
                (36..42, "file attributes"),
            ][..],
        ),
        (&END[..], &[(12..16, "size of the directory"), (20..22, "length of a comment")][..]),
    ] {
        for (fields_at, why) in fields {
            for offset in fields_at.clone() {
                let Some(start) = at.checked_sub(offset) else { continue };
                if container.get(start..start + 4) == Some(signature) {
                    return Some(why);
                }
            }
        }
    }
    let next = container.get(at + 1..at + 5);
    if next == Some(&LOCAL) || next == Some(&DIRECTORY) {
        return Some("unused bits after the end of compressed data");
    }
    let end = container.windows(4).rposition(|window| window == END)?;
    (at >= end + 22).then_some("comment of the zip")
}
