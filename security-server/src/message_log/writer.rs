//! Writing segments: groups of frames, sealing, and repair after an error.
//!
//! What a crash leaves behind is said at each place where something becomes durable. The rules: a segment
//! has its final name only when its header is durable; a record is acknowledged only after `fdatasync` of
//! its frame; after any error of the disk the tail is cut and made durable before the next write, so no
//! frame of a failed write can be taken for one of a later write.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use gateway::clock::Clock;
use gateway::ports::{LogError, LogPosition};
use protocol::digest::hex;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::checkpoint::{Checkpoint, LogKey};
use super::committer::{Pending, Work};
use super::format::{
    FRAME_HEADER_LENGTH, FrameHeader, FrameKind, HEADER_LENGTH, MAX_PAYLOAD, SegmentHeader, TRAILER_LENGTH,
    record_leaf,
};
use super::index::{ENTRY, ID, OpenIndex, SIGNATURE, STAMP, SharedIndex, SignatureEntry};
use super::merkle::{Frontier, Hash};
use super::record::{KeptBody, Long, StampRecord};
use super::scan::stamp_entry;
use super::segment::{ReadError, Segment, bodies_folder, body_path, segment_path};
use super::shared::Shared;
use super::space::Space;
use super::storage::{Storage, StorageFile, is_full};
use super::tree::{self, Upper};

/// Most octets of one group; more would hold up those who came first.
const GROUP_LIMIT: usize = 8 << 20;
/// How far ahead of the frames a segment is filled with zeros, in octets. Room that was only reserved has to be
/// marked as used with every write, which costs more than the write itself.
const ZEROS_AHEAD: usize = 256 << 10;
/// Pause between tries to get room for a new segment or to repair.
const RETRY: Duration = Duration::from_millis(100);

/// What the writer needs to know.
pub(super) struct WriterSettings {
    pub(super) folder: PathBuf,
    pub(super) segment_size: u64,
    pub(super) origin: Option<String>,
    pub(super) key: Option<Arc<LogKey>>,
    pub(super) clock: Clock,
}

/// The end of the log.
pub(super) struct Writer {
    settings: WriterSettings,
    storage: Arc<dyn Storage>,
    space: Arc<Space>,
    shared: Arc<Shared>,
    log: [u8; 16],
    frontier: Frontier,
    next_number: u64,
    active: Option<Active>,
    buffer: Vec<u8>,
    /// After an error: when to try again, and what to answer until then.
    pause: Option<(Instant, LogError)>,
}

/// The open segment.
pub(super) struct Active {
    file: Box<dyn StorageFile>,
    header: SegmentHeader,
    index: SharedIndex,
    end: u64,
    /// Up to here the file was written once, with frames or zeros.
    written: u64,
    /// Octets the index will need.
    reserve: u64,
    signatures: HashMap<(Long, Long), u32>,
    upper: Upper,
    /// A write failed: the tail must be cut before anything is written.
    broken: bool,
}

impl Active {
    /// The segment after a scan; its tail is cut at `index.end` before anything is written.
    pub(super) fn recovered(
        file: Box<dyn StorageFile>,
        header: SegmentHeader,
        index: OpenIndex,
        upper: Upper,
    ) -> Self {
        let end = index.end;
        let names: usize = index.names().iter().map(|name| name.len() + 2).sum();
        let reserve = (index.entries.len() * (ENTRY + ID)
            + index.signatures.len() * SIGNATURE
            + index.stamps.len() * STAMP
            + names) as u64;
        let index = Arc::new(RwLock::new(index));
        // Which signatures are there already is not carried over a restart: at worst one is stored twice.
        Self {
            file,
            header,
            index,
            end,
            written: end,
            reserve,
            signatures: HashMap::new(),
            upper,
            broken: true,
        }
    }

    /// Writes frames at the end, and zeros behind them when they go beyond what was written once.
    fn append(&mut self, frames: &[u8], limit: u64) -> io::Result<()> {
        static ZEROS: [u8; ZEROS_AHEAD] = [0; ZEROS_AHEAD];
        self.file.write_at(frames, self.end)?;
        let end = self.end + frames.len() as u64;
        if end > self.written {
            let room = usize::try_from(limit.saturating_sub(end)).unwrap_or(ZEROS_AHEAD);
            let zeros = ZEROS.get(..room).unwrap_or(&ZEROS);
            self.file.write_at(zeros, end)?;
            self.written = end + zeros.len() as u64;
        }
        Ok(())
    }

    pub(super) fn reading(&self, path: PathBuf) -> Result<Segment, ReadError> {
        let file = self.file.reader().map_err(ReadError::io(&path))?;
        Ok(Segment::of_writer(path, file, self.header.clone(), Arc::clone(&self.index)))
    }
}

