//! Checking a token (signatures and evidence §3.3).

use std::time::Duration;

use bytes::Bytes;
use protocol::digest::Digest;
use protocol::fault::{self, Fault};
use protocol::signature::SignatureAlgorithm;
use protocol::time::UtcTime;

use super::code;
use super::token::{SignerId, TST_INFO, TimestampToken};
use crate::certificate::Certificate;
use crate::key::{self, SignatureForm};
use crate::trust::TrustStore;

/// How far the time of a fresh token may lie from our clock.
const TOLERANCE: Duration = Duration::from_secs(300);

/// How the signature of a token is verified: as of today, or as evidence that may be old.
type Verifier = fn(&[u8], SignatureAlgorithm, &[u8], &[u8], SignatureForm) -> bool;

/// A time-stamp that a service just gave, ready to be stored.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The token in DER, the approved certificate of its signer inside.
    pub token: Bytes,
    /// When it was stamped.
    pub time: UtcTime,
}

/// Takes and checks what a time-stamping service answered to the request for `imprint` (§3.2, §3.3),
/// with the stricter rules for fresh tokens: the time is near `now`, and the token signs the digest of
/// its signer's certificate.
///
/// # Errors
/// The codes of [`code`].
pub fn accept(
    response: &[u8],
    imprint: &Digest,
    trust: &TrustStore,
    now: UtcTime,
) -> Result<Accepted, Fault> {
    let token = TimestampToken::from_response(response, imprint)?;
    let signer = token.verify(trust, key::verify)?;
    let invalid = |text: &str| Fault::new(code::VALIDATION_FAILED, text);
    let certificate = token.attributes.certificate.as_ref();
    if certificate.is_none_or(|digest| digest.algorithm().digest(signer.der()) != *digest) {
        return Err(invalid("the time-stamp signs the digest of another certificate"));
    }
    if token.time() < now.minus(TOLERANCE) || token.time() > now.plus(TOLERANCE) {
        return Err(invalid("the time of the time-stamp is more than five minutes from ours"));
    }
    Ok(Accepted { token: token.with_certificate(signer.der())?, time: token.time() })
}

impl TimestampToken {
    /// Checks that the token is over these octets and comes from an approved service; gives its time.
    ///
    /// # Errors
    /// `malformed_signature` when it is over something else, and the codes of [`code`].
    pub fn check(&self, stamped: &[u8], trust: &TrustStore) -> Result<UtcTime, Fault> {
        self.check_digest(&self.imprint().algorithm().digest(stamped), trust)
    }

    /// As [`TimestampToken::check`], for octets of which the digest is known. It must be made with the
    /// token's own algorithm.
    ///
    /// # Errors
    /// As [`TimestampToken::check`].
    pub fn check_digest(&self, stamped: &Digest, trust: &TrustStore) -> Result<UtcTime, Fault> {
        if stamped != self.imprint() {
            return Err(Fault::new(
                fault::code::MALFORMED_SIGNATURE,
                "the time-stamp is over other octets than these",
            ));
        }
        self.verify(trust, key::verify_archived)?;
        Ok(self.time())
    }

    /// Steps 2 to 4: the approved certificate that signed the token.
    fn verify<'a>(&self, trust: &'a TrustStore, verifies: Verifier) -> Result<&'a Certificate, Fault> {
        let candidates = trust.timestamping_authorities();
        if candidates.is_empty() {
            return Err(Fault::new(code::NO_PROVIDER, "no time-stamping service is approved"));
        }
        let mut fault = Fault::new(
            code::CERTIFICATE_NOT_FOUND,
            "the signer of the time-stamp is no approved time-stamping service",
        );
        // The same service may be approved with an old and a new certificate of one serial number.
        for candidate in candidates.iter().map(|service| &service.certificate) {
            if !self.is_signed_in_the_name_of(candidate) {
                continue;
            }
            match self.verify_with(candidate, verifies) {
                Ok(()) => return Ok(candidate),
                Err(text) => fault = Fault::new(code::VERIFICATION_FAILED, text),
            }
        }
        Err(fault)
    }

    fn is_signed_in_the_name_of(&self, candidate: &Certificate) -> bool {
        match self.signer() {
            SignerId::IssuerAndSerial(issuer, serial) => {
                candidate.serial() == &serial[..] && candidate.issuer() == issuer
            }
            SignerId::KeyId(id) => candidate.subject_key_id().is_some_and(|own| own == &id[..]),
        }
    }

    fn verify_with(&self, candidate: &Certificate, verifies: Verifier) -> Result<(), &'static str> {
        if self.attributes.content_type != Some(TST_INFO) {
            return Err("the signed content type is not that of a time-stamp");
        }
        if self.attributes.message_digest.as_deref() != Some(self.content_digest.bytes()) {
            return Err("the signed digest is not that of the time-stamp");
        }
        if self.attributes.signing_time.is_some_and(|at| !candidate.is_valid_at(at)) {
            return Err("the signing time lies outside the validity of the signer's certificate");
        }
        let algorithm = self.algorithm.ok_or("the signature algorithm is not accepted")?;
        verifies(candidate.public_key(), algorithm, &self.signed, &self.signature, SignatureForm::Der)
            .then_some(())
            .ok_or("the signature of the time-stamp does not verify")
    }
}
