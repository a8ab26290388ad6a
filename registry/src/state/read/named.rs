//! The files that a state names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Longest file that a state may name.
const LONGEST_FILE: u64 = 1 << 20;

/// Gives the files that a state names.
pub trait Files {
    /// The content of a file by its path as it was written.
    ///
    /// # Errors
    /// A clause that says why there is no content.
    fn content(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// Files of the file system; relative paths start at a folder. It remembers what it gave out.
#[derive(Debug)]
pub struct Folder {
    folder: PathBuf,
    given: RefCell<BTreeMap<String, Vec<u8>>>,
    asked: RefCell<Vec<PathBuf>>,
}

impl Folder {
    /// Files below, or relative to, a folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), given: RefCell::default(), asked: RefCell::default() }
    }

    /// The files that were asked for, also in vain, and the contents that were given out by path as
    /// written.
    pub(in crate::state) fn into_given(self) -> (Vec<PathBuf>, BTreeMap<String, Vec<u8>>) {
        (self.asked.into_inner(), self.given.into_inner())
    }
}

impl Files for Folder {
    fn content(&self, path: &str) -> Result<Vec<u8>, String> {
        if let Some(content) = self.given.borrow().get(path) {
            return Ok(content.clone());
        }
        let full = self.folder.join(path);
        self.asked.borrow_mut().push(full.clone());
        let told = |error: std::io::Error| format!("cannot read {}: {error}", full.display());
        let mut content = Vec::new();
        let file = std::fs::File::open(&full).map_err(told)?;
        file.take(LONGEST_FILE + 1).read_to_end(&mut content).map_err(told)?;
        if content.len() as u64 > LONGEST_FILE {
            return Err(format!("{} is longer than {LONGEST_FILE} bytes", full.display()));
        }
        self.given.borrow_mut().insert(path.to_owned(), content.clone());
        Ok(content)
    }
}

impl Files for BTreeMap<String, Vec<u8>> {
    fn content(&self, path: &str) -> Result<Vec<u8>, String> {
        self.get(path).cloned().ok_or_else(|| format!("{path} was not kept"))
    }
}
