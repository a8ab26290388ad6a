//! Certification services: their CAs and OCSP responders (registry and administration §1.7).

use std::net::IpAddr;

use bytes::Bytes;
use certs::certificate::Certificate;
use protocol::configuration::CostType;

use super::draft::Draft;
use super::model::{Authority, CertificationService, CertificationSettings, IntermediateCa, OcspResponder};
use super::record::{Record, RecordKey};
use super::{Desk, Instance, Refusal};
use crate::state::rules;

/// What of an OCSP responder is to change; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct ResponderChange {
    /// Where to ask.
    pub url: Option<String>,
    /// The certificate that signs its answers, DER or PEM; empty takes the one there is away.
    pub certificate: Option<Vec<u8>>,
    /// What it costs.
    pub cost: Option<CostType>,
}

impl Instance {
    /// The intermediate CAs of a service, in the order in which they were added.
    pub fn intermediates_of(&self, service: u32) -> impl Iterator<Item = &IntermediateCa> {
        self.intermediates.values().filter(move |authority| authority.service == service)
    }

    /// The OCSP responders of a CA, in the order in which they were added.
    pub fn responders_of(&self, authority: Authority) -> impl Iterator<Item = &OcspResponder> {
        self.responders.values().filter(move |responder| responder.authority == authority)
    }
}

impl Desk {
    /// Approves a certification service by the certificate of its top CA. The common name in it becomes
    /// the service's name.
    ///
    /// # Errors
    /// The certificate cannot be read, or is one of an approved service already; a setting is not
    /// acceptable.
    pub fn add_certification_service(
        &self,
        certificate: &[u8],
        settings: CertificationSettings,
    ) -> Result<CertificationService, Refusal> {
        self.change(|draft| {
            let settings = checked(settings)?;
            let certificate = read_certificate(certificate)?;
            is_new(draft, certificate.der())?;
            let id = draft.number(|counters| &mut counters.service);
            let (name, certificate) = (common_name(&certificate), certificate.der().clone());
            let service = CertificationService { id, name, certificate, settings };
            draft.put(Record::Service(service.clone()));
            Ok(service)
        })
    }

    /// Changes the settings of a certification service.
    ///
    /// # Errors
    /// There is no such service; a setting is not acceptable.
    pub fn change_certification_service(
        &self,
        id: u32,
        change: impl FnOnce(&mut CertificationSettings),
    ) -> Result<CertificationService, Refusal> {
        self.change(|draft| {
            let known = draft.instance.services.get(&id);
            let mut service = known.cloned().ok_or(Refusal::CertificationServiceNotFound(id))?;
            change(&mut service.settings);
            service.settings = checked(service.settings)?;
            draft.put(Record::Service(service.clone()));
            Ok(service)
        })
    }

    /// Takes the approval of a certification service back, with its intermediate CAs and responders.
    /// From the next configuration on no certificate that it issued is believed.
    ///
    /// # Errors
    /// There is no such service.
    pub fn delete_certification_service(&self, id: u32) -> Result<(), Refusal> {
        self.change(|draft| {
            let instance = draft.instance;
            if !instance.services.contains_key(&id) {
                return Err(Refusal::CertificationServiceNotFound(id));
            }
            for authority in instance.intermediates_of(id) {
                remove_intermediate(draft, authority.id);
            }
            remove_responders(draft, Authority::Service(id));
            draft.remove(RecordKey::Service(id));
            Ok(())
        })
    }

    /// Adds an intermediate CA to a certification service.
    ///
    /// # Errors
    /// There is no such service; the certificate cannot be read, or is there already.
    pub fn add_intermediate_ca(&self, service: u32, certificate: &[u8]) -> Result<IntermediateCa, Refusal> {
        self.change(|draft| {
            if !draft.instance.services.contains_key(&service) {
                return Err(Refusal::CertificationServiceNotFound(service));
            }
            let certificate = read_certificate(certificate)?.der().clone();
            is_new(draft, &certificate)?;
            let id = draft.number(|counters| &mut counters.intermediate);
            let authority = IntermediateCa { id, service, certificate };
            draft.put(Record::Intermediate(authority.clone()));
            Ok(authority)
        })
    }

    /// Removes an intermediate CA with its responders.
    ///
    /// # Errors
    /// There is no such CA.
    pub fn delete_intermediate_ca(&self, id: u32) -> Result<(), Refusal> {
        self.change(|draft| {
            if !draft.instance.intermediates.contains_key(&id) {
                return Err(Refusal::IntermediateCaNotFound(id));
            }
            remove_intermediate(draft, id);
            Ok(())
        })
    }

