//! The state in force, held durably, and its generations.
//!
//! What is kept is the file as it was read together with the files it named: one value, so that a
//! crash leaves the old state or the new one. A start without the operator's folder at hand, or with a
//! file that somebody is in the middle of editing, goes on with what is kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use administration::store::{Batch, Store, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::digest::DigestAlgorithm;
use protocol::time::UtcTime;
use serde::{Deserialize, Serialize};

use super::{Checked, Folder, InstanceState, Watched, read};
use crate::fields::Problems;

/// Longest state file.
const LONGEST_STATE: u64 = 64 << 20;
/// Its name in the store.
pub(crate) const NAME: &str = "state";

/// A state in force.
#[derive(Debug)]
pub struct Kept {
    /// Counts the states that were in force, from 1.
    pub generation: u64,
    /// The state.
    pub state: InstanceState,
    /// SHA-256 over the file and those it names, to see whether anything changed.
    digest: String,
}

/// Why a state did not come into force. The one before it, if any, stays.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file is not there or cannot be read.
    #[error("cannot read the instance file {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file has problems.
    #[error("the instance file {} is refused: {problems}", path.display())]
    Problems {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Problems,
    },
    /// It was written for another instance than the one that was in force.
    #[error(
        "the instance file is for the instance {new}, but this registry serves {old}; give a new instance a new folder"
    )]
    OtherInstance {
        /// The instance in force.
        old: String,
        /// The instance in the file.
        new: String,
    },
    /// It cannot be held.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is held was not written by this program, or by one that is too different.
    #[error("the state in the store cannot be read: {0}")]
    Held(String),
}

#[derive(Deserialize, Serialize)]
struct Record {
    generation: u64,
    text: String,
    /// By path, base64.
    files: BTreeMap<String, String>,
}

/// What [`Kept::take`] did.
#[derive(Debug)]
pub enum Taken {
    /// The file says what is in force already.
    Same,
    /// A new state is in force and durable.
    New {
        /// The state.
        kept: Box<Kept>,
        /// What it brings, clause by clause.
        differences: Vec<String>,
        /// What should be looked at.
        warnings: Vec<String>,
    },
}

impl Kept {
    /// The state that was in force last, if there was any.
    pub fn load(store: &dyn Store, now: UtcTime) -> Result<Option<Self>, StateError> {
        let Some(value) = store.get(NAME.as_bytes())? else { return Ok(None) };
        let held = |error: &dyn std::fmt::Display| StateError::Held(error.to_string());
        let record: Record = serde_json::from_slice(&value).map_err(|error| held(&error))?;
        let mut files = BTreeMap::new();
        for (path, content) in record.files {
            let content = STANDARD.decode(content);
            files.insert(path, content.map_err(|error| held(&error))?);
        }
        let checked = read(&record.text, &files, now).map_err(|problems| held(&problems))?;
        let digest = digest(&record.text, &files);
        Ok(Some(Self { generation: record.generation, state: checked.state, digest }))
    }

    /// Takes the state of a file into force, if it is good and says anything new over what is in force.
    ///
    /// When this returns a new state, it is durable: a crash just before leaves the old one, and the
    /// file is simply read again.
    pub fn take(
        in_force: Option<&Self>,
        watched: &mut Watched,
        store: &dyn Store,
        now: UtcTime,
    ) -> Result<Taken, StateError> {
        let path = watched.path().to_owned();
        let folder = Folder::new(path.parent().unwrap_or(Path::new("")));
        let read = text_of(&path).and_then(|text| match read(&text, &folder, now) {
            Ok(checked) => Ok((text, checked)),
            Err(problems) => Err(StateError::Problems { path, problems }),
        });
        let (named, files) = folder.into_given();
        watched.was_read(named);
        let (text, Checked { state, warnings }) = read?;
        let digest = digest(&text, &files);
        let differences = match in_force {
            Some(kept) if kept.digest == digest => return Ok(Taken::Same),
            Some(kept) if kept.state.instance != state.instance => {
                return Err(StateError::OtherInstance {
                    old: kept.state.instance.clone(),
                    new: state.instance,
                });
            }
            Some(kept) => state.differences(&kept.state),
            None => vec![format!("instance {} declared", state.instance)],
        };
        let generation = in_force.map_or(0, |kept| kept.generation).saturating_add(1);
        let files = files.iter().map(|(path, content)| (path.clone(), STANDARD.encode(content))).collect();
        let record = serde_json::to_vec(&Record { generation, text, files });
        let record = record.map_err(|error| StateError::Held(error.to_string()))?;
        let mut batch = Batch::default();
        batch.put(NAME, record);
        if let Err(error) = store.write(batch) {
            // Once there is room again the same file is good.
            watched.read_again();
            return Err(error.into());
        }
        Ok(Taken::New { kept: Box::new(Self { generation, state, digest }), differences, warnings })
    }
}

fn text_of(path: &Path) -> Result<String, StateError> {
    use std::io::Read as _;
    let told = |error| StateError::File { path: path.to_owned(), error };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(told)?;
    file.take(LONGEST_STATE + 1).read_to_string(&mut text).map_err(told)?;
    if text.len() as u64 > LONGEST_STATE {
        return Err(told(std::io::Error::other("the file is too long")));
    }
    Ok(text)
}

fn digest(text: &str, files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut all = Vec::with_capacity(64 * (files.len() + 1));
    all.extend_from_slice(DigestAlgorithm::Sha256.digest(text.as_bytes()).bytes());
    for (path, content) in files {
        all.extend_from_slice(DigestAlgorithm::Sha256.digest(path.as_bytes()).bytes());
        all.extend_from_slice(DigestAlgorithm::Sha256.digest(content).bytes());
    }
    DigestAlgorithm::Sha256.digest(&all).to_hex()
}
