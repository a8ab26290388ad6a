//! Every byte of a container is changed in turn; whatever is changed, the container is not accepted, save
//! bytes that the format does not protect.

use causeway::up::evidence;
use causeway::up::plan::NODES;
use certs::evidence::verify_container;

use crate::support::{Pilot, persons, run};

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

        let mut changed = container.to_vec();
        let mut accepted = Vec::new();
        for at in 0..changed.len() {
            changed[at] ^= 0x20;
            if verify_container(&changed, &trust, None).is_valid() {
                accepted.push(at);
            }
            changed[at] ^= 0x20;
        }
        let unexplained: Vec<usize> =
            accepted.iter().copied().filter(|at| unprotected(&container, *at).is_none()).collect();
        println!(
            "{} bytes changed in turn: {} refused, {} accepted as bookkeeping that proves nothing",
            container.len(),
            container.len() - accepted.len(),
            accepted.len()
        );
        assert!(unexplained.is_empty(), "accepted, and no reason is known: {unexplained:?}");
        assert!(accepted.len() < container.len() / 10, "{} of {} accepted", accepted.len(), container.len());
    });
}

/// Why a byte may be changed, if a reason is known: it belongs to the zip's own bookkeeping.
fn unprotected(container: &[u8], at: usize) -> Option<&'static str> {
    // Fields of local headers and of the directory, by offset from their signatures.
    for (signature, fields) in [
        (
            &b"PK\x03\x04"[..],
            &[
                (4..6, "version needed"),
                (6..8, "flags"),
                (10..14, "time of the file"),
                (28..30, "extra length"),
            ][..],
        ),
        (
            &b"PK\x01\x02"[..],
            &[
                (4..6, "version made by"),
                (6..8, "version needed"),
                (8..10, "flags"),
                (12..16, "time of the file"),
                (34..36, "disk number"),
                (36..42, "attributes of the file"),
            ][..],
        ),
        (&b"PK\x05\x06"[..], &[(4..12, "disk numbers and counts")][..]),
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
    None
}
