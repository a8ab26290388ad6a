//! The message log: append-only segments, one committer, a Merkle tree over all records.
//!
//! docs/message-log.md has the format, exactly enough to be read by other programs. What is promised:
//!
//! - a record that was acknowledged survives a crash and a loss of power;
//! - memory is bounded by one segment, whatever the size of the log; a restart reads one segment;
//! - every record is a leaf of an RFC 6962 tree, and each sealed segment ends with a checkpoint, so that
//!   nothing can be removed, changed or reordered unseen;
//! - a full disk stops traffic and nothing else; the log goes on by itself when there is room.
//!
//! What is logged when, body switches, time-stamping and refusals: signatures and evidence §3, §6.

mod bodies;
mod checkpoint;
mod cleaning;
mod committer;
mod containers;
mod details;
mod exporter;
mod format;
mod ids;
mod index;
mod keep;
pub mod merkle;
mod reader;
mod record;
mod recovery;
mod scan;
mod segment;
mod served;
mod service;
mod shared;
mod space;
mod storage;
mod switches;
mod timestamping;
mod tree;
mod verify;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use gateway::clock::Clock;
use gateway::ports::{
    BoxFuture, ContainerError, ContainerQuery, LogEntry, LogError, LogPosition, NamedContainer,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::watch;

use bodies::Copier;
use committer::{Queue, Work};
use record::Prepared;
use space::Space;
use storage::{Disk, Storage};
use timestamping::Stamper;
use writer::WriterSettings;

pub use checkpoint::{Checkpoint, CheckpointError, LogKey};
pub use cleaning::Cleaned;
pub use containers::ExportError;
pub use details::{AttachmentDetails, BodyForm, Details};
pub use exporter::Exporter;
pub use reader::{AttachmentReader, Filter, Reader, StoredRecord, Summary};
pub use record::StampRecord;
pub use recovery::OpenError;
pub use segment::ReadError;
pub use service::ApprovedServices;
pub use switches::{BodySettings, Oversize};
pub use timestamping::{StampError, TimestampError, TimestampSettings, Timestamper};
pub use verify::{CheckpointKey, VerifyReport};

/// Settings of the log.
#[derive(Clone)]
pub struct Settings {
    /// Where it is kept. Nothing else may be in this folder.
    pub folder: PathBuf,
    /// Octets of a segment; a segment is reserved on disk whole.
    pub segment_size: u64,
    /// Free octets of the file system below which traffic stops.
    pub free_space_floor: u64,
    /// Most octets of the whole log; traffic stops there.
    pub max_bytes: Option<u64>,
    /// Longest body that is kept inside its record; longer ones get a file of their own.
    pub inline_body_limit: u64,
    /// Which bodies are logged.
    pub bodies: BodySettings,
    /// How and when signatures are time-stamped.
    pub timestamps: TimestampSettings,
    /// Name of the log in its checkpoints; none: `causeway-message-log/` and its random id.
    pub origin: Option<String>,
    /// Signs checkpoints.
    pub key: Option<Arc<LogKey>>,
}

impl Settings {
    /// The defaults for a log in this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            segment_size: 64 << 20,
            free_space_floor: 256 << 20,
            max_bytes: None,
            inline_body_limit: 256 << 10,
            bodies: BodySettings::default(),
            timestamps: TimestampSettings::default(),
            origin: None,
            key: None,
        }
    }
}

/// A log that is open for writing. Dropping it writes what waits and stops its threads.
pub struct MessageLog {
    queue: Arc<Queue>,
    stamper: Arc<Stamper>,
    copier: Copier,
    bodies: BodySettings,
    storage: Arc<dyn Storage>,
    space: Arc<Space>,
    thread: Option<std::thread::JoinHandle<()>>,
    _indexer: ids::Indexer,
    /// Tells other processes that this one writes.
    _lock: std::fs::File,
}

impl MessageLog {
    /// Opens the log, or begins one.
    ///
    /// # Errors
    /// [`OpenError`]; a log that cannot be written for lack of room opens, and refuses records.
    pub fn open(
        settings: Settings,
        clock: Clock,
        timestamper: Arc<dyn Timestamper>,
    ) -> Result<Self, OpenError> {
        Self::open_on(settings, clock, timestamper, Arc::new(Disk))
    }

