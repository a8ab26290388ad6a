//! The message log by itself: durable appends with many waiters, beside plain writes on the same disk.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway::Clock;
use gateway::ports::{BoxFuture, Direction, LogEntry, LoggedBody, MessageLog as _, Side, Signed};
use protocol::digest::Digest;
use protocol::id::{ClientId, ServiceId};
use protocol::transport::MessageType;
use security_server::message_log::{MessageLog, Settings, TimestampError, Timestamper};

use super::report::{Floor, Report, Row};

const WAITERS: usize = 64;
const RECORD: usize = 12 * 1024;
const SPAN: Duration = Duration::from_secs(3);

/// Runs it.
///
/// # Errors
/// When the log cannot be opened or written.
pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<(), Box<dyn std::error::Error>> {
    let plain = plain_writes(&folder.join("plain"))?;
    let rate = appends(&folder.join("log-alone"))?;
    let row = |goal, what: String, value, unit, floor| Row { goal, what, value, unit, range: None, floor };
    report.push(row("–", format!("plain write and fdatasync of {RECORD} bytes"), plain, "/s", None));
    let what = format!("durable appends of {RECORD} bytes, {WAITERS} waiters");
    report.push(row("P16", what, rate, "/s", Some(Floor::AtLeast(30_000.0))));
    Ok(())
}

/// One write and one sync at a time, into space that is reserved: what the disk can do.
fn plain_writes(file: &Path) -> std::io::Result<f64> {
    let target = File::create_new(file)?;
    let record = vec![7; RECORD];
    for at in 0..4096 {
        target.write_all_at(&record, at * RECORD as u64)?;
    }
    target.sync_all()?;
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < SPAN / 3 {
        target.write_all_at(&record, (count % 4096) * RECORD as u64)?;
        target.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn appends(folder: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let log = Arc::new(MessageLog::open(Settings::new(folder), Clock::system(), Arc::new(Unstamped))?);
    let until = Instant::now() + SPAN;
    let started = Instant::now();
    let workers: Vec<_> = (0..2)
        .map(|worker| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || -> Result<u64, String> {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .map_err(|error| error.to_string())?;
                runtime.block_on(async {
                    let mut waiters = tokio::task::JoinSet::new();
                    for waiter in 0..WAITERS / 2 {
                        waiters.spawn(waiter_of(Arc::clone(&log), worker * WAITERS + waiter, until));
                    }
                    let mut total = 0;
                    while let Some(joined) = waiters.join_next().await {
                        total += joined.map_err(|error| error.to_string())??;
                    }
                    Ok(total)
                })
            })
        })
        .collect();
    let mut total = 0;
    for worker in workers {
        total += worker.join().map_err(|_| "a writer panicked")??;
    }
    Ok(total as f64 / started.elapsed().as_secs_f64())
}

async fn waiter_of(log: Arc<MessageLog>, name: usize, until: Instant) -> Result<u64, String> {
    let id = |text: &str| ClientId::parse_encoded(text).map_err(|error| error.to_string());
    let client = id("CW/GOV/1001/permits")?;
    let service =
        ServiceId::new(id("CW/NDC/2001/population")?, "persons", None).map_err(|e| e.to_string())?;
    // Nothing is shared between records, so each is written whole.
    let octets = |from: usize, length: usize| {
        Bytes::from((0..length).map(|at| (at * 31 + from * 7) as u8).collect::<Vec<_>>())
    };
    let mut count = 0;
    while Instant::now() < until {
        let entry = LogEntry {
            time: Clock::system().now(),
            side: Side::Consumer,
            direction: Direction::Request,
            client: client.clone(),
            service: service.clone(),
            protocol: MessageType::Rest,
            message_id: format!("CW-{name}-{count}"),
            request_id: format!("{name}-{count}"),
            message: octets(name, 2048),
            attachments: vec![LoggedBody::Memory(octets(count as usize, 2048))],
            signed: Signed {
                document: octets(name + count as usize, RECORD - 4096),
                hash_chain_result: None,
                hash_chain: None,
            },
        };
        log.append(entry, false).await.map_err(|error| error.to_string())?;
        count += 1;
    }
    Ok(count)
}

/// Appends alone are measured: the stamps of the schedule are not had.
struct Unstamped;

impl Timestamper for Unstamped {
    fn is_configured(&self) -> bool {
        true
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn timestamp(&self, _imprint: Digest) -> BoxFuture<'_, Result<Bytes, TimestampError>> {
        Box::pin(async { Err(TimestampError("this log is not stamped".to_owned())) })
    }
}
