//! How much room the log may take.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gateway::ports::LogError;

use super::storage::Storage;

/// Watches the free room of the file system and the size of the log.
pub(super) struct Space {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    /// Free octets below which nothing is written.
    floor: u64,
    /// Most octets of the log.
    limit: Option<u64>,
    used: AtomicU64,
}

impl Space {
    pub(super) fn new(storage: Arc<dyn Storage>, folder: PathBuf, floor: u64, limit: Option<u64>) -> Self {
        Self { storage, folder, floor, limit, used: AtomicU64::new(0) }
    }

    /// Whether `extra` octets more may be taken.
    pub(super) fn check(&self, extra: u64) -> Result<(), LogError> {
        let used = self.used.load(Ordering::Relaxed);
        if let Some(limit) = self.limit.filter(|limit| used.saturating_add(extra) > *limit) {
            return Err(LogError::Full(format!("it may take {limit} bytes and has {used}")));
        }
        if self.floor == 0 {
            return Ok(());
        }
        match self.storage.free_bytes(&self.folder) {
            Ok(free) if free < self.floor.saturating_add(extra) => {
                Err(LogError::Full(format!("{free} bytes are free, {} must stay free", self.floor)))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(LogError::Unavailable(format!("free room is not known: {error}"))),
        }
    }

    pub(super) fn add(&self, octets: u64) {
        self.used.fetch_add(octets, Ordering::Relaxed);
    }

    pub(super) fn remove(&self, octets: u64) {
        // Saturating: what was there before the start was only estimated.
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(octets)));
    }
}
