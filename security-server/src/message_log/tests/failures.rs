//! What is left after every kind of interruption: a table of failure points, torn tails, full disks.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::storage::{Disk, Storage, StorageFile};
use super::*;

/// What goes wrong at the failure point.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// Nothing was done.
    Before,
    /// It was done, and reported as failed.
    After,
    /// A write was done in part; anything else not at all.
    Half,
}

/// The file system, of which one operation fails, or all from some operation on.
struct Failing {
    done: AtomicU64,
    at: u64,
    how: How,
    for_ever: bool,
    error: io::ErrorKind,
}

impl Failing {
    fn new(at: u64, how: How, for_ever: bool) -> Arc<Self> {
        Arc::new(Self { done: AtomicU64::new(0), at, how, for_ever, error: io::ErrorKind::StorageFull })
    }

    /// Runs an operation, or does not.
    fn operation<T>(&self, half: impl FnOnce(), run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let number = self.done.fetch_add(1, Ordering::Relaxed);
        if number != self.at && !(self.for_ever && number > self.at) {
            return run();
        }
        match self.how {
            How::Before => {}
            How::After => drop(run()),
            How::Half => half(),
        }
        Err(self.error.into())
    }
}

struct FailingFile(Box<dyn StorageFile>, Arc<Failing>);

impl Storage for Arc<Failing> {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let file = self.operation(|| (), || Disk.create(path))?;
        Ok(Box::new(FailingFile(file, Arc::clone(self))))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let file = self.operation(|| (), || Disk.open(path))?;
        Ok(Box::new(FailingFile(file, Arc::clone(self))))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation(|| (), || Disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operation(|| (), || Disk.remove(path))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.operation(|| (), || Disk.sync_folder(path))
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        Disk.free_bytes(path)
    }
}

impl StorageFile for FailingFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let half = || drop(self.0.write_at(&bytes[..bytes.len() / 2], offset));
        self.1.operation(half, || self.0.write_at(bytes, offset))
    }

    fn sync(&self) -> io::Result<()> {
        self.1.operation(|| (), || self.0.sync())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.1.operation(|| (), || self.0.set_length(length))
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.1.operation(|| (), || self.0.allocate(length))
    }

    fn reader(&self) -> io::Result<File> {
        self.0.reader()
    }
}

/// Small segments and a large body now and then, so that every operation of the log occurs.
fn small(folder: &Path) -> Settings {
    Settings { segment_size: 32 << 10, inline_body_limit: 200, free_space_floor: 0, ..Settings::new(folder) }
}

fn sized(number: u64) -> LogEntry {
    let mut entry = entry(number);
    if number % 10 == 3 {
        entry.attachments = vec![LoggedBody::Memory(vec![number as u8; 1000].into())];
    }
    entry
}

/// Opens the log again and looks whether everything acknowledged is there, and nothing is damaged.
#[track_caller]
fn check_survivors(folder: &Path, acknowledged: &[(u64, u64)], context: &dyn std::fmt::Debug) -> u64 {
    let log = MessageLog::open(small(folder), Clock::system(), Arc::new(Service::default())).unwrap();
    let size = {
        let reader = log.reader().unwrap();
        for (sequence, number) in acknowledged {
            let record =
                reader.show(*sequence).unwrap().unwrap_or_else(|| panic!("{context:?}: {sequence} is lost"));
            assert_eq!(record.summary.details.message_id, format!("id-{number}"), "{context:?}");
            if let [LoggedBody::Memory(expected)] = sized(*number).attachments.as_slice() {
                assert_eq!(octets_of(&record), [expected.to_vec()], "{context:?}");
            }
        }
        reader.size()
    };
    // It goes on.
    assert_eq!(wait(log.write(sized(1000))).unwrap(), LogPosition(size), "{context:?}");
    let report = log.reader().unwrap().verify(None).unwrap();
    assert!(report.is_good(), "{context:?}: {:?}", report.problems);
    size
}

