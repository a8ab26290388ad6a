//! Which algorithm a key signs messages with, where the operator has a say.

use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};

use super::KeyKind;

/// What the operator wants of signatures (signatures and evidence §0.3). The default leaves it to
/// [`KeyKind::default_algorithm`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AlgorithmChoice {
    /// The digest of every signature; one of SHA-256, SHA-384 and SHA-512.
    pub digest: Option<DigestAlgorithm>,
    /// How RSA keys sign.
    pub rsa: RsaScheme,
}

/// How an RSA key signs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RsaScheme {
    /// RSASSA-PKCS1-v1_5, which every peer verifies.
    #[default]
    Pkcs1,
    /// RSASSA-PSS.
    Pss,
}

impl AlgorithmChoice {
    /// The algorithm for keys of a kind.
    pub fn algorithm(self, kind: KeyKind) -> SignatureAlgorithm {
        let usual = kind.default_algorithm();
        let scheme = match (usual.scheme, self.rsa) {
            (SignatureScheme::RsaPkcs1, RsaScheme::Pss) => SignatureScheme::RsaPss,
            (scheme, _) => scheme,
        };
        SignatureAlgorithm::new(scheme, self.digest.unwrap_or(usual.digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_decides_what_is_left_open() {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        use SignatureScheme::{Ecdsa, RsaPkcs1, RsaPss};
        #[track_caller]
        fn check(
            kind: KeyKind,
            digest: Option<DigestAlgorithm>,
            rsa: RsaScheme,
            expected: (SignatureScheme, DigestAlgorithm),
        ) {
            let chosen = AlgorithmChoice { digest, rsa }.algorithm(kind);
            assert_eq!((chosen.scheme, chosen.digest), expected);
        }
        check(KeyKind::P256, None, RsaScheme::Pss, (Ecdsa, Sha256));
        check(KeyKind::P384, Some(Sha512), RsaScheme::Pkcs1, (Ecdsa, Sha512));
        check(KeyKind::Rsa2048, None, RsaScheme::Pkcs1, (RsaPkcs1, Sha512));
        check(KeyKind::Rsa4096, None, RsaScheme::Pss, (RsaPss, Sha512));
        check(KeyKind::Rsa3072, Some(Sha384), RsaScheme::Pss, (RsaPss, Sha384));
    }
}
