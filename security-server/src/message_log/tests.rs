//! Tests of the whole log.

use bytes::Bytes;
use gateway::ports::{Direction, LoggedBody, Side, Signed};
use protocol::digest::DigestAlgorithm;
use protocol::id::{ClientId, ServiceId};
use protocol::time::UtcTime;
use protocol::transport::MessageType;

use super::*;

mod cleaning;
mod failures;
mod ids;
mod stamps;

pub(crate) use stamps::Service;

/// A folder in memory if there is one: what these tests ask of the disk does not need a real one.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Runs a future on a runtime of this thread.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A message with this number; a batch signature covers every four of them.
pub(crate) fn entry(number: u64) -> LogEntry {
    let service = ServiceId::parse_encoded("XX/GOV/1/provider/people").unwrap();
    LogEntry {
        time: UtcTime::from_millis(1_000_000 + number as i64),
        side: if number.is_multiple_of(2) { Side::Consumer } else { Side::Provider },
        direction: if number.is_multiple_of(3) { Direction::Response } else { Direction::Request },
        client: ClientId::parse_encoded(&format!("XX/COM/{}/app", number % 5)).unwrap(),
        service,
        protocol: MessageType::Rest,
        message_id: format!("id-{number}"),
        request_id: format!("request-{number}"),
        message: format!("GET\r\n/r1/XX/GOV/1/provider/people?{number}\r\nx-road-id:id-{number}\r\n").into(),
        attachments: if number.is_multiple_of(7) {
            Vec::new()
        } else {
            vec![LoggedBody::Memory(body(number))]
        },
        signed: Signed {
            document: format!("<signature number='{}'/>", number / 4).into(),
            hash_chain_result: Some(format!("<result number='{}'/>", number / 4).into()),
            hash_chain: Some(format!("<chain number='{number}'/>").into()),
        },
    }
}

pub(super) fn body(number: u64) -> Bytes {
    vec![number as u8; 100 + (number % 50) as usize].into()
}

pub(crate) fn settings(folder: &std::path::Path) -> Settings {
    Settings { segment_size: 64 << 10, free_space_floor: 0, ..Settings::new(folder) }
}

pub(crate) fn open(folder: &std::path::Path) -> MessageLog {
    MessageLog::open(settings(folder), Clock::system(), Arc::new(Service::default())).unwrap()
}

#[track_caller]
pub(super) fn check_record(reader: &Reader, sequence: u64, number: u64) {
    let record = reader.show(sequence).unwrap().expect("a record");
    let expected = entry(number);
    let details = &record.summary.details;
    assert_eq!((record.summary.sequence, record.summary.time), (sequence, expected.time));
    assert_eq!((details.side, details.direction), (expected.side, expected.direction));
    assert_eq!((&details.client, &details.service), (&expected.client, &expected.service));
    assert_eq!((&details.message_id, &details.request_id), (&expected.message_id, &expected.request_id));
    assert_eq!(record.message, expected.message);
    assert_eq!(record.signature, expected.signed.document);
    assert_eq!(record.hash_chain_result, expected.signed.hash_chain_result);
    assert_eq!(record.hash_chain, expected.signed.hash_chain);
    match (record.attachments().unwrap().as_slice(), expected.attachments.as_slice()) {
        ([], []) => {}
        ([AttachmentReader::Memory(found)], [LoggedBody::Memory(expected)]) => assert_eq!(found, expected),
        _ => panic!("other body"),
    }
}

#[test]
fn what_is_written_is_read() {
    let folder = folder();
    let mut next = 0;
    for _ in 0..3 {
        let log = open(folder.path());
        for _ in 0..400 {
            assert_eq!(wait(log.write(entry(next))).unwrap(), LogPosition(next));
            next += 1;
        }
        let inside = log.reader().unwrap();
        let outside = Reader::open(folder.path()).unwrap();
        for reader in [&inside, &outside] {
            assert_eq!(reader.size(), next);
            for number in 0..next {
                check_record(reader, number, number);
            }
            assert_eq!(reader.show(next).unwrap().map(|record| record.summary), None);
        }
        assert!(outside.checkpoints().count() > 3, "segments were sealed");
    }
}

