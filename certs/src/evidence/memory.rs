//! Which signatures verified a moment ago.
//!
//! All messages of a signing batch carry the same signature document, so its certificate, value and OCSP
//! responses need to be verified once; the hash chain of each message is verified always.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use protocol::configuration::GlobalConfiguration;
use protocol::digest::Digest;
use protocol::id::MemberId;
use protocol::signature::References;
use protocol::time::UtcTime;

use super::identity::SignatureIdentity;
use crate::trust::TrustStore;

/// Longest time for which a verdict is believed; also when its OCSP responses are good for longer.
const LONGEST: Duration = Duration::from_secs(60);

/// Signature documents that verified, by their SHA-256. Bounded; safe to share between threads.
pub struct VerifiedSignatures {
    shards: Vec<Mutex<Generations>>,
    capacity: usize,
    recalled: AtomicU64,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<Digest, Entry>,
    old: HashMap<Digest, Entry>,
}

#[derive(Clone)]
struct Entry {
    /// What it was verified against. Held weakly: an address is not used again while it is held.
    configuration: Weak<GlobalConfiguration>,
    verified: Verified,
}

/// Everything about a signature that verified and that does not depend on the message.
#[derive(Clone)]
pub(super) struct Verified {
    pub(super) signer: MemberId,
    pub(super) references: Arc<References>,
    pub(super) identity: SignatureIdentity,
    /// `thisUpdate` of the oldest OCSP response of its path.
    pub(super) status_of: UtcTime,
    /// The verdict holds from here,
    pub(super) from: UtcTime,
    /// to here, by certificates and OCSP responses.
    pub(super) until: UtcTime,
}

const SHARDS: usize = 16;

impl VerifiedSignatures {
    /// Room for about `capacity` documents.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.div_ceil(SHARDS * 2).max(1);
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            capacity,
            recalled: AtomicU64::new(0),
        }
    }

    /// How many verifications it has spared so far.
    pub fn recalled(&self) -> u64 {
        self.recalled.load(Ordering::Relaxed)
    }

    fn shard(&self, document: &Digest) -> Option<&Mutex<Generations>> {
        let first = document.bytes().first().copied().unwrap_or_default();
        self.shards.get(usize::from(first) % SHARDS)
    }

    /// The verdict about a document, if it verified as this member's against this configuration and the
    /// verdict still holds.
    pub(super) fn recall(
        &self,
        document: &Digest,
        signer: &MemberId,
        trust: &TrustStore,
        at: UtcTime,
    ) -> Option<Verified> {
        let generations = self.shard(document)?.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = generations.young.get(document).or_else(|| generations.old.get(document))?;
        let is_same = std::ptr::eq(entry.configuration.as_ptr(), trust.configuration());
        let verified = &entry.verified;
        let holds = is_same && verified.signer == *signer && verified.from <= at && at <= verified.until;
        if !holds {
            return None;
        }
        self.recalled.fetch_add(1, Ordering::Relaxed);
        Some(verified.clone())
    }

    /// Remembers a document that verified at a time.
    pub(super) fn remember(&self, document: Digest, verified: Verified, trust: &TrustStore, at: UtcTime) {
        let entry = Entry {
            configuration: Arc::downgrade(&trust.shared_configuration()),
            verified: Verified { until: verified.until.min(at.plus(LONGEST)), ..verified },
        };
        let Some(shard) = self.shard(&document) else { return };
        let mut generations = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= self.capacity {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(document, entry);
    }
}

impl Default for VerifiedSignatures {
    /// Room for 4 096 documents.
    fn default() -> Self {
        Self::new(4096)
    }
}

impl std::fmt::Debug for VerifiedSignatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedSignatures").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
