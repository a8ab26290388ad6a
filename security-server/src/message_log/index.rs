//! The index of a segment: in memory while the segment is open, at its end once it is sealed.
//!
//! Both answer the same questions with memory that is bounded by one segment. The form on disk is in
//! docs/message-log.md.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::format::{Fields, FrameKind, HEADER_LENGTH, SECTIONS, Section, Trailer};
use super::merkle::Hash;
use super::record::Long;

/// Octets of one entry of each section that has entries of one size.
pub(super) const ENTRY: usize = 24;
pub(super) const ID: usize = 12;
pub(super) const SIGNATURE: usize = 88;
pub(super) const STAMP: usize = 24;
/// No name.
const NONE: u32 = u32::MAX;

/// One record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct IndexEntry {
    pub(super) time: i64,
    pub(super) offset: u32,
    /// Number of the client among the names.
    pub(super) client: u32,
    pub(super) service: u32,
    pub(super) kind: FrameKind,
    /// 1 provider's side, 2 response.
    pub(super) flags: u8,
}

impl IndexEntry {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.time.to_le_bytes());
        for number in [self.offset, self.client, self.service] {
            to.extend_from_slice(&number.to_le_bytes());
        }
        to.extend_from_slice(&[self.kind as u8, self.flags, 0, 0]);
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let time = fields.i64()?;
        let (offset, client, service) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (kind, flags) = (FrameKind::from_number(fields.u8()?)?, fields.u8()?);
        fields.u16()?;
        Some(Self { time, offset, client, service, kind, flags })
    }
}

/// One signature document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SignatureEntry {
    /// Of the first record that has it.
    pub(super) sequence: u64,
    pub(super) time: i64,
    pub(super) offset: u32,
    pub(super) digest: Long,
}

impl SignatureEntry {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.sequence.to_le_bytes());
        to.extend_from_slice(&self.time.to_le_bytes());
        to.extend_from_slice(&self.offset.to_le_bytes());
        to.extend_from_slice(&[0; 4]);
        to.extend_from_slice(&self.digest);
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (sequence, time, offset) = (fields.u64()?, fields.i64()?, fields.u32()?);
        fields.u32()?;
        Some(Self { sequence, time, offset, digest: fields.array()? })
    }
}

/// One time-stamp.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct StampEntry {
    /// It covers the signatures of these sequences that nothing earlier covers.
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) offset: u32,
    /// Over a hash chain, rather than a single signature.
    pub(super) batch: bool,
}

impl StampEntry {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.from.to_le_bytes());
        to.extend_from_slice(&self.until.to_le_bytes());
        to.extend_from_slice(&self.offset.to_le_bytes());
        to.extend_from_slice(&u32::from(self.batch).to_le_bytes());
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (from, until, offset) = (fields.u64()?, fields.u64()?, fields.u32()?);
        Some(Self { from, until, offset, batch: fields.u32()? != 0 })
    }

    pub(super) fn covers(&self, sequence: u64) -> bool {
        (self.from..self.until).contains(&sequence)
    }
}

/// The index of the open segment.
#[derive(Debug, Default)]
pub(super) struct OpenIndex {
    pub(super) entries: Vec<IndexEntry>,
    ids: Vec<(u64, u32)>,
    names: Vec<Bytes>,
    by_name: HashMap<Bytes, u32>,
    pub(super) signatures: Vec<SignatureEntry>,
    pub(super) stamps: Vec<StampEntry>,
    pub(super) leaves: Vec<Hash>,
    /// Where the durable frames end.
    pub(super) end: u64,
}

impl OpenIndex {
    /// The index of a segment that has only its header.
    pub(super) fn empty() -> Self {
        Self { end: HEADER_LENGTH as u64, ..Self::default() }
    }

    /// Adds a message record.
    pub(super) fn push_message(
        &mut self,
        (time, offset, flags): (i64, u32, u8),
        client: &[u8],
        service: &[u8],
        id_hash: u64,
        leaf: Hash,
    ) {
        let (client, service) = (self.name(client), self.name(service));
        self.ids.push((id_hash, self.entries.len() as u32));
        self.entries.push(IndexEntry { time, offset, client, service, kind: FrameKind::Message, flags });
        self.leaves.push(leaf);
    }

