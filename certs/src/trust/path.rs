//! Building and checking a path (RFC 5280 §6 without policies and revocation).

use protocol::digest::DigestAlgorithm;
use protocol::fault::{Fault, code};
use protocol::time::UtcTime;

use super::{CertificationAuthority, LONGEST_CHAIN, TrustStore};
use crate::certificate::{Certificate, KeyUsage};

/// More certificates than any peer has reason to send.
const MOST_ADDITIONAL: usize = 16;

/// So many signatures are verified for one path; a set of certificates that is made to lead in circles
/// ends here.
const MOST_SIGNATURES: usize = 48;

/// What a path is for; that decides the trust anchor (§15.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathUse<'a> {
    /// The signature of a message on its way: the anchor is the CA of the signing certificate in the
    /// signer's instance.
    Signature {
        /// The signer's instance.
        instance: &'a str,
    },
    /// The same for a signature that was archived. Certificates signed with SHA-1 are let pass.
    ArchivedSignature {
        /// The signer's instance.
        instance: &'a str,
    },
    /// TLS with the server of a provider: the anchor is the CA of the leaf in the provider's instance.
    Provider {
        /// The provider's instance.
        instance: &'a str,
    },
    /// TLS with the server of a consumer: the anchor is the CA of the last certificate that was sent, in
    /// the client's instance.
    Consumer {
        /// The client's instance.
        instance: &'a str,
    },
}

/// A path that holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    /// From the leaf up, without the trust anchor. OCSP is asked for each of them (§15.4).
    pub certificates: Vec<Certificate>,
    /// The trust anchor: an approved CA, top or intermediate.
    pub anchor: Certificate,
}

impl Path {
    /// Each certificate of the path with its issuer.
    pub fn with_issuers(&self) -> impl Iterator<Item = (&Certificate, &Certificate)> {
        let issuers = self.certificates.iter().skip(1).chain(std::iter::once(&self.anchor));
        self.certificates.iter().zip(issuers)
    }
}

impl<'a> PathUse<'a> {
    fn instance(self) -> &'a str {
        match self {
            Self::Signature { instance }
            | Self::ArchivedSignature { instance }
            | Self::Provider { instance }
            | Self::Consumer { instance } => instance,
        }
    }

    fn no_anchor(self) -> Fault {
        let text = "Certificate is not issued by approved certification service provider";
        let fault = Fault::new(code::INTERNAL_ERROR, text);
        match self {
            Self::Signature { .. } | Self::ArchivedSignature { .. } => {
                Fault::new(code::CANNOT_CREATE_CERT_PATH, text)
            }
            Self::Provider { .. } => fault.within(code::CANNOT_CREATE_CERT_PATH),
            Self::Consumer { .. } => fault,
        }
    }
}

pub(super) fn validate(
    trust: &TrustStore,
    leaf: &Certificate,
    additional: &[Certificate],
    used: PathUse<'_>,
    at: UtcTime,
) -> Result<Path, Fault> {
    if additional.len() > MOST_ADDITIONAL {
        return Err(Fault::new(code::CANNOT_CREATE_CERT_PATH, "more certificates than a path can have"));
    }
    let anchored = match used {
        PathUse::Consumer { .. } => additional.last().unwrap_or(leaf),
        PathUse::Signature { .. } | PathUse::ArchivedSignature { .. } | PathUse::Provider { .. } => leaf,
    };
    let named = trust.authorities_named(anchored.issuer(), Some(used.instance())).next().is_some();
    // Whoever is named and did not sign it leads nowhere, which is another fault than an unknown name.
    let anchor = match trust.issuer_of(anchored, Some(used.instance())) {
        Some(authority) => authority,
        None if named => return Err(unreachable_anchor()),
        None => return Err(used.no_anchor()),
    };
    let certificates = Search { trust, additional, anchor, left: MOST_SIGNATURES }
        .climb(vec![leaf.clone()])
        .ok_or_else(unreachable_anchor)?;
    let path = Path { certificates, anchor: anchor.certificate().clone() };
    check(&path, used, at).map_err(|text| Fault::new(code::INVALID_CERT_PATH, text))?;
    Ok(path)
}

fn unreachable_anchor() -> Fault {
    Fault::new(code::CANNOT_CREATE_CERT_PATH, "no path leads from the certificate to the trust anchor")
}

struct Search<'a> {
    trust: &'a TrustStore,
    additional: &'a [Certificate],
    anchor: &'a CertificationAuthority,
    left: usize,
}

impl Search<'_> {
    /// Goes up from the last certificate, the anchor first, then whatever else may be its issuer.
    fn climb(&mut self, path: Vec<Certificate>) -> Option<Vec<Certificate>> {
        let last = path.last()?;
        if last.issuer() == self.anchor.certificate().subject() && self.spend() && self.anchor_issued(last) {
            return Some(path);
        }
        if path.len() >= LONGEST_CHAIN {
            return None;
        }
        for candidate in self.additional {
            let fits = last.issuer() == candidate.subject() && !path.contains(candidate);
            if fits && self.spend() && last.is_signed_by(candidate) {
                let mut longer = path.clone();
                longer.push(candidate.clone());
                if let Some(found) = self.climb(longer) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn anchor_issued(&self, certificate: &Certificate) -> bool {
        self.trust
            .issuer_of(certificate, Some(self.anchor.instance()))
            .is_some_and(|issuer| issuer.certificate() == self.anchor.certificate())
            || certificate.is_issued_by(self.anchor.certificate())
    }

    fn spend(&mut self) -> bool {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// The rules for each certificate below the anchor. The anchor is a name with a key: its own validity
/// and extensions are not looked at (signatures and evidence §5.4).
fn check(path: &Path, used: PathUse<'_>, at: UtcTime) -> Result<(), String> {
    let archived = matches!(used, PathUse::ArchivedSignature { .. });
    let mut intermediates_below = 0;
    for (index, certificate) in path.certificates.iter().enumerate() {
        let refuse = |why: &str| Err(format!("{certificate}: {why}"));
        if at < certificate.not_before() {
            return refuse("the certificate is not yet valid");
        }
        if at > certificate.not_after() {
            return refuse("the certificate has expired");
        }
        if let Some(oid) = certificate.unknown_critical_extension() {
            return refuse(&format!("the critical extension {oid} is not known"));
        }
        if certificate.has_name_constraints() || certificate.has_policy_constraints() {
            return refuse("name constraints and policy constraints are not evaluated");
        }
        let sha1 =
            certificate.signature_algorithm().is_none_or(|named| named.digest == DigestAlgorithm::Sha1);
        if sha1 && !archived {
            return refuse("the certificate is signed with SHA-1");
        }
        if index == 0 {
            continue;
        }
        let Some(constraints) = certificate.basic_constraints().filter(|constraints| constraints.ca) else {
            return refuse("the certificate has issued another and is not a CA certificate");
        };
        if certificate.key_usage().is_some_and(|usage| !usage.has(KeyUsage::KEY_CERT_SIGN)) {
            return refuse("the key usage of the CA certificate does not include signing certificates");
        }
        if constraints.path_length.is_some_and(|most| intermediates_below > most) {
            return refuse("more CA certificates follow than its path length allows");
        }
        if !certificate.is_self_issued() {
            intermediates_below += 1;
        }
    }
    Ok(())
}