    /// Adds an OCSP responder to a CA.
    ///
    /// # Errors
    /// There is no such CA; the URL or the certificate is not acceptable.
    pub fn add_responder(
        &self,
        authority: Authority,
        url: &str,
        certificate: Option<&[u8]>,
        cost: CostType,
    ) -> Result<OcspResponder, Refusal> {
        self.change(|draft| {
            match authority {
                Authority::Service(id) if !draft.instance.services.contains_key(&id) => {
                    return Err(Refusal::CertificationServiceNotFound(id));
                }
                Authority::Intermediate(id) if !draft.instance.intermediates.contains_key(&id) => {
                    return Err(Refusal::IntermediateCaNotFound(id));
                }
                Authority::Service(_) | Authority::Intermediate(_) => {}
            }
            check_url(url)?;
            let certificate = optional_certificate(certificate)?;
            let id = draft.number(|counters| &mut counters.responder);
            let responder = OcspResponder { id, authority, url: url.to_owned(), certificate, cost };
            draft.put(Record::Responder(responder.clone()));
            Ok(responder)
        })
    }

    /// Changes an OCSP responder.
    ///
    /// # Errors
    /// There is no such responder; the URL or the certificate is not acceptable.
    pub fn change_responder(&self, id: u32, change: ResponderChange) -> Result<OcspResponder, Refusal> {
        self.change(|draft| {
            let known = draft.instance.responders.get(&id);
            let mut responder = known.cloned().ok_or(Refusal::ResponderNotFound(id))?;
            if let Some(url) = change.url {
                check_url(&url)?;
                responder.url = url;
            }
            if let Some(certificate) = change.certificate {
                responder.certificate = optional_certificate(Some(&certificate))?;
            }
            if let Some(cost) = change.cost {
                responder.cost = cost;
            }
            draft.put(Record::Responder(responder.clone()));
            Ok(responder)
        })
    }

    /// Removes an OCSP responder; with an authority, only if it is a responder of that one.
    ///
    /// # Errors
    /// There is no such responder or authority.
    pub fn delete_responder(&self, authority: Option<Authority>, id: u32) -> Result<(), Refusal> {
        self.change(|draft| {
            if let Some(Authority::Intermediate(id)) = authority
                && !draft.instance.intermediates.contains_key(&id)
            {
                return Err(Refusal::IntermediateCaNotFound(id));
            }
            let responder = draft.instance.responders.get(&id).ok_or(Refusal::ResponderNotFound(id))?;
            if authority.is_some_and(|authority| authority != responder.authority) {
                return Err(Refusal::ResponderNotFound(id));
            }
            draft.remove(RecordKey::Responder(id));
            Ok(())
        })
    }
}

fn remove_intermediate(draft: &mut Draft<'_>, id: u32) {
    remove_responders(draft, Authority::Intermediate(id));
    draft.remove(RecordKey::Intermediate(id));
}

fn remove_responders(draft: &mut Draft<'_>, authority: Authority) {
    for responder in draft.instance.responders_of(authority) {
        draft.remove(RecordKey::Responder(responder.id));
    }
}

/// One certificate twice would make it unclear which profile decodes what it issued.
fn is_new(draft: &Draft<'_>, der: &[u8]) -> Result<(), Refusal> {
    let services = draft.instance.services.values().map(|service| &service.certificate);
    let intermediates = draft.instance.intermediates.values().map(|authority| &authority.certificate);
    if services.chain(intermediates).any(|known| known == der) {
        return Err(Refusal::AuthorityExists);
    }
    Ok(())
}

fn checked(settings: CertificationSettings) -> Result<CertificationSettings, Refusal> {
    let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let profile = rules::profile(&settings.profile);
    let profile = profile.map_err(|_| Refusal::ProfileNotFound(settings.profile))?;
    let acme_directory = filled(settings.acme_directory);
    acme_directory.as_deref().map_or(Ok(()), check_url)?;
    let acme_ip_addresses = filled(settings.acme_ip_addresses);
    if let Some(list) = &acme_ip_addresses
        && !list.split(',').all(|address| address.trim().parse::<IpAddr>().is_ok())
    {
        return Err(Refusal::InvalidIpAddress(list.clone()));
    }
    Ok(CertificationSettings {
        profile,
        acme_directory,
        acme_ip_addresses,
        acme_authentication_profile: filled(settings.acme_authentication_profile),
        acme_signing_profile: filled(settings.acme_signing_profile),
        ..settings
    })
}

/// An absolute `http` or `https` URL.
pub(super) fn check_url(url: &str) -> Result<(), Refusal> {
    rules::url(url).map_err(|_| Refusal::InvalidUrl(url.to_owned()))
}

/// A certificate in DER or PEM; of several in PEM the first.
pub(super) fn read_certificate(content: &[u8]) -> Result<Certificate, Refusal> {
    Certificate::from_pem_or_der(content).map_err(|error| Refusal::InvalidCertificate(error.to_string()))
}

fn optional_certificate(content: Option<&[u8]>) -> Result<Option<Bytes>, Refusal> {
    let Some(content) = content.filter(|content| !content.is_empty()) else { return Ok(None) };
    read_certificate(content).map(|certificate| Some(certificate.der().clone()))
}

/// The common name of the subject, or else the whole subject.
pub(super) fn common_name(certificate: &Certificate) -> String {
    let name = certificate.subject().first(certs::certificate::name::attribute::COMMON_NAME);
    name.map_or_else(|| certificate.subject_name(), str::to_owned)
}
