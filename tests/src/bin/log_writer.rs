//! Writes to a message log until it is killed; prints what was acknowledged.
//!
//! `log_writer FOLDER FIRST THREADS`: message ids are `id-N`, N counting from FIRST; each line is the
//! sequence and N of one acknowledged record. Used by the test that kills it.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gateway::clock::Clock;
use gateway::ports::{BoxFuture, Direction, LogEntry, LoggedBody, MessageLog as _, Side, Signed};
use protocol::digest::Digest;
use protocol::id::{ClientId, ServiceId};
use protocol::transport::MessageType;
use security_server::message_log::{MessageLog, Settings, TimestampError, Timestamper};

/// Time-stamps with any octets: the log does not look into tokens.
struct Anything;

impl Timestamper for Anything {
    fn is_configured(&self) -> bool {
        true
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn timestamp(&self, imprint: Digest) -> BoxFuture<'_, Result<Bytes, TimestampError>> {
        Box::pin(std::future::ready(Ok(Bytes::copy_from_slice(imprint.bytes()))))
    }
}

fn entry(number: u64) -> Option<LogEntry> {
    let octets = |length: u64| Bytes::from(vec![number as u8; length as usize]);
    // Some bodies get files of their own.
    let body = match number % 20 {
        0 => Vec::new(),
        7 => vec![LoggedBody::Memory(octets(20_000))],
        rest => vec![LoggedBody::Memory(octets(rest * 200))],
    };
    Some(LogEntry {
        time: Clock::system().now(),
        side: if number.is_multiple_of(2) { Side::Consumer } else { Side::Provider },
        direction: Direction::Request,
        client: ClientId::parse_encoded("XX/COM/1/client").ok()?,
        service: ServiceId::parse_encoded("XX/GOV/1/provider/people").ok()?,
        protocol: MessageType::Rest,
        message_id: format!("id-{number}"),
        request_id: format!("request-{number}"),
        message: format!("GET\r\n/r1/XX/GOV/1/provider/people\r\nx-road-id:id-{number}\r\n").into(),
        attachments: body,
        signed: Signed {
            document: vec![b'a' + (number / 8 % 26) as u8; 4000].into(),
            hash_chain_result: Some(format!("{}", number / 8).into()),
            hash_chain: Some(format!("{number}").into()),
        },
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("no folder")?;
    let next = Arc::new(AtomicU64::new(arguments.next().ok_or("no number")?.parse()?));
    let threads: usize = arguments.next().ok_or("no threads")?.parse()?;
    let settings = Settings {
        segment_size: 1 << 20,
        inline_body_limit: 10_000,
        free_space_floor: 0,
        ..Settings::new(folder)
    };
    let log = Arc::new(MessageLog::open(settings, Clock::system(), Arc::new(Anything))?);
    let mut workers = Vec::new();
    for _ in 0..threads {
        let (log, next) = (Arc::clone(&log), Arc::clone(&next));
        workers.push(std::thread::spawn(move || -> Result<(), String> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            let one = async {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let entry = entry(number).ok_or("no entry")?;
                    let position = log.append(entry, false).await.map_err(|error| error.to_string())?;
                    let line = format!("{} {number}\n", position.0);
                    // One short write to a pipe is whole or not there.
                    let mut out = std::io::stdout().lock();
                    out.write_all(line.as_bytes())
                        .and_then(|()| out.flush())
                        .map_err(|error| error.to_string())?;
                }
            };
            let stamps = async {
                loop {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    log.timestamp_waiting().await.map_err(|error| error.to_string())?;
                }
            };
            runtime.block_on(async {
                tokio::select! { result = one => result, result = stamps => result }
            })
        }));
    }
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked")??;
    }
    Ok(())
}
