//! The thread that keeps the publication fresh: notices changes, makes a round when it is due.
//!
//! It alone writes the store, the keys' list and the published folder. What it cannot do it tells in
//! the log and tries again; what was published stays until then.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use gateway::Clock;
use tokio::sync::watch;

use crate::files;
use crate::keys::SigningKeys;
use crate::publish::{Address, Published, PublishedFolder, RoundError, Rounds, SourceKind};
use crate::state::Watched;
use crate::state::kept::{Kept, StateError, Taken};
use crate::store::Store;

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Folder of the anchors in the state folder.
const ANCHORS: &str = "anchors";

/// A change of the signing keys, and where its result goes.
pub(crate) type KeyChange = Box<dyn FnOnce(&mut SigningKeys) + Send>;

/// What the thread is told.
pub(crate) enum Command {
    /// End.
    Stop,
    /// Change the keys and publish at once.
    Keys(KeyChange),
}

/// What the thread works on.
pub(crate) struct Publisher {
    pub(crate) store: Box<dyn Store>,
    pub(crate) kept: Kept,
    pub(crate) watched: Watched,
    pub(crate) keys: SigningKeys,
    pub(crate) rounds: Rounds,
    pub(crate) folder: PublishedFolder,
    pub(crate) anchors: Anchors,
    pub(crate) published: watch::Sender<Arc<Published>>,
    pub(crate) period: Duration,
    pub(crate) clock: Clock,
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

/// The anchor files that are handed to operators.
pub(crate) struct Anchors {
    pub(crate) state_folder: PathBuf,
    pub(crate) address: Address,
}

/// The file of an anchor in the state folder of a registry, running or not.
pub fn anchor_file(state_folder: &Path, kind: SourceKind) -> PathBuf {
    state_folder.join(ANCHORS).join(format!("{}-anchor.xml", kind.name()))
}

impl Publisher {
    /// Works until it is told to stop, or until whoever could tell is gone.
    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        let mut due = Instant::now() + self.period;
        loop {
            let wait = LOOK.min(due.saturating_duration_since(Instant::now()));
            let asked = match commands.recv_timeout(wait) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Command::Keys(change)) => {
                    change(&mut self.keys);
                    self.refresh_anchors();
                    true
                }
                Err(RecvTimeoutError::Timeout) => false,
            };
            let changed = self.look();
            if !asked && !changed && Instant::now() < due {
                continue;
            }
            due = Instant::now() + self.period;
            if let Err(error) = self.round() {
                tracing::error!(%error, "nothing new was published; what is published stays until it expires");
            }
        }
    }

    /// Makes and publishes a round.
    pub(crate) fn round(&mut self) -> Result<(), RoundError> {
        let published = Arc::new(self.rounds.make(&self.kept, &self.keys, self.clock.now())?);
        if let Err(error) = self.folder.write(&published) {
            tracing::error!(%error, "cannot write the published files; they are served from memory");
        }
        self.published.send_replace(published);
        Ok(())
    }

    /// Takes changes of the state file and of the keys into force; whether there were any.
    fn look(&mut self) -> bool {
        let keys = self.keys.reload();
        let keys_changed = matches!(keys, Ok(true));
        if keys_changed {
            tracing::info!("signing keys changed");
            self.refresh_anchors();
        }
        complain(&mut self.complaints.keys, keys.err().map(|error| error.to_string()));
        if !self.watched.may_have_changed() {
            return keys_changed;
        }
        let now = self.clock.now();
        let taken = Kept::take(Some(&self.kept), &mut self.watched, self.store.as_ref(), now);
        let (kept, error) = match taken {
            Ok(taken) => (adopt(taken), None),
            Err(error) => (None, Some(error.to_string())),
        };
        complain(&mut self.complaints.state, error);
        let state_changed = kept.is_some();
        if let Some(kept) = kept {
            self.kept = kept;
        }
        keys_changed || state_changed
    }

    /// Writes the anchors anew if they changed.
    fn refresh_anchors(&self) {
        if let Err(error) = self.anchors.refresh(&self.kept.state.instance, &self.keys, self.clock) {
            tracing::error!(%error, "cannot write the anchors");
        }
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

impl Anchors {
    /// Writes both anchors, unless the files there say the same already.
    pub(crate) fn refresh(&self, instance: &str, keys: &SigningKeys, clock: Clock) -> std::io::Result<()> {
        files::make_folder(&self.state_folder.join(ANCHORS), 0o755)?;
        for kind in SourceKind::ALL {
            let anchor = self.address.anchor(kind, instance, &keys.certificates(kind), clock.now());
            files::replace_anchor(&self.path(kind), &anchor)?;
        }
        Ok(())
    }

    /// The file of an anchor.
    pub(crate) fn path(&self, kind: SourceKind) -> PathBuf {
        anchor_file(&self.state_folder, kind)
    }
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
) -> Result<(Kept, Option<String>), StateError> {
    let held = Kept::load(store, clock.now())?;
    match (Kept::take(held.as_ref(), watched, store, clock.now()), held) {
        (Ok(taken), held) => match adopt(taken).or(held) {
            Some(kept) => Ok((kept, None)),
            None => Err(StateError::Held("there is none".into())),
        },
        // With a state in force, a bad file is told and does not stop the federation.
        (Err(error @ (StateError::File { .. } | StateError::Problems { .. })), Some(kept)) => {
            let text = error.to_string();
            tracing::error!(generation = kept.generation, "{text}; going on with the state in force");
            Ok((kept, Some(text)))
        }
        (Err(error), _) => Err(error),
    }
}
