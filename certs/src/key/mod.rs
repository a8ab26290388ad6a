//! Private keys and signatures.
//!
//! Signatures and evidence §0.3, §1.4. Private keys live in aws-lc-rs, which signs faster than ring and
//! knows every pair of curve and digest that peers use. Verifying is in `verify`, the DER names of
//! algorithms in `identifier`, and the two written forms of an ECDSA signature in `ecdsa`.

mod agreement;
mod choice;
mod ecdsa;
mod identifier;
mod verify;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature as aws;
use aws_lc_rs::signature::KeyPair;
use der::asn1::{AnyRef, ObjectIdentifier};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

pub use agreement::P521Agreement;
pub use choice::{AlgorithmChoice, RsaScheme};
pub use identifier::{
    algorithm_identifier, algorithm_of_identifier, digest_identifier, digest_of_identifier,
};
pub use verify::{VerifyingKey, verify, verify_archived};

pub(crate) use identifier::oid;

/// A private key longer than this is not looked at; an RSA key of 4096 bits has 2.4 kB.
const LONGEST_KEY: usize = 16 * 1024;

/// The kinds of key that can sign. Anything weaker or stranger is refused when it is read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyKind {
    /// ECDSA on secp256r1.
    P256,
    /// ECDSA on secp384r1.
    P384,
    /// ECDSA on secp521r1. Not offered for message signing (signatures and evidence §1.4).
    P521,
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    Rsa3072,
    /// RSA with a modulus of 4096 bits.
    Rsa4096,
}

/// How a signature value is written. RSA has one form only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignatureForm {
    /// r and s after one another, as XML signatures have it.
    Raw,
    /// `SEQUENCE { r, s }`, as certificates, OCSP responses, CMS and signed directories have it.
    Der,
}

/// A private key, in memory or on a device. It signs; it is never printed, and the memory that held it is
/// wiped.
pub struct PrivateKey {
    kind: KeyKind,
    pair: Pair,
    public_key: Vec<u8>,
    pkcs8: Option<Zeroizing<Vec<u8>>>,
}

enum Pair {
    Ecdsa(Box<aws::EcdsaKeyPair>),
    Rsa(Box<aws::RsaKeyPair>),
    Device(Box<dyn DeviceKey>),
}

