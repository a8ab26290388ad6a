//! Measurements that need no peer: streams, memory, start, restart after a crash; and the check that
//! what was measured was also right.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use security_server::message_log::{Filter, Reader};

use super::load::{Load, Request};
use super::process::{reset_peak, status_kib};
use super::report::{Floor, Report, Row};
use super::rounds::through_causeway;
use crate::up::plan::{NODES, Network};
use crate::up::{Federation, Options};

type Failure = Box<dyn std::error::Error>;

/// Bytes of a streamed body.
const STREAM: usize = 100 * 1024 * 1024;
/// Streams in each direction; the median counts.
const STREAMS: usize = 3;
/// Exchanges of the check.
const CHECKED: u64 = 400;
/// Containers of them that are verified.
const SAMPLED: u64 = 20;

fn single(goal: &'static str, what: &str, value: f64, unit: &'static str, floor: Option<Floor>) -> Row {
    Row { goal, what: what.to_owned(), value, unit, range: None, floor }
}

/// Streams, and memory under load.
///
/// # Errors
/// When an exchange fails.
pub(crate) async fn run(federation: &mut Federation, report: &mut Report) -> Result<(), Failure> {
    let pids = federation.exchange_pids();
    let peak = |field: &str| pids.iter().filter_map(|pid| status_kib(*pid, field)).max().unwrap_or(0);
    report.push(single("P13", "resident memory of a server after load", mib(peak("VmRSS")), "MiB", None));
    let service = NODES[1].test_service_id().unwrap_or_default();
    let client = NODES[0].consumer_id();
    let address = NODES[0].clients(federation.network());
    let up = {
        let mut bytes = format!(
            "POST /r1/{service}/sink HTTP/1.1\r\nHost: {address}\r\nX-Road-Client: {client}\r\nContent-Type: application/octet-stream\r\nContent-Length: {STREAM}\r\n\r\n"
        )
        .into_bytes();
        bytes.resize(bytes.len() + STREAM, b'x');
        Request { address, bytes: Arc::from(bytes), answer_length: format!("{{\"bytes\":{STREAM}}}").len() }
    };
    let down = Request {
        address,
        bytes: Arc::from(
            format!("GET /r1/{service}/bytes/{STREAM} HTTP/1.1\r\nHost: {address}\r\nX-Road-Client: {client}\r\n\r\n")
                .into_bytes(),
        ),
        answer_length: STREAM,
    };
    for (what, request) in [("100 MiB in a request", up), ("100 MiB in an answer", down)] {
        let mut load = Load::new(request, 1);
        let (mut rates, mut growths) = (Vec::new(), Vec::new());
        for _ in 0..STREAMS {
            let before = peak("VmRSS");
            pids.iter().for_each(|pid| reset_peak(*pid));
            // A slice of no length is one exchange at most; the clock stops when it is done.
            let started = Instant::now();
            let measured = load.once().await;
            if let Some(error) = measured {
                return Err(format!("{what}: {error}").into());
            }
            rates.push(STREAM as f64 / 1e6 / started.elapsed().as_secs_f64());
            growths.push(mib(peak("VmHWM").saturating_sub(before)));
        }
        report.push_rounds("P7", what, "MB/s", &rates, Some(Floor::AtLeast(120.0)));
        report.push_rounds(
            "P7",
            format!("{what}: growth of memory of the server that grew most"),
            "MiB",
            &growths,
            Some(Floor::AtMost(16.0)),
        );
    }
    Ok(())
}

