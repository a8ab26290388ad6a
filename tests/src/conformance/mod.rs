//! Verdicts of this implementation on the vectors of the specification.
//!
//! Each area reads vectors below [`vectors`] and reports one [`Case`] for every verdict that the
//! vectors state. `tests/tests/conformance.rs` compares them and prints the numbers.

use std::fmt::Display;
use std::path::{Path, PathBuf};

pub mod descriptions;
pub mod evidence;
pub mod globalconf;
pub mod http;
pub mod live;
pub mod management;
pub mod messages;
pub mod replay;
mod soap;
pub mod subjects;
pub mod transport;

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

impl Cases {
    /// Adds a case that ran.
    pub fn case(&mut self, name: impl Display, expected: impl Display, got: impl Display) {
        self.cases.push(Case::new(name.to_string(), expected.to_string(), got.to_string()));
    }

    /// Adds a case that did not.
    pub fn skip(&mut self, name: impl Display, reason: impl Display) {
        self.skipped.push(Skipped { name: name.to_string(), reason: reason.to_string() });
    }

    /// The cases whose verdicts differ.
    pub fn disagreements(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| !case.agrees())
    }
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

/// The folder with recordings of a running federation: the variable `CAUSEWAY_RECORDINGS`, else `live`
/// among the vectors. None if it is not there.
pub fn recordings() -> Option<PathBuf> {
    std::env::var_os("CAUSEWAY_RECORDINGS")
        .map(PathBuf::from)
        .or_else(|| Some(vectors()?.join("live")))
        .filter(|folder| folder.is_dir())
}

/// The bytes of a file of the vectors. A missing file means that the vectors are broken: empty bytes
/// agree with nothing.
fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

/// Files of a folder and of its subfolders, in order.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
