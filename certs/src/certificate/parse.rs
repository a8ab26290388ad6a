//! From bytes to a certificate's fields.

use bytes::Bytes;
use der::{Decode, Reader, SliceReader};
use protocol::configuration::CertificateHashes;
use protocol::time::UtcTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::oid_registry;
use x509_parser::prelude::FromDer;

use super::{
    BasicConstraints, CertificateError, DistinguishedName, ExtendedKeyUsage, Extensions, KeyUsage,
    LONGEST_CERTIFICATE, Parsed,
};
use crate::key::algorithm_of_identifier;

/// RFC 5280 §4.1.2.2 knows 20 octets; some CAs are more generous.
const LONGEST_SERIAL: usize = 64;

pub(super) fn certificate(der: Bytes) -> Result<Parsed, CertificateError> {
    if der.len() > LONGEST_CERTIFICATE {
        return Err(CertificateError::TooLong);
    }
    let outer = SignedParts::read(&der).ok_or(CertificateError::Malformed)?;
    let (rest, certificate) = X509Certificate::from_der(&der).map_err(|_| CertificateError::Malformed)?;
    let tbs = &certificate.tbs_certificate;
    let serial = tbs.raw_serial();
    if !rest.is_empty() || serial.is_empty() || serial.len() > LONGEST_SERIAL {
        return Err(CertificateError::Malformed);
    }
    if tbs.signature != certificate.signature_algorithm {
        return Err(CertificateError::AlgorithmMismatch);
    }
    let name =
        |raw: &[u8]| DistinguishedName::from_der(raw.to_vec()).map_err(|_| CertificateError::MalformedName);
    Ok(Parsed {
        tbs: outer.range,
        algorithm: algorithm_of_identifier(outer.algorithm),
        signature: outer.signature.to_vec(),
        subject: name(tbs.subject.as_raw())?,
        issuer: name(tbs.issuer.as_raw())?,
        serial: serial.to_vec(),
        public_key: tbs.subject_pki.raw.to_vec(),
        not_before: UtcTime::from_seconds(tbs.validity.not_before.timestamp()),
        not_after: UtcTime::from_seconds(tbs.validity.not_after.timestamp()),
        hashes: CertificateHashes::of(&der),
        extensions: extensions(tbs.extensions())?,
        der: der.clone(),
    })
}

/// The three parts of something signed by a CA or by its own key: content, algorithm, signature.
pub(crate) struct SignedParts<'a> {
    /// Where the content is within the whole.
    pub(crate) range: std::ops::Range<usize>,
    /// What is signed, with its tag.
    pub(crate) content: &'a [u8],
    /// The `AlgorithmIdentifier` in DER.
    pub(crate) algorithm: &'a [u8],
    /// The octets of the signature.
    pub(crate) signature: &'a [u8],
}

impl<'a> SignedParts<'a> {
    /// Takes a `SEQUENCE { content, algorithm, signature }` apart. The content is taken as it stands.
    pub(crate) fn read(der: &'a [u8]) -> Option<Self> {
        let read = || -> der::Result<Self> {
            let mut reader = SliceReader::new(der)?;
            let head = der::Header::decode(&mut reader)?;
            head.tag.assert_eq(der::Tag::Sequence)?;
            let start = usize::try_from(reader.position())?;
            let content = reader.tlv_bytes()?;
            let algorithm = reader.tlv_bytes()?;
            let signature = der::asn1::BitStringRef::decode(&mut reader)?;
            let signature = signature.as_bytes().ok_or(der::ErrorKind::Failed)?;
            let end = start.checked_add(content.len()).ok_or(der::ErrorKind::Overflow)?;
            reader.finish(Self { range: start..end, content, algorithm, signature })
        };
        read().ok()
    }
}

