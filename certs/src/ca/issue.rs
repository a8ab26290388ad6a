//! Writing certificates (RFC 5280).

use const_oid::ObjectIdentifier;
use protocol::digest::DigestAlgorithm;
use protocol::time::UtcTime;

use crate::asn1::{
    self, BIT_STRING, NULL, OCTET_STRING, SEQUENCE, UTF8_STRING, context, context_value, extension, oid,
    sequence, set_of, short_time, tlv, unsigned,
};
use crate::key::{self, KeyError, PrivateKey, SignatureForm};

const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const SUBJECT_ALTERNATIVE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const AUTHORITY_INFORMATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
const OCSP_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const OCSP_NO_CHECK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");

pub(super) const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
pub(super) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
pub(super) const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
pub(super) const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

/// Bits of the key usage extension.
pub(super) mod usage {
    pub(in super::super) const DIGITAL_SIGNATURE: u8 = 0x80;
    pub(in super::super) const NON_REPUDIATION: u8 = 0x40;
    pub(in super::super) const KEY_ENCIPHERMENT: u8 = 0x20;
    pub(in super::super) const DATA_ENCIPHERMENT: u8 = 0x10;
    pub(in super::super) const CERTIFICATE_SIGN: u8 = 0x04;
    pub(in super::super) const CRL_SIGN: u8 = 0x02;
}

/// What a certificate says.
pub(super) struct Template<'a> {
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) not_before: UtcTime,
    pub(super) not_after: UtcTime,
    /// SubjectPublicKeyInfo.
    pub(super) public_key: &'a [u8],
    pub(super) is_authority: bool,
    pub(super) key_usage: u8,
    /// With whether the extension is critical, as time-stamping demands.
    pub(super) extended: Option<(bool, &'a [ObjectIdentifier])>,
    pub(super) names: &'a [String],
    pub(super) ocsp_url: Option<&'a str>,
    pub(super) is_responder: bool,
}

/// Signs a certificate with the issuer's key.
pub(super) fn certificate(template: &Template<'_>, issuer: &PrivateKey) -> Result<Vec<u8>, KeyError> {
    let algorithm = issuer.default_algorithm();
    let identifier = key::algorithm_identifier(algorithm).ok_or(KeyError::WrongAlgorithm)?;
    let body = sequence(&[
        &tlv(context(0), &[&unsigned(&[2])]),
        &unsigned(template.serial),
        &identifier,
        template.issuer,
        &sequence(&[&short_time(template.not_before), &short_time(template.not_after)]),
        template.subject,
        template.public_key,
        &tlv(context(3), &[&extensions(template, issuer)]),
    ]);
    let signature = issuer.sign(algorithm, &body, SignatureForm::Der)?;
    Ok(sequence(&[&body, &identifier, &asn1::bit_string(&signature)]))
}

fn extensions(template: &Template<'_>, issuer: &PrivateKey) -> Vec<u8> {
    let mut list = Vec::new();
    if template.is_authority {
        list.push(extension(BASIC_CONSTRAINTS, true, &sequence(&[&[asn1::BOOLEAN, 1, 0xFF]])));
    } else {
        list.push(extension(BASIC_CONSTRAINTS, false, &sequence(&[])));
    }
    let unused = template.key_usage.trailing_zeros() as u8;
    list.push(extension(KEY_USAGE, true, &tlv(BIT_STRING, &[&[unused, template.key_usage]])));
    if let Some((critical, purposes)) = template.extended {
        let purposes: Vec<u8> = purposes.iter().flat_map(|purpose| oid(*purpose)).collect();
        list.push(extension(EXTENDED_KEY_USAGE, critical, &sequence(&[&purposes])));
    }
    let own = key_id(template.public_key);
    list.push(extension(SUBJECT_KEY_ID, false, &tlv(OCTET_STRING, &[&own])));
    let authority = tlv(context_value(0), &[&key_id(issuer.public_key())]);
    list.push(extension(AUTHORITY_KEY_ID, false, &sequence(&[&authority])));
    if !template.names.is_empty() {
        let names: Vec<u8> =
            template.names.iter().flat_map(|name| tlv(context_value(2), &[name.as_bytes()])).collect();
        list.push(extension(SUBJECT_ALTERNATIVE_NAME, false, &sequence(&[&names])));
    }
    if let Some(url) = template.ocsp_url {
        let access = sequence(&[&oid(OCSP_ACCESS), &tlv(context_value(6), &[url.as_bytes()])]);
        list.push(extension(AUTHORITY_INFORMATION, false, &sequence(&[&access])));
    }
    if template.is_responder {
        list.push(extension(OCSP_NO_CHECK, false, NULL));
    }
    tlv(SEQUENCE, &[&list.concat()])
}

/// SHA-1 of the public key's octets, as RFC 5280 §4.2.1.2 (1) has it.
pub(super) fn key_id(public_key: &[u8]) -> Vec<u8> {
    DigestAlgorithm::Sha1.digest(key::public_key_bits(public_key).unwrap_or(public_key)).bytes().to_vec()
}

/// A name of organization and common name, for the authority itself.
pub(super) fn name(organization: &str, common_name: &str) -> Vec<u8> {
    let parts: Vec<u8> = [(ORGANIZATION, organization), (COMMON_NAME, common_name)]
        .into_iter()
        .flat_map(|(kind, value)| {
            set_of(vec![sequence(&[&oid(kind), &tlv(UTF8_STRING, &[value.as_bytes()])])])
        })
        .collect();
    sequence(&[&parts])
}
