//! Bytes under keys, durable: where both servers keep what their administrators decide.
//!
//! Everything that goes through here is bounded and small. Two stores keep the promise of [`Store`]: sled,
//! and a plain journal that keeps the trait honest. Message logs are no business of this module.

mod journal;
mod sled_store;
#[cfg(test)]
mod tests;

pub use journal::JournalStore;
pub use sled_store::SledStore;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Bytes under keys, durable.
///
/// Promise: when [`Store::write`] returns, the whole batch survives a crash and a loss of power; a
/// crash before that leaves either all of the batch or nothing. After the first error of the medium a
/// store refuses every further write, since it no longer knows what is on the disk.
pub trait Store: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// All pairs whose key starts with `prefix`, in the order of their keys.
    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError>;

    /// Does all changes of the batch at once. Blocks until they are durable.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;
}

/// Changes that become durable together. The last change of a key counts.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), Some(value.into())));
    }

    /// Removes a key, if it is there.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), None));
    }

    /// All changes in their order; none for a removal.
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Why a store does not serve.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be used.
    #[error("the state folder {folder} cannot be opened: {reason}")]
    Open {
        /// Which folder.
        folder: String,
        /// What the system said.
        reason: String,
    },
    /// Another process holds the store.
    #[error("the state folder {0} is in use by another process")]
    InUse(String),
    /// The medium failed, now or earlier; nothing is written any more until a restart.
    #[error("the state store failed: {0}")]
    Failed(String),
}
