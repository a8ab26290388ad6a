//! The hashes of the tree over sealed segments, as flat files: one level of files for every eight
//! levels of the tree, as the tiles of C2SP `tlog-tiles` joined end to end.
//!
//! `tree/level-0` has the leaf hashes; `tree/level-1` the roots of every 256 leaves; and so on. All of it
//! can be computed again from the segments.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::merkle::{Frontier, Hash, Subtrees, node_hash};
use super::segment::{Index, ReadError, Segment, read};
use super::storage::Storage;

/// Levels of the tree between two files.
const STEP: u32 = 8;

fn level_path(folder: &Path, level: u32) -> PathBuf {
    folder.join("tree").join(format!("level-{level}"))
}

/// Hashes that are to be appended to the files: level above 0, and hash, in order.
pub(super) type Upper = Vec<(u32, Hash)>;

/// Adds a leaf and notes the hashes that belong in files above level 0.
pub(super) fn push(frontier: &mut Frontier, leaf: Hash, upper: &mut Upper) {
    frontier.push(leaf, |height, hash| {
        if height > 0 && height % STEP == 0 {
            upper.push((height / STEP, hash));
        }
    });
}

/// Appends the leaves of a segment, of which the first has the number `first`, and makes them durable.
/// Doing it twice changes nothing.
pub(super) fn append(
    storage: &dyn Storage,
    folder: &Path,
    first: u64,
    leaves: &[Hash],
    upper: &Upper,
) -> io::Result<()> {
    let top = upper.iter().map(|(level, _)| *level).max().unwrap_or(0);
    for level in 0..=top {
        let hashes: Vec<u8> = if level == 0 {
            leaves.concat()
        } else {
            upper.iter().filter(|(other, _)| *other == level).flat_map(|(_, hash)| *hash).collect()
        };
        let path = level_path(folder, level);
        let file = match storage.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => storage.create(&path)?,
            other => other?,
        };
        file.write_at(&hashes, (first >> (STEP * level)) * 32)?;
        file.sync()?;
    }
    storage.sync_folder(&folder.join("tree"))
}

/// Whether the files have all hashes of a tree of `size` leaves.
pub(super) fn is_complete(folder: &Path, size: u64) -> bool {
    (0..8).all(|level| {
        let hashes = size.checked_shr(STEP * level).unwrap_or(0);
        let length = std::fs::metadata(level_path(folder, level)).map_or(0, |state| state.len());
        length >= hashes * 32
    })
}

/// Where a hash of the tree is found.
pub(super) struct Tree {
    folder: PathBuf,
    /// The open segment: its leaves are not in the files.
    last: Arc<Segment>,
}

impl Tree {
    pub(super) fn new(folder: &Path, last: Arc<Segment>) -> Self {
        Self { folder: folder.to_owned(), last }
    }

    /// Hashes from a file, as many as there are.
    fn stored(&self, level: u32, from: u64, count: u64) -> Result<Option<Vec<Hash>>, ReadError> {
        let path = level_path(&self.folder, level);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(ReadError::io(&path))?,
        };
        let mut bytes = vec![0; count as usize * 32];
        match file.read_exact_at(&mut bytes, from * 32) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.map_err(ReadError::io(&path))?,
        }
        Ok(Some(bytes.as_chunks().0.to_vec()))
    }

    /// Leaves the last segment has in memory, or in its frames.
    fn leaf(&self, index: u64) -> Result<Hash, ReadError> {
        if let Some(place) = index.checked_sub(self.last.first_sequence())
            && let Index::Open(open) = &self.last.index
        {
            let leaf = usize::try_from(place).ok().and_then(|place| read(open).leaves.get(place).copied());
            return leaf.ok_or_else(|| self.last.damaged(0, "leaf of the tree"));
        }
        let path = level_path(&self.folder, 0);
        let leaf = self.stored(0, index, 1)?.and_then(|leaves| leaves.first().copied());
        leaf.ok_or_else(|| ReadError::damaged(&path, index * 32, "leaf of the tree"))
    }
}

impl Subtrees for Tree {
    type Error = ReadError;

    fn subtree(&self, height: u32, index: u64) -> Result<Hash, ReadError> {
        let sealed = match self.last.index {
            Index::Open(_) => self.last.first_sequence(),
            Index::Sealed(_) => u64::MAX,
        };
        let end = index.checked_add(1).and_then(|next| next.checked_shl(height)).unwrap_or(u64::MAX);
        if height == 0 {
            return self.leaf(index);
        }
        if end <= sealed {
            let rest = height % STEP;
            if let Some(mut hashes) = self.stored(height / STEP, index << rest, 1 << rest)? {
                while hashes.len() > 1 {
                    hashes = hashes
                        .chunks(2)
                        .filter_map(|pair| Some(node_hash(pair.first()?, pair.last()?)))
                        .collect();
                }
                if let Some(hash) = hashes.first() {
                    return Ok(*hash);
                }
            }
        }
        let left = self.subtree(height - 1, index * 2)?;
        Ok(node_hash(&left, &self.subtree(height - 1, index * 2 + 1)?))
    }
}
