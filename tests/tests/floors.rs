//! The structure of the workspace, kept by a test: crates only look down, files stay readable, and
//! nothing unfinished stands in the code.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The floor of a crate; a crate may use only crates of lower floors (ARCHITECTURE.md).
fn floor(name: &str) -> Option<u8> {
    Some(match name {
        "causeway-protocol" => 0,
        "causeway-certs" => 1,
        "causeway-gateway" => 2,
        "causeway-administration" => 3,
        "causeway-security-server" | "causeway-registry" => 4,
        "causeway" => 5,
        "causeway-tests" => 6,
        _ => return None,
    })
}

/// The folders of the workspace's crates.
const PARTS: [&str; 8] =
    ["protocol", "certs", "gateway", "administration", "security-server", "registry", "causeway", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Each crate of the workspace with the crates it depends on.
fn workspace_dependencies() -> Vec<(String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &serde_json::Value| value["name"].as_str().expect("a name").to_owned();
    packages
        .iter()
        .map(|package| {
            let used = package["dependencies"].as_array().expect("dependencies").iter().map(name).collect();
            (name(package), used)
        })
        .collect()
}

#[test]
fn crates_only_look_down() {
    let crates = workspace_dependencies();
    assert_eq!(crates.len(), 8, "a new crate needs a floor");
    for (user, used) in crates {
        let own = floor(&user).unwrap_or_else(|| panic!("{user} has no floor"));
        for used in used {
            if let Some(below) = floor(&used) {
                assert!(below < own, "{user} must not import {used}");
            }
        }
    }
}

/// The protocol does no IO: none of these may be named outside its tests.
#[test]
fn protocol_touches_no_system() {
    for file in sources(&root().join("protocol/src")) {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for banned in
            ["std::fs", "std::net", "std::thread", "SystemTime::now", "Instant::now", "std::env", "tokio"]
        {
            assert!(!code.contains(banned), "{} names {banned}", file.display());
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn files_are_readable_and_finished() {
    let marks = ["todo", "unimplemented"].map(|name| format!("{name}!("));
    let skip = format!("#[{}", "ignore");
    let allow = format!("#[{}(", "allow");
    let mut seen = 0;
    for part in PARTS {
        for file in sources(&root().join(part)) {
            seen += 1;
            let text = std::fs::read_to_string(&file).expect("a source file");
            let lines = text.lines().count();
            assert!(lines <= 600, "{} has {lines} lines: two concepts in one file?", file.display());
            for mark in marks.iter().chain([&skip, &allow]) {
                assert!(!text.contains(mark.as_str()), "{} has {mark}", file.display());
            }
        }
    }
    assert!(seen > 30, "only {seen} files found");
}

#[test]
fn unsafe_code_is_forbidden_everywhere() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    for part in PARTS {
        let manifest = std::fs::read_to_string(root().join(part).join("Cargo.toml")).expect("Cargo.toml");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{part} does not take the workspace's lints");
    }
}
