//! Tests of removing old segments.

use gateway::ports::MessageLog as _;

use super::*;

#[test]
fn old_archived_segments_go_and_the_rest_stays_whole() {
    let folder = folder();
    let settings = Settings { inline_body_limit: 50, segment_size: 24 << 10, ..settings(folder.path()) };
    let open = || MessageLog::open(settings.clone(), Clock::system(), Arc::new(Service::default())).unwrap();
    let mut log = open();
    for number in 0..100 {
        wait(log.append(entry(number), false)).unwrap();
    }
    let bodies = || std::fs::read_dir(folder.path().join("bodies")).unwrap().count();
    let segments = || segment::segment_numbers(folder.path()).unwrap();
    let late = UtcTime::from_millis(i64::MAX);
    let never = UtcTime::from_millis(0);
    // Nothing is time-stamped; then nothing is archived; then nothing is old.
    assert_eq!(log.clean(late, u64::MAX).unwrap(), Cleaned::default());
    while wait(log.timestamp_waiting()).unwrap() > 0 {}
    let (all, all_bodies) = (segments(), bodies());
    assert!(all.len() > 4, "{all:?}");
    assert_eq!(log.clean(late, 0).unwrap(), Cleaned::default());
    assert_eq!(log.clean(never, u64::MAX).unwrap(), Cleaned::default());
    assert_eq!(segments(), all);

    let root = log.reader().unwrap().root(log.reader().unwrap().size()).unwrap();
    // The third segment is in part younger than the limit.
    let third = log.reader().unwrap().segment(all[2]).unwrap();
    let limit = UtcTime::from_millis(third.times().0);
    let cleaned = log.clean(limit, u64::MAX).unwrap();
    assert_eq!((cleaned.segments, cleaned.records), (2, third.first_sequence()));
    assert_eq!(segments(), all[2..]);
    assert!(bodies() < all_bodies && bodies() > 0);
    // By sequence: the fourth has a record that is not archived.
    let fourth = log.reader().unwrap().segment(all[3]).unwrap();
    let cleaned = log.clean(late, fourth.first_sequence() + 1).unwrap();
    assert_eq!(cleaned.segments, 1);

    for round in 0..2 {
        let reader = log.reader().unwrap();
        let first = reader.first_sequence().unwrap();
        assert_eq!(first, fourth.first_sequence());
        assert_eq!(reader.root(reader.size()).unwrap(), root, "round {round}");
        let report = reader.verify(None).unwrap();
        assert!(report.is_good(), "{:?}", report.problems);
        assert!(reader.show(first - 1).unwrap().is_none());
        assert_eq!(reader.list(Filter::default()).count() as u64, 100 - first);
        assert!(reader.export(first, std::io::Cursor::new(Vec::new())).is_ok());
        drop(log);
        log = open();
    }
    // The last segment stays, whatever is asked.
    log.clean(late, u64::MAX).unwrap();
    assert_eq!(segments(), all[all.len() - 1..]);
    wait(log.append(entry(100), false)).unwrap();
    assert!(log.reader().unwrap().verify(None).unwrap().is_good());
}
