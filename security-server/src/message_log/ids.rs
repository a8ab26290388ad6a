//! The index of message ids over many segments, so that looking one up does not read every segment.
//!
//! A *run* has the ids of some neighbouring sealed segments, sorted. Each sealed segment gets a run;
//! [`FAN`] neighbouring runs of one size are merged into one. So there are at most a few runs for each
//! power of [`FAN`], whatever the size of the log, and each is searched by bisection. Segments that no run
//! has yet are asked themselves.
//!
//! Everything here can be computed again from the segments: a run that is missing or damaged costs time
//! and nothing else. The form on disk is in docs/message-log.md.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use super::format::Fields;
use super::segment::{ReadError, Segment, segment_numbers, segment_path};
use super::shared::Shared;

/// Runs of one size that become one.
const FAN: usize = 8;
const MAGIC: [u8; 8] = *b"CWLOGID1";
const PAGE: usize = 4096;
/// Octets of an entry: hash of the message id, and sequence.
const ENTRY: usize = 16;
/// Octets of a page before its entries: CRC and number of entries.
const PAGE_HEAD: usize = 8;
const ENTRIES: usize = (PAGE - PAGE_HEAD) / ENTRY;

/// An id's hash and the sequence of a record with it.
type Entry = (u64, u64);

/// A file with the ids of the segments `first` to `last`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) last: u64,
    path: PathBuf,
}

fn ids_folder(folder: &Path) -> PathBuf {
    folder.join("ids")
}

fn run_path(folder: &Path, first: u64, last: u64) -> PathBuf {
    ids_folder(folder).join(format!("{first:010}-{last:010}.ids"))
}

/// The runs of a log, oldest first. Where two have the same segment, because a crash came between the
/// merging and the removal of what was merged, only the larger one is given.
pub(super) fn runs(folder: &Path) -> Vec<Run> {
    let entries = fs::read_dir(ids_folder(folder)).into_iter().flatten().flatten();
    let mut runs: Vec<Run> = entries.filter_map(|entry| Run::of(entry.path())).collect();
    runs.sort_by_key(|run| (run.first, std::cmp::Reverse(run.last)));
    let mut next = 0;
    runs.retain(|run| {
        let is_new = run.first >= next;
        if is_new {
            next = run.last + 1;
        }
        is_new
    });
    runs
}

