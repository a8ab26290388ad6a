//! Where the registry keeps what must survive a power cut.
//!
//! A declared instance is one value; an administered one is a record for each thing that it has. They are
//! held in `sled`, which needs some care, and this module is the only one that knows about it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A name and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Keeps values by name. What `write` has returned from is on disk.
pub trait Store: Send + Sync {
    /// The value of this name.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// All values whose name starts with `prefix`, in the order of their names.
    fn scan(&self, prefix: &str) -> Result<Vec<Pair>, StoreError>;

    /// Makes all changes of the batch, durably and as a whole: after a crash there is all of it or
    /// nothing.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;
}

/// Changes that become durable together. The last change of a name counts.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a value.
    pub fn put(&mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((name.into(), Some(value.into())));
    }

    /// Removes a value, if it is there.
    pub fn remove(&mut self, name: impl Into<Vec<u8>>) {
        self.changes.push((name.into(), None));
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// All changes in their order; none for a removal.
    pub fn into_changes(self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.changes
    }
}

/// The store cannot be used; the disk is full or broken, or another process holds it.
#[derive(Debug, thiserror::Error)]
#[error("the registry's store cannot be used")]
pub struct StoreError(#[from] io::Error);

/// Small leaves: a value changes alone, and sled rewrites whole leaves.
const LEAF_FANOUT: usize = 16;

type Database = sled::Db<LEAF_FANOUT>;

/// A store in a folder, held by sled.
pub struct SledStore {
    folder: PathBuf,
    /// sled's handle belongs to one thread at a time. There is none after a failure: sled repeats the
    /// first error for ever, so the database is opened again when it is needed next.
    database: Mutex<Option<Database>>,
}

impl SledStore {
    /// Opens the store, or makes it.
    ///
    /// # Errors
    /// The folder cannot be written, another process has it open, or its content is damaged.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let database = Mutex::new(Some(open(folder)?));
        Ok(Self { folder: folder.to_owned(), database })
    }

    fn with<T>(&self, act: impl FnOnce(&Database) -> io::Result<T>) -> Result<T, StoreError> {
        let mut place = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match place.take() {
            Some(database) => database,
            None => open(&self.folder)?,
        };
        let outcome = act(&database);
        if outcome.is_ok() {
            *place = Some(database);
        }
        Ok(outcome?)
    }
}

fn open(folder: &Path) -> io::Result<Database> {
    // No flushing behind our back: `write` flushes, so that it knows when a value is durable.
    let config = sled::Config::new().path(folder).flush_every_ms(None).cache_capacity_bytes(4 << 20);
    let database = config.open::<LEAF_FANOUT>()?;
    // sled writes this file when it makes a database and never syncs it. Without it the database does
    // not open again, so a power cut soon after the first start would lose everything.
    File::open(folder.join("durability_cookie"))?.sync_all()?;
    File::open(folder)?.sync_all()?;
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(database)
}

impl Store for SledStore {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|database| Ok(database.get(name)?.map(|value| value.to_vec())))
    }

    fn scan(&self, prefix: &str) -> Result<Vec<Pair>, StoreError> {
        self.with(|database| {
            database
                .scan_prefix(prefix)
                .map(|pair| pair.map(|(name, value)| (name.to_vec(), value.to_vec())))
                .collect()
        })
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut changes = sled::Batch::default();
        for (name, value) in batch.changes {
            match value {
                Some(value) => changes.insert(name, value),
                None => changes.remove(name),
            }
        }
        self.with(move |database| {
            database.apply_batch(changes)?;
            database.flush().map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &SledStore, name: &str, value: &[u8]) {
        let mut batch = Batch::default();
        batch.put(name, value);
        store.write(batch).unwrap();
    }

    #[test]
    fn values_survive_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = SledStore::open(&path).unwrap();
        assert_eq!(store.get("state").unwrap(), None);
        put(&store, "state", b"first");
        put(&store, "state", &vec![7; 300_000]);
        drop(store);
        let store = SledStore::open(&path).unwrap();
        assert_eq!(store.get("state").unwrap(), Some(vec![7; 300_000]));
    }
    #[test]
    fn a_failure_is_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let store = SledStore::open(&folder.path().join("store")).unwrap();
        put(&store, "state", b"first");
        let failed = store.with::<()>(|_| Err(io::Error::other("the disk is full")));
        assert!(failed.is_err());
        assert_eq!(store.get("state").unwrap(), Some(b"first".to_vec()));
        put(&store, "state", b"second");
    }
}
