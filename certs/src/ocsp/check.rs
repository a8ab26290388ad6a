//! Accepting a response (global configuration and trust §16.4, §15.4).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, code};
use protocol::time::UtcTime;

use super::{CertificateStatus, OcspResponse, ResponderId, certificate_id};
use crate::certificate::Certificate;
use crate::key::{self, SignatureForm};
use crate::trust::{CertificationAuthority, Path, TrustStore};

/// Decides whether a response lets `subject` be used at a time: all steps of §16.4 in their order.
///
/// # Errors
/// `incorrect_validation_info` when the response cannot be believed or is not of this time,
/// `cert_validation` when it can and does not say *good*.
pub fn check(
    response: &OcspResponse,
    subject: &Certificate,
    issuer: &Certificate,
    trust: &TrustStore,
    at: UtcTime,
) -> Result<(), Fault> {
    check_current(response, subject, issuer, trust, at)?;
    match response.status() {
        CertificateStatus::Good => Ok(()),
        other => Err(Fault::new(
            code::CERT_VALIDATION,
            format!("OCSP response indicates certificate status is {}", other.name()),
        )),
    }
}

/// Decides whether a response may be kept and handed on, whatever status it tells: §16.4 without its
/// last step.
///
/// # Errors
/// `incorrect_validation_info`.
pub fn check_current(
    response: &OcspResponse,
    subject: &Certificate,
    issuer: &Certificate,
    trust: &TrustStore,
    at: UtcTime,
) -> Result<(), Fault> {
    let responder = check_authentic(response, subject, issuer, trust)?;
    // X-Road lets an expired responder certificate pass. An expired key is one nobody guards any more.
    if at < responder.not_before || at > responder.not_after {
        return Err(refused("the certificate of the OCSP responder is not valid at this time"));
    }
    let configuration = trust.configuration();
    let freshness = Duration::from_secs(configuration.ocsp_freshness_seconds());
    if response.this_update() < at.minus(freshness) {
        return Err(refused("OCSP response is too old"));
    }
    let verify_next_update = configuration.own().is_none_or(|own| own.verify_next_update);
    if verify_next_update && response.next_update().is_some_and(|next| next < at) {
        return Err(refused("the next update of the OCSP response is in the past"));
    }
    Ok(())
}

/// When the certificate of a response's signer is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResponderValidity {
    /// First moment.
    pub not_before: UtcTime,
    /// Last moment.
    pub not_after: UtcTime,
}

/// Decides whether a response is about this certificate and comes from a responder that may speak for
/// its issuer: steps 2 to 5 of §16.4, which do not depend on the time. Successes are remembered as
/// long as the trust store lives.
///
/// # Errors
/// `incorrect_validation_info`.
pub fn check_authentic(
    response: &OcspResponse,
    subject: &Certificate,
    issuer: &Certificate,
    trust: &TrustStore,
) -> Result<ResponderValidity, Fault> {
    let key = Key::of(response, subject, issuer);
    if let Some(known) = trust.verified_responses().get(&key) {
        return Ok(known);
    }
    if response.certificate_id() != certificate_id(subject, issuer) {
        return Err(refused("OCSP response is not about this certificate"));
    }
    let responder = signer_of(response, issuer, trust)?;
    let validity = ResponderValidity { not_before: responder.not_before(), not_after: responder.not_after() };
    trust.verified_responses().put(key, validity);
    Ok(validity)
}