    /// Adds a time-stamp record.
    pub(super) fn push_stamp(&mut self, time: i64, stamp: StampEntry, leaf: Hash) {
        let kind = FrameKind::Timestamp;
        self.entries.push(IndexEntry {
            time,
            offset: stamp.offset,
            client: NONE,
            service: NONE,
            kind,
            flags: 0,
        });
        self.stamps.push(stamp);
        self.leaves.push(leaf);
    }

    fn name(&mut self, name: &[u8]) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        let name = Bytes::copy_from_slice(name);
        self.names.push(name.clone());
        self.by_name.insert(name, number);
        number
    }

    /// Record numbers in this segment of a message id's hash, oldest first.
    pub(super) fn find(&self, hash: u64) -> Vec<u32> {
        self.ids.iter().filter(|(id, _)| *id == hash).map(|(_, number)| *number).collect()
    }

    /// All names; an entry's numbers count from the start.
    pub(super) fn names(&self) -> Vec<Bytes> {
        self.names.clone()
    }

    /// The index as it is appended to the segment at `data_end`, with the trailer last.
    pub(super) fn seal(
        &self,
        number: u64,
        first_sequence: u64,
        stamped_until: u64,
        root: Hash,
        note: &str,
    ) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(self.entries.len() * (ENTRY + ID) + self.signatures.len() * SIGNATURE + 4096);
        let mut sections = [Section::default(); SECTIONS];
        let mut ids = self.ids.clone();
        ids.sort_unstable();
        for (place, section) in sections.iter_mut().enumerate() {
            let start = bytes.len();
            match place {
                0 => self.entries.iter().for_each(|entry| entry.encode(&mut bytes)),
                1 => {
                    for (hash, record) in &ids {
                        bytes.extend_from_slice(&hash.to_le_bytes());
                        bytes.extend_from_slice(&record.to_le_bytes());
                    }
                }
                2 => {
                    for name in &self.names {
                        bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
                        bytes.extend_from_slice(name);
                    }
                }
                3 => self.signatures.iter().for_each(|entry| entry.encode(&mut bytes)),
                4 => self.stamps.iter().for_each(|entry| entry.encode(&mut bytes)),
                _ => bytes.extend_from_slice(note.as_bytes()),
            }
            let written = bytes.get(start..).unwrap_or_default();
            *section = Section {
                offset: self.end + start as u64,
                length: written.len() as u64,
                checksum: crc32fast::hash(written),
            };
        }
        let times = self.entries.iter().map(|entry| entry.time);
        let trailer = Trailer {
            number,
            first_sequence,
            count: self.entries.len() as u64,
            times: (times.clone().min().unwrap_or(i64::MAX), times.max().unwrap_or(i64::MIN)),
            data_end: self.end,
            sections,
            stamped_until,
            root,
        };
        bytes.extend_from_slice(&trailer.encode());
        bytes
    }
}

/// Reads the names section.
pub(super) fn decode_names(section: &Bytes) -> Option<Vec<Bytes>> {
    let mut fields = Fields(section);
    let mut names = Vec::new();
    while !fields.0.is_empty() {
        let length = fields.u16()?;
        names.push(section.slice_ref(fields.take(usize::from(length))?));
    }
    Some(names)
}

/// Reads a section of entries of one size.
pub(super) fn decode_all<T>(bytes: &[u8], decode: impl Fn(&mut Fields<'_>) -> Option<T>) -> Option<Vec<T>> {
    let mut fields = Fields(bytes);
    let mut entries = Vec::new();
    while !fields.0.is_empty() {
        entries.push(decode(&mut fields)?);
    }
    Some(entries)
}

/// The index of the open segment as shared between the committer and readers.
pub(super) type SharedIndex = Arc<std::sync::RwLock<OpenIndex>>;
