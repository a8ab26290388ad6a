//! What people are shown of a certificate.
//!
//! The texts are those that X-Road's administration shows, which come from Java's library: scripts
//! compare them. Nothing here decides about trust.

use std::net::{Ipv4Addr, Ipv6Addr};

use der::asn1::UintRef;
use der::{Decode, oid::ObjectIdentifier};
use protocol::digest::hex;
use spki::SubjectPublicKeyInfoRef;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::{Certificate, name::attribute};

/// `rsaEncryption`
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-ecPublicKey`
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// Curves with the names that Java gives them.
const CURVES: [(&str, &str); 3] = [
    ("1.2.840.10045.3.1.7", "secp256r1 [NIST P-256,X9.62 prime256v1] (1.2.840.10045.3.1.7)"),
    ("1.3.132.0.34", "secp384r1 [NIST P-384] (1.3.132.0.34)"),
    ("1.3.132.0.35", "secp521r1 [NIST P-521] (1.3.132.0.35)"),
];

/// Signature algorithms with the names that Java gives them.
const ALGORITHMS: [(&str, &str); 10] = [
    ("1.2.840.113549.1.1.5", "SHA1withRSA"),
    ("1.2.840.113549.1.1.11", "SHA256withRSA"),
    ("1.2.840.113549.1.1.12", "SHA384withRSA"),
    ("1.2.840.113549.1.1.13", "SHA512withRSA"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("1.2.840.10045.4.1", "SHA1withECDSA"),
    ("1.2.840.10045.4.3.2", "SHA256withECDSA"),
    ("1.2.840.10045.4.3.3", "SHA384withECDSA"),
    ("1.2.840.10045.4.3.4", "SHA512withECDSA"),
    ("1.3.101.112", "Ed25519"),
];

/// The texts and numbers of a certificate that an administrator sees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Details {
    /// Version, 3 for nearly all.
    pub version: u32,
    /// Serial number in decimal.
    pub serial: String,
    /// Whom it was issued to.
    pub subject: String,
    /// The common name of the subject, if it has one.
    pub subject_common_name: Option<String>,
    /// Who issued it.
    pub issuer: String,
    /// The common name of the issuer, if it has one.
    pub issuer_common_name: Option<String>,
    /// Alternative names of the subject, such as `DNS:ss1, IP Address:127.0.1.1`.
    pub alternative_names: Option<String>,
    /// Name of the signature algorithm, such as `SHA256withRSA`; an object identifier if it has none.
    pub signature_algorithm: String,
    /// The signature in lower-case hexadecimal.
    pub signature: String,
    /// The public key.
    pub public_key: PublicKeyDetails,
}

/// The public key of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PublicKeyDetails {
    /// An RSA key.
    Rsa {
        /// The modulus in lower-case hexadecimal without leading zeros.
        modulus: String,
        /// The exponent; the greatest number if it is greater still.
        exponent: u64,
    },
    /// A key on a curve.
    Ec {
        /// The curve, as Java names it.
        curve: String,
        /// The point in lower-case hexadecimal.
        point: String,
    },
    /// Any other, by its object identifier.
    Other(String),
}

impl Details {
    /// The details of a certificate.
    pub fn of(certificate: &Certificate) -> Self {
        let der = certificate.der();
        // What was read once is read again without a problem.
        let parsed = X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed);
        let parsed = parsed.as_ref();
        let common_name =
            |name: &super::DistinguishedName| name.first(attribute::COMMON_NAME).map(str::to_owned);
        Self {
            version: parsed.map_or(3, |parsed| parsed.version().0.saturating_add(1)),
            serial: certificate.serial_decimal(),
            subject: certificate.subject().to_java_text(),
            subject_common_name: common_name(certificate.subject()),
            issuer: certificate.issuer().to_java_text(),
            issuer_common_name: common_name(certificate.issuer()),
            alternative_names: parsed.and_then(alternative_names),
            signature_algorithm: parsed.map(signature_algorithm).unwrap_or_default(),
            signature: hex(&certificate.0.signature),
            public_key: PublicKeyDetails::of(certificate.public_key()),
        }
    }
}

impl PublicKeyDetails {
    /// The details of a `SubjectPublicKeyInfo`.
    fn of(spki_der: &[u8]) -> Self {
        let unknown = || Self::Other(String::new());
        let Ok(info) = SubjectPublicKeyInfoRef::try_from(spki_der) else { return unknown() };
        let octets = info.subject_public_key.as_bytes().unwrap_or_default();
        match info.algorithm.oid {
            RSA => {
                let numbers: Vec<UintRef<'_>> = Decode::from_der(octets).unwrap_or_default();
                let [modulus, exponent] = numbers.as_slice() else { return unknown() };
                let number = hex(modulus.as_bytes());
                let exponent = exponent
                    .as_bytes()
                    .iter()
                    .try_fold(0_u64, |all, octet| all.checked_mul(256)?.checked_add(u64::from(*octet)));
                let modulus = number.trim_start_matches('0').to_owned();
                Self::Rsa { modulus, exponent: exponent.unwrap_or(u64::MAX) }
            }
            EC => {
                let curve =
                    info.algorithm.parameters.and_then(|named| named.decode_as::<ObjectIdentifier>().ok());
                let curve = curve.map(|curve| curve.to_string()).unwrap_or_default();
                let known = CURVES.iter().find(|(oid, _)| *oid == curve).map(|(_, name)| (*name).to_owned());
                Self::Ec { curve: known.unwrap_or(curve), point: hex(octets) }
            }
            other => Self::Other(other.to_string()),
        }
    }
}

fn signature_algorithm(certificate: &X509Certificate<'_>) -> String {
    let oid = certificate.signature_algorithm.algorithm.to_id_string();
    ALGORITHMS.iter().find(|(known, _)| *known == oid).map_or(oid, |(_, name)| (*name).to_owned())
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = certificate.subject_alternative_name().ok()??;
    let texts: Vec<String> = names.value.general_names.iter().filter_map(alternative_name).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    Some(match name {
        GeneralName::OtherName(..) => "othername:<unsupported>".to_owned(),
        GeneralName::RFC822Name(text) => format!("email:{text}"),
        GeneralName::DNSName(text) => format!("DNS:{text}"),
        GeneralName::X400Address(_) => "x400:<unsupported>".to_owned(),
        GeneralName::DirectoryName(name) => {
            let name = super::DistinguishedName::from_der(name.as_raw().to_vec()).ok()?;
            format!("DirName:{}", name.to_rfc2253())
        }
        GeneralName::EDIPartyName(_) => "ediPartyName:<unsupported>".to_owned(),
        GeneralName::URI(text) => format!("URI:{text}"),
        GeneralName::IPAddress(octets) => format!("IP Address:{}", address(octets)?),
        GeneralName::RegisteredID(oid) => format!("Registered ID:{}", oid.to_id_string()),
        GeneralName::Invalid(..) => return None,
    })
}

/// Java writes the eight groups of an IPv6 address without shortening them.
fn address(octets: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).to_string());
    }
    let groups = Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).segments();
    Some(groups.map(|group| format!("{group:x}")).join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyKind, PrivateKey};
    use protocol::time::UtcTime;

    #[test]
    fn details_of_a_curve() {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let now = UtcTime::from_seconds(1_800_000_000);
        let certificate = crate::self_signed::server_certificate(&key, "127.0.1.1", [7; 16], now).unwrap();
        let details = Details::of(&certificate);
        assert_eq!(details.version, 3);
        assert_eq!(details.subject, "CN=127.0.1.1");
        assert_eq!(details.subject_common_name.as_deref(), Some("127.0.1.1"));
        assert_eq!(details.signature_algorithm, "SHA256withECDSA");
        assert_eq!(details.alternative_names.as_deref(), Some("IP Address:127.0.1.1"));
        let PublicKeyDetails::Ec { curve, point } = details.public_key else { panic!("a curve") };
        assert_eq!(curve, "secp256r1 [NIST P-256,X9.62 prime256v1] (1.2.840.10045.3.1.7)");
        assert!(point.starts_with("04") && point.len() == 130, "{point}");
    }

    #[test]
    fn addresses() {
        assert_eq!(address(&[127, 0, 0, 1]).as_deref(), Some("127.0.0.1"));
        let mut six = [0; 16];
        six[15] = 1;
        assert_eq!(address(&six).as_deref(), Some("0:0:0:0:0:0:0:1"));
        assert_eq!(address(&[1]), None);
    }
}
