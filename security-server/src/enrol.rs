//! Getting keys and certificates: what an operator does once, and again before they expire.
//!
//! Make a request, have a certification service answer it, import the answer (global configuration and
//! trust §18). The command line does this for a pilot; administration will do it for everybody.

use std::path::Path;

use certs::certificate::{Certificate, CertificateUsage};
use certs::key::KeyKind;
use certs::profile::{Profile, RequestFor};
use certs::request::{self, RequestError};
use certs::token::{SoftwareToken, Token, TokenError, TokenKey};
use certs::trust::{PathUse, TrustStore};
use protocol::id::{MemberId, SecurityServerId};
use protocol::time::UtcTime;

use crate::node::member;

/// Why a key or certificate was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The request cannot be made.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A value does not fit into the subject.
    #[error("the subject of the request cannot be written: {0}")]
    Subject(String),
    /// P-521 is not offered for signing: a peer of the reference product cannot verify it.
    #[error("signing keys on P-521 are not offered, since not every peer verifies them")]
    UnsuitableKey,
    /// No approved CA stands behind the certificate.
    #[error("no approved certification service stands behind the certificate: {0}")]
    Untrusted(String),
    /// The member that a signing certificate names is not served here.
    #[error("the certificate is for {0}, who is no client of this server")]
    ForeignMember(MemberId),
}

/// A certificate request, with the key it is for.
pub struct Requested {
    /// The key on the token.
    pub key: TokenKey,
    /// PKCS#10 in DER.
    pub der: Vec<u8>,
}

impl Requested {
    /// The request as text, for a certification service.
    pub fn to_pem(&self) -> String {
        request::to_pem(&self.der)
    }
}

/// Opens the token in a folder; makes an empty one when there is none.
pub fn open_or_create_token(folder: &Path, pin: &str) -> Result<SoftwareToken, TokenError> {
    if SoftwareToken::exists(folder) {
        SoftwareToken::open(folder, pin)
    } else {
        SoftwareToken::create(folder, pin)
    }
}

/// Makes a key and a request for it, with the subject of the CA's certificate profile.
pub fn request(
    token: &dyn Token,
    kind: KeyKind,
    usage: CertificateUsage,
    profile: Profile,
    of: &RequestFor<'_>,
) -> Result<Requested, EnrolError> {
    if usage == CertificateUsage::Signing && kind == KeyKind::P521 {
        return Err(EnrolError::UnsuitableKey);
    }
    // Checked first, so that a bad value leaves no key behind.
    let subject = profile.subject(usage, of).map_err(|error| EnrolError::Subject(error.to_string()))?;
    let name = match usage {
        CertificateUsage::Authentication => format!("authentication of {}", of.server),
        CertificateUsage::Signing => format!("signing for {}", of.member),
    };
    let key = token.generate(kind, usage, &name)?;
    let der = request::create(&key.key, &subject, usage)?;
    Ok(Requested { key, der })
}

/// Imports a certificate without asking whom it is from: for a node that has no global configuration
/// yet. What does not fit shows when the node starts.
pub fn import_unchecked(
    token: &dyn Token,
    certificate: &Certificate,
    at: UtcTime,
) -> Result<TokenKey, EnrolError> {
    Ok(token.import_certificate(certificate, at)?)
}

/// Imports a certificate that an approved CA of the own instance issued. `is_client` says whether a
/// member has a client on this server; a signing certificate must be for such a member.
pub fn import(
    token: &dyn Token,
    certificate: &Certificate,
    trust: &TrustStore,
    server: &SecurityServerId,
    is_client: &dyn Fn(&MemberId) -> bool,
    at: UtcTime,
) -> Result<TokenKey, EnrolError> {
    let instance = server.owner().instance();
    let usage = certificate.usage();
    let used = match usage {
        Some(CertificateUsage::Authentication) => PathUse::Provider { instance },
        Some(CertificateUsage::Signing) | None => PathUse::Signature { instance },
    };
    let additional: Vec<Certificate> = trust.own_chain(certificate).into_iter().skip(1).collect();
    trust
        .validate_path(certificate, &additional, used, at)
        .map_err(|fault| EnrolError::Untrusted(fault.text))?;
    if usage == Some(CertificateUsage::Signing) {
        let member = member(certificate, trust, server).map_err(EnrolError::Untrusted)?;
        if !is_client(&member) {
            return Err(EnrolError::ForeignMember(member));
        }
    }
    Ok(token.import_certificate(certificate, at)?)
}

#[cfg(test)]
mod tests {
    use certs::ca::{PilotCa, Purpose, Settings};

    use super::*;
    use crate::testkit::{Testkit, member as owner, now, server};

    #[track_caller]
    fn check(
        kit: &Testkit,
        ca: &PilotCa,
        usage: CertificateUsage,
        member: &MemberId,
        expected: Result<(), &str>,
    ) {
        let server = server();
        let of = RequestFor { server: &server, member, member_name: "", dns_name: "ss1", country: "" };
        let requested = request(kit.token.as_ref(), KeyKind::P256, usage, Profile::Ejbca, &of).unwrap();
        let purpose = match usage {
            CertificateUsage::Authentication => Purpose::Authentication,
            CertificateUsage::Signing => Purpose::Signing,
        };
        let certificate = ca.issue(requested.to_pem().as_bytes(), purpose, now()).unwrap();
        let is_client = |member: &MemberId| *member == owner();
        let snapshot = kit.snapshot();
        let imported = import(kit.token.as_ref(), &certificate, snapshot.trust(), &server, &is_client, now());
        match (imported, expected) {
            (Ok(key), Ok(())) => assert_eq!(key.id, requested.key.id),
            (Err(error), Err(part)) if error.to_string().contains(part) => {}
            (other, expected) => panic!("{:?}, expected {expected:?}", other.map(|key| key.id)),
        }
    }

    #[test]
    fn only_what_fits_this_server_is_imported() {
        use CertificateUsage::{Authentication, Signing};
        let kit = Testkit::new();
        let stranger = kit.folder.path().join("stranger");
        let stranger = PilotCa::create(&stranger, "1234", &Settings::for_instance("CW"), now()).unwrap();
        let other = MemberId::new("CW", "GOV", "2002").unwrap();
        check(&kit, &kit.ca, Authentication, &owner(), Ok(()));
        check(&kit, &kit.ca, Signing, &owner(), Ok(()));
        check(&kit, &kit.ca, Signing, &other, Err("is for CW/GOV/2002"));
        check(&kit, &stranger, Signing, &owner(), Err("no approved certification service"));
        check(&kit, &stranger, Authentication, &owner(), Err("no approved certification service"));
        let server = server();
        let owner = owner();
        let of = RequestFor { server: &server, member: &owner, member_name: "", dns_name: "", country: "" };
        let refused = request(kit.token.as_ref(), KeyKind::P521, Signing, Profile::Ejbca, &of);
        assert!(matches!(refused, Err(EnrolError::UnsuitableKey)));
    }
}
