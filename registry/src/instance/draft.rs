//! A change in the making: what the instance is now, and the edits that will follow.
//!
//! A command looks only at the instance as it is, never at its own edits, so each step says on its own
//! what it needs.

use protocol::time::UtcTime;

use super::contents::Instance;
use super::model::Counters;
use super::record::{Edit, Record, RecordKey};
use super::rules::Rules;

/// A change in the making.
pub(crate) struct Draft<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) rules: &'a Rules,
    pub(crate) now: UtcTime,
    pub(super) counters: Counters,
    edits: Vec<Edit>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(instance: &'a Instance, rules: &'a Rules, now: UtcTime) -> Self {
        Self { instance, rules, now, counters: instance.counters.clone(), edits: Vec::new() }
    }

    /// A change that is only tried.
    pub(crate) fn rehearsal(&self) -> Self {
        Self::new(self.instance, self.rules, self.now)
    }

    pub(crate) fn put(&mut self, record: Record) {
        self.edits.push(Edit::Put(record));
    }

    pub(crate) fn remove(&mut self, key: RecordKey) {
        self.edits.push(Edit::Remove(key));
    }

    /// The next number of a kind.
    pub(crate) fn number(&mut self, counter: impl FnOnce(&mut Counters) -> &mut u32) -> u32 {
        let last = counter(&mut self.counters);
        *last = last.saturating_add(1);
        *last
    }

    pub(crate) fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// All edits, with the counters when there are any.
    pub(super) fn into_edits(mut self) -> Vec<Edit> {
        if !self.edits.is_empty() {
            self.counters.generation = self.counters.generation.saturating_add(1);
            self.edits.push(Edit::Put(Record::Counters(self.counters)));
        }
        self.edits
    }
}
