//! What is published of a declared instance: the file and the list of keys, watched for changes.

use administration::store::Store;
use gateway::Clock;

use super::Anchors;
use crate::instance::{Declared, Desk};
use crate::keys::SigningKeys;
use crate::publish::{Address, Edition, SourceKind};
use crate::state::Watched;
use crate::state::kept::{Kept, StateError, Taken};

/// A declared instance at work.
pub(crate) struct DeclaredWork {
    pub(crate) store: Box<dyn Store>,
    pub(crate) kept: Kept,
    pub(crate) watched: Watched,
    pub(crate) keys: SigningKeys,
    pub(crate) address: Address,
    pub(crate) expiry: std::time::Duration,
    pub(crate) anchors: Anchors,
    pub(crate) complaints: Complaints,
}

/// What was told last, so that it is not told twice a second.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    /// About the state file.
    pub(crate) state: Option<String>,
    /// About the list of keys.
    pub(crate) keys: Option<String>,
}

impl DeclaredWork {
    pub(super) fn edition(&self) -> Edition<'_> {
        let (generation, state) = (self.kept.generation, &self.kept.state);
        Edition { generation, state, address: &self.address, expiry: self.expiry }
    }

    /// The instance as the desk shows it.
    pub(crate) fn declared(&self, clock: Clock) -> Declared<'_> {
        Declared {
            generation: self.kept.generation,
            state: &self.kept.state,
            address: &self.address,
            keys: &self.keys,
            now: clock.now(),
        }
    }

    pub(super) fn declare(&self, desk: &Desk, clock: Clock) {
        desk.declare(&self.declared(clock));
    }

    /// Takes changes of the state file and of the keys into force; whether there were any.
    pub(super) fn look(&mut self, desk: &Desk, clock: Clock) -> bool {
        let keys = self.keys.reload();
        let keys_changed = matches!(keys, Ok(true));
        if keys_changed {
            tracing::info!("signing keys changed");
            self.refresh_anchors(clock);
        }
        complain(&mut self.complaints.keys, keys.err().map(|error| error.to_string()));
        let state_changed = self.watched.may_have_changed() && self.take(clock);
        if keys_changed || state_changed {
            self.declare(desk, clock);
        }
        keys_changed || state_changed
    }

    fn take(&mut self, clock: Clock) -> bool {
        let taken = Kept::take(Some(&self.kept), &mut self.watched, self.store.as_ref(), clock.now());
        let (kept, error) = match taken {
            Ok(taken) => (adopt(taken), None),
            Err(error) => (None, Some(error.to_string())),
        };
        complain(&mut self.complaints.state, error);
        let changed = kept.is_some();
        if let Some(kept) = kept {
            self.kept = kept;
        }
        changed
    }

    /// Writes the anchors anew if they changed.
    pub(super) fn refresh_anchors(&self, clock: Clock) {
        if let Err(error) = self.write_anchors(clock) {
            tracing::error!(%error, "cannot write the anchors");
        }
    }

    pub(crate) fn write_anchors(&self, clock: Clock) -> std::io::Result<()> {
        for kind in SourceKind::ALL {
            let certificates = self.keys.certificates(kind);
            let anchor = self.address.anchor(kind, &self.kept.state.instance, &certificates, clock.now());
            self.anchors.write(kind, &anchor)?;
        }
        Ok(())
    }
}

fn complain(last: &mut Option<String>, now: Option<String>) {
    if let Some(text) = now.as_ref().filter(|text| last.as_ref() != Some(text)) {
        tracing::error!("{text}; what was in force stays in force");
    }
    *last = now;
}

/// The new state, told in the log; none if the file says what is in force.
fn adopt(taken: Taken) -> Option<Kept> {
    let Taken::New { kept, differences, warnings } = taken else { return None };
    let generation = kept.generation;
    for warning in warnings {
        tracing::warn!(generation, "{warning}");
    }
    for difference in &differences {
        tracing::info!(generation, "{difference}");
    }
    if differences.is_empty() {
        tracing::info!(generation, "the instance file was rewritten and says the same");
    }
    Some(*kept)
}

/// The state to start with: that of the file, or else the one that was in force, with what is wrong
/// with the file.
///
/// # Errors
/// There is no state at all, or it cannot be held, or it is for another instance.
pub(crate) fn load(
    store: &dyn Store,
    watched: &mut Watched,
    clock: Clock,
) -> Result<(Kept, Complaints), StateError> {
    let held = Kept::load(store, clock.now())?;
    match (Kept::take(held.as_ref(), watched, store, clock.now()), held) {
        (Ok(taken), held) => match adopt(taken).or(held) {
            Some(kept) => Ok((kept, Complaints::default())),
            None => Err(StateError::Held("there is none".into())),
        },
        // With a state in force, a bad file is told and does not stop the federation.
        (Err(error @ (StateError::File { .. } | StateError::Problems { .. })), Some(kept)) => {
            let text = error.to_string();
            tracing::error!(generation = kept.generation, "{text}; going on with the state in force");
            Ok((kept, Complaints { state: Some(text), keys: None }))
        }
        (Err(error), _) => Err(error),
    }
}
