//! What a message record, a signature and a time-stamp hold, as octets and as values.
//!
//! Everything costly is computed in [`Prepared::new`], on the thread of the caller: digests, salt and
//! encoding. The committer only copies and hashes a few octets per record.

use std::collections::VecDeque;

use bytes::Bytes;
use gateway::ports::{LogEntry, Signed};
use protocol::digest::DigestAlgorithm;
use protocol::time::UtcTime;

use super::details::{ABSENT, BodyForm, Details, client_name, index_flags, service_name};
use super::format::{Fields, put_long};
use super::merkle::{Hash, digest};

/// A SHA-512.
pub(super) type Long = [u8; 64];

const ABSENT_LONG: u32 = u32::MAX;

/// Signatures whose digests a thread remembers: those of messages that came and of some that were sent.
const LATEST_KEPT: usize = 8;

/// SHA-512 of `bytes`.
pub(super) fn sha512(bytes: &[u8]) -> Long {
    DigestAlgorithm::Sha512.digest(bytes).bytes().try_into().unwrap_or([0; 64])
}

/// First eight octets of the SHA-256 of a message id: what the index of ids is sorted by.
pub(super) fn id_hash(message_id: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = digest(&[message_id.as_bytes()]);
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Body octets that are kept.
#[derive(Clone, Debug)]
pub(super) enum KeptBody {
    /// Nothing.
    None,
    /// In the record.
    Inline(Bytes),
    /// In a file that the committer gives its final name: length and SHA-256 of it.
    OwnFile { path: std::path::PathBuf, length: u64, digest: Hash },
}

/// The parts that messages of one batch share.
#[derive(Clone, Debug)]
pub(super) struct SharedSignature {
    pub(super) document: Bytes,
    pub(super) result: Option<Bytes>,
    pub(super) document_digest: Long,
    pub(super) result_digest: Long,
}

impl SharedSignature {
    /// Digests the shared parts, unless this thread did so a moment ago for another of the batch.
    fn of(signed: &Signed) -> Self {
        thread_local! {
            static LATEST: std::cell::RefCell<VecDeque<SharedSignature>> =
                const { std::cell::RefCell::new(VecDeque::new()) };
        }
        LATEST.with_borrow_mut(|latest| {
            if let Some(known) = latest.iter().find(|known| known.is_of(signed)) {
                return known.clone();
            }
            let new = Self {
                document: signed.document.clone(),
                result: signed.hash_chain_result.clone(),
                document_digest: sha512(&signed.document),
                result_digest: sha512(signed.hash_chain_result.as_deref().unwrap_or_default()),
            };
            if latest.len() == LATEST_KEPT {
                latest.pop_back();
            }
            latest.push_front(new.clone());
            new
        })
    }

    /// Whether these are the parts of `signed`. A clone keeps its octets alive, so the same address means
    /// the same octets; the document is in one place for all of a batch, the short chain result may not be.
    fn is_of(&self, signed: &Signed) -> bool {
        let (document, other) = (&self.document, &signed.document);
        document.as_ptr() == other.as_ptr()
            && document.len() == other.len()
            && self.result == signed.hash_chain_result
    }

    /// Digests of document and chain result.
    pub(super) fn digests(&self) -> (Long, Long) {
        (self.document_digest, self.result_digest)
    }

    /// Payload of the signature frame.
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.document_digest);
        put_long(to, &self.document);
        match &self.result {
            None => to.extend_from_slice(&ABSENT_LONG.to_le_bytes()),
            Some(result) => put_long(to, result),
        }
    }

    pub(super) fn decode(payload: &Bytes) -> Option<Self> {
        let mut fields = Fields(payload);
        let document_digest = fields.array()?;
        let document = payload.slice_ref(fields.long()?);
        let result = optional(&mut fields)?.map(|result| payload.slice_ref(result));
        let result_digest = sha512(result.as_deref().unwrap_or_default());
        let whole = fields.0.is_empty() && sha512(&document) == document_digest;
        whole.then_some(Self { document, result, document_digest, result_digest })
    }
}

