//! Signature documents: what is signed, and what is read back (signatures and evidence §1).

mod algorithm;

pub use algorithm::{SignatureAlgorithm, SignatureScheme};
