//! The signature of a message on its way (§5.1).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::fault::{Fault, code};
use protocol::id::ClientId;
use protocol::signature::{Parts, References, Rules, SignatureDocument};
use protocol::time::UtcTime;

use super::identity::{MessageIdentity, SignatureIdentity};
use super::memory::{Verified, VerifiedSignatures};
use crate::certificate::{Certificate, KeyUsage};
use crate::key::{self, SignatureForm};
use crate::ocsp::{self, OcspResponse};
use crate::trust::{Path, PathUse, TrustStore};

/// Verifies the signature of a message that was just received.
///
/// `document` is the signature part, `signer` who must have signed: the client of a request, the provider
/// of the service for a response. With `memory`, what verified for another message of the same batch is
/// not verified again; the hash chain and the reference digests always are.
///
/// # Errors
/// The codes of §5.1 behind `signature_verification`.
pub fn verify_message(
    document: &Bytes,
    parts: &Parts,
    signer: &ClientId,
    trust: &TrustStore,
    memory: Option<&VerifiedSignatures>,
    at: UtcTime,
) -> Result<(), Fault> {
    verify_and_identify(document, parts, signer, trust, memory, at).map(drop)
}

/// A message whose signature verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedMessage {
    /// The octets of the signature document, held in one place for all messages that it signs.
    pub document: Bytes,
    /// How old the evidence is that the certificate was good: `thisUpdate` of the oldest OCSP response
    /// that the verdict rests on. Who wants it fresher than the instance's setting compares it with the
    /// time.
    pub status_of: UtcTime,
    /// Tells it from all other signed messages.
    pub identity: MessageIdentity,
    /// A number for the signing certificate.
    pub signer: u64,
    /// When it was signed, by the signer's clock.
    pub signed: Option<UtcTime>,
}

/// As [`verify_message`]; tells which message it is.
///
/// # Errors
/// As [`verify_message`].
pub fn verify_and_identify(
    document: &Bytes,
    parts: &Parts,
    signer: &ClientId,
    trust: &TrustStore,
    memory: Option<&VerifiedSignatures>,
    at: UtcTime,
) -> Result<SignedMessage, Fault> {
    verify(document, parts, signer, trust, memory, at)
        .map_err(|fault| fault.within(code::SIGNATURE_VERIFICATION))
}

fn verify(
    document: &Bytes,
    parts: &Parts,
    signer: &ClientId,
    trust: &TrustStore,
    memory: Option<&VerifiedSignatures>,
    at: UtcTime,
) -> Result<SignedMessage, Fault> {
    let member = signer.member();
    // A signature over one message alone does not come again, so there is nothing to recall.
    let comes_again = memory.filter(|_| parts.hash_chain.is_some());
    if let Some(memory) = comes_again
        && let Some((verified, document)) = memory.recall(document, member, trust, at)
    {
        let place = verified.references.check(parts)?;
        return Ok(verified.message(document, &place));
    }
    let (verified, place) = match memory.and_then(|memory| memory.signers.read(document, member, trust, at)) {
        Some((signature, known)) => {
            let references = signature.references();
            references.check_coverage(parts)?;
            let place = references.check_hash_chain(parts)?;
            signature_value(&signature, &known.certificate)?;
            references.check_digests(&|name| parts.part(name))?;
            let verified = Verified {
                signer: member.clone(),
                references: Arc::new(references.clone()),
                identity: SignatureIdentity::of(&signature),
                status_of: known.status_of,
                from: known.from,
                until: known.until,
            };
            (verified, place)
        }
        None => {
            let signature = SignatureDocument::parse(document.clone(), Rules::Message)?;
            let Checked { verified, place, certificate } =
                check(&signature, parts, signer, trust, Rules::Message, at)?;
            if let Some(memory) = memory {
                memory.signers.remember(&signature, certificate, &verified, trust, at);
            }
            (verified, place)
        }
    };
    let message = verified.message(document.clone(), &place);
    Ok(match comes_again {
        Some(memory) => SignedMessage { document: memory.remember(document, verified, trust, at), ..message },
        None => message,
    })
}

impl Verified {
    fn message(&self, document: Bytes, place: &[u32]) -> SignedMessage {
        SignedMessage {
            document,
            status_of: self.status_of,
            identity: self.identity.message(place),
            signer: self.identity.signer,
            signed: self.identity.signed,
        }
    }
}

/// A message that passed [`check`].
struct Checked {
    verified: Verified,
    /// Of the message in its batch.
    place: Vec<u32>,
    certificate: Certificate,
}

