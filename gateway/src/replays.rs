//! Signed messages that were taken already, so that none is taken twice.
//!
//! A message can come again until the OCSP response in its signature is too old; until then its
//! [identity](certs::evidence::MessageIdentity) is remembered. What this promises:
//!
//! - of all messages with one identity at most one goes on to the log and the service;
//! - a message that failed before it was durable may come again;
//! - memory is bounded. When more messages come within the time than are remembered, the oldest are
//!   forgotten, but not when each signer had signed the last of them: what this signer signed no later is
//!   refused from then on, since nobody can tell any more whether it came before. Only the signer's own
//!   clock is compared with itself. A message of an honest sender arrives moments after it was signed, so
//!   only replays are as old as that.
//!
//! Whoever keeps marks over a restart takes them with [`Replays::drain`] and brings them back through
//! [`Replays::restore`]. Marks that were not taken before a crash belong to records of the message log
//! behind [`Drained::logged_before`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use certs::evidence::{LoggedIdentity, MessageIdentity, SignedMessage};
use protocol::fault::{Fault, code};
use protocol::time::UtcTime;

use crate::ports::LogPosition;

/// Messages that one slice remembers: what a hash table of 65,536 places holds.
const SLICE: usize = 57_344;

/// How far the clock may step back without a forgotten message being fresh again.
pub const CLOCK_STEP: Duration = Duration::from_secs(600);

/// One message that was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// The message.
    pub identity: MessageIdentity,
    /// Who signed it.
    pub signer: u64,
    /// When it was signed, in milliseconds of the signer's clock; the least number when it does not say.
    pub signed: i64,
    /// `thisUpdate` of the OCSP response that decides how long it is fresh, in milliseconds.
    pub status_of: i64,
}

impl From<&SignedMessage> for Mark {
    fn from(message: &SignedMessage) -> Self {
        Self {
            identity: message.identity,
            signer: message.signer,
            signed: message.signed.map_or(i64::MIN, UtcTime::millis),
            status_of: message.status_of.millis(),
        }
    }
}

impl Mark {
    /// The mark of a message that was logged at a time: its OCSP response was no younger than that.
    pub fn logged(message: &LoggedIdentity, at: UtcTime) -> Self {
        Self {
            identity: message.identity,
            signer: message.signer,
            signed: message.signed.map_or(i64::MIN, UtcTime::millis),
            status_of: at.millis(),
        }
    }
}

/// A change of what is remembered, for whoever keeps it over a restart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// What follows belongs to a new slice of this number.
    Slice(u64),
    /// A message was taken.
    Taken(Mark),
    /// It was not made durable and may come again.
    Withdrawn(MessageIdentity),
    /// What this signer signed no later than `signed` is refused, until responses made at `status_of` are
    /// no longer fresh.
    Floor {
        /// The signer.
        signer: u64,
        /// Milliseconds of the signer's clock.
        signed: i64,
        /// Milliseconds.
        status_of: i64,
    },
    /// The slice of this number is no longer needed.
    Dropped(u64),
}

/// Changes since the last time.
#[derive(Debug, Default)]
pub struct Drained {
    /// In their order.
    pub changes: Vec<Change>,
    /// Every message that the log has before this position is among the changes so far.
    pub logged_before: u64,
    /// Changes were lost, because nobody had taken them for too long.
    pub incomplete: bool,
}

/// The messages taken lately. Shared by all workers.
pub struct Replays {
    slices: usize,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Oldest first; the last one grows.
    slices: VecDeque<Slice>,
    /// Signers of messages that were forgotten too early.
    floors: HashMap<u64, Floor>,
    next: u64,
    drained: Drained,
}

struct Slice {
    number: u64,
    taken: HashSet<MessageIdentity>,
    /// Last time of signing of each signer.
    signers: HashMap<u64, i64>,
    /// The youngest OCSP response.
    status_of: i64,
}

