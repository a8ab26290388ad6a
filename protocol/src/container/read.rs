//! Reading a container (§4.2).

use std::io::{Cursor, Read};

use bytes::Bytes;
use zip::ZipArchive;

use super::{MIME_TYPE, code};
use crate::digest::{Digest, DigestAlgorithm, Hasher};
use crate::fault::{self, Fault};
use crate::hash_chain::{self, Rules};
use crate::signature::{PartDigests, SignatureDocument};

/// How much a container may ask for.
#[derive(Clone, Copy, Debug)]
pub struct ContainerLimits {
    /// Entries.
    pub entries: usize,
    /// Octets of the message, which is held in memory, and of an attachment that is asked for whole. What
    /// else is held in memory may have 2 MiB.
    pub entry: u64,
    /// Octets of all attachments together, after decompression. They are digested as they come.
    pub attachments: u64,
}

impl Default for ContainerLimits {
    /// 1 000 entries, 64 MiB for the message, 4 GiB of attachments.
    fn default() -> Self {
        Self { entries: 1000, entry: 64 << 20, attachments: 4 << 30 }
    }
}

/// A container, read and complete; nothing in it is believed yet.
#[derive(Clone, Debug)]
pub struct Container<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    limits: ContainerLimits,
    message: Bytes,
    signature: SignatureDocument,
    hash_chain: Option<(Bytes, Bytes)>,
    timestamp: Bytes,
    timestamp_hash_chain: Option<(Bytes, Bytes)>,
    attachments: Vec<AttachmentEntry>,
    others: Vec<String>,
}

/// An attachment in a container.
#[derive(Clone, Debug)]
pub struct AttachmentEntry {
    /// Name of the entry, without a leading slash.
    pub name: String,
    /// Octets.
    pub length: u64,
    /// SHA-512 of the octets.
    pub digest: Digest,
    index: usize,
}

