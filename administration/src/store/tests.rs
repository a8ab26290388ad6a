//! One suite for every store.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

type Open = fn(&Path) -> Box<dyn Store>;

const STORES: [(&str, Open); 2] = [
    ("sled", |folder| Box::new(SledStore::open(folder).unwrap())),
    ("journal", |folder| Box::new(JournalStore::open(folder).unwrap())),
];

fn for_each_store(check: fn(&Path, Open)) {
    for (name, open) in STORES {
        let folder = tempfile::tempdir().unwrap();
        eprintln!("store {name}");
        check(&folder.path().join("state"), open);
    }
}

#[test]
fn keeps_what_was_written() {
    for_each_store(|folder, open| {
        let store = open(folder);
        assert_eq!(store.get(b"a").unwrap(), None);
        let mut batch = Batch::default();
        batch.put("client/a", "1");
        batch.put("client/b", "2");
        batch.put("clientele", "3");
        batch.put("service/a", vec![0, 255]);
        store.write(batch).unwrap();
        let mut batch = Batch::default();
        batch.remove("client/b");
        batch.remove("never/there");
        batch.put("client/c", "4");
        store.write(batch).unwrap();
        let expected = vec![(b"client/a".to_vec(), b"1".to_vec()), (b"client/c".to_vec(), b"4".to_vec())];
        assert_eq!(store.scan(b"client/").unwrap(), expected);
        drop(store);
        let store = open(folder);
        assert_eq!(store.scan(b"client/").unwrap(), expected, "after reopening");
        assert_eq!(store.get(b"service/a").unwrap(), Some(vec![0, 255]));
        assert_eq!(store.scan(b"").unwrap().len(), 4);
    });
}

#[test]
fn opens_once() {
    let folder = tempfile::tempdir().unwrap();
    let _first = SledStore::open(folder.path()).unwrap();
    assert!(matches!(SledStore::open(folder.path()), Err(StoreError::InUse(_))));
    let folder = tempfile::tempdir().unwrap();
    let _first = JournalStore::open(folder.path()).unwrap();
    assert!(matches!(JournalStore::open(folder.path()), Err(StoreError::InUse(_))));
}

#[test]
fn a_torn_journal_record_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let put = |key: &str| {
        let mut batch = Batch::default();
        batch.put(key, "x");
        JournalStore::open(folder.path()).unwrap().write(batch).unwrap();
    };
    put("a");
    put("b");
    let file = folder.path().join("state.journal");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
    put("c");
    let store = JournalStore::open(folder.path()).unwrap();
    assert_eq!(store.scan(b"").unwrap(), [(b"a".to_vec(), b"x".to_vec()), (b"c".to_vec(), b"x".to_vec())]);
}

const CHILD_STORE: &str = "CAUSEWAY_TEST_STORE";
const CHILD_FOLDER: &str = "CAUSEWAY_TEST_FOLDER";

/// The child of [`acknowledged_batches_survive_a_kill`]; by itself it does nothing.
#[test]
fn child_that_writes_until_killed() {
    let (Ok(name), Ok(folder)) = (std::env::var(CHILD_STORE), std::env::var(CHILD_FOLDER)) else { return };
    let (_, open) = STORES.into_iter().find(|(store, _)| *store == name).unwrap();
    let store = open(Path::new(&folder));
    let start = store.scan(b"pair/").unwrap().len();
    for number in start.. {
        let mut batch = Batch::default();
        batch.put(format!("pair/{number:08}"), number.to_string());
        batch.put(format!("twin/{number:08}"), number.to_string());
        batch.put("last", number.to_string());
        store.write(batch).unwrap();
        println!("acknowledged {number}");
    }
}

#[test]
fn acknowledged_batches_survive_a_kill() {
    for (name, open) in STORES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state");
        for round in 1..=4 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "store::tests::child_that_writes_until_killed", "--nocapture"])
                .env(CHILD_STORE, name)
                .env(CHILD_FOLDER, &folder)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let acknowledged = |line: String| line.strip_prefix("acknowledged ")?.parse::<usize>().ok();
            let mut last = lines.by_ref().filter_map(acknowledged).nth(7 * round).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            last = lines.filter_map(acknowledged).last().unwrap_or(last);
            let store = open(&folder);
            let pairs = store.scan(b"pair/").unwrap();
            assert!(pairs.len() > last, "{name}, round {round}: {last} was acknowledged");
            for (number, (key, value)) in pairs.iter().enumerate() {
                assert_eq!(key, format!("pair/{number:08}").as_bytes());
                assert_eq!(value, number.to_string().as_bytes());
            }
            assert_eq!(pairs.len(), store.scan(b"twin/").unwrap().len(), "{name}: half a batch");
            assert_eq!(store.get(b"last").unwrap(), pairs.last().map(|(_, value)| value.clone()));
        }
    }
}
