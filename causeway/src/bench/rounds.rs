//! Paired loads: a slice through Causeway, a slice through nginx, and again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::load::{Load, Measured, Request};
use super::nginx::{self, Chain};
use super::process::cpu_nanos;
use super::report::{Floor, Report};
use crate::up::Federation;
use crate::up::plan::{NODES, Network};

/// Body of the standard exchange: 1 KB there, 1 KB back.
const BODY: usize = 1024;
/// Loaded before the clock starts, so that connections and caches are warm.
const WARM: Duration = Duration::from_millis(1500);

/// A chain under load, with every process that takes part besides this one.
struct Subject {
    load: Load,
    pids: Vec<u32>,
}

/// One slice of one chain.
struct Slice {
    measured: Measured,
    /// Processor time for each exchange over all processes, the client included, in microseconds.
    cpu_micros: f64,
}

/// Runs all paired loads.
///
/// # Errors
/// When a chain cannot be started or answers wrongly.
pub(crate) async fn run(
    federation: &mut Federation,
    folder: &Path,
    rounds: usize,
    slice: Duration,
    report: &mut Report,
) -> Result<(), Box<dyn std::error::Error>> {
    let system = NODES[1].system(Network::BENCH);
    let chain = if nginx::is_installed() {
        let entry = SocketAddr::from(([127, 0, 2, 31], 8080));
        let between = SocketAddr::from(([127, 0, 2, 32], 5500));
        let chain = Chain::start(&folder.join("nginx"), entry, between, system)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        Some((chain, entry))
    } else {
        None
    };
    let ours = federation.exchange_pids();
    let system_pid = federation.system_pid(1);
    for (goal, clients, floor) in
        [("P1", 64, Some(0.22)), ("P2", 256, Some(0.30)), ("P2", 16, Some(0.15)), ("–", 1, None)]
    {
        let rounds = if clients == 64 { rounds } else { rounds.div_ceil(2) };
        eprintln!("{clients} clients, 1 KB each way, {rounds} rounds");
        let mut causeway = Subject {
            load: Load::new(through_causeway(federation), clients),
            pids: ours.iter().copied().chain(system_pid).collect(),
        };
        let mut peer = chain.as_ref().map(|(chain, entry)| Subject {
            load: Load::new(post(*entry, "/echo", ""), clients),
            pids: chain.pids().into_iter().chain(system_pid).collect(),
        });
        let mut direct = Load::new(post(system, "/echo", ""), clients);
        causeway.load.run(WARM).await;
        if let Some(peer) = &mut peer {
            peer.load.run(WARM).await;
        }
        let mut figures = Figures::default();
        for _ in 0..rounds {
            let one = slice_of(&mut causeway, slice).await?;
            if clients == 1 {
                let plain = direct.run(slice / 2).await;
                figures.added_p50.push(one.measured.latency(0.5) - plain.latency(0.5));
                figures.added_p99.push(one.measured.latency(0.99) - plain.latency(0.99));
            }
            if let Some(peer) = &mut peer {
                let two = slice_of(peer, slice).await?;
                figures.ratio.push(one.measured.rate() / two.measured.rate());
                figures.cpu_ratio.push(one.cpu_micros / two.cpu_micros);
                figures.peer_rate.push(two.measured.rate());
            }
            figures.rate.push(one.measured.rate());
            figures.cpu.push(one.cpu_micros);
            figures.p50.push(one.measured.latency(0.5));
            figures.p99.push(one.measured.latency(0.99));
        }
        figures.into_report(goal, clients, floor, report);
    }
    Ok(())
}

#[derive(Default)]
struct Figures {
    ratio: Vec<f64>,
    cpu_ratio: Vec<f64>,
    rate: Vec<f64>,
    peer_rate: Vec<f64>,
    cpu: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    added_p50: Vec<f64>,
    added_p99: Vec<f64>,
}

impl Figures {
    fn into_report(self, goal: &'static str, clients: usize, floor: Option<f64>, report: &mut Report) {
        let name = |what: &str| format!("{what}, {clients} clients, 1 KB");
        if !self.ratio.is_empty() {
            let floor = floor.map(Floor::AtLeast);
            report.push_rounds(goal, name("exchanges/s as a share of nginx"), "", &self.ratio, floor);
            let floor = (clients == 64).then_some(Floor::AtMost(3.4));
            report.push_rounds(
                "P4",
                name("CPU per exchange as a multiple of nginx"),
                "",
                &self.cpu_ratio,
                floor,
            );
            report.push_rounds("–", name("nginx chain"), "/s", &self.peer_rate, None);
        }
        report.push_rounds("–", name("exchanges"), "/s", &self.rate, None);
        report.push_rounds("–", name("CPU per exchange, all processes"), "µs", &self.cpu, None);
        report.push_rounds("–", name("latency p50"), "ms", &self.p50, None);
        report.push_rounds("–", name("latency p99"), "ms", &self.p99, None);
        if !self.added_p50.is_empty() {
            let floor = |most| Some(Floor::AtMost(most));
            report.push_rounds(
                "P10",
                "latency added over a direct call, p50, 1 client",
                "ms",
                &self.added_p50,
                floor(1.3),
            );
            report.push_rounds(
                "P10",
                "latency added over a direct call, p99, 1 client",
                "ms",
                &self.added_p99,
                floor(3.0),
            );
        }
    }
}

async fn slice_of(subject: &mut Subject, span: Duration) -> Result<Slice, Box<dyn std::error::Error>> {
    let own = std::process::id();
    let spent = |pids: &[u32]| pids.iter().chain([&own]).map(|pid| cpu_nanos(*pid)).sum::<u64>();
    let before = spent(&subject.pids);
    let measured = subject.load.run(span).await;
    let nanos = spent(&subject.pids).saturating_sub(before);
    if measured.errors > 0 || measured.answers == 0 {
        let why = measured.first_error.unwrap_or_else(|| "no answers".to_owned());
        return Err(format!("{} of {} exchanges failed: {why}", measured.errors, measured.answers).into());
    }
    let cpu_micros = nanos as f64 / 1000.0 / measured.answers as f64;
    Ok(Slice { measured, cpu_micros })
}

/// The standard exchange through both security servers: the ministry calls the data centre.
pub(crate) fn through_causeway(federation: &Federation) -> Request {
    let service = NODES[1].test_service_id().unwrap_or_default();
    let client = format!("X-Road-Client: {}\r\n", NODES[0].consumer_id());
    post(NODES[0].clients(federation.network()), &format!("/r1/{service}/echo"), &client)
}

fn post(address: SocketAddr, path: &str, headers: &str) -> Request {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Type: application/octet-stream\r\nContent-Length: {BODY}\r\n\r\n"
    )
    .into_bytes();
    bytes.resize(bytes.len() + BODY, b'x');
    Request { address, bytes: Arc::from(bytes), answer_length: BODY }
}