/// Numbers of the messages a filter lists, with the filter applied by hand beside it.
#[track_caller]
fn check_list(reader: &Reader, filter: Filter, matches: impl Fn(&LogEntry) -> bool) {
    let found: Vec<u64> = reader.list(filter.clone()).map(|summary| summary.unwrap().sequence).collect();
    let expected: Vec<u64> = (0..reader.size()).filter(|number| matches(&entry(*number))).collect();
    assert_eq!(found, expected, "{filter:?}");
}

#[test]
fn lists() {
    let folder = folder();
    let log = open(folder.path());
    for number in 0..1500 {
        wait(log.write(entry(number))).unwrap();
    }
    let client = ClientId::parse_encoded("XX/COM/3/app").unwrap();
    let other = ClientId::parse_encoded("XX/COM/9/app").unwrap();
    let service = entry(0).service;
    let (from, until) = (UtcTime::from_millis(1_000_100), UtcTime::from_millis(1_000_900));
    let none = Filter::default();
    for reader in [log.reader().unwrap(), Reader::open(folder.path()).unwrap()] {
        check_list(&reader, none.clone(), |_| true);
        check_list(&reader, Filter { client: Some(client.clone()), ..none.clone() }, |entry| {
            entry.client == client
        });
        check_list(&reader, Filter { client: Some(other.clone()), ..none.clone() }, |_| false);
        check_list(&reader, Filter { provider: Some(service.provider().clone()), ..none.clone() }, |_| true);
        check_list(&reader, Filter { provider: Some(client.clone()), ..none.clone() }, |_| false);
        check_list(&reader, Filter { service: Some(service.clone()), ..none.clone() }, |_| true);
        check_list(&reader, Filter { from: Some(from), until: Some(until), ..none.clone() }, |entry| {
            (from..until).contains(&entry.time)
        });
        check_list(&reader, Filter { direction: Some(Direction::Response), ..none.clone() }, |entry| {
            entry.direction == Direction::Response
        });
        let both = Filter { side: Some(Side::Provider), client: Some(client.clone()), ..none.clone() };
        check_list(&reader, both, |entry| entry.side == Side::Provider && entry.client == client);
        for id in ["id-0", "id-777", "id-1499", "id-1500"] {
            let filter = Filter { message_id: Some(id.into()), ..none.clone() };
            check_list(&reader, filter, |entry| entry.message_id == id);
        }
    }
}

#[test]
fn proofs_over_sealed_and_open_segments() {
    let folder = folder();
    let pkcs8 = ring::signature::Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Arc::new(LogKey::from_pkcs8("example.org/log", pkcs8.as_ref()).unwrap());
    let settings = Settings {
        key: Some(Arc::clone(&key)),
        origin: Some("example.org/log".into()),
        ..settings(folder.path())
    };
    let log = MessageLog::open(settings, Clock::system(), Arc::new(Service::default())).unwrap();
    for number in 0..700 {
        wait(log.write(entry(number))).unwrap();
    }
    let reader = Reader::open(folder.path()).unwrap();
    let last = reader.checkpoint("example.org/log").unwrap();
    assert_eq!(last.size, 700);
    for index in [0, 1, 255, 256, 511, 512, 600, 699] {
        let (leaf, proof) = reader.inclusion_proof(index, 700).unwrap().expect("it is in the log");
        assert!(merkle::verify_inclusion(&leaf, index, 700, &proof, &last.root), "{index}");
    }
    assert_eq!(reader.inclusion_proof(700, 700).unwrap(), None);
    let notes: Vec<String> = reader.checkpoints().map(Result::unwrap).collect();
    assert!(notes.len() > 3);
    for note in notes {
        let old = Checkpoint::verify(&note, key.name(), key.public_key()).unwrap();
        let proof = reader.consistency_proof(old.size, 700).unwrap().expect("an older log");
        assert!(merkle::verify_consistency(old.size, &old.root, 700, &last.root, &proof), "{}", old.size);
    }
    assert!(reader.verify(Some((key.name(), key.public_key()))).unwrap().is_good());
    assert!(!reader.verify(Some(("other", key.public_key()))).unwrap().is_good());
    // The files of the tree are computed again when they are gone.
    drop(log);
    std::fs::remove_dir_all(folder.path().join("tree")).unwrap();
    let log = open(folder.path());
    assert_eq!(log.reader().unwrap().root(700).unwrap(), last.root);
}

