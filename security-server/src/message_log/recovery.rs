//! Opening the log for writing, also after a crash.
//!
//! Only the last segment is read, whatever the size of the log.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::fs::{FlockOperation, flock};

use super::bodies;
use super::merkle::Frontier;
use super::scan::scan;
use super::segment::{
    Index, ReadError, Segment, bodies_folder, read_header, read_trailer, segment_numbers, segment_path,
};
use super::shared::{Shared, StampState};
use super::space::Space;
use super::storage::Storage;
use super::tree::{self, Upper};
use super::writer::{Active, Writer, WriterSettings};

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes it.
    #[error("the message log in {0} is in use")]
    Locked(String),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A segment is missing between others.
    #[error("segment {0} of the message log is missing")]
    Missing(u64),
    /// The disk, or the system.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The log's end, ready to be written.
pub(super) struct Opened {
    pub(super) writer: Writer,
    pub(super) shared: Arc<Shared>,
    pub(super) space: Arc<Space>,
    /// Held as long as the log is open.
    pub(super) lock: File,
}

/// Opens the log, or begins one.
pub(super) fn open(
    settings: WriterSettings,
    storage: Arc<dyn Storage>,
    (floor, limit): (u64, Option<u64>),
) -> Result<Opened, OpenError> {
    let folder = settings.folder.clone();
    create_folders(storage.as_ref(), &folder)?;
    let lock = lock(&folder)?;
    remove_drafts(storage.as_ref(), &folder)?;
    let numbers = segment_numbers(&folder)?;
    if let Some(gap) = numbers.windows(2).find_map(|pair| match pair {
        [a, b] if a + 1 != *b => Some(a + 1),
        _ => None,
    }) {
        return Err(OpenError::Missing(gap));
    }
    let space = Arc::new(Space::new(Arc::clone(&storage), folder.clone(), floor, limit));
    let shared = Arc::new(Shared::default());
    let parts = (Arc::clone(&storage), Arc::clone(&space), Arc::clone(&shared));
    let Some(last) = numbers.last().copied() else {
        let mut log = [0; 16];
        SystemRandom::new().fill(&mut log).map_err(|_| io::Error::other("no random octets"))?;
        bodies::clean(storage.as_ref(), &folder, 0)?;
        let writer = Writer::new(settings, parts, log, Frontier::default(), 1, None);
        return Ok(Opened { writer, shared, space, lock });
    };
    let path = segment_path(&folder, last);
    let file = storage.open(&path)?;
    let reader = file.reader()?;
    let header = read_header(&reader, &path)?;
    let log = header.log;
    let (active, frontier, segment) = if read_trailer(&reader, &path)?.is_some() {
        // The crash came between sealing this segment and beginning the next.
        let segment = Segment::open(path)?;
        (None, frontier_after(&segment)?, segment)
    } else {
        let found = scan(&reader, &path, &header, true)?;
        let mut replay = header.frontier.clone();
        let mut upper = Upper::new();
        for leaf in &found.index.leaves {
            tree::push(&mut replay, *leaf, &mut upper);
        }
        let active = Active::recovered(file, header, found.index, upper);
        let segment = active.reading(path)?;
        (Some(active), replay, segment)
    };
    complete_tree(storage.as_ref(), &folder, &numbers, &segment)?;
    let segment = Arc::new(segment);
    *shared.stamps() = stamp_state(&folder, &numbers, &segment)?;
    shared.set_current(segment);
    space.add(bodies::clean(storage.as_ref(), &folder, frontier.size())?);
    for number in &numbers {
        space.add(std::fs::metadata(segment_path(&folder, *number))?.len());
    }
    let writer = Writer::new(settings, parts, log, frontier, last + 1, active);
    Ok(Opened { writer, shared, space, lock })
}

/// Makes the folders of a log. A loss of power must not take a new folder with all that is in it.
fn create_folders(storage: &dyn Storage, folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    for sub in [bodies_folder(folder), folder.join("tree")] {
        std::fs::create_dir_all(&sub)?;
    }
    storage.sync_folder(folder)?;
    for parent in missing.iter().filter_map(|folder| folder.parent()) {
        storage.sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    }
    Ok(())
}

