//! Octets on disk: segment headers, frames and the trailer of a sealed segment (docs/message-log.md).
//!
//! All numbers are little-endian. Reading never trusts a length: whatever does not fit is `None`.

use super::merkle::{Frontier, Hash};

/// Length of the header at the start of every segment.
pub(super) const HEADER_LENGTH: usize = 4096;
/// Length of the header of every frame.
pub(super) const FRAME_HEADER_LENGTH: usize = 72;
/// Length of the trailer at the end of a sealed segment.
pub(super) const TRAILER_LENGTH: usize = 256;
/// Longest payload of one frame; also keeps every offset in a segment within 32 bits.
pub(super) const MAX_PAYLOAD: usize = 512 << 20;
/// Sections of the index of a sealed segment.
pub(super) const SECTIONS: usize = 6;
/// First octets of a frame.
pub(super) const FRAME_MAGIC: [u8; 4] = *b"CWFR";

const HEADER_MAGIC: [u8; 8] = *b"CWLOGSG1";
const TRAILER_MAGIC: [u8; 8] = *b"CWLOGIX1";
const VERSION: u32 = 1;
/// This frame is the first of a group that was written at once.
const FLAG_FIRST: u8 = 1;
/// The payload was erased; the leaf hash was kept.
const FLAG_ERASED: u8 = 2;

/// Reads numbers and slices one after the other.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// Octets after a length of four octets.
    pub(super) fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }
}

/// Writes octets after a length of four octets.
pub(super) fn put_long(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    to.extend_from_slice(bytes);
}

/// What stands at the start of a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SegmentHeader {
    /// The same in all segments of a log.
    pub(super) log: [u8; 16],
    /// Random; makes frame checksums of this segment unguessable for those who only send messages.
    pub(super) id: [u8; 16],
    pub(super) number: u64,
    /// When the segment was begun, milliseconds.
    pub(super) created: i64,
    /// Every signature whose sequence is lower was time-stamped before this segment.
    pub(super) stamped_until: u64,
    /// The tree before the first record here; its size is the sequence of that record.
    pub(super) frontier: Frontier,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LENGTH);
        bytes.extend_from_slice(&HEADER_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.log);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.frontier.size().to_le_bytes());
        bytes.extend_from_slice(&self.created.to_le_bytes());
        bytes.extend_from_slice(&self.stamped_until.to_le_bytes());
        bytes.extend_from_slice(&(self.frontier.hashes().len() as u32).to_le_bytes());
        for hash in self.frontier.hashes() {
            bytes.extend_from_slice(hash);
        }
        bytes.resize(HEADER_LENGTH, 0);
        seal_checksum(&mut bytes);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER_LENGTH)?;
        if !is_sealed(bytes, &HEADER_MAGIC) {
            return None;
        }
        let mut fields = Fields(bytes.get(16..)?);
        let (log, id) = (fields.array()?, fields.array()?);
        let (number, size, created) = (fields.u64()?, fields.u64()?, fields.i64()?);
        let (stamped_until, count) = (fields.u64()?, fields.u32()?);
        let hashes = (0..count.min(65)).map(|_| fields.array()).collect::<Option<Vec<Hash>>>()?;
        Some(Self { log, id, number, created, stamped_until, frontier: Frontier::new(size, hashes)? })
    }
}

/// Puts the CRC of all octets, itself as zero, at 12.
fn seal_checksum(bytes: &mut [u8]) {
    let checksum = crc32fast::hash(bytes).to_le_bytes();
    if let Some(place) = bytes.get_mut(12..16) {
        place.copy_from_slice(&checksum);
    }
}