/// A group that is being put together.
struct Group {
    frontier: Frontier,
    upper: Upper,
    done: Vec<(Added, Pending)>,
    signatures: Vec<SignatureEntry>,
    keys: Vec<(Long, Long)>,
    bodies: Vec<(PathBuf, PathBuf, u64)>,
    reserve: u64,
}

/// What the index is told when the group is durable.
struct Added {
    sequence: u64,
    offset: u32,
    leaf: Hash,
}

impl Writer {
    /// `active` is the open segment, if the last one is not sealed.
    pub(super) fn new(
        settings: WriterSettings,
        (storage, space, shared): (Arc<dyn Storage>, Arc<Space>, Arc<Shared>),
        log: [u8; 16],
        frontier: Frontier,
        next_number: u64,
        active: Option<Active>,
    ) -> Self {
        let buffer = Vec::new();
        Self { settings, storage, space, shared, log, frontier, next_number, active, buffer, pause: None }
    }

    /// Makes the log writable: called once before the thread starts.
    ///
    /// # Errors
    /// What [`Writer::write`] would answer to everybody.
    pub(super) fn prepare(&mut self) -> Result<(), LogError> {
        self.ready()
    }

    /// Writes all records and answers each of them.
    pub(super) fn write(&mut self, batch: &mut Vec<Pending>) {
        let mut rest = batch.drain(..).peekable();
        while rest.peek().is_some() {
            if let Err(error) = self.ready() {
                rest.by_ref().for_each(|pending| pending.answer(Err(error.clone())));
                return;
            }
            let Some(active) = self.active.as_mut() else { continue };
            let mut group = Group::new(&self.frontier);
            self.buffer.clear();
            while let Some(pending) = rest.peek() {
                let worst = worst_length(&pending.work) as u64;
                if worst > MAX_PAYLOAD as u64 {
                    if let Some(pending) = rest.next() {
                        pending.answer(Err(LogError::Unavailable(
                            "the message is too long for a record".into(),
                        )));
                    }
                    continue;
                }
                let need = self.buffer.len() as u64 + worst + active.reserve + group.reserve + 16 * 1024;
                let empty = active.end == HEADER_LENGTH as u64 && self.buffer.is_empty();
                let fits = active.end + need + TRAILER_LENGTH as u64 <= self.settings.segment_size;
                if !(fits || empty) || self.buffer.len() >= GROUP_LIMIT {
                    break;
                }
                if let Some(pending) = rest.next() {
                    group.add(active, &mut self.buffer, &self.settings.folder, pending);
                }
            }
            if group.done.is_empty() {
                if self.buffer.is_empty() && rest.peek().is_some() {
                    self.seal();
                }
                continue;
            }
            if let Err(error) = self.commit(group) {
                rest.by_ref().for_each(|pending| pending.answer(Err(error.clone())));
                return;
            }
        }
        if self.buffer.capacity() > 2 * GROUP_LIMIT {
            self.buffer = Vec::new();
        }
    }

    /// Writes a group, makes it durable and answers.
    fn commit(&mut self, group: Group) -> Result<(), LogError> {
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        let result = move_bodies(self.storage.as_ref(), &self.settings.folder, &group.bodies)
            .and_then(|()| active.append(&self.buffer, self.settings.segment_size))
            // A crash before this line may leave any part of the group; restart keeps its whole frames up
            // to the first that is not. A crash after it leaves all of it. Nobody was answered yet.
            .and_then(|()| active.file.sync());
        if let Err(error) = result {
            active.broken = true;
            for key in &group.keys {
                active.signatures.remove(key);
            }
            for (_, path, _) in &group.bodies {
                // Left behind it is only lost room: restart removes bodies without a record.
                let _ = self.storage.remove(path);
            }
            let error = self.failed("write", &error);
            group.done.into_iter().for_each(|(_, pending)| pending.answer(Err(error.clone())));
            return Err(error);
        }
        active.end += self.buffer.len() as u64;
        active.reserve += group.reserve;
        active.upper.extend(group.upper);
        self.frontier = group.frontier;
        self.space.add(group.bodies.iter().map(|(_, _, length)| length).sum());
        self.shared.note_signatures(&group.signatures);
        let mut index = active.index.write().unwrap_or_else(PoisonError::into_inner);
        index.signatures.extend(group.signatures);
        let mut answers = Vec::with_capacity(group.done.len());
        for (added, pending) in group.done {
            match &pending.work {
                Work::Message(message) => index.push_message(
                    (message.time, added.offset, message.flags),
                    &message.client,
                    &message.service,
                    message.id_hash,
                    added.leaf,
                ),
                Work::Stamp(stamp, time) => {
                    self.shared.note_stamp(stamp);
                    index.push_stamp(*time, stamp_entry(stamp, added.offset), added.leaf);
                }
            }
            answers.push((pending, added.sequence));
        }
        index.end = active.end;
        drop(index);
        for (pending, sequence) in answers {
            pending.answer(Ok(LogPosition(sequence)));
        }
        Ok(())
    }

