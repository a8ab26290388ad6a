//! Certificates and signatures of management requests (registry and administration §3.5, §3.8).
//!
//! Each step is a function with the code that its failure has on the wire; their order is the registry's
//! matter. Everything is looked up in the own instance.

use bytes::Bytes;
use protocol::fault::{Fault, code};
use protocol::id::MemberId;
use protocol::management::{PartSignature, algorithm_of};
use protocol::time::UtcTime;

use crate::certificate::Certificate;
use crate::key::{SignatureForm, verify};
use crate::ocsp::{self, OcspResponse};
use crate::profile::member_of;
use crate::trust::{PathUse, TrustStore};

/// Reads a certificate of a request.
///
/// # Errors
/// `cert_validation`.
pub fn read_certificate(der: &Bytes) -> Result<Certificate, Fault> {
    Certificate::from_der(der.clone()).map_err(|error| not_valid(&error.to_string()))
}

/// Checks that a certificate may become the authentication certificate of a server: an approved CA of the
/// own instance issued it, it is valid now, and it is one. Nobody is asked for its OCSP status, since the
/// server cannot have a response before it is registered.
///
/// # Errors
/// `cert_validation`.
pub fn check_authentication_certificate(
    certificate: &Certificate,
    trust: &TrustStore,
    at: UtcTime,
) -> Result<(), Fault> {
    let instance = &trust.configuration().own_instance;
    trust
        .validate_path(certificate, &[], PathUse::Provider { instance }, at)
        .map_err(|fault| not_valid(&fault.text))?;
    if !certificate.is_authentication() {
        return Err(not_valid("it is not an authentication certificate"));
    }
    Ok(())
}

/// Checks that a certificate is a signing certificate of the own instance that may be used now, by the
/// OCSP response that came with it.
///
/// # Errors
/// `cert_validation`, `incorrect_validation_info`.
pub fn check_signing_certificate(
    certificate: &Certificate,
    response: &Bytes,
    trust: &TrustStore,
    at: UtcTime,
) -> Result<(), Fault> {
    let instance = &trust.configuration().own_instance;
    let path = trust
        .validate_path(certificate, &[], PathUse::Signature { instance }, at)
        .map_err(|fault| not_valid(&fault.text))?;
    if !certificate.is_signing() {
        return Err(not_valid("it is not a signing certificate"));
    }
    let response = OcspResponse::parse(response.clone()).map_err(|_| {
        Fault::new(code::INCORRECT_VALIDATION_INFO, "the OCSP response of the certificate cannot be read")
    })?;
    ocsp::check(&response, certificate, &path.anchor, trust, at)
}

/// The member that a signing certificate names, by the profile of the CA that issued it. Only for
/// certificates that passed [`check_signing_certificate`].
///
/// # Errors
/// `incorrect_certificate` when it names nobody, or its CA may issue authentication certificates only
/// (global configuration and trust §15.5, stricter than X-Road).
pub fn member_of_certificate(certificate: &Certificate, trust: &TrustStore) -> Result<MemberId, Fault> {
    let instance = &trust.configuration().own_instance;
    let authority = trust
        .issuer_of(certificate, Some(instance))
        .ok_or_else(|| not_valid("no approved certification service issued it"))?;
    if authority.is_authentication_only() {
        let text = "the certification service may issue authentication certificates only";
        return Err(Fault::new(code::INCORRECT_CERTIFICATE, text));
    }
    member_of(authority.profile(), certificate, instance)
}

/// Checks a signature over the octets of a message by the key of a certificate.
///
/// # Errors
/// `invalid_signature_value`, also for algorithms that are not known, with SHA-1, or not of the key's kind.
pub fn check_signature(
    certificate: &Certificate,
    signature: &PartSignature,
    octets: &[u8],
) -> Result<(), Fault> {
    let refused = |why: &str| Fault::new(code::INVALID_SIGNATURE_VALUE, why);
    let algorithm = algorithm_of(&signature.algorithm).map_err(|error| refused(&error.to_string()))?;
    if verify(certificate.public_key(), algorithm, octets, &signature.value, SignatureForm::Der) {
        Ok(())
    } else {
        Err(refused("a signature does not verify by the key of its certificate"))
    }
}

