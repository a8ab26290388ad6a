//! Notices that the file of a state, or one that it names, has changed.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Two changes within this time may leave the same stamp.
const GRAIN: Duration = Duration::from_secs(2);

/// A file with those that it names.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    stamps: BTreeMap<PathBuf, Option<Stamp>>,
    /// All files are old enough for a later change to show in their stamps.
    settled: bool,
}

/// What the system says about a file without its being read.
#[derive(Debug, Eq, PartialEq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Watched {
    /// Watches a file; it counts as changed until it was read.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), stamps: BTreeMap::new(), settled: false }
    }

    /// The file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the files may differ from what was read last.
    pub fn may_have_changed(&self) -> bool {
        !self.settled || self.stamps.iter().any(|(path, stamp)| Stamp::of(path) != *stamp)
    }

    /// Counts as changed until it is read again.
    pub(super) fn read_again(&mut self) {
        self.settled = false;
    }

    /// Remembers the files as they are just after they were read.
    pub(super) fn was_read(&mut self, named: Vec<PathBuf>) {
        let files = named.into_iter().chain([self.path.clone()]);
        self.stamps = files.map(|path| (path.clone(), Stamp::of(&path))).collect();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let old = |stamp: &Stamp| {
            u64::try_from(stamp.changed.0).is_ok_and(|at| at + GRAIN.as_secs() < now.as_secs())
        };
        self.settled = self.stamps.values().flatten().all(old);
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Some(Self { inode: metadata.ino(), length: metadata.len(), changed })
    }
}