/// Writes records while an operation fails; gives position and number of what was acknowledged.
fn write_some(folder: &Path, storage: &Arc<Failing>, count: u64) -> Option<Vec<(u64, u64)>> {
    let log = MessageLog::open_on(
        small(folder),
        Clock::system(),
        Arc::new(Service::default()),
        Arc::new(Arc::clone(storage)),
    )
    .ok()?;
    let mut acknowledged = Vec::new();
    for number in 0..count {
        match wait(log.write(sized(number))) {
            Ok(position) => acknowledged.push((position.0, number)),
            Err(LogError::Full(_) | LogError::Unavailable(_)) if !storage.for_ever => {
                // What was wrong is over; the log goes on after its pause.
                std::thread::sleep(std::time::Duration::from_millis(110));
            }
            Err(LogError::Full(_) | LogError::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    Some(acknowledged)
}

#[test]
fn every_operation_may_fail() {
    let count = 60;
    let operations = {
        let folder = folder();
        let storage = Failing::new(u64::MAX, How::Before, false);
        let all = write_some(folder.path(), &storage, count).unwrap();
        assert_eq!(all.len() as u64, count);
        storage.done.load(Ordering::Relaxed)
    };
    assert!(operations > 130, "{operations}");
    for how in [How::Before, How::After, How::Half] {
        for for_ever in [false, true] {
            // Every one of the first operations, then with larger steps, to keep the test short.
            let points = (0..operations).filter(|at| *at < 40 || (at * 7 + how as u64).is_multiple_of(5));
            for at in points {
                let folder = folder();
                let storage = Failing::new(at, how, for_ever);
                let context = (at, how, for_ever);
                let Some(acknowledged) = write_some(folder.path(), &storage, count) else {
                    check_survivors(folder.path(), &[], &context);
                    continue;
                };
                if !for_ever {
                    assert!(acknowledged.len() as u64 >= count - 2, "{context:?}: {}", acknowledged.len());
                }
                check_survivors(folder.path(), &acknowledged, &context);
            }
        }
    }
}

/// A log with three records in one segment, and where the frames of the last begin and end.
fn three_records(folder: &Path) -> (std::path::PathBuf, usize, usize) {
    let path = super::super::segment::segment_path(folder, 1);
    let end = || Reader::open(folder).unwrap().last().data_end() as usize;
    let log = MessageLog::open(small(folder), Clock::system(), Arc::new(Service::default())).unwrap();
    wait(log.write(sized(1))).unwrap();
    wait(log.write(sized(2))).unwrap();
    let start = end();
    wait(log.write(sized(5))).unwrap();
    drop(log);
    let end = end();
    (path, start, end)
}

#[test]
fn a_tail_torn_at_any_octet_is_cut() {
    let folder = folder();
    let (path, start, end) = three_records(folder.path());
    let whole = std::fs::read(&path).unwrap();
    for at in start..end {
        for fill in [0, 0xff] {
            let mut torn = whole.clone();
            torn[at..end].fill(fill);
            if torn == whole {
                continue;
            }
            // With the reserved room behind, and without.
            let length = if at % 2 == 0 { torn.len() } else { end };
            std::fs::write(&path, &torn[..length]).unwrap();
            let size = Reader::open(folder.path()).unwrap().size();
            assert_eq!(size, 2, "torn at {at}");
            // Opening for writing is slow to do for every octet.
            if at % 16 == 0 || at < start + 100 {
                let size = check_survivors(folder.path(), &[(0, 1), (1, 2)], &("torn", at));
                assert_eq!(size, 2);
            }
        }
        std::fs::write(&path, &whole[..at]).unwrap();
        assert_eq!(Reader::open(folder.path()).unwrap().size(), 2, "cut at {at}");
    }
}

#[test]
fn an_acknowledged_record_that_changed_is_not_cut() {
    let folder = folder();
    let (path, start, _) = three_records(folder.path());
    let mut damaged = std::fs::read(&path).unwrap();
    damaged[start - 1] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let opened = MessageLog::open(small(folder.path()), Clock::system(), Arc::new(Service::default()));
    assert!(matches!(opened, Err(OpenError::Read(ReadError::Damaged { .. }))));
    let report = Reader::open(folder.path()).unwrap().verify(None).unwrap();
    assert!(!report.is_good());
}

#[test]
fn any_changed_octet_of_a_sealed_segment_is_found() {
    let folder = folder();
    {
        let log =
            MessageLog::open(small(folder.path()), Clock::system(), Arc::new(Service::default())).unwrap();
        for number in 0..60 {
            wait(log.write(sized(number))).unwrap();
        }
    }
    assert!(Reader::open(folder.path()).unwrap().verify(None).unwrap().is_good());
    let path = super::super::segment::segment_path(folder.path(), 1);
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(97) {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        std::fs::write(&path, &changed).unwrap();
        let good = Reader::open(folder.path()).unwrap().verify(None).unwrap().is_good();
        assert!(!good, "the change at {at} of {} goes unseen", whole.len());
    }
    std::fs::write(&path, &whole).unwrap();
    let body = super::super::segment::body_path(folder.path(), 3);
    std::fs::write(&body, "other").unwrap();
    assert!(!Reader::open(folder.path()).unwrap().verify(None).unwrap().is_good());
    std::fs::remove_file(body).unwrap();
    assert!(!Reader::open(folder.path()).unwrap().verify(None).unwrap().is_good());
}

#[test]
fn a_full_log_waits_for_room() {
    let folder = folder();
    let limited = Settings { max_bytes: Some(100 << 10), ..small(folder.path()) };
    let open = |settings: Settings| {
        MessageLog::open(settings, Clock::system(), Arc::new(Service::default())).unwrap()
    };
    let mut written = 0;
    {
        let log = open(limited.clone());
        let error = loop {
            match wait(log.write(entry(written))) {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, LogError::Full(_)), "{error}");
        assert!(written > 50);
        assert!(matches!(wait(log.write(entry(0))), Err(LogError::Full(_))));
    }
    let log = open(Settings { max_bytes: None, ..limited });
    assert_eq!(wait(log.write(entry(written))).unwrap(), LogPosition(written));
    assert!(log.reader().unwrap().verify(None).unwrap().is_good());
    drop(log);
    let log = open(Settings { free_space_floor: u64::MAX / 2, ..small(folder.path()) });
    assert!(matches!(wait(log.write(entry(0))), Err(LogError::Full(_))));
}

#[test]
fn one_writer_at_a_time() {
    let folder = folder();
    let log = open(folder.path());
    let second = MessageLog::open(small(folder.path()), Clock::system(), Arc::new(Service::default()));
    assert!(matches!(second, Err(OpenError::Locked(_))));
    drop(log);
    open(folder.path());
}
