//! Checking a whole log: checksums, order, the tree and its checkpoints, the indexes.
//!
//! Memory is bounded by one segment. Signatures of messages and time-stamps are checked on exported
//! containers; here it is shown that the log is what was written.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;

use ring::digest::{Context, SHA256};

use super::checkpoint::Checkpoint;
use super::format::{FrameHeader, FrameKind, HEADER_LENGTH, record_leaf};
use super::index::IndexEntry;
use super::merkle::{Frontier, Hash};
use super::reader::Reader;
use super::record::{Long, SharedSignature, StampRecord, StoredBody, StoredMessage};
use super::segment::{ReadError, Segment, body_path};

/// Problems beyond this number are only counted.
const SHOWN: usize = 1000;

/// What a check of the log found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VerifyReport {
    /// Segments read.
    pub segments: u64,
    /// Message records.
    pub messages: u64,
    /// Time-stamp records.
    pub timestamps: u64,
    /// Message records of which the content was erased.
    pub erased: u64,
    /// Records in the log since its beginning, and the root over them.
    pub size: u64,
    /// See `size`.
    pub root: Hash,
    /// Each thing that is wrong, in words.
    pub problems: Vec<String>,
    /// All problems, also those that are not shown.
    pub problem_count: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problem_count == 0
    }

    /// Notes damage as a problem; only the disk's own errors end the check.
    fn read<T>(&mut self, result: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ ReadError::Io { .. }) => Err(error),
            Err(error) => {
                self.problem(error.to_string());
                Ok(None)
            }
        }
    }

    fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < SHOWN {
            self.problems.push(text);
        }
    }
}

/// The key that checkpoints must be signed with: its name and 32 octets.
pub type CheckpointKey<'a> = (&'a str, &'a [u8]);

impl Reader {
    /// Checks the whole log.
    ///
    /// # Errors
    /// The disk. What is wrong with the log itself stands in the report.
    pub fn verify(&self, key: Option<CheckpointKey<'_>>) -> Result<VerifyReport, ReadError> {
        let mut report = VerifyReport::default();
        let mut frontier: Option<Frontier> = None;
        let mut log = None;
        for number in self.numbers() {
            let Some(segment) = report.read(self.segment(number))? else {
                frontier = None;
                continue;
            };
            report.segments += 1;
            let path = segment.path.display().to_string();
            if *log.get_or_insert(segment.header.log) != segment.header.log || segment.number() != number {
                report.problem(format!("{path}: the segment belongs to another log or place"));
            }
            if frontier.as_ref().is_some_and(|frontier| *frontier != segment.header.frontier) {
                report.problem(format!("{path}: the segment does not continue the one before it"));
            }
            let end = self.verify_segment(&segment, &mut report)?;
            if let Some(trailer) = segment.trailer() {
                verify_trailer(&segment, trailer, &end, key, &mut report)?;
            } else if number == self.last().number() {
                report.read(segment.check_tail())?;
            } else {
                report.problem(format!("{path}: the segment is not sealed"));
            }
            frontier = Some(end);
        }
        let end = frontier.unwrap_or_default();
        report.size = end.size();
        report.root = end.root();
        match self.root(end.size()) {
            Ok(root) if root == report.root => {}
            Ok(_) => report.problem("the files of the tree do not have the root of the records".to_owned()),
            Err(error) => report.problem(format!("the files of the tree: {error}")),
        }
        Ok(report)
    }

