//! The thread that keeps the publication fresh: notices changes, makes a round when it is due.
//!
//! It alone writes the published folder and the anchor files, and for a declared instance the store and
//! the keys' list. What it cannot do it tells in the log and tries again; what was published stays until
//! then.

mod administered;
mod declared;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use gateway::Clock;
use protocol::configuration::Anchor;
use tokio::sync::watch;

pub(crate) use administered::AdministeredWork;
pub(crate) use declared::{DeclaredWork, load};

use crate::files;
use crate::instance::Desk;
use crate::keys::{ConfigurationSigner, SigningKeys};
use crate::publish::{Edition, Published, PublishedFolder, RoundError, Rounds, SourceKind};

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Folder of the anchors in the state folder.
const ANCHORS: &str = "anchors";

/// A change of the signing keys of a declared instance, and where its result goes. It is given none where
/// the instance is administered.
pub(crate) type KeyChange = Box<dyn FnOnce(Option<&mut SigningKeys>) + Send>;

/// What the thread is told.
pub(crate) enum Command {
    /// End.
    Stop,
    /// The desk has changed something.
    Wake,
    /// Change the keys and publish at once.
    Keys(KeyChange),
}

/// What the thread publishes: a declared instance or an administered one.
pub(crate) enum Work {
    Declared(Box<DeclaredWork>),
    Administered(Box<AdministeredWork>),
}

/// What the thread works on.
pub(crate) struct Publisher {
    pub(crate) work: Work,
    pub(crate) desk: Arc<Desk>,
    pub(crate) rounds: Rounds,
    pub(crate) folder: PublishedFolder,
    pub(crate) published: watch::Sender<Arc<Published>>,
    pub(crate) period: Duration,
    pub(crate) clock: Clock,
    /// Set while a [`Command::Wake`] is under way.
    pub(crate) woken: Arc<AtomicBool>,
}

/// The anchor files that are handed to operators.
#[derive(Clone)]
pub(crate) struct Anchors {
    pub(crate) state_folder: PathBuf,
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
                Ok(Command::Wake) => {
                    // Before the round: a change from now on wakes once more.
                    self.woken.store(false, Ordering::SeqCst);
                    matches!(self.work, Work::Administered(_))
                }
                Ok(Command::Keys(change)) => {
                    self.change_keys(change);
                    true
                }
                Err(RecvTimeoutError::Timeout) => false,
            };
            let changed = match &mut self.work {
                Work::Declared(work) => work.look(&self.desk, self.clock),
                Work::Administered(_) => false,
            };
            if !asked && !changed && Instant::now() < due {
                continue;
            }
            due = Instant::now() + self.period;
            if let Err(error) = self.round() {
                tracing::error!(%error, "nothing new was published; what is published stays until it expires");
            }
        }
    }

    fn change_keys(&mut self, change: KeyChange) {
        match &mut self.work {
            Work::Declared(work) => {
                change(Some(&mut work.keys));
                work.refresh_anchors(self.clock);
                work.declare(&self.desk, self.clock);
            }
            Work::Administered(_) => change(None),
        }
    }

    /// Makes and publishes a round, if there is what it takes.
    pub(crate) fn round(&mut self) -> Result<(), RoundError> {
        let rounds = &mut self.rounds;
        let now = self.clock.now();
        let mut make =
            |edition: &Edition<'_>, keys: &dyn ConfigurationSigner| rounds.make(edition, keys, now);
        let made = match &mut self.work {
            Work::Declared(work) => make(&work.edition(), &work.keys).map(Some),
            Work::Administered(work) => {
                work.refresh_anchors(&self.desk);
                match work.edition(&self.desk) {
                    Some(edition) => make(&edition, self.desk.as_ref()).map(Some),
                    None => Ok(None),
                }
            }
        };
        let published = match made {
            Ok(None) => return Ok(()),
            Ok(Some(published)) => Arc::new(published),
            Err(error) => {
                self.desk.told(|status| status.failure = Some(error.to_string()));
                return Err(error);
            }
        };
        self.desk.told(|status| {
            status.failure = None;
            status.generation = published.generation;
            (status.made, status.expires) = (published.made, published.expires);
        });
        // Clients are served from memory; the files are for mirrors and for whoever wants to look.
        self.published.send_replace(Arc::clone(&published));
        if let Err(error) = self.folder.write(&published) {
            tracing::error!(%error, "cannot write the published files; they are served from memory");
        }
        Ok(())
    }
}

impl Anchors {
    /// Writes an anchor, unless the file says the same already.
    pub(crate) fn write(&self, kind: SourceKind, anchor: &Anchor) -> io::Result<()> {
        files::make_folder(&self.state_folder.join(ANCHORS), 0o755)?;
        files::replace_anchor(&self.path(kind), anchor)
    }

    /// Writes an anchor as it is, unless it is there.
    pub(crate) fn write_file(&self, kind: SourceKind, file: &[u8]) -> io::Result<()> {
        let path = self.path(kind);
        if std::fs::read(&path).is_ok_and(|known| known == file) {
            return Ok(());
        }
        files::make_folder(&self.state_folder.join(ANCHORS), 0o755)?;
        files::replace(&path, file, 0o644)
    }

    /// The file of an anchor.
    pub(crate) fn path(&self, kind: SourceKind) -> PathBuf {
        anchor_file(&self.state_folder, kind)
    }
}
