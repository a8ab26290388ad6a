//! Certificate requests (global configuration and trust §14.3; signatures and evidence §7.3).

use const_oid::db::rfc5280::{ID_CE_KEY_USAGE, ID_CE_SUBJECT_ALT_NAME};
use der::asn1::{Any, BitString, Ia5String, ObjectIdentifier, OctetString, SetOfVec};
use der::{Decode, Encode};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::prelude::FromDer as _;

use crate::certificate::{CertificateUsage, DistinguishedName, ExtendedKeyUsage, KeyUsage, SignedParts};
use crate::key::{
    KeyError, PrivateKey, SignatureForm, algorithm_identifier, algorithm_of_identifier, verify,
};
use crate::profile::Subject;

/// A request longer than this is not looked at.
pub const LONGEST_REQUEST: usize = 64 * 1024;

/// `nonRepudiation` and `keyCertSign`, as X-Road asks for signing certificates.
const SIGNING_USAGE: [u8; 4] = [0x03, 0x02, 0x01, 0x44];
/// `digitalSignature`, `keyEncipherment` and `dataEncipherment`.
const AUTHENTICATION_USAGE: [u8; 4] = [0x03, 0x02, 0x04, 0xb0];
/// The attribute `extensionRequest` of PKCS#9.
const ID_EXTENSION_REQ: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// Why there is no request.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// More than [`LONGEST_REQUEST`] bytes.
    #[error("the certificate request is longer than {LONGEST_REQUEST} bytes")]
    TooLong,
    /// Not a PKCS#10 request in DER or PEM.
    #[error("not a certificate request")]
    Malformed,
    /// The request is not signed by the key that it is for, or the key is weak or of an unknown kind.
    #[error("the certificate request is not signed by its own key")]
    BadSignature,
    /// Subject, key or alternative name cannot be written.
    #[error("the certificate request cannot be encoded")]
    Unencodable,
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Makes a PKCS#10 request in DER, signed with SHA-256.
pub fn create(key: &PrivateKey, subject: &Subject, usage: CertificateUsage) -> Result<Vec<u8>, RequestError> {
    let info = CertReqInfo {
        version: Version::V1,
        subject: Name::from_der(subject.name.der()).map_err(|_| RequestError::Unencodable)?,
        public_key: SubjectPublicKeyInfoOwned::from_der(key.public_key())
            .map_err(|_| RequestError::Unencodable)?,
        attributes: extension_request(subject, usage).map_err(|_| RequestError::Unencodable)?,
    };
    let signed = info.to_der().map_err(|_| RequestError::Unencodable)?;
    let scheme = match key.default_algorithm().scheme {
        SignatureScheme::Ecdsa => SignatureScheme::Ecdsa,
        SignatureScheme::RsaPkcs1 | SignatureScheme::RsaPss => SignatureScheme::RsaPkcs1,
    };
    let algorithm = SignatureAlgorithm::new(scheme, DigestAlgorithm::Sha256);
    let signature = key.sign(algorithm, &signed, SignatureForm::Der)?;
    let identifier = algorithm_identifier(algorithm).ok_or(RequestError::Unencodable)?;
    let assemble = || -> der::Result<Vec<u8>> {
        CertReq {
            info,
            algorithm: AlgorithmIdentifierOwned::from_der(&identifier)?,
            signature: BitString::from_bytes(&signature)?,
        }
        .to_der()
    };
    assemble().map_err(|_| RequestError::Unencodable)
}

/// The text form of a request in DER.
pub fn to_pem(der: &[u8]) -> String {
    crate::pem::encode("CERTIFICATE REQUEST", der)
}

fn extension_request(subject: &Subject, usage: CertificateUsage) -> der::Result<SetOfVec<Attribute>> {
    let bits = match usage {
        CertificateUsage::Signing => SIGNING_USAGE,
        CertificateUsage::Authentication => AUTHENTICATION_USAGE,
    };
    let extension = |oid, content: &[u8]| {
        Ok::<_, der::Error>(Extension {
            extn_id: oid,
            critical: false,
            extn_value: OctetString::new(content)?,
        })
    };
    let mut extensions = Vec::new();
    if let Some(dns) = &subject.dns_name {
        let names = SubjectAltName(vec![GeneralName::DnsName(Ia5String::new(dns)?)]);
        extensions.push(extension(ID_CE_SUBJECT_ALT_NAME, &names.to_der()?)?);
    }
    extensions.push(extension(ID_CE_KEY_USAGE, &bits)?);
    let mut values = SetOfVec::new();
    values.insert(Any::from_der(&extensions.to_der()?)?)?;
    let mut attributes = SetOfVec::new();
    attributes.insert(Attribute { oid: ID_EXTENSION_REQ, values })?;
    Ok(attributes)
}

/// A request that came from elsewhere and is signed by the key that it is for.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// Whom the certificate shall be issued to.
    pub subject: DistinguishedName,
    /// The `SubjectPublicKeyInfo` in DER.
    pub public_key: Vec<u8>,
    /// Key usage that is asked for.
    pub key_usage: Option<KeyUsage>,
    /// Extended key usage that is asked for.
    pub extended_key_usage: Option<ExtendedKeyUsage>,
    /// DNS names for the subject alternative name.
    pub dns_names: Vec<String>,
    /// Whether it asks for a CA certificate.
    pub wants_ca: bool,
}

