//! The checked-in OpenAPI document is what the table says.

use std::path::{Path, PathBuf};

/// A file of `docs/api`.
pub(crate) fn checked_in(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("docs/api").join(name)
}

/// Compares a checked-in file with what it should say; with `CAUSEWAY_WRITE_DOCS=1` it is written.
pub(crate) fn agree(name: &str, expected: &str) {
    let file = checked_in(name);
    if std::env::var_os("CAUSEWAY_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(&file, expected).expect("written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differing = found.lines().zip(expected.lines()).position(|(one, other)| one != other);
    assert!(
        found == expected,
        "docs/api/{name} differs at line {}; CAUSEWAY_WRITE_DOCS=1 cargo test -p causeway-tests --test \
         registry_api writes it anew",
        differing.map_or(0, |line| line + 1)
    );
}

#[test]
fn the_document_is_checked_in() {
    let document = registry::api::api().document(env!("CARGO_PKG_VERSION"));
    let text = serde_saphyr::to_string(&document).expect("YAML");
    agree("registry.yaml", &text);
}
