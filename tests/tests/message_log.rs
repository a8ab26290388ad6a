//! The message log as processes see it: killed writers, full disks, readers beside a writer, and a
//! reader in another language.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use security_server::message_log::{Filter, Reader};

fn writer(folder: &Path, first: u64, threads: usize) -> Child {
    Command::new(env!("CARGO_BIN_EXE_log_writer"))
        .arg(folder)
        .args([first.to_string(), threads.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the writer starts")
}

/// Lets a writer write for a while after its first record, kills it, and gives what it acknowledged.
fn write_and_kill(folder: &Path, first: u64, threads: usize, time: Duration) -> Vec<(u64, u64)> {
    let mut child = writer(folder, first, threads);
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut text = String::new();
    output.read_line(&mut text).expect("a first line");
    std::thread::sleep(time);
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    output.read_to_string(&mut text).expect("the rest");
    text.lines()
        .map(|line| {
            let (sequence, number) = line.split_once(' ').expect("two numbers");
            (sequence.parse().expect("a sequence"), number.parse().expect("a number"))
        })
        .collect()
}

#[track_caller]
fn check(folder: &Path, acknowledged: &HashMap<u64, u64>) -> u64 {
    let reader = Reader::open(folder).expect("the log opens");
    for (sequence, number) in acknowledged {
        let record = reader.show(*sequence).expect("it can be read").expect("an acknowledged record");
        assert_eq!(record.summary.details.message_id, format!("id-{number}"));
    }
    let report = reader.verify(None).expect("it can be read");
    assert!(report.is_good(), "{:?}", report.problems);
    report.size
}

#[test]
fn nothing_acknowledged_is_lost_when_the_writer_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let rounds =
        std::env::var("CAUSEWAY_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12);
    let mut acknowledged = HashMap::new();
    let mut first = 0;
    for round in 0..rounds {
        let time = Duration::from_millis(10 + (round * 37) % 190);
        for (sequence, number) in write_and_kill(folder.path(), first, 1 + round as usize % 4 * 5, time) {
            assert_eq!(acknowledged.insert(sequence, number), None, "a sequence was given twice");
            first = first.max(number + 1);
        }
        first += 100;
        check(folder.path(), &acknowledged);
    }
    let begun = Instant::now();
    drop(writer(folder.path(), first, 0).wait());
    println!("{} acknowledged records, restart in {:?}", acknowledged.len(), begun.elapsed());
    check(folder.path(), &acknowledged);
}

#[test]
fn a_reader_beside_a_writer_sees_whole_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = writer(folder.path(), 0, 8);
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let drain = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text.lines().count())
    });
    let begun = Instant::now();
    let mut last = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        let Ok(reader) = Reader::open(folder.path()) else { continue };
        let size = reader.size();
        assert!(size >= last, "the log shrank");
        last = size;
        let listed =
            reader.list(Filter::default()).collect::<Result<Vec<_>, _>>().expect("records").len() as u64;
        assert!(listed <= size);
    }
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    let printed = drain.join().expect("no panic").expect("a pipe");
    let reader = Reader::open(folder.path()).expect("the log opens");
    let messages = reader.list(Filter::default()).count();
    assert!(messages >= printed, "{messages} of {printed}");
    assert!(reader.verify(None).expect("it can be read").is_good());
}

#[test]
fn another_language_reads_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let acknowledged: HashMap<u64, u64> =
        write_and_kill(folder.path(), 0, 6, Duration::from_millis(600)).into_iter().collect();
    let size = check(folder.path(), &acknowledged);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kits/read_log.py");
    let output = match Command::new("python3").arg(&script).arg(folder.path()).output() {
        Ok(output) => output,
        Err(error) => {
            println!("SKIPPED: python3 cannot be run ({error}); the log was not read by another language");
            return;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (end, records) = lines.split_last().expect("lines");
    let root = Reader::open(folder.path()).and_then(|reader| reader.root(size)).expect("a root");
    assert_eq!(end["size"], size);
    assert_eq!(end["root"], protocol::digest::hex(&root));
    for (sequence, number) in &acknowledged {
        let record = &records[usize::try_from(*sequence).expect("small")];
        assert_eq!((&record["sequence"], &record["kind"]), (&(*sequence).into(), &"message".into()));
        assert_eq!(record["message_id"], format!("id-{number}"));
    }
    // It sees damage as well.
    let segment = folder.path().join("segment-0000000001.log");
    let mut octets = std::fs::read(&segment).expect("a segment");
    octets[5000] ^= 1;
    std::fs::write(&segment, octets).expect("written");
    let output =
        Command::new("python3").arg(&script).arg(folder.path()).output().expect("python3 ran before");
    assert!(!output.status.success());
}

/// A small file system of its own; unmounted at the end.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(kilobytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let Some(disk) = Mounted::new(3500) else {
        println!("SKIPPED: no tmpfs can be mounted here; the full disk was not tried");
        return;
    };
    let folder = disk.0.path().join("log");
    let mut child = writer(&folder, 0, 4);
    let mut text = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut text).expect("until it stops");
    let status = child.wait().expect("it ends");
    assert!(!status.success(), "the writer met the end of the disk");
    let acknowledged: HashMap<u64, u64> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(sequence, number)| (sequence.parse().expect("a sequence"), number.parse().expect("a number")))
        .collect();
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    check(&folder, &acknowledged);
    // With room again it goes on where it was.
    let options = format!("remount,size={}k", 8000);
    assert!(
        Command::new("mount").args(["-o", &options]).arg(disk.0.path()).status().is_ok_and(|s| s.success())
    );
    let more = write_and_kill(&folder, 1_000_000, 4, Duration::from_millis(20));
    let all: HashMap<u64, u64> = acknowledged.into_iter().chain(more).collect();
    check(&folder, &all);
}
