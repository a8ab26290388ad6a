//! Signing with one key under one certificate, many messages at once.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use certs::key::{KeyError, KeyKind, PrivateKey, SignatureForm};
use gateway::Clock;
use gateway::ports::Signed;
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::fault::{Fault, code};
use protocol::hash_chain;
use protocol::signature::{SignatureAlgorithm, SignedReference, SigningEvidence, prepare};
use tokio::sync::oneshot;

use crate::gather::Gather;

/// Messages that share a signature at most. A chain of this many has ten steps.
const LARGEST_BATCH: usize = 1024;

/// One message that waits for its signature.
pub(super) struct Job {
    pub(super) evidence: Arc<SigningEvidence>,
    pub(super) parts: Vec<Digest>,
}

/// Signs with one key under one certificate.
pub(super) enum Worker {
    /// Where the message is: for keys that sign faster than a message changes threads.
    Here { hand: Hand, gather: Gather<Job, Result<Signed, Fault>> },
    /// On a thread of its own, which ends when the last owner of the worker is gone.
    Thread(Sender<Waiting>),
}

/// A job at the thread.
pub(super) struct Waiting {
    job: Job,
    answer: oneshot::Sender<Result<Signed, Fault>>,
}

impl Worker {
    /// # Errors
    /// When a thread is needed and cannot be started.
    pub(super) fn start(
        key: Arc<PrivateKey>,
        algorithm: SignatureAlgorithm,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let hand = Hand { key, algorithm, clock };
        // A device lets one wait.
        if hand.key.kind() == KeyKind::P256 && !hand.key.is_on_device() {
            return Ok(Self::Here { hand, gather: Gather::new() });
        }
        let (jobs, waiting) = channel();
        std::thread::Builder::new().name("signer".to_owned()).stack_size(512 << 10).spawn(move || {
            while let Some(batch) = next_batch(&waiting) {
                let (jobs, answers): (Vec<_>, Vec<_>) =
                    batch.into_iter().map(|waiting| (waiting.job, waiting.answer)).unzip();
                for (answer, signed) in answers.into_iter().zip(sign(&hand, jobs)) {
                    // A caller that went away meanwhile needs no signature.
                    drop(answer.send(signed));
                }
            }
        })?;
        Ok(Self::Thread(jobs))
    }

    /// Signs one message together with those that come at the same time.
    pub(super) async fn sign(&self, job: Job) -> Result<Signed, Fault> {
        let signed = match self {
            Self::Here { hand, gather } => {
                let hand = hand.clone();
                gather.ask(job, move |jobs| async move { sign(&hand, jobs) }).await
            }
            Self::Thread(jobs) => {
                let (answer, signed) = oneshot::channel();
                jobs.send(Waiting { job, answer }).ok();
                signed.await.ok()
            }
        };
        signed.unwrap_or_else(|| Err(failed("the signing thread has ended")))
    }
}

pub(super) fn failed(why: &str) -> Fault {
    Fault::new(code::CANNOT_CREATE_SIGNATURE, why)
}

/// Waits for a message, then takes along all that wait already and whose callers are still there.
fn next_batch(waiting: &Receiver<Waiting>) -> Option<Vec<Waiting>> {
    loop {
        let first = waiting.recv().ok()?;
        // Where threads wait for a processor, the data plane goes first: what it has ready joins this
        // batch. With a processor to spare this costs nothing, and there is no timer.
        std::thread::yield_now();
        let batch: Vec<Waiting> = std::iter::once(first)
            .chain(waiting.try_iter())
            .filter(|waiting| !waiting.answer.is_closed())
            .take(LARGEST_BATCH)
            .collect();
        if !batch.is_empty() {
            return Some(batch);
        }
    }
}

/// What a signature takes besides what is signed.
#[derive(Clone)]
pub(super) struct Hand {
    key: Arc<PrivateKey>,
    algorithm: SignatureAlgorithm,
    clock: Clock,
}

/// Signs all of them, in their order.
fn sign(hand: &Hand, mut jobs: Vec<Job>) -> Vec<Result<Signed, Fault>> {
    let mut answers = Vec::with_capacity(jobs.len());
    while !jobs.is_empty() {
        let rest = jobs.split_off(jobs.len().min(LARGEST_BATCH));
        let count = jobs.len();
        match signed(hand, jobs) {
            Ok(signed) => answers.extend(signed.into_iter().map(Ok)),
            Err(fault) => answers.extend((0..count).map(|_| Err(fault.clone()))),
        }
        jobs = rest;
    }
    answers
}

/// One signature over all messages (§1.6, §2.3).
fn signed(hand: &Hand, jobs: Vec<Job>) -> Result<Vec<Signed>, Fault> {
    // All jobs have one certificate; the last came with the newest OCSP responses.
    let Some(evidence) = jobs.last().map(|job| Arc::clone(&job.evidence)) else { return Ok(Vec::new()) };
    let messages: Vec<Vec<Digest>> = jobs.into_iter().map(|job| job.parts).collect();
    let document = |reference| {
        let unsigned = prepare(&evidence, reference, hand.algorithm, hand.clock.now());
        match hand.key.sign(hand.algorithm, unsigned.octets(), SignatureForm::Raw) {
            Ok(value) => Ok(unsigned.finish(&value)),
            Err(KeyError::Device(reason)) => {
                tracing::error!(%reason, "a key on a device does not sign");
                Err(failed("the device with the signing key does not answer"))
            }
            Err(error) => Err(failed(&error.to_string())),
        }
    };
    if let [message] = &messages[..]
        && let [digest] = message[..]
    {
        let document = document(SignedReference::Message(digest))?;
        return Ok(vec![Signed { document, hash_chain_result: None, hash_chain: None }]);
    }
    let parts: Vec<&[Digest]> = messages.iter().map(Vec::as_slice).collect();
    let chain = hash_chain::signature_batch(&parts);
    let result = DigestAlgorithm::Sha512.digest(&chain.result);
    let document = document(SignedReference::HashChainResult(result))?;
    let signed = chain.chains.into_iter().map(|hash_chain| Signed {
        document: document.clone(),
        hash_chain_result: Some(chain.result.clone()),
        hash_chain: Some(hash_chain),
    });
    Ok(signed.collect())
}
