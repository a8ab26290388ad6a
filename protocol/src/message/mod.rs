//! REST messages: the signed head of a request and of a response, and what is derived from them.
//!
//! Messages and transport §3. The *blob* is the serialised head; the body, if any, is signed beside it.

mod blob;
pub mod error_body;
pub mod path;
mod request;
mod response;

pub use blob::RestError;
pub use request::RestRequest;
pub use response::RestResponse;

use crate::digest::{Digest, DigestAlgorithm, Hasher};

/// The hash that ties a response to its request (§3.7): `H(blob)`, or `H(H(blob) ‖ digest(body))` when
/// a body part exists. H is SHA-512; the body's digest is made by the algorithm of the parts.
pub fn request_hash(blob: &Digest, body: Option<&Digest>) -> Digest {
    match body {
        None => *blob,
        Some(body) => {
            let mut hasher = Hasher::new(DigestAlgorithm::Sha512);
            hasher.update(blob.bytes());
            hasher.update(body.bytes());
            hasher.finish()
        }
    }
}

#[cfg(test)]
mod tests;
