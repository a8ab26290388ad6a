//! What was received together with a signature.

use bytes::Bytes;

use crate::digest::{Digest, DigestAlgorithm};
use crate::hash_chain;
use crate::xml::{Canonicalization, Document, Limits};

/// One part of a message: its octets, or digests that were computed while it passed.
#[derive(Clone, Debug, Default)]
pub struct PartDigests {
    octets: Option<Bytes>,
    digests: Vec<Digest>,
}

impl PartDigests {
    /// A part that is in memory.
    pub fn of(octets: Bytes) -> Self {
        Self { octets: Some(octets), digests: Vec::new() }
    }

    /// A part of which only a digest is known.
    pub fn known(digest: Digest) -> Self {
        Self { octets: None, digests: vec![digest] }
    }

    /// Adds a digest that was computed already.
    #[must_use]
    pub fn with(mut self, digest: Digest) -> Self {
        self.digests.push(digest);
        self
    }

    /// The octets, if they are in memory.
    pub fn octets(&self) -> Option<&Bytes> {
        self.octets.as_ref()
    }

    /// The digest of this algorithm: known, or computed from the octets; none if neither is possible.
    pub fn digest(&self, algorithm: DigestAlgorithm) -> Option<Digest> {
        let known = self.digests.iter().find(|digest| digest.algorithm() == algorithm).copied();
        known.or_else(|| self.octets.as_ref().map(|octets| algorithm.digest(octets)))
    }

    /// The digest after canonicalisation; needs the octets, and that they are XML.
    pub(crate) fn transformed(
        &self,
        transforms: &[Canonicalization],
        algorithm: DigestAlgorithm,
    ) -> Option<Digest> {
        if transforms.is_empty() {
            return self.digest(algorithm);
        }
        let mut octets = self.octets.clone()?;
        for transform in transforms {
            let document = Document::parse(&octets, &Limits::default()).ok()?;
            octets = Bytes::from(document.canonicalize(transform));
        }
        Some(algorithm.digest(&octets))
    }
}

/// Everything that was received with a signature.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// `/message.xml`
    pub message: PartDigests,
    /// `/attachment1`, `/attachment2` and so on; of a REST message only the body.
    pub attachments: Vec<PartDigests>,
    /// `/sig-hashchainresult.xml`
    pub hash_chain_result: Option<Bytes>,
    /// `/sig-hashchain.xml`
    pub hash_chain: Option<Bytes>,
}

impl Parts {
    /// The part of this name, as references of a signature name it.
    pub fn part(&self, name: &str) -> Option<PartDigests> {
        match name {
            hash_chain::MESSAGE => Some(self.message.clone()),
            hash_chain::SIGNATURE_CHAIN_RESULT => self.hash_chain_result.clone().map(PartDigests::of),
            _ => self.attachments.get(attachment_number(name)?.checked_sub(1)?).cloned(),
        }
    }
}

/// N of `/attachmentN`, without sign or leading zero.
pub(super) fn attachment_number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix(hash_chain::ATTACHMENT)?;
    let number: usize = digits.parse().ok()?;
    (number > 0 && number.to_string() == digits).then_some(number)
}