/// Outer `None`: malformed. Inner `None`: absent.
fn optional<'a>(fields: &mut Fields<'a>) -> Option<Option<&'a [u8]>> {
    match fields.u32()? {
        ABSENT_LONG => Some(None),
        length => Some(Some(fields.take(usize::try_from(length).ok()?)?)),
    }
}

/// A message that is ready to be written.
pub(super) struct Prepared {
    pub(super) time: i64,
    pub(super) details: Vec<u8>,
    pub(super) client: Vec<u8>,
    pub(super) service: Vec<u8>,
    pub(super) flags: u8,
    pub(super) id_hash: u64,
    pub(super) message: Bytes,
    pub(super) chain: Option<Bytes>,
    pub(super) body: KeptBody,
    pub(super) signature: SharedSignature,
    salt: [u8; 16],
    pub(super) commitment: Hash,
}

impl Prepared {
    /// `entry` gives everything but message and body, which may have been reduced: `details` tells.
    /// `None` if a name is too long for a record.
    pub(super) fn new(
        entry: &LogEntry,
        details: &Details,
        message: Bytes,
        body: KeptBody,
        salt: [u8; 16],
    ) -> Option<Self> {
        let texts = [details.message_id.as_str(), &details.request_id, details.service.code()];
        let (client, service) = (client_name(&details.client), service_name(&details.service));
        let limit = usize::from(ABSENT);
        if texts.iter().any(|text| text.len() >= limit) || client.len() >= limit || service.len() >= limit {
            return None;
        }
        let encoded = details.encode();
        let signature = SharedSignature::of(&entry.signed);
        let kept = match &body {
            KeptBody::None => digest(&[]),
            KeptBody::Inline(bytes) => digest(&[bytes]),
            KeptBody::OwnFile { digest, .. } => *digest,
        };
        let chain = entry.signed.hash_chain.clone();
        let commitment = commitment(
            &salt,
            &encoded,
            &message,
            &kept,
            &signature.digests(),
            chain.as_deref().unwrap_or_default(),
        );
        Some(Self {
            time: entry.time.millis(),
            details: encoded,
            client,
            service,
            flags: index_flags(details),
            id_hash: id_hash(&details.message_id),
            message,
            chain,
            body,
            signature,
            salt,
            commitment,
        })
    }

    /// Octets of the payload without the body.
    pub(super) fn length(&self) -> usize {
        let body = match &self.body {
            KeptBody::Inline(bytes) => bytes.len(),
            KeptBody::None | KeptBody::OwnFile { .. } => 0,
        };
        96 + self.details.len() + self.message.len() + self.chain.as_ref().map_or(0, Bytes::len) + body
    }

    /// Payload of the message frame; the signature stands at `signature` in the segment.
    pub(super) fn encode(&self, signature: u32, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.salt);
        to.extend_from_slice(&signature.to_le_bytes());
        put_long(to, &self.details);
        put_long(to, &self.message);
        match &self.chain {
            None => to.extend_from_slice(&ABSENT_LONG.to_le_bytes()),
            Some(chain) => put_long(to, chain),
        }
        match &self.body {
            KeptBody::None => {}
            KeptBody::Inline(bytes) => to.extend_from_slice(bytes),
            KeptBody::OwnFile { length, digest, .. } => {
                to.extend_from_slice(&length.to_le_bytes());
                to.extend_from_slice(digest);
            }
        }
    }
}

/// What a leaf commits to, besides kind, sequence and time.
fn commitment(
    salt: &[u8; 16],
    details: &[u8],
    message: &[u8],
    body: &Hash,
    signature: &(Long, Long),
    chain: &[u8],
) -> Hash {
    digest(&[
        salt,
        &digest(&[details]),
        &digest(&[message]),
        body,
        &signature.0,
        &signature.1,
        &digest(&[chain]),
    ])
}

/// Where the kept body of a stored message is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum StoredBody {
    None,
    Inline(Bytes),
    OwnFile { length: u64, digest: Hash },
}

