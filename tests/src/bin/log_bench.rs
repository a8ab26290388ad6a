//! Durable appends a second of the message log, beside the disk's own limit in the same run.
//!
//! Prints one JSON object. `log_bench [folder] [seconds] [waiters] [threads]`; defaults: a temporary
//! folder, 3, 64, 2. Repeat it with `cargo run --release -p causeway-tests --bin log_bench`.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway::clock::Clock;
use gateway::ports::{BoxFuture, Direction, LogEntry, LoggedBody, MessageLog as _, Side, Signed};
use protocol::digest::Digest;
use protocol::id::{ClientId, ServiceId};
use protocol::transport::MessageType;
use security_server::message_log::{MessageLog, Settings, TimestampError, Timestamper};

/// Octets of a record: signature, message and body.
const SIGNATURE: usize = 7600;
const MESSAGE: usize = 400;
const BODY: usize = 4000;

struct Never;

impl Timestamper for Never {
    fn is_configured(&self) -> bool {
        true
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn timestamp(&self, _: Digest) -> BoxFuture<'_, Result<Bytes, TimestampError>> {
        Box::pin(std::future::ready(Err(TimestampError("not in a benchmark".into()))))
    }
}

/// Octets that do not repeat.
fn noise(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn entry(number: u64, document: Bytes) -> Option<LogEntry> {
    Some(LogEntry {
        time: Clock::system().now(),
        side: Side::Provider,
        direction: Direction::Request,
        client: ClientId::parse_encoded("XX/COM/1/client").ok()?,
        service: ServiceId::parse_encoded("XX/GOV/1/provider/people").ok()?,
        protocol: MessageType::Rest,
        message_id: format!("message-{number}"),
        request_id: format!("request-{number}"),
        message: noise(MESSAGE, 1),
        attachments: vec![LoggedBody::Memory(noise(BODY, 2))],
        signed: Signed { document, hash_chain_result: None, hash_chain: None },
    })
}

#[derive(serde::Serialize)]
struct Row {
    name: &'static str,
    waiters: usize,
    records_per_second: f64,
    p50_microseconds: f64,
    p99_microseconds: f64,
    cpu_microseconds_per_record: f64,
}

/// CPU time of the process in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
    // User and system time, in hundredths of a second on Linux.
    (fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0)) / 100.0
}

fn row(name: &'static str, waiters: usize, mut times: Vec<u64>, elapsed: Duration, cpu: f64) -> Row {
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place.min(times.len().saturating_sub(1))).map_or(0.0, |nanos| *nanos as f64 / 1000.0)
    };
    Row {
        name,
        waiters,
        records_per_second: times.len() as f64 / elapsed.as_secs_f64(),
        p50_microseconds: at(0.5),
        p99_microseconds: at(0.99),
        cpu_microseconds_per_record: cpu * 1e6 / times.len().max(1) as f64,
    }
}

/// The disk alone: `group` records in one write and one fdatasync, into reserved room.
fn raw(folder: &Path, name: &'static str, group: usize, seconds: u64) -> std::io::Result<Row> {
    let path = folder.join("raw");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    let octets = noise(group * (SIGNATURE + MESSAGE + BODY), 3);
    let size = 64 << 20;
    let zeros = vec![0; 1 << 20];
    for piece in 0..64 {
        file.write_all_at(&zeros, piece << 20)?;
    }
    file.sync_all()?;
    let (start, before) = (Instant::now(), cpu());
    let (mut times, mut at) = (Vec::new(), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let begun = Instant::now();
        file.write_all_at(&octets, at)?;
        file.sync_data()?;
        times.extend(std::iter::repeat_n(begun.elapsed().as_nanos() as u64, group));
        at += octets.len() as u64;
        if at + octets.len() as u64 > size {
            at = 0;
        }
    }
    let result = row(name, group, times, start.elapsed(), cpu() - before);
    std::fs::remove_file(path)?;
    Ok(result)
}

