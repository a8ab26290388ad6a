//! The things of an administered instance. Each value is a record of the store.

use bytes::Bytes;
use certs::certificate::Certificate;
use protocol::configuration::{CostType, CsrFormat, NodeClass};
use protocol::id::{ClientId, MemberId, SecurityServerId};
use protocol::time::UtcTime;
use serde::{Deserialize, Serialize};

use super::stored;
use crate::publish::SourceKind;

/// The code that the group of server owners has unless the settings say otherwise.
pub const OWNERS_GROUP: &str = "security-server-owners";
/// What stands in its description.
pub const OWNERS_GROUP_DESCRIPTION: &str = "Security server owners";
/// The place of the registry's address in [`Parameters::registration_url`].
pub const ADDRESS_PLACE: &str = "%{centralServerAddress}";

/// Settings of the instance, in X-Road called system parameters (registry and administration §1.1).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Parameters {
    /// The instance identifier; none before initialisation.
    pub instance: Option<String>,
    /// Host name or address of the registry, as it stands in anchors; none before initialisation.
    pub address: Option<String>,
    /// Who offers the management services.
    #[serde(with = "stored::optional_client")]
    pub provider: Option<ClientId>,
    /// Code of the group that the registry keeps of all owners of servers.
    pub owners_group: String,
    /// URL of the registration service, with a place for the registry's address.
    pub registration_url: String,
    /// Oldest acceptable `thisUpdate` of an OCSP response, seconds.
    pub ocsp_freshness_seconds: u64,
    /// How often a server time-stamps its message log, seconds.
    pub timestamping_interval_seconds: u64,
    /// How long what is published is valid; none: what the configuration file says.
    pub expiry_seconds: Option<u64>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            instance: None,
            address: None,
            provider: None,
            owners_group: OWNERS_GROUP.to_owned(),
            registration_url: format!("https://{ADDRESS_PLACE}:4001/managementservice/"),
            ocsp_freshness_seconds: 3600,
            timestamping_interval_seconds: 60,
            expiry_seconds: None,
        }
    }
}

/// A class of members.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct MemberClass {
    /// Its code.
    pub code: String,
    /// What it stands for.
    pub description: String,
}

/// A member.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Member {
    /// Its identifier.
    #[serde(with = "stored::member")]
    pub id: MemberId,
    /// Its full name.
    pub name: String,
    /// When it was added.
    #[serde(with = "stored::time")]
    pub added: UtcTime,
}

/// A subsystem of a member.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Subsystem {
    /// Its identifier; the subsystem part is always there.
    #[serde(with = "stored::client")]
    pub id: ClientId,
    /// Its name.
    pub name: Option<String>,
    /// When it was added.
    #[serde(with = "stored::time")]
    pub added: UtcTime,
}

/// A security server.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Server {
    /// What its certificates and clients refer to, since its identifier changes with its owner.
    pub number: u32,
    /// Its identifier; the member part is the owner.
    #[serde(with = "stored::server")]
    pub id: SecurityServerId,
    /// Host name or address.
    pub address: Option<String>,
    /// Its class, where node classes are used.
    #[serde(with = "stored::optional_class")]
    pub class: Option<NodeClass>,
    /// Set while in maintenance; the text may be empty.
    pub maintenance: Option<String>,
    /// When it was registered.
    #[serde(with = "stored::time")]
    pub registered: UtcTime,
    /// When it changed last.
    #[serde(with = "stored::time")]
    pub changed: UtcTime,
}

/// An authentication certificate of a server.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AuthenticationCertificate {
    /// By what the administration interface names it.
    pub id: u32,
    /// The server's number.
    pub server: u32,
    /// DER.
    #[serde(with = "stored::bytes")]
    pub der: Bytes,
    /// When it was registered.
    #[serde(with = "stored::time")]
    pub registered: UtcTime,
}

/// A client of a server: a member or subsystem that is registered there.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Client {
    /// The server's number.
    pub server: u32,
    /// Who.
    #[serde(with = "stored::client")]
    pub id: ClientId,
    /// Whether it is published; a server may disable its clients for a time.
    pub enabled: bool,
    /// When it was registered.
    #[serde(with = "stored::time")]
    pub registered: UtcTime,
}

/// A global group without its members.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct GlobalGroup {
    /// By what the administration interface names it beside its code.
    pub id: u32,
    /// Its code.
    pub code: String,
    /// What it is for.
    pub description: String,
    /// When it was added.
    #[serde(with = "stored::time")]
    pub added: UtcTime,
    /// When it changed last, its members not counted.
    #[serde(with = "stored::time")]
    pub changed: UtcTime,
}

/// A member or subsystem in a global group.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct GroupMember {
    /// The group's code.
    pub group: String,
    /// By what the administration interface names it.
    pub number: u32,
    /// Who.
    #[serde(with = "stored::client")]
    pub id: ClientId,
    /// Since when.
    #[serde(with = "stored::time")]
    pub added: UtcTime,
}

/// An approved certification service.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CertificationService {
    /// Its number.
    pub id: u32,
    /// The common name in its certificate.
    pub name: String,
    /// DER certificate of its top CA.
    #[serde(with = "stored::bytes")]
    pub certificate: Bytes,
    /// Its own settings.
    #[serde(flatten)]
    pub settings: CertificationSettings,
}

