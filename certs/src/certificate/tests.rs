use super::*;

fn issue(change: impl FnOnce(&mut rcgen::CertificateParams)) -> Result<Certificate, CertificateError> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    change(&mut params);
    Certificate::from_der(params.self_signed(&key).expect("issues").der().to_vec())
}

#[track_caller]
fn usage(
    key: &[rcgen::KeyUsagePurpose],
    extended: &[rcgen::ExtendedKeyUsagePurpose],
    expected: Option<CertificateUsage>,
) {
    let certificate = issue(|params| {
        params.key_usages = key.to_vec();
        params.extended_key_usages = extended.to_vec();
    });
    assert_eq!(certificate.expect("parses").usage(), expected, "{key:?} {extended:?}");
}

#[test]
fn usages() {
    use CertificateUsage::{Authentication, Signing};
    use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    use rcgen::KeyUsagePurpose::{
        ContentCommitment, CrlSign, DataEncipherment, DigitalSignature, KeyCertSign,
    };
    usage(&[DigitalSignature], &[], Some(Authentication));
    usage(&[DataEncipherment], &[ServerAuth], Some(Authentication));
    usage(&[], &[ClientAuth], Some(Authentication));
    usage(&[ContentCommitment], &[], Some(Signing));
    usage(&[ContentCommitment, KeyCertSign], &[], Some(Signing));
    usage(&[ContentCommitment, DigitalSignature], &[], None);
    usage(&[ContentCommitment], &[ClientAuth], None);
    usage(&[CrlSign], &[], None);
    usage(&[], &[], None);
}

#[test]
fn extensions_are_read() {
    let certificate = issue(|params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(3));
        params.subject_alt_names = vec![rcgen::SanType::DnsName("a.example".try_into().expect("ascii"))];
        params.serial_number = Some(vec![0x7f, 0xff, 0xff].into());
    })
    .expect("parses");
    assert_eq!(certificate.basic_constraints(), Some(BasicConstraints { ca: true, path_length: Some(3) }));
    assert_eq!(certificate.dns_names(), ["a.example"]);
    assert_eq!(certificate.serial_decimal(), "8388607");
    assert!(certificate.is_self_signed() && certificate.unknown_critical_extension().is_none());
    let other = issue(|_| {}).expect("parses");
    assert!(!certificate.is_issued_by(&other) && !certificate.is_signed_by(&other));
    assert_eq!(Certificate::from_pem_or_der(certificate.to_pem().as_bytes()), Ok(certificate.clone()));
    assert_eq!(Certificate::from_pem_or_der(certificate.der()), Ok(certificate));
}

#[test]
fn unknown_critical_extensions_are_remembered() {
    let critical = |critical| {
        let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999], vec![5, 0]);
        extension.set_criticality(critical);
        issue(|params| params.custom_extensions = vec![extension]).expect("parses")
    };
    assert_eq!(critical(true).unknown_critical_extension(), Some("1.3.6.1.4.1.99999"));
    assert_eq!(critical(false).unknown_critical_extension(), None);
}

#[test]
fn a_second_or_broken_extension_is_refused() {
    let usage = |content: &[u8]| rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 15], content.to_vec());
    let twice = vec![usage(&[3, 2, 6, 0x40]), usage(&[3, 2, 6, 0x40])];
    let error = issue(|params| params.custom_extensions = twice).map(drop);
    assert!(
        matches!(error, Err(CertificateError::DuplicateExtension | CertificateError::Malformed)),
        "{error:?}"
    );
    let error = issue(|params| params.custom_extensions = vec![usage(&[4, 1])]).map(drop);
    assert_eq!(error, Err(CertificateError::MalformedExtension));
}

#[test]
fn decimals() {
    for (octets, expected) in [
        (&[0][..], "0"),
        (&[0, 0xff], "255"),
        (&[1, 0], "256"),
        (&[0xff], "-1"),
        (&[0x80], "-128"),
        (&[0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0], "1311768467463790320"),
    ] {
        assert_eq!(parse::decimal(octets), expected);
    }
}

#[test]
fn foreign_bytes_are_refused_without_a_panic() {
    let good = issue(|params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained))
        .expect("parses");
    let der = good.der();
    for length in 0..der.len() {
        assert!(Certificate::from_der(der.slice(..length)).is_err(), "{length}");
    }
    for index in 0..der.len() {
        for flip in [1, 0x80, 0xff] {
            let mut broken = der.to_vec();
            broken[index] ^= flip;
            if let Ok(certificate) = Certificate::from_der(broken) {
                let _ = (certificate.subject_name(), certificate.usage(), certificate.is_self_signed());
                assert!(!certificate.is_signed_by(&good), "octet {index} is not covered by the signature");
            }
        }
    }
    assert_eq!(Certificate::from_der([der, &[0][..]].concat()).map(drop), Err(CertificateError::Malformed));
    assert_eq!(
        Certificate::from_der(vec![0x30; LONGEST_CERTIFICATE + 1]).map(drop),
        Err(CertificateError::TooLong)
    );
    assert_eq!(Certificate::from_pem("nothing").map(drop), Err(CertificateError::NoPem));
}
