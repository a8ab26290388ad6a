//! Certificates, parsed once.
//!
//! A [`Certificate`] holds the bytes and what every check asks for. Parsing says nothing about trust;
//! that is `trust`'s matter. Kinds of certificates: global configuration and trust §14.1.

mod details;
pub mod name;
mod parse;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use protocol::configuration::CertificateHashes;
use protocol::signature::SignatureAlgorithm;
use protocol::time::UtcTime;

pub use details::{Details, PublicKeyDetails};
pub use name::DistinguishedName;
pub(crate) use parse::{SignedParts, extensions as read_extensions};

use crate::key::{SignatureForm, public_key_bits, verify};

/// A certificate longer than this is not looked at.
pub const LONGEST_CERTIFICATE: usize = 64 * 1024;

/// A certificate. Copies share one value; two are equal when their bytes are.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

struct Parsed {
    der: Bytes,
    tbs: Range<usize>,
    algorithm: Option<SignatureAlgorithm>,
    signature: Vec<u8>,
    subject: DistinguishedName,
    issuer: DistinguishedName,
    serial: Vec<u8>,
    public_key: Vec<u8>,
    not_before: UtcTime,
    not_after: UtcTime,
    hashes: CertificateHashes,
    extensions: Extensions,
}

/// The extensions that matter here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    has_name_constraints: bool,
    has_policy_constraints: bool,
    unknown_critical: Option<String>,
    subject_key_id: Option<Vec<u8>>,
    pub(crate) dns_names: Vec<String>,
    ocsp_url: Option<String>,
}

/// What a key may be used for, in the order of RFC 5280 §4.2.1.3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyUsage(u16);

/// The extended key usages that are asked for here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ExtendedKeyUsage {
    /// `serverAuth`
    pub server_auth: bool,
    /// `clientAuth`
    pub client_auth: bool,
    /// `OCSPSigning`
    pub ocsp_signing: bool,
    /// `timeStamping`
    pub time_stamping: bool,
    /// There are others, or `anyExtendedKeyUsage`.
    pub others: bool,
    /// The extension is critical.
    pub critical: bool,
}

/// Whether a certificate is a CA's, and how many CA certificates may follow below it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BasicConstraints {
    /// The certificate is a CA's.
    pub ca: bool,
    /// Greatest number of intermediate CA certificates below it that are not self-issued.
    pub path_length: Option<u32>,
}

/// What a certificate is for (§14.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CertificateUsage {
    /// TLS between security servers; issued to one security server.
    Authentication,
    /// Signatures of messages; issued to one member.
    Signing,
}

/// Why bytes are not taken as a certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// More than [`LONGEST_CERTIFICATE`] bytes.
    #[error("the certificate is longer than {LONGEST_CERTIFICATE} bytes")]
    TooLong,
    /// Not one X.509 certificate in DER and nothing after it.
    #[error("not an X.509 certificate")]
    Malformed,
    /// There is no PEM block of a certificate, or it is not base64.
    #[error("no certificate in the PEM text")]
    NoPem,
    /// The algorithms named inside and outside of the signed part differ.
    #[error("the signature algorithm inside the certificate differs from the one outside")]
    AlgorithmMismatch,
    /// An extension stands there twice.
    #[error("the certificate has an extension twice")]
    DuplicateExtension,
    /// An extension that is needed cannot be read.
    #[error("an extension of the certificate cannot be read")]
    MalformedExtension,
    /// The subject or issuer cannot be read.
    #[error("a name in the certificate cannot be read")]
    MalformedName,
}

