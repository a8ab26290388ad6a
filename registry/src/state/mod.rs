//! The state of an instance: members, servers, trust services, groups, settings, policy.
//!
//! An operator declares it in one TOML file that names certificate and anchor files beside it
//! ([`read`]). What was read is checked as a whole, so a value of [`InstanceState`] is always fit to
//! be published; [`kept`] holds it durably. The parameters of the global configuration are made from
//! it here (global configuration and trust §6 and §7); signing and serving are `publish` and `serve`.

mod diff;
pub mod kept;
mod read;
pub(crate) mod rules;
#[cfg(test)]
mod tests;
mod watched;

use std::collections::HashMap;

use protocol::configuration::anchor::Anchor;
use protocol::configuration::{
    ApprovedCa, CertificateHashes, ClassPolicy, GlobalGroup, Member, NodeClass, NodeClasses,
    PrivateParameters, RegisteredServer, SharedParameters, Source, TimestampingService,
};
use protocol::id::{ClientId, SecurityServerId};

pub use read::{Checked, Files, Folder, read};
pub use watched::Watched;

/// A checked state. Everything that it refers to exists in it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceState {
    /// The instance identifier.
    pub instance: String,
    /// Settings of the whole instance.
    pub settings: Settings,
    /// Member classes: code and description.
    pub member_classes: Vec<(String, String)>,
    /// Members with their subsystems.
    pub members: Vec<Member>,
    /// Security servers.
    pub servers: Vec<Server>,
    /// Approved certification services.
    pub certification_services: Vec<ApprovedCa>,
    /// Approved time-stamping services.
    pub timestamping_services: Vec<TimestampingService>,
    /// Global groups.
    pub groups: Vec<GlobalGroup>,
    /// Which node classes may talk; none if the instance does not use node classes.
    pub policy: Option<ClassPolicy>,
    /// The services by which servers manage their registration.
    pub management: Management,
    /// External anchors of the instances this one is federated with.
    pub partners: Vec<Anchor>,
    /// Parts of the internal configuration that servers keep and other programs read.
    pub optional_parts: Vec<OptionalPart>,
}

/// A part that an operator provides as a file (§8).
#[derive(Clone, Debug, PartialEq)]
pub struct OptionalPart {
    /// Its content identifier.
    pub identifier: String,
    /// The name of its file at the servers.
    pub file_name: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Settings of an instance (§6.6, §7, §8).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Oldest acceptable `thisUpdate` of an OCSP response, seconds.
    pub ocsp_freshness_seconds: u64,
    /// How often a server time-stamps its message log, seconds.
    pub timestamping_interval_seconds: u64,
    /// How often a server fetches OCSP responses, seconds; published only if it is set.
    pub ocsp_fetch_interval_seconds: Option<u64>,
    /// Whether `nextUpdate` of OCSP responses is checked; published only if it is set.
    pub verify_next_update: Option<bool>,
    /// Who besides the owners of servers may read all monitoring data; published only if it is set.
    pub monitoring_client: Option<ClientId>,
}

/// A registered security server.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Its identifier; the member part is the owner.
    pub id: SecurityServerId,
    /// Its class, always there when the instance uses node classes.
    pub class: Option<NodeClass>,
    /// Host name or address; none means that it cannot be called.
    pub address: Option<String>,
    /// Its authentication certificates, DER.
    pub certificates: Vec<Vec<u8>>,
    /// Its clients, the owner not repeated.
    pub clients: Vec<ClientId>,
    /// Set while in maintenance; the text may be empty.
    pub maintenance: Option<String>,
}

/// Where servers send management requests, and who offers the services.
#[derive(Clone, Debug, PartialEq)]
pub struct Management {
    /// The subsystem or member that offers the management services.
    pub provider: ClientId,
    /// URL of the registration service; none: made from the registry's address.
    pub registration_address: Option<String>,
    /// Its pinned TLS certificate, DER.
    pub registration_certificate: Option<Vec<u8>>,
}

impl InstanceState {
    /// Shared parameters for a version of the global configuration: authentication certificates are
    /// named by SHA-1 in version 2 and by SHA-256 later (§6.5).
    pub fn shared_parameters(&self, version: u8, sources: Vec<Source>) -> SharedParameters {
        SharedParameters {
            instance: self.instance.clone(),
            sources,
            approved_cas: self.certification_services.clone(),
            timestamping_services: self.timestamping_services.clone(),
            members: self.members.clone(),
            servers: self.servers.iter().map(|server| server.registered(version)).collect(),
            groups: self.groups.clone(),
            member_classes: self.member_classes.clone(),
            ocsp_freshness_seconds: self.settings.ocsp_freshness_seconds,
        }
    }

    /// Private parameters. `host` is where the registry is, for the registration service's address.
    pub fn private_parameters(&self, host: &str) -> PrivateParameters {
        let management = &self.management;
        PrivateParameters {
            instance: self.instance.clone(),
            anchors: self.partners.clone(),
            registration_address: management
                .registration_address
                .clone()
                .unwrap_or_else(|| format!("https://{host}:4001/managementservice/")),
            registration_certificate: management.registration_certificate.clone(),
            management_service_provider: management.provider.clone(),
            timestamping_interval_seconds: self.settings.timestamping_interval_seconds,
        }
    }

    /// The part `CAUSEWAY-NODE-CLASSES`, if the instance uses node classes.
    pub fn node_classes(&self) -> Option<NodeClasses> {
        let policy = self.policy.clone()?;
        let class = |server: &Server| Some((server.id.clone(), server.class?));
        let servers: HashMap<_, _> = self.servers.iter().filter_map(class).collect();
        Some(NodeClasses { servers, policy })
    }
}

impl Server {
    fn registered(&self, version: u8) -> RegisteredServer {
        let hash = |certificate: &Vec<u8>| {
            let hashes = CertificateHashes::of(certificate);
            let hash = if version == 2 { hashes.sha1 } else { hashes.sha256 };
            hash.bytes().to_vec()
        };
        RegisteredServer {
            id: self.id.clone(),
            address: self.address.clone(),
            certificate_hashes: self.certificates.iter().map(hash).collect(),
            clients: self.clients.clone(),
            maintenance: self.maintenance.clone(),
        }
    }
}
