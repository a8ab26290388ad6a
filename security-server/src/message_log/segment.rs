//! Reading segments, sealed and open, by `pread` and with bounded memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::format::{
    FRAME_HEADER_LENGTH, FrameHeader, HEADER_LENGTH, SegmentHeader, TRAILER_LENGTH, Trailer,
};
use super::index::{
    ENTRY, ID, IndexEntry, OpenIndex, SharedIndex, SignatureEntry, StampEntry, decode_all, decode_names,
};
use super::scan::scan;

/// Why something in the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// What went wrong.
        error: io::Error,
    },
    /// Octets that were written by nobody, or that changed.
    #[error("{path}: damaged at {offset}: {what}")]
    Damaged {
        /// The file.
        path: String,
        /// Where.
        offset: u64,
        /// What was expected there.
        what: &'static str,
    },
    /// The folder holds no message log.
    #[error("no message log in {0}")]
    NoLog(String),
}

impl ReadError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::Io { path, error }
    }

    pub(super) fn damaged(path: &Path, offset: u64, what: &'static str) -> Self {
        Self::Damaged { path: path.display().to_string(), offset, what }
    }
}

/// File name of a segment.
pub(super) fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("segment-{number:010}.log"))
}

/// Numbers of the segments in a folder, ascending.
pub(super) fn segment_numbers(folder: &Path) -> Result<Vec<u64>, ReadError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(ReadError::io(folder))? {
        let name = entry.map_err(ReadError::io(folder))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("segment-")?.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Folder of bodies that have a file of their own.
pub(super) fn bodies_folder(folder: &Path) -> PathBuf {
    folder.join("bodies")
}

/// File of the body of a record.
pub(super) fn body_path(folder: &Path, sequence: u64) -> PathBuf {
    bodies_folder(folder).join(format!("{sequence:020}.body"))
}

/// Where an index is.
pub(super) enum Index {
    Sealed(Box<Trailer>),
    Open(SharedIndex),
}

/// A segment that is open for reading.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    file: File,
    pub(super) header: SegmentHeader,
    pub(super) index: Index,
}

impl Segment {
    /// Opens a segment read-only. One that is not sealed is scanned up to its last whole frame.
    pub(super) fn open(path: PathBuf) -> Result<Self, ReadError> {
        let file = File::open(&path).map_err(ReadError::io(&path))?;
        let header = read_header(&file, &path)?;
        let index = match read_trailer(&file, &path)? {
            Some(trailer) => Index::Sealed(Box::new(trailer)),
            None => Index::Open(Arc::new(RwLock::new(scan(&file, &path, &header, false)?.index))),
        };
        Ok(Self { path, file, header, index })
    }

    /// The segment that the committer writes.
    pub(super) fn of_writer(path: PathBuf, file: File, header: SegmentHeader, index: SharedIndex) -> Self {
        Self { path, file, header, index: Index::Open(index) }
    }

    pub(super) fn number(&self) -> u64 {
        self.header.number
    }

    /// Sequence of the first record.
    pub(super) fn first_sequence(&self) -> u64 {
        self.header.frontier.size()
    }

    /// Records.
    pub(super) fn count(&self) -> u64 {
        match &self.index {
            Index::Sealed(trailer) => trailer.count,
            Index::Open(index) => read(index).entries.len() as u64,
        }
    }

    /// Whether a record stands in this segment.
    pub(super) fn has(&self, sequence: u64) -> bool {
        sequence.checked_sub(self.first_sequence()).is_some_and(|number| number < self.count())
    }

    /// Whether the segment will not change any more.
    pub(super) fn trailer(&self) -> Option<&Trailer> {
        match &self.index {
            Index::Sealed(trailer) => Some(trailer),
            Index::Open(_) => None,
        }
    }

    /// Where frames end.
    pub(super) fn data_end(&self) -> u64 {
        match &self.index {
            Index::Sealed(trailer) => trailer.data_end,
            Index::Open(index) => read(index).end,
        }
    }

    /// Least and greatest time of a record.
    pub(super) fn times(&self) -> (i64, i64) {
        match &self.index {
            Index::Sealed(trailer) => trailer.times,
            Index::Open(index) => {
                let index = read(index);
                let times = index.entries.iter().map(|entry| entry.time);
                (times.clone().min().unwrap_or(i64::MAX), times.max().unwrap_or(i64::MIN))
            }
        }
    }

