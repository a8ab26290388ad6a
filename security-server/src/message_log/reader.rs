//! Reading the log: by the running server, and by others beside it or without it.
//!
//! A reader opens files read-only and takes no lock. It sees the log as it was when it was made; what is
//! written later is seen by a new one.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gateway::ports::{Direction, Side};
use protocol::id::{ClientId, ServiceId};
use protocol::time::UtcTime;

use super::checkpoint::Checkpoint;
use super::details::{Details, client_name, service_of_name};
use super::format::FrameKind;
use super::index::IndexEntry;
use super::merkle::{self, Hash};
use super::record::{SharedSignature, StampRecord, StoredBody, StoredMessage, id_hash, time};
use super::segment::{ReadError, Segment, body_path, segment_numbers, segment_path};
use super::tree::Tree;

/// Entries that are read from an index at a time.
const PAGE: u64 = 1024;

/// Which records are listed. Everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The message id.
    pub message_id: Option<String>,
    /// The calling client.
    pub client: Option<ClientId>,
    /// The called service's provider.
    pub provider: Option<ClientId>,
    /// The called service.
    pub service: Option<ServiceId>,
    /// Not before this time.
    pub from: Option<UtcTime>,
    /// Before this time.
    pub until: Option<UtcTime>,
    /// Only requests or only responses.
    pub direction: Option<Direction>,
    /// Only records of one side.
    pub side: Option<Side>,
}

/// A message record without its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Place in the log.
    pub sequence: u64,
    /// When it was logged.
    pub time: UtcTime,
    /// The rest.
    pub details: Details,
}

/// A message record with all its parts.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    /// What a listing shows.
    pub summary: Summary,
    /// Octets of `/message.xml` as logged.
    pub message: Bytes,
    /// The signature document.
    pub signature: Bytes,
    /// The signature's chain result.
    pub hash_chain_result: Option<Bytes>,
    /// The record's chain.
    pub hash_chain: Option<Bytes>,
    /// Sequence by which time-stamps refer to the signature: of the first record that has it.
    pub signature_sequence: u64,
    body: StoredBody,
    path: PathBuf,
}

/// The octets of an attachment, to be read to their end.
pub enum AttachmentReader {
    /// They were not kept.
    Absent,
    /// In memory.
    Memory(Bytes),
    /// In a file.
    File(Section),
}

/// A part of a file that other readers may read as well.
pub struct Section {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let count = self.file.read_at(buffer.get_mut(..length).unwrap_or_default(), self.at)?;
        if count == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl StoredRecord {
    /// The attachments as far as they were kept; of a REST message, its body. Those behind the last
    /// one that was kept are left out.
    ///
    /// # Errors
    /// Their file cannot be opened, or the record contradicts itself.
    pub fn attachments(&self) -> Result<Vec<AttachmentReader>, ReadError> {
        let (octets, length) = match &self.body {
            StoredBody::None => return Ok(Vec::new()),
            StoredBody::Inline(bytes) => (AttachmentReader::Memory(bytes.clone()), bytes.len() as u64),
            StoredBody::OwnFile { length, .. } => {
                let file = Arc::new(File::open(&self.path).map_err(ReadError::io(&self.path))?);
                (AttachmentReader::File(Section { file, at: 0, end: *length }), *length)
            }
        };
        let parts = &self.summary.details.attachments;
        if parts.is_empty() {
            return Ok(vec![octets]);
        }
        let damaged = || ReadError::Damaged {
            path: self.path.display().to_string(),
            offset: 0,
            what: "attachments of the record",
        };
        let mut from = 0;
        let mut readers = Vec::with_capacity(parts.len());
        for part in parts {
            let end = u64::checked_add(from, part.kept).filter(|end| *end <= length).ok_or_else(damaged)?;
            readers.push(match &octets {
                _ if part.digest.is_some() => AttachmentReader::Absent,
                AttachmentReader::Memory(bytes) => {
                    let range = usize::try_from(from).ok().zip(usize::try_from(end).ok());
                    let range = range.ok_or_else(damaged)?;
                    AttachmentReader::Memory(bytes.slice(range.0..range.1))
                }
                AttachmentReader::File(section) => {
                    AttachmentReader::File(Section { file: Arc::clone(&section.file), at: from, end })
                }
                AttachmentReader::Absent => AttachmentReader::Absent,
            });
            from = end;
        }
        while matches!(readers.last(), Some(AttachmentReader::Absent)) {
            readers.pop();
        }
        Ok(readers)
    }
}

/// A view of a log.
pub struct Reader {
    folder: PathBuf,
    first: u64,
    last: Arc<Segment>,
    /// The sealed segment that was looked at last: who reads in order need not open it again.
    recent: Mutex<Option<Arc<Segment>>>,
}

impl Reader {
    /// Opens the log in a folder, whether a server writes it or not.
    ///
    /// # Errors
    /// There is none, or its last segment cannot be read.
    pub fn open(folder: &Path) -> Result<Self, ReadError> {
        let numbers = segment_numbers(folder)?;
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            return Err(ReadError::NoLog(folder.display().to_string()));
        };
        let last = Arc::new(Segment::open(segment_path(folder, *last))?);
        Ok(Self { folder: folder.to_owned(), first: *first, last, recent: Mutex::default() })
    }