    /// Brings the writer to a state in which it can write, or says why not.
    fn ready(&mut self) -> Result<(), LogError> {
        if let Some((until, error)) = &self.pause {
            if Instant::now() < *until {
                return Err(error.clone());
            }
            self.pause = None;
        }
        let result = self.space.check(0).and_then(|()| match &self.active {
            None => self.create(),
            Some(active) if active.broken => self.repair(),
            Some(_) => Ok(()),
        });
        if let Err(error) = &result {
            self.pause = Some((Instant::now() + RETRY, error.clone()));
        }
        result
    }

    /// Cuts what a failed write may have left, durably, and reserves the room again.
    fn repair(&mut self) -> Result<(), LogError> {
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        let size = self.settings.segment_size.max(active.end);
        let result = active
            .file
            .set_length(active.end)
            .and_then(|()| active.file.allocate(size))
            // A crash before this line leaves the tail as it was: restart cuts it likewise.
            .and_then(|()| active.file.sync());
        match result {
            Ok(()) => {
                active.broken = false;
                active.written = active.end;
                Ok(())
            }
            Err(error) => Err(self.failed("repair", &error)),
        }
    }

    /// Begins the next segment.
    fn create(&mut self) -> Result<(), LogError> {
        self.space.check(self.settings.segment_size)?;
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id).map_err(|_| LogError::Unavailable("no random octets".into()))?;
        let header = SegmentHeader {
            log: self.log,
            id,
            number: self.next_number,
            created: self.settings.clock.now().millis(),
            stamped_until: self.shared.stamped_until(),
            frontier: self.frontier.clone(),
        };
        let path = segment_path(&self.settings.folder, header.number);
        let draft = path.with_extension("tmp");
        let create = || -> io::Result<Box<dyn StorageFile>> {
            let file = self.storage.create(&draft)?;
            file.allocate(self.settings.segment_size)?;
            file.write_at(&header.encode(), 0)?;
            file.sync()?;
            // A crash before the next line leaves a draft, which restart removes. A crash after it may or
            // may not show the empty segment; both are fine, for it has no records yet.
            self.storage.rename(&draft, &path)?;
            self.storage.sync_folder(&self.settings.folder)?;
            Ok(file)
        };
        let file = match create() {
            Ok(file) => file,
            Err(error) => {
                let _ = self.storage.remove(&draft);
                let _ = self.storage.remove(&path);
                return Err(self.failed("begin a segment", &error));
            }
        };
        let index = OpenIndex::empty();
        let active = Active {
            file,
            header,
            end: index.end,
            written: index.end,
            index: Arc::new(RwLock::new(index)),
            reserve: 0,
            signatures: HashMap::new(),
            upper: Upper::new(),
            broken: false,
        };
        let segment = active.reading(path).map_err(|error| LogError::Unavailable(error.to_string()))?;
        self.shared.set_current(Arc::new(segment));
        self.space.add(self.settings.segment_size);
        self.next_number += 1;
        self.active = Some(active);
        Ok(())
    }

    /// Ends the open segment with its index. An error leaves it open; the next write tries again.
    fn seal(&mut self) {
        let Some(active) = self.active.as_mut() else { return };
        let origin = self.settings.origin.clone();
        let origin = origin.unwrap_or_else(|| format!("causeway-message-log/{}", hex(&self.log)));
        let checkpoint = Checkpoint { origin, size: self.frontier.size(), root: self.frontier.root() };
        let note = checkpoint.note(self.settings.key.as_deref());
        let first = active.header.frontier.size();
        let (leaves, bytes) = {
            let index = active.index.read().unwrap_or_else(PoisonError::into_inner);
            let stamped_until = self.shared.stamped_until();
            (
                index.leaves.clone(),
                index.seal(active.header.number, first, stamped_until, checkpoint.root, &note),
            )
        };
        let length = active.end + bytes.len() as u64;
        // A crash anywhere before the last line leaves an open segment with something behind its frames,
        // which restart cuts; the files of the tree may then be ahead, and get the same hashes again.
        let result =
            tree::append(self.storage.as_ref(), &self.settings.folder, first, &leaves, &active.upper)
                .and_then(|()| active.file.write_at(&bytes, active.end))
                .and_then(|()| active.file.set_length(length))
                .and_then(|()| active.file.sync());
        match result {
            Ok(()) => {
                self.space.remove(self.settings.segment_size.saturating_sub(length));
                self.active = None;
                self.shared.note_sealed();
            }
            Err(error) => {
                active.broken = true;
                let error = self.failed("seal a segment", &error);
                self.pause = Some((Instant::now() + RETRY, error));
            }
        }
    }

    fn failed(&self, what: &str, error: &io::Error) -> LogError {
        tracing::error!(%error, "message log could not {what}");
        if is_full(error) {
            LogError::Full(format!("could not {what}: {error}"))
        } else {
            LogError::Unavailable(format!("could not {what}: {error}"))
        }
    }
}

