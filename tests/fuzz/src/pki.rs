//! Certificates, keys, OCSP, time-stamps and whole containers.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use certs::ca::{PilotCa, Purpose, Settings};
use certs::certificate::{Certificate, DistinguishedName};
use certs::evidence::verify_container;
use certs::key::{KeyKind, PrivateKey, algorithm_of_identifier, digest_of_identifier};
use certs::ocsp::OcspResponse;
use certs::profile::member_of;
use certs::request::CertificateRequest;
use certs::timestamp::TimestampToken;
use certs::trust::{PathUse, TrustStore};
use protocol::configuration::GlobalConfiguration;
use protocol::configuration::local::{LocalCopy, Purpose as CopyPurpose};
use protocol::digest::DigestAlgorithm;
use protocol::time::UtcTime;

use crate::Target;

/// Targets of this module.
pub const TARGETS: &[(&str, Target)] = &[
    ("certificate", certificate),
    ("certificate_request", certificate_request),
    ("distinguished_name", distinguished_name),
    ("private_key", private_key),
    ("algorithm_identifier", algorithm_identifier),
    ("ocsp_request", ocsp_request),
    ("ocsp_response", ocsp_response),
    ("timestamp_request", timestamp_request),
    ("timestamp_response", timestamp_response),
    ("timestamp_token", timestamp_token),
    ("verify_container", container),
];

const NOW: UtcTime = UtcTime::from_millis(1_795_500_000_000);

/// Trust in nobody.
fn nobody() -> &'static TrustStore {
    static STORE: OnceLock<TrustStore> = OnceLock::new();
    STORE.get_or_init(|| {
        let empty = GlobalConfiguration { own_instance: "CW".to_owned(), instances: [].into() };
        TrustStore::new(Arc::new(empty))
    })
}

/// Trust by the local copy of a configuration in the folder that `CAUSEWAY_FUZZ_TRUST` names, if any.
fn somebody() -> &'static TrustStore {
    static STORE: OnceLock<TrustStore> = OnceLock::new();
    STORE.get_or_init(|| {
        let folder = std::env::var("CAUSEWAY_FUZZ_TRUST").unwrap_or_default();
        let copy =
            gateway::configuration::read_local(Path::new(&folder)).unwrap_or_else(|_| LocalCopy::new("CW"));
        TrustStore::new(Arc::new(copy.load(CopyPurpose::Evidence).configuration))
    })
}

/// An authority that answers what it is asked.
fn authority() -> &'static PilotCa {
    static AUTHORITY: OnceLock<PilotCa> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("causeway-fuzz-ca-{}", std::process::id()));
        PilotCa::create(&folder, "Fuzz-Pin-1234", &Settings::for_instance("CW"), NOW)
            .expect("a new authority")
    })
}

fn certificate(data: &[u8]) {
    let Ok(certificate) = Certificate::from_pem_or_der(data) else { return };
    let again = Certificate::from_pem(&certificate.to_pem()).expect("we read what we wrote");
    assert_eq!(again.der(), certificate.der());
    let _ = (certificate.subject_name(), certificate.issuer_name(), certificate.serial_decimal());
    let _ = (certificate.usage(), certificate.is_ca(), certificate.is_self_signed(), certificate.ocsp_url());
    let _ =
        (certificate.signature_algorithm(), certificate.hashes(), certificate.unknown_critical_extension());
    for instance in ["CW", "CAUSEWAY", "TEST"] {
        let _ = somebody().issuer_of(&certificate, Some(instance));
        for used in
            [PathUse::Signature { instance }, PathUse::Consumer { instance }, PathUse::Provider { instance }]
        {
            let _ = somebody().validate_path(&certificate, &[certificate.clone()], used, NOW);
        }
    }
    let _ = (somebody().own_chain(&certificate), somebody().server_of(&certificate));
    names(certificate.subject(), Some(&certificate));
}

/// All ways to find a member in a name.
fn names(name: &DistinguishedName, certificate: Option<&Certificate>) {
    let _ = name.to_rfc2253();
    for class in ["", "Basic", "Ejbca", "FiVRK", "SkKlass3", "SkEsteId"] {
        for prefix in ["ee.ria.xroad.common.certificateprofile.impl.", ""] {
            let profile = format!("{prefix}{class}CertificateProfileInfoProvider");
            if let Some(certificate) = certificate {
                let _ = member_of(&profile, certificate, "CW");
            }
            if let Some(profile) = certs::profile::Profile::from_class_name(&profile) {
                let _ = profile.member(name, "CW");
            }
        }
    }
}

fn distinguished_name(data: &[u8]) {
    if let Ok(name) = DistinguishedName::from_der(data.to_vec()) {
        names(&name, None);
    }
}

/// Such a request is issued a certificate for, too; few inputs have a signature that holds.
fn certificate_request(data: &[u8]) {
    let Ok(request) = CertificateRequest::from_pem_or_der(data) else { return };
    let _ = request.usage();
    let _ = authority().issue(data, Purpose::Signing, NOW);
}

fn private_key(data: &[u8]) {
    let from_text = std::str::from_utf8(data).ok().and_then(|text| PrivateKey::from_pem(text).ok());
    let Some(key) = from_text.or_else(|| PrivateKey::from_pkcs8(data).ok()) else { return };
    let again = PrivateKey::from_pem(&key.to_pem().expect("a key in memory")).ok().expect("we read what we wrote");
    assert_eq!(again.public_key(), key.public_key());
    if matches!(key.kind(), KeyKind::P256) {
        let _ = key.sign(key.default_algorithm(), b"octets", certs::key::SignatureForm::Der);
    }
}

fn algorithm_identifier(data: &[u8]) {
    let _ = (algorithm_of_identifier(data), digest_of_identifier(data));
}

fn ocsp_request(data: &[u8]) {
    let _ = certs::ocsp::Request::parse(data);
    let answer = authority().ocsp_answer(data, NOW);
    assert!(!answer.is_empty());
}

fn ocsp_response(data: &[u8]) {
    let Ok(response) = OcspResponse::parse(Bytes::copy_from_slice(data)) else { return };
    let _ = (response.status(), response.this_update(), response.next_update());
    for authority in somebody().authorities() {
        let issuer = authority.certificate();
        let _ = certs::ocsp::check(&response, issuer, issuer, somebody(), response.this_update());
    }
}

fn timestamp_request(data: &[u8]) {
    let _ = certs::timestamp::Request::parse(data);
    let answer = authority().timestamp_answer(data, NOW);
    assert!(!answer.is_empty());
}

fn timestamp_response(data: &[u8]) {
    let imprint = DigestAlgorithm::Sha512.digest(b"x");
    let _ = TimestampToken::from_response(data, &imprint);
}

fn timestamp_token(data: &[u8]) {
    let Ok(token) = TimestampToken::parse(Bytes::copy_from_slice(data)) else { return };
    for store in [nobody(), somebody()] {
        let _ = (token.check(data, store), token.check_digest(token.imprint(), store));
    }
    let _ = token.with_certificate(data);
}

fn container(data: &[u8]) {
    for store in [nobody(), somebody()] {
        for at in [None, Some(NOW)] {
            let report = verify_container(data, store, at);
            let _ = (report.to_json(), report.fault().is_some());
            assert!(std::ptr::eq(store, somebody()) || !report.is_valid(), "trust in nobody, and valid");
        }
    }
}
