//! Runs every case of the vectors and prints how many there are and on how many we agree.
//!
//! `cargo test -p causeway-tests --test conformance -- --nocapture` shows the numbers, the cases that
//! are left out, and those that differ.

use std::path::{Path, PathBuf};

use causeway_tests::conformance::{
    Cases, evidence, globalconf, live, messages, recordings, subjects, vectors,
};

type Area = (&'static str, fn() -> Option<PathBuf>, fn(&Path) -> Cases);

const AREAS: [Area; 5] = [
    ("messages", vectors, messages::cases),
    ("globalconf", vectors, globalconf::cases),
    ("subjects", vectors, subjects::cases),
    ("evidence", vectors, evidence::cases),
    ("live", recordings, live::cases),
];

#[test]
fn verdicts_agree() {
    let (mut total, mut total_agree) = (0, 0);
    for (area, folder, cases) in AREAS {
        let Some(folder) = folder() else {
            println!("{area}: no vectors here, see CAUSEWAY_VECTORS");
            continue;
        };
        let report = cases(&folder);
        for case in report.disagreements() {
            println!("{area}: {}: expected {}, got {}", case.name, case.expected, case.got);
        }
        for skipped in &report.skipped {
            println!("{area}: {}: skipped, {}", skipped.name, skipped.reason);
        }
        let agree = report.cases.len() - report.disagreements().count();
        println!("{area}: {} cases, {agree} agree, {} skipped", report.cases.len(), report.skipped.len());
        assert!(!report.cases.is_empty(), "{area}: the folder has no cases");
        total += report.cases.len();
        total_agree += agree;
    }
    println!("{total} cases, {total_agree} agree");
    assert_eq!(total, total_agree, "verdicts differ");
}