/// Kills both servers of the exchange under load, starts them again, and measures until an exchange
/// works. What was acknowledged must be in the logs.
///
/// # Errors
/// When a server does not start, or acknowledged exchanges are missing.
pub(crate) async fn restart(mut federation: Federation, report: &mut Report) -> Result<Federation, Failure> {
    let request = through_causeway(&federation);
    let before = records(&federation)?;
    let load = tokio::spawn(async move { Load::new(request, 16).run(Duration::from_secs(4)).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    for node in [0, 1] {
        federation.kill(NODES[node].name).await;
    }
    let acknowledged = load.await?.answers;
    let started = Instant::now();
    let (first, second) = (NODES[0].name, NODES[1].name);
    federation.start_again(second).await?;
    federation.start_again(first).await?;
    wait_until_served(&federation).await?;
    let took = started.elapsed().as_secs_f64();
    report.push(single(
        "P20",
        "both servers killed under load: start to first exchange",
        took,
        "s",
        Some(Floor::AtMost(5.0)),
    ));
    let after = records(&federation)?;
    for (before, after) in before.iter().zip(after) {
        let logged = after.saturating_sub(*before) / 2;
        if logged < acknowledged {
            return Err(format!("{acknowledged} exchanges were acknowledged, the log has {logged}").into());
        }
    }
    report.push(single(
        "P20",
        "acknowledged exchanges missing in either log",
        0.0,
        "",
        Some(Floor::AtMost(0.0)),
    ));
    Ok(federation)
}

async fn wait_until_served(federation: &Federation) -> Result<(), Failure> {
    let until = Instant::now() + Duration::from_secs(20);
    let mut load = Load::new(through_causeway(federation), 1);
    loop {
        match load.once().await {
            None => return Ok(()),
            Some(error) if Instant::now() > until => return Err(error.into()),
            Some(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

/// Message records in the logs of the two servers.
fn records(federation: &Federation) -> Result<[u64; 2], Failure> {
    let count = |node| -> Result<u64, Failure> {
        let reader = Reader::open(&federation.message_log(node))?;
        let mut count = 0;
        for found in reader.list(Filter::default()) {
            found?;
            count += 1;
        }
        Ok(count)
    };
    Ok([count(0)?, count(1)?])
}

/// Whether the logs have exactly two records of each exchange, and a sample of containers is valid.
///
/// # Errors
/// When an exchange fails.
pub(crate) async fn check(federation: &Federation, report: &mut Report) -> Result<bool, Failure> {
    let before = records(federation)?;
    let mut load = Load::new(through_causeway(federation), 8);
    let mut done = 0;
    while done < CHECKED {
        let measured = load.run(Duration::from_millis(100)).await;
        if let Some(error) = measured.first_error {
            return Err(error.into());
        }
        done += measured.answers;
    }
    let after = records(federation)?;
    let exact = before.iter().zip(&after).all(|(before, after)| after - before == 2 * done);
    if !exact {
        eprintln!("{done} exchanges, but the logs grew from {before:?} to {after:?}");
    }
    let valid = crate::up::evidence::sample(federation, SAMPLED).await?;
    report.push(single(
        "–",
        "containers of a sample that verify",
        valid as f64,
        "",
        Some(Floor::AtLeast(SAMPLED as f64)),
    ));
    Ok(exact && valid == SAMPLED)
}

/// An instance of 1,000 members: idle memory, and the time from starting a server to its first exchange.
///
/// # Errors
/// When it does not start.
pub(crate) async fn large_instance(folder: &Path, report: &mut Report) -> Result<(), Failure> {
    let mut options = Options::new(folder.join("large"), Network::BENCH);
    options.more_members = 1000;
    let mut federation = Federation::start(&options).await?;
    wait_until_served(&federation).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = federation.exchange_pids().iter().filter_map(|pid| status_kib(*pid, "VmRSS")).max();
    let floor = Some(Floor::AtMost(40.0));
    report.push(single(
        "P13",
        "resident memory of a server, idle, 1,000 members",
        mib(idle.unwrap_or(0)),
        "MiB",
        floor,
    ));
    let mut times = Vec::new();
    for _ in 0..5 {
        federation.stop_one(NODES[0].name).await;
        let started = Instant::now();
        federation.start_again(NODES[0].name).await?;
        wait_until_served(&federation).await?;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    report.push_rounds(
        "P14",
        "start of a server to its first exchange, 1,000 members",
        "ms",
        &times,
        Some(Floor::AtMost(100.0)),
    );
    federation.stop().await;
    Ok(())
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