/// A message record as read.
#[derive(Clone, Debug)]
pub(super) struct StoredMessage {
    pub(super) details: Details,
    pub(super) encoded_details: Bytes,
    pub(super) signature: u32,
    pub(super) message: Bytes,
    pub(super) chain: Option<Bytes>,
    pub(super) body: StoredBody,
    salt: [u8; 16],
}

impl StoredMessage {
    pub(super) fn decode(payload: &Bytes) -> Option<Self> {
        let mut fields = Fields(payload);
        let salt = fields.array()?;
        let signature = fields.u32()?;
        let encoded_details = payload.slice_ref(fields.long()?);
        let details = Details::decode(&encoded_details)?;
        let message = payload.slice_ref(fields.long()?);
        let chain = optional(&mut fields)?.map(|chain| payload.slice_ref(chain));
        let body = match details.body {
            BodyForm::None | BodyForm::DigestOnly | BodyForm::SwitchedOff => StoredBody::None,
            BodyForm::Inline => StoredBody::Inline(payload.slice_ref(std::mem::take(&mut fields.0))),
            BodyForm::OwnFile => StoredBody::OwnFile { length: fields.u64()?, digest: fields.array()? },
        };
        let whole = fields.0.is_empty();
        whole.then_some(Self { details, encoded_details, signature, message, chain, body, salt })
    }

    /// The commitment of this content. The octets of a body in its own file are checked by whoever
    /// reads them.
    pub(super) fn commitment(&self, signature: &(Long, Long)) -> Hash {
        let body = match &self.body {
            StoredBody::None => digest(&[]),
            StoredBody::Inline(bytes) => digest(&[bytes]),
            StoredBody::OwnFile { digest, .. } => *digest,
        };
        commitment(
            &self.salt,
            &self.encoded_details,
            &self.message,
            &body,
            signature,
            self.chain.as_deref().unwrap_or_default(),
        )
    }
}

/// A time-stamp over earlier signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StampRecord {
    /// DER of the token.
    pub token: Bytes,
    /// The hash chain result that was stamped; none: the value of a single signature was.
    pub result: Option<Bytes>,
    /// Every signature with a sequence in `from..until` has a time-stamp by this record or an earlier
    /// one.
    pub from: u64,
    /// See `from`.
    pub until: u64,
    /// Sequence and SHA-512 of each signature document under the token, in the order of the chain.
    pub leaves: Vec<(u64, [u8; 64])>,
}

impl StampRecord {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(self.token.len() + self.leaves.len() * 72 + 1024);
        to.push(1);
        to.extend_from_slice(&self.from.to_le_bytes());
        to.extend_from_slice(&self.until.to_le_bytes());
        put_long(&mut to, &self.token);
        match &self.result {
            None => to.extend_from_slice(&ABSENT_LONG.to_le_bytes()),
            Some(result) => put_long(&mut to, result),
        }
        to.extend_from_slice(&(self.leaves.len() as u32).to_le_bytes());
        for (sequence, digest) in &self.leaves {
            to.extend_from_slice(&sequence.to_le_bytes());
            to.extend_from_slice(digest);
        }
        to
    }

    pub(super) fn decode(payload: &Bytes) -> Option<Self> {
        let mut fields = Fields(payload);
        if fields.u8()? != 1 {
            return None;
        }
        let (from, until) = (fields.u64()?, fields.u64()?);
        let token = payload.slice_ref(fields.long()?);
        let result = optional(&mut fields)?.map(|result| payload.slice_ref(result));
        let count = fields.u32()?;
        if fields.0.len() as u64 != u64::from(count) * 72 {
            return None;
        }
        let leaves = (0..count).map(|_| Some((fields.u64()?, fields.array()?))).collect::<Option<_>>()?;
        Some(Self { token, result, from, until, leaves })
    }

    /// The commitment of the leaf: time-stamps hold nothing personal, so no salt.
    pub(super) fn commitment(payload: &[u8]) -> Hash {
        digest(&[payload])
    }
}

/// Time of an entry as a value.
pub(super) fn time(millis: i64) -> UtcTime {
    UtcTime::from_millis(millis)
}
