//! Approved services with their certificates parsed.

use std::collections::HashSet;
use std::sync::{Arc, RwLock};

use protocol::configuration::{ApprovedCa, CaCertificate, CostType, Instance};

use crate::certificate::Certificate;

/// An approved CA: one certificate of a certification service, top or intermediate.
#[derive(Clone, Debug)]
pub struct CertificationAuthority {
    certificate: Certificate,
    top: bool,
    responders: Vec<OcspResponder>,
    service: Arc<Service>,
}

/// What all CAs of one certification service share.
#[derive(Debug)]
struct Service {
    instance: String,
    name: String,
    authentication_only: bool,
    profile: String,
}

/// An OCSP responder of a CA.
#[derive(Clone, Debug)]
pub struct OcspResponder {
    /// Where to ask.
    pub url: String,
    /// The certificate that signs its answers, if it is listed.
    pub certificate: Option<Certificate>,
    /// What an answer costs.
    pub cost: CostType,
}

/// An approved time-stamping service.
#[derive(Clone, Debug)]
pub struct TimestampingAuthority {
    /// The instance that approved it.
    pub instance: String,
    /// Shown to people.
    pub name: String,
    /// Where to ask.
    pub url: String,
    /// The certificate of the time-stamp signer.
    pub certificate: Certificate,
    /// What a time-stamp costs.
    pub cost: CostType,
}

impl CertificationAuthority {
    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The instance that approved it.
    pub fn instance(&self) -> &str {
        &self.service.instance
    }

    /// The name of the certification service, shown to people.
    pub fn name(&self) -> &str {
        &self.service.name
    }

    /// Whether it is the top CA of its service.
    pub fn is_top(&self) -> bool {
        self.top
    }

    /// Whether its service may issue only authentication certificates (§15.5).
    pub fn is_authentication_only(&self) -> bool {
        self.service.authentication_only
    }

    /// The Java class that names the certificate profile of its service (§14.4).
    pub fn profile(&self) -> &str {
        &self.service.profile
    }

    /// Its OCSP responders in the order of the file.
    pub fn responders(&self) -> &[OcspResponder] {
        &self.responders
    }
}

/// Reads the CAs of an instance.
pub(super) fn read(
    instance: &Instance,
    authorities: &mut Vec<CertificationAuthority>,
    problems: &mut Vec<String>,
) {
    for approved in &instance.shared.approved_cas {
        let service = Arc::new(Service {
            instance: instance.identifier.clone(),
            name: approved.name.clone(),
            authentication_only: approved.authentication_only,
            profile: approved.certificate_profile.clone(),
        });
        for (listed, top) in certificates(approved) {
            let what = || format!("CA of certification service '{}'", approved.name);
            let Some(certificate) = parse(&listed.certificate, instance, what, problems) else { continue };
            let responders = listed
                .ocsp
                .iter()
                .map(|responder| OcspResponder {
                    url: responder.url.clone(),
                    cost: responder.cost,
                    certificate: responder.certificate.as_deref().and_then(|bytes| {
                        parse(bytes, instance, || format!("OCSP responder {}", responder.url), problems)
                    }),
                })
                .collect();
            authorities.push(CertificationAuthority {
                certificate,
                top,
                responders,
                service: Arc::clone(&service),
            });
        }
    }
}

fn certificates(approved: &ApprovedCa) -> impl Iterator<Item = (&CaCertificate, bool)> {
    std::iter::once((&approved.top, true)).chain(approved.intermediates.iter().map(|listed| (listed, false)))
}

/// Reads the time-stamping services of an instance.
pub(super) fn read_timestamping(
    instance: &Instance,
    services: &mut Vec<TimestampingAuthority>,
    problems: &mut Vec<String>,
) {
    for service in &instance.shared.timestamping_services {
        let what = || format!("time-stamping service '{}'", service.name);
        let Some(certificate) = parse(&service.certificate, instance, what, problems) else { continue };
        services.push(TimestampingAuthority {
            instance: instance.identifier.clone(),
            name: service.name.clone(),
            url: service.url.clone(),
            certificate,
            cost: service.cost,
        });
    }
}

fn parse(
    bytes: &[u8],
    instance: &Instance,
    what: impl Fn() -> String,
    problems: &mut Vec<String>,
) -> Option<Certificate> {
    match Certificate::from_pem_or_der(bytes) {
        Ok(certificate) => Some(certificate),
        Err(error) => {
            problems.push(format!("instance {}: certificate of {}: {error}", instance.identifier, what()));
            None
        }
    }
}

/// Remembers which certificates were found to be signed by which CA, so that a signature of a CA is
/// verified once and not with every message. Only what verified is kept; it cannot become false.
#[derive(Debug, Default)]
pub(super) struct Issued(RwLock<HashSet<([u8; 32], usize)>>);

impl Issued {
    /// More certificates than a node meets. When it is full, it starts anew.
    const MOST: usize = 16_384;

    /// Whether the CA with this number issued the certificate.
    pub(super) fn by(&self, certificate: &Certificate, number: usize, issuer: &Certificate) -> bool {
        let mut hash = [0; 32];
        hash.copy_from_slice(certificate.hashes().sha256.bytes());
        let fact = (hash, number);
        if self.0.read().is_ok_and(|known| known.contains(&fact)) {
            return true;
        }
        let issued = certificate.is_issued_by(issuer);
        if issued && let Ok(mut known) = self.0.write() {
            if known.len() >= Self::MOST {
                known.clear();
            }
            known.insert(fact);
        }
        issued
    }
}
