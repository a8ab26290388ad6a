//! Names of signature algorithms in the parts of a request: those of Java (§3.5), where signature
//! documents have URIs.

use crate::digest::DigestAlgorithm;
use crate::signature::{SignatureAlgorithm, SignatureScheme};

/// Why a name is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AlgorithmNameError {
    /// Nobody signs with an algorithm of this name.
    #[error("the signature algorithm is not known")]
    Unknown,
    /// Its digest is SHA-1, which X-Road takes.
    #[error("signatures with SHA-1 are not accepted")]
    Sha1,
}

const NAMED: [(SignatureScheme, DigestAlgorithm, &str); 11] = {
    use DigestAlgorithm::{Sha1, Sha256, Sha384, Sha512};
    use SignatureScheme::{Ecdsa, RsaPkcs1, RsaPss};
    [
        (RsaPkcs1, Sha1, "SHA1withRSA"),
        (RsaPkcs1, Sha256, "SHA256withRSA"),
        (RsaPkcs1, Sha384, "SHA384withRSA"),
        (RsaPkcs1, Sha512, "SHA512withRSA"),
        (RsaPss, Sha256, "SHA256withRSAandMGF1"),
        (RsaPss, Sha384, "SHA384withRSAandMGF1"),
        (RsaPss, Sha512, "SHA512withRSAandMGF1"),
        (Ecdsa, Sha1, "SHA1withECDSA"),
        (Ecdsa, Sha256, "SHA256withECDSA"),
        (Ecdsa, Sha384, "SHA384withECDSA"),
        (Ecdsa, Sha512, "SHA512withECDSA"),
    ]
};

/// The algorithm of a name, whatever the case of its letters.
///
/// # Errors
/// A name that is not known, and those with SHA-1.
pub fn algorithm_of(name: &str) -> Result<SignatureAlgorithm, AlgorithmNameError> {
    let (scheme, digest, _) = NAMED
        .iter()
        .find(|(.., known)| known.eq_ignore_ascii_case(name.trim()))
        .ok_or(AlgorithmNameError::Unknown)?;
    match digest {
        DigestAlgorithm::Sha1 => Err(AlgorithmNameError::Sha1),
        digest => Ok(SignatureAlgorithm::new(*scheme, *digest)),
    }
}

/// The name of an algorithm; none for SHA-1 and for what has no name.
pub fn algorithm_name(algorithm: SignatureAlgorithm) -> Option<&'static str> {
    NAMED
        .iter()
        .find(|(scheme, digest, _)| {
            *digest != DigestAlgorithm::Sha1 && (*scheme, *digest) == (algorithm.scheme, algorithm.digest)
        })
        .map(|(.., name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for (scheme, digest, name) in NAMED {
            let algorithm = SignatureAlgorithm::new(scheme, digest);
            let (expected, named) = match digest {
                DigestAlgorithm::Sha1 => (Err(AlgorithmNameError::Sha1), None),
                _ => (Ok(algorithm), Some(name)),
            };
            for written in [name.to_owned(), name.to_lowercase(), format!(" {}", name.to_uppercase())] {
                assert_eq!(algorithm_of(&written), expected, "{written}");
            }
            assert_eq!(algorithm_name(algorithm), named);
        }
        for name in
            ["", "SHA512withRSAandMGF2", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", "MD5withRSA"]
        {
            assert_eq!(algorithm_of(name), Err(AlgorithmNameError::Unknown), "{name}");
        }
    }
}