/// The certificate that signed the response and is authorised to. Several certificates may bear the
/// name of the responder, so each that does is tried.
fn signer_of(
    response: &OcspResponse,
    issuer: &Certificate,
    trust: &TrustStore,
) -> Result<Certificate, Fault> {
    let algorithm = response
        .algorithm()
        .ok_or_else(|| refused("OCSP response is signed with an algorithm that is not accepted"))?;
    let embedded: Vec<Certificate> =
        response.certificates().iter().filter_map(|der| Certificate::from_der(der.clone()).ok()).collect();
    let candidates = trust
        .ocsp_certificates()
        .map(|(_, responder)| responder)
        .chain(trust.authorities().iter().map(CertificationAuthority::certificate))
        .chain(std::iter::once(issuer))
        .chain(&embedded)
        .filter(|candidate| is_named(candidate, response.responder()));
    let mut fault = refused("no certificate of the OCSP responder was found");
    for candidate in candidates {
        let signed = key::verify(
            candidate.public_key(),
            algorithm,
            response.signed(),
            response.signature(),
            SignatureForm::Der,
        );
        if !signed {
            fault = refused("the signature of the OCSP response does not verify");
        } else if !is_authorised(candidate, issuer, trust) {
            return Err(refused("the OCSP responder is not authorised for this issuer"));
        } else {
            return Ok(candidate.clone());
        }
    }
    Err(fault)
}

fn is_named(candidate: &Certificate, responder: &ResponderId) -> bool {
    match responder {
        ResponderId::Name(name) => candidate.subject() == name,
        ResponderId::KeyHash(hash) => {
            DigestAlgorithm::Sha1.digest(candidate.public_key_bits()).bytes() == &hash[..]
        }
    }
}

fn is_authorised(responder: &Certificate, issuer: &Certificate, trust: &TrustStore) -> bool {
    let is_listed = || {
        trust
            .ocsp_certificates()
            .any(|(authority, listed)| listed == responder && authority.certificate() == issuer)
    };
    let is_delegated = || {
        responder.extended_key_usage().is_some_and(|usage| usage.ocsp_signing)
            && responder.is_issued_by(issuer)
    };
    responder == issuer || is_listed() || is_delegated()
}

/// Checks a response for every certificate of a path but its anchor (§15.4).
///
/// # Errors
/// `invalid_cert_path.cert_validation` when a response is missing or does not say *good*,
/// `invalid_cert_path.incorrect_validation_info` when one cannot be believed.
pub fn check_path(
    path: &Path,
    responses: &[OcspResponse],
    trust: &TrustStore,
    at: UtcTime,
) -> Result<(), Fault> {
    for (subject, issuer) in path.with_issuers() {
        check_one(subject, issuer, responses, trust, at)
            .map_err(|fault| fault.within(code::INVALID_CERT_PATH))?;
    }
    Ok(())
}

fn check_one(
    subject: &Certificate,
    issuer: &Certificate,
    responses: &[OcspResponse],
    trust: &TrustStore,
    at: UtcTime,
) -> Result<(), Fault> {
    let id = certificate_id(subject, issuer);
    let response = responses.iter().find(|response| response.certificate_id() == id).ok_or_else(|| {
        Fault::new(
            code::CERT_VALIDATION,
            format!("Unable to find OCSP response for certificate {}", subject.subject_name()),
        )
    })?;
    check(response, subject, issuer, trust, at)
}

fn refused(text: &str) -> Fault {
    Fault::new(code::INCORRECT_VALIDATION_INFO, text)
}

/// Responses whose signature and responder were found good.
///
/// Belongs to one trust store, so that a new global configuration starts with nothing remembered.
#[derive(Debug, Default)]
pub(crate) struct VerifiedResponses(Mutex<Generations>);

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, ResponderValidity>,
    old: HashMap<Key, ResponderValidity>,
}

/// Entries of one generation.
const GENERATION: usize = 2048;

/// Response, certificate and issuer by their digests.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Key([protocol::digest::Digest; 3]);

impl Key {
    fn of(response: &OcspResponse, subject: &Certificate, issuer: &Certificate) -> Self {
        Self([*response.digest(), subject.hashes().sha256, issuer.hashes().sha256])
    }
}

impl VerifiedResponses {
    fn get(&self, key: &Key) -> Option<ResponderValidity> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = generations.young.get(key) {
            return Some(*known);
        }
        let known = generations.old.remove(key)?;
        generations.put(*key, known);
        Some(known)
    }

    fn put(&self, key: Key, validity: ResponderValidity) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, validity);
    }
}

impl Generations {
    fn put(&mut self, key: Key, validity: ResponderValidity) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, validity);
    }
}