/// Reads the extensions of a certificate or those that a request asks for.
pub(crate) fn extensions(all: &[X509Extension<'_>]) -> Result<Extensions, CertificateError> {
    let mut found = Extensions::default();
    for (index, extension) in all.iter().enumerate() {
        if all.iter().take(index).any(|earlier| earlier.oid == extension.oid) {
            return Err(CertificateError::DuplicateExtension);
        }
        if !take(&mut found, extension)? && extension.critical && found.unknown_critical.is_none() {
            found.unknown_critical = Some(extension.oid.to_id_string());
        }
    }
    Ok(found)
}

/// Takes over one extension; false when we do not process it, so that it must not be critical.
fn take(found: &mut Extensions, extension: &X509Extension<'_>) -> Result<bool, CertificateError> {
    match extension.parsed_extension() {
        ParsedExtension::KeyUsage(usage) => found.key_usage = Some(KeyUsage(usage.flags)),
        ParsedExtension::ExtendedKeyUsage(usage) => {
            found.extended_key_usage = Some(ExtendedKeyUsage {
                server_auth: usage.server_auth,
                client_auth: usage.client_auth,
                ocsp_signing: usage.ocsp_signing,
                time_stamping: usage.time_stamping,
                others: usage.any || usage.code_signing || usage.email_protection || !usage.other.is_empty(),
                critical: extension.critical,
            });
        }
        ParsedExtension::BasicConstraints(constraints) => {
            found.basic_constraints =
                Some(BasicConstraints { ca: constraints.ca, path_length: constraints.path_len_constraint });
        }
        ParsedExtension::SubjectKeyIdentifier(id) => found.subject_key_id = Some(id.0.to_vec()),
        ParsedExtension::SubjectAlternativeName(names) => {
            found.dns_names = names
                .general_names
                .iter()
                .filter_map(|name| match name {
                    GeneralName::DNSName(dns) => Some((*dns).to_owned()),
                    _ => None,
                })
                .collect();
        }
        ParsedExtension::AuthorityInfoAccess(access) => {
            found.ocsp_url =
                access.accessdescs.iter().find_map(|described| match &described.access_location {
                    GeneralName::URI(url)
                        if described.access_method == oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP =>
                    {
                        Some((*url).to_owned())
                    }
                    _ => None,
                });
        }
        // No policy is demanded of a path here, so which policies a certificate has does not matter.
        ParsedExtension::CertificatePolicies(_) => {}
        ParsedExtension::NameConstraints(_) => found.has_name_constraints = true,
        ParsedExtension::PolicyConstraints(_) => found.has_policy_constraints = true,
        ParsedExtension::ParseError { .. } => return malformed(extension),
        _ => return Ok(false),
    }
    Ok(true)
}

/// An extension that cannot be read refuses the certificate when anything here depends on it.
fn malformed(extension: &X509Extension<'_>) -> Result<bool, CertificateError> {
    let needed = [
        oid_registry::OID_X509_EXT_KEY_USAGE,
        oid_registry::OID_X509_EXT_EXTENDED_KEY_USAGE,
        oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS,
        oid_registry::OID_X509_EXT_NAME_CONSTRAINTS,
        oid_registry::OID_X509_EXT_POLICY_CONSTRAINTS,
    ];
    if needed.contains(&extension.oid) {
        return Err(CertificateError::MalformedExtension);
    }
    Ok(false)
}

/// A big-endian integer in two's complement as decimal text.
pub(super) fn decimal(integer: &[u8]) -> String {
    let negative = integer.first().is_some_and(|first| *first >= 0x80);
    let mut octets = integer.to_vec();
    if negative {
        octets.iter_mut().for_each(|octet| *octet = !*octet);
        for octet in octets.iter_mut().rev() {
            let (sum, carried) = octet.overflowing_add(1);
            *octet = sum;
            if !carried {
                break;
            }
        }
    }
    let mut digits = Vec::new();
    while octets.iter().any(|octet| *octet != 0) {
        let mut remainder = 0_u32;
        for octet in &mut octets {
            let value = remainder * 256 + u32::from(*octet);
            *octet = u8::try_from(value / 10).unwrap_or(u8::MAX);
            remainder = value % 10;
        }
        digits.push(char::from_digit(remainder, 10).unwrap_or('0'));
    }
    if digits.is_empty() {
        digits.push('0');
    }
    if negative {
        digits.push('-');
    }
    digits.iter().rev().collect()
}