impl Run {
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".ids")?;
        let (first, last) = name.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(Self { first, last, path })
    }

    fn segments(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Sequences of the records whose message id has this hash, ascending.
    ///
    /// # Errors
    /// The file cannot be read or is damaged: then the segments have to be asked.
    pub(super) fn find(&self, hash: u64) -> Result<Vec<u64>, ReadError> {
        let pages = Pages::open(self)?;
        // The first page that has, or ends with, something that is not less.
        let (mut low, mut high) = (0, pages.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if pages.read(middle)?.last().is_some_and(|(last, _)| *last < hash) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut found = Vec::new();
        for number in low..pages.count {
            let page = pages.read(number)?;
            found.extend(page.iter().filter(|(other, _)| *other == hash).map(|(_, sequence)| *sequence));
            if page.last().is_none_or(|(last, _)| *last > hash) {
                break;
            }
        }
        Ok(found)
    }
}

/// The pages of a run.
struct Pages {
    path: PathBuf,
    file: File,
    count: u64,
}

impl Pages {
    fn open(run: &Run) -> Result<Self, ReadError> {
        let path = run.path.clone();
        let file = File::open(&path).map_err(ReadError::io(&path))?;
        let mut head = [0; PAGE];
        file.read_exact_at(&mut head, 0).map_err(ReadError::io(&path))?;
        let damaged = |what| ReadError::damaged(&path, 0, what);
        if !head.starts_with(&MAGIC) {
            return Err(damaged("index of message ids"));
        }
        let mut fields = Fields(head.get(MAGIC.len()..).unwrap_or_default());
        let head = (fields.u64(), fields.u64(), fields.u64());
        let (Some(first), Some(last), Some(count)) = head else {
            return Err(damaged("index of message ids"));
        };
        let length = file.metadata().map_err(ReadError::io(&path))?.len();
        let whole = count.checked_add(1).and_then(|pages| pages.checked_mul(PAGE as u64));
        if (first, last) != (run.first, run.last) || whole != Some(length) {
            return Err(damaged("head of the index of message ids"));
        }
        Ok(Self { path, file, count })
    }

    fn read(&self, number: u64) -> Result<Vec<Entry>, ReadError> {
        let at = (number + 1) * PAGE as u64;
        let mut page = [0; PAGE];
        self.file.read_exact_at(&mut page, at).map_err(ReadError::io(&self.path))?;
        decode_page(&page)
            .ok_or_else(|| ReadError::damaged(&self.path, at, "page of the index of message ids"))
    }
}

fn decode_page(page: &[u8; PAGE]) -> Option<Vec<Entry>> {
    let mut fields = Fields(page);
    let checksum = fields.u32()?;
    if crc32fast::hash(fields.0) != checksum {
        return None;
    }
    let count = fields.u32()?;
    (0..count).map(|_| Some((fields.u64()?, fields.u64()?))).collect()
}

/// Brings the runs up to the sealed segments: adds and merges runs, and removes those of segments that
/// are gone. Stops early when told to; the next call goes on.
pub(super) fn maintain(folder: &Path, stop: &AtomicBool) -> Result<(), ReadError> {
    let ids = ids_folder(folder);
    fs::create_dir_all(&ids).map_err(ReadError::io(&ids))?;
    let numbers = segment_numbers(folder)?;
    let Some(first) = numbers.first().copied() else { return Ok(()) };
    let known = runs(folder);
    for entry in fs::read_dir(&ids).map_err(ReadError::io(&ids))?.flatten() {
        let path = entry.path();
        let is_wanted = known.iter().any(|run| run.path == path && run.last >= first);
        if !is_wanted {
            fs::remove_file(&path).map_err(ReadError::io(&path))?;
        }
    }
    for number in numbers {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if known.iter().any(|run| (run.first..=run.last).contains(&number)) {
            continue;
        }
        let segment = Segment::open(segment_path(folder, number))?;
        if segment.trailer().is_some() {
            let entries = segment.ids()?;
            write(folder, (number, number), stop, entries.into_iter().map(Ok))?;
        }
    }
    while merge(folder, stop)? {}
    Ok(())
}

/// The thread that keeps the runs up to date: it works after each segment that is sealed.
pub(super) struct Indexer {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Indexer {
    pub(super) fn start(folder: &Path, shared: &Arc<Shared>) -> io::Result<Self> {
        let (tell, told) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (folder, stopping) = (folder.to_owned(), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("message-log-ids".to_owned()).spawn(move || {
            while told.recv().is_ok() {
                // Several segments may have been sealed meanwhile.
                while told.try_recv().is_ok() {}
                if let Err(error) = maintain(&folder, &stopping) {
                    tracing::warn!(%error, "the index of message ids could not be brought up to date");
                }
            }
        })?;
        shared.tell_seals(Some(tell));
        Ok(Self { shared: Arc::clone(shared), stop, thread: Some(thread) })
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.shared.tell_seals(None);
        if let Some(thread) = self.thread.take() {
            // A panic there leaves at worst a draft.
            let _ = thread.join();
        }
    }
}

/// Merges the first [`FAN`] neighbours of one size, if there are such. Tells whether it did.
fn merge(folder: &Path, stop: &AtomicBool) -> Result<bool, ReadError> {
    let runs = runs(folder);
    let neighbours = runs.windows(FAN).find(|runs| {
        let size = runs.first().map_or(0, Run::segments);
        runs.iter().all(|run| run.segments() == size)
            && runs.windows(2).all(|pair| matches!(pair, [a, b] if a.last + 1 == b.first))
    });
    let Some(merged) = neighbours else { return Ok(false) };
    let (Some(first), Some(last)) = (merged.first(), merged.last()) else { return Ok(false) };
    let mut sources = Vec::with_capacity(FAN);
    for run in merged {
        match Pages::open(run) {
            Ok(pages) => sources.push(Source { pages, next: 0, page: Vec::new().into_iter(), head: None }),
            Err(error) => return forget(run, error),
        }
    }
    let mut merging = Merging::default();
    for source in &mut sources {
        if let Err(error) = source.advance() {
            merging.failed = Some(error);
        }
    }
    let merged_entries = std::iter::from_fn(|| merging.next(&mut sources));
    let written = write(folder, (first.first, last.last), stop, merged_entries);
    match written {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        Err(error) => {
            // What cannot be read is made again from its segments.
            for run in merged {
                let _ = fs::remove_file(&run.path);
            }
            return Err(error);
        }
    }
    for run in merged {
        fs::remove_file(&run.path).map_err(ReadError::io(&run.path))?;
    }
    Ok(true)
}

/// Removes a damaged run; the next call makes it again.
fn forget(run: &Run, error: ReadError) -> Result<bool, ReadError> {
    fs::remove_file(&run.path).map_err(ReadError::io(&run.path))?;
    Err(error)
}

/// A run that is read in order.
struct Source {
    pages: Pages,
    next: u64,
    page: std::vec::IntoIter<Entry>,
    head: Option<Entry>,
}

impl Source {
    fn advance(&mut self) -> Result<(), ReadError> {
        loop {
            self.head = self.page.next();
            if self.head.is_some() || self.next >= self.pages.count {
                return Ok(());
            }
            self.page = self.pages.read(self.next)?.into_iter();
            self.next += 1;
        }
    }
}

#[derive(Default)]
struct Merging {
    failed: Option<ReadError>,
}

impl Merging {
    fn next(&mut self, sources: &mut [Source]) -> Option<Result<Entry, ReadError>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let least =
            sources.iter_mut().filter(|source| source.head.is_some()).min_by_key(|source| source.head)?;
        let entry = least.head?;
        Some(least.advance().map(|()| entry))
    }
}

/// Writes a run durably. Tells whether it did: not if it was told to stop.
fn write(
    folder: &Path,
    (first, last): (u64, u64),
    stop: &AtomicBool,
    entries: impl Iterator<Item = Result<Entry, ReadError>>,
) -> Result<bool, ReadError> {
    let path = run_path(folder, first, last);
    let draft = path.with_extension("tmp");
    let failed = |error: io::Error| ReadError::io(&draft)(error);
    let mut to = BufWriter::with_capacity(1 << 18, File::create(&draft).map_err(failed)?);
    to.write_all(&[0; PAGE]).map_err(failed)?;
    let mut pages = 0;
    let mut page = Vec::with_capacity(ENTRIES);
    let mut entries = entries.peekable();
    while let Some(entry) = entries.next() {
        page.push(entry?);
        if page.len() < ENTRIES && entries.peek().is_some() {
            continue;
        }
        to.write_all(&encode_page(&page)).map_err(failed)?;
        page.clear();
        pages += 1;
        if stop.load(Ordering::Relaxed) {
            drop(to);
            let _ = fs::remove_file(&draft);
            return Ok(false);
        }
    }
    let mut head = MAGIC.to_vec();
    for number in [first, last, pages] {
        head.extend_from_slice(&u64::to_le_bytes(number));
    }
    let file = to.into_inner().map_err(|error| failed(error.into_error()))?;
    file.write_all_at(&head, 0)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&draft, &path))
        .and_then(|()| File::open(ids_folder(folder))?.sync_all())
        .map_err(failed)?;
    Ok(true)
}

fn encode_page(entries: &[Entry]) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE);
    page.extend_from_slice(&[0; 4]);
    page.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    for (hash, sequence) in entries {
        page.extend_from_slice(&hash.to_le_bytes());
        page.extend_from_slice(&sequence.to_le_bytes());
    }
    page.resize(PAGE, 0);
    let checksum = crc32fast::hash(page.get(4..).unwrap_or_default());
    if let Some(place) = page.get_mut(..4) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    page
}