    pub(super) fn beside_writer(folder: &Path, last: Option<Arc<Segment>>) -> Result<Self, ReadError> {
        let last = last.ok_or_else(|| ReadError::NoLog(folder.display().to_string()))?;
        // Segments are removed from the front only.
        let first = segment_numbers(folder)?.first().copied().unwrap_or(last.number());
        let first = first.min(last.number());
        Ok(Self { folder: folder.to_owned(), first, last, recent: Mutex::default() })
    }

    /// Sequence of the first record that is still there.
    ///
    /// # Errors
    /// The first segment cannot be read.
    pub fn first_sequence(&self) -> Result<u64, ReadError> {
        Ok(self.segment(self.first)?.first_sequence())
    }

    /// Id of the log, hexadecimal.
    pub fn log_id(&self) -> String {
        protocol::digest::hex(&self.last.header.log)
    }

    /// Sequence behind the last record.
    pub fn size(&self) -> u64 {
        self.last.first_sequence() + self.last.count()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn last(&self) -> &Arc<Segment> {
        &self.last
    }

    /// Numbers of the segments, oldest first.
    pub(super) fn numbers(&self) -> std::ops::RangeInclusive<u64> {
        self.first..=self.last.number()
    }

    pub(super) fn segment(&self, number: u64) -> Result<Arc<Segment>, ReadError> {
        if number == self.last.number() {
            return Ok(Arc::clone(&self.last));
        }
        let recent = || self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = recent().as_ref().filter(|segment| segment.number() == number) {
            return Ok(Arc::clone(segment));
        }
        let segment = Arc::new(Segment::open(segment_path(&self.folder, number))?);
        *recent() = Some(Arc::clone(&segment));
        Ok(segment)
    }

    /// The segment that has a record, by binary search. Of a sequence beyond the end, the last one.
    pub(super) fn segment_of(&self, sequence: u64) -> Result<Option<Arc<Segment>>, ReadError> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(recent) = recent.filter(|recent| recent.has(sequence)) {
            return Ok(Some(recent));
        }
        if self.last.first_sequence() <= sequence {
            return Ok(Some(Arc::clone(&self.last)));
        }
        let (mut low, mut high) = (self.first, self.last.number());
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.segment(middle)?.first_sequence() <= sequence { low = middle } else { high = middle - 1 }
        }
        let segment = self.segment(low)?;
        Ok((segment.first_sequence() <= sequence).then_some(segment))
    }

    /// The records that match, oldest first, read as they are asked for.
    pub fn list(&self, filter: Filter) -> Box<dyn Iterator<Item = Result<Summary, ReadError>> + '_> {
        if let Some(message_id) = &filter.message_id {
            return match self.sequences_of(message_id) {
                Ok(sequences) => {
                    let found = sequences.into_iter().map(move |sequence| self.summary(sequence, &filter));
                    Box::new(found.filter_map(Result::transpose))
                }
                Err(error) => Box::new(std::iter::once(Err(error))),
            };
        }
        let wanted = Wanted::new(filter);
        let mut numbers = self.numbers();
        let mut matches: std::vec::IntoIter<Result<Summary, ReadError>> = Vec::new().into_iter();
        let mut page: Option<(Arc<Segment>, Names, u64)> = None;
        Box::new(std::iter::from_fn(move || {
            loop {
                if let Some(found) = matches.next() {
                    return Some(found);
                }
                let (segment, names, at) = match page.take() {
                    Some(page) => page,
                    None => match self.begin(numbers.next()?, &wanted) {
                        Ok(Some((segment, names))) => (segment, names, 0),
                        Ok(None) => continue,
                        Err(error) => return Some(Err(error)),
                    },
                };
                let (found, next) = wanted.page(&segment, &names, at);
                matches = found.into_iter();
                page = next.map(|next| (segment, names, next));
            }
        }))
    }

    /// Sequences of the records that may have this message id, oldest first: from the runs, and from the
    /// segments that have none.
    fn sequences_of(&self, message_id: &str) -> Result<Vec<u64>, ReadError> {
        let hash = id_hash(message_id);
        let mut sequences = Vec::new();
        let mut alone: std::collections::BTreeSet<u64> = self.numbers().collect();
        for run in super::ids::runs(&self.folder) {
            match run.find(hash) {
                Ok(found) => {
                    sequences.extend(found);
                    alone.retain(|number| !(run.first..=run.last).contains(number));
                }
                Err(error) => tracing::warn!(%error, "an index of message ids is damaged and is not used"),
            }
        }
        for number in alone {
            let Some(segment) = self.unless_gone(number)? else { continue };
            let first = segment.first_sequence();
            sequences.extend(segment.find(hash)?.into_iter().map(|number| first + u64::from(number)));
        }
        sequences.sort_unstable();
        sequences.dedup();
        Ok(sequences)
    }

    /// A segment; none if it was removed from the front of the log since this view was made.
    fn unless_gone(&self, number: u64) -> Result<Option<Arc<Segment>>, ReadError> {
        match self.segment(number) {
            Err(ReadError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// What a listing shows of a record, if it matches.
    fn summary(&self, sequence: u64, filter: &Filter) -> Result<Option<Summary>, ReadError> {
        let Some(segment) = self.segment_of(sequence)? else { return Ok(None) };
        let Some(entry) = segment.entry(sequence - segment.first_sequence())? else { return Ok(None) };
        let found = summary_of(&segment, sequence, &entry)?;
        Ok(found.filter(|summary| filter.matches(summary)))
    }

    /// A segment, if anything in it can match.
    fn begin(&self, number: u64, wanted: &Wanted) -> Result<Option<(Arc<Segment>, Names)>, ReadError> {
        let Some(segment) = self.unless_gone(number)? else { return Ok(None) };
        let (least, greatest) = segment.times();
        let filter = &wanted.filter;
        if filter.from.is_some_and(|from| greatest < from.millis())
            || filter.until.is_some_and(|until| least >= until.millis())
            || segment.count() == 0
        {
            return Ok(None);
        }
        let names = wanted.names(&segment)?;
        Ok((!names.none).then_some((segment, names)))
    }

    /// One message record.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn show(&self, sequence: u64) -> Result<Option<StoredRecord>, ReadError> {
        let Some(segment) = self.segment_of(sequence)? else { return Ok(None) };
        let Some(entry) = segment.entry(sequence - segment.first_sequence())? else { return Ok(None) };
        if entry.kind != FrameKind::Message {
            return Ok(None);
        }
        let (header, message, signature, signature_sequence) = message(&segment, u64::from(entry.offset))?;
        Ok(Some(StoredRecord {
            summary: Summary { sequence, time: time(header), details: message.details },
            message: message.message,
            signature: signature.document,
            hash_chain_result: signature.result,
            hash_chain: message.chain,
            signature_sequence,
            body: message.body,
            path: body_path(&self.folder, sequence),
        }))
    }

    /// One time-stamp record.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn stamp(&self, sequence: u64) -> Result<Option<StampRecord>, ReadError> {
        let Some(segment) = self.segment_of(sequence)? else { return Ok(None) };
        let Some(entry) = segment.entry(sequence - segment.first_sequence())? else { return Ok(None) };
        if entry.kind != FrameKind::Timestamp {
            return Ok(None);
        }
        stamp(&segment, u64::from(entry.offset)).map(Some)
    }

    /// The tree, for proofs.
    pub(super) fn tree(&self) -> Tree {
        Tree::new(&self.folder, Arc::clone(&self.last))
    }

    /// Root over the first `size` records.
    ///
    /// # Errors
    /// A hash cannot be read.
    pub fn root(&self, size: u64) -> Result<Hash, ReadError> {
        merkle::root(&self.tree(), size)
    }

    /// The leaf hash of a record with the proof that it is in the tree of the first `size` records.
    ///
    /// # Errors
    /// A hash cannot be read.
    pub fn inclusion_proof(&self, sequence: u64, size: u64) -> Result<Option<(Hash, Vec<Hash>)>, ReadError> {
        if sequence >= size || size > self.size() {
            return Ok(None);
        }
        let tree = self.tree();
        let leaf = merkle::Subtrees::subtree(&tree, 0, sequence)?;
        Ok(Some((leaf, merkle::inclusion_proof(&tree, sequence, size)?)))
    }

    /// The proof that the log of `new` records continues the log of `old` records.
    ///
    /// # Errors
    /// A hash cannot be read.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Option<Vec<Hash>>, ReadError> {
        if old > new || new > self.size() {
            return Ok(None);
        }
        merkle::consistency_proof(&self.tree(), old, new).map(Some)
    }

    /// The checkpoint notes of all sealed segments, oldest first.
    pub fn checkpoints(&self) -> impl Iterator<Item = Result<String, ReadError>> + '_ {
        self.numbers()
            .filter_map(|number| self.segment(number).and_then(|segment| segment.checkpoint()).transpose())
    }

    /// A checkpoint of the log as it is now, without signature.
    ///
    /// # Errors
    /// A hash cannot be read.
    pub fn checkpoint(&self, origin: &str) -> Result<Checkpoint, ReadError> {
        let size = self.size();
        Ok(Checkpoint { origin: origin.to_owned(), size, root: self.root(size)? })
    }
}