/// Gives the bodies of a group their final names.
fn move_bodies(
    storage: &dyn Storage,
    folder: &std::path::Path,
    bodies: &[(PathBuf, PathBuf, u64)],
) -> io::Result<()> {
    if bodies.is_empty() {
        return Ok(());
    }
    for (from, to, _) in bodies {
        storage.rename(from, to)?;
    }
    // A crash after this line leaves bodies whose sequence is not in the log: restart removes them.
    storage.sync_folder(&bodies_folder(folder))
}

/// Octets a record needs at most, with a signature frame of its own and its index entries.
fn worst_length(work: &Work) -> usize {
    match work {
        Work::Message(message) => {
            let signature = &message.signature;
            message.length()
                + signature.document.len()
                + signature.result.as_ref().map_or(0, bytes::Bytes::len)
                + message.client.len()
                + message.service.len()
                + 2 * FRAME_HEADER_LENGTH
                + ENTRY
                + ID
                + SIGNATURE
                + 256
        }
        Work::Stamp(stamp, _) => {
            stamp.token.len()
                + stamp.result.as_ref().map_or(0, bytes::Bytes::len)
                + stamp.leaves.len() * 72
                + FRAME_HEADER_LENGTH
                + ENTRY
                + STAMP
                + 256
        }
    }
}

impl Group {
    fn new(frontier: &Frontier) -> Self {
        Self {
            frontier: frontier.clone(),
            upper: Upper::new(),
            done: Vec::new(),
            signatures: Vec::new(),
            keys: Vec::new(),
            bodies: Vec::new(),
            reserve: 0,
        }
    }

    fn add(&mut self, active: &mut Active, buffer: &mut Vec<u8>, folder: &std::path::Path, pending: Pending) {
        let segment = active.header.id;
        let sequence = self.frontier.size();
        let (start, mut first) = (active.end, buffer.is_empty());
        let mut frame = |kind, time, leaf, fill: &mut dyn FnMut(&mut Vec<u8>)| {
            let at = buffer.len();
            let offset = (start + at as u64) as u32;
            buffer.resize(at + FRAME_HEADER_LENGTH, 0);
            fill(buffer);
            let payload = buffer.get(at + FRAME_HEADER_LENGTH..).unwrap_or_default();
            let header = FrameHeader {
                kind,
                first: std::mem::take(&mut first),
                erased: false,
                length: payload.len() as u32,
                payload_checksum: crc32fast::hash(payload),
                sequence,
                time,
                leaf,
                offset,
            };
            if let Some(place) = buffer.get_mut(at..at + FRAME_HEADER_LENGTH) {
                place.copy_from_slice(&header.encode(&segment));
            }
            offset
        };
        let (offset, leaf) = match &pending.work {
            Work::Message(message) => {
                let key = message.signature.digests();
                let signature = match active.signatures.get(&key) {
                    Some(offset) => *offset,
                    None => {
                        let kind = FrameKind::Signature;
                        let offset =
                            frame(kind, message.time, [0; 32], &mut |to| message.signature.encode(to));
                        active.signatures.insert(key, offset);
                        self.keys.push(key);
                        self.reserve += SIGNATURE as u64;
                        self.signatures.push(SignatureEntry {
                            sequence,
                            time: message.time,
                            offset,
                            digest: key.0,
                        });
                        offset
                    }
                };
                let leaf = record_leaf(FrameKind::Message, sequence, message.time, &message.commitment);
                let kind = FrameKind::Message;
                let offset = frame(kind, message.time, leaf, &mut |to| message.encode(signature, to));
                if let KeptBody::OwnFile { path, length, .. } = &message.body {
                    self.bodies.push((path.clone(), body_path(folder, sequence), *length));
                }
                self.reserve += (ENTRY + ID + message.client.len() + message.service.len() + 4) as u64;
                (offset, leaf)
            }
            Work::Stamp(stamp, time) => {
                let payload = stamp.encode();
                let commitment = StampRecord::commitment(&payload);
                let leaf = record_leaf(FrameKind::Timestamp, sequence, *time, &commitment);
                let offset =
                    frame(FrameKind::Timestamp, *time, leaf, &mut |to| to.extend_from_slice(&payload));
                self.reserve += (ENTRY + STAMP) as u64;
                (offset, leaf)
            }
        };
        tree::push(&mut self.frontier, leaf, &mut self.upper);
        self.done.push((Added { sequence, offset, leaf }, pending));
    }
}
