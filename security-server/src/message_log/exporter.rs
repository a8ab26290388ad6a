//! Writing the containers of many records: what their time-stamps share is read and computed once.

use std::collections::HashMap;
use std::io::{Read, Seek, Write};

use protocol::container::{Attachment, ContainerParts, ContainerTimestamp, write_to};
use protocol::hash_chain::TimestampChains;
use protocol::signature::insert_timestamp;

use super::containers::ExportError;
use super::reader::{AttachmentReader, Reader, StoredRecord};
use super::record::StampRecord;
use super::segment::ReadError;
use super::timestamping::digests;

/// Writes containers of records of one log.
pub struct Exporter<'r> {
    reader: &'r Reader,
    /// The time-stamp of the record that was written last.
    recent: Option<Stamp>,
}

/// A time-stamp with the place of each signature in its chain.
struct Stamp {
    record: StampRecord,
    places: HashMap<u64, usize>,
    /// Chains are not stored: the leaves say everything.
    chains: Option<TimestampChains>,
}

impl Stamp {
    fn new(record: StampRecord) -> Self {
        let places = record.leaves.iter().enumerate().map(|(place, (sequence, _))| (*sequence, place));
        let places = places.collect();
        let chains = record.result.as_ref().map(|_| TimestampChains::over(digests(&record.leaves)));
        Self { record, places, chains }
    }
}

impl<'r> Exporter<'r> {
    /// One that has read nothing yet.
    pub fn new(reader: &'r Reader) -> Self {
        Self { reader, recent: None }
    }

    /// Whether the signature of a record has a time-stamp.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn is_stamped(&mut self, record: &StoredRecord) -> Result<bool, ReadError> {
        self.stamp(record.signature_sequence).map(|stamp| stamp.is_some())
    }

    fn stamp(&mut self, signature_sequence: u64) -> Result<Option<&Stamp>, ReadError> {
        let known = self.recent.as_ref().is_some_and(|stamp| stamp.places.contains_key(&signature_sequence));
        if !known {
            self.recent = self.reader.stamp_of(signature_sequence)?.map(Stamp::new);
        }
        Ok(self.recent.as_ref())
    }

    /// Writes the container of a record.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn write(&mut self, record: &StoredRecord, to: impl Write + Seek) -> Result<(), ExportError> {
        let stamp = self.stamp(record.signature_sequence)?.ok_or(ExportError::NotTimestamped)?;
        let token = &stamp.record.token;
        let (signature, timestamp) = match (&stamp.record.result, &stamp.chains) {
            (Some(hash_chain_result), Some(chains)) => {
                let place = stamp.places.get(&record.signature_sequence);
                let hash_chain = place
                    .and_then(|place| chains.chain(*place))
                    .ok_or_else(|| ExportError::Timestamp("the signature is not among its leaves".into()))?;
                let hash_chain_result = hash_chain_result.clone();
                let timestamp =
                    ContainerTimestamp::Token { token: token.clone(), hash_chain_result, hash_chain };
                (record.signature.clone(), timestamp)
            }
            _ => (insert_timestamp(&record.signature, token)?, ContainerTimestamp::InSignature),
        };
        let mut readers = record.attachments()?;
        let attachments = readers.iter_mut().map(|reader| match reader {
            AttachmentReader::Absent => Attachment::Absent,
            AttachmentReader::Memory(bytes) => Attachment::Memory(bytes.clone()),
            AttachmentReader::File(section) => Attachment::Reader(section as &mut dyn Read),
        });
        let attachments = attachments.collect();
        let hash_chain = record.hash_chain_result.clone().zip(record.hash_chain.clone());
        let (time, message) = (record.summary.time, record.message.clone());
        let parts = ContainerParts { time, message, signature, hash_chain, timestamp, attachments };
        Ok(write_to(to, parts)?)
    }
}