impl<'a> Container<'a> {
    /// Reads a container with the usual limits.
    ///
    /// # Errors
    /// The codes of [`code`], those of a signature document, `malformed_signature` without a time-stamp,
    /// and `internal_error` for a zip that is damaged, too large or has names twice.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        Self::read_within(bytes, ContainerLimits::default())
    }

    /// Reads a container with these limits.
    ///
    /// # Errors
    /// See [`Container::read`].
    pub fn read_within(bytes: &'a [u8], limits: ContainerLimits) -> Result<Self, Fault> {
        let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) else {
            return Err(Fault::new(code::MIME_TYPE_NOT_FOUND, "the container is no zip file"));
        };
        if archive.len() > limits.entries {
            return Err(damaged("the container has too many entries"));
        }
        // Readers that walk local headers and readers of the central directory must see the same.
        archive
            .validate_header_consistency()
            .map_err(|error| damaged(format!("the container can be read in two ways: {error}")))?;
        let mut entries = Entries::collect(&mut archive, limits)?;

        let mime_type = entries.take("mimetype").unwrap_or_default();
        if mime_type.is_empty() {
            return Err(Fault::new(code::MIME_TYPE_NOT_FOUND, "the container has no media type"));
        }
        if !mime_type.eq_ignore_ascii_case(MIME_TYPE.as_bytes()) {
            return Err(Fault::new(code::INVALID_MIME_TYPE, "the container has another media type"));
        }
        let message = entries
            .take("message.xml")
            .filter(|octets| !is_blank(octets))
            .ok_or_else(|| Fault::new(code::MESSAGE_NOT_FOUND, "the container has no message"))?;
        let signature = entries
            .take("meta-inf/signatures.xml")
            .filter(|octets| !is_blank(octets))
            .ok_or_else(|| Fault::new(code::SIGNATURE_NOT_FOUND, "the container has no signature"))?;
        let hash_chain = entries.pair("sig-hashchainresult.xml", "sig-hashchain.xml")?;
        let timestamp_hash_chain = entries.pair("ts-hashchainresult.xml", "ts-hashchain.xml")?;
        let token = entries.take("meta-inf/timestamp.tst");
        if token.as_ref().is_some_and(|token| is_blank(token)) {
            return Err(Fault::new(code::TIMESTAMP_NOT_FOUND, "the container has an empty time-stamp"));
        }
        for manifest in ["meta-inf/manifest.xml", "meta-inf/asicmanifest.xml"] {
            if entries.take(manifest).is_some_and(|octets| is_blank(&octets)) {
                return Err(Fault::new(code::MANIFEST_NOT_FOUND, "the container has an empty manifest"));
            }
        }
        let signature = SignatureDocument::parse(signature, Rules::Evidence)?;
        let timestamp = match token {
            Some(token) => token,
            None => signature
                .timestamp()
                .map(Bytes::copy_from_slice)
                .ok_or_else(|| Fault::new(fault::code::MALFORMED_SIGNATURE, "there is no time-stamp"))?,
        };
        let Entries { attachments, others, .. } = entries;
        Ok(Self {
            archive,
            limits,
            message,
            signature,
            hash_chain,
            timestamp,
            timestamp_hash_chain,
            attachments,
            others,
        })
    }

    /// Octets of the message.
    pub fn message(&self) -> &Bytes {
        &self.message
    }

    /// The signature document.
    pub fn signature(&self) -> &SignatureDocument {
        &self.signature
    }

    /// Chain result and chain of the signature.
    pub fn hash_chain(&self) -> Option<&(Bytes, Bytes)> {
        self.hash_chain.as_ref()
    }

    /// The `TimeStampToken`, DER, from its own entry or out of the signature document.
    pub fn timestamp(&self) -> &Bytes {
        &self.timestamp
    }

    /// Chain result and chain of the time-stamp.
    pub fn timestamp_hash_chain(&self) -> Option<&(Bytes, Bytes)> {
        self.timestamp_hash_chain.as_ref()
    }

    /// The octets that the time-stamp covers (§3.1): the result of its chain, else the signature value.
    pub fn stamped(&self) -> &[u8] {
        match &self.timestamp_hash_chain {
            Some((result, _)) => result,
            None => self.signature.value(),
        }
    }

    /// The attachments, in the order of the container.
    pub fn attachments(&self) -> &[AttachmentEntry] {
        &self.attachments
    }

    /// Names of entries that evidence does not have and that nothing covers.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// What is behind a name of a signature or hash chain, such as `/message.xml` or `/attachment1`.
    pub fn part(&self, name: &str) -> Option<PartDigests> {
        let chain = |pair: &Option<(Bytes, Bytes)>| pair.clone();
        Some(match name {
            hash_chain::MESSAGE => PartDigests::of(self.message.clone()),
            hash_chain::SIGNATURES => PartDigests::of(self.signature.octets().clone()),
            hash_chain::SIGNATURE_CHAIN_RESULT => PartDigests::of(chain(&self.hash_chain)?.0),
            hash_chain::SIGNATURE_CHAIN => PartDigests::of(chain(&self.hash_chain)?.1),
            hash_chain::TIMESTAMP_CHAIN_RESULT => PartDigests::of(chain(&self.timestamp_hash_chain)?.0),
            hash_chain::TIMESTAMP_CHAIN => PartDigests::of(chain(&self.timestamp_hash_chain)?.1),
            _ => {
                let attachment = self.attachment(name)?;
                let known = match self.attachment_octets(attachment) {
                    Ok(octets) => PartDigests::of(octets),
                    Err(_) => PartDigests::default(),
                };
                known.with(attachment.digest)
            }
        })
    }

    /// The attachment of this name, with its leading slash.
    pub fn attachment(&self, name: &str) -> Option<&AttachmentEntry> {
        let name = name.strip_prefix('/')?;
        self.attachments.iter().find(|attachment| attachment.name == name)
    }

    /// The octets of an attachment.
    ///
    /// # Errors
    /// `internal_error` when it is larger than an entry in memory may be.
    pub fn attachment_octets(&self, attachment: &AttachmentEntry) -> Result<Bytes, Fault> {
        let mut archive = self.archive.clone();
        let entry = archive.by_index(attachment.index).map_err(unreadable)?;
        whole(entry, self.limits.entry).map(Bytes::from)
    }

    /// The digest of an attachment of any size.
    ///
    /// # Errors
    /// `internal_error` when the entry cannot be read.
    pub fn attachment_digest(
        &self,
        attachment: &AttachmentEntry,
        algorithm: DigestAlgorithm,
    ) -> Result<Digest, Fault> {
        if attachment.digest.algorithm() == algorithm {
            return Ok(attachment.digest);
        }
        let mut archive = self.archive.clone();
        let entry = archive.by_index(attachment.index).map_err(unreadable)?;
        digest(entry, algorithm, self.limits.attachments).map(|(digest, _)| digest)
    }
}

