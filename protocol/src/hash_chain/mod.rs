//! Hash chains: one signature or time-stamp over many messages (signatures and evidence §2).
//!
//! [`signature_batch`] and [`timestamp_batch`] build a tree and write one chain document for each
//! input; [`verify`] follows one back. There is no domain separation between leaves and inner values; the format is X-Road's.

mod build;
mod document;
mod plain;
mod step;
#[cfg(test)]
mod tests;
mod verify;

pub use build::{
    Batch, TimestampChains, signature_batch, timestamp_batch, timestamp_chain, timestamp_result,
};
pub use verify::{CoveredPart, RequiredInput, Rules, Source, verify};

/// Namespace of chain documents; the prefix is free.
pub const NAMESPACE: &str = "http://cyber.ee/hashchain";

/// Name of a message part in a chain and in a signature.
pub const MESSAGE: &str = "/message.xml";

/// Start of the name of every attachment.
pub const ATTACHMENT: &str = "/attachment";

/// Name of the signature document in a time-stamp chain.
pub const SIGNATURES: &str = "/META-INF/signatures.xml";

/// Name of the chain result that a signature refers to.
pub const SIGNATURE_CHAIN_RESULT: &str = "/sig-hashchainresult.xml";

/// Name of the chain of a signature.
pub const SIGNATURE_CHAIN: &str = "/sig-hashchain.xml";

/// Name of the chain result that a time-stamp covers.
pub const TIMESTAMP_CHAIN_RESULT: &str = "/ts-hashchainresult.xml";

/// Name of the chain of a time-stamp.
pub const TIMESTAMP_CHAIN: &str = "/ts-hashchain.xml";