/// Tries for a moment: a program that the last writer was just starting shares its lock until it runs.
fn lock(folder: &Path) -> Result<File, OpenError> {
    const TRIES: u32 = 20;
    const PAUSE: Duration = Duration::from_millis(10);
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join("lock"))?;
    for attempt in 1..=TRIES {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(rustix::io::Errno::WOULDBLOCK) if attempt < TRIES => std::thread::sleep(PAUSE),
            Err(rustix::io::Errno::WOULDBLOCK) => break,
            Err(error) => return Err(OpenError::Io(error.into())),
        }
    }
    Err(OpenError::Locked(folder.display().to_string()))
}

/// Segments that a crash left half begun.
fn remove_drafts(storage: &dyn Storage, folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            storage.remove(&path)?;
        }
    }
    Ok(())
}

/// Leaves of a segment, from its frames if it is sealed.
fn leaves(segment: &Segment) -> Result<Vec<super::merkle::Hash>, ReadError> {
    if let Index::Open(index) = &segment.index {
        return Ok(super::segment::read(index).leaves.clone());
    }
    let mut leaves = Vec::new();
    for entry in segment.entries(0, segment.count())? {
        leaves.push(segment.frame_header(u64::from(entry.offset))?.leaf);
    }
    Ok(leaves)
}

/// The tree after a sealed segment.
fn frontier_after(segment: &Segment) -> Result<Frontier, ReadError> {
    let mut frontier = segment.header.frontier.clone();
    for leaf in leaves(segment)? {
        frontier.push(leaf, |_, _| ());
    }
    match segment.trailer() {
        Some(trailer) if trailer.root != frontier.root() => {
            Err(segment.damaged(trailer.data_end, "root of the tree"))
        }
        _ => Ok(frontier),
    }
}

/// Computes the files of the tree again, if they do not have all sealed records.
fn complete_tree(
    storage: &dyn Storage,
    folder: &Path,
    numbers: &[u64],
    last: &Segment,
) -> Result<(), OpenError> {
    let sealed = match &last.index {
        Index::Open(_) => last.first_sequence(),
        Index::Sealed(_) => last.first_sequence() + last.count(),
    };
    if tree::is_complete(folder, sealed) {
        return Ok(());
    }
    for number in numbers {
        let segment = Segment::open(segment_path(folder, *number))?;
        if segment.trailer().is_none() {
            continue;
        }
        let mut frontier = segment.header.frontier.clone();
        let mut upper = Upper::new();
        let leaves = leaves(&segment)?;
        for leaf in &leaves {
            tree::push(&mut frontier, *leaf, &mut upper);
        }
        tree::append(storage, folder, segment.first_sequence(), &leaves, &upper)?;
    }
    Ok(())
}

/// How far time-stamping had come: from the header of the last segment on, and whatever single stamps
/// lie after that point.
fn stamp_state(folder: &Path, numbers: &[u64], last: &Arc<Segment>) -> Result<StampState, ReadError> {
    let mut state = StampState { cursor: last.header.stamped_until, ..StampState::default() };
    let open = |number: u64| -> Result<Arc<Segment>, ReadError> {
        if number == last.number() {
            return Ok(Arc::clone(last));
        }
        Ok(Arc::new(Segment::open(segment_path(folder, number))?))
    };
    let mut stamps = Vec::new();
    let mut first = last.number();
    // Newest first, until the segment that has the signature at the cursor.
    for number in numbers.iter().rev() {
        let segment = open(*number)?;
        first = *number;
        stamps.push(segment.stamps()?);
        if segment.first_sequence() <= state.cursor {
            break;
        }
    }
    for stamp in stamps.iter().rev().flatten() {
        state.note(stamp.from, stamp.until);
    }
    let mut oldest = None;
    for number in numbers.iter().filter(|number| **number >= first) {
        let signatures = open(*number)?.signatures()?;
        oldest = signatures.iter().find(|entry| !state.is_stamped(entry.sequence)).map(|entry| entry.time);
        if oldest.is_some() {
            break;
        }
    }
    state.oldest = oldest;
    Ok(state)
}