/// A private key that never leaves its device.
pub trait DeviceKey: Send + Sync {
    /// Signs a digest; ECDSA in the raw form. May block for as long as the device takes.
    ///
    /// # Errors
    /// [`KeyError::Device`] with the reason when the device cannot do it now.
    fn sign_digest(&self, algorithm: SignatureAlgorithm, digest: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// Why a key cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are not a private key in one of the forms that are read.
    #[error("not a private key in PKCS#8, SEC1 or PKCS#1 form")]
    Malformed,
    /// A PEM block that is encrypted; keys are decrypted before they are given to us.
    #[error("the private key is encrypted")]
    Encrypted,
    /// RSA below 2048 bits or of an unusual size, or a curve other than P-256, P-384 and P-521.
    #[error("keys are RSA of 2048, 3072 or 4096 bits, or on P-256, P-384 or P-521")]
    Unsupported,
    /// The algorithm does not fit the key, or nobody uses the pair.
    #[error("the key cannot sign with this algorithm")]
    WrongAlgorithm,
    /// The cryptographic library refused; for generating this means there is no randomness.
    #[error("the cryptographic operation failed")]
    Failed,
    /// The device that has the key is not there, or refused.
    #[error("the device with the key does not sign: {0}")]
    Device(String),
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::P256, Self::P384, Self::P521, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// A short name, such as `P-256` or `RSA-2048`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
        }
    }

    /// The kind of this name, letter case ignored.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// The algorithm that keys of this kind sign with unless told otherwise: `ecdsa-sha256` for P-256,
    /// SHA-384 for P-384, SHA-512 for P-521 and RSA (signatures and evidence §0.3).
    pub const fn default_algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::P256 => SignatureAlgorithm::new(SignatureScheme::Ecdsa, DigestAlgorithm::Sha256),
            Self::P384 => SignatureAlgorithm::new(SignatureScheme::Ecdsa, DigestAlgorithm::Sha384),
            Self::P521 => SignatureAlgorithm::new(SignatureScheme::Ecdsa, DigestAlgorithm::Sha512),
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => {
                SignatureAlgorithm::new(SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha512)
            }
        }
    }

    /// The kind of a public key, a `SubjectPublicKeyInfo` in DER.
    pub fn of_public_key(spki_der: &[u8]) -> Option<Self> {
        use der::{Decode, asn1::UintRef};
        let info = SubjectPublicKeyInfoRef::try_from(spki_der).ok()?;
        match info.algorithm.oid {
            oid::EC => Self::of_curve(info.algorithm.parameters?.decode_as().ok()?),
            oid::RSA => {
                let numbers: Vec<UintRef<'_>> = Vec::from_der(info.subject_public_key.as_bytes()?).ok()?;
                match numbers.first()?.as_bytes().len() {
                    256 => Some(Self::Rsa2048),
                    384 => Some(Self::Rsa3072),
                    512 => Some(Self::Rsa4096),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    const fn has_scheme(self, scheme: SignatureScheme) -> bool {
        let is_curve = matches!(self, Self::P256 | Self::P384 | Self::P521);
        is_curve == matches!(scheme, SignatureScheme::Ecdsa)
    }

    fn curve(self) -> Option<&'static aws::EcdsaSigningAlgorithm> {
        match self {
            Self::P256 => Some(&aws::ECDSA_P256_SHA256_FIXED_SIGNING),
            Self::P384 => Some(&aws::ECDSA_P384_SHA384_FIXED_SIGNING),
            Self::P521 => Some(&aws::ECDSA_P521_SHA512_FIXED_SIGNING),
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => None,
        }
    }

    fn of_curve(curve: ObjectIdentifier) -> Option<Self> {
        match curve {
            oid::P256 => Some(Self::P256),
            oid::P384 => Some(Self::P384),
            oid::P521 => Some(Self::P521),
            _ => None,
        }
    }
}

impl PrivateKey {
    /// Generates a key. RSA takes from tenths of a second to seconds.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        use aws_lc_rs::rsa::KeySize;
        let size = match kind {
            KeyKind::Rsa2048 => KeySize::Rsa2048,
            KeyKind::Rsa3072 => KeySize::Rsa3072,
            KeyKind::Rsa4096 => KeySize::Rsa4096,
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => {
                let curve = kind.curve().ok_or(KeyError::Unsupported)?;
                let pair = aws::EcdsaKeyPair::generate(curve).map_err(|_| KeyError::Failed)?;
                return Self::of_ecdsa(kind, pair);
            }
        };
        Self::of_rsa(aws::RsaKeyPair::generate(size).map_err(|_| KeyError::Failed)?)
    }

    /// Reads a PKCS#8 `PrivateKeyInfo` in DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() > LONGEST_KEY {
            return Err(KeyError::Malformed);
        }
        let (algorithm, parameters) = pkcs8_algorithm(der).ok_or(KeyError::Malformed)?;
        match algorithm {
            oid::RSA => Self::of_rsa(aws::RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError::Unsupported)?),
            oid::EC => {
                let kind = parameters
                    .and_then(|curve| curve.decode_as().ok())
                    .and_then(KeyKind::of_curve)
                    .ok_or(KeyError::Unsupported)?;
                let curve = kind.curve().ok_or(KeyError::Unsupported)?;
                let pair = aws::EcdsaKeyPair::from_pkcs8(curve, der).map_err(|_| KeyError::Malformed)?;
                Self::of_ecdsa(kind, pair)
            }
            _ => Err(KeyError::Unsupported),
        }
    }

    /// Reads the first private key of a PEM text: PKCS#8, SEC1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA
    /// PRIVATE KEY`). Other blocks, such as `EC PARAMETERS`, are passed over.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.len() > 4 * LONGEST_KEY {
            return Err(KeyError::Malformed);
        }
        for (label, body) in crate::pem::blocks(text) {
            let der = match label {
                "PRIVATE KEY" | "EC PRIVATE KEY" | "RSA PRIVATE KEY" if !body.contains(':') => {
                    Zeroizing::new(crate::pem::decode(body).ok_or(KeyError::Malformed)?)
                }
                "ENCRYPTED PRIVATE KEY" | "EC PRIVATE KEY" | "RSA PRIVATE KEY" => {
                    return Err(KeyError::Encrypted);
                }
                _ => continue,
            };
            return match label {
                "PRIVATE KEY" => Self::from_pkcs8(&der),
                "RSA PRIVATE KEY" => {
                    Self::of_rsa(aws::RsaKeyPair::from_der(&der).map_err(|_| KeyError::Unsupported)?)
                }
                _ => Self::from_sec1(&der),
            };
        }
        Err(KeyError::Malformed)
    }

    fn from_sec1(der: &[u8]) -> Result<Self, KeyError> {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521] {
            let Some(curve) = kind.curve() else { continue };
            if let Ok(pair) = aws::EcdsaKeyPair::from_private_key_der(curve, der) {
                return Self::of_ecdsa(kind, pair);
            }
        }
        Err(KeyError::Unsupported)
    }

    fn of_ecdsa(kind: KeyKind, pair: aws::EcdsaKeyPair) -> Result<Self, KeyError> {
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyError::Failed)?;
        let public_key: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Failed)?;
        Ok(Self {
            kind,
            public_key: public_key.as_ref().to_vec(),
            pkcs8: Some(Zeroizing::new(pkcs8.as_ref().to_vec())),
            pair: Pair::Ecdsa(Box::new(pair)),
        })
    }

    fn of_rsa(pair: aws::RsaKeyPair) -> Result<Self, KeyError> {
        let kind = match pair.public_modulus_len() {
            256 => KeyKind::Rsa2048,
            384 => KeyKind::Rsa3072,
            512 => KeyKind::Rsa4096,
            _ => return Err(KeyError::Unsupported),
        };
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Failed)?;
        let public_key: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Failed)?;
        Ok(Self {
            kind,
            public_key: public_key.as_ref().to_vec(),
            pkcs8: Some(Zeroizing::new(pkcs8.as_ref().to_vec())),
            pair: Pair::Rsa(Box::new(pair)),
        })
    }

    /// The key that a device has for this public key, a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for a kind of key that cannot be used.
    pub fn on_device(public_key: Vec<u8>, device: Box<dyn DeviceKey>) -> Result<Self, KeyError> {
        let kind = KeyKind::of_public_key(&public_key).ok_or(KeyError::Unsupported)?;
        Ok(Self { kind, pair: Pair::Device(device), public_key, pkcs8: None })
    }

    /// Whether it lies on a device, so that signing may take as long as the device does.
    pub fn is_on_device(&self) -> bool {
        matches!(self.pair, Pair::Device(_))
    }

    /// The key as PKCS#8 DER; none for one on a device. Whoever calls this answers for the copy.
    pub fn pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.pkcs8.clone()
    }

    /// The key as a PKCS#8 PEM text; none for one on a device.
    pub fn to_pem(&self) -> Option<Zeroizing<String>> {
        self.pkcs8.as_ref().map(|pkcs8| Zeroizing::new(crate::pem::encode("PRIVATE KEY", pkcs8)))
    }

    /// Its kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The `SubjectPublicKeyInfo` in DER.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The algorithm it signs with unless told otherwise; see [`KeyKind::default_algorithm`].
    pub fn default_algorithm(&self) -> SignatureAlgorithm {
        self.kind.default_algorithm()
    }

    /// Signs `octets`: hashes them and signs the digest.
    ///
    /// # Errors
    /// [`KeyError::WrongAlgorithm`] when the scheme is not the key's, or the digest is SHA-1 or
    /// SHA-224, which are read and never written.
    pub fn sign(
        &self,
        algorithm: SignatureAlgorithm,
        octets: &[u8],
        form: SignatureForm,
    ) -> Result<Vec<u8>, KeyError> {
        if matches!(algorithm.digest, DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224) {
            return Err(KeyError::WrongAlgorithm);
        }
        match (&self.pair, algorithm.scheme) {
            (Pair::Ecdsa(pair), SignatureScheme::Ecdsa) => {
                let digest = algorithm.digest.digest(octets);
                let integer = ecdsa::integer(self.kind, digest.bytes()).ok_or(KeyError::Failed)?;
                let signature = pair.sign_digest(&integer).map_err(|_| KeyError::Failed)?;
                match form {
                    SignatureForm::Raw => Ok(signature.as_ref().to_vec()),
                    SignatureForm::Der => ecdsa::raw_to_der(signature.as_ref()).ok_or(KeyError::Failed),
                }
            }
            (Pair::Rsa(pair), SignatureScheme::RsaPkcs1 | SignatureScheme::RsaPss) => {
                let encoding = rsa_encoding(algorithm).ok_or(KeyError::WrongAlgorithm)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), octets, &mut signature)
                    .map_err(|_| KeyError::Failed)?;
                Ok(signature)
            }
            (Pair::Device(device), scheme) if self.kind.has_scheme(scheme) => {
                let signature = device.sign_digest(algorithm, algorithm.digest.digest(octets).bytes())?;
                match (scheme, form) {
                    (SignatureScheme::Ecdsa, SignatureForm::Der) => {
                        ecdsa::raw_to_der(&signature).ok_or(KeyError::Failed)
                    }
                    _ => Ok(signature),
                }
            }
            _ => Err(KeyError::WrongAlgorithm),
        }
    }
}

