use super::*;
use crate::certificate::CertificateUsage;
use protocol::id::SecurityServerId;

fn name(text: &str) -> DistinguishedName {
    let kinds = [
        ("C", attribute::COUNTRY),
        ("O", attribute::ORGANIZATION),
        ("OU", attribute::ORGANIZATIONAL_UNIT),
        ("CN", attribute::COMMON_NAME),
        ("serialNumber", attribute::SERIAL_NUMBER),
        ("businessCategory", attribute::BUSINESS_CATEGORY),
        ("2.5.4.97", attribute::ORGANIZATION_IDENTIFIER),
    ];
    DistinguishedName::build(text.split(", ").filter_map(|pair| pair.split_once('=')).map(|(kind, value)| {
        let (_, kind) = kinds.iter().find(|(name, _)| *name == kind).expect("a known attribute");
        (*kind, value)
    }))
    .expect("a name")
}

#[track_caller]
fn check(profile: Profile, subject: &str, expected: Option<&str>) {
    let member = profile.member(&name(subject), "XX").ok().map(|member| member.to_string());
    assert_eq!(member.as_deref(), expected, "{profile:?} {subject}");
}

#[test]
fn members_are_decoded() {
    check(Profile::Ejbca, "C=XX, O=GOV, CN=1", Some("XX/GOV/1"));
    check(Profile::Ejbca, "C=XX, CN=1", None);
    check(Profile::FiVrk, "C=FI, O=x, serialNumber=A/s/COM, CN=1", Some("A/COM/1"));
    check(Profile::FiVrk, "C=FI, O=x, serialNumber=A/s/COM//, CN=1", Some("A/COM/1"));
    check(Profile::FiVrk, "C=FI, O=x, serialNumber=A//COM, CN=1", Some("A/COM/1"));
    check(Profile::FiVrk, "C=FI, O=x, serialNumber=/s/COM, CN=1", None);
    check(Profile::FiVrk, "C=FI, O=x, serialNumber=A/s, CN=1", None);
    check(Profile::Basic, "businessCategory=GOV, serialNumber=7", Some("XX/GOV/7"));
    check(Profile::BasicAcme, "serialNumber=7", None);
    check(Profile::Fo, "C=FO, O=XX, OU=GOV, CN=1, serialNumber=x", Some("XX/GOV/1"));
    check(Profile::Fo, "C=FO, O=XX, OU=GOV, CN=1", None);
    check(Profile::Fo, "C=IS, O=XX, OU=GOV, CN=1, serialNumber=x", None);
    check(Profile::Is, "C=IS, O=XX, OU=GOV, CN=1, serialNumber=x", Some("XX/GOV/1"));
    check(Profile::Is, "C=IS, O=XX, OU=GOV, CN=1", None);
    check(Profile::Is, "C=XX, O=GOV, CN=1", Some("XX/GOV/1"));
    check(Profile::SkKlass3, "serialNumber=06543212", None);
    check(Profile::SkKlass3, "2.5.4.97=NTREE-", None);
    check(Profile::SkEsteId, "serialNumber=38001010000", Some("XX/PERSON/38001010000"));
}

#[test]
fn class_names() {
    for profile in Profile::ALL {
        assert_eq!(Profile::from_class_name(&profile.class_name()), Some(profile));
    }
    assert_eq!(Profile::from_class_name("EjbcaCertificateProfileInfoProvider"), None);
    assert_eq!(Profile::from_class_name("com.example.EjbcaCertificateProfileInfoProvider"), None);
}

#[test]
fn requested_signing_subjects_lead_back_to_the_member() {
    let owner = MemberId::new("XX", "GOV", "70000001").expect("an identifier");
    let server = SecurityServerId::new(owner.clone(), "ss1").expect("an identifier");
    let of = RequestFor {
        server: &server,
        member: &owner,
        member_name: "Agency, of \"things\"",
        dns_name: "ss1.example",
        country: "XX",
    };
    for profile in Profile::ALL.into_iter().filter(|profile| *profile != Profile::SkEsteId) {
        let subject = profile.subject(CertificateUsage::Signing, &of).expect("a subject");
        assert_eq!(profile.member(&subject.name, "XX").as_ref(), Ok(&owner), "{profile:?}");
        let other = profile.subject(CertificateUsage::Authentication, &of).expect("a subject");
        assert!(!other.name.to_rfc2253().is_empty(), "{profile:?}");
    }
    let dns = Profile::FiVrk.subject(CertificateUsage::Signing, &of).expect("a subject").dns_name;
    assert_eq!(dns.as_deref(), Some("ss1.example"));
}
