//! Certificate profiles: which member a signing certificate names, and which subjects requests have.
//!
//! Global configuration and trust §14.4 and §14.5; signatures and evidence §5.3. A profile belongs to an
//! approved certification service and is named there by a Java class. Decoding a signing certificate
//! decides who may have signed a message, so whatever is missing or of another shape is refused.
//! Attribute values are compared as they stand in the certificate; X-Road compares their escaped form,
//! in which a code with a comma never matches.

mod fields;
mod subject;

use protocol::fault::{Fault, code};
use protocol::id::MemberId;

pub use fields::{FieldError, RequestField};
pub use subject::{RequestFor, Subject};

use crate::certificate::name::attribute;
use crate::certificate::{Certificate, DistinguishedName};

/// The package of the Java classes that name profiles.
const PACKAGE: &str = "ee.ria.xroad.common.certificateprofile.impl.";

/// The profiles that X-Road knows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Profile {
    /// Instance, class and code stand in C, O and CN.
    Ejbca,
    /// The Finnish profile: everything in the serial number, or one of two older shapes.
    FiVrk,
    /// Class in the business category, code in the serial number.
    Basic,
    /// Subject as [`Profile::Basic`], obtained over ACME.
    BasicAcme,
    /// The Faroese profile.
    Fo,
    /// The Icelandic profile.
    Is,
    /// The Estonian profile of organisations.
    SkKlass3,
    /// The Estonian profile of persons; deprecated.
    SkEsteId,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Ejbca,
        Self::FiVrk,
        Self::Basic,
        Self::BasicAcme,
        Self::Fo,
        Self::Is,
        Self::SkKlass3,
        Self::SkEsteId,
    ];

    /// The simple name of the Java class without `CertificateProfileInfoProvider`, such as `FiVRK`.
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Ejbca => "Ejbca",
            Self::FiVrk => "FiVRK",
            Self::Basic => "Basic",
            Self::BasicAcme => "BasicACME",
            Self::Fo => "Fo",
            Self::Is => "Is",
            Self::SkKlass3 => "SkKlass3",
            Self::SkEsteId => "SkEsteId",
        }
    }

    /// The Java class, as it stands in shared parameters.
    pub fn class_name(self) -> String {
        format!("{PACKAGE}{}CertificateProfileInfoProvider", self.short_name())
    }

    /// The profile of a Java class; the whole name counts.
    pub fn from_class_name(class: &str) -> Option<Self> {
        let short = class.trim().strip_prefix(PACKAGE)?.strip_suffix("CertificateProfileInfoProvider")?;
        Self::ALL.into_iter().find(|profile| profile.short_name() == short)
    }

    /// The member that a signing certificate with this subject names. `context_instance` is the
    /// instance of whoever should have signed; profiles that carry no instance take it from there.
    ///
    /// # Errors
    /// `incorrect_certificate`, or `invalid_certificate` in the profiles where X-Road says so.
    pub fn member(self, subject: &DistinguishedName, context_instance: &str) -> Result<MemberId, Fault> {
        let decode = Decode { subject, profile: self };
        match self {
            Self::Ejbca => decode.ejbca(),
            Self::FiVrk => decode.fivrk(),
            Self::Basic | Self::BasicAcme => decode.id(
                context_instance,
                decode.required(attribute::BUSINESS_CATEGORY)?,
                decode.required(attribute::SERIAL_NUMBER)?,
            ),
            Self::Fo => decode.national("FO"),
            Self::Is if decode.is_plain() => decode.ejbca(),
            Self::Is => decode.national("IS"),
            Self::SkKlass3 => decode.klass3(context_instance),
            Self::SkEsteId => {
                decode.id(context_instance, "PERSON", decode.required(attribute::SERIAL_NUMBER)?)
            }
        }
    }
}

/// The member that a signing certificate names, by the profile of the CA that issued it.
///
/// # Errors
/// `internal_error` when `profile_class` is not known; else as [`Profile::member`].
pub fn member_of(
    profile_class: &str,
    certificate: &Certificate,
    context_instance: &str,
) -> Result<MemberId, Fault> {
    let profile = Profile::from_class_name(profile_class).ok_or_else(|| {
        Fault::new(code::INTERNAL_ERROR, "the certification service has an unknown certificate profile")
    })?;
    profile.member(certificate.subject(), context_instance)
}

