use std::collections::HashSet;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway::Clock;
use gateway::ports::MessageLog as _;
use protocol::archive::{Archive, ArchiveLimits};

use super::state::{STATE_FILE, State};
use super::*;
use crate::message_log::MessageLog;
use crate::message_log::tests::{entry, folder, open, wait};

/// A log with these messages, time-stamped.
fn log_of(folder: &Path, numbers: std::ops::Range<u64>) -> MessageLog {
    let log = open(folder);
    append(&log, numbers);
    log
}

fn append(log: &MessageLog, numbers: std::ops::Range<u64>) {
    for number in numbers {
        wait(log.append(entry(number), false)).unwrap();
    }
    while wait(log.timestamp_waiting()).unwrap() > 0 {}
}

fn settings(folder: &Path) -> Settings {
    Settings { max_file_size: 20_000, batch: 40, ..Settings::new(folder) }
}

fn archiver(settings: &Settings) -> Archiver {
    Archiver::open(settings.clone(), Clock::system()).unwrap()
}

/// Checks that the files are one chain in this order, and gives the names of their containers.
#[track_caller]
fn check_chain(files: &[PathBuf]) -> Vec<String> {
    let mut last = None;
    let mut names = Vec::new();
    for file in files {
        let opened = BufReader::new(fs::File::open(file).unwrap());
        let mut archive = Archive::open(opened, ArchiveLimits::default()).unwrap();
        archive.continues(last.as_deref()).unwrap();
        last = Some(archive.verify().unwrap());
        let text = file.file_name().unwrap().to_str().unwrap();
        assert!(text.starts_with("mlog-") && text.contains(&last.as_ref().unwrap()[..16]), "{text}");
        names.extend(archive.names().map(str::to_owned));
    }
    names
}

#[test]
fn every_record_once_in_one_chain() {
    let (place, target) = (folder(), folder());
    let log = log_of(place.path(), 0..100);
    wait(log.append(entry(100), false)).unwrap();
    let mut files = Vec::new();
    for (until, expected) in [(100, 100), (120, 20), (120, 0)] {
        let reader = log.reader().unwrap();
        // A new one each time: what was archived is read from the folder.
        let mut archiver = archiver(&settings(target.path()));
        let done = archiver.run(&reader).unwrap();
        assert_eq!(done.records, expected);
        files.extend(done.files);
        if until == 100 {
            assert!(archiver.archived_until() < reader.size(), "the last one waits for its time-stamp");
            append(&log, 101..120);
        }
    }
    assert!(files.len() > 4, "{files:?}");
    let names = check_chain(&files);
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 120);
    for (number, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("id-{number}-")), "{number}: {name}");
    }
    // What the archive has is what a download gives.
    let reader = log.reader().unwrap();
    let mut container = std::io::Cursor::new(Vec::new());
    reader.export(0, &mut container).unwrap();
    let mut archive = Archive::open(fs::File::open(&files[0]).unwrap(), ArchiveLimits::default()).unwrap();
    assert_eq!(archive.container(0, 1 << 20).unwrap(), container.into_inner());
    let left: Vec<_> = fs::read_dir(target.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left.len(), files.len() + 2, "archives, state and lock: {left:?}");
}

#[test]
fn each_group_is_a_chain() {
    let place = folder();
    let log = log_of(place.path(), 0..60);
    for (grouping, groups) in [(Grouping::Member, 6), (Grouping::Subsystem, 6)] {
        let target = folder();
        let settings = Settings { grouping, ..settings(target.path()) };
        let done = archiver(&settings).run(&log.reader().unwrap()).unwrap();
        assert_eq!(done.records, 60);
        let of = |prefix: &str| -> Vec<PathBuf> {
            let is_of = |file: &&PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with(prefix);
            done.files.iter().filter(is_of).cloned().collect()
        };
        let end = if grouping == Grouping::Member { "" } else { "_app" };
        let mut seen = 0;
        for member in 0..5 {
            let names = check_chain(&of(&format!("mlog-XX_COM_{member}{end}-")));
            assert_eq!(names.len(), 6, "even numbers are the consumer's");
            seen += 1;
        }
        let end = if grouping == Grouping::Member { "" } else { "_provider" };
        assert_eq!(check_chain(&of(&format!("mlog-XX_GOV_1{end}-"))).len(), 30);
        assert_eq!(seen + 1, groups);
    }
}

#[test]
fn a_crash_loses_nothing_and_breaks_no_chain() {
    let (place, target) = (folder(), folder());
    let log = log_of(place.path(), 0..30);
    let settings = Settings { batch: 1000, max_file_size: 10_000, ..settings(target.path()) };
    let first = archiver(&settings).run(&log.reader().unwrap()).unwrap().files;
    assert!(first.len() > 2);
    append(&log, 30..60);
    let state = fs::read(target.path().join(STATE_FILE)).unwrap();
    let second = archiver(&settings).run(&log.reader().unwrap()).unwrap().files;
    // Before the state is durable: unknown drafts go, and the same archives are made again.
    let until: State = serde_json::from_slice(&fs::read(target.path().join(STATE_FILE)).unwrap()).unwrap();
    let draft = |number: usize| target.path().join(format!("{}-{number}.tmp", until.archived_until));
    for (number, file) in second.iter().enumerate() {
        fs::rename(file, draft(number)).unwrap();
    }
    fs::write(target.path().join(STATE_FILE), &state).unwrap();
    let again = archiver(&settings).run(&log.reader().unwrap()).unwrap();
    assert_eq!((again.records, &again.files), (30, &second));
    // After that: the names are given at the next start.
    for (number, file) in second.iter().enumerate() {
        fs::rename(file, draft(number)).unwrap();
    }
    let done = archiver(&settings).run(&log.reader().unwrap()).unwrap();
    assert_eq!(done, Archived::default());
    assert_eq!(check_chain(&[first, second].concat()).len(), 60);
}

#[test]
fn folders_that_are_refused() {
    let (place, other, target) = (folder(), folder(), folder());
    let settings = settings(target.path());
    let log = log_of(place.path(), 0..3);
    let mut first = archiver(&settings);
    first.run(&log.reader().unwrap()).unwrap();
    assert!(matches!(Archiver::open(settings.clone(), Clock::system()), Err(ArchivingError::Locked(_))));
    drop(first);
    let another = log_of(other.path(), 0..3);
    let refused = archiver(&settings).run(&another.reader().unwrap());
    assert!(matches!(refused, Err(ArchivingError::OtherLog(_))));
    fs::write(target.path().join(STATE_FILE), "{").unwrap();
    assert!(matches!(Archiver::open(settings, Clock::system()), Err(ArchivingError::State(_))));
}

#[test]
fn encrypted_archives_continue_the_chain() {
    let (place, target) = (folder(), folder());
    let now = Clock::system().now();
    let key = target.path().join("key.asc");
    let encryption = Arc::new(Encryption::open(&key, "test", now).unwrap());
    let settings = Settings { encryption: Some(encryption), ..settings(target.path()) };
    let log = log_of(place.path(), 0..10);
    let done = archiver(&settings).run(&log.reader().unwrap()).unwrap();
    assert!(!done.files.is_empty());
    for file in &done.files {
        assert!(file.to_str().unwrap().ends_with(".zip.gpg"));
        assert!(zip::ZipArchive::new(fs::File::open(file).unwrap()).is_err());
    }
    let state = fs::read_to_string(target.path().join(STATE_FILE)).unwrap();
    assert!(state.contains(".zip.gpg"), "{state}");
}