#[derive(Clone, Copy)]
struct Floor {
    signed: i64,
    status_of: i64,
}

impl Replays {
    /// Room for about `capacity` messages, some 20 bytes each; none are noticed with 0.
    pub fn new(capacity: usize) -> Self {
        // One more than full ones: while the last grows, the promised number is in those before it.
        let slices = if capacity == 0 { 0 } else { capacity.div_ceil(SLICE) + 1 };
        Self { slices, memory: Mutex::default() }
    }

    /// Takes a message that is about to be logged, unless it was taken before. `fresh` is how old an OCSP
    /// response may be.
    ///
    /// # Errors
    /// `replayed_message`.
    pub fn take(&self, mark: Mark, fresh: Duration, now: UtcTime) -> Result<(), Fault> {
        if self.slices == 0 {
            return Ok(());
        }
        let mut memory = self.lock();
        if memory.slices.iter().rev().any(|slice| slice.taken.contains(&mark.identity)) {
            return Err(refused("this signed message was received before"));
        }
        if memory.floors.get(&mark.signer).is_some_and(|floor| mark.signed <= floor.signed) {
            return Err(refused(
                "the message was signed too long ago to know whether it was received before",
            ));
        }
        memory.make_room(self.slices, fresh, now);
        memory.insert(&mark);
        memory.tell(Change::Taken(mark), self.slices * SLICE);
        Ok(())
    }

    /// A message that was taken did not become durable.
    pub fn withdraw(&self, identity: MessageIdentity) {
        let mut memory = self.lock();
        // The times of its signer stay: they only matter when the slice is forgotten.
        if memory.slices.iter_mut().rev().any(|slice| slice.taken.remove(&identity)) {
            memory.tell(Change::Withdrawn(identity), self.slices * SLICE);
        }
    }

    /// A message that was taken is durable at this position.
    pub fn logged(&self, position: LogPosition) {
        let mut memory = self.lock();
        memory.drained.logged_before = memory.drained.logged_before.max(position.0.saturating_add(1));
    }

    /// Takes what has changed since the last time.
    pub fn drain(&self) -> Drained {
        let mut memory = self.lock();
        let logged_before = memory.drained.logged_before;
        std::mem::replace(&mut memory.drained, Drained { logged_before, ..Drained::default() })
    }

    /// Brings back what was kept, in its order, before any message is taken. Nothing of it is told again.
    pub fn restore(&self, change: Change) {
        if self.slices == 0 {
            return;
        }
        let mut memory = self.lock();
        match change {
            Change::Slice(number) => {
                memory.next = memory.next.max(number);
                memory.begin();
            }
            Change::Taken(mark) => {
                if memory.slices.is_empty() {
                    memory.begin();
                }
                memory.insert(&mark);
            }
            Change::Withdrawn(identity) => {
                for slice in &mut memory.slices {
                    slice.taken.remove(&identity);
                }
            }
            Change::Floor { signer, signed, status_of } => memory.raise(signer, Floor { signed, status_of }),
            Change::Dropped(number) => memory.slices.retain(|slice| slice.number != number),
        }
    }

    /// As [`Self::restore`] for a message that is only in the log; it is told like a new one. False when
    /// it was there already.
    pub fn restore_logged(&self, mark: Mark, fresh: Duration, now: UtcTime) -> bool {
        self.slices > 0 && self.take(mark, fresh, now).is_ok()
    }