struct Decode<'a> {
    subject: &'a DistinguishedName,
    profile: Profile,
}

impl<'a> Decode<'a> {
    fn fault(&self, text: impl Into<String>) -> Fault {
        match self.profile {
            Profile::BasicAcme | Profile::SkKlass3 | Profile::SkEsteId => {
                Fault::new("invalid_certificate", text)
            }
            Profile::Ejbca | Profile::FiVrk | Profile::Basic | Profile::Fo | Profile::Is => {
                Fault::new(code::INCORRECT_CERTIFICATE, text)
            }
        }
    }

    fn id(&self, instance: &str, class: &str, member: &str) -> Result<MemberId, Fault> {
        MemberId::new(instance, class, member)
            .map_err(|_| self.fault("the subject of the certificate names a member with an empty part"))
    }

    fn optional(&self, kind: der::asn1::ObjectIdentifier) -> Option<&'a str> {
        self.subject.first(kind)
    }

    fn required(&self, kind: der::asn1::ObjectIdentifier) -> Result<&'a str, Fault> {
        self.optional(kind)
            .ok_or_else(|| self.fault(format!("the subject of the certificate has no attribute {kind}")))
    }

    /// Neither a serial number nor an organisational unit: the shape of [`Profile::Ejbca`].
    fn is_plain(&self) -> bool {
        self.optional(attribute::SERIAL_NUMBER).is_none()
            && self.optional(attribute::ORGANIZATIONAL_UNIT).is_none()
    }

    fn country(&self, expected: &str) -> Result<(), Fault> {
        if self.required(attribute::COUNTRY)? == expected {
            return Ok(());
        }
        Err(self.fault(format!("the country in the subject of the certificate is not {expected}")))
    }

    fn ejbca(&self) -> Result<MemberId, Fault> {
        self.id(
            self.required(attribute::COUNTRY)?,
            self.required(attribute::ORGANIZATION)?,
            self.required(attribute::COMMON_NAME)?,
        )
    }

    fn by_unit(&self) -> Result<MemberId, Fault> {
        self.id(
            self.required(attribute::ORGANIZATION)?,
            self.required(attribute::ORGANIZATIONAL_UNIT)?,
            self.required(attribute::COMMON_NAME)?,
        )
    }

    fn national(&self, country: &str) -> Result<MemberId, Fault> {
        self.country(country)?;
        self.required(attribute::SERIAL_NUMBER)?;
        self.by_unit()
    }

    fn fivrk(&self) -> Result<MemberId, Fault> {
        if self.is_plain() {
            return self.ejbca();
        }
        self.country("FI")?;
        let Some(serial) = self.optional(attribute::SERIAL_NUMBER) else { return self.by_unit() };
        self.required(attribute::ORGANIZATION)?;
        // Empty pieces at the end do not count, as in Java's split.
        let pieces: Vec<&str> = serial.trim_end_matches('/').split('/').collect();
        let [instance, _server, class] = pieces[..] else {
            return Err(self.fault("the serial number in the subject does not have three parts"));
        };
        self.id(instance, class, self.required(attribute::COMMON_NAME)?)
    }

    fn klass3(&self, instance: &str) -> Result<MemberId, Fault> {
        if let Some(organization) = self.optional(attribute::ORGANIZATION_IDENTIFIER) {
            let prefixes = [("NTREE-", "COM"), ("GO:EE-", "GOV"), ("NP:EE-", "NGO")];
            let known = prefixes
                .iter()
                .find_map(|(prefix, class)| organization.strip_prefix(prefix).map(|member| (*class, member)));
            let (class, member) = known.unwrap_or(("NEE", organization));
            return self.id(instance, class, member);
        }
        let serial = self.required(attribute::SERIAL_NUMBER)?;
        if serial.len() != 8 || !serial.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(self.fault("the serial number in the subject does not have eight digits"));
        }
        let class = match serial.bytes().next() {
            Some(b'1'..=b'6') => "COM",
            Some(b'7') => "GOV",
            Some(b'8' | b'9') => "NGO",
            _ => return Err(self.fault("no member class begins with the first digit of the serial number")),
        };
        self.id(instance, class, serial)
    }
}

#[cfg(test)]
mod tests;
