//! Which signatures verified a moment ago.
//!
//! All messages of a signing batch carry the same signature document, so its certificate, value and OCSP
//! responses need to be verified once; the hash chain of each message is verified always.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use protocol::configuration::GlobalConfiguration;
use protocol::id::MemberId;
use protocol::signature::References;
use protocol::time::UtcTime;

use super::identity::SignatureIdentity;
use super::signers::Signers;
use crate::trust::TrustStore;

/// Longest time for which a verdict is believed; also when its OCSP responses are good for longer.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// Signature documents that verified. Bounded; safe to share between threads.
///
/// They are found by a fingerprint and then compared octet by octet, so the fingerprint need not be strong.
pub struct VerifiedSignatures {
    shards: Vec<Mutex<Generations>>,
    capacity: usize,
    recalled: AtomicU64,
    pub(super) signers: Signers,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<u64, Entry, Direct>,
    old: HashMap<u64, Entry, Direct>,
}

/// Fingerprints are hashes already.
type Direct = BuildHasherDefault<Fingerprint>;

#[derive(Default)]
struct Fingerprint(u64);

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // An odd factor with its bits spread out, as in multiplicative hashing.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        for (place, byte) in last.iter_mut().zip(rest) {
            *place = *byte;
        }
        for word in words.iter().chain([&last]) {
            self.0 = (self.0 ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR).rotate_left(29);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

fn fingerprint(document: &[u8]) -> u64 {
    let mut state = Fingerprint(document.len() as u64);
    state.write(document);
    state.finish()
}

#[derive(Clone)]
struct Entry {
    document: Bytes,
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
            signers: Signers::default(),
        }
    }

    /// How many verifications it has spared so far.
    pub fn recalled(&self) -> u64 {
        self.recalled.load(Ordering::Relaxed)
    }

    fn shard(&self, fingerprint: u64) -> Option<&Mutex<Generations>> {
        self.shards.get((fingerprint >> 32) as usize % SHARDS)
    }

    /// The verdict about a document, if it verified as this member's against this configuration and the
    /// verdict still holds; with the octets as they are remembered, the same for all who ask.
    pub(super) fn recall(
        &self,
        document: &[u8],
        signer: &MemberId,
        trust: &TrustStore,
        at: UtcTime,
    ) -> Option<(Verified, Bytes)> {
        let fingerprint = fingerprint(document);
        let generations = self.shard(fingerprint)?.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = generations.young.get(&fingerprint).or_else(|| generations.old.get(&fingerprint))?;
        let is_same =
            entry.document == document && std::ptr::eq(entry.configuration.as_ptr(), trust.configuration());
        let verified = &entry.verified;
        let holds = is_same && verified.signer == *signer && verified.from <= at && at <= verified.until;
        if !holds {
            return None;
        }
        self.recalled.fetch_add(1, Ordering::Relaxed);
        Some((verified.clone(), entry.document.clone()))
    }

    /// Remembers a document that verified at a time. Gives it as it is remembered: a copy, for what came
    /// in is part of a larger buffer.
    pub(super) fn remember(
        &self,
        document: &[u8],
        verified: Verified,
        trust: &TrustStore,
        at: UtcTime,
    ) -> Bytes {
        let kept = Bytes::copy_from_slice(document);
        let entry = Entry {
            document: kept.clone(),
            configuration: Arc::downgrade(&trust.shared_configuration()),
            verified: Verified { until: verified.until.min(at.plus(LONGEST)), ..verified },
        };
        let fingerprint = fingerprint(document);
        let Some(shard) = self.shard(fingerprint) else { return kept };
        let mut generations = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= self.capacity {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(fingerprint, entry);
        kept
    }
}

impl Default for VerifiedSignatures {
    /// Room for 512 documents, some 4 MB.
    fn default() -> Self {
        Self::new(512)
    }
}

impl std::fmt::Debug for VerifiedSignatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedSignatures").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
