//! The parameters as values, and the look-ups that everybody needs.
//!
//! Global configuration and trust §6 and §7. Certificates are DER here, whatever form the file had.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;

use crate::configuration::anchor::Anchor;
use crate::digest::{Digest, DigestAlgorithm};
use crate::id::{ClientId, GlobalGroupId, MemberId, SecurityServerId};
use crate::time::UtcTime;

/// What one node knows at one moment: its own instance and those it is federated with.
///
/// Immutable; a node swaps the whole value when a download brought something new.
#[derive(Clone, Debug)]
pub struct GlobalConfiguration {
    /// The instance identifier of the node's own instance.
    pub own_instance: String,
    /// All known instances by identifier, expired federated ones left out by whoever builds this.
    pub instances: HashMap<String, Arc<Instance>>,
}

/// One instance: its parameters, when they end, and indexes over them.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its identifier.
    pub identifier: String,
    /// The shared parameters.
    pub shared: SharedParameters,
    /// The file that they were read from, byte for byte; none if they were never a file.
    pub shared_file: Option<Bytes>,
    /// The private parameters; only of the own instance.
    pub private: Option<PrivateParameters>,
    /// The node classes and their policy, when the registry publishes them.
    pub node_classes: Option<NodeClasses>,
    /// From `nextupdate-params.xml`; true unless it says otherwise.
    pub verify_next_update: bool,
    /// From `fetchinterval-params.xml`, seconds; 1200 unless it says otherwise, never below 60.
    pub ocsp_fetch_interval: u64,
    expires: Arc<AtomicI64>,
    /// Who besides the owners of servers may read all monitoring data.
    pub monitoring_client: Option<ClientId>,
    /// Version of the configuration it was read from, 2 to 6.
    pub version: u8,
    servers_by_client: HashMap<ClientId, Vec<usize>>,
    servers_by_certificate: HashMap<Vec<u8>, usize>,
}

/// Shared parameters (§6).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SharedParameters {
    /// The instance they describe.
    pub instance: String,
    /// Where the instance publishes; empty in version 2.
    pub sources: Vec<Source>,
    /// Approved certification services.
    pub approved_cas: Vec<ApprovedCa>,
    /// Approved time-stamping services.
    pub timestamping_services: Vec<TimestampingService>,
    /// Members with their subsystems.
    pub members: Vec<Member>,
    /// Registered security servers.
    pub servers: Vec<RegisteredServer>,
    /// Global groups.
    pub groups: Vec<GlobalGroup>,
    /// Member classes: code and description.
    pub member_classes: Vec<(String, String)>,
    /// Oldest acceptable `thisUpdate` of an OCSP response, seconds.
    pub ocsp_freshness_seconds: u64,
}

/// A publishing address of an instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// Host name or address.
    pub address: String,
    /// DER certificates whose keys may sign the internal directory.
    pub internal_verification_certs: Vec<Vec<u8>>,
    /// DER certificates whose keys may sign the external directory.
    pub external_verification_certs: Vec<Vec<u8>>,
}

/// A certification service (§6.2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApprovedCa {
    /// Shown to people.
    pub name: String,
    /// True: it may issue only authentication certificates.
    pub authentication_only: bool,
    /// The top CA.
    pub top: CaCertificate,
    /// Intermediate CAs.
    pub intermediates: Vec<CaCertificate>,
    /// Java class name of the certificate profile (§14.4).
    pub certificate_profile: String,
    /// The form of certificate requests that people are offered first, since version 6.
    pub default_csr_format: Option<CsrFormat>,
    /// How its certificates are had by ACME, since version 3.
    pub acme: Option<AcmeServer>,
}

/// The form of a certificate request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CsrFormat {
    /// `PEM`
    Pem,
    /// `DER`
    Der,
}

/// The ACME server of a certification service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AcmeServer {
    /// URL of its directory.
    pub directory: String,
    /// Its addresses separated by commas, for the rules of firewalls.
    pub ip_address: Option<String>,
    /// The profile of authentication certificates, since version 4.
    pub authentication_profile: Option<String>,
    /// The profile of signing certificates, since version 4.
    pub signing_profile: Option<String>,
}

/// A CA certificate with its OCSP responders.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaCertificate {
    /// DER.
    pub certificate: Vec<u8>,
    /// Responders in the order of the file.
    pub ocsp: Vec<OcspResponder>,
}