    /// Messages that are remembered.
    pub fn len(&self) -> usize {
        self.lock().slices.iter().map(|slice| slice.taken.len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Makes sure that the last slice has room; forgets slices that are over or too many.
    fn make_room(&mut self, most: usize, fresh: Duration, now: UtcTime) {
        if self.slices.back().is_some_and(|slice| slice.taken.len() < SLICE) {
            return;
        }
        let oldest = now.minus(fresh.saturating_add(CLOCK_STEP)).millis();
        self.floors.retain(|_, floor| floor.status_of >= oldest);
        let mut changes = Vec::new();
        let mut floors = Vec::new();
        let mut surplus = (self.slices.len() + 1).saturating_sub(most);
        self.slices.retain(|slice| {
            if slice.status_of >= oldest && surplus == 0 {
                return true;
            }
            surplus = surplus.saturating_sub(1);
            if slice.status_of >= oldest {
                let floor = |signed| Floor { signed, status_of: slice.status_of };
                floors.extend(slice.signers.iter().map(|(signer, signed)| (*signer, floor(*signed))));
            }
            changes.push(Change::Dropped(slice.number));
            false
        });
        for (signer, floor) in floors {
            self.raise(signer, floor);
        }
        self.begin();
        let number = self.slices.back().map_or(0, |slice| slice.number);
        // The floors stand in every new slice, since the slices before it go.
        changes.push(Change::Slice(number));
        changes.extend(self.floors.iter().map(|(signer, floor)| Change::Floor {
            signer: *signer,
            signed: floor.signed,
            status_of: floor.status_of,
        }));
        self.drained.changes.extend(changes);
    }

    fn begin(&mut self) {
        let slice = Slice {
            number: self.next,
            taken: HashSet::with_capacity(SLICE),
            signers: HashMap::new(),
            status_of: i64::MIN,
        };
        self.next += 1;
        self.slices.push_back(slice);
    }

    fn insert(&mut self, mark: &Mark) {
        let Some(slice) = self.slices.back_mut() else { return };
        slice.taken.insert(mark.identity);
        slice.status_of = slice.status_of.max(mark.status_of);
        let signed = slice.signers.entry(mark.signer).or_insert(mark.signed);
        *signed = mark.signed.max(*signed);
    }

    fn raise(&mut self, signer: u64, floor: Floor) {
        let known = self.floors.entry(signer).or_insert(floor);
        known.signed = known.signed.max(floor.signed);
        known.status_of = known.status_of.max(floor.status_of);
    }

    fn tell(&mut self, change: Change, most: usize) {
        if self.drained.changes.len() > most {
            self.drained.changes.clear();
            self.drained.incomplete = true;
        }
        self.drained.changes.push(change);
    }
}

impl std::fmt::Debug for Replays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replays").field("slices", &self.slices).finish_non_exhaustive()
    }
}

