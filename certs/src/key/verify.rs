//! Verifying signatures: RSA and P-256 with SHA-256 by ring, the other pairs by aws-lc-rs.

use aws_lc_rs::signature as aws;
use aws_lc_rs::signature::VerificationAlgorithm as _;
use der::asn1::ObjectIdentifier;
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use ring::signature as ring_signature;
use spki::SubjectPublicKeyInfoRef;

use super::{KeyKind, SignatureForm, ecdsa, oid};

/// A public key, taken apart once. Borrows from the `SubjectPublicKeyInfo` it was read from.
#[derive(Clone, Copy)]
pub struct VerifyingKey<'a> {
    kind: PublicKind,
    bits: &'a [u8],
}

#[derive(Clone, Copy)]
enum PublicKind {
    Rsa,
    Curve(KeyKind),
}

/// Whether `signature` is one over `octets` by this key. False for every key, algorithm and form that
/// is not known or too weak (RSA below 2048 bits).
///
/// Also algorithms with SHA-1 verify here, since archives may hold them; the message path refuses them
/// before it comes to this (signatures and evidence §0.3).
pub fn verify(
    spki_der: &[u8],
    algorithm: SignatureAlgorithm,
    octets: &[u8],
    signature: &[u8],
    form: SignatureForm,
) -> bool {
    VerifyingKey::from_spki(spki_der).is_some_and(|key| key.verify(algorithm, octets, signature, form))
}

/// As [`verify`], for a key that a global configuration names and evidence that may be old: RSA keys of
/// 1024 bits and more verify too. Time-stamping authorities of the first decade had such keys.
pub fn verify_archived(
    spki_der: &[u8],
    algorithm: SignatureAlgorithm,
    octets: &[u8],
    signature: &[u8],
    form: SignatureForm,
) -> bool {
    let Some(key) = VerifyingKey::from_spki(spki_der) else { return false };
    let short = match (key.kind, algorithm.scheme, algorithm.digest) {
        (PublicKind::Rsa, SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha1) => {
            &aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY
        }
        (PublicKind::Rsa, SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha256) => {
            &aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
        }
        (PublicKind::Rsa, SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha512) => {
            &aws::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
        }
        _ => return key.verify(algorithm, octets, signature, form),
    };
    aws::UnparsedPublicKey::new(short, key.bits).verify(octets, signature).is_ok()
}

impl<'a> VerifyingKey<'a> {
    /// The key of a `SubjectPublicKeyInfo` in DER, if it is RSA or on P-256, P-384 or P-521.
    pub fn from_spki(der: &'a [u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoRef::try_from(der).ok()?;
        let kind = match info.algorithm.oid {
            oid::RSA => PublicKind::Rsa,
            oid::EC => {
                let curve: ObjectIdentifier = info.algorithm.parameters?.decode_as().ok()?;
                PublicKind::Curve(KeyKind::of_curve(curve)?)
            }
            _ => return None,
        };
        Some(Self { kind, bits: info.subject_public_key.as_bytes()? })
    }

    /// The kind of the key if it is on a curve. RSA keys have more sizes than there are kinds.
    pub fn curve(self) -> Option<KeyKind> {
        match self.kind {
            PublicKind::Curve(kind) => Some(kind),
            PublicKind::Rsa => None,
        }
    }

    /// Whether `signature` is one over `octets` by this key; see [`verify`].
    pub fn verify(
        self,
        algorithm: SignatureAlgorithm,
        octets: &[u8],
        signature: &[u8],
        form: SignatureForm,
    ) -> bool {
        match (self.kind, algorithm.scheme) {
            (PublicKind::Rsa, SignatureScheme::RsaPkcs1 | SignatureScheme::RsaPss) => rsa(algorithm)
                .is_some_and(|rsa| {
                    ring_signature::UnparsedPublicKey::new(rsa, self.bits).verify(octets, signature).is_ok()
                }),
            (PublicKind::Curve(curve), SignatureScheme::Ecdsa) => {
                self.verify_ecdsa(curve, algorithm.digest, octets, signature, form).is_some()
            }
            _ => false,
        }
    }

    fn verify_ecdsa(
        self,
        curve: KeyKind,
        digest: DigestAlgorithm,
        octets: &[u8],
        signature: &[u8],
        form: SignatureForm,
    ) -> Option<()> {
        let full;
        let signature = match form {
            SignatureForm::Der => signature,
            SignatureForm::Raw => {
                full = ecdsa::full_raw(signature, ecdsa::field_size(curve)?)?;
                full.0.get(..full.1)?
            }
        };
        if (curve, digest) == (KeyKind::P256, DigestAlgorithm::Sha256) {
            let algorithm: &dyn ring_signature::VerificationAlgorithm = match form {
                SignatureForm::Raw => &ring_signature::ECDSA_P256_SHA256_FIXED,
                SignatureForm::Der => &ring_signature::ECDSA_P256_SHA256_ASN1,
            };
            return ring_signature::UnparsedPublicKey::new(algorithm, self.bits)
                .verify(octets, signature)
                .ok();
        }
        let algorithm = match (curve, form) {
            (KeyKind::P256, SignatureForm::Raw) => &aws::ECDSA_P256_SHA256_FIXED,
            (KeyKind::P256, SignatureForm::Der) => &aws::ECDSA_P256_SHA256_ASN1,
            (KeyKind::P384, SignatureForm::Raw) => &aws::ECDSA_P384_SHA384_FIXED,
            (KeyKind::P384, SignatureForm::Der) => &aws::ECDSA_P384_SHA384_ASN1,
            (KeyKind::P521, SignatureForm::Raw) => &aws::ECDSA_P521_SHA512_FIXED,
            (KeyKind::P521, SignatureForm::Der) => &aws::ECDSA_P521_SHA512_ASN1,
            (KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096, _) => return None,
        };
        let integer = ecdsa::integer(curve, digest.digest(octets).bytes())?;
        algorithm.verify_digest_sig(self.bits, &integer, signature).ok()
    }
}

fn rsa(algorithm: SignatureAlgorithm) -> Option<&'static ring_signature::RsaParameters> {
    use DigestAlgorithm::{Sha1, Sha256, Sha384, Sha512};
    use SignatureScheme::{RsaPkcs1, RsaPss};
    Some(match (algorithm.scheme, algorithm.digest) {
        (RsaPkcs1, Sha1) => &ring_signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (RsaPkcs1, Sha256) => &ring_signature::RSA_PKCS1_2048_8192_SHA256,
        (RsaPkcs1, Sha384) => &ring_signature::RSA_PKCS1_2048_8192_SHA384,
        (RsaPkcs1, Sha512) => &ring_signature::RSA_PKCS1_2048_8192_SHA512,
        (RsaPss, Sha256) => &ring_signature::RSA_PSS_2048_8192_SHA256,
        (RsaPss, Sha384) => &ring_signature::RSA_PSS_2048_8192_SHA384,
        (RsaPss, Sha512) => &ring_signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
