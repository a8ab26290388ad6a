//! Evidence containers of logged messages (signatures and evidence §4.1, §4.3).

use std::io::{Cursor, Seek, Write};
use std::sync::Arc;

use gateway::ports::{ContainerError, ContainerQuery, Direction, LogError, NamedContainer};
use protocol::container::{WriteError, file_name};
use protocol::fault::Fault;

use super::exporter::Exporter;
use super::reader::{Filter, Reader, StoredRecord, stamp};
use super::record::StampRecord;
use super::segment::ReadError;
use super::timestamping::{StampError, Stamper};

/// Why a record could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no message record of this number.
    #[error("there is no message with this number")]
    NoMessage,
    /// Its signature waits for a time-stamp.
    #[error("the message signature has not been time-stamped yet")]
    NotTimestamped,
    /// The time-stamp does not fit the signature.
    #[error("the stored time-stamp cannot be used: {0}")]
    Timestamp(String),
    /// The container could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<Fault> for ExportError {
    fn from(fault: Fault) -> Self {
        Self::Timestamp(fault.to_string())
    }
}

/// The containers of a message id that belong to an owner, oldest first.
pub(super) async fn find(
    stamper: &Arc<Stamper>,
    query: ContainerQuery<'_>,
) -> Result<Vec<NamedContainer>, ContainerError> {
    let unavailable =
        |error: &dyn std::fmt::Display| ContainerError::Log(LogError::Unavailable(error.to_string()));
    let filter = Filter {
        message_id: Some(query.message_id.to_owned()),
        direction: query.direction,
        ..Filter::default()
    };
    let owner = query.owner.clone();
    let looking = Arc::clone(stamper);
    let found = blocking(move || {
        let reader = looking.reader()?;
        let found = reader
            .list(filter)
            .filter(|found| found.as_ref().map_or(true, |summary| *summary.details.owner() == owner));
        found.map(|found| found.map(|summary| summary.sequence)).collect::<Result<Vec<u64>, ReadError>>()
    })
    .await
    .map_err(|error| unavailable(&error))?;
    if found.is_empty() {
        return Err(ContainerError::NotFound);
    }
    let mut containers = Vec::with_capacity(found.len());
    for sequence in found {
        if query.force {
            stamper.stamp_record(sequence).await.map_err(|error| match error {
                StampError::Log(error) => ContainerError::Log(error),
                other => ContainerError::Log(LogError::Timestamp(other.to_string())),
            })?;
        }
        let exporting = Arc::clone(stamper);
        let container = blocking(move || {
            // A new view: the time-stamp may stand in a segment that was begun meanwhile.
            let reader = exporting.reader()?;
            let record = reader.show(sequence)?.ok_or(ExportError::NoMessage)?;
            let mut bytes = Cursor::new(Vec::new());
            Exporter::new(&reader).write(&record, &mut bytes)?;
            Ok(NamedContainer { name: record.file_name(), bytes: bytes.into_inner().into() })
        });
        containers.push(container.await.map_err(|error: ExportError| match error {
            ExportError::NotTimestamped => ContainerError::NotTimestamped,
            other => unavailable(&other),
        })?);
    }
    Ok(containers)
}

/// Runs what waits for the disk or compresses, beside the runtime if there is one.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<ReadError> + Send + 'static,
{
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return work() };
    runtime.spawn_blocking(work).await.unwrap_or_else(|error| {
        let error = std::io::Error::other(error);
        Err(ReadError::Io { path: "the message log".to_owned(), error }.into())
    })
}

impl Reader {
    /// The time-stamp of a signature, which is named by the first record that has it.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn stamp_of(&self, signature_sequence: u64) -> Result<Option<StampRecord>, ReadError> {
        let Some(first) = self.segment_of(signature_sequence)? else { return Ok(None) };
        // A time-stamp stands behind what it stamps, mostly in the same segment or the next.
        for number in first.number()..=*self.numbers().end() {
            let segment = self.segment(number)?;
            for entry in segment.stamps()?.iter().filter(|entry| entry.covers(signature_sequence)) {
                let found = stamp(&segment, u64::from(entry.offset))?;
                if found.leaves.iter().any(|(sequence, _)| *sequence == signature_sequence) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Writes the container of a message record.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn export(&self, sequence: u64, to: impl Write + Seek) -> Result<(), ExportError> {
        let record = self.show(sequence)?.ok_or(ExportError::NoMessage)?;
        Exporter::new(self).write(&record, to)
    }
}

impl StoredRecord {
    /// The name of this record's container.
    pub fn file_name(&self) -> String {
        let details = &self.summary.details;
        file_name(&details.message_id, details.direction == Direction::Response, self.summary.sequence)
    }
}
