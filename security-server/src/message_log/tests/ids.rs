//! Tests of looking up message ids.

use std::sync::atomic::AtomicBool;

use gateway::ports::MessageLog as _;

use super::super::ids;
use super::*;

fn reopened(folder: &std::path::Path) -> MessageLog {
    let settings = Settings { segment_size: 24 << 10, ..settings(folder) };
    MessageLog::open(settings, Clock::system(), Arc::new(Service::default())).unwrap()
}

/// A log of many segments, without an index of what is sealed.
fn filled(folder: &std::path::Path) -> MessageLog {
    let log = reopened(folder);
    for number in 0..250 {
        wait(log.append(entry(number % 240), false)).unwrap();
    }
    while wait(log.timestamp_waiting()).unwrap() > 0 {}
    // Its thread goes with it, so that the tests can do its work.
    drop(log);
    std::fs::remove_dir_all(folder.join("ids")).unwrap();
    reopened(folder)
}

fn by_id(log: &MessageLog, id: &str) -> Vec<u64> {
    let filter = Filter { message_id: Some(id.to_owned()), ..Filter::default() };
    log.reader().unwrap().list(filter).map(|found| found.unwrap().sequence).collect()
}

#[track_caller]
fn check_all(log: &MessageLog, first: u64) {
    for number in (0..240).step_by(7) {
        let all = [number, number + 240].into_iter().filter(|sequence| (first..250).contains(sequence));
        assert_eq!(by_id(log, &format!("id-{number}")), all.collect::<Vec<_>>(), "{number}");
    }
    assert!(by_id(log, "id-1000").is_empty());
}

#[test]
fn ids_are_found_with_and_without_runs() {
    let folder = folder();
    let log = filled(folder.path());
    check_all(&log, 0);
    ids::maintain(folder.path(), &AtomicBool::new(false)).unwrap();
    let runs = ids::runs(folder.path());
    let sealed = segment::segment_numbers(folder.path()).unwrap().len() as u64 - 1;
    assert!(sealed > 20, "{sealed}");
    assert_eq!((runs[0].first, runs.last().unwrap().last), (1, sealed));
    assert!(runs.len() as u64 <= sealed / 8 + sealed % 8, "{runs:?}");
    check_all(&log, 0);
    let report = log.reader().unwrap().verify(None).unwrap();
    assert!(report.is_good(), "{:?}", report.problems);
    // Stopped, it leaves nothing half done.
    std::fs::remove_dir_all(folder.path().join("ids")).unwrap();
    ids::maintain(folder.path(), &AtomicBool::new(true)).unwrap();
    assert!(ids::runs(folder.path()).is_empty());
    check_all(&log, 0);
}

#[test]
fn damaged_runs_are_made_again() {
    use std::os::unix::fs::FileExt as _;
    let folder = folder();
    let log = filled(folder.path());
    ids::maintain(folder.path(), &AtomicBool::new(false)).unwrap();
    let runs = || -> Vec<_> {
        let entries = std::fs::read_dir(folder.path().join("ids")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    for (at, what) in [(0, "head"), (5000, "page")] {
        for run in runs() {
            let file = std::fs::File::options().write(true).open(&run).unwrap();
            file.write_all_at(b"damage", at).unwrap();
        }
        check_all(&log, 0);
        assert!(!runs().is_empty(), "{what}");
    }
    for run in runs() {
        std::fs::write(&run, "short").unwrap();
    }
    check_all(&log, 0);
}

#[test]
fn runs_of_removed_segments_go() {
    let folder = folder();
    let log = filled(folder.path());
    ids::maintain(folder.path(), &AtomicBool::new(false)).unwrap();
    let before = ids::runs(folder.path());
    // The second run has a segment that goes, and others that stay.
    let limit = log.reader().unwrap().segment(before[1].first + 1).unwrap().first_sequence();
    log.clean(UtcTime::from_millis(i64::MAX), limit).unwrap();
    check_all(&log, limit);
    ids::maintain(folder.path(), &AtomicBool::new(false)).unwrap();
    assert_eq!(ids::runs(folder.path()), before[1..]);
    check_all(&log, limit);
}

/// The log itself keeps the index up to date.
#[test]
fn sealing_makes_runs() {
    let folder = folder();
    let log = reopened(folder.path());
    for number in 0..60 {
        wait(log.append(entry(number), false)).unwrap();
    }
    let sealed = segment::segment_numbers(folder.path()).unwrap().len() as u64 - 1;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while ids::runs(folder.path()).last().is_none_or(|run| run.last < sealed) {
        assert!(std::time::Instant::now() < deadline, "no index");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    drop(log);
}
