//! Random tokens and comparing them.

use ring::rand::{SecureRandom as _, SystemRandom};

/// 256 random bits in hexadecimal. None when the system has no random numbers.
pub(crate) fn random_token() -> Option<String> {
    let mut octets = [0; 32];
    SystemRandom::new().fill(&mut octets).ok()?;
    Some(protocol::digest::hex(&octets))
}

/// A random UUID, as X-Road's API keys are.
pub(crate) fn random_uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Compares digests, so that the time tells nothing about where they differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    digest(a) == digest(b)
}

/// SHA-256. Enough for tokens that are random; passwords are hashed otherwise.
pub(crate) fn digest(octets: &[u8]) -> Vec<u8> {
    protocol::digest::DigestAlgorithm::Sha256.digest(octets).bytes().to_vec()
}
