//! Verifying signatures of messages and evidence containers (signatures and evidence §5).
//!
//! [`verify_message`] is the check that every message passes on its way. [`verify_container`] checks
//! evidence long after, and tells step by step what holds.

mod container;
mod identity;
mod memory;
mod message;
mod report;
mod signers;

pub use container::verify_container;
pub use identity::{LoggedIdentities, LoggedIdentity, MessageIdentity};
pub use memory::VerifiedSignatures;
pub use message::{SignedMessage, verify_and_identify, verify_archived, verify_message};
pub use report::{AttachmentReport, AttachmentVerdict, OcspReport, Report, Step, Verdict};
