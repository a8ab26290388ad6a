//! Verdicts of this implementation on the vectors of the specification.
//!
//! Each area reads vectors below [`vectors`] and reports one [`Case`] for every verdict that the
//! vectors state. `tests/tests/conformance.rs` compares them and prints the numbers.

use std::path::PathBuf;

pub mod evidence;
pub mod globalconf;
pub mod live;
pub mod messages;
pub mod subjects;

/// One stated verdict and ours, as short texts that are compared.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it stands in the vectors.
    pub name: String,
    /// What the vectors say.
    pub expected: String,
    /// What this implementation says.
    pub got: String,
}

impl Case {
    /// A case.
    pub fn new(name: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { name: name.into(), expected: expected.into(), got: got.into() }
    }

    /// Whether both verdicts are the same.
    pub fn agrees(&self) -> bool {
        self.expected == self.got
    }
}

/// A case of the vectors that is not run.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// Where it stands in the vectors.
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// All cases of one area.
#[derive(Clone, Debug, Default)]
pub struct Cases {
    /// Those that ran.
    pub cases: Vec<Case>,
    /// Those that did not.
    pub skipped: Vec<Skipped>,
}

/// The folder of the vectors: the variable `CAUSEWAY_VECTORS`, else `shared/vectors/xroad` beside the
/// repository. None if it is not there.
pub fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("CAUSEWAY_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/xroad"),
        PathBuf::from,
    );
    folder.join("evidence").is_dir().then_some(folder)
}