    /// At most `limit` index entries from the record number `from` in this segment.
    pub(super) fn entries(&self, from: u64, limit: u64) -> Result<Vec<IndexEntry>, ReadError> {
        match &self.index {
            Index::Open(index) => {
                let (from, limit) = (from as usize, limit as usize);
                Ok(read(index).entries.iter().skip(from).take(limit).copied().collect())
            }
            Index::Sealed(trailer) => {
                let count = limit.min(trailer.count.saturating_sub(from));
                if count == 0 {
                    return Ok(Vec::new());
                }
                let bytes = self.section_part(0, from * ENTRY as u64, count * ENTRY as u64)?;
                decode_all(&bytes, IndexEntry::decode)
                    .ok_or_else(|| self.damaged(trailer.data_end, "index entry"))
            }
        }
    }

    /// The index entry of one record of this segment.
    pub(super) fn entry(&self, number: u64) -> Result<Option<IndexEntry>, ReadError> {
        Ok(self.entries(number, 1)?.pop())
    }

    /// Record numbers in this segment of a message id's hash, oldest first: a binary search.
    pub(super) fn find(&self, hash: u64) -> Result<Vec<u32>, ReadError> {
        let trailer = match &self.index {
            Index::Open(index) => return Ok(read(index).find(hash)),
            Index::Sealed(trailer) => trailer,
        };
        let total = trailer.sections.get(1).map_or(0, |section| section.length / ID as u64);
        let key = |at: u64| -> Result<(u64, u32), ReadError> {
            let bytes = self.section_part(1, at * ID as u64, ID as u64)?;
            let mut fields = super::format::Fields(&bytes);
            match (fields.u64(), fields.u32()) {
                (Some(hash), Some(number)) => Ok((hash, number)),
                _ => Err(self.damaged(trailer.data_end, "message id entry")),
            }
        };
        let (mut low, mut high) = (0, total);
        while low < high {
            let middle = low + (high - low) / 2;
            if key(middle)?.0 < hash { low = middle + 1 } else { high = middle }
        }
        let mut found = Vec::new();
        while low < total {
            let (other, number) = key(low)?;
            if other != hash {
                break;
            }
            found.push(number);
            low += 1;
        }
        Ok(found)
    }