/// The octets of the public key inside a `SubjectPublicKeyInfo`: what OCSP hashes as the key of an issuer.
pub fn public_key_bits(spki_der: &[u8]) -> Option<&[u8]> {
    let info = SubjectPublicKeyInfoRef::try_from(spki_der).ok()?;
    info.subject_public_key.as_bytes()
}

fn pkcs8_algorithm(der: &[u8]) -> Option<(ObjectIdentifier, Option<AnyRef<'_>>)> {
    use der::{Decode, Reader, SliceReader};
    // PKCS#8 of RFC 5958 may go on with attributes and the public key; only the head is read here.
    let mut reader = SliceReader::new(der).ok()?;
    reader
        .sequence(|inner| {
            u8::decode(inner)?; // version
            let algorithm = AlgorithmIdentifierRef::decode(inner)?;
            while !inner.is_finished() {
                AnyRef::decode(inner)?;
            }
            Ok((algorithm.oid, algorithm.parameters))
        })
        .ok()
}

fn rsa_encoding(algorithm: SignatureAlgorithm) -> Option<&'static dyn aws::RsaEncoding> {
    use DigestAlgorithm::{Sha256, Sha384, Sha512};
    use SignatureScheme::{RsaPkcs1, RsaPss};
    Some(match (algorithm.scheme, algorithm.digest) {
        (RsaPkcs1, Sha256) => &aws::RSA_PKCS1_SHA256,
        (RsaPkcs1, Sha384) => &aws::RSA_PKCS1_SHA384,
        (RsaPkcs1, Sha512) => &aws::RSA_PKCS1_SHA512,
        (RsaPss, Sha256) => &aws::RSA_PSS_SHA256,
        (RsaPss, Sha384) => &aws::RSA_PSS_SHA384,
        (RsaPss, Sha512) => &aws::RSA_PSS_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
