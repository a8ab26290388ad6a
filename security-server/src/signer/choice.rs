//! Which certificate signs for a member (signatures and evidence §7.2).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use certs::certificate::Certificate;
use certs::key::PrivateKey;
use certs::trust::TrustStore;
use gateway::snapshot::Snapshot;
use protocol::fault::{Fault, code};
use protocol::id::{ClientId, MemberId};
use protocol::signature::{CertificateRef, SigningEvidence};
use protocol::time::UtcTime;

use super::OwnOcsp;
use super::worker::Worker;

/// A choice is made anew at least this often.
const LONGEST: Duration = Duration::from_secs(300);

/// A certificate that may be chosen, and the thread that has its key.
pub(super) struct Candidate {
    pub(super) key: Arc<PrivateKey>,
    pub(super) certificate: Certificate,
    pub(super) worker: Arc<Worker>,
}

/// The certificates of one member in the order of preference, and the choice in force.
pub(super) struct Choices {
    member: ClientId,
    candidates: Vec<Candidate>,
    current: ArcSwapOption<Choice>,
}

/// A chosen certificate with everything about it that goes into a signature document.
pub(super) struct Choice {
    pub(super) key: Arc<PrivateKey>,
    pub(super) evidence: Arc<SigningEvidence>,
    pub(super) worker: Arc<Worker>,
    made_of: (u64, u64), // generation of the snapshot, round of OCSP responses
    from: UtcTime,
    until: UtcTime,
}

impl Choices {
    pub(super) fn new(member: MemberId, candidates: Vec<Candidate>) -> Self {
        Self { member: member.into(), candidates, current: ArcSwapOption::empty() }
    }

    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The first certificate that can be used now.
    ///
    /// # Errors
    /// `cannot_create_signature` with the reason why the last of them cannot.
    pub(super) fn choose(
        &self,
        snapshot: &Snapshot,
        ocsp: &dyn OwnOcsp,
        now: UtcTime,
    ) -> Result<Arc<Choice>, Fault> {
        let made_of = (snapshot.generation(), ocsp.round());
        if let Some(choice) = self.current.load_full()
            && choice.made_of == made_of
            && choice.from <= now
            && now < choice.until
        {
            return Ok(choice);
        }
        let freshness = Duration::from_secs(snapshot.configuration().ocsp_freshness_seconds());
        let mut reason = String::from("the member has no signing certificate");
        for candidate in &self.candidates {
            match self.evidence(candidate, snapshot.trust(), freshness, ocsp, now) {
                Ok((evidence, until)) => {
                    let choice = Arc::new(Choice {
                        key: Arc::clone(&candidate.key),
                        evidence: Arc::new(evidence),
                        worker: Arc::clone(&candidate.worker),
                        made_of,
                        from: now,
                        until: until.min(now.plus(LONGEST)),
                    });
                    self.current.store(Some(Arc::clone(&choice)));
                    return Ok(choice);
                }
                Err(fault) => {
                    let certificate = candidate.certificate.subject_name();
                    tracing::warn!(member = %self.member, %certificate, %fault, "a signing certificate is not usable");
                    reason = fault.text;
                }
            }
        }
        Err(Fault::new(
            code::CANNOT_CREATE_SIGNATURE,
            format!("no usable signing certificate of {}: {reason}", self.member),
        ))
    }

    /// What goes into the document, and until when it may.
    fn evidence(
        &self,
        candidate: &Candidate,
        trust: &TrustStore,
        freshness: Duration,
        ocsp: &dyn OwnOcsp,
        now: UtcTime,
    ) -> Result<(SigningEvidence, UtcTime), Fault> {
        let certificate = &candidate.certificate;
        if !certificate.is_valid_at(now) {
            return Err(Fault::new(code::CERT_VALIDATION, "it is expired or not valid yet"));
        }
        trust.member_of_signing_certificate(certificate, &self.member)?;
        let chain = trust.own_chain(certificate);
        let mut evidence = SigningEvidence {
            certificate: certificate.der().clone(),
            issuer_name: certificate.issuer_name(),
            serial: certificate.serial_decimal(),
            intermediates: Vec::new(),
            ocsp_responses: Vec::new(),
        };
        let mut until = certificate.not_after();
        let above = chain.iter().filter(|link| link.der() != certificate.der());
        for link in std::iter::once(certificate).chain(above) {
            let response = ocsp.good(link, trust, now)?;
            until = until.min(link.not_after()).min(response.this_update().plus(freshness));
            until = response.next_update().map_or(until, |next| until.min(next));
            evidence.ocsp_responses.push(response.der().clone());
            if link.der() != certificate.der() {
                evidence.intermediates.push(CertificateRef {
                    der: link.der().clone(),
                    issuer_name: link.issuer_name(),
                    serial: link.serial_decimal(),
                });
            }
        }
        Ok((evidence, until))
    }
}
