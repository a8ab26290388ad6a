//! Large bodies: copied in pieces to files of their own, on threads that may block.
//!
//! A copy is durable under a draft name before its record is queued; the committer renames it to the
//! record's sequence. So a body with a final name and a sequence that is not in the log belongs to a
//! record that was never acknowledged, and restart removes it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use bytes::Bytes;
use gateway::ports::LogError;
use protocol::digest::{DigestAlgorithm, Hasher};
use ring::digest::{Context, SHA256};
use tokio::sync::oneshot;

use super::record::{KeptBody, Long};
use super::segment::bodies_folder;
use super::space::Space;
use super::storage::{Storage, StorageFile, is_full};

/// Octets that are in memory at a time.
const PIECE: usize = 256 << 10;
const THREADS: usize = 2;

/// Where a body comes from.
pub(super) enum Source {
    Memory(Bytes),
    File { file: Arc<File>, at: u64, length: u64 },
}

impl Source {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

enum Job {
    /// The first octets of each source, one after the other.
    Keep {
        sources: Vec<(Source, u64)>,
        done: oneshot::Sender<Result<KeptBody, LogError>>,
    },
    Digest {
        source: Source,
        done: oneshot::Sender<Result<Long, LogError>>,
    },
}

/// Copies bodies.
pub(super) struct Copier {
    jobs: mpsc::Sender<Job>,
    inline_limit: u64,
}

impl Copier {
    pub(super) fn start(
        storage: Arc<dyn Storage>,
        space: Arc<Space>,
        folder: &Path,
        inline_limit: u64,
    ) -> io::Result<Self> {
        let (jobs, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..THREADS {
            let (receiver, storage, space) =
                (Arc::clone(&receiver), Arc::clone(&storage), Arc::clone(&space));
            let folder = bodies_folder(folder);
            std::thread::Builder::new().name("message-log-body".to_owned()).spawn(move || {
                loop {
                    let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    // The log is gone.
                    let (sources, done) = match next {
                        Err(_) => return,
                        Ok(Job::Keep { sources, done }) => (sources, done),
                        Ok(Job::Digest { source, done }) => {
                            let _ = done.send(digest(&source).map_err(|error| failed(&error)));
                            continue;
                        }
                    };
                    let length = total(&sources);
                    let result = if length <= inline_limit {
                        read(&sources)
                    } else {
                        space.check(length).and_then(|()| copy(storage.as_ref(), &folder, &sources))
                    };
                    // Whoever gave up leaves no draft behind.
                    if let Err(Ok(KeptBody::OwnFile { path, .. })) = done.send(result) {
                        let _ = storage.remove(&path);
                    }
                }
            })?;
        }
        Ok(Self { jobs, inline_limit })
    }

    /// Keeps the first octets of each source, one after the other.
    pub(super) async fn keep(&self, sources: Vec<(Source, u64)>) -> Result<KeptBody, LogError> {
        if let [(Source::Memory(bytes), length)] = sources.as_slice()
            && *length <= self.inline_limit
        {
            let length = usize::try_from(*length).unwrap_or(usize::MAX).min(bytes.len());
            return Ok(KeptBody::Inline(bytes.slice(..length)));
        }
        let (done, kept) = oneshot::channel();
        self.jobs.send(Job::Keep { sources, done }).map_err(|_| stopped())?;
        kept.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// SHA-512 of a body that is too long to be kept.
    pub(super) async fn digest(&self, source: Source) -> Result<Long, LogError> {
        let (done, digest) = oneshot::channel();
        self.jobs.send(Job::Digest { source, done }).map_err(|_| stopped())?;
        digest.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn stopped() -> LogError {
    LogError::Unavailable("the message log is stopped".to_owned())
}

fn failed(error: &io::Error) -> LogError {
    let text = format!("could not copy a body: {error}");
    if is_full(error) { LogError::Full(text) } else { LogError::Unavailable(text) }
}

fn total(sources: &[(Source, u64)]) -> u64 {
    sources.iter().map(|(_, length)| length).sum()
}

/// Octets few enough for the record.
fn read(sources: &[(Source, u64)]) -> Result<KeptBody, LogError> {
    let mut bytes = Vec::with_capacity(usize::try_from(total(sources)).unwrap_or(0));
    for (source, length) in sources {
        for_each_piece(source, *length, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })
        .map_err(|error| failed(&error))?;
    }
    Ok(KeptBody::Inline(bytes.into()))
}

fn copy(storage: &dyn Storage, folder: &Path, sources: &[(Source, u64)]) -> Result<KeptBody, LogError> {
    let path = folder.join(format!("{}.tmp", uuid::Uuid::new_v4()));
    let copied = storage.create(&path).and_then(|file| {
        let digest = copy_octets(file.as_ref(), sources)?;
        file.sync()?;
        Ok(digest)
    });
    match copied {
        Ok(digest) => Ok(KeptBody::OwnFile { path, length: total(sources), digest }),
        Err(error) => {
            let _ = storage.remove(&path);
            Err(failed(&error))
        }
    }
}

fn copy_octets(to: &dyn StorageFile, sources: &[(Source, u64)]) -> io::Result<[u8; 32]> {
    let mut context = Context::new(&SHA256);
    let mut at = 0;
    for (source, length) in sources {
        for_each_piece(source, *length, |piece| {
            context.update(piece);
            to.write_at(piece, at)?;
            at += piece.len() as u64;
            Ok(())
        })?;
    }
    context.finish().as_ref().try_into().map_err(|_| io::ErrorKind::InvalidData.into())
}

fn digest(source: &Source) -> io::Result<Long> {
    let mut hasher = Hasher::new(DigestAlgorithm::Sha512);
    for_each_piece(source, source.length(), |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    hasher.finish().bytes().try_into().map_err(|_| io::ErrorKind::InvalidData.into())
}

fn for_each_piece(
    source: &Source,
    length: u64,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = match source {
        Source::Memory(_) => Vec::new(),
        Source::File { .. } => vec![0; PIECE],
    };
    let mut at = 0;
    while at < length {
        let count = usize::try_from(length - at).unwrap_or(PIECE).min(PIECE);
        match source {
            Source::Memory(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                take(bytes.get(from..from.saturating_add(count)).ok_or(io::ErrorKind::UnexpectedEof)?)?;
            }
            Source::File { file, at: start, .. } => {
                let piece = buffer.get_mut(..count).ok_or(io::ErrorKind::UnexpectedEof)?;
                file.read_exact_at(piece, start.saturating_add(at))?;
                take(piece)?;
            }
        }
        at += count as u64;
    }
    Ok(())
}

/// Removes drafts, and bodies whose sequence is not in the log. Gives the octets of the rest.
pub(super) fn clean(storage: &dyn Storage, folder: &Path, next_sequence: u64) -> io::Result<u64> {
    let mut kept = 0;
    for entry in std::fs::read_dir(bodies_folder(folder))? {
        let entry = entry?;
        let name = entry.file_name();
        let sequence = name.to_str().and_then(|name| name.strip_suffix(".body")?.parse::<u64>().ok());
        if sequence.is_some_and(|sequence| sequence < next_sequence) {
            kept += entry.metadata()?.len();
        } else {
            let path: PathBuf = entry.path();
            storage.remove(&path)?;
        }
    }
    Ok(kept)
}
