//! API keys (registry and administration §5.2).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::role::Role;
use super::secret::{digest, random_uuid};
use crate::store::{Batch, Store, StoreError};

const PREFIX: &str = "api-key/";
/// More keys than anybody administers.
const MOST: usize = 10_000;

/// A key as it is kept: without the key.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ApiKey {
    pub(crate) id: u64,
    pub(crate) roles: BTreeSet<Role>,
    /// SHA-256 of the key, in hexadecimal. The key is random, so nothing slower is needed.
    digest: String,
}

/// All keys. They are in memory as well, so that revoking one takes effect at once.
pub(crate) struct ApiKeys {
    store: Arc<dyn Store>,
    kept: RwLock<Kept>,
}

#[derive(Default)]
struct Kept {
    by_id: BTreeMap<u64, ApiKey>,
    by_digest: HashMap<String, u64>,
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiKeysError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there are {MOST} API keys; remove some")]
    TooMany,
    #[error("an API key in the store cannot be read: {0}")]
    Corrupt(String),
}

impl ApiKeys {
    pub(crate) fn open(store: Arc<dyn Store>) -> Result<Self, ApiKeysError> {
        let mut kept = Kept::default();
        for (_, value) in store.scan(PREFIX.as_bytes())? {
            let key: ApiKey =
                serde_json::from_slice(&value).map_err(|error| ApiKeysError::Corrupt(error.to_string()))?;
            kept.add(key);
        }
        Ok(Self { store, kept: RwLock::new(kept) })
    }

    /// Makes a key with roles; gives it, which is seen this once.
    pub(crate) fn create(&self, roles: BTreeSet<Role>) -> Result<(ApiKey, String), ApiKeysError> {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.by_id.len() >= MOST {
            return Err(ApiKeysError::TooMany);
        }
        let secret = random_uuid();
        let id = kept.by_id.last_key_value().map_or(0, |(id, _)| *id) + 1;
        let key = ApiKey { id, roles, digest: digest_of(&secret) };
        self.put(&key)?;
        kept.add(key.clone());
        Ok((key, secret))
    }

    /// Gives a key other roles; none if there is no such key.
    pub(crate) fn update(&self, id: u64, roles: BTreeSet<Role>) -> Result<Option<ApiKey>, ApiKeysError> {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = kept.by_id.get(&id) else { return Ok(None) };
        let key = ApiKey { roles, ..key.clone() };
        self.put(&key)?;
        kept.add(key.clone());
        Ok(Some(key))
    }

    /// Removes a key; whether there was one.
    pub(crate) fn remove(&self, id: u64) -> Result<bool, ApiKeysError> {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = kept.by_id.get(&id).cloned() else { return Ok(false) };
        let mut batch = Batch::default();
        batch.remove(name(id));
        self.store.write(batch)?;
        kept.by_id.remove(&id);
        kept.by_digest.remove(&key.digest);
        Ok(true)
    }

    /// All keys.
    pub(crate) fn list(&self) -> Vec<ApiKey> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).by_id.values().cloned().collect()
    }

    /// The key that this is. Digests are compared, so the time tells nothing about a key.
    pub(crate) fn find(&self, secret: &str) -> Option<ApiKey> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.by_digest.get(&digest_of(secret)).and_then(|id| kept.by_id.get(id)).cloned()
    }

    fn put(&self, key: &ApiKey) -> Result<(), ApiKeysError> {
        let value = serde_json::to_vec(key).map_err(|error| ApiKeysError::Corrupt(error.to_string()))?;
        let mut batch = Batch::default();
        batch.put(name(key.id), value);
        Ok(self.store.write(batch)?)
    }
}

impl Kept {
    fn add(&mut self, key: ApiKey) {
        self.by_digest.insert(key.digest.clone(), key.id);
        self.by_id.insert(key.id, key);
    }
}

fn name(id: u64) -> String {
    format!("{PREFIX}{id:020}")
}

fn digest_of(secret: &str) -> String {
    protocol::digest::hex(&digest(secret.as_bytes()))
}