/// An OCSP responder of a CA.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OcspResponder {
    /// Where to ask.
    pub url: String,
    /// DER certificate that signs its answers, if it is listed.
    pub certificate: Option<Vec<u8>>,
    /// Since version 6.
    pub cost: CostType,
}

/// What a trust service costs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CostType {
    /// `FREE`
    Free,
    /// `PAID`
    Paid,
    /// `UNDEFINED`, or not said.
    #[default]
    Undefined,
}

/// A time-stamping service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimestampingService {
    /// Shown to people.
    pub name: String,
    /// Where to ask.
    pub url: String,
    /// DER certificate of the time-stamp signer.
    pub certificate: Vec<u8>,
    /// Since version 6.
    pub cost: CostType,
}

/// A member with its subsystems.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its identifier.
    pub id: MemberId,
    /// Full name.
    pub name: String,
    /// Its subsystems.
    pub subsystems: Vec<Subsystem>,
}

/// A subsystem.
#[derive(Clone, Debug, PartialEq)]
pub struct Subsystem {
    /// Its code.
    pub code: String,
    /// Its name, since version 5.
    pub name: Option<String>,
}

/// A registered security server.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredServer {
    /// Its identifier; the member part is the owner.
    pub id: SecurityServerId,
    /// Host name or address; none means it cannot be called.
    pub address: Option<String>,
    /// Digests of its authentication certificates: SHA-1 in version 2, SHA-256 later.
    pub certificate_hashes: Vec<Vec<u8>>,
    /// Clients registered there, the owner not repeated.
    pub clients: Vec<ClientId>,
    /// Set while in maintenance; the text may be empty.
    pub maintenance: Option<String>,
}

/// A global group.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalGroup {
    /// Its identifier.
    pub id: GlobalGroupId,
    /// What it is for.
    pub description: String,
    /// Exactly these clients are in it.
    pub members: Vec<ClientId>,
}

/// Private parameters (§7).
#[derive(Clone, Debug, PartialEq)]
pub struct PrivateParameters {
    /// The instance.
    pub instance: String,
    /// Anchors of federated instances.
    pub anchors: Vec<Anchor>,
    /// URL of the registration service.
    pub registration_address: String,
    /// Its pinned TLS certificate, DER.
    pub registration_certificate: Option<Vec<u8>>,
    /// The subsystem that offers the management services.
    pub management_service_provider: ClientId,
    /// How often a server time-stamps its message log, seconds.
    pub timestamping_interval_seconds: u64,
}

/// The class of a security server (design, node classes).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NodeClass {
    /// An agency's server.
    State,
    /// A hub that holds copies and serves many.
    DataCenter,
    /// A partner's server.
    International,
}

/// The optional part `CAUSEWAY-NODE-CLASSES`: class of each server, and which pairs may talk.
///
/// A server that is not listed has no class. When an instance publishes this part, an exchange that
/// involves a server of that instance without a class is refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeClasses {
    /// Class of each server of the instance.
    pub servers: HashMap<SecurityServerId, NodeClass>,
    /// The policy.
    pub policy: ClassPolicy,
}

/// Which class may call which, and on what terms. A pair that is not there is forbidden.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassPolicy {
    /// Terms by consumer's and provider's class.
    pub pairs: HashMap<(NodeClass, NodeClass), PairTerms>,
}

/// Terms on which a pair of classes may talk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PairTerms {
    /// Least TLS version between the two servers.
    pub tls: TlsFloor,
    /// Oldest OCSP response in seconds that counts as live; none: the instance's freshness decides.
    pub ocsp_live_seconds: Option<u64>,
    /// Every message is time-stamped before it goes further.
    pub synchronous_timestamp: bool,
}

/// Least TLS version.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsFloor {
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