/// Time, record, signature and the sequence of the signature.
pub(super) fn message(
    segment: &Segment,
    offset: u64,
) -> Result<(i64, StoredMessage, SharedSignature, u64), ReadError> {
    let (header, payload) = segment.frame(offset)?;
    let damaged = |what| move || segment.damaged(offset, what);
    let stored = StoredMessage::decode(&payload).ok_or_else(damaged("message record"))?;
    let (of_signature, payload) = segment.frame(u64::from(stored.signature))?;
    if of_signature.kind != FrameKind::Signature {
        return Err(segment.damaged(offset, "signature of the record"));
    }
    let signature = SharedSignature::decode(&payload).ok_or_else(damaged("signature of the record"))?;
    Ok((header.time, stored, signature, of_signature.sequence))
}

pub(super) fn stamp(segment: &Segment, offset: u64) -> Result<StampRecord, ReadError> {
    let (_, payload) = segment.frame(offset)?;
    StampRecord::decode(&payload).ok_or_else(|| segment.damaged(offset, "time-stamp record"))
}

/// A message record without its content; none for what is no message, or was erased.
fn summary_of(segment: &Segment, sequence: u64, entry: &IndexEntry) -> Result<Option<Summary>, ReadError> {
    if entry.kind != FrameKind::Message {
        return Ok(None);
    }
    let (header, payload) = segment.frame(u64::from(entry.offset))?;
    if header.erased {
        return Ok(None);
    }
    let message = StoredMessage::decode(&payload)
        .ok_or_else(|| segment.damaged(u64::from(entry.offset), "message record"))?;
    Ok(Some(Summary { sequence, time: time(entry.time), details: message.details }))
}