impl KeyUsage {
    /// Signatures other than on certificates and revocation lists.
    pub const DIGITAL_SIGNATURE: Self = Self(1);
    /// Content commitment; what makes a signing certificate.
    pub const NON_REPUDIATION: Self = Self(1 << 1);
    /// Encrypting keys.
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 2);
    /// Encrypting data.
    pub const DATA_ENCIPHERMENT: Self = Self(1 << 3);
    /// Signing certificates.
    pub const KEY_CERT_SIGN: Self = Self(1 << 5);
    /// Signing revocation lists.
    pub const CRL_SIGN: Self = Self(1 << 6);

    /// Whether at least one of the uses is there.
    pub const fn has(self, uses: Self) -> bool {
        self.0 & uses.0 != 0
    }

    /// These uses and those.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The bits, the first one (`digitalSignature`) lowest.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl Certificate {
    /// Parses a certificate in DER. Every structure of X.509 that is used later is read here.
    pub fn from_der(der: impl Into<Bytes>) -> Result<Self, CertificateError> {
        parse::certificate(der.into()).map(|parsed| Self(Arc::new(parsed)))
    }

    /// Parses the first certificate of a PEM text.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        if text.len() > 4 * LONGEST_CERTIFICATE {
            return Err(CertificateError::TooLong);
        }
        Self::from_der(crate::pem::first(text, "CERTIFICATE").ok_or(CertificateError::NoPem)?)
    }

    /// Parses either form; files of certificates come in both (§6.4).
    pub fn from_pem_or_der(bytes: &[u8]) -> Result<Self, CertificateError> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN") => Self::from_pem(text),
            _ => Self::from_der(bytes.to_vec()),
        }
    }

    /// The certificate in DER.
    pub fn der(&self) -> &Bytes {
        &self.0.der
    }

    /// The certificate as a PEM text.
    pub fn to_pem(&self) -> String {
        crate::pem::encode("CERTIFICATE", &self.0.der)
    }

    /// Whom it was issued to.
    pub fn subject(&self) -> &DistinguishedName {
        &self.0.subject
    }

    /// Who issued it.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.0.issuer
    }

    /// The subject `Name` in DER.
    pub fn subject_der(&self) -> &[u8] {
        self.0.subject.der()
    }

    /// The issuer `Name` in DER.
    pub fn issuer_der(&self) -> &[u8] {
        self.0.issuer.der()
    }

    /// The subject as Java prints it; see [`DistinguishedName::to_rfc2253`].
    pub fn subject_name(&self) -> String {
        self.0.subject.to_rfc2253()
    }

    /// The issuer as Java prints it; see [`DistinguishedName::to_rfc2253`].
    pub fn issuer_name(&self) -> String {
        self.0.issuer.to_rfc2253()
    }

    /// The serial number: the content octets of the DER integer.
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// The serial number in decimal.
    pub fn serial_decimal(&self) -> String {
        parse::decimal(&self.0.serial)
    }

    /// The `SubjectPublicKeyInfo` in DER.
    pub fn public_key(&self) -> &[u8] {
        &self.0.public_key
    }

    /// The public key itself, the content of the bit string: what OCSP hashes.
    pub fn public_key_bits(&self) -> &[u8] {
        public_key_bits(&self.0.public_key).unwrap_or_default()
    }

    /// The first moment of its validity.
    pub fn not_before(&self) -> UtcTime {
        self.0.not_before
    }

    /// The last moment of its validity.
    pub fn not_after(&self) -> UtcTime {
        self.0.not_after
    }

    /// Whether `at` is within its validity, both ends included.
    pub fn is_valid_at(&self, at: UtcTime) -> bool {
        self.0.not_before <= at && at <= self.0.not_after
    }

    /// Both digests by which it may be registered.
    pub fn hashes(&self) -> &CertificateHashes {
        &self.0.hashes
    }

    /// Key usage, if the extension is there.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage
    }

    /// Extended key usage, if the extension is there.
    pub fn extended_key_usage(&self) -> Option<ExtendedKeyUsage> {
        self.0.extensions.extended_key_usage
    }

    /// Basic constraints, if the extension is there.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.0.extensions.basic_constraints
    }

    /// Whether basic constraints say that it is a CA's.
    pub fn is_ca(&self) -> bool {
        self.basic_constraints().is_some_and(|constraints| constraints.ca)
    }

    /// Whether it carries name constraints, which nobody of this field uses and we do not evaluate.
    pub fn has_name_constraints(&self) -> bool {
        self.0.extensions.has_name_constraints
    }

    /// Whether it carries policy constraints, which we do not evaluate either.
    pub fn has_policy_constraints(&self) -> bool {
        self.0.extensions.has_policy_constraints
    }

    /// The first critical extension that is not understood here, by its object identifier.
    pub fn unknown_critical_extension(&self) -> Option<&str> {
        self.0.extensions.unknown_critical.as_deref()
    }

    /// The subject key identifier, if the extension is there.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_deref()
    }

    /// DNS names among the alternative names of the subject.
    pub fn dns_names(&self) -> &[String] {
        &self.0.extensions.dns_names
    }

    /// The first OCSP address in the authority information access.
    pub fn ocsp_url(&self) -> Option<&str> {
        self.0.extensions.ocsp_url.as_deref()
    }

    /// Whether subject and issuer are the same.
    pub fn is_self_issued(&self) -> bool {
        self.0.subject == self.0.issuer
    }

    /// Whether subject and issuer are the same and its own key verifies it.
    pub fn is_self_signed(&self) -> bool {
        self.is_issued_by(self)
    }

    /// Whether the name of `issuer` stands in it as issuer and the key of `issuer` verifies it. Nothing
    /// is said about whether `issuer` may issue.
    pub fn is_issued_by(&self, issuer: &Certificate) -> bool {
        self.0.issuer == issuer.0.subject && self.is_signed_by(issuer)
    }

    /// Whether the key of `issuer` verifies it, whatever the names. An issuer with a weak key (RSA below
    /// 2048 bits) verifies nothing; signatures with SHA-1 verify, since archives have them, and are
    /// refused where a path is checked.
    pub fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let Some(algorithm) = self.0.algorithm else { return false };
        let Some(signed) = self.0.der.get(self.0.tbs.clone()) else { return false };
        verify(issuer.public_key(), algorithm, signed, &self.0.signature, SignatureForm::Der)
    }

    /// What it is signed with; none when the algorithm is not known here.
    pub fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        self.0.algorithm
    }

    /// Whether it is an authentication certificate (§14.1): extended key usage has `clientAuth`, or key
    /// usage has digital signature, key encipherment or data encipherment.
    pub fn is_authentication(&self) -> bool {
        let uses =
            KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT).and(KeyUsage::DATA_ENCIPHERMENT);
        self.extended_key_usage().is_some_and(|extended| extended.client_auth)
            || self.key_usage().is_some_and(|usage| usage.has(uses))
    }

    /// Whether it is a signing certificate (§14.1): key usage has non-repudiation.
    pub fn is_signing(&self) -> bool {
        self.key_usage().is_some_and(|usage| usage.has(KeyUsage::NON_REPUDIATION))
    }

    /// What it is for; none when it is neither, or both, which is refused at import.
    pub fn usage(&self) -> Option<CertificateUsage> {
        match (self.is_authentication(), self.is_signing()) {
            (true, false) => Some(CertificateUsage::Authentication),
            (false, true) => Some(CertificateUsage::Signing),
            (true, true) | (false, false) => None,
        }
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (serial number {})", self.0.subject, self.serial_decimal())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({self} of {})", self.0.issuer)
    }
}

#[cfg(test)]
mod tests;
