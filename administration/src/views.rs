//! How certificates look in both administration interfaces.

use certs::certificate::{Certificate, Details, KeyUsage, PublicKeyDetails};
use schemars::JsonSchema;
use serde::Serialize;

/// A certificate.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct CertificateDetails {
    /// SHA-256 of the certificate, in upper-case hexadecimal.
    pub hash: String,
    /// Who issued it.
    pub issuer_distinguished_name: String,
    /// The common name of the issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_common_name: Option<String>,
    /// Whom it was issued to.
    pub subject_distinguished_name: String,
    /// The common name of the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_common_name: Option<String>,
    /// Alternative names of the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_alternative_names: Option<String>,
    /// First moment of its validity.
    pub not_before: String,
    /// Last moment of its validity.
    pub not_after: String,
    /// Serial number in decimal.
    pub serial: String,
    /// Version.
    pub version: u32,
    /// Name of the signature algorithm.
    pub signature_algorithm: String,
    /// The signature in lower-case hexadecimal.
    pub signature: String,
    /// Kind of the public key.
    pub public_key_algorithm: String,
    /// Modulus of an RSA key in lower-case hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rsa_public_key_modulus: Option<String>,
    /// Exponent of an RSA key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rsa_public_key_exponent: Option<u64>,
    /// Curve of a key on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ec_public_parameters: Option<String>,
    /// Point of a key on a curve in lower-case hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ec_public_key_point: Option<String>,
    /// What the key may be used for.
    pub key_usages: Vec<KeyUsageView>,
}

/// A use of a key.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "KeyUsage")]
#[expect(missing_docs, reason = "the names of RFC 5280 §4.2.1.3")]
pub enum KeyUsageView {
    DigitalSignature,
    NonRepudiation,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
    KeyCertSign,
    CrlSign,
    EncipherOnly,
    DecipherOnly,
}

impl KeyUsageView {
    /// In the order of their bits.
    const ALL: [Self; 9] = [
        Self::DigitalSignature,
        Self::NonRepudiation,
        Self::KeyEncipherment,
        Self::DataEncipherment,
        Self::KeyAgreement,
        Self::KeyCertSign,
        Self::CrlSign,
        Self::EncipherOnly,
        Self::DecipherOnly,
    ];
}

impl From<&Certificate> for CertificateDetails {
    fn from(certificate: &Certificate) -> Self {
        let details = Details::of(certificate);
        let bits = certificate.key_usage().map_or(0, KeyUsage::bits);
        let uses = KeyUsageView::ALL.into_iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
        let (mut modulus, mut exponent, mut curve, mut point) = (None, None, None, None);
        let algorithm = match details.public_key {
            PublicKeyDetails::Rsa { modulus: of_key, exponent: of_modulus } => {
                (modulus, exponent) = (Some(of_key), Some(of_modulus));
                "RSA".to_owned()
            }
            PublicKeyDetails::Ec { curve: of_key, point: on_curve } => {
                (curve, point) = (Some(of_key), Some(on_curve));
                "EC".to_owned()
            }
            PublicKeyDetails::Other(oid) => oid,
        };
        Self {
            hash: certificate.hashes().sha256.to_hex().to_uppercase(),
            issuer_distinguished_name: details.issuer,
            issuer_common_name: details.issuer_common_name,
            subject_distinguished_name: details.subject,
            subject_common_name: details.subject_common_name,
            subject_alternative_names: details.alternative_names,
            not_before: certificate.not_before().to_string(),
            not_after: certificate.not_after().to_string(),
            serial: details.serial,
            version: details.version,
            signature_algorithm: details.signature_algorithm,
            signature: details.signature,
            public_key_algorithm: algorithm,
            rsa_public_key_modulus: modulus,
            rsa_public_key_exponent: exponent,
            ec_public_parameters: curve,
            ec_public_key_point: point,
            key_usages: uses.map(|(_, usage)| usage).collect(),
        }
    }
}
