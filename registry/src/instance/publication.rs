//! What of the instance is published (global configuration and trust §6 to §8, §10).

use std::fmt;

use protocol::configuration::{
    AcmeServer, Anchor, ApprovedCa, CaCertificate, GlobalGroup, Member, OcspResponder, Subsystem,
    TimestampingService,
};
use protocol::id::GlobalGroupId;
use protocol::time::UtcTime;

use super::model::{ADDRESS_PLACE, Authority, CertificationService};
use super::{Desk, GroupEntry, Instance, MemberEntry, ServerEntry};
use crate::keys::{ConfigurationSigner, KeysError, Signed};
use crate::publish::{Address, SourceKind};
use crate::state::{InstanceState, Management, OptionalPart, Server, Settings};

/// What is not there yet, so that nothing is published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Missing {
    /// The registry is not initialised.
    Initialisation,
    /// Nobody offers the management services.
    Provider,
    /// A source has no signing key.
    Key(SourceKind),
    /// Nobody is logged in to the token of the keys.
    Login,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initialisation => f.write_str("the registry is not initialised"),
            Self::Provider => f.write_str("no provider of the management services is set"),
            Self::Key(source) => write!(f, "there is no {} signing key", source.name()),
            Self::Login => f.write_str("nobody is logged in to the token of the signing keys"),
        }
    }
}

/// How publishing goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublicationStatus {
    /// When something was published last.
    pub made: Option<UtcTime>,
    /// When that expires.
    pub expires: Option<UtcTime>,
    /// Which change of the instance it has.
    pub generation: u64,
    /// What is missing for another round.
    pub missing: Vec<Missing>,
    /// Why the last round failed, if it did.
    pub failure: Option<String>,
}

impl Desk {
    /// What is missing for something to be published.
    pub fn missing(&self) -> Vec<Missing> {
        if self.is_declared() {
            return Vec::new();
        }
        let look = self.look();
        let parameters = look.parameters();
        let mut missing = Vec::new();
        if parameters.instance.is_none() || parameters.address.is_none() {
            missing.push(Missing::Initialisation);
        }
        if parameters.provider.is_none() {
            missing.push(Missing::Provider);
        }
        let keyless = SourceKind::ALL.into_iter().filter(|source| look.active_key(*source).is_none());
        missing.extend(keyless.map(Missing::Key));
        if !self.tokens().is_active() {
            missing.push(Missing::Login);
        }
        missing
    }
}

impl ConfigurationSigner for Desk {
    fn certificates(&self, kind: SourceKind) -> Vec<Vec<u8>> {
        self.look().keys_of(kind).into_iter().map(|key| key.certificate.to_vec()).collect()
    }

    fn sign(&self, kind: SourceKind, octets: &[u8]) -> Result<Signed, KeysError> {
        let key = self.look().active_key(kind).cloned().ok_or(KeysError::NoSource(kind))?;
        self.tokens().sign(&key, octets)
    }
}

impl Instance {
    /// The instance as it is published; none while its identifier or the provider is missing.
    pub(crate) fn state(
        &self,
        address: &Address,
        registration_certificate: Option<Vec<u8>>,
    ) -> Option<InstanceState> {
        let instance = self.parameters.instance.clone()?;
        let provider = self.parameters.provider.clone()?;
        let registration_address = self.parameters.registration_url.replace(ADDRESS_PLACE, address.host());
        Some(InstanceState {
            settings: Settings {
                ocsp_freshness_seconds: self.parameters.ocsp_freshness_seconds,
                timestamping_interval_seconds: self.parameters.timestamping_interval_seconds,
                // Administrators provide these as configuration parts.
                ocsp_fetch_interval_seconds: None,
                verify_next_update: None,
                monitoring_client: None,
            },
            member_classes: self
                .classes
                .values()
                .map(|class| (class.code.clone(), class.description.clone()))
                .collect(),
            members: self.members.values().map(member).collect(),
            servers: self.servers.values().map(server).collect(),
            certification_services: self.approved_cas(),
            timestamping_services: self.timestamping.values().map(timestamping).collect(),
            groups: self.groups.values().filter_map(|entry| group(&instance, entry)).collect(),
            policy: self.policy.class_policy(),
            management: Management {
                provider,
                registration_address: Some(registration_address),
                registration_certificate,
            },
            partners: self
                .anchors
                .values()
                .filter(|anchor| !anchor.suspended)
                .filter_map(|anchor| Anchor::parse(&anchor.file).ok())
                .collect(),
            optional_parts: self
                .parts
                .values()
                .map(|part| OptionalPart {
                    identifier: part.identifier.clone(),
                    file_name: part.file_name.clone(),
                    content: part.content.to_vec(),
                })
                .collect(),
            instance,
        })
    }

    /// The certification services as they are published.
    pub(crate) fn approved_cas(&self) -> Vec<ApprovedCa> {
        self.services.values().map(|service| self.approved(service)).collect()
    }

    fn approved(&self, service: &CertificationService) -> ApprovedCa {
        let settings = &service.settings;
        let acme = settings.acme_directory.clone().map(|directory| AcmeServer {
            directory,
            ip_address: settings.acme_ip_addresses.clone(),
            authentication_profile: settings.acme_authentication_profile.clone(),
            signing_profile: settings.acme_signing_profile.clone(),
        });
        let authority = |certificate: &[u8], authority| CaCertificate {
            certificate: certificate.to_vec(),
            ocsp: self.responders_of(authority).map(responder).collect(),
        };
        ApprovedCa {
            name: service.name.clone(),
            authentication_only: settings.authentication_only,
            top: authority(&service.certificate, Authority::Service(service.id)),
            intermediates: self
                .intermediates_of(service.id)
                .map(|known| authority(&known.certificate, Authority::Intermediate(known.id)))
                .collect(),
            certificate_profile: settings.profile.clone(),
            default_csr_format: settings.csr_format,
            acme,
        }
    }
}

fn member(entry: &MemberEntry) -> Member {
    let subsystem = |(code, known): (&String, &super::Subsystem)| Subsystem {
        code: code.clone(),
        name: known.name.clone(),
    };
    Member {
        id: entry.member.id.clone(),
        name: entry.member.name.clone(),
        subsystems: entry.subsystems.iter().map(subsystem).collect(),
    }
}

fn server(entry: &ServerEntry) -> Server {
    let enabled = entry.clients.values().filter(|client| client.enabled);
    Server {
        id: entry.server.id.clone(),
        class: entry.server.class,
        address: entry.server.address.clone(),
        certificates: entry.certificates.values().map(|certificate| certificate.der.to_vec()).collect(),
        clients: enabled.map(|client| client.id.clone()).collect(),
        maintenance: entry.server.maintenance.clone(),
    }
}

fn group(instance: &str, entry: &GroupEntry) -> Option<GlobalGroup> {
    Some(GlobalGroup {
        id: GlobalGroupId::new(instance, &entry.group.code).ok()?,
        description: entry.group.description.clone(),
        members: entry.members.keys().cloned().collect(),
    })
}

fn responder(known: &super::OcspResponder) -> OcspResponder {
    OcspResponder {
        url: known.url.clone(),
        certificate: known.certificate.as_ref().map(|der| der.to_vec()),
        cost: known.cost,
    }
}

fn timestamping(known: &super::TimestampingService) -> TimestampingService {
    TimestampingService {
        name: known.name.clone(),
        url: known.url.clone(),
        certificate: known.certificate.to_vec(),
        cost: known.cost,
    }
}