/// Settings of a certification service.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CertificationSettings {
    /// Full class name of the certificate profile.
    pub profile: String,
    /// Whether it may issue only authentication certificates.
    pub authentication_only: bool,
    /// The form of certificate requests that people are offered first.
    #[serde(with = "stored::optional_format")]
    pub csr_format: Option<CsrFormat>,
    /// URL of the directory of its ACME server.
    pub acme_directory: Option<String>,
    /// Addresses of the ACME server, separated by commas.
    pub acme_ip_addresses: Option<String>,
    /// The ACME profile of authentication certificates.
    pub acme_authentication_profile: Option<String>,
    /// The ACME profile of signing certificates.
    pub acme_signing_profile: Option<String>,
}

/// An intermediate CA of a certification service.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct IntermediateCa {
    /// Its number.
    pub id: u32,
    /// The number of its service.
    pub service: u32,
    /// DER.
    #[serde(with = "stored::bytes")]
    pub certificate: Bytes,
}

/// Whose OCSP responder it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// The top CA of the service with this number.
    Service(u32),
    /// The intermediate CA with this number.
    Intermediate(u32),
}

/// An OCSP responder.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct OcspResponder {
    /// Its number. Responders are published in the order of their numbers.
    pub id: u32,
    /// Whose certificates it speaks for.
    pub authority: Authority,
    /// Where to ask.
    pub url: String,
    /// DER certificate that signs its answers, if one was given.
    #[serde(with = "stored::optional_bytes")]
    pub certificate: Option<Bytes>,
    /// What it costs.
    #[serde(with = "stored::cost")]
    pub cost: CostType,
}

/// An approved time-stamping service.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TimestampingService {
    /// Its number. Services are published in the order of their numbers.
    pub id: u32,
    /// The common name in its certificate.
    pub name: String,
    /// Where to ask.
    pub url: String,
    /// DER.
    #[serde(with = "stored::bytes")]
    pub certificate: Bytes,
    /// What it costs.
    #[serde(with = "stored::cost")]
    pub cost: CostType,
}

/// The external anchor of an instance that this one is federated with.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TrustedAnchor {
    /// The instance.
    pub instance: String,
    /// The file as it was uploaded.
    #[serde(with = "stored::bytes")]
    pub file: Bytes,
    /// Whether the federation is suspended: the anchor stays and is not published.
    #[serde(default)]
    pub suspended: bool,
    /// When it was uploaded.
    #[serde(with = "stored::time")]
    pub added: UtcTime,
}

/// An optional part of the internal configuration.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ConfigurationPart {
    /// Its content identifier.
    pub identifier: String,
    /// The name of its file at the servers.
    pub file_name: String,
    /// Its bytes.
    #[serde(with = "stored::bytes")]
    pub content: Bytes,
    /// When it was uploaded.
    #[serde(with = "stored::time")]
    pub uploaded: UtcTime,
}

/// A key that signs configuration. The private part is in its token.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ConfigurationKey {
    /// Its id in the token.
    pub id: String,
    /// The token.
    pub token: String,
    /// What it signs.
    pub source: SourceKind,
    /// Shown to people.
    pub label: String,
    /// Whether it signs now.
    pub active: bool,
    /// DER container of its public key.
    #[serde(with = "stored::bytes")]
    pub certificate: Bytes,
    /// Since when it is published.
    #[serde(with = "stored::time")]
    pub generated: UtcTime,
}

/// The anchor of a source, as it is handed out.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct OwnAnchor {
    /// The source.
    pub source: SourceKind,
    /// The file.
    #[serde(with = "stored::bytes")]
    pub file: Bytes,
    /// When it was made.
    #[serde(with = "stored::time")]
    pub generated: UtcTime,
}

/// An invitation of a member's server.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Invitation {
    /// Its number.
    pub id: u32,
    /// Whose server is invited.
    #[serde(with = "stored::member")]
    pub member: MemberId,
    /// The code that the server must have; none: any.
    pub server_code: Option<String>,
    /// SHA-256 of the secret, hexadecimal.
    pub secret_digest: String,
    /// When it was made.
    #[serde(with = "stored::time")]
    pub created: UtcTime,
    /// Who made it.
    pub created_by: String,
    /// Until when it is good.
    #[serde(with = "stored::time")]
    pub expires: UtcTime,
    /// What became of it.
    pub state: InvitationState,
}

/// What became of an invitation.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum InvitationState {
    /// It waits for a server.
    Open,
    /// It was taken back.
    Revoked,
    /// A server came with it.
    Redeemed {
        /// Which.
        #[serde(with = "stored::server")]
        server: SecurityServerId,
        /// When.
        #[serde(with = "stored::time")]
        at: UtcTime,
    },
}

/// The last numbers that were given out. A number is never given twice.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Counters {
    /// Of the changes of the instance.
    pub generation: u64,
    pub(crate) request: u32,
    pub(crate) server: u32,
    pub(crate) certificate: u32,
    pub(crate) group: u32,
    pub(crate) group_member: u32,
    pub(crate) service: u32,
    pub(crate) intermediate: u32,
    pub(crate) responder: u32,
    pub(crate) timestamping: u32,
    #[serde(default)]
    pub(crate) invitation: u32,
}

impl AuthenticationCertificate {
    /// The certificate; none only if the store was tampered with, since it was read before it was kept.
    pub fn certificate(&self) -> Option<Certificate> {
        Certificate::from_der(self.der.clone()).ok()
    }
}