/// Verifies a signature as it was at a time, by the rules for evidence that may be old (§1.7, §0.3).
///
/// # Errors
/// The codes of §5.1, without the prefix of the message path.
pub fn verify_archived(
    document: &Bytes,
    parts: &Parts,
    signer: &ClientId,
    trust: &TrustStore,
    at: UtcTime,
) -> Result<(), Fault> {
    let signature = SignatureDocument::parse(document.clone(), Rules::Evidence)?;
    check(&signature, parts, signer, trust, Rules::Evidence, at).map(drop)
}

/// Steps 4 to 11, in their order.
fn check(
    signature: &SignatureDocument,
    parts: &Parts,
    signer: &ClientId,
    trust: &TrustStore,
    rules: Rules,
    at: UtcTime,
) -> Result<Checked, Fault> {
    let references = signature.references();
    references.check_coverage(parts)?;
    let place = references.check_hash_chain(parts)?;
    let certificate = signing_certificate(signature)?;
    trust.member_of_signing_certificate(&certificate, signer)?;
    signature_value(signature, &certificate)?;
    references.check_digests(&|name| parts.part(name))?;
    let path = path(signature, &certificate, signer, trust, rules, at)?;
    let responses = ocsp_responses(signature);
    ocsp::check_path(&path, &responses, trust, at)?;
    let identity = SignatureIdentity::of(signature);
    let verified = dated(signer, references, identity, &path, &responses, trust, at);
    Ok(Checked { verified, place, certificate })
}

/// The verdict with the time for which it would be the same.
fn dated(
    signer: &ClientId,
    references: &References,
    identity: SignatureIdentity,
    path: &Path,
    responses: &[OcspResponse],
    trust: &TrustStore,
    at: UtcTime,
) -> Verified {
    let ids: Vec<Vec<u8>> =
        path.with_issuers().map(|(subject, issuer)| ocsp::certificate_id(subject, issuer)).collect();
    let used: Vec<&OcspResponse> = ids
        .iter()
        .filter_map(|id| responses.iter().find(|response| response.certificate_id() == &id[..]))
        .collect();
    let status_of = used.iter().map(|response| response.this_update()).min().unwrap_or(at);
    let freshness = Duration::from_secs(trust.configuration().ocsp_freshness_seconds());
    let ends = path.certificates.iter().map(Certificate::not_after);
    let next = used.iter().filter_map(|response| response.next_update());
    Verified {
        signer: signer.member().clone(),
        references: Arc::new(references.clone()),
        identity,
        status_of,
        from: path.certificates.iter().map(Certificate::not_before).max().unwrap_or(at),
        until: ends.chain(next).chain([status_of.plus(freshness)]).min().unwrap_or(at),
    }
}

/// The certificate in `KeyInfo`; its key may sign documents.
pub(super) fn signing_certificate(signature: &SignatureDocument) -> Result<Certificate, Fault> {
    let malformed = |text: String| Fault::new(code::MALFORMED_SIGNATURE, text);
    let certificate = Certificate::from_der(signature.certificate().clone())
        .map_err(|error| malformed(format!("the signing certificate cannot be read: {error}")))?;
    match certificate.key_usage() {
        None => Err(Fault::new(code::INTERNAL_ERROR, "the signing certificate has no key usage")),
        Some(usage) if !usage.has(KeyUsage::NON_REPUDIATION) => {
            Err(malformed("the certificate is not one for signatures".to_owned()))
        }
        Some(_) => Ok(certificate),
    }
}

pub(super) fn signature_value(signature: &SignatureDocument, certificate: &Certificate) -> Result<(), Fault> {
    let verifies = key::verify(
        certificate.public_key(),
        signature.algorithm(),
        signature.signed_info_octets(),
        signature.value(),
        SignatureForm::Raw,
    );
    if verifies {
        Ok(())
    } else {
        Err(Fault::new(code::INVALID_SIGNATURE_VALUE, "the signature value does not verify"))
    }
}

pub(super) fn path(
    signature: &SignatureDocument,
    certificate: &Certificate,
    signer: &ClientId,
    trust: &TrustStore,
    rules: Rules,
    at: UtcTime,
) -> Result<Path, Fault> {
    // What cannot be read cannot be part of the path; the path does without it or fails.
    let additional: Vec<Certificate> =
        signature.intermediates().iter().filter_map(|der| Certificate::from_der(der.clone()).ok()).collect();
    let instance = signer.instance();
    let used = match rules {
        Rules::Message => PathUse::Signature { instance },
        Rules::Evidence => PathUse::ArchivedSignature { instance },
    };
    trust.validate_path(certificate, &additional, used, at)
}

/// The responses of the document. One that cannot be read is as if it were not there.
pub(super) fn ocsp_responses(signature: &SignatureDocument) -> Vec<OcspResponse> {
    signature.ocsp_responses().iter().filter_map(|der| OcspResponse::parse(der.clone()).ok()).collect()
}