impl Filter {
    fn matches(&self, summary: &Summary) -> bool {
        let details = &summary.details;
        self.message_id.as_ref().is_none_or(|wanted| *wanted == details.message_id)
            && self.client.as_ref().is_none_or(|wanted| *wanted == details.client)
            && self.provider.as_ref().is_none_or(|wanted| wanted == details.service.provider())
            && self.service.as_ref().is_none_or(|wanted| *wanted == details.service)
            && self.from.is_none_or(|from| summary.time >= from)
            && self.until.is_none_or(|until| summary.time < until)
            && self.direction.is_none_or(|wanted| wanted == details.direction)
            && self.side.is_none_or(|wanted| wanted == details.side)
    }
}

/// A filter with what of it can be compared on octets.
struct Wanted {
    filter: Filter,
    client: Option<Vec<u8>>,
}

/// The numbers a filter's names have in a segment.
#[derive(Default)]
struct Names {
    client: Option<u32>,
    services: Option<Vec<u32>>,
    /// A name is not in the segment, so no record matches.
    none: bool,
}

impl Wanted {
    fn new(filter: Filter) -> Self {
        let client = filter.client.as_ref().map(client_name);
        Self { filter, client }
    }

    fn names(&self, segment: &Segment) -> Result<Names, ReadError> {
        if self.client.is_none() && self.filter.provider.is_none() && self.filter.service.is_none() {
            return Ok(Names::default());
        }
        let all = segment.names()?;
        let numbers = |matches: &dyn Fn(&Bytes) -> bool| -> Vec<u32> {
            all.iter().zip(0..).filter(|(name, _)| matches(name)).map(|(_, number)| number).collect()
        };
        let mut names = Names::default();
        if let Some(client) = &self.client {
            names.client = numbers(&|name| name == client).first().copied();
            names.none |= names.client.is_none();
        }
        if self.filter.provider.is_some() || self.filter.service.is_some() {
            let services = numbers(&|name| {
                service_of_name(name).is_some_and(|service| {
                    self.filter.service.as_ref().is_none_or(|wanted| *wanted == service)
                        && self.filter.provider.as_ref().is_none_or(|wanted| wanted == service.provider())
                })
            });
            names.none |= services.is_empty();
            names.services = Some(services);
        }
        Ok(names)
    }

