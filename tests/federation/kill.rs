//! `kill -9` of any process at a random moment under load: no acknowledged exchange is missing from either
//! log, every log is whole, and everything starts again by itself.
//!
//! `CAUSEWAY_KILL_ROUNDS` sets the number of rounds; the test command makes a few, `tests/kits/kill.sh` 200.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use causeway::up::evidence::get;
use causeway::up::plan::NODES;
use gateway::ports::{Direction, Side};
use security_server::message_log::{Filter, Reader};

use tokio::sync::Notify;

use crate::support::{Pilot, code, persons, run};

const VICTIMS: [&str; 5] = ["ministry", "data-centre", "registry", "authority", "data-centre-system"];
const CLIENTS: usize = 8;
/// How long a server that runs again may need until exchanges pass. A busy machine needs most of it.
const RECOVERY: Duration = Duration::from_secs(15);

#[test]
fn nothing_acknowledged_is_lost() {
    let rounds: usize =
        std::env::var("CAUSEWAY_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    run(async move {
        let mut pilot = Pilot::start(16).await;
        let url = format!("http://{}/r1/{}", pilot.clients(0), persons("/079200001234"));
        let client = NODES[0].consumer_id();
        let mut acknowledged = 0;
        let mut slowest = Duration::ZERO;
        for round in 0..rounds {
            let stop = Arc::new(AtomicBool::new(false));
            let first = Arc::new(Notify::new());
            let refusal = Arc::new(Mutex::new(String::new()));
            let began = Instant::now();
            let mut load = tokio::task::JoinSet::new();
            for _ in 0..CLIENTS {
                let (url, client, stop) = (url.clone(), client.clone(), Arc::clone(&stop));
                let (first, refusal) = (Arc::clone(&first), Arc::clone(&refusal));
                load.spawn(async move {
                    let mut ids = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        match get(url.clone(), &client).await {
                            Ok(answer) if answer.status == 200 => {
                                ids.push(answer.header("x-road-id").to_owned());
                                first.notify_one();
                                continue;
                            }
                            Ok(answer) => *refusal.lock().expect("a text") = code(&answer),
                            Err(error) => *refusal.lock().expect("a text") = error.to_string(),
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    ids
                });
            }
            // Whatever was killed in the round before, exchanges go on by themselves.
            let going = tokio::time::timeout(RECOVERY, first.notified()).await;
            assert!(going.is_ok(), "round {round}: nothing passes: {}", refusal.lock().expect("a text"));
            slowest = slowest.max(began.elapsed());
            // Not random, but at a different moment of the work each time.
            let moment = 120 + (round as u64 * 7919) % 280;
            tokio::time::sleep(Duration::from_millis(moment)).await;
            let victim = VICTIMS[round % VICTIMS.len()];
            pilot.federation.kill(victim).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            stop.store(true, Ordering::Relaxed);
            let mut ids = Vec::new();
            while let Some(more) = load.join_next().await {
                ids.extend(more.expect("the client ends"));
            }
            assert!(!ids.is_empty(), "round {round}: no exchange before {victim} was killed");
            acknowledged += ids.len();
            if victim == "data-centre-system" {
                pilot.federation.start_system(1).await.expect("it starts again");
            } else {
                pilot
                    .federation
                    .start_again(victim)
                    .await
                    .unwrap_or_else(|error| panic!("{victim}: {error}"));
            }
            check(&pilot, &ids, round, victim);
        }
        assert_eq!(pilot.get(0, &persons("/079200001234")).await.status, 200);
        for node in [0, 1] {
            let reader = Reader::open(&pilot.federation.message_log(node)).expect("a log");
            let report = reader.verify(None).expect("a readable log");
            assert!(report.is_good(), "{:?}", report.problems);
        }
        println!(
            "{rounds} rounds, {acknowledged} acknowledged exchanges, none missing; the first exchange after a \
             restart took at most {} ms",
            slowest.as_millis()
        );
        pilot.federation.stop().await;
    });
}

/// Each acknowledged exchange has its request and its answer in both logs.
fn check(pilot: &Pilot, ids: &[String], round: usize, victim: &str) {
    for (node, side) in [(0, Side::Consumer), (1, Side::Provider)] {
        let reader = Reader::open(&pilot.federation.message_log(node)).expect("a log");
        for direction in [Direction::Request, Direction::Response] {
            let filter = Filter { side: Some(side), direction: Some(direction), ..Filter::default() };
            let logged: HashSet<String> = reader
                .list(filter)
                .map(|found| found.expect("a readable record").details.message_id)
                .collect();
            for id in ids {
                assert!(
                    logged.contains(id),
                    "round {round}, {victim} killed: {side:?} {direction:?} of {id} is missing"
                );
            }
        }
    }
}
