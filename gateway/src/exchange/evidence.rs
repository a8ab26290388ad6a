//! The signature of a received message, and what is durable of a message.

use bytes::Bytes;
use certs::evidence::{SignedMessage, verify_and_identify};
use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, code};
use protocol::id::ClientId;
use protocol::signature::{PartDigests, Parts};
use protocol::time::UtcTime;

use super::framing::Attachment;
use super::refusal::Refusal;
use crate::node::Node;
use crate::policy::Terms;
use crate::ports::{LogEntry, LogError, LogPosition, Signed};
use crate::snapshot::Snapshot;

/// A message with its evidence, as it was received.
pub(super) struct Signature<'a> {
    /// The octets of `/message.xml`.
    pub(super) message: &'a Bytes,
    /// The digest algorithm of the message. Attachments have theirs with them.
    pub(super) algorithm: DigestAlgorithm,
    /// The attachments; of a REST message, its body.
    pub(super) attachments: &'a [Attachment],
    /// Signature and hash chain.
    pub(super) signed: &'a Signed,
}

impl Signature<'_> {
    /// Verifies that a member signed head and body: all checks of 'signatures and evidence' §5.1, the
    /// coverage rule of §4.4.4, and the liveness that the node-class policy asks for. Tells which message
    /// it is.
    ///
    /// # Errors
    /// `signature_verification` and what is below it; `access_denied.node_class_policy`.
    pub(super) fn verify(
        &self,
        node: &Node,
        snapshot: &Snapshot,
        signer: &ClientId,
        terms: &Terms,
        now: UtcTime,
    ) -> Result<SignedMessage, Fault> {
        let message = match &self.signed.hash_chain_result {
            // In a hash chain the parts have the announced algorithm and no other.
            Some(_) => PartDigests::known(self.algorithm.digest(self.message)),
            None => PartDigests::of(self.message.clone()),
        };
        let parts = Parts {
            message,
            attachments: self
                .attachments
                .iter()
                .map(|attachment| PartDigests::known(*attachment.body.digest()))
                .collect(),
            hash_chain_result: self.signed.hash_chain_result.clone(),
            hash_chain: self.signed.hash_chain.clone(),
        };
        let memory = Some(&node.signatures);
        let message =
            verify_and_identify(&self.signed.document, &parts, signer, snapshot.trust(), memory, now)?;
        node.stats.signatures_verified();
        terms.check_ocsp("signing", message.status_of, now)?;
        Ok(message)
    }
}

/// Makes a message durable.
///
/// # Errors
/// `logging_failed` and what is below it (signatures and evidence §6.4).
pub(super) async fn append(node: &Node, terms: &Terms, entry: LogEntry) -> Result<LogPosition, Refusal> {
    node.log.append(entry, terms.synchronous_timestamp).await.map_err(|error| {
        let refused = |code, text| Refusal::because(code, text, &error).within(code::LOGGING_FAILED);
        match &error {
            LogError::Full(_) => refused(code::LOGGING_FAILED, "the message log has no room"),
            LogError::TimestampingOverdue(_) => {
                refused(code::TIMESTAMPING_FAILED, "time-stamping has been failing for too long")
            }
            LogError::NoTimestampingService => {
                refused("mlog.no_timestamping_provider_found", "no time-stamping service is configured")
            }
            LogError::Timestamp(_) => {
                refused(code::TIMESTAMPING_FAILED, "the message could not be time-stamped")
            }
            LogError::Unavailable(_) => refused(code::LOGGING_FAILED, "the message could not be logged"),
        }
    })
}