/// The log. `share` messages have one signature document.
fn log(
    folder: &Path,
    name: &'static str,
    (waiters, threads): (usize, usize),
    share: u64,
    seconds: u64,
) -> Result<Row, Box<dyn std::error::Error>> {
    let folder = folder.join(format!("log-{share}-{waiters}"));
    let log = Arc::new(MessageLog::open(Settings::new(&folder), Clock::system(), Arc::new(Never))?);
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let documents: Arc<Vec<Bytes>> = Arc::new((0..512).map(|seed| noise(SIGNATURE, seed + 10)).collect());
    let (start, before) = (Instant::now(), cpu());
    let mut workers = Vec::new();
    for thread in 0..threads {
        let (log, stop, next) = (Arc::clone(&log), Arc::clone(&stop), Arc::clone(&next));
        let documents = Arc::clone(&documents);
        let tasks = waiters / threads + usize::from(thread < waiters % threads);
        workers.push(std::thread::spawn(move || -> Result<Vec<u64>, String> {
            let runtime =
                tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
            let set = tokio::task::LocalSet::new();
            let handles: Vec<_> = (0..tasks)
                .map(|_| {
                    let (log, stop, next, documents) =
                        (Arc::clone(&log), Arc::clone(&stop), Arc::clone(&next), Arc::clone(&documents));
                    let mut prototype = entry(0, Bytes::new());
                    set.spawn_local(async move {
                        let mut times = Vec::new();
                        let mut entry = prototype.take().ok_or("no entry")?;
                        while !stop.load(Ordering::Relaxed) {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            entry.message_id = format!("message-{number}");
                            entry.signed.document = if share > 1 {
                                let place = (number / share) as usize % documents.len();
                                documents.get(place).cloned().unwrap_or_default()
                            } else {
                                // A document of its own, as when nothing can be shared.
                                let mut own = documents.first().map_or_else(Vec::new, |own| own.to_vec());
                                own.splice(..8, number.to_le_bytes());
                                own.into()
                            };
                            let begun = Instant::now();
                            log.append(entry.clone(), false).await.map_err(|error| error.to_string())?;
                            times.push(begun.elapsed().as_nanos() as u64);
                        }
                        Ok::<_, String>(times)
                    })
                })
                .collect();
            set.block_on(&runtime, async {
                let mut all = Vec::new();
                for handle in handles {
                    all.extend(handle.await.map_err(|error| error.to_string())??);
                }
                Ok(all)
            })
        }));
    }
    std::thread::sleep(Duration::from_secs(seconds));
    stop.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    for worker in workers {
        times.extend(worker.join().map_err(|_| "a worker panicked")??);
    }
    let result = row(name, waiters, times, start.elapsed(), cpu() - before);
    drop(log);
    let begun = Instant::now();
    drop(MessageLog::open(Settings::new(&folder), Clock::system(), Arc::new(Never))?);
    eprintln!("{name}: reopened in {:?}", begun.elapsed());
    std::fs::remove_dir_all(&folder)?;
    Ok(result)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |place: usize, default: usize| {
        arguments.get(place).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let own = tempfile::tempdir()?;
    let folder = arguments.get(1).map_or(own.path(), Path::new).join("bench");
    std::fs::create_dir_all(&folder)?;
    let (seconds, waiters, threads) = (number(2, 3) as u64, number(3, 64), number(4, 2).max(1));
    let rows = [
        raw(&folder, "raw 12 KB + fdatasync", 1, seconds)?,
        raw(&folder, "raw group + fdatasync", waiters, seconds)?,
        log(&folder, "log, 12 KB records", (waiters, threads), 1, seconds)?,
        log(&folder, "log, 16 messages a signature", (waiters, threads), 16, seconds)?,
        log(&folder, "log, one waiter", (1, 1), 1, seconds)?,
    ];
    println!("{}", serde_json::to_string_pretty(&rows)?);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