impl CertificateRequest {
    /// Reads a request in DER and verifies it with its own key.
    pub fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > LONGEST_REQUEST {
            return Err(RequestError::TooLong);
        }
        let parts = SignedParts::read(der).ok_or(RequestError::Malformed)?;
        let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| RequestError::Malformed)?;
        let info = &request.certification_request_info;
        let public_key = info.subject_pki.raw;
        let good = algorithm_of_identifier(parts.algorithm)
            .filter(|algorithm| algorithm.digest != DigestAlgorithm::Sha1)
            .is_some_and(|algorithm| {
                verify(public_key, algorithm, parts.content, parts.signature, SignatureForm::Der)
            });
        if !rest.is_empty() {
            return Err(RequestError::Malformed);
        }
        if !good {
            return Err(RequestError::BadSignature);
        }
        let mut extensions = Vec::new();
        for attribute in info.iter_attributes() {
            if let ParsedCriAttribute::ExtensionRequest(asked) = attribute.parsed_attribute() {
                extensions.extend(asked.extensions.iter().cloned());
            }
        }
        let asked = crate::certificate::read_extensions(&extensions).map_err(|_| RequestError::Malformed)?;
        Ok(Self {
            subject: DistinguishedName::from_der(info.subject.as_raw().to_vec())
                .map_err(|_| RequestError::Malformed)?,
            public_key: public_key.to_vec(),
            key_usage: asked.key_usage,
            extended_key_usage: asked.extended_key_usage,
            dns_names: asked.dns_names,
            wants_ca: asked.basic_constraints.is_some_and(|constraints| constraints.ca),
        })
    }

    /// Reads either form; see [`CertificateRequest::from_der`].
    pub fn from_pem_or_der(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > 4 * LONGEST_REQUEST {
            return Err(RequestError::TooLong);
        }
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN")) else {
            return Self::from_der(bytes);
        };
        let der = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]
            .iter()
            .find_map(|label| crate::pem::first(text, label))
            .ok_or(RequestError::Malformed)?;
        Self::from_der(&der)
    }

    /// What the certificate is asked for: signing when non-repudiation is among the key usages, else
    /// authentication when it would be such a certificate; none when it says neither.
    pub fn usage(&self) -> Option<CertificateUsage> {
        let has = |uses| self.key_usage.is_some_and(|usage| usage.has(uses));
        let authentication =
            KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT).and(KeyUsage::DATA_ENCIPHERMENT);
        if has(KeyUsage::NON_REPUDIATION) {
            Some(CertificateUsage::Signing)
        } else if has(authentication) || self.extended_key_usage.is_some_and(|usage| usage.client_auth) {
            Some(CertificateUsage::Authentication)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::name::attribute;
    use crate::key::KeyKind;

    fn subject() -> Subject {
        let name = [
            (attribute::COUNTRY, "XX"),
            (attribute::ORGANIZATION, "Ä, \"b\""),
            (attribute::COMMON_NAME, "1"),
        ];
        Subject {
            name: DistinguishedName::build(name).expect("a name"),
            dns_name: Some("ss1.example".to_owned()),
        }
    }

    #[test]
    fn requests_are_read_back() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048] {
            for usage in [CertificateUsage::Signing, CertificateUsage::Authentication] {
                let key = PrivateKey::generate(kind).expect("generates");
                let der = create(&key, &subject(), usage).expect("creates");
                let read = CertificateRequest::from_pem_or_der(to_pem(&der).as_bytes()).expect("reads");
                assert_eq!(read.subject, subject().name);
                assert_eq!((read.public_key.as_slice(), read.usage()), (key.public_key(), Some(usage)));
                assert_eq!((read.dns_names, read.wants_ca), (vec!["ss1.example".to_owned()], false));
            }
        }
    }

    #[test]
    fn key_usages_are_those_of_the_specification() {
        let key = PrivateKey::generate(KeyKind::P256).expect("generates");
        for (usage, expected) in [
            (CertificateUsage::Signing, KeyUsage::NON_REPUDIATION.and(KeyUsage::KEY_CERT_SIGN)),
            (
                CertificateUsage::Authentication,
                KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT).and(KeyUsage::DATA_ENCIPHERMENT),
            ),
        ] {
            let der = create(&key, &subject(), usage).expect("creates");
            assert_eq!(CertificateRequest::from_der(&der).expect("reads").key_usage, Some(expected));
        }
    }

    #[test]
    fn changed_requests_are_refused() {
        let key = PrivateKey::generate(KeyKind::P256).expect("generates");
        let der = create(&key, &subject(), CertificateUsage::Signing).expect("creates");
        for index in 0..der.len() {
            let mut broken = der.clone();
            broken[index] ^= 1;
            assert!(CertificateRequest::from_der(&broken).is_err(), "octet {index}");
            assert!(CertificateRequest::from_der(&der[..index]).is_err());
        }
        assert_eq!(CertificateRequest::from_pem_or_der(b"x").map(drop), Err(RequestError::Malformed));
    }
}
