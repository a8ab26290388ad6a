//! Runs every case of the vectors and prints how many there are and on how many we agree.
//!
//! The numbers, the cases that are left out and those that differ are printed also when all is well:
//! they go to the output itself, which the test harness does not hold back.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use causeway_tests::conformance::{
    Cases, descriptions, evidence, globalconf, live, management, messages, recordings, subjects, vectors,
};

fn tell(text: std::fmt::Arguments<'_>) {
    // A closed output is no reason to fail.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

type Area = (&'static str, fn() -> Option<PathBuf>, fn(&Path) -> Cases);

const AREAS: [Area; 8] = [
    ("messages", vectors, messages::cases),
    ("globalconf", vectors, globalconf::cases),
    ("subjects", vectors, subjects::cases),
    ("evidence", vectors, evidence::cases),
    ("service descriptions", vectors, descriptions::cases),
    ("management requests", vectors, management::worked),
    ("live", recordings, live::cases),
    ("live, management requests", recordings, management::recorded),
];

#[test]
fn verdicts_agree() {
    let (mut total, mut total_agree) = (0, 0);
    for (area, folder, cases) in AREAS {
        let Some(folder) = folder() else {
            tell(format_args!("{area}: SKIPPED, no vectors here, see CAUSEWAY_VECTORS"));
            continue;
        };
        let report = cases(&folder);
        for case in report.disagreements() {
            tell(format_args!("{area}: {}: expected {}, got {}", case.name, case.expected, case.got));
        }
        for skipped in &report.skipped {
            tell(format_args!("{area}: {}: skipped, {}", skipped.name, skipped.reason));
        }
        let agree = report.cases.len() - report.disagreements().count();
        tell(format_args!(
            "{area}: {} cases, {agree} agree, {} skipped",
            report.cases.len(),
            report.skipped.len()
        ));
        assert!(!report.cases.is_empty(), "{area}: the folder has no cases");
        total += report.cases.len();
        total_agree += agree;
    }
    tell(format_args!("{total} cases, {total_agree} agree"));
    assert_eq!(total, total_agree, "verdicts differ");
}
