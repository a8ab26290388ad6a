//! Time-stamping what is in the log: in batches on a schedule, or singly at once
//! (signatures and evidence §3.1, §3.5, §6.4, §6.5).
//!
//! What is stamped are signature documents, not messages: all messages of a batch signature share one
//! document, and one time-stamp of it covers them all.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gateway::clock::Clock;
use gateway::ports::{BoxFuture, LogError};
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::hash_chain::timestamp_result;
use protocol::signature::{Rules, SignatureDocument};
use protocol::time::UtcTime;
use tokio::sync::{OnceCell, watch};

use super::committer::{Queue, Work};
use super::format::FrameKind;
use super::index::SignatureEntry;
use super::reader::Reader;
use super::record::{Long, SharedSignature, StampRecord, StoredMessage};
use super::segment::{ReadError, Segment};
use super::shared::Shared;

/// Gets time-stamps from a time-stamping service.
pub trait Timestamper: Send + Sync {
    /// Whether there is a service to ask. Without one no message may be logged (§6.4).
    fn is_configured(&self) -> bool;

    /// How often the log is to be stamped, by the global configuration.
    fn interval(&self) -> Duration;

    /// A checked token over `imprint`, DER.
    fn timestamp(&self, imprint: Digest) -> BoxFuture<'_, Result<Bytes, TimestampError>>;
}

/// Why there is no time-stamp: the fault with its `mlog` code, in words.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct TimestampError(pub String);

/// Settings of time-stamping.
#[derive(Clone, Copy, Debug)]
pub struct TimestampSettings {
    /// Every message is stamped before its exchange goes on.
    pub immediately: bool,
    /// Most documents under one token.
    pub records_limit: usize,
    /// Pause after a failure.
    pub retry_delay: Duration,
    /// How long time-stamping may fail before messages are refused; zero: for ever.
    pub acceptable_failure: Duration,
}

impl Default for TimestampSettings {
    fn default() -> Self {
        Self {
            immediately: false,
            records_limit: 10_000,
            retry_delay: Duration::from_secs(60),
            acceptable_failure: Duration::from_secs(4 * 3600),
        }
    }
}

/// The bounds of the interval in the global configuration (§3.5).
const INTERVAL: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));
/// Pause after the start.
const FIRST: Duration = Duration::from_secs(1);

/// A signature that waits, and where it is.
#[derive(Clone)]
struct Waiting {
    entry: SignatureEntry,
    segment: Arc<Segment>,
}

/// Stamps that are being had at once, by the sequence of their signature.
type Running = HashMap<u64, Arc<OnceCell<()>>>;

/// Stamps what is in the log.
pub(super) struct Stamper {
    pub(super) queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
    pub(super) service: Arc<dyn Timestamper>,
    pub(super) settings: TimestampSettings,
    pub(super) clock: Clock,
    pub(super) folder: PathBuf,
    running: Mutex<Running>,
    /// One batch at a time.
    turn: tokio::sync::Mutex<()>,
}

