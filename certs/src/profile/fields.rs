//! The fields of a certificate request as an administrator fills them in (global configuration and trust
//! §14.5): which there are, which are fixed, and whether what was typed may be asked for.

use std::collections::BTreeMap;

use super::{Profile, RequestFor, Subject};
use crate::certificate::CertificateUsage;
use crate::certificate::name::{DistinguishedName, attribute};
use der::asn1::ObjectIdentifier;

/// The field for the subject alternative name.
const ALTERNATIVE_NAME: &str = "subjectAltName";

/// A field of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestField {
    /// `CN`, `C`, `O`, `OU`, `SN`, `serialNumber`, `businessCategory` or `subjectAltName`.
    pub name: &'static str,
    /// Its value, or what is proposed.
    pub value: String,
    /// Whether the value is fixed.
    pub is_fixed: bool,
}

/// Why a request with these values is not made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FieldError {
    /// A field that the profile does not have.
    #[error("the certificate profile has no field {0}")]
    Extra(String),
    /// A field without a value.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// Another value than the fixed one.
    #[error("the field {0} must be {1}")]
    Fixed(&'static str, String),
    /// A value that does not fit into a name.
    #[error("the subject of the request cannot be written: {0}")]
    Unencodable(String),
}

impl Profile {
    /// The fields of a request, in the order of the subject.
    pub fn request_fields(self, usage: CertificateUsage, of: &RequestFor<'_>) -> Vec<RequestField> {
        let (instance, class, code) = (of.member.instance(), of.member.class(), of.member.code());
        let server = of.server.to_string();
        let serial = format!("{instance}/{}/{class}", of.server.code());
        let signing = usage == CertificateUsage::Signing;
        let fixed = |name, value: &str| RequestField { name, value: value.to_owned(), is_fixed: true };
        let open = |name, value: &str| RequestField { name, value: value.to_owned(), is_fixed: false };
        let (member, dns) = (of.member_name, of.dns_name);
        match (self, signing) {
            (Self::Ejbca, true) => vec![fixed("C", instance), fixed("O", class), fixed("CN", code)],
            (Self::Ejbca, false) => vec![fixed("C", instance), fixed("CN", of.server.code())],
            (Self::FiVrk, true) => vec![
                fixed("C", "FI"),
                open("O", member),
                fixed("CN", code),
                fixed("serialNumber", &serial),
                open(ALTERNATIVE_NAME, dns),
            ],
            (Self::FiVrk, false) => vec![
                fixed("C", "FI"),
                open("O", member),
                open("CN", dns),
                fixed("serialNumber", &serial),
                open(ALTERNATIVE_NAME, dns),
            ],
            (Self::Basic, true) => vec![
                fixed("CN", member),
                fixed("O", member),
                fixed("businessCategory", class),
                open("C", of.country),
                fixed("serialNumber", code),
            ],
            (Self::Basic, false) => {
                vec![open("CN", dns), fixed("serialNumber", code), open("C", of.country), fixed("O", member)]
            }
            (Self::BasicAcme, true) => vec![
                open("C", of.country),
                fixed("O", member),
                fixed("businessCategory", class),
                fixed("serialNumber", code),
                fixed("CN", member),
                open(ALTERNATIVE_NAME, dns),
            ],
            (Self::BasicAcme, false) => vec![
                open("C", of.country),
                fixed("O", member),
                fixed("serialNumber", code),
                open("CN", dns),
                open(ALTERNATIVE_NAME, dns),
            ],
            (Self::Fo, true) => vec![
                fixed("C", "FO"),
                fixed("O", instance),
                fixed("OU", class),
                fixed("CN", code),
                open("serialNumber", &server),
            ],
            (Self::Fo, false) => vec![fixed("C", "FO"), fixed("O", instance), fixed("CN", &server)],
            (Self::Is, true) => vec![
                fixed("C", "IS"),
                fixed("O", instance),
                fixed("OU", class),
                fixed("CN", code),
                fixed("serialNumber", &server),
            ],
            (Self::Is, false) => vec![fixed("C", "IS"), open("CN", dns), fixed("serialNumber", &server)],
            (Self::SkKlass3, _) => vec![fixed("SN", code), fixed("CN", member)],
            (Self::SkEsteId, _) => Vec::new(),
        }
    }

