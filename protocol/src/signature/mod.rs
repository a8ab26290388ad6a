//! Signature documents: what is signed, and what is read back (signatures and evidence §1).
//!
//! Building ([`prepare`]) writes the canonical octets directly; nothing is parsed or canonicalised.

mod algorithm;
mod build;

pub use algorithm::{SignatureAlgorithm, SignatureScheme};
pub use build::{CertificateRef, SignedReference, SigningEvidence, Unsigned, prepare};