    /// Reads all frames of a segment and gives the tree after it.
    fn verify_segment(&self, segment: &Segment, report: &mut VerifyReport) -> Result<Frontier, ReadError> {
        let path = segment.path.display().to_string();
        let mut frontier = segment.header.frontier.clone();
        let mut signatures: HashMap<u32, (Long, Long)> = HashMap::new();
        let end = segment.data_end();
        let mut at = HEADER_LENGTH as u64;
        let mut page: std::vec::IntoIter<IndexEntry> = Vec::new().into_iter();
        let mut indexed = 0;
        while at < end {
            let (header, payload) = match segment.frame(at) {
                Ok(frame) => frame,
                Err(error) => {
                    // Without its header nobody knows where the next frame begins; with it, we go on.
                    report.problem(error.to_string());
                    let Ok(header) = segment.frame_header(at) else { return Ok(frontier) };
                    at = header.end();
                    if header.kind.is_record() {
                        frontier.push(header.leaf, |_, _| ());
                        page.next();
                        indexed += 1;
                    }
                    continue;
                }
            };
            if header.sequence != frontier.size() {
                report.problem(format!("{path}: record {} stands at {at}, after a gap", header.sequence));
            }
            match header.kind {
                FrameKind::Signature => match SharedSignature::decode(&payload) {
                    Some(signature) => drop(signatures.insert(header.offset, signature.digests())),
                    None => report.problem(format!("{path}: the signature at {at} is damaged")),
                },
                FrameKind::Message => {
                    report.messages += 1;
                    if header.erased {
                        report.erased += 1;
                    } else {
                        match StoredMessage::decode(&payload) {
                            Some(message) => self.verify_message(&header, &message, &signatures, report),
                            None => report.problem(format!("{path}: the message at {at} is damaged")),
                        }
                    }
                }
                FrameKind::Timestamp => {
                    report.timestamps += 1;
                    let commitment = StampRecord::commitment(&payload);
                    let leaf = record_leaf(header.kind, header.sequence, header.time, &commitment);
                    if leaf != header.leaf || StampRecord::decode(&payload).is_none() {
                        report.problem(format!(
                            "{path}: the time-stamp at {at} is not what its leaf commits to"
                        ));
                    }
                }
            }
            if header.kind.is_record() {
                if page.len() == 0 {
                    page = report.read(segment.entries(indexed, 1024))?.unwrap_or_default().into_iter();
                }
                let entry = page.next();
                if entry.is_none_or(|entry| entry.offset != header.offset || entry.time != header.time) {
                    report.problem(format!("{path}: the index does not have record {}", header.sequence));
                }
                indexed += 1;
                frontier.push(header.leaf, |_, _| ());
            }
            at = header.end();
        }
        if indexed < segment.count() && segment.trailer().is_some() {
            report.problem(format!("{path}: the index has records that are not there"));
        }
        Ok(frontier)
    }

    fn verify_message(
        &self,
        header: &FrameHeader,
        message: &StoredMessage,
        signatures: &HashMap<u32, (Long, Long)>,
        report: &mut VerifyReport,
    ) {
        let sequence = header.sequence;
        let Some(signature) = signatures.get(&message.signature) else {
            report.problem(format!("the signature of record {sequence} is not in its segment"));
            return;
        };
        let commitment = message.commitment(signature);
        if record_leaf(header.kind, sequence, header.time, &commitment) != header.leaf {
            report.problem(format!("record {sequence} is not what its leaf commits to"));
        }
        if let StoredBody::OwnFile { length, digest } = &message.body {
            match file_digest(&body_path(self.folder(), sequence)) {
                Ok(found) if found == (*length, *digest) => {}
                Ok(_) => report.problem(format!("the body of record {sequence} is not what was logged")),
                Err(error) => report.problem(format!("the body of record {sequence}: {error}")),
            }
        }
    }
}

/// Compares what the end of a sealed segment says with what was read.
fn verify_trailer(
    segment: &Segment,
    trailer: &super::format::Trailer,
    end: &Frontier,
    key: Option<CheckpointKey<'_>>,
    report: &mut VerifyReport,
) -> Result<(), ReadError> {
    let path = segment.path.display().to_string();
    let first = segment.first_sequence();
    if trailer.number != segment.number()
        || trailer.first_sequence != first
        || first.checked_add(trailer.count) != Some(end.size())
        || trailer.root != end.root()
    {
        report.problem(format!("{path}: the trailer does not describe the records"));
    }
    for place in 0..trailer.sections.len() {
        report.read(segment.section(place))?;
    }
    let note = report.read(segment.checkpoint())?.flatten().unwrap_or_default();
    let checkpoint = match key {
        Some((name, key)) => Checkpoint::verify(&note, name, key),
        None => Checkpoint::parse(&note),
    };
    match checkpoint {
        Ok(checkpoint) if checkpoint.size == end.size() && checkpoint.root == end.root() => {}
        Ok(_) => report.problem(format!("{path}: the checkpoint commits to other records")),
        Err(error) => report.problem(format!("{path}: {error}")),
    }
    Ok(())
}

fn file_digest(path: &std::path::Path) -> std::io::Result<(u64, Hash)> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 256 << 10];
    let mut length = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        context.update(buffer.get(..count).unwrap_or_default());
        length += count as u64;
    }
    let digest = context.finish().as_ref().try_into().map_err(|_| std::io::ErrorKind::InvalidData)?;
    Ok((length, digest))
}
