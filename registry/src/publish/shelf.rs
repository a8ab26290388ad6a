//! The parts that are served: those that directories name, and for a while those that they named before.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use protocol::time::UtcTime;

/// Parts stay at least so long after the last directory that named them was replaced.
const LEAST_RETENTION: Duration = Duration::from_secs(600);
/// Most bytes of parts that no directory names any more.
const MOST_OLD_BYTES: usize = 256 << 20;

/// Parts by path.
#[derive(Debug)]
pub(crate) struct Shelf {
    retention: Duration,
    parts: HashMap<String, Served>,
}

#[derive(Clone, Debug)]
struct Served {
    bytes: Bytes,
    /// When a directory named it last.
    named: UtcTime,
}

impl Shelf {
    /// An empty one. A directory counts for `expiry`, so for that long somebody may ask for its parts.
    pub(crate) fn new(expiry: Duration) -> Self {
        Self { retention: LEAST_RETENTION.max(expiry), parts: HashMap::new() }
    }

    /// Directories count for another time from now on.
    pub(crate) fn keep_for(&mut self, expiry: Duration) {
        self.retention = LEAST_RETENTION.max(expiry);
    }

    /// Adds fresh parts, and drops those that nobody can be downloading any more. `current` are the paths
    /// that directories name now.
    pub(crate) fn put<'a>(
        &mut self,
        fresh: HashMap<String, Bytes>,
        current: impl Iterator<Item = &'a str>,
        now: UtcTime,
    ) {
        self.parts.extend(fresh.into_iter().map(|(path, bytes)| (path, Served { bytes, named: now })));
        for path in current {
            if let Some(kept) = self.parts.get_mut(path) {
                kept.named = now;
            }
        }
        self.parts.retain(|_, kept| now.since(kept.named) <= self.retention);
        let mut old: Vec<(UtcTime, usize, String)> = self
            .parts
            .iter()
            .filter(|(_, kept)| kept.named < now)
            .map(|(path, kept)| (kept.named, kept.bytes.len(), path.clone()))
            .collect();
        old.sort_unstable_by(|one, other| other.cmp(one));
        let mut bytes = 0_usize;
        for (_, length, path) in old {
            bytes = bytes.saturating_add(length);
            if bytes > MOST_OLD_BYTES {
                self.parts.remove(&path);
            }
        }
    }

    /// All of them.
    pub(crate) fn parts(&self) -> HashMap<String, Bytes> {
        self.parts.iter().map(|(path, kept)| (path.clone(), kept.bytes.clone())).collect()
    }
}
