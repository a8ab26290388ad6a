//! What makes a signed message the same as another one.
//!
//! A message that is taken twice must be known again even when everything is changed in it that can be
//! changed without the signing key. So nothing counts but what the key vouches for: the canonical
//! `SignedInfo`, the part of the signature value that only the key can make, and the place of the message
//! in the batch that was signed. White space, unsigned properties, the written form of the hash chain and
//! all that travels beside the signature do not.
//!
//! Nothing else may count either: a client may send the same words twice, and means two messages. They
//! are signed twice, or once each in two places of a batch, and differ in one of the three.

use bytes::Bytes;
use protocol::digest::{DigestAlgorithm, Hasher};
use protocol::fault::Fault;
use protocol::hash_chain::{self, Source};
use protocol::signature::{Rules, SignatureDocument, SignatureScheme};
use protocol::time::UtcTime;

/// A message that was signed, told from all others.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MessageIdentity(pub [u8; 16]);

/// A signature, and what is known of it without the message.
#[derive(Clone, Debug)]
pub(super) struct SignatureIdentity {
    /// Of signed octets and signature value.
    octets: [u8; 32],
    /// Of the signing certificate.
    pub(super) signer: u64,
    /// When it was made, by the signer's clock.
    pub(super) signed: Option<UtcTime>,
}

/// What identifies a message that lies in a log with its evidence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoggedIdentity {
    /// The message.
    pub identity: MessageIdentity,
    /// A number for the signing certificate.
    pub signer: u64,
    /// When it was signed, by the signer's clock.
    pub signed: Option<UtcTime>,
}

impl SignatureIdentity {
    pub(super) fn of(signature: &SignatureDocument) -> Self {
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        hasher.update(&length(signature.signed_info_octets()));
        hasher.update(signature.signed_info_octets());
        hasher.update(unforgeable(signature));
        let signer = DigestAlgorithm::Sha256.digest(signature.certificate());
        let signer = signer.bytes().first_chunk().copied().unwrap_or_default();
        Self {
            octets: hasher.finish().bytes().first_chunk().copied().unwrap_or_default(),
            signer: u64::from_le_bytes(signer),
            signed: signature.signing_time(),
        }
    }

    /// The identity of the message at this place of the batch.
    pub(super) fn message(&self, place: &[u32]) -> MessageIdentity {
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        hasher.update(&self.octets);
        for number in place {
            hasher.update(&number.to_le_bytes());
        }
        MessageIdentity(hasher.finish().bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// The signature value without what anybody can change in it: of an ECDSA value (r, s) both s and −s
/// verify, and numbers may have zeros before them.
fn unforgeable(signature: &SignatureDocument) -> &[u8] {
    let value = signature.value();
    let value = match signature.algorithm().scheme {
        SignatureScheme::Ecdsa => value.get(..value.len() / 2).unwrap_or(value),
        SignatureScheme::RsaPkcs1 | SignatureScheme::RsaPss => value,
    };
    let zeros = value.iter().take_while(|octet| **octet == 0).count();
    value.get(zeros..).unwrap_or_default()
}

fn length(octets: &[u8]) -> [u8; 8] {
    (octets.len() as u64).to_le_bytes()
}

/// Identifies messages of which only the evidence is at hand; they were verified when they were logged.
#[derive(Debug, Default)]
pub struct LoggedIdentities {
    /// The last signature document: messages of a batch lie together.
    last: Option<(Bytes, SignatureIdentity)>,
}

impl LoggedIdentities {
    /// The identity of the message with this evidence.
    ///
    /// # Errors
    /// The signature or its hash chain cannot be read.
    pub fn identify(
        &mut self,
        document: &Bytes,
        hash_chain_result: Option<&Bytes>,
        hash_chain: Option<&Bytes>,
    ) -> Result<LoggedIdentity, Fault> {
        let signature = match self.last.take() {
            Some((last, signature)) if last == *document => signature,
            _ => SignatureIdentity::of(&SignatureDocument::parse(document.clone(), Rules::Evidence)?),
        };
        let place = match (hash_chain_result, hash_chain) {
            (Some(result), Some(chain)) => {
                let source = |name: &str| match name {
                    hash_chain::SIGNATURE_CHAIN => Source::Octets(chain.clone()),
                    _ => Source::Unresolved,
                };
                let covered = hash_chain::verify(result, &source, &[], Rules::Evidence)?;
                covered.into_iter().find(|part| part.name == hash_chain::MESSAGE).map(|part| part.place)
            }
            _ => None,
        };
        let identity = signature.message(&place.unwrap_or_default());
        let message = LoggedIdentity { identity, signer: signature.signer, signed: signature.signed };
        self.last = Some((document.clone(), signature));
        Ok(message)
    }
}
