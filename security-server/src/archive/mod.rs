//! Archives of the message log: zips of evidence containers that leave the server (signatures and
//! evidence §4.4 to §4.6, §6.6).
//!
//! Promises:
//!
//! - every record whose signature is time-stamped is archived once, in the order of the log within its
//!   group, and each group's archives are one chain;
//! - an archive that has its final name is whole and durable, and a crash at any point neither loses a
//!   record nor breaks a chain;
//! - memory is bounded by one batch of record numbers and one container's bookkeeping.
//!
//! What was archived is written down in `archiving.json` beside the archives.

mod file;
mod openpgp;
mod run;
mod state;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use protocol::id::{ClientId, MemberId};

use crate::message_log::{ExportError, ReadError};

pub use openpgp::{Encryption, EncryptionError, Recipient};
pub use run::{Archived, Archiver};

/// What the archives of one chain have in common.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Grouping {
    /// All records.
    #[default]
    None,
    /// The member whose records they are.
    Member,
    /// The subsystem whose records they are.
    Subsystem,
}

impl Grouping {
    /// The word of settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Member => "member",
            Self::Subsystem => "subsystem",
        }
    }

    /// The grouping of a word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::Member, Self::Subsystem].into_iter().find(|grouping| grouping.name() == name)
    }

    /// The group of a record that this client owns.
    fn group(self, owner: &ClientId) -> Group {
        match self {
            Self::None => Group { name: None, member: None },
            Self::Member => {
                Group { name: Some(owner.member().to_string()), member: Some(owner.member().clone()) }
            }
            Self::Subsystem => Group { name: Some(owner.to_string()), member: Some(owner.member().clone()) },
        }
    }
}

/// Records whose archives are one chain.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Group {
    /// The short name of member or subsystem.
    name: Option<String>,
    /// Who may read the archives, when they are encrypted.
    member: Option<MemberId>,
}

/// Settings of archiving.
#[derive(Clone)]
pub struct Settings {
    /// Where archives go. They may be taken away from there; `archiving.json` must stay.
    pub folder: PathBuf,
    /// Which records share a chain.
    pub grouping: Grouping,
    /// Octets of containers after which an archive is ended.
    pub max_file_size: u64,
    /// Most records that are looked at before their archives are ended and given their names.
    pub batch: usize,
    /// Encrypts archives.
    pub encryption: Option<Arc<Encryption>>,
}

impl Settings {
    /// The defaults for archives in this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            grouping: Grouping::None,
            max_file_size: 32 << 20,
            batch: 10_000,
            encryption: None,
        }
    }
}

/// Why archiving stopped. What was archived before counts; the next run goes on there.
#[derive(Debug, thiserror::Error)]
pub enum ArchivingError {
    /// The disk.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: String,
        /// What went wrong.
        error: io::Error,
    },
    /// Another process archives into the folder.
    #[error("another process archives into {0}")]
    Locked(String),
    /// `archiving.json` is not what was written. Archiving again from the start needs it removed.
    #[error("{0} is damaged")]
    State(String),
    /// The archives in the folder are of another log.
    #[error("the archives in {0} are of another message log")]
    OtherLog(String),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A container cannot be made.
    #[error("record {sequence}: {error}")]
    Export {
        /// Which record.
        sequence: u64,
        /// Why.
        error: ExportError,
    },
    /// An archive cannot be encrypted.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// The zip cannot be written.
    #[error("the archive cannot be written: {0}")]
    Zip(#[from] zip::result::ZipError),
}

impl ArchivingError {
    fn io(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::Io { path, error }
    }
}
