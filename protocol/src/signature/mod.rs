//! Signature documents: what is signed, and what is read back (signatures and evidence §1).
//!
//! Building ([`prepare`]) writes the canonical octets directly; nothing is parsed or canonicalised.

mod algorithm;
mod build;
mod document;
mod parts;
mod references;
mod schema;
mod template;
#[cfg(test)]
mod tests;
mod timestamp;

pub use algorithm::{SignatureAlgorithm, SignatureScheme};
pub use build::{CertificateRef, SignedReference, SigningEvidence, Unsigned, prepare};
pub use document::SignatureDocument;
pub use parts::{PartDigests, Parts};
pub use references::References;
pub use template::Template;
pub use timestamp::insert_timestamp;

pub use crate::hash_chain::Rules;