impl Instance {
    /// Builds the indexes over shared parameters. The remaining fields get their defaults.
    pub fn new(shared: SharedParameters, version: u8, expires: UtcTime) -> Self {
        let mut servers_by_client: HashMap<ClientId, Vec<usize>> = HashMap::new();
        let mut servers_by_certificate = HashMap::new();
        for (index, server) in shared.servers.iter().enumerate() {
            let owner = ClientId::from(server.id.owner().clone());
            for client in std::iter::once(&owner).chain(&server.clients) {
                let servers = servers_by_client.entry(client.clone()).or_default();
                if !servers.contains(&index) {
                    servers.push(index);
                }
            }
            for hash in &server.certificate_hashes {
                servers_by_certificate.insert(hash.clone(), index);
            }
        }
        Self {
            identifier: shared.instance.clone(),
            shared,
            shared_file: None,
            private: None,
            node_classes: None,
            verify_next_update: true,
            ocsp_fetch_interval: 1200,
            monitoring_client: None,
            expires: Arc::new(AtomicI64::new(expires.millis())),
            version,
            servers_by_client,
            servers_by_certificate,
        }
    }

    /// When the earliest of its parameter files expires; after it the instance is unknown.
    pub fn expires(&self) -> UtcTime {
        UtcTime::from_millis(self.expires.load(Ordering::Relaxed))
    }

    /// Sets a later expiry: the same parameters were published again. This is the one thing that
    /// changes in a configuration in force, so that a round without news costs next to nothing; an
    /// earlier time is ignored.
    pub fn renew(&self, expires: UtcTime) {
        self.expires.fetch_max(expires.millis(), Ordering::Relaxed);
    }

    /// Brings the expiry forward, when another file of the instance ends earlier.
    pub(super) fn limit_expiry(&self, expires: UtcTime) {
        self.expires.fetch_min(expires.millis(), Ordering::Relaxed);
    }

    /// The servers that have this exact client as owner or client.
    pub fn servers_of(&self, client: &ClientId) -> impl Iterator<Item = &RegisteredServer> {
        self.servers_by_client
            .get(client)
            .into_iter()
            .flatten()
            .filter_map(|index| self.shared.servers.get(*index))
    }

    /// The server that this authentication certificate is registered to. The algorithm follows from
    /// the version of this instance's own file (§6.5).
    pub fn server_of_certificate(&self, hashes: &CertificateHashes) -> Option<&RegisteredServer> {
        let hash = if self.version == 2 { &hashes.sha1 } else { &hashes.sha256 };
        self.servers_by_certificate.get(hash.bytes()).and_then(|index| self.shared.servers.get(*index))
    }

    /// Whether the client is exactly one of the group's members.
    pub fn is_in_group(&self, client: &ClientId, group: &GlobalGroupId) -> bool {
        self.shared
            .groups
            .iter()
            .any(|candidate| candidate.id == *group && candidate.members.contains(client))
    }
}

/// Both digests by which an authentication certificate may be registered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CertificateHashes {
    /// For version 2 and for port 5577.
    pub sha1: Digest,
    /// For version 3 and later.
    pub sha256: Digest,
}

impl CertificateHashes {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Self { sha1: DigestAlgorithm::Sha1.digest(der), sha256: DigestAlgorithm::Sha256.digest(der) }
    }
}

impl GlobalConfiguration {
    /// The instance of this identifier, if it is known.
    pub fn instance(&self, identifier: &str) -> Option<&Instance> {
        self.instances.get(identifier).map(AsRef::as_ref)
    }

    /// The node's own instance.
    pub fn own(&self) -> Option<&Instance> {
        self.instance(&self.own_instance)
    }

    /// The server that an authentication certificate is registered to, in any instance.
    pub fn server_of_certificate(&self, hashes: &CertificateHashes) -> Option<&RegisteredServer> {
        self.instances.values().find_map(|instance| instance.server_of_certificate(hashes))
    }

    /// The servers of the client's instance that have it as owner or client.
    pub fn servers_of(&self, client: &ClientId) -> impl Iterator<Item = &RegisteredServer> {
        self.instance(client.instance()).into_iter().flat_map(move |instance| instance.servers_of(client))
    }

    /// The class of a server, by the policy part of its own instance.
    pub fn class_of(&self, server: &SecurityServerId) -> Option<NodeClass> {
        self.instance(server.owner().instance())?.node_classes.as_ref()?.servers.get(server).copied()
    }

    /// Oldest acceptable OCSP response in seconds: always the own instance's setting (§6.6).
    pub fn ocsp_freshness_seconds(&self) -> u64 {
        self.own().map_or(3600, |own| own.shared.ocsp_freshness_seconds)
    }

    /// Whether the own instance's parameters are still in force (§9.3: there is no grace).
    pub fn is_current(&self, now: UtcTime) -> bool {
        self.own().is_some_and(|own| now <= own.expires())
    }
}
