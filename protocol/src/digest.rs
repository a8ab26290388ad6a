//! Digest algorithms, their names on the wire, and digests as values.
//!
//! Names and URIs: signatures and evidence §0.3. SHA-256, SHA-384 and SHA-512 are computed by ring
//! where it builds; the rest, and every digest on targets without a system, by the RustCrypto crates.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A digest algorithm that the protocols can name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DigestAlgorithm {
    /// Only for OCSP certificate ids, version 2 configuration and old archives.
    Sha1,
    /// Only for the hash of anchors shown to people, and for reading.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512, the default everywhere.
    Sha512,
}

impl DigestAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in HTTP headers and settings, such as `SHA-512`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    /// The algorithm URI of XML signatures, hash chains and signed directories.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Sha1 => "http://www.w3.org/2000/09/xmldsig#sha1",
            Self::Sha224 => "http://www.w3.org/2001/04/xmldsig-more#sha224",
            Self::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Self::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            Self::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }

    /// Length of a digest in bytes.
    pub const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The algorithm of this name, letter case ignored.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The algorithm of this URI.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.uri() == uri)
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

/// A digest together with the algorithm that made it.
#[derive(Clone, Copy)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    length: u8,
    bytes: [u8; 64],
}

impl Digest {
    /// A digest that came from elsewhere. Its length is *not* required to be that of the algorithm:
    /// hash chains of tests and of strangers may hold any octets. `None` beyond 64 octets.
    pub fn new(algorithm: DigestAlgorithm, value: &[u8]) -> Option<Self> {
        let mut bytes = [0; 64];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self { algorithm, length: value.len() as u8, bytes })
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The octets.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The octets in base64, standard alphabet, padded.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.bytes())
    }

    /// The octets in lower-case hexadecimal.
    pub fn to_hex(&self) -> String {
        hex(self.bytes())
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.bytes() == other.bytes()
    }
}

impl Eq for Digest {}

impl std::hash::Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.to_hex())
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Computes a digest over bytes that come in pieces.
#[derive(Clone)]
pub struct Hasher {
    algorithm: DigestAlgorithm,
    state: State,
}

#[derive(Clone)]
enum State {
    Sha1(sha1::Sha1),
    Sha224(sha2::Sha224),
    #[cfg(not(target_family = "wasm"))]
    Ring(ring::digest::Context),
    #[cfg(target_family = "wasm")]
    Sha256(sha2::Sha256),
    #[cfg(target_family = "wasm")]
    Sha384(sha2::Sha384),
    #[cfg(target_family = "wasm")]
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Starts with no bytes.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        use sha2::Digest as _;
        let state = match algorithm {
            DigestAlgorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            DigestAlgorithm::Sha224 => State::Sha224(sha2::Sha224::new()),
            #[cfg(not(target_family = "wasm"))]
            DigestAlgorithm::Sha256 => State::Ring(ring::digest::Context::new(&ring::digest::SHA256)),
            #[cfg(not(target_family = "wasm"))]
            DigestAlgorithm::Sha384 => State::Ring(ring::digest::Context::new(&ring::digest::SHA384)),
            #[cfg(not(target_family = "wasm"))]
            DigestAlgorithm::Sha512 => State::Ring(ring::digest::Context::new(&ring::digest::SHA512)),
            #[cfg(target_family = "wasm")]
            DigestAlgorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            #[cfg(target_family = "wasm")]
            DigestAlgorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            #[cfg(target_family = "wasm")]
            DigestAlgorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        };
        Self { algorithm, state }
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        match &mut self.state {
            State::Sha1(state) => state.update(bytes),
            State::Sha224(state) => state.update(bytes),
            #[cfg(not(target_family = "wasm"))]
            State::Ring(state) => state.update(bytes),
            #[cfg(target_family = "wasm")]
            State::Sha256(state) => state.update(bytes),
            #[cfg(target_family = "wasm")]
            State::Sha384(state) => state.update(bytes),
            #[cfg(target_family = "wasm")]
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        use sha2::Digest as _;
        let mut bytes = [0; 64];
        let mut put = |value: &[u8]| bytes[..value.len()].copy_from_slice(value);
        match self.state {
            State::Sha1(state) => put(&state.finalize()),
            State::Sha224(state) => put(&state.finalize()),
            #[cfg(not(target_family = "wasm"))]
            State::Ring(state) => put(state.finish().as_ref()),
            #[cfg(target_family = "wasm")]
            State::Sha256(state) => put(&state.finalize()),
            #[cfg(target_family = "wasm")]
            State::Sha384(state) => put(&state.finalize()),
            #[cfg(target_family = "wasm")]
            State::Sha512(state) => put(&state.finalize()),
        }
        Digest { algorithm: self.algorithm, length: self.algorithm.length() as u8, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests() {
        for (algorithm, expected) in [
            (DigestAlgorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (DigestAlgorithm::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
            (DigestAlgorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            assert_eq!(algorithm.digest(b"abc").to_hex(), expected);
            assert_eq!(algorithm.digest(b"abc").bytes().len(), algorithm.length());
        }
        assert!(DigestAlgorithm::Sha512.digest(b"abc").to_hex().starts_with("ddaf35a193617aba"));
        assert!(DigestAlgorithm::Sha384.digest(b"abc").to_hex().starts_with("cb00753f45a35e8b"));
    }
}
