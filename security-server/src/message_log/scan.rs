//! Reading an open segment frame by frame, to find where it ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;

use super::details::{client_name, index_flags, service_name};
use super::format::{FRAME_HEADER_LENGTH, FRAME_MAGIC, FrameHeader, FrameKind, MAX_PAYLOAD, SegmentHeader};
use super::index::{OpenIndex, SignatureEntry, StampEntry};
use super::record::{StampRecord, StoredMessage, id_hash};
use super::segment::ReadError;

/// What a scan of an open segment found.
pub(super) struct Scan {
    pub(super) index: OpenIndex,
}

/// Reads an open segment frame by frame, up to the first that is not whole.
///
/// What stands there is the unfinished last write: it was never acknowledged. But if anything *after*
/// it was written as the beginning of a later write, the bad frame had been durable, and the segment is
/// damaged.
///
/// That is looked for when `complete`: by a reader beside a running writer it must not be, for the
/// writer may have gone on between the two looks.
pub(super) fn scan(
    file: &File,
    path: &Path,
    segment: &SegmentHeader,
    complete: bool,
) -> Result<Scan, ReadError> {
    let length = file.metadata().map_err(ReadError::io(path))?.len();
    let mut index = OpenIndex::empty();
    let mut frontier = segment.frontier.clone();
    let mut payload = Vec::new();
    loop {
        let at = index.end;
        let mut bytes = [0; FRAME_HEADER_LENGTH];
        if at + FRAME_HEADER_LENGTH as u64 > length
            || read_full(file, &mut bytes, at).map_err(ReadError::io(path))? < bytes.len()
        {
            break;
        }
        let Some(header) = FrameHeader::decode(&bytes, &segment.id, at) else { break };
        if header.end() > length || header.sequence != frontier.size() {
            break;
        }
        payload.resize((header.length as usize).min(MAX_PAYLOAD), 0);
        let whole = read_full(file, &mut payload, at + FRAME_HEADER_LENGTH as u64)
            .map_err(ReadError::io(path))?
            == payload.len();
        if !whole || crc32fast::hash(&payload) != header.payload_checksum {
            break;
        }
        if !take(&mut index, &header, &payload) {
            return Err(ReadError::damaged(path, at, "content of a frame"));
        }
        if header.kind.is_record() {
            frontier.push(header.leaf, |_, _| ());
        }
        index.end = header.end();
    }
    if complete && let Some(later) = later_write(file, path, segment, index.end, length)? {
        return Err(ReadError::damaged(path, index.end, later));
    }
    Ok(Scan { index })
}

/// Puts a frame into the index.
fn take(index: &mut OpenIndex, header: &FrameHeader, payload: &[u8]) -> bool {
    let bytes = Bytes::copy_from_slice(payload);
    match header.kind {
        FrameKind::Signature => {
            let Some(digest) = payload.get(..64).and_then(|digest| digest.try_into().ok()) else {
                return false;
            };
            let (sequence, time, offset) = (header.sequence, header.time, header.offset);
            index.signatures.push(SignatureEntry { sequence, time, offset, digest });
        }
        FrameKind::Message if header.erased => {
            index.push_message((header.time, header.offset, 0), &[], &[], 0, header.leaf);
        }
        FrameKind::Message => {
            let Some(message) = StoredMessage::decode(&bytes) else { return false };
            let details = &message.details;
            index.push_message(
                (header.time, header.offset, index_flags(details)),
                &client_name(&details.client),
                &service_name(&details.service),
                id_hash(&details.message_id),
                header.leaf,
            );
        }
        FrameKind::Timestamp => {
            let Some(stamp) = StampRecord::decode(&bytes) else { return false };
            index.push_stamp(header.time, stamp_entry(&stamp, header.offset), header.leaf);
        }
    }
    true
}

/// The index entry of a time-stamp record.
pub(super) fn stamp_entry(stamp: &StampRecord, offset: u32) -> StampEntry {
    StampEntry { from: stamp.from, until: stamp.until, offset, batch: stamp.result.is_some() }
}

/// Looks for the first frame of a later write behind `from`.
fn later_write(
    file: &File,
    path: &Path,
    segment: &SegmentHeader,
    from: u64,
    length: u64,
) -> Result<Option<&'static str>, ReadError> {
    const PIECE: usize = 1 << 20;
    let mut piece = vec![0; PIECE + FRAME_HEADER_LENGTH];
    let mut at = from + 1;
    while at < length {
        let count = read_full(file, &mut piece, at).map_err(ReadError::io(path))?;
        let bytes = piece.get(..count).unwrap_or_default();
        for place in find_all(bytes) {
            let header = bytes
                .get(place..)
                .and_then(|bytes| FrameHeader::decode(bytes, &segment.id, at + place as u64));
            if header.is_some_and(|header| header.first) {
                return Ok(Some("a frame before one that was written later"));
            }
        }
        at += PIECE as u64;
    }
    Ok(None)
}

/// Places of the frame magic.
fn find_all(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let [first, ..] = FRAME_MAGIC;
    bytes
        .iter()
        .enumerate()
        .filter(move |(_, byte)| **byte == first)
        .map(|(at, _)| at)
        .filter(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(&FRAME_MAGIC)))
}

/// Reads until the buffer or the file ends.
fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
