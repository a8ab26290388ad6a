//! Signs messages, many with one signature.
//!
//! A fast key (P-256) signs on the worker that has the message: all that arrived together share one
//! signature. Other certificates have a thread each, and whatever arrived while a signature was being made
//! goes into the next one. There is no timer, so a lone message is signed at once and a crowd shares the
//! cost (signatures and evidence §1.6). Which certificate signs for a member is chosen by §7.2 and
//! remembered until something that the choice rests on may have changed.

mod choice;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use certs::certificate::Certificate;
use certs::key::PrivateKey;
use certs::ocsp::OcspResponse;
use certs::trust::TrustStore;
use gateway::Clock;
use gateway::ocsp::OwnResponses;
use gateway::ports::{BoxFuture, Signed, Signer};
use gateway::snapshot::SnapshotCell;
use protocol::digest::Digest;
use protocol::fault::{Fault, code};
use protocol::id::MemberId;
use protocol::signature::SignatureAlgorithm;
use protocol::time::UtcTime;

use choice::{Candidate, Choices};
use worker::{Job, Worker};

/// A key with a certificate that signs for a member. Only such as are active and registered are given
/// to a signer.
#[derive(Clone)]
pub struct SigningKey {
    /// The private key.
    pub key: Arc<PrivateKey>,
    /// Its certificate.
    pub certificate: Certificate,
    /// The member that the certificate names.
    pub member: MemberId,
    /// What it signs with; one that fits the key.
    pub algorithm: SignatureAlgorithm,
}

/// What a member signs with now.
pub struct Credentials {
    /// The private key. It may be on a device, which lets one wait.
    pub key: Arc<PrivateKey>,
    /// Its certificate, DER.
    pub certificate: Bytes,
    /// An OCSP response by which the certificate may be used now, DER.
    pub ocsp: Bytes,
}

/// Where the OCSP responses of own certificates come from.
pub trait OwnOcsp: Send + Sync {
    /// A response by which the certificate may be used at this time.
    fn good(&self, certificate: &Certificate, trust: &TrustStore, at: UtcTime)
    -> Result<OcspResponse, Fault>;

    /// A number that changes when there are new responses.
    fn round(&self) -> u64;
}

impl OwnOcsp for OwnResponses {
    fn good(
        &self,
        certificate: &Certificate,
        trust: &TrustStore,
        at: UtcTime,
    ) -> Result<OcspResponse, Fault> {
        Self::good(self, certificate, trust, at)
    }

    fn round(&self) -> u64 {
        *self.subscribe().borrow()
    }
}

/// The node's [`Signer`].
pub struct BatchSigner {
    snapshot: Arc<SnapshotCell>,
    ocsp: Arc<dyn OwnOcsp>,
    clock: Clock,
    members: ArcSwap<HashMap<MemberId, Arc<Choices>>>,
}

impl BatchSigner {
    /// A signer without keys.
    pub fn new(snapshot: Arc<SnapshotCell>, ocsp: Arc<dyn OwnOcsp>, clock: Clock) -> Self {
        Self { snapshot, ocsp, clock, members: ArcSwap::default() }
    }

    /// Signs with these keys from now on; the order is that of preference. Threads of certificates that are
    /// no longer there end when they have signed what waits.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn set_keys(&self, keys: Vec<SigningKey>) -> std::io::Result<()> {
        // By certificate, since all messages of a batch share one.
        let mut workers: HashMap<Bytes, Arc<Worker>> = HashMap::new();
        for choices in self.members.load().values() {
            for candidate in choices.candidates() {
                workers.insert(candidate.certificate.der().clone(), Arc::clone(&candidate.worker));
            }
        }
        let mut members: HashMap<MemberId, Vec<Candidate>> = HashMap::new();
        for SigningKey { key, certificate, member, algorithm } in keys {
            let worker = match workers.get(certificate.der()) {
                Some(worker) => Arc::clone(worker),
                None => Arc::new(Worker::start(Arc::clone(&key), algorithm, self.clock)?),
            };
            workers.insert(certificate.der().clone(), Arc::clone(&worker));
            members.entry(member).or_default().push(Candidate { key, certificate, worker });
        }
        let members = members
            .into_iter()
            .map(|(member, candidates)| (member.clone(), Arc::new(Choices::new(member, candidates))));
        self.members.store(Arc::new(members.collect()));
        Ok(())
    }

    /// The key that signs for a member now, for signatures that are not over messages.
    ///
    /// # Errors
    /// As of signing messages.
    pub fn credentials(&self, member: &MemberId) -> Result<Credentials, Fault> {
        let choice = self.choice(member)?;
        let ocsp = choice.evidence.ocsp_responses.first().cloned().ok_or_else(|| {
            Fault::new(code::CANNOT_CREATE_SIGNATURE, "the signing certificate has no OCSP response")
        })?;
        let (key, certificate) = (Arc::clone(&choice.key), choice.evidence.certificate.clone());
        Ok(Credentials { key, certificate, ocsp })
    }

    fn choice(&self, member: &MemberId) -> Result<Arc<choice::Choice>, Fault> {
        let choices = self.members.load().get(member).cloned().ok_or_else(|| {
            Fault::new(code::UNKNOWN_MEMBER, format!("no signing key of {member} at this server"))
        })?;
        let snapshot = self.snapshot.load().ok_or_else(|| {
            Fault::new(code::CANNOT_CREATE_SIGNATURE, "there is no global configuration yet")
        })?;
        choices.choose(&snapshot, self.ocsp.as_ref(), self.clock.now())
    }
}

impl Signer for BatchSigner {
    fn sign<'a>(&'a self, member: &'a MemberId, parts: Vec<Digest>) -> BoxFuture<'a, Result<Signed, Fault>> {
        Box::pin(async move {
            let choice = self.choice(member)?;
            choice.worker.sign(Job { evidence: Arc::clone(&choice.evidence), parts }).await
        })
    }

    fn can_sign(&self, member: &MemberId) -> Result<(), Fault> {
        self.choice(member).map(drop)
    }
}
