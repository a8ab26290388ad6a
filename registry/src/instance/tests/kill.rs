//! An instance whose process is killed at random moments of a random life.
//!
//! A child plays the script on a store on disk and tells each step that was acknowledged. The parent
//! kills it, plays the same script on a store in memory up to the last step that it was told, and opens
//! the child's store: there is that state, or that of the one step more that was under way.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use administration::store::{SledStore, Store};
use serde_json::Value;

use super::life::{Dice, Pool, step};
use super::town::{Authority, MemoryStore, Town, open_with};
use crate::instance::record::KINDS;
use crate::instance::{Desk, Rules, SOFTWARE_TOKEN};

const FOLDER: &str = "CAUSEWAY_TEST_KILL_FOLDER";
const SEED: &str = "CAUSEWAY_TEST_KILL_SEED";
const FROM: &str = "CAUSEWAY_TEST_KILL_FROM";
const PIN: &str = "Secret1234";
/// Kills in an ordinary run; `CAUSEWAY_KILLS` asks for more.
const KILLS: u64 = 50;

impl Pool {
    fn make(folder: &Path, town: &Town) {
        for number in 0..24 {
            let certificate = town.authority.authentication(&format!("certificate {number}"));
            std::fs::write(folder.join(format!("certificate-{number}")), certificate).unwrap();
        }
        for number in 0..4 {
            let authority = Authority::new(&format!("CA {number}")).der;
            std::fs::write(folder.join(format!("authority-{number}")), authority).unwrap();
        }
    }

    fn read(folder: &Path) -> Self {
        let all = |kind: &str| {
            let file = |number: u32| std::fs::read(folder.join(format!("{kind}-{number}"))).ok();
            (0..).map_while(file).collect()
        };
        Self { certificates: all("certificate"), authorities: all("authority") }
    }
}

/// All records, but for what differs from one playing to the next: times, random ids and key material.
fn state(store: &dyn Store) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for kind in KINDS {
        for (name, value) in store.scan(kind.as_bytes()).unwrap() {
            let mut name = String::from_utf8(name).unwrap();
            let mut value: Value = serde_json::from_slice(&value).unwrap();
            let fields = value.as_object_mut().unwrap();
            for time in ["added", "changed", "registered", "created", "generated", "uploaded"] {
                fields.remove(time);
            }
            match kind {
                "key/" => {
                    let label = fields["label"].as_str().unwrap();
                    name = format!("key/{label}");
                    fields.remove("id");
                    fields.remove("certificate");
                }
                "own-anchor/" => drop(fields.remove("file")),
                _ => {}
            }
            all.insert(name, value);
        }
    }
    all
}

fn open_child(folder: &Path) -> Desk {
    open_with(Box::new(SledStore::open(&folder.join("store")).unwrap()), folder, Rules::default())
}

/// The child of [`a_killed_registry_has_what_it_acknowledged`]; by itself it does nothing.
#[test]
fn child_that_lives_until_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (folder, seed) = (Path::new(&folder), number(SEED));
    let pool = Pool::read(folder);
    let desk = open_child(folder);
    desk.login(SOFTWARE_TOKEN, PIN).unwrap();
    for number in number(FROM).. {
        // Refused or done, the step is over.
        drop(step(&desk, seed, number, &pool));
        println!("acknowledged {number}");
    }
}

#[test]
fn a_killed_registry_has_what_it_acknowledged() {
    let kills = std::env::var("CAUSEWAY_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let seed = std::env::var("CAUSEWAY_SEED").map_or(2026, |seed| seed.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The model, and a copy of it on disk for the child to go on with.
    let town = Town::new();
    Pool::make(folder, &town);
    let pool = Pool::read(folder);
    town.desk.login(SOFTWARE_TOKEN, PIN).unwrap();
    copy(&town, folder);
    let mut played = 0;
    let (mut in_flight, mut effective) = (0_u64, 0_u64);
    for kill in 1..=kills {
        let last = live_and_kill(folder, seed, played, &mut Dice::new(seed, u64::MAX - kill));
        let mut generation = town.desk.look().generation();
        while played < last {
            drop(step(&town.desk, seed, played, &pool));
            played += 1;
            let now = town.desk.look().generation();
            effective += u64::from(now > generation);
            generation = now;
        }
        let found = state(&SledStore::open(&folder.join("store")).unwrap());
        if found != state(&town.store) {
            drop(step(&town.desk, seed, played, &pool));
            played += 1;
            in_flight += 1;
            let expected = state(&town.store);
            let names = found.keys().chain(expected.keys());
            let different: Vec<_> = names.filter(|name| found.get(*name) != expected.get(*name)).collect();
            assert!(different.is_empty(), "kill {kill}, after step {played}: {different:?}");
        }
        // What is on disk can be gone on with.
        drop(open_child(folder));
    }
    eprintln!(
        "{kills} kills in {played} steps, {effective} of them effective; {in_flight} kills found a step \
         that was under way"
    );
    assert!(effective > kills, "the life was too quiet");
}

/// Plays from a step on for a while; the number of steps that are known to be over.
fn live_and_kill(folder: &Path, seed: u64, from: u64, dice: &mut Dice) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "instance::tests::kill::child_that_lives_until_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(SEED, seed.to_string())
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let number = |line: String| line.strip_prefix("acknowledged ")?.parse::<u64>().ok();
    let enough = usize::try_from(dice.roll(60)).unwrap();
    let mut last = lines.by_ref().filter_map(number).nth(enough).expect("the child lives");
    std::thread::sleep(Duration::from_micros(dice.roll(12_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    last = lines.filter_map(number).last().unwrap_or(last);
    last + 1
}

/// Writes the state of the model as a store on disk, and its token beside it.
fn copy(town: &Town, folder: &Path) {
    let store = SledStore::open(&folder.join("store")).unwrap();
    store.write(town.store.everything()).unwrap();
    copy_folder(&town.token_folder(), &folder.join("keys"));
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The copy of a store in memory says the same as the store.
#[test]
fn a_copied_store_is_the_same() {
    let town = Town::new();
    let other = MemoryStore::default();
    other.write(town.store.everything()).unwrap();
    assert_eq!(state(&other), state(&town.store));
}
