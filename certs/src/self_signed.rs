//! Certificates that a node signs for itself: containers of a key, and the certificate of an HTTPS port.

use std::net::IpAddr;
use std::time::Duration;

use const_oid::ObjectIdentifier;
use protocol::digest::DigestAlgorithm;
use protocol::signature::SignatureAlgorithm;
use protocol::time::UtcTime;

use crate::asn1;
use crate::certificate::Certificate;
use crate::key::{self, KeyError, PrivateKey, SignatureForm};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const ALTERNATIVE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const SERVER_AUTHENTICATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTHENTICATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
/// Ten years, the validity of a server certificate that nobody checks for its age.
const LONG: Duration = Duration::from_secs(3650 * 24 * 3600);

struct Wanted<'a> {
    name: &'a str,
    serial: &'a [u8],
    algorithm: SignatureAlgorithm,
    from: UtcTime,
    until: UtcTime,
    extensions: &'a [&'a [u8]],
}

/// The certificate of a key that signs global configuration. Only the key in it matters; the rest is
/// as the field has it (global configuration and trust §11.1).
///
/// # Errors
/// Those of signing.
pub fn key_container(key: &PrivateKey, name: &str) -> Result<Certificate, KeyError> {
    // nonRepudiation and keyCertSign; CA without a limit.
    let usage = asn1::tlv(asn1::BIT_STRING, &[&[2, 0b0100_0100]]);
    let authority = asn1::sequence(&[&[asn1::BOOLEAN, 1, 0xFF]]);
    let scheme = key.default_algorithm().scheme;
    let wanted = Wanted {
        name,
        serial: &[1],
        algorithm: SignatureAlgorithm::new(scheme, DigestAlgorithm::Sha512),
        from: UtcTime::from_seconds(0),
        until: UtcTime::from_seconds(2_145_916_800),
        extensions: &[
            &asn1::extension(KEY_USAGE, true, &usage),
            &asn1::extension(BASIC_CONSTRAINTS, true, &authority),
        ],
    };
    sign(key, &wanted)
}

/// A certificate for an HTTPS port, valid for ten years from `now`, for a host name or an IP address.
/// `serial` should be random: browsers that remember one refuse another of the same number. It is good for
/// a TLS client as well, since a node shows it to providers' systems that ask for one (messages and
/// transport §5.5).
///
/// # Errors
/// Those of signing.
pub fn server_certificate(
    key: &PrivateKey,
    host: &str,
    serial: [u8; 16],
    now: UtcTime,
) -> Result<Certificate, KeyError> {
    let name = match host.parse() {
        Ok(IpAddr::V4(address)) => asn1::tlv(asn1::context_value(7), &[&address.octets()]),
        Ok(IpAddr::V6(address)) => asn1::tlv(asn1::context_value(7), &[&address.octets()]),
        Err(_) => asn1::tlv(asn1::context_value(2), &[host.as_bytes()]),
    };
    // digitalSignature.
    let usage = asn1::tlv(asn1::BIT_STRING, &[&[7, 0b1000_0000]]);
    let purpose = asn1::sequence(&[&asn1::oid(SERVER_AUTHENTICATION), &asn1::oid(CLIENT_AUTHENTICATION)]);
    let wanted = Wanted {
        name: host,
        serial: &serial,
        algorithm: key.default_algorithm(),
        from: now.minus(Duration::from_secs(24 * 3600)),
        until: now.plus(LONG),
        extensions: &[
            &asn1::extension(KEY_USAGE, true, &usage),
            &asn1::extension(EXTENDED_KEY_USAGE, false, &purpose),
            &asn1::extension(ALTERNATIVE_NAME, false, &asn1::sequence(&[&name])),
        ],
    };
    sign(key, &wanted)
}

fn sign(key: &PrivateKey, wanted: &Wanted<'_>) -> Result<Certificate, KeyError> {
    let algorithm = key::algorithm_identifier(wanted.algorithm).ok_or(KeyError::WrongAlgorithm)?;
    let text = asn1::tlv(asn1::UTF8_STRING, &[wanted.name.as_bytes()]);
    let name = asn1::sequence(&[&asn1::set_of(vec![asn1::sequence(&[&asn1::oid(COMMON_NAME), &text])])]);
    let validity = asn1::sequence(&[&asn1::short_time(wanted.from), &asn1::short_time(wanted.until)]);
    let extensions = asn1::tlv(asn1::context(3), &[&asn1::sequence(wanted.extensions)]);
    let version = asn1::tlv(asn1::context(0), &[&asn1::unsigned(&[2])]);
    let serial = asn1::unsigned(wanted.serial);
    let content = asn1::sequence(&[
        &version,
        &serial,
        &algorithm,
        &name,
        &validity,
        &name,
        key.public_key(),
        &extensions,
    ]);
    let value = key.sign(wanted.algorithm, &content, SignatureForm::Der)?;
    let der = asn1::sequence(&[&content, &algorithm, &asn1::bit_string(&value)]);
    Certificate::from_der(der).map_err(|_| KeyError::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::KeyUsage;
    use crate::key::KeyKind;

    #[test]
    fn key_containers() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048] {
            let key = PrivateKey::generate(kind).expect("a key");
            let certificate = key_container(&key, "internalSigningKey").expect("a certificate");
            assert!(certificate.is_self_signed() && certificate.is_ca(), "{kind:?}");
            assert_eq!(certificate.subject_name(), "CN=internalSigningKey");
            assert_eq!(certificate.serial_decimal(), "1");
            assert_eq!(certificate.not_before().to_string(), "1970-01-01T00:00:00Z");
            assert_eq!(certificate.not_after().to_string(), "2038-01-01T00:00:00Z");
            let uses = KeyUsage::NON_REPUDIATION.and(KeyUsage::KEY_CERT_SIGN);
            assert_eq!(certificate.key_usage(), Some(uses));
            assert_eq!(certificate.public_key(), key.public_key());
        }
    }

    #[test]
    fn server_certificates() {
        let key = PrivateKey::generate(KeyKind::P256).expect("a key");
        let now = "2026-11-24T12:00:00Z".parse().expect("a time");
        let certificate = server_certificate(&key, "r.example", [0x80; 16], now).expect("a certificate");
        assert!(certificate.is_self_signed() && certificate.is_valid_at(now) && !certificate.is_ca());
        assert_eq!(certificate.dns_names(), ["r.example"]);
        assert!(certificate.extended_key_usage().is_some_and(|usage| usage.client_auth));
        assert!(server_certificate(&key, "::1", [1; 16], now).is_ok());
    }
}