/// Why a run of the stamper failed.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The service.
    #[error(transparent)]
    Service(#[from] TimestampError),
    /// The log could not be written.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Stamper {
    pub(super) fn new(
        (queue, shared): (Arc<Queue>, Arc<Shared>),
        service: Arc<dyn Timestamper>,
        settings: TimestampSettings,
        clock: Clock,
        folder: PathBuf,
    ) -> Self {
        Self {
            queue,
            shared,
            service,
            settings,
            clock,
            folder,
            running: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// A view of the log as it is now.
    pub(super) fn reader(&self) -> Result<Reader, ReadError> {
        Reader::beside_writer(&self.folder, self.shared.current())
    }

    /// Whether messages may be logged, as far as time-stamping is concerned (§6.4).
    ///
    /// The time of the first failure is that of the oldest signature without stamp plus the interval in
    /// which it should have got one, so a restart does not forget it.
    pub(super) fn check(&self, at_once: bool) -> Result<(), LogError> {
        if !self.service.is_configured() {
            return Err(LogError::NoTimestampingService);
        }
        if at_once || self.settings.acceptable_failure.is_zero() {
            return Ok(());
        }
        let stamps = self.shared.stamps();
        let Some(oldest) = stamps.oldest.filter(|_| stamps.failing) else { return Ok(()) };
        let since = UtcTime::from_millis(oldest).plus(self.interval());
        if self.clock.now() > since.plus(self.settings.acceptable_failure) {
            return Err(LogError::TimestampingOverdue(since));
        }
        Ok(())
    }

    fn interval(&self) -> Duration {
        self.service.interval().clamp(INTERVAL.0, INTERVAL.1)
    }

    /// Stamps on schedule until told to stop.
    pub(super) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut pause = FIRST;
        let mut limit = self.settings.records_limit.max(1);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
            let outcome = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                outcome = self.stamp_batch(limit) => outcome,
            };
            match outcome {
                Ok(stamped) => {
                    let normal = self.settings.records_limit.max(1);
                    if stamped * 10 >= normal * 7 {
                        tracing::warn!(stamped, "the time-stamping batch is nearly as large as is allowed");
                    }
                    // A full batch, or a try with one record after a failure, is followed by another.
                    let more = stamped > 0 && stamped >= limit;
                    pause = if more { Duration::ZERO } else { self.interval() };
                    limit = normal;
                }
                Err(error) => {
                    tracing::error!(%error, "time-stamping failed");
                    limit = 1;
                    let delay = self.settings.retry_delay;
                    let usable = !delay.is_zero() && delay < self.interval();
                    pause = if usable { delay.max(INTERVAL.0) } else { self.interval() };
                }
            }
        }
    }

    /// Stamps the oldest signatures that wait, at most `limit`. Gives their number.
    pub(super) async fn stamp_batch(&self, limit: usize) -> Result<usize, StampError> {
        let _turn = self.turn.lock().await;
        let groups = self.shared.stamps().groups;
        let result = self.stamp_waiting(&self.reader()?, limit).await;
        let oldest = match &result {
            Ok(_) => self.waiting(&self.reader()?, 1)?.first().map(|waiting| waiting.entry.time),
            Err(_) => None,
        };
        let mut stamps = self.shared.stamps();
        stamps.failing = result.is_err();
        if result.is_ok() && (stamps.groups == groups || oldest.is_some()) {
            stamps.oldest = oldest;
        }
        result
    }

    async fn stamp_waiting(&self, reader: &Reader, limit: usize) -> Result<usize, StampError> {
        let waiting = self.waiting(reader, limit)?;
        match waiting.as_slice() {
            [] => return Ok(0),
            [one] => self.stamp_single(one).await?,
            many => {
                let leaves: Vec<(u64, Long)> =
                    many.iter().map(|waiting| (waiting.entry.sequence, waiting.entry.digest)).collect();
                let result = timestamp_result(&digests(&leaves));
                let token = self.service.timestamp(DigestAlgorithm::Sha512.digest(&result)).await?;
                let from = self.shared.stamped_until();
                let until = many.last().map_or(from, |waiting| waiting.entry.sequence + 1);
                self.store(StampRecord { token, result: Some(result), from, until, leaves }).await?;
            }
        }
        Ok(waiting.len())
    }

    /// The oldest signatures without stamp, at most `limit`. Moves the cursor over those that were
    /// stamped singly.
    fn waiting(&self, reader: &Reader, limit: usize) -> Result<Vec<Waiting>, ReadError> {
        let state = self.shared.stamps().clone();
        let mut found = Vec::new();
        let mut past = None;
        let start =
            reader.segment_of(state.cursor)?.map_or(*reader.numbers().start(), |segment| segment.number());
        'segments: for number in start..=*reader.numbers().end() {
            let segment = reader.segment(number)?;
            for entry in segment.signatures()? {
                if entry.sequence < state.cursor {
                    continue;
                }
                if state.singles.contains(&entry.sequence) {
                    if found.is_empty() {
                        past = Some(entry.sequence + 1);
                    }
                    continue;
                }
                found.push(Waiting { entry, segment: Arc::clone(&segment) });
                if found.len() >= limit {
                    break 'segments;
                }
            }
        }
        if let Some(past) = past {
            let mut stamps = self.shared.stamps();
            let from = stamps.cursor;
            stamps.note(from, past);
        }
        Ok(found)
    }

    /// Stamps one signature document over the value of its signature (§3.1).
    async fn stamp_single(&self, waiting: &Waiting) -> Result<(), StampError> {
        let (_, payload) = waiting.segment.frame(u64::from(waiting.entry.offset))?;
        let signature = SharedSignature::decode(&payload)
            .ok_or_else(|| waiting.segment.damaged(u64::from(waiting.entry.offset), "signature"))?;
        self.stamp_document(waiting.entry.sequence, waiting.entry.digest, signature.document).await
    }

    /// Stamps the signature of a record now, unless it has a stamp. Those who ask for the same signature
    /// at the same time share one request.
    pub(super) async fn stamp_record(&self, sequence: u64) -> Result<(), StampError> {
        let Some(waiting) = self.signature_of(sequence)? else { return Ok(()) };
        let key = waiting.entry.sequence;
        let cell = Arc::clone(self.running().entry(key).or_default());
        let result = cell
            .get_or_try_init(|| async {
                if self.shared.stamps().is_stamped(key) {
                    return Ok(());
                }
                self.stamp_single(&waiting).await
            })
            .await
            .copied();
        self.running().remove(&key);
        result
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signature of a message record.
    fn signature_of(&self, sequence: u64) -> Result<Option<Waiting>, ReadError> {
        // Mostly it was written just now; else the folder has to be looked through.
        let current = self.shared.current().filter(|segment| segment.first_sequence() <= sequence);
        let segment = match current {
            Some(segment) => Some(segment),
            None => self.reader()?.segment_of(sequence)?,
        };
        let Some(segment) = segment else { return Ok(None) };
        let Some(entry) = segment.entry(sequence - segment.first_sequence())? else { return Ok(None) };
        if entry.kind != FrameKind::Message {
            return Ok(None);
        }
        let (_, payload) = segment.frame(u64::from(entry.offset))?;
        let Some(offset) = StoredMessage::decode(&payload).map(|message| message.signature) else {
            return Err(segment.damaged(u64::from(entry.offset), "message record"));
        };
        let header = segment.frame_header(u64::from(offset))?;
        let (_, payload) = segment.frame(u64::from(offset))?;
        let digest = payload.get(..64).and_then(|digest| digest.try_into().ok());
        let digest = digest.ok_or_else(|| segment.damaged(u64::from(offset), "signature"))?;
        let entry = SignatureEntry { sequence: header.sequence, time: header.time, offset, digest };
        Ok(Some(Waiting { entry, segment }))
    }

    /// Stamps a signature document: over the value of its signature, or, if that cannot be read, over a
    /// hash chain of one. So no document can keep those behind it from being stamped.
    async fn stamp_document(&self, sequence: u64, digest: Long, document: Bytes) -> Result<(), StampError> {
        let leaves = vec![(sequence, digest)];
        let (stamped, result) = match SignatureDocument::parse(document, Rules::Message) {
            Ok(document) => (DigestAlgorithm::Sha512.digest(document.value()), None),
            Err(fault) => {
                tracing::warn!(sequence, %fault, "a logged signature cannot be read; it is stamped as it is");
                let result = timestamp_result(&digests(&leaves));
                (DigestAlgorithm::Sha512.digest(&result), Some(result))
            }
        };
        let token = self.service.timestamp(stamped).await?;
        self.store(StampRecord { token, result, from: sequence, until: sequence + 1, leaves }).await
    }

    async fn store(&self, stamp: StampRecord) -> Result<(), StampError> {
        let time = self.clock.now().millis();
        self.queue.write(Work::Stamp(Box::new(stamp), time)).await?;
        Ok(())
    }
}

/// The leaves of a time-stamp chain.
pub(super) fn digests(leaves: &[(u64, Long)]) -> Vec<Digest> {
    leaves.iter().filter_map(|(_, digest)| Digest::new(DigestAlgorithm::Sha512, digest)).collect()
}
