//! Tests of the whole log.

use bytes::Bytes;
use gateway::ports::{Direction, Side, Signed};
use protocol::id::{ClientId, ServiceId};
use protocol::time::UtcTime;

use super::*;

mod failures;
mod stamps;

pub(super) use stamps::Service;

/// A folder in memory if there is one: what these tests ask of the disk does not need a real one.
pub(super) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Runs a future on a runtime of this thread.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A message with this number; a batch signature covers every four of them.
pub(super) fn entry(number: u64) -> LogEntry {
    let service = ServiceId::parse_encoded("XX/GOV/1/provider/people").unwrap();
    LogEntry {
        time: UtcTime::from_millis(1_000_000 + number as i64),
        side: if number.is_multiple_of(2) { Side::Consumer } else { Side::Provider },
        direction: if number % 3 == 0 { Direction::Response } else { Direction::Request },
        client: ClientId::parse_encoded(&format!("XX/COM/{}/app", number % 5)).unwrap(),
        service,
        message_id: format!("id-{number}"),
        request_id: format!("request-{number}"),
        message: format!("GET\r\n/r1/XX/GOV/1/provider/people?{number}\r\nx-road-id:id-{number}\r\n").into(),
        body: if number % 7 == 0 { LoggedBody::None } else { LoggedBody::Memory(body(number)) },
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

pub(super) fn settings(folder: &std::path::Path) -> Settings {
    Settings { segment_size: 64 << 10, free_space_floor: 0, ..Settings::new(folder) }
}

pub(super) fn open(folder: &std::path::Path) -> MessageLog {
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
    match (record.body().unwrap(), expected.body) {
        (None, LoggedBody::None) => {}
        (Some(reader::BodyReader::Memory(found)), LoggedBody::Memory(expected)) => {
            assert_eq!(found, expected)
        }
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
