//! Keys with certificates, good ones and others.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use certs::ca::Purpose;
use certs::certificate::name::attribute;
use certs::certificate::{Certificate, CertificateUsage, DistinguishedName};
use certs::key::{KeyKind, PrivateKey, SignatureForm};
use certs::profile::{Profile, RequestFor, Subject};
use certs::request;
use certs::token::{CertificateStatus, SoftwareToken};
use protocol::digest::DigestAlgorithm;
use protocol::id::{MemberId, SecurityServerId};
use protocol::signature::{SignedReference, SigningEvidence, prepare};
use protocol::time::UtcTime;

use super::instance::{PIN, TestInstance};

/// A key with its certificate.
#[derive(Clone)]
pub struct TestKey {
    /// The key.
    pub key: Arc<PrivateKey>,
    /// Its certificate.
    pub certificate: Certificate,
}

/// Issues keys with certificates of an instance's authority at one moment.
pub struct Credentials<'a> {
    instance: &'a TestInstance,
    issued: UtcTime,
    kind: KeyKind,
}

impl<'a> Credentials<'a> {
    pub(super) fn new(instance: &'a TestInstance, issued: UtcTime) -> Self {
        Self { instance, issued, kind: KeyKind::P256 }
    }

    /// The same with keys of another kind; P-256 otherwise.
    #[must_use]
    pub fn with_keys(self, kind: KeyKind) -> Self {
        Self { kind, ..self }
    }

    /// A signing key of a member.
    #[track_caller]
    pub fn signing(&self, member: &MemberId) -> TestKey {
        let server = SecurityServerId::new(member.clone(), "any").expect("an identifier");
        self.issue(Purpose::Signing, CertificateUsage::Signing, &server, member)
    }

    /// An authentication key of a server. The certificate is not registered by this.
    #[track_caller]
    pub fn authentication(&self, server: &SecurityServerId) -> TestKey {
        self.issue(Purpose::Authentication, CertificateUsage::Authentication, server, server.owner())
    }

    /// A key for the TLS of an information system.
    #[track_caller]
    pub fn tls(&self, dns_name: &str) -> TestKey {
        let name = DistinguishedName::build([(attribute::COMMON_NAME, dns_name)]).expect("a name");
        let subject = Subject { name, dns_name: Some(dns_name.to_owned()) };
        self.issue_to(Purpose::Tls, CertificateUsage::Authentication, &subject)
    }

    #[track_caller]
    fn issue(
        &self,
        purpose: Purpose,
        usage: CertificateUsage,
        server: &SecurityServerId,
        member: &MemberId,
    ) -> TestKey {
        let profile = Profile::from_class_name(&self.instance.ca().settings().certificate_profile);
        let of = RequestFor { server, member, member_name: "Test", dns_name: "test.example", country: "XX" };
        let subject = profile.expect("a known profile").subject(usage, &of).expect("a subject");
        self.issue_to(purpose, usage, &subject)
    }

    #[track_caller]
    fn issue_to(&self, purpose: Purpose, usage: CertificateUsage, subject: &Subject) -> TestKey {
        let key = PrivateKey::generate(self.kind).expect("a key");
        let request = request::create(&key, subject, usage).expect("a request");
        let certificate = self.instance.ca().issue(&request, purpose, self.issued).expect("a certificate");
        TestKey { key: Arc::new(key), certificate }
    }
}

impl TestKey {
    /// A signature document over one message without attachments, with the OCSP response of `instance`.
    #[track_caller]
    pub fn sign(&self, instance: &TestInstance, message: &[u8]) -> Bytes {
        self.sign_with(instance.ocsp(&self.certificate).der().clone(), message, instance.now())
    }

    /// The same with a chosen OCSP response and signing time.
    #[track_caller]
    pub fn sign_with(&self, ocsp: Bytes, message: &[u8], at: UtcTime) -> Bytes {
        let evidence = SigningEvidence {
            certificate: self.certificate.der().clone(),
            issuer_name: self.certificate.issuer_name(),
            serial: self.certificate.serial_decimal(),
            intermediates: Vec::new(),
            ocsp_responses: vec![ocsp],
        };
        let reference = SignedReference::Message(DigestAlgorithm::Sha512.digest(message));
        let algorithm = self.key.default_algorithm();
        let unsigned = prepare(&evidence, reference, algorithm, at);
        let value = self.key.sign(algorithm, unsigned.octets(), SignatureForm::Raw).expect("signs");
        unsigned.finish(&value)
    }
}

/// Makes a token in `folder` with these keys, each with its certificate, active and `registered`, and
/// returns its PIN.
#[track_caller]
pub fn write_token(folder: &Path, keys: &[&TestKey], at: UtcTime) -> &'static str {
    let token = SoftwareToken::create(folder, PIN).expect("a token");
    for TestKey { key, certificate } in keys {
        let usage = certificate.usage().expect("one usage");
        let copy = PrivateKey::from_pkcs8(&key.pkcs8().expect("a key in memory")).expect("the same key");
        token.import(copy, usage, "test").expect("takes the key");
        token.import_certificate(certificate, at).expect("takes the certificate");
        token.set_status(certificate, CertificateStatus::Registered).expect("sets the status");
    }
    PIN
}
