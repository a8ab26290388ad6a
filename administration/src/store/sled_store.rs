//! The store on sled.
//!
//! sled is pinned to an alpha of its next version and used with four precautions: the file
//! `durability_cookie`, which sled itself never syncs, is synced after the first open, since a database
//! that lost it cannot be opened; leaves are small, because whole leaves are rewritten; there is no
//! timed flush, every batch is flushed before it is acknowledged; one thread does all writing, and the
//! first error ends it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock};
use std::thread::JoinHandle;

use super::{Batch, Pair, Store, StoreError};

/// Entries a leaf. Stored with the database; it cannot be changed later.
const LEAF_FANOUT: usize = 64;
const CACHE_BYTES: usize = 4 << 20;

type Db = sled::Db<LEAF_FANOUT>;
type Answer = SyncSender<Result<(), StoreError>>;

/// A [`Store`] in a folder of its own.
pub struct SledStore {
    // `Db` may move between threads but not be shared by them.
    reader: Mutex<Db>,
    writer: Option<SyncSender<(Batch, Answer)>>,
    thread: Option<JoinHandle<()>>,
    failed: std::sync::Arc<OnceLock<StoreError>>,
}

impl SledStore {
    /// Opens the store in `folder`, making it when it is not there.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let refused = |error: io::Error| StoreError::Open {
            folder: folder.display().to_string(),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(folder).map_err(refused)?;
        let db: Db = sled::Config::new()
            .path(folder)
            .cache_capacity_bytes(CACHE_BYTES)
            .flush_every_ms(None)
            .open()
            .map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => StoreError::InUse(folder.display().to_string()),
                _ => refused(error),
            })?;
        sync_cookie(folder).map_err(refused)?;
        let failed = std::sync::Arc::new(OnceLock::new());
        let (writer, batches) = sync_channel(64);
        let thread = std::thread::Builder::new()
            .name("state-writer".to_owned())
            .spawn({
                let (db, failed) = (db.clone(), std::sync::Arc::clone(&failed));
                move || write_batches(&db, &batches, &failed)
            })
            .map_err(refused)?;
        Ok(Self { reader: Mutex::new(db), writer: Some(writer), thread: Some(thread), failed })
    }

    fn read<T>(&self, action: impl FnOnce(&Db) -> io::Result<T>) -> Result<T, StoreError> {
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        let db = self.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        action(&db).map_err(|error| self.latch(&error))
    }

    fn latch(&self, error: &io::Error) -> StoreError {
        self.failed.get_or_init(|| StoreError::Failed(error.to_string())).clone()
    }
}

/// Makes the cookie and its name durable. Without this a loss of power soon after creation could leave
/// a database that does not open.
fn sync_cookie(folder: &Path) -> io::Result<()> {
    File::open(folder.join("durability_cookie"))?.sync_all()?;
    File::open(folder)?.sync_all()?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn write_batches(db: &Db, batches: &Receiver<(Batch, Answer)>, failed: &OnceLock<StoreError>) {
    while let Ok((batch, answer)) = batches.recv() {
        let mut changes = sled::Batch::default();
        for (key, value) in batch.changes {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        // A crash before `flush` returns leaves all of the batch or nothing of it; after, all of it.
        let outcome = db
            .apply_batch(changes)
            .and_then(|()| db.flush().map(drop))
            .map_err(|error| failed.get_or_init(|| StoreError::Failed(error.to_string())).clone());
        let stop = outcome.is_err();
        // Whoever asked may be gone; the batch is durable all the same.
        drop(answer.send(outcome));
        if stop {
            return;
        }
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|db| Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.read(|db| {
            db.scan_prefix(prefix)
                .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
                .collect()
        })
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        let gone = || StoreError::Failed("the writing thread has ended".to_owned());
        let (answer, outcome) = sync_channel(1);
        self.writer.as_ref().ok_or_else(gone)?.send((batch, answer)).map_err(|_| gone())?;
        outcome.recv().map_err(|_| gone())?
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.writer.take();
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has been told by every write since.
            drop(thread.join());
        }
    }
}
