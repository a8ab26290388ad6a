//! The thread that signs with one key under one certificate.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use certs::key::{PrivateKey, SignatureForm};
use gateway::Clock;
use gateway::ports::Signed;
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::fault::{Fault, code};
use protocol::hash_chain;
use protocol::signature::{SignatureAlgorithm, SignedReference, SigningEvidence, prepare};
use tokio::sync::oneshot;

/// Messages that share a signature at most. A chain of this many has ten steps.
const LARGEST_BATCH: usize = 1024;

/// One message that waits for its signature.
pub(super) struct Job {
    pub(super) evidence: Arc<SigningEvidence>,
    pub(super) parts: Vec<Digest>,
    pub(super) answer: oneshot::Sender<Result<Signed, Fault>>,
}

/// Hands jobs to the thread. The thread ends when the last owner of the worker is gone.
pub(super) struct Worker {
    jobs: Sender<Job>,
}

impl Worker {
    pub(super) fn start(
        key: Arc<PrivateKey>,
        algorithm: SignatureAlgorithm,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = channel();
        std::thread::Builder::new().name("signer".to_owned()).stack_size(512 << 10).spawn(move || {
            while let Some(batch) = next_batch(&waiting) {
                sign(&Hand { key: key.as_ref(), algorithm, clock }, batch);
            }
        })?;
        Ok(Self { jobs })
    }

    pub(super) fn queue(&self, job: Job) -> Result<(), Fault> {
        self.jobs.send(job).map_err(|_| failed("the signing thread has ended"))
    }
}

pub(super) fn failed(why: &str) -> Fault {
    Fault::new(code::CANNOT_CREATE_SIGNATURE, why)
}

/// Waits for a message, then takes along all that wait already and whose callers are still there.
fn next_batch(waiting: &Receiver<Job>) -> Option<Vec<Job>> {
    loop {
        let first = waiting.recv().ok()?;
        // Where threads wait for a processor, the data plane goes first: what it has ready joins this
        // batch. With a processor to spare this costs nothing, and there is no timer.
        std::thread::yield_now();
        let batch: Vec<Job> = std::iter::once(first)
            .chain(waiting.try_iter())
            .filter(|job| !job.answer.is_closed())
            .take(LARGEST_BATCH)
            .collect();
        if !batch.is_empty() {
            return Some(batch);
        }
    }
}

/// What a signature takes besides what is signed.
struct Hand<'a> {
    key: &'a PrivateKey,
    algorithm: SignatureAlgorithm,
    clock: Clock,
}

fn sign(hand: &Hand<'_>, batch: Vec<Job>) {
    // All jobs have one certificate; the last came with the newest OCSP responses.
    let Some(evidence) = batch.last().map(|job| Arc::clone(&job.evidence)) else { return };
    let (messages, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.parts, job.answer)).unzip();
    match signed(hand, &evidence, &messages) {
        Ok(signed) => {
            for (answer, signed) in answers.into_iter().zip(signed) {
                // A caller that went away meanwhile needs no signature.
                drop(answer.send(Ok(signed)));
            }
        }
        Err(fault) => {
            for answer in answers {
                drop(answer.send(Err(fault.clone())));
            }
        }
    }
}

/// One signature over all messages (§1.6, §2.3).
fn signed(
    hand: &Hand<'_>,
    evidence: &SigningEvidence,
    messages: &[Vec<Digest>],
) -> Result<Vec<Signed>, Fault> {
    let document = |reference| {
        let unsigned = prepare(evidence, reference, hand.algorithm, hand.clock.now());
        match hand.key.sign(hand.algorithm, unsigned.octets(), SignatureForm::Raw) {
            Ok(value) => Ok(unsigned.finish(&value)),
            Err(error) => Err(failed(&error.to_string())),
        }
    };
    if let [message] = messages
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