    /// Matches among one page of a segment, and where the next page begins.
    fn page(
        &self,
        segment: &Arc<Segment>,
        names: &Names,
        from: u64,
    ) -> (Vec<Result<Summary, ReadError>>, Option<u64>) {
        let first = segment.first_sequence();
        match segment.entries(from, PAGE) {
            Err(error) => (vec![Err(error)], None),
            Ok(entries) if entries.is_empty() => (Vec::new(), None),
            Ok(entries) => {
                let entries = (from..).zip(entries).collect();
                (self.summaries(segment, names, first, entries), Some(from + PAGE))
            }
        }
    }

    fn summaries(
        &self,
        segment: &Segment,
        names: &Names,
        first: u64,
        entries: Vec<(u64, IndexEntry)>,
    ) -> Vec<Result<Summary, ReadError>> {
        let mut found = Vec::new();
        for (number, entry) in entries {
            if !self.matches(&entry, names) {
                continue;
            }
            found.extend(summary_of(segment, first + number, &entry).transpose());
        }
        found
    }

    fn matches(&self, entry: &IndexEntry, names: &Names) -> bool {
        let filter = &self.filter;
        let side = if entry.flags & 1 == 0 { Side::Consumer } else { Side::Provider };
        let direction = if entry.flags & 2 == 0 { Direction::Request } else { Direction::Response };
        entry.kind == FrameKind::Message
            && filter.from.is_none_or(|from| entry.time >= from.millis())
            && filter.until.is_none_or(|until| entry.time < until.millis())
            && filter.direction.is_none_or(|wanted| wanted == direction)
            && filter.side.is_none_or(|wanted| wanted == side)
            && names.client.is_none_or(|wanted| wanted == entry.client)
            && names.services.as_ref().is_none_or(|wanted| wanted.contains(&entry.service))
    }
}
