//! Canonical XML against libxml2 and xmlsec on generated documents.

use std::process::Command;

#[test]
fn canonical_forms_are_those_of_libxml2() {
    let kit = concat!(env!("CARGO_MANIFEST_DIR"), "/kits/c14n.py");
    let program = env!("CARGO_BIN_EXE_canonicalise");
    let Ok(run) = Command::new("python3").args([kit, program, "3000", "20261124"]).output() else {
        eprintln!("SKIPPED: python3 is missing");
        return;
    };
    let errors = String::from_utf8_lossy(&run.stderr);
    match run.status.code() {
        Some(0) => println!("{}", String::from_utf8_lossy(&run.stdout).trim()),
        Some(2) => eprintln!("SKIPPED: {errors}"),
        _ => panic!("canonical forms differ:\n{}{errors}", String::from_utf8_lossy(&run.stdout)),
    }
}