fn refused(text: &str) -> Fault {
    Fault::new(code::REPLAYED_MESSAGE, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Duration = Duration::from_secs(3600);

    /// A mark with a number for its identity; its times are in seconds.
    fn mark(number: u64, signer: u64, signed: i64, status_of: i64) -> Mark {
        let mut identity = [0; 16];
        identity[..8].copy_from_slice(&number.to_le_bytes());
        let identity = MessageIdentity(identity);
        Mark { identity, signer, signed: signed * 1000, status_of: status_of * 1000 }
    }

    fn at(seconds: i64) -> UtcTime {
        UtcTime::from_seconds(seconds)
    }

    /// Fills slices with messages of signer 1, one signed in each second.
    fn fill(replays: &Replays, from: u64, slices: u64, now: i64) {
        for number in from..from + slices * SLICE as u64 {
            let signed = i64::try_from(number).expect("small");
            replays.take(mark(number, 1, signed, now), FRESH, at(now)).expect("new");
        }
    }

    #[test]
    fn a_message_is_taken_once_unless_it_was_withdrawn() {
        let replays = Replays::new(10);
        let message = mark(1, 1, 0, 0);
        assert!(replays.take(message, FRESH, at(0)).is_ok());
        let fault = replays.take(message, FRESH, at(3599)).expect_err("was taken");
        assert_eq!(fault.code, "replayed_message");
        assert!(replays.take(mark(2, 1, 0, 0), FRESH, at(0)).is_ok(), "another one of the same moment");
        replays.withdraw(message.identity);
        assert!(replays.take(message, FRESH, at(0)).is_ok());
        assert!(replays.take(message, FRESH, at(0)).is_err());
        assert_eq!(replays.len(), 2);
        let nothing = Replays::new(0);
        assert!(nothing.take(message, FRESH, at(0)).is_ok() && nothing.take(message, FRESH, at(0)).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_forgets_by_time_of_signing() {
        let replays = Replays::new(2 * SLICE);
        assert!(replays.take(mark(u64::MAX, 2, 7, 0), FRESH, at(0)).is_ok());
        fill(&replays, 1, 5, 0);
        assert!(replays.len() <= 3 * SLICE, "{}", replays.len());
        // Forgotten, but not that its signer had signed later ones since.
        for old in [1, SLICE as u64, 2 * SLICE as u64] {
            let signed = i64::try_from(old).expect("small");
            assert!(replays.take(mark(old, 1, signed, 0), FRESH, at(0)).is_err(), "{old}");
        }
        assert!(replays.take(mark(u64::MAX, 2, 7, 0), FRESH, at(0)).is_err());
        assert!(replays.take(mark(u64::MAX - 9, 1, i64::MIN / 1000, 0), FRESH, at(0)).is_err(), "no time");
        // Whoever had nothing forgotten, or signs later than that, is not concerned, whatever his clock.
        assert!(replays.take(mark(u64::MAX - 1, 3, -100_000, 0), FRESH, at(0)).is_ok());
        assert!(replays.take(mark(u64::MAX - 2, 2, 8, 0), FRESH, at(0)).is_ok());
    }

    #[test]
    fn what_is_no_longer_fresh_leaves_nothing_behind() {
        let replays = Replays::new(SLICE);
        fill(&replays, 1, 1, 0);
        let over = 3600 + 600 + 1;
        fill(&replays, 1_000_000, 2, over);
        assert!(replays.take(mark(1, 1, 1, over), FRESH, at(over)).is_ok(), "no floor remains");
        let kept = Replays::new(SLICE);
        fill(&kept, 1, 1, 0);
        fill(&kept, 1_000_000, 2, over - 1);
        assert!(kept.take(mark(1, 1, 1, over), FRESH, at(over - 1)).is_err());
    }

    /// What is told is enough for another memory to know the same.
    #[test]
    fn changes_carry_the_memory_over() {
        let replays = Replays::new(SLICE);
        let mut kept = Vec::new();
        for round in 0..4 {
            fill(&replays, 1 + round * SLICE as u64, 1, 0);
            kept.extend(replays.drain().changes);
        }
        replays.take(mark(u64::MAX, 9, 0, 0), FRESH, at(0)).expect("new");
        replays.withdraw(mark(u64::MAX, 9, 0, 0).identity);
        replays.logged(LogPosition(41));
        replays.logged(LogPosition(11));
        let drained = replays.drain();
        assert_eq!((drained.logged_before, drained.incomplete), (42, false));
        kept.extend(drained.changes);
        let again = Replays::new(SLICE);
        kept.into_iter().for_each(|change| again.restore(change));
        assert_eq!(again.len(), replays.len());
        let (old, young) = (mark(5, 1, 5, 0), mark(4 * SLICE as u64, 1, 4 * SLICE as i64, 0));
        for (what, message) in [("forgotten", old), ("remembered", young)] {
            assert!(again.take(message, FRESH, at(0)).is_err(), "{what}");
        }
        assert!(again.take(mark(u64::MAX, 9, 0, 0), FRESH, at(0)).is_ok(), "withdrawn");
    }

    #[test]
    fn changes_that_nobody_takes_are_bounded() {
        let replays = Replays::new(SLICE);
        fill(&replays, 1, 3, 0);
        let drained = replays.drain();
        assert!(drained.incomplete);
        assert!(drained.changes.len() <= 2 * SLICE + 10);
        assert!(!replays.drain().incomplete);
    }
}