/// Whether magic, version and CRC are right.
fn is_sealed(bytes: &[u8], magic: &[u8; 8]) -> bool {
    let (Some(before), Some(checksum), Some(after)) = (bytes.get(..12), bytes.get(12..16), bytes.get(16..))
    else {
        return false;
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(&[0; 4]);
    hasher.update(after);
    before.starts_with(magic)
        && before.get(8..) == Some(&VERSION.to_le_bytes())
        && checksum == hasher.finalize().to_le_bytes()
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FrameKind {
    /// A message with its evidence; a leaf.
    Message = 1,
    /// A signature document with its hash chain result, which the messages after it share.
    Signature = 2,
    /// A time-stamp over earlier signatures; a leaf.
    Timestamp = 3,
}

impl FrameKind {
    pub(super) fn from_number(number: u8) -> Option<Self> {
        [Self::Message, Self::Signature, Self::Timestamp].into_iter().find(|kind| *kind as u8 == number)
    }

    /// Whether the frame is a record, which has a sequence of its own and a leaf in the tree.
    pub(super) fn is_record(self) -> bool {
        !matches!(self, Self::Signature)
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FrameHeader {
    pub(super) kind: FrameKind,
    /// Everything before this frame was durable before it was written.
    pub(super) first: bool,
    pub(super) erased: bool,
    pub(super) length: u32,
    pub(super) payload_checksum: u32,
    /// Of the record; of a signature: that of the record after it.
    pub(super) sequence: u64,
    pub(super) time: i64,
    pub(super) leaf: Hash,
    /// Where the frame stands in its segment.
    pub(super) offset: u32,
}

impl FrameHeader {
    pub(super) fn encode(&self, segment: &[u8; 16]) -> [u8; FRAME_HEADER_LENGTH] {
        let flags = if self.first { FLAG_FIRST } else { 0 } | if self.erased { FLAG_ERASED } else { 0 };
        let mut bytes = [0; FRAME_HEADER_LENGTH];
        let mut at = 0;
        let mut put = |value: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + value.len()) {
                place.copy_from_slice(value);
            }
            at += value.len();
        };
        put(&FRAME_MAGIC);
        put(&[self.kind as u8, flags, 0, 0]);
        put(&self.length.to_le_bytes());
        put(&self.payload_checksum.to_le_bytes());
        put(&self.sequence.to_le_bytes());
        put(&self.time.to_le_bytes());
        put(&self.leaf);
        put(&self.offset.to_le_bytes());
        let checksum = header_checksum(segment, &bytes);
        bytes[68..].copy_from_slice(&checksum);
        bytes
    }

    /// The header, if it is one of this segment that belongs at `offset`.
    pub(super) fn decode(bytes: &[u8], segment: &[u8; 16], offset: u64) -> Option<Self> {
        let bytes: &[u8; FRAME_HEADER_LENGTH] = bytes.get(..FRAME_HEADER_LENGTH)?.try_into().ok()?;
        if !bytes.starts_with(&FRAME_MAGIC) || bytes[68..] != header_checksum(segment, bytes) {
            return None;
        }
        let mut fields = Fields(&bytes[4..]);
        let (kind, flags, _) = (fields.u8()?, fields.u8()?, fields.u16()?);
        let header = Self {
            kind: FrameKind::from_number(kind)?,
            first: flags & FLAG_FIRST != 0,
            erased: flags & FLAG_ERASED != 0,
            length: fields.u32()?,
            payload_checksum: fields.u32()?,
            sequence: fields.u64()?,
            time: fields.i64()?,
            leaf: fields.array()?,
            offset: fields.u32()?,
        };
        let fits = u64::from(header.offset) == offset && header.length as usize <= MAX_PAYLOAD;
        fits.then_some(header)
    }

    /// Offset of the next frame.
    pub(super) fn end(&self) -> u64 {
        u64::from(self.offset) + FRAME_HEADER_LENGTH as u64 + u64::from(self.length)
    }
}

fn header_checksum(segment: &[u8; 16], bytes: &[u8; FRAME_HEADER_LENGTH]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(segment);
    hasher.update(&bytes[..68]);
    hasher.finalize().to_le_bytes()
}

/// Hash of a record's leaf: it commits to kind, place, time and, through the salt, to the content.
pub(super) fn record_leaf(kind: FrameKind, sequence: u64, time: i64, commitment: &Hash) -> Hash {
    super::merkle::digest(&[&[0, 1, kind as u8], &sequence.to_le_bytes(), &time.to_le_bytes(), commitment])
}

/// Where a section of the index is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) checksum: u32,
}

/// What stands at the end of a sealed segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Trailer {
    pub(super) number: u64,
    pub(super) first_sequence: u64,
    /// Records, which is the length of the first section divided by 24.
    pub(super) count: u64,
    /// Least and greatest time of a record, milliseconds.
    pub(super) times: (i64, i64),
    /// Where the frames end.
    pub(super) data_end: u64,
    /// Records, message ids, names, signatures, time-stamps, checkpoint.
    pub(super) sections: [Section; SECTIONS],
    /// Every signature with a lower sequence is time-stamped.
    pub(super) stamped_until: u64,
    /// Root of the tree after the last record.
    pub(super) root: Hash,
}

