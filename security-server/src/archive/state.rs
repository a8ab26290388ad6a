//! What has been archived: `archiving.json`, replaced whole and durably.
//!
//! An archive gets its final name after the state that counts it is durable, and the state says which
//! names are owed. So a crash before that leaves drafts that nobody knows, and the records are archived
//! again; a crash after it leaves names to be given, which the next start does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::archive::Link;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::ArchivingError;

/// The file.
pub(super) const STATE_FILE: &str = "archiving.json";
/// How drafts end.
pub(super) const DRAFT: &str = "tmp";

/// What has been archived.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Id of the log; empty before the first archive.
    pub(super) log: String,
    /// Every message record with a lower sequence is in an archive.
    pub(super) archived_until: u64,
    /// Where the chain of each group stands; the chain of records without a group has an empty name.
    pub(super) groups: BTreeMap<String, Chain>,
    /// Drafts and the names that they are owed.
    pub(super) named: Vec<(String, String)>,
}

/// The end of a chain.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Chain {
    digest: String,
    file: String,
}

impl From<Link> for Chain {
    fn from(link: Link) -> Self {
        Self { digest: link.digest, file: link.file }
    }
}

impl Chain {
    pub(super) fn link(&self) -> Link {
        Link { digest: self.digest.clone(), file: self.file.clone() }
    }
}

/// The folder of archives, held by one process.
pub(super) struct Folder {
    path: PathBuf,
    /// Held as long as this lives.
    _lock: File,
}

impl Folder {
    /// Opens the folder, made if it is missing: gives owed names and removes unknown drafts.
    pub(super) fn open(path: &Path) -> Result<(Self, State), ArchivingError> {
        fs::create_dir_all(path).map_err(ArchivingError::io(path))?;
        let lock_file = path.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_file);
        let lock = lock.map_err(ArchivingError::io(&lock_file))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(ArchivingError::Locked(path.display().to_string()));
            }
            Err(error) => return Err(ArchivingError::io(&lock_file)(error.into())),
        }
        let folder = Self { path: path.to_owned(), _lock: lock };
        let state = folder.read()?;
        folder.give_names(&state)?;
        folder.remove_drafts()?;
        Ok((folder, state))
    }

    fn read(&self) -> Result<State, ArchivingError> {
        let file = self.path.join(STATE_FILE);
        match fs::read(&file) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|_| ArchivingError::State(file.display().to_string()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(ArchivingError::io(&file)(error)),
        }
    }

    /// Makes the state durable, then gives the names that it owes.
    pub(super) fn commit(&self, state: &State) -> Result<(), ArchivingError> {
        let file = self.path.join(STATE_FILE);
        let draft = self.path.join(format!("{STATE_FILE}.{DRAFT}"));
        let text = serde_json::to_vec_pretty(state).unwrap_or_default();
        let written = File::create(&draft)
            .and_then(|mut to| to.write_all(&text).and_then(|()| to.sync_all()))
            .and_then(|()| fs::rename(&draft, &file))
            .and_then(|()| self.sync());
        written.map_err(ArchivingError::io(&file))?;
        // A crash here leaves drafts that the state knows: the next start names them.
        self.give_names(state)
    }

    fn give_names(&self, state: &State) -> Result<(), ArchivingError> {
        for (draft, name) in &state.named {
            let target = self.path.join(name);
            match fs::rename(self.path.join(draft), &target) {
                // It has its name, and may have been taken away since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(ArchivingError::io(&target))?,
            }
        }
        self.sync().map_err(ArchivingError::io(&self.path))
    }

    fn remove_drafts(&self) -> Result<(), ArchivingError> {
        for entry in fs::read_dir(&self.path).map_err(ArchivingError::io(&self.path))? {
            let path = entry.map_err(ArchivingError::io(&self.path))?.path();
            if path.extension().is_some_and(|extension| extension == DRAFT) {
                fs::remove_file(&path).map_err(ArchivingError::io(&path))?;
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
