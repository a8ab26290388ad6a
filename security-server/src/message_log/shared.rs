//! What the committer tells readers and the time-stamper of the same process.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc};

use super::index::SignatureEntry;
use super::record::StampRecord;
use super::segment::Segment;

/// State shared by the parts of a running log.
#[derive(Default)]
pub(super) struct Shared {
    current: RwLock<Option<Arc<Segment>>>,
    sealed: Mutex<Option<mpsc::Sender<()>>>,
    stamps: Mutex<StampState>,
}

/// How far time-stamping has come.
#[derive(Clone, Debug, Default)]
pub(super) struct StampState {
    /// Every signature with a lower sequence has a time-stamp.
    pub(super) cursor: u64,
    /// Signatures from the cursor on that were stamped singly.
    pub(super) singles: BTreeSet<u64>,
    /// Time of the oldest signature without time-stamp, milliseconds.
    pub(super) oldest: Option<i64>,
    /// Counts the groups with signatures: tells the stamper whether something came meanwhile.
    pub(super) groups: u64,
    /// The last try to get a time-stamp failed.
    pub(super) failing: bool,
}

impl StampState {
    /// Whether a signature has a time-stamp.
    pub(super) fn is_stamped(&self, sequence: u64) -> bool {
        sequence < self.cursor || self.singles.contains(&sequence)
    }

    /// Takes a durable time-stamp into account. One that begins behind the cursor is over one signature.
    pub(super) fn note(&mut self, from: u64, until: u64) {
        if from > self.cursor {
            self.singles.insert(from);
        } else if until > self.cursor {
            self.cursor = until;
            self.singles = self.singles.split_off(&until);
        }
    }
}

impl Shared {
    /// The segment that is being written, or was last.
    pub(super) fn current(&self) -> Option<Arc<Segment>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_current(&self, segment: Arc<Segment>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(segment);
    }

    /// Who is told that a segment was sealed; none: nobody any more.
    pub(super) fn tell_seals(&self, to: Option<mpsc::Sender<()>>) {
        *self.sealed.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// A segment was sealed.
    pub(super) fn note_sealed(&self) {
        if let Some(to) = &*self.sealed.lock().unwrap_or_else(PoisonError::into_inner) {
            // Whoever has stopped listening does not want to know.
            let _ = to.send(());
        }
    }

    pub(super) fn stamps(&self) -> MutexGuard<'_, StampState> {
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stamped_until(&self) -> u64 {
        self.stamps().cursor
    }

    /// New signatures wait for their time-stamp.
    pub(super) fn note_signatures(&self, signatures: &[SignatureEntry]) {
        if let Some(first) = signatures.first() {
            let mut stamps = self.stamps();
            stamps.groups += 1;
            stamps.oldest.get_or_insert(first.time);
        }
    }

    /// A time-stamp is durable.
    pub(super) fn note_stamp(&self, stamp: &StampRecord) {
        self.stamps().note(stamp.from, stamp.until);
    }
}