    fn open_on(
        settings: Settings,
        clock: Clock,
        timestamper: Arc<dyn Timestamper>,
        storage: Arc<dyn Storage>,
    ) -> Result<Self, OpenError> {
        let folder = settings.folder.clone();
        let writer = WriterSettings {
            folder: folder.clone(),
            segment_size: settings.segment_size,
            origin: settings.origin,
            key: settings.key,
            clock,
        };
        let limits = (settings.free_space_floor, settings.max_bytes);
        let mut opened = recovery::open(writer, Arc::clone(&storage), limits)?;
        if let Err(error) = opened.writer.prepare() {
            tracing::error!(%error, "the message log cannot be written yet");
        }
        let space = opened.space;
        let copier =
            Copier::start(Arc::clone(&storage), Arc::clone(&space), &folder, settings.inline_body_limit)?;
        let queue = Arc::new(Queue::new(opened.writer));
        let thread = Some(committer::start(Arc::clone(&queue))?);
        let parts = (Arc::clone(&queue), opened.shared);
        let indexer = ids::Indexer::start(&folder, &parts.1)?;
        let stamper = Arc::new(Stamper::new(parts, timestamper, settings.timestamps, clock, folder));
        Ok(Self {
            queue,
            stamper,
            copier,
            bodies: settings.bodies,
            storage,
            space,
            thread,
            _indexer: indexer,
            _lock: opened.lock,
        })
    }

    /// Time-stamps on schedule until told to stop. Somebody must run this for as long as the log is open.
    pub fn run_timestamping(&self, stop: watch::Receiver<bool>) -> impl Future<Output = ()> + Send + 'static {
        let stamper = Arc::clone(&self.stamper);
        async move { stamper.run(stop).await }
    }

    /// Time-stamps what waits now, at most as many documents as one token may cover. Gives their number.
    ///
    /// # Errors
    /// [`StampError`].
    pub async fn timestamp_waiting(&self) -> Result<usize, StampError> {
        self.stamper.stamp_batch(self.stamper.settings.records_limit.max(1)).await
    }

    /// A view of the log as it is now.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn reader(&self) -> Result<Reader, ReadError> {
        self.stamper.reader()
    }

    /// Makes one message durable.
    async fn write(&self, entry: LogEntry) -> Result<LogPosition, LogError> {
        let prepared = self.prepare(entry).await?;
        self.queue.write(Work::Message(Box::new(prepared))).await
    }

    /// Decides what is kept of a message and computes what can be before its turn comes.
    async fn prepare(&self, entry: LogEntry) -> Result<Prepared, LogError> {
        let kept = self.bodies.logs_body(entry.side, &entry.service);
        let message = if kept {
            entry.message.clone()
        } else {
            switches::reduced(&entry.message, entry.protocol, entry.direction, &entry.service)
        };
        let mut details = Details {
            side: entry.side,
            direction: entry.direction,
            client: entry.client.clone(),
            service: entry.service.clone(),
            message_id: entry.message_id.clone(),
            request_id: entry.request_id.clone(),
            body: BodyForm::None,
            body_length: 0,
            body_digest: None,
            attachments: Vec::new(),
            truncated: false,
            reduced: !kept,
            has_result: entry.signed.hash_chain_result.is_some(),
            has_chain: entry.signed.hash_chain.is_some(),
        };
        let body = self.keep_attachments(&entry.attachments, kept, &mut details).await?;
        let mut salt = [0; 16];
        SystemRandom::new().fill(&mut salt).map_err(|_| LogError::Unavailable("no random octets".into()))?;
        Prepared::new(&entry, &details, message, body, salt).ok_or_else(|| {
            LogError::Unavailable("an identifier of the message is too long for a record".into())
        })
    }
}

impl gateway::ports::MessageLog for MessageLog {
    fn append(&self, entry: LogEntry, timestamp_now: bool) -> BoxFuture<'_, Result<LogPosition, LogError>> {
        Box::pin(async move {
            let now = timestamp_now || self.stamper.settings.immediately;
            self.stamper.check(now)?;
            let position = self.write(entry).await?;
            if now {
                self.stamper.stamp_record(position.0).await.map_err(|error| match error {
                    StampError::Log(error) => error,
                    other => LogError::Timestamp(other.to_string()),
                })?;
            }
            Ok(position)
        })
    }

    fn containers<'a>(
        &'a self,
        query: ContainerQuery<'a>,
    ) -> BoxFuture<'a, Result<Vec<NamedContainer>, ContainerError>> {
        Box::pin(containers::find(&self.stamper, query))
    }
}

impl Drop for MessageLog {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the committer has answered nobody wrongly; those who waited saw the log stop.
            let _ = thread.join();
        }
    }
}
