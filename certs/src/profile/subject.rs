//! Subjects of certificate requests (global configuration and trust §14.5).

use protocol::id::{MemberId, SecurityServerId};

use super::Profile;
use crate::certificate::CertificateUsage;
use crate::certificate::name::{DistinguishedName, NameError, attribute};
use der::asn1::ObjectIdentifier;

/// Whom a request is for, and what an administrator typed for the fields that have no fixed value.
#[derive(Clone, Debug)]
pub struct RequestFor<'a> {
    /// The server the key is on.
    pub server: &'a SecurityServerId,
    /// The member a signing certificate is for; for authentication the owner of the server.
    pub member: &'a MemberId,
    /// Full name of that member.
    pub member_name: &'a str,
    /// The server's DNS name; some profiles have it in the subject or the alternative name.
    pub dns_name: &'a str,
    /// Two letters, for the profiles that leave the country open.
    pub country: &'a str,
}

/// A subject with the alternative name that goes with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// The distinguished name.
    pub name: DistinguishedName,
    /// A DNS name for the subject alternative name.
    pub dns_name: Option<String>,
}

impl Profile {
    /// The subject that a request of this profile has. Blank values are left out; `SkEsteId` has no
    /// fields at all, so its subject is empty.
    ///
    /// # Errors
    /// [`NameError`] when a value is too long for a name.
    pub fn subject(self, usage: CertificateUsage, of: &RequestFor<'_>) -> Result<Subject, NameError> {
        let name = DistinguishedName::build(
            self.fields(usage, of).iter().map(|(kind, value)| (*kind, value.as_str())),
        )?;
        let wants_dns = matches!(self, Self::FiVrk | Self::BasicAcme) && !of.dns_name.trim().is_empty();
        Ok(Subject { name, dns_name: wants_dns.then(|| of.dns_name.to_owned()) })
    }

    fn fields(self, usage: CertificateUsage, of: &RequestFor<'_>) -> Vec<(ObjectIdentifier, String)> {
        use attribute::{
            BUSINESS_CATEGORY, COMMON_NAME, COUNTRY, ORGANIZATION, ORGANIZATIONAL_UNIT, SERIAL_NUMBER,
        };
        let text = str::to_owned;
        let (instance, class, code) = (of.member.instance(), of.member.class(), of.member.code());
        let server = of.server.to_string();
        let signing = usage == CertificateUsage::Signing;
        let fields = match self {
            Self::Ejbca if signing => {
                vec![(COUNTRY, text(instance)), (ORGANIZATION, text(class)), (COMMON_NAME, text(code))]
            }
            Self::Ejbca => vec![(COUNTRY, text(instance)), (COMMON_NAME, text(of.server.code()))],
            Self::FiVrk => vec![
                (COUNTRY, text("FI")),
                (ORGANIZATION, text(of.member_name)),
                (SERIAL_NUMBER, format!("{instance}/{}/{class}", of.server.code())),
                (COMMON_NAME, text(if signing { code } else { of.dns_name })),
            ],
            Self::Basic if signing => vec![
                (COMMON_NAME, text(of.member_name)),
                (ORGANIZATION, text(of.member_name)),
                (BUSINESS_CATEGORY, text(class)),
                (COUNTRY, text(of.country)),
                (SERIAL_NUMBER, text(code)),
            ],
            Self::Basic => vec![
                (COMMON_NAME, text(of.dns_name)),
                (SERIAL_NUMBER, text(code)),
                (COUNTRY, text(of.country)),
                (ORGANIZATION, text(of.member_name)),
            ],
            Self::BasicAcme if signing => vec![
                (COUNTRY, text(of.country)),
                (ORGANIZATION, text(of.member_name)),
                (BUSINESS_CATEGORY, text(class)),
                (SERIAL_NUMBER, text(code)),
                (COMMON_NAME, text(of.member_name)),
            ],
            Self::BasicAcme => vec![
                (COUNTRY, text(of.country)),
                (ORGANIZATION, text(of.member_name)),
                (SERIAL_NUMBER, text(code)),
                (COMMON_NAME, text(of.dns_name)),
            ],
            Self::Fo | Self::Is if signing => vec![
                (COUNTRY, text(self.country())),
                (ORGANIZATION, text(instance)),
                (ORGANIZATIONAL_UNIT, text(class)),
                (COMMON_NAME, text(code)),
                (SERIAL_NUMBER, server),
            ],
            Self::Fo => {
                vec![(COUNTRY, text("FO")), (ORGANIZATION, text(instance)), (COMMON_NAME, server)]
            }
            Self::Is => {
                vec![(COUNTRY, text("IS")), (COMMON_NAME, text(of.dns_name)), (SERIAL_NUMBER, server)]
            }
            Self::SkKlass3 => vec![(SERIAL_NUMBER, text(code)), (COMMON_NAME, text(of.member_name))],
            Self::SkEsteId => Vec::new(),
        };
        fields.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect()
    }

    const fn country(self) -> &'static str {
        match self {
            Self::Fo => "FO",
            _ => "IS",
        }
    }
}
