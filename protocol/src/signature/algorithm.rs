//! Signature algorithms and their names on the wire (signatures and evidence §0.3).

use crate::digest::DigestAlgorithm;

/// How a signature value is made from a digest.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5
    RsaPkcs1,
    /// RSASSA-PSS: MGF1 with the same digest, salt as long as the digest, trailer field 1.
    RsaPss,
    /// ECDSA
    Ecdsa,
}

/// A signature scheme with its digest.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SignatureAlgorithm {
    /// The scheme.
    pub scheme: SignatureScheme,
    /// The digest that is signed.
    pub digest: DigestAlgorithm,
}

const NAMED: [(SignatureScheme, DigestAlgorithm, &str); 12] = {
    use DigestAlgorithm::{Sha1, Sha224, Sha256, Sha384, Sha512};
    use SignatureScheme::{Ecdsa, RsaPkcs1, RsaPss};
    [
        (RsaPkcs1, Sha1, "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        (RsaPkcs1, Sha256, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
        (RsaPkcs1, Sha384, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"),
        (RsaPkcs1, Sha512, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"),
        (RsaPss, Sha256, "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"),
        (RsaPss, Sha384, "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1"),
        (RsaPss, Sha512, "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1"),
        (Ecdsa, Sha1, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"),
        (Ecdsa, Sha224, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha224"),
        (Ecdsa, Sha256, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),
        (Ecdsa, Sha384, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"),
        (Ecdsa, Sha512, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"),
    ]
};

impl SignatureAlgorithm {
    /// A scheme with a digest.
    pub const fn new(scheme: SignatureScheme, digest: DigestAlgorithm) -> Self {
        Self { scheme, digest }
    }

    /// The algorithm of this URI.
    pub fn from_uri(uri: &str) -> Option<Self> {
        NAMED
            .iter()
            .find(|(_, _, named)| *named == uri)
            .map(|(scheme, digest, _)| Self { scheme: *scheme, digest: *digest })
    }

    /// The URI; none for a combination that no one names, such as PSS with SHA-1.
    pub fn uri(self) -> Option<&'static str> {
        NAMED
            .iter()
            .find(|(scheme, digest, _)| (*scheme, *digest) == (self.scheme, self.digest))
            .map(|(_, _, uri)| *uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_lead_back() {
        for (scheme, digest, uri) in NAMED {
            let algorithm = SignatureAlgorithm::new(scheme, digest);
            assert_eq!((SignatureAlgorithm::from_uri(uri), algorithm.uri()), (Some(algorithm), Some(uri)));
        }
        assert_eq!(SignatureAlgorithm::from_uri("http://www.w3.org/2001/04/xmldsig-more#rsa-md5"), None);
    }
}