#[test]
fn large_bodies() {
    let folder = folder();
    let open = |oversize| {
        let bodies = BodySettings { limit: 300_000, oversize, ..BodySettings::default() };
        let settings = Settings { inline_body_limit: 1000, bodies, ..settings(folder.path()) };
        MessageLog::open(settings, Clock::system(), Arc::new(Service::default())).unwrap()
    };
    let octets = |length: usize| (0..length).map(|at| (at * 7 % 251) as u8).collect::<Vec<u8>>();
    let spooled = |length: usize| {
        use std::io::Write as _;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&octets(length)).unwrap();
        LoggedBody::File { file: Arc::new(file), at: 0, length: length as u64 }
    };
    for (sequence, (oversize, body, length, form, kept)) in (0..).zip([
        (Oversize::Refuse, spooled(10), 10, BodyForm::Inline, 10),
        (Oversize::Refuse, spooled(1000), 1000, BodyForm::Inline, 1000),
        (Oversize::Refuse, spooled(300_000), 300_000, BodyForm::OwnFile, 300_000),
        (Oversize::Refuse, LoggedBody::Memory(octets(2000).into()), 2000, BodyForm::OwnFile, 2000),
        (Oversize::Truncate, spooled(300_001), 300_001, BodyForm::OwnFile, 300_000),
        (Oversize::DigestOnly, spooled(300_001), 300_001, BodyForm::DigestOnly, 0),
        (Oversize::DigestOnly, LoggedBody::Memory(octets(300_001).into()), 300_001, BodyForm::DigestOnly, 0),
    ]) {
        let log = open(oversize);
        let mut entry = entry(1);
        entry.attachments = vec![body];
        assert_eq!(wait(log.write(entry)).unwrap(), LogPosition(sequence));
        let record = log.reader().unwrap().show(sequence).unwrap().expect("a record");
        let details = &record.summary.details;
        assert_eq!((details.body, details.body_length), (form, length as u64));
        assert_eq!(details.truncated, kept != 0 && kept != length);
        let digest = (form == BodyForm::DigestOnly).then(|| record::sha512(&octets(length)));
        assert_eq!(details.body_digest, digest);
        assert_eq!(octets_of(&record).concat(), octets(length)[..kept]);
    }
    let log = open(Oversize::Refuse);
    let mut entry = entry(1);
    entry.attachments = vec![spooled(300_001)];
    assert!(matches!(wait(log.write(entry.clone())), Err(LogError::Unavailable(_))));
    // A body that the data plane did not keep, because nobody would have wanted it.
    let digest = DigestAlgorithm::Sha512.digest(b"large");
    entry.attachments = vec![LoggedBody::DigestOnly { length: 300_001, digest }];
    assert!(matches!(wait(log.write(entry)), Err(LogError::Unavailable(_))));
    assert!(log.reader().unwrap().verify(None).unwrap().is_good());
}

/// The octets of each attachment; of one that was not kept, none.
pub(super) fn octets_of(record: &StoredRecord) -> Vec<Vec<u8>> {
    let read = |reader| match reader {
        AttachmentReader::Absent => Vec::new(),
        AttachmentReader::Memory(bytes) => bytes.to_vec(),
        AttachmentReader::File(file) => std::io::Read::bytes(file).map(Result::unwrap).collect(),
    };
    record.attachments().unwrap().into_iter().map(read).collect()
}