    /// The subject that these values make.
    ///
    /// # Errors
    /// A field too many or too few, or another value than a fixed one.
    pub fn subject_of(
        self,
        usage: CertificateUsage,
        of: &RequestFor<'_>,
        typed: &BTreeMap<String, String>,
    ) -> Result<Subject, FieldError> {
        let fields = self.request_fields(usage, of);
        if let Some(extra) = typed.keys().find(|name| !fields.iter().any(|field| field.name == **name)) {
            return Err(FieldError::Extra(extra.clone()));
        }
        let mut parts = Vec::new();
        let mut dns_name = None;
        for field in &fields {
            let value = typed.get(field.name).map(|value| value.trim()).filter(|value| !value.is_empty());
            let value = value.ok_or(FieldError::Missing(field.name))?;
            // The full name of a member may be written in several ways; the identifiers may not.
            if field.is_fixed && value != field.value {
                return Err(FieldError::Fixed(field.name, field.value.clone()));
            }
            match kind(field.name) {
                Some(kind) => parts.push((kind, value)),
                None => dns_name = Some(value.to_owned()),
            }
        }
        let name =
            DistinguishedName::build(parts).map_err(|error| FieldError::Unencodable(error.to_string()))?;
        Ok(Subject { name, dns_name })
    }
}

/// The attribute of a field; none for the alternative name.
fn kind(name: &str) -> Option<ObjectIdentifier> {
    Some(match name {
        "C" => attribute::COUNTRY,
        "O" => attribute::ORGANIZATION,
        "OU" => attribute::ORGANIZATIONAL_UNIT,
        "CN" => attribute::COMMON_NAME,
        "serialNumber" | "SN" => attribute::SERIAL_NUMBER,
        "businessCategory" => attribute::BUSINESS_CATEGORY,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::id::{MemberId, SecurityServerId};

    #[test]
    fn only_the_fields_of_the_profile_and_only_fixed_values() {
        let member = MemberId::new("DEV", "COM", "1234").unwrap();
        let server = SecurityServerId::new(member.clone(), "SS0").unwrap();
        let of = RequestFor {
            server: &server,
            member: &member,
            member_name: "Test member",
            dns_name: "ss0",
            country: "",
        };
        let typed = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let good = [
            ("CN", "ss0"),
            ("C", "FI"),
            ("O", "Test member"),
            ("subjectAltName", "ss0"),
            ("serialNumber", "DEV/SS0/COM"),
        ];
        let ask = |pairs: &[(&str, &str)]| {
            Profile::FiVrk.subject_of(CertificateUsage::Authentication, &of, &typed(pairs))
        };
        let subject = ask(&good).unwrap();
        assert_eq!(subject.name.to_java_text(), "SERIALNUMBER=DEV/SS0/COM, CN=ss0, O=Test member, C=FI");
        assert_eq!(subject.dns_name.as_deref(), Some("ss0"));
        assert_eq!(ask(&good[1..]), Err(FieldError::Missing("CN")));
        let extra = [&good[..], &[("OU", "x")]].concat();
        assert_eq!(ask(&extra), Err(FieldError::Extra("OU".to_owned())));
        let mut other = good;
        other[4].1 = "DEV/SS1/COM";
        assert_eq!(ask(&other), Err(FieldError::Fixed("serialNumber", "DEV/SS0/COM".to_owned())));
        let all = Profile::ALL.iter().flat_map(|profile| {
            [CertificateUsage::Authentication, CertificateUsage::Signing].map(|usage| (*profile, usage))
        });
        for (profile, usage) in all {
            let fields = profile.request_fields(usage, &of);
            let typed = fields.iter().map(|field| (field.name.to_owned(), field.value.clone()));
            let typed: BTreeMap<_, _> = typed
                .map(|(name, value)| (name, if value.is_empty() { "VN".into() } else { value }))
                .collect();
            assert!(profile.subject_of(usage, &of, &typed).is_ok(), "{profile:?} {usage:?}");
        }
    }
}
