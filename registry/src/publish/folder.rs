//! The published files on disk, for mirrors and for whoever wants to look.
//!
//! ```text
//! published/V6/internalconf
//! published/V6/externalconf
//! published/V6/<stamp>/shared-params.xml
//! ```
//!
//! Parts are written and synced before the directories that name them take their places, one rename
//! each after all were written. What is served comes from memory, so a full disk stops no client.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use super::Published;
use crate::files;

/// The folder of published files.
#[derive(Debug)]
pub(crate) struct PublishedFolder {
    folder: PathBuf,
    written: HashSet<String>,
}

impl PublishedFolder {
    /// A folder whose parts, left by an earlier run, are removed: their directories are replaced at
    /// once by the first round.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, written: HashSet::new() }
    }

    /// Writes a round.
    pub(crate) fn write(&mut self, published: &Published) -> io::Result<()> {
        let mut folders = HashSet::new();
        for (path, bytes) in &published.parts {
            if self.written.contains(path) {
                continue;
            }
            let file = self.place(path);
            if let Some(folder) = file.parent() {
                files::make_folder(folder, 0o755)?;
                folders.insert(folder.to_owned());
            }
            files::write(&file, bytes, 0o644)?;
            self.written.insert(path.clone());
        }
        for folder in &folders {
            files::sync_folder(folder)?;
        }
        let mut renames = Vec::new();
        for ((kind, version), bytes) in &published.directories {
            let folder = self.folder.join(format!("V{version}"));
            let (file, beside) =
                (folder.join(kind.directory()), folder.join(format!("{}.tmp", kind.directory())));
            files::write(&beside, bytes, 0o644)?;
            renames.push((beside, file));
        }
        for (beside, file) in renames {
            std::fs::rename(beside, file)?;
        }
        self.sweep(published)
    }

    /// Removes parts that are no longer served, and those of earlier runs.
    fn sweep(&mut self, published: &Published) -> io::Result<()> {
        self.written.retain(|path| published.parts.contains_key(path));
        let used: HashSet<PathBuf> =
            self.written.iter().filter_map(|path| Some(self.place(path).parent()?.to_owned())).collect();
        for version in subfolders(&self.folder)? {
            for stamp in subfolders(&version)? {
                if !used.contains(&stamp) {
                    std::fs::remove_dir_all(stamp)?;
                }
            }
        }
        Ok(())
    }

    fn place(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }
}

fn subfolders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
