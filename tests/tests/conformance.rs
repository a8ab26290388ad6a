//! Runs every case of the vectors and prints how many there are and on how many we agree.

use std::path::Path;

use causeway_tests::conformance::{
    Cases, evidence, globalconf, live, messages, recordings, subjects, vectors,
};

#[track_caller]
fn check(area: &str, folder: Option<std::path::PathBuf>, cases: impl FnOnce(&Path) -> Cases) {
    let Some(folder) = folder else {
        println!("{area}: no vectors here, see CAUSEWAY_VECTORS");
        return;
    };
    let report = cases(&folder);
    for case in report.disagreements() {
        println!("{area}: {}: expected {}, got {}", case.name, case.expected, case.got);
    }
    for skipped in &report.skipped {
        println!("{area}: {}: skipped, {}", skipped.name, skipped.reason);
    }
    let disagreements = report.disagreements().count();
    let agree = report.cases.len() - disagreements;
    println!("{area}: {} cases, {agree} agree, {} skipped", report.cases.len(), report.skipped.len());
    assert!(!report.cases.is_empty(), "{area}: the folder has no cases");
    assert_eq!(disagreements, 0, "{area}: verdicts differ");
}

#[test]
fn messages_agree() {
    check("messages", vectors(), messages::cases);
}

#[test]
fn global_configuration_agrees() {
    check("globalconf", vectors(), globalconf::cases);
}

#[test]
fn recordings_agree() {
    check("live", recordings(), live::cases);
}

#[test]
fn evidence_agrees() {
    check("evidence", vectors(), evidence::cases);
}

#[test]
fn certificate_subjects_agree() {
    check("certificate subjects", vectors(), subjects::cases);
}
