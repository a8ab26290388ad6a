//! Requests that this server took as the provider's, for the memory of signed messages.

use std::sync::Arc;

use bytes::Bytes;
use protocol::time::UtcTime;

use super::format::FrameKind;
use super::index::IndexEntry;
use super::reader::{Reader, message};
use super::record;
use super::segment::{ReadError, Segment};

/// Flags of an index entry.
const PROVIDER: u8 = 1;
const RESPONSE: u8 = 2;

/// The evidence of a request of the provider's side.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// Place in the log.
    pub(crate) sequence: u64,
    /// When it was logged.
    pub(crate) time: UtcTime,
    /// The signature document.
    pub(crate) signature: Bytes,
    /// The signature's chain result.
    pub(crate) hash_chain_result: Option<Bytes>,
    /// The record's chain.
    pub(crate) hash_chain: Option<Bytes>,
}

impl Reader {
    /// The requests of the provider's side from a position on that were logged at this time or later,
    /// oldest first. One record is in memory at a time.
    pub(crate) fn requests_served(
        &self,
        from: u64,
        since: UtcTime,
    ) -> impl Iterator<Item = Result<Served, ReadError>> + '_ {
        self.numbers()
            .flat_map(move |number| match self.served_in(number, from, since) {
                Ok(places) => places.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
            .filter_map(|place| place.and_then(|(segment, offset)| served(&segment, offset)).transpose())
    }

    /// The offsets of the wanted records in one segment.
    fn served_in(
        &self,
        number: u64,
        from: u64,
        since: UtcTime,
    ) -> Result<Vec<(Arc<Segment>, u64)>, ReadError> {
        let segment = self.segment(number)?;
        let skipped = from.saturating_sub(segment.first_sequence());
        if skipped >= segment.count() || segment.times().1 < since.millis() {
            return Ok(Vec::new());
        }
        let is_wanted = |entry: &IndexEntry| {
            entry.kind == FrameKind::Message
                && entry.flags & (PROVIDER | RESPONSE) == PROVIDER
                && entry.time >= since.millis()
        };
        let entries = segment.entries(skipped, segment.count() - skipped)?;
        let wanted = entries.into_iter().filter(is_wanted);
        Ok(wanted.map(|entry| (Arc::clone(&segment), u64::from(entry.offset))).collect())
    }
}

/// A record; none if its content was erased.
fn served(segment: &Segment, offset: u64) -> Result<Option<Served>, ReadError> {
    let header = segment.frame_header(offset)?;
    if header.erased {
        return Ok(None);
    }
    let (time, message, signature, _) = message(segment, offset)?;
    Ok(Some(Served {
        sequence: header.sequence,
        time: record::time(time),
        signature: signature.document,
        hash_chain_result: signature.result,
        hash_chain: message.chain,
    }))
}
