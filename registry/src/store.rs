//! Where the registry keeps what must survive a power cut: a store of `administration` that comes back.
//!
//! A store refuses everything after the first error of its medium, since it no longer knows what is on the
//! disk. A registry goes on publishing meanwhile, and a full disk has room again some day; so the store is
//! opened anew when it is needed next, and whoever keeps a copy in memory reads it again then.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use administration::store::{Batch, Pair, SledStore, Store, StoreError};

/// A store in a folder that is opened again after a failure.
pub(crate) struct ReopeningStore {
    folder: PathBuf,
    open: Mutex<Option<SledStore>>,
}

impl ReopeningStore {
    /// Opens the store, or makes it.
    ///
    /// # Errors
    /// The folder cannot be written, another process has it open, or its content is damaged.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let open = Mutex::new(Some(SledStore::open(folder)?));
        Ok(Self { folder: folder.to_owned(), open })
    }

    fn with<T>(&self, act: impl FnOnce(&SledStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match open.take() {
            Some(store) => store,
            None => SledStore::open(&self.folder)?,
        };
        let outcome = act(&store);
        if outcome.is_ok() {
            *open = Some(store);
        }
        outcome
    }
}

impl Store for ReopeningStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|store| store.get(key))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.with(|store| store.scan(prefix))
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.with(|store| store.write(batch))
    }
}

/// Takes over what an earlier release kept of a declared instance: one value in a database of other leaves.
///
/// The new store has it before the old folder goes; a crash in between leaves both, and the new one counts.
pub(crate) fn take_over(old: &Path, name: &str, new: &dyn Store) -> Result<(), StoreError> {
    /// Entries a leaf of the old database.
    const OLD_FANOUT: usize = 16;
    if !old.join("durability_cookie").exists() {
        return Ok(());
    }
    let told =
        |error: io::Error| StoreError::Open { folder: old.display().to_string(), reason: error.to_string() };
    if new.get(name.as_bytes())?.is_none() {
        let config = sled::Config::new().path(old).flush_every_ms(None).cache_capacity_bytes(4 << 20);
        let database = config.open::<OLD_FANOUT>().map_err(told)?;
        let value = database.get(name).map_err(told)?;
        if let Some(value) = value {
            let mut batch = Batch::default();
            batch.put(name, value.to_vec());
            new.write(batch)?;
        }
    }
    fs::remove_dir_all(old).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &dyn Store, key: &str, value: &[u8]) {
        let mut batch = Batch::default();
        batch.put(key, value);
        store.write(batch).unwrap();
    }

    #[test]
    fn a_failure_is_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let store = ReopeningStore::open(&folder.path().join("store")).unwrap();
        put(&store, "state", b"first");
        let failed = store.with::<()>(|_| Err(StoreError::Failed("the disk is full".into())));
        assert!(failed.is_err());
        assert_eq!(store.get(b"state").unwrap(), Some(b"first".to_vec()));
        put(&store, "state", b"second");
        assert_eq!(store.scan(b"st").unwrap(), [(b"state".to_vec(), b"second".to_vec())]);
    }

    #[test]
    fn an_earlier_store_is_taken_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("store");
        {
            let database = sled::Config::new().path(&old).open::<16>().unwrap();
            database.insert("state", b"kept").unwrap();
            database.flush().unwrap();
        }
        let new = ReopeningStore::open(&folder.path().join("declared")).unwrap();
        take_over(&old, "state", &new).unwrap();
        assert!(!old.exists());
        assert_eq!(new.get(b"state").unwrap(), Some(b"kept".to_vec()));
        take_over(&old, "state", &new).unwrap();
        // After a crash in between the new one counts.
        drop(sled::Config::new().path(&old).open::<16>().unwrap());
        put(&new, "state", b"later");
        take_over(&old, "state", &new).unwrap();
        assert_eq!((new.get(b"state").unwrap(), old.exists()), (Some(b"later".to_vec()), false));
    }
}