fn not_valid(why: &str) -> Fault {
    Fault::new(code::CERT_VALIDATION, format!("a certificate of the request is not accepted: {why}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use protocol::configuration::{
        ApprovedCa, CaCertificate, GlobalConfiguration, Instance, OcspResponder, SharedParameters,
    };
    use protocol::digest::DigestAlgorithm;
    use protocol::id::SecurityServerId;
    use protocol::management::algorithm_name;
    use protocol::signature::{SignatureAlgorithm, SignatureScheme};

    use super::*;
    use crate::ca::{PilotCa, Purpose, Settings};
    use crate::certificate::CertificateUsage;
    use crate::key::{KeyKind, PrivateKey};
    use crate::profile::{Profile, RequestFor};

    struct Kit {
        _folder: tempfile::TempDir,
        ca: PilotCa,
        now: UtcTime,
    }

    impl Kit {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let now: UtcTime = "2026-11-24T12:00:00Z".parse().unwrap();
            let settings = Settings::for_instance("CW");
            let ca = PilotCa::create(&folder.path().join("ca"), "1234", &settings, now).unwrap();
            Self { _folder: folder, ca, now }
        }

        fn trust(&self, authentication_only: bool) -> TrustStore {
            let responder = OcspResponder {
                certificate: Some(self.ca.ocsp_certificate().der().to_vec()),
                ..OcspResponder::default()
            };
            let shared = SharedParameters {
                instance: "CW".into(),
                approved_cas: vec![ApprovedCa {
                    name: "Pilot".into(),
                    authentication_only,
                    top: CaCertificate {
                        certificate: self.ca.certificate().der().to_vec(),
                        ocsp: vec![responder],
                    },
                    certificate_profile: Profile::Ejbca.class_name(),
                    ..ApprovedCa::default()
                }],
                ocsp_freshness_seconds: 3600,
                ..SharedParameters::default()
            };
            let instance = Instance::new(shared, 6, self.now.plus(Duration::from_secs(600)));
            TrustStore::new(Arc::new(GlobalConfiguration {
                own_instance: "CW".into(),
                instances: [("CW".to_owned(), Arc::new(instance))].into(),
            }))
        }

        fn issue(&self, kind: KeyKind, purpose: Purpose) -> (PrivateKey, Certificate) {
            let member = MemberId::new("CW", "GOV", "1001").unwrap();
            let server = SecurityServerId::new(member.clone(), "ss1").unwrap();
            let of =
                RequestFor { server: &server, member: &member, member_name: "", dns_name: "", country: "" };
            let usage = match purpose {
                Purpose::Signing => CertificateUsage::Signing,
                Purpose::Authentication | Purpose::Tls => CertificateUsage::Authentication,
            };
            let subject = Profile::Ejbca.subject(usage, &of).unwrap();
            let key = PrivateKey::generate(kind).unwrap();
            let request = crate::request::create(&key, &subject, usage).unwrap();
            let certificate = self.ca.issue(&request, purpose, self.now).unwrap();
            (key, certificate)
        }

        fn ocsp(&self, certificate: &Certificate, at: UtcTime) -> Bytes {
            self.ca.ocsp_answer(&ocsp::request(certificate, self.ca.certificate()), at).into()
        }
    }

    fn code_of<T>(result: Result<T, Fault>) -> Result<T, String> {
        result.map_err(|fault| fault.code.into_owned())
    }

    #[test]
    fn certificates_are_accepted_for_what_they_are() {
        let kit = Kit::new();
        let (trust, now) = (kit.trust(false), kit.now);
        let (_, authentication) = kit.issue(KeyKind::P256, Purpose::Authentication);
        let (_, signing) = kit.issue(KeyKind::P256, Purpose::Signing);
        let refused = Err(code::CERT_VALIDATION.to_owned());
        let long_ago = now.minus(Duration::from_secs(100 * 24 * 3600));
        let check = |certificate, at| code_of(check_authentication_certificate(certificate, &trust, at));
        assert_eq!(check(&authentication, now), Ok(()));
        assert_eq!(check(&signing, now), refused);
        assert_eq!(check(&authentication, long_ago), refused);
        let (_, foreign) = Kit::new().issue(KeyKind::P256, Purpose::Authentication);
        assert_eq!(check(&foreign, now), refused);
        assert_eq!(code_of(read_certificate(&Bytes::from_static(b"rubbish")).map(drop)), refused);

        let check = |certificate, response: &Bytes, at| {
            code_of(check_signing_certificate(certificate, response, &trust, at))
        };
        let response = kit.ocsp(&signing, now);
        assert_eq!(check(&signing, &response, now), Ok(()));
        assert_eq!(check(&authentication, &kit.ocsp(&authentication, now), now), refused);
        let unbelievable = Err(code::INCORRECT_VALIDATION_INFO.to_owned());
        assert_eq!(check(&signing, &Bytes::from_static(b"0"), now), unbelievable);
        assert_eq!(check(&signing, &kit.ocsp(&authentication, now), now), unbelievable);
        assert_eq!(check(&signing, &response, now.plus(Duration::from_secs(3601))), unbelievable);
        kit.ca.revoke(signing.serial(), 0, now).unwrap();
        assert_eq!(check(&signing, &kit.ocsp(&signing, now), now), refused);

        let member = MemberId::new("CW", "GOV", "1001").unwrap();
        assert_eq!(code_of(member_of_certificate(&signing, &trust)), Ok(member));
        let named = member_of_certificate(&signing, &kit.trust(true));
        assert_eq!(code_of(named), Err(code::INCORRECT_CERTIFICATE.to_owned()));
    }

    #[test]
    fn every_algorithm_verifies_by_its_kind_of_key() {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        use SignatureScheme::{Ecdsa, RsaPkcs1, RsaPss};
        let kit = Kit::new();
        let rsa = kit.issue(KeyKind::Rsa2048, Purpose::Signing);
        let curves = [KeyKind::P256, KeyKind::P384].map(|kind| kit.issue(kind, Purpose::Signing));
        let mut count = 0;
        for digest in [Sha256, Sha384, Sha512] {
            let of_rsa = [RsaPkcs1, RsaPss].map(|scheme| (&rsa, scheme));
            let of_curves = curves.iter().map(|pair| (pair, Ecdsa));
            for ((key, certificate), scheme) in of_rsa.into_iter().chain(of_curves) {
                let algorithm = SignatureAlgorithm::new(scheme, digest);
                let value = key.sign(algorithm, b"octets", SignatureForm::Der).unwrap();
                let name = algorithm_name(algorithm).unwrap().to_owned();
                let signature = PartSignature { algorithm: name.clone(), value: value.into() };
                let check = |signature: &PartSignature, octets: &[u8]| {
                    check_signature(certificate, signature, octets).is_ok()
                };
                assert!(check(&signature, b"octets"), "{name}");
                assert!(!check(&signature, b"other octets"), "{name}");
                for other in ["SHA1withRSA", "SHA1withECDSA", "SHA224withRSA", ""] {
                    assert!(!check(
                        &PartSignature { algorithm: other.into(), ..signature.clone() },
                        b"octets"
                    ));
                }
                count += 1;
            }
        }
        assert_eq!(count, 12);
    }
}