    /// Message id hash and sequence of every record of a sealed segment, sorted.
    pub(super) fn ids(&self) -> Result<Vec<(u64, u64)>, ReadError> {
        let first = self.first_sequence();
        let decode = |fields: &mut super::format::Fields<'_>| {
            Some((fields.u64()?, first.checked_add(u64::from(fields.u32()?))?))
        };
        decode_all(&self.section(1)?, decode).ok_or_else(|| self.damaged(self.data_end(), "message id entry"))
    }

    /// All names.
    pub(super) fn names(&self) -> Result<Vec<Bytes>, ReadError> {
        match &self.index {
            Index::Open(index) => Ok(read(index).names()),
            Index::Sealed(trailer) => decode_names(&self.section(2)?)
                .ok_or_else(|| self.damaged(trailer.data_end, "names of the index")),
        }
    }

    /// All signatures.
    pub(super) fn signatures(&self) -> Result<Vec<SignatureEntry>, ReadError> {
        match &self.index {
            Index::Open(index) => Ok(read(index).signatures.clone()),
            Index::Sealed(trailer) => decode_all(&self.section(3)?, SignatureEntry::decode)
                .ok_or_else(|| self.damaged(trailer.data_end, "signatures of the index")),
        }
    }

    /// All time-stamps.
    pub(super) fn stamps(&self) -> Result<Vec<StampEntry>, ReadError> {
        match &self.index {
            Index::Open(index) => Ok(read(index).stamps.clone()),
            Index::Sealed(trailer) => decode_all(&self.section(4)?, StampEntry::decode)
                .ok_or_else(|| self.damaged(trailer.data_end, "time-stamps of the index")),
        }
    }

    /// The checkpoint of a sealed segment.
    pub(super) fn checkpoint(&self) -> Result<Option<String>, ReadError> {
        match &self.index {
            Index::Open(_) => Ok(None),
            Index::Sealed(trailer) => match String::from_utf8(self.section(5)?.into()) {
                Ok(note) => Ok(Some(note)),
                Err(_) => Err(self.damaged(trailer.data_end, "checkpoint")),
            },
        }
    }

    /// A whole section of a sealed index, its checksum checked.
    pub(super) fn section(&self, place: usize) -> Result<Bytes, ReadError> {
        let Some(section) = self.trailer().and_then(|trailer| trailer.sections.get(place)) else {
            return Ok(Bytes::new());
        };
        let bytes = self.section_part(place, 0, section.length)?;
        if crc32fast::hash(&bytes) != section.checksum {
            return Err(self.damaged(section.offset, "checksum of an index section"));
        }
        Ok(bytes.into())
    }

    fn section_part(&self, place: usize, from: u64, length: u64) -> Result<Vec<u8>, ReadError> {
        let Some(section) = self.trailer().and_then(|trailer| trailer.sections.get(place)) else {
            return Ok(Vec::new());
        };
        let inside = from.checked_add(length).is_some_and(|end| end <= section.length);
        let Ok(size) = usize::try_from(length) else {
            return Err(self.damaged(section.offset, "index section"));
        };
        if !inside {
            return Err(self.damaged(section.offset, "index section"));
        }
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, section.offset + from).map_err(ReadError::io(&self.path))?;
        Ok(bytes)
    }

    /// The header of the frame at `offset`.
    pub(super) fn frame_header(&self, offset: u64) -> Result<FrameHeader, ReadError> {
        let mut bytes = [0; FRAME_HEADER_LENGTH];
        self.file.read_exact_at(&mut bytes, offset).map_err(ReadError::io(&self.path))?;
        FrameHeader::decode(&bytes, &self.header.id, offset)
            .ok_or_else(|| self.damaged(offset, "frame header"))
    }

    /// The frame at `offset`, its checksums checked.
    pub(super) fn frame(&self, offset: u64) -> Result<(FrameHeader, Bytes), ReadError> {
        let header = self.frame_header(offset)?;
        let mut payload = vec![0; header.length as usize];
        self.file
            .read_exact_at(&mut payload, offset + FRAME_HEADER_LENGTH as u64)
            .map_err(ReadError::io(&self.path))?;
        if crc32fast::hash(&payload) != header.payload_checksum {
            return Err(self.damaged(offset, "checksum of a frame"));
        }
        Ok((header, payload.into()))
    }

    /// Whether the frames of an open segment end in nothing, or in an unfinished write, rather than in
    /// damage. A writer may be going on meanwhile.
    pub(super) fn check_tail(&self) -> Result<(), ReadError> {
        loop {
            if read_trailer(&self.file, &self.path)?.is_some() {
                return Ok(());
            }
            match scan(&self.file, &self.path, &self.header, true) {
                Err(ReadError::Damaged { offset, path, what }) => {
                    // If the frame is whole now, it was only just being written.
                    if scan(&self.file, &self.path, &self.header, false)?.index.end == offset {
                        return Err(ReadError::Damaged { offset, path, what });
                    }
                }
                other => return other.map(drop),
            }
        }
    }

    pub(super) fn damaged(&self, offset: u64, what: &'static str) -> ReadError {
        ReadError::damaged(&self.path, offset, what)
    }
}

/// Reads a lock whatever happened to another thread: the index is only ever appended to.
pub(super) fn read(index: &SharedIndex) -> std::sync::RwLockReadGuard<'_, OpenIndex> {
    index.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn read_header(file: &File, path: &Path) -> Result<SegmentHeader, ReadError> {
    let mut bytes = [0; HEADER_LENGTH];
    file.read_exact_at(&mut bytes, 0).map_err(ReadError::io(path))?;
    SegmentHeader::decode(&bytes).ok_or_else(|| ReadError::damaged(path, 0, "segment header"))
}

/// The trailer, if the file is sealed.
pub(super) fn read_trailer(file: &File, path: &Path) -> Result<Option<Trailer>, ReadError> {
    let length = file.metadata().map_err(ReadError::io(path))?.len();
    let Some(at) = length.checked_sub(TRAILER_LENGTH as u64) else { return Ok(None) };
    let mut bytes = [0; TRAILER_LENGTH];
    file.read_exact_at(&mut bytes, at).map_err(ReadError::io(path))?;
    Ok(Trailer::decode(&bytes, length))
}