impl Trailer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TRAILER_LENGTH);
        bytes.extend_from_slice(&TRAILER_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for number in [self.number, self.first_sequence, self.count] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.times.0.to_le_bytes());
        bytes.extend_from_slice(&self.times.1.to_le_bytes());
        bytes.extend_from_slice(&self.data_end.to_le_bytes());
        for section in &self.sections {
            bytes.extend_from_slice(&section.offset.to_le_bytes());
            bytes.extend_from_slice(&section.length.to_le_bytes());
            bytes.extend_from_slice(&section.checksum.to_le_bytes());
            bytes.extend_from_slice(&[0; 4]);
        }
        bytes.extend_from_slice(&self.stamped_until.to_le_bytes());
        bytes.extend_from_slice(&self.root);
        bytes.resize(TRAILER_LENGTH, 0);
        seal_checksum(&mut bytes);
        bytes
    }

    /// The trailer, given the last octets of a file of `length` octets.
    pub(super) fn decode(bytes: &[u8], length: u64) -> Option<Self> {
        if bytes.len() != TRAILER_LENGTH || !is_sealed(bytes, &TRAILER_MAGIC) {
            return None;
        }
        let mut fields = Fields(bytes.get(16..)?);
        let (number, first_sequence, count) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let times = (fields.i64()?, fields.i64()?);
        let data_end = fields.u64()?;
        let mut sections = [Section::default(); SECTIONS];
        for section in &mut sections {
            *section = Section { offset: fields.u64()?, length: fields.u64()?, checksum: fields.u32()? };
            fields.u32()?;
            if section.offset.checked_add(section.length)? > length {
                return None;
            }
        }
        let (stamped_until, root) = (fields.u64()?, fields.array()?);
        let counts = sections.first()?.length == count.checked_mul(24)?;
        let trailer = Self { number, first_sequence, count, times, data_end, sections, stamped_until, root };
        counts.then_some(trailer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_headers() {
        let mut frontier = Frontier::default();
        for number in 0..7_u8 {
            frontier.push([number; 32], |_, _| ());
        }
        let header =
            SegmentHeader { log: [1; 16], id: [2; 16], number: 3, created: -4, stamped_until: 5, frontier };
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_LENGTH);
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        for at in [0, 9, 13, 20, 4000] {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(SegmentHeader::decode(&bad), None, "{at}");
        }
        assert_eq!(SegmentHeader::decode(&bytes[1..]), None);
    }

    #[test]
    fn frame_headers() {
        let header = FrameHeader {
            kind: FrameKind::Timestamp,
            first: true,
            erased: false,
            length: 77,
            payload_checksum: 9,
            sequence: u64::MAX,
            time: -1,
            leaf: [3; 32],
            offset: 4096,
        };
        let bytes = header.encode(&[8; 16]);
        assert_eq!(FrameHeader::decode(&bytes, &[8; 16], 4096), Some(header));
        assert_eq!(FrameHeader::decode(&bytes, &[8; 16], 4097), None);
        assert_eq!(FrameHeader::decode(&bytes, &[9; 16], 4096), None);
        assert_eq!(FrameHeader::decode(&bytes[..71], &[8; 16], 4096), None);
        assert_eq!(header.end(), 4096 + 72 + 77);
    }

    #[test]
    fn trailers() {
        let mut sections = [Section { offset: 10, length: 0, checksum: 1 }; SECTIONS];
        sections[0].length = 48;
        let trailer = Trailer {
            number: 1,
            first_sequence: 2,
            count: 2,
            times: (3, 4),
            data_end: 10,
            sections,
            stamped_until: 5,
            root: [6; 32],
        };
        let bytes = trailer.encode();
        assert_eq!(bytes.len(), TRAILER_LENGTH);
        assert_eq!(Trailer::decode(&bytes, 1000), Some(trailer));
        assert_eq!(Trailer::decode(&bytes, 57), None, "a section ends outside");
        assert_eq!(Trailer::decode(&bytes[1..], 1000), None);
    }
}