/// Several attachments in one record: together in the record or in a file, each with its own end.
#[test]
fn several_attachments() {
    let folder = folder();
    let open = |oversize| {
        let bodies = BodySettings { limit: 1000, oversize, ..BodySettings::default() };
        let settings = Settings { inline_body_limit: 1000, bodies, ..settings(folder.path()) };
        MessageLog::open(settings, Clock::system(), Arc::new(Service::default())).unwrap()
    };
    let octets = |place: usize, length: usize| vec![place as u8 + 1; length];
    let mut sequence = 0;
    let mut check = |oversize, lengths: &[usize], form, kept: &[usize], truncated| {
        let log = open(oversize);
        let mut entry = entry(1);
        let parts = lengths.iter().enumerate().map(|(place, length)| octets(place, *length));
        entry.attachments = parts.map(|octets| LoggedBody::Memory(octets.into())).collect();
        assert_eq!(wait(log.write(entry)).unwrap(), LogPosition(sequence));
        let record = log.reader().unwrap().show(sequence).unwrap().expect("a record");
        let details = &record.summary.details;
        assert_eq!((details.body, details.truncated), (form, truncated), "{lengths:?}");
        assert_eq!(details.body_length, lengths.iter().sum::<usize>() as u64);
        let sent: Vec<u64> = lengths.iter().map(|length| *length as u64).collect();
        let told: Vec<u64> = details.attachments.iter().map(|attachment| attachment.length).collect();
        assert_eq!(told, sent);
        for (place, attachment) in details.attachments.iter().enumerate() {
            let whole = record::sha512(&octets(place, lengths[place]));
            let dropped = oversize == Oversize::DigestOnly && lengths[place] > 1000;
            assert_eq!(attachment.digest, dropped.then_some(whole), "{lengths:?} {place}");
        }
        let expected: Vec<Vec<u8>> =
            kept.iter().enumerate().map(|(place, length)| octets(place, *length)).collect();
        assert_eq!(octets_of(&record), expected, "{lengths:?}");
        sequence += 1;
    };
    use Oversize::{DigestOnly, Truncate};
    check(DigestOnly, &[10, 0, 500], BodyForm::Inline, &[10, 0, 500], false);
    check(DigestOnly, &[900, 800, 700], BodyForm::OwnFile, &[900, 800, 700], false);
    check(DigestOnly, &[2000, 20], BodyForm::Inline, &[0, 20], false);
    check(DigestOnly, &[20, 2000], BodyForm::Inline, &[20], false);
    check(DigestOnly, &[2000, 2000], BodyForm::DigestOnly, &[], false);
    check(Truncate, &[2000, 20], BodyForm::OwnFile, &[1000, 20], true);
    check(Truncate, &[0, 0], BodyForm::Inline, &[0, 0], false);
    assert!(open(DigestOnly).reader().unwrap().verify(None).unwrap().is_good());
}

#[test]
fn many_runtimes_share_the_committer() {
    let folder = folder();
    let log = Arc::new(open(folder.path()));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                wait(async {
                    let mut positions = Vec::new();
                    for number in 0..50 {
                        positions.push((
                            log.write(entry(thread * 50 + number)).await.unwrap().0,
                            thread * 50 + number,
                        ));
                    }
                    positions
                })
            })
        })
        .collect();
    let mut positions: Vec<(u64, u64)> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    positions.sort_unstable();
    let reader = log.reader().unwrap();
    for (place, (sequence, number)) in positions.into_iter().enumerate() {
        assert_eq!(place as u64, sequence, "no gap and nothing twice");
        check_record(&reader, sequence, number);
    }
    assert!(reader.verify(None).unwrap().is_good());
}

#[test]
fn bodies_switched_off() {
    let folder = folder();
    let bodies = BodySettings { logging: false, ..BodySettings::default() };
    let settings = Settings { bodies, ..settings(folder.path()) };
    let log = MessageLog::open(settings, Clock::system(), Arc::new(Service::default())).unwrap();
    wait(log.write(entry(1))).unwrap();
    let record = log.reader().unwrap().show(0).unwrap().expect("a record");
    assert_eq!(record.message, "GET\r\n/r1/XX/GOV/1/provider/people\r\nx-road-id:id-1\r\n");
    assert!(record.summary.details.reduced && record.attachments().unwrap().is_empty());
    assert_eq!(record.summary.details.body, BodyForm::SwitchedOff);
}