/// Entries by their names in lower case, since names are compared without regard to case.
struct Entries {
    known: Vec<(String, Bytes)>,
    attachments: Vec<AttachmentEntry>,
    others: Vec<String>,
}

/// What is read into memory. Signatures in other entries are not used (§4.2).
const KNOWN: [&str; 10] = [
    "mimetype",
    "message.xml",
    "meta-inf/signatures.xml",
    "sig-hashchainresult.xml",
    "sig-hashchain.xml",
    "ts-hashchainresult.xml",
    "ts-hashchain.xml",
    "meta-inf/manifest.xml",
    "meta-inf/asicmanifest.xml",
    "meta-inf/timestamp.tst",
];

impl Entries {
    fn collect(archive: &mut ZipArchive<Cursor<&[u8]>>, limits: ContainerLimits) -> Result<Self, Fault> {
        let mut names = std::collections::HashSet::new();
        let mut entries = Self { known: Vec::new(), attachments: Vec::new(), others: Vec::new() };
        let mut room = limits.attachments;
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(unreadable)?;
            let name = entry.name().map_err(unreadable)?.into_owned();
            let lower = name.to_lowercase();
            if !names.insert(lower.clone()) {
                return Err(damaged(format!("the container has two entries '{lower}'")));
            }
            if KNOWN.contains(&lower.as_str()) {
                let limit = if lower == "message.xml" { limits.entry } else { limits.entry.min(2 << 20) };
                entries.known.push((lower, Bytes::from(whole(entry, limit)?)));
            } else if lower.starts_with("attachment") {
                let (digest, length) = digest(entry, DigestAlgorithm::Sha512, room)?;
                room = room.saturating_sub(length);
                entries.attachments.push(AttachmentEntry { name: lower, length, digest, index });
            } else {
                entries.others.push(name);
            }
        }
        Ok(entries)
    }

    fn take(&mut self, name: &str) -> Option<Bytes> {
        let position = self.known.iter().position(|(known, _)| known == name)?;
        Some(self.known.swap_remove(position).1)
    }

    /// Chain result and chain: both or none.
    fn pair(&mut self, result: &str, chain: &str) -> Result<Option<(Bytes, Bytes)>, Fault> {
        let mut present = |name| self.take(name).filter(|octets: &Bytes| !is_blank(octets));
        match (present(result), present(chain)) {
            (Some(result), Some(chain)) => Ok(Some((result, chain))),
            (None, None) => Ok(None),
            (Some(_), None) => {
                Err(Fault::new(code::HASH_CHAIN_NOT_FOUND, format!("the container has no {chain}")))
            }
            (None, Some(_)) => {
                Err(Fault::new(code::HASH_CHAIN_RESULT_NOT_FOUND, format!("the container has no {result}")))
            }
        }
    }
}

fn is_blank(octets: &[u8]) -> bool {
    octets.iter().all(u8::is_ascii_whitespace)
}

fn damaged(text: impl Into<String>) -> Fault {
    Fault::new(fault::code::INTERNAL_ERROR, text)
}

fn unreadable(error: impl std::fmt::Display) -> Fault {
    damaged(format!("the container is damaged: {error}"))
}

/// All octets of an entry. What the entry says about its size is not believed.
fn whole(entry: impl Read, limit: u64) -> Result<Vec<u8>, Fault> {
    let mut octets = Vec::new();
    entry.take(limit.saturating_add(1)).read_to_end(&mut octets).map_err(unreadable)?;
    if octets.len() as u64 > limit {
        return Err(damaged("an entry of the container is too large"));
    }
    Ok(octets)
}

fn digest(mut entry: impl Read, algorithm: DigestAlgorithm, limit: u64) -> Result<(Digest, u64), Fault> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = [0; 16 * 1024];
    let mut length: u64 = 0;
    loop {
        let count = entry.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            return Ok((hasher.finish(), length));
        }
        length = length.saturating_add(count as u64);
        if length > limit {
            return Err(damaged("the attachments of the container are too large"));
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}
