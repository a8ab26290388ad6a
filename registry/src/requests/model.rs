//! A management request as it is kept (registry and administration §2.1).

use bytes::Bytes;
use protocol::id::{ClientId, SecurityServerId};
use protocol::time::UtcTime;
use serde::{Deserialize, Serialize};

use crate::instance::stored;

/// A management request.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Request {
    /// Its number.
    pub id: u32,
    /// What it asks for.
    pub content: Content,
    /// Where it came from.
    pub origin: Origin,
    /// The server that it is about.
    #[serde(with = "stored::server")]
    pub server: SecurityServerId,
    /// Where it stands; none for deletions, which take effect as they come.
    pub status: Option<Status>,
    /// The request of the other origin that says the same. Both have one status.
    pub twin: Option<u32>,
    /// What the registry or whoever added it remarks.
    pub comments: Option<String>,
    /// When it was added.
    #[serde(with = "stored::time")]
    pub created: UtcTime,
    /// When its status changed last.
    #[serde(with = "stored::time")]
    pub changed: UtcTime,
    /// The person who added it, unless it came from a server.
    pub added_by: Option<String>,
    /// The person who approved it first, where two are needed.
    pub first_approval: Option<String>,
    /// The person who approved, declined or revoked it.
    pub decided_by: Option<String>,
}

/// What a request asks for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Content {
    /// Register an authentication certificate, and with the first one the server.
    CertificateRegistration {
        /// DER.
        #[serde(with = "stored::bytes")]
        certificate: Bytes,
        /// Where the server is.
        address: Option<String>,
    },
    /// Take an authentication certificate from the server.
    CertificateDeletion {
        /// DER.
        #[serde(with = "stored::bytes")]
        certificate: Bytes,
    },
    /// Register a client of the server.
    ClientRegistration {
        /// Who.
        #[serde(with = "stored::client")]
        client: ClientId,
        /// A name for the subsystem.
        subsystem_name: Option<String>,
    },
    /// Take a client from the server.
    ClientDeletion {
        /// Who.
        #[serde(with = "stored::client")]
        client: ClientId,
    },
    /// Leave a client out of what is published, for a time.
    ClientDisable {
        /// Who.
        #[serde(with = "stored::client")]
        client: ClientId,
    },
    /// Publish a disabled client again.
    ClientEnable {
        /// Who.
        #[serde(with = "stored::client")]
        client: ClientId,
    },
    /// Give a subsystem another name.
    ClientRename {
        /// Which.
        #[serde(with = "stored::client")]
        client: ClientId,
        /// The name.
        subsystem_name: String,
    },
    /// Give the server another owner.
    OwnerChange {
        /// The new owner, a member.
        #[serde(with = "stored::client")]
        client: ClientId,
    },
    /// Give the server another address.
    AddressChange {
        /// The address.
        address: String,
    },
    /// Let others know that the server is in maintenance.
    MaintenanceModeEnable {
        /// What they are told.
        message: Option<String>,
    },
    /// End the maintenance.
    MaintenanceModeDisable,
}

/// The type of a request.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum RequestType {
    /// `authCertReg`
    CertificateRegistration,
    /// `authCertDeletion`
    CertificateDeletion,
    /// `clientReg`
    ClientRegistration,
    /// `clientDeletion`
    ClientDeletion,
    /// `clientDisable`
    ClientDisable,
    /// `clientEnable`
    ClientEnable,
    /// `clientRename`
    ClientRename,
    /// `ownerChange`
    OwnerChange,
    /// `addressChange`
    AddressChange,
    /// `maintenanceModeEnable`
    MaintenanceModeEnable,
    /// `maintenanceModeDisable`
    MaintenanceModeDisable,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// From an administrator of the registry.
    Center,
    /// From a security server, through a management service.
    SecurityServer,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It waits to be decided, or for a request of the other origin.
    Waiting,
    /// Both origins said the same; it waits to be decided.
    SubmittedForApproval,
    /// It took effect.
    Approved,
    /// It was refused.
    Declined,
    /// Whoever added it took it back.
    Revoked,
}

impl Content {
    /// Its type.
    pub const fn kind(&self) -> RequestType {
        match self {
            Self::CertificateRegistration { .. } => RequestType::CertificateRegistration,
            Self::CertificateDeletion { .. } => RequestType::CertificateDeletion,
            Self::ClientRegistration { .. } => RequestType::ClientRegistration,
            Self::ClientDeletion { .. } => RequestType::ClientDeletion,
            Self::ClientDisable { .. } => RequestType::ClientDisable,
            Self::ClientEnable { .. } => RequestType::ClientEnable,
            Self::ClientRename { .. } => RequestType::ClientRename,
            Self::OwnerChange { .. } => RequestType::OwnerChange,
            Self::AddressChange { .. } => RequestType::AddressChange,
            Self::MaintenanceModeEnable { .. } => RequestType::MaintenanceModeEnable,
            Self::MaintenanceModeDisable => RequestType::MaintenanceModeDisable,
        }
    }

    /// The client that it is about.
    pub const fn client(&self) -> Option<&ClientId> {
        match self {
            Self::ClientRegistration { client, .. }
            | Self::ClientDeletion { client }
            | Self::ClientDisable { client }
            | Self::ClientEnable { client }
            | Self::ClientRename { client, .. }
            | Self::OwnerChange { client } => Some(client),
            Self::CertificateRegistration { .. }
            | Self::CertificateDeletion { .. }
            | Self::AddressChange { .. }
            | Self::MaintenanceModeEnable { .. }
            | Self::MaintenanceModeDisable => None,
        }
    }

    /// The certificate that it is about, DER.
    pub const fn certificate(&self) -> Option<&Bytes> {
        match self {
            Self::CertificateRegistration { certificate, .. } | Self::CertificateDeletion { certificate } => {
                Some(certificate)
            }
            _ => None,
        }
    }

    /// The address that it gives to the server.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::CertificateRegistration { address, .. } => address.as_deref(),
            Self::AddressChange { address } => Some(address),
            _ => None,
        }
    }

    /// The name that it gives to a subsystem.
    pub fn subsystem_name(&self) -> Option<&str> {
        match self {
            Self::ClientRegistration { subsystem_name, .. } => subsystem_name.as_deref(),
            Self::ClientRename { subsystem_name, .. } => Some(subsystem_name),
            _ => None,
        }
    }
}

impl RequestType {
    /// All of them, those that need approval first.
    pub const ALL: [Self; 11] = [
        Self::CertificateRegistration,
        Self::ClientRegistration,
        Self::OwnerChange,
        Self::ClientDeletion,
        Self::CertificateDeletion,
        Self::AddressChange,
        Self::ClientDisable,
        Self::ClientEnable,
        Self::ClientRename,
        Self::MaintenanceModeEnable,
        Self::MaintenanceModeDisable,
    ];

    /// The name in the administration interface.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CertificateRegistration => "AUTH_CERT_REGISTRATION_REQUEST",
            Self::CertificateDeletion => "AUTH_CERT_DELETION_REQUEST",
            Self::ClientRegistration => "CLIENT_REGISTRATION_REQUEST",
            Self::ClientDeletion => "CLIENT_DELETION_REQUEST",
            Self::ClientDisable => "CLIENT_DISABLE_REQUEST",
            Self::ClientEnable => "CLIENT_ENABLE_REQUEST",
            Self::ClientRename => "CLIENT_RENAME_REQUEST",
            Self::OwnerChange => "OWNER_CHANGE_REQUEST",
            Self::AddressChange => "ADDRESS_CHANGE_REQUEST",
            Self::MaintenanceModeEnable => "MAINTENANCE_MODE_ENABLE_REQUEST",
            Self::MaintenanceModeDisable => "MAINTENANCE_MODE_DISABLE_REQUEST",
        }
    }

    /// The type with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it waits for approval. The others take effect as they come.
    pub const fn needs_approval(self) -> bool {
        matches!(self, Self::CertificateRegistration | Self::ClientRegistration | Self::OwnerChange)
    }
}

impl Origin {
    /// The name in the administration interface.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Center => "CENTER",
            Self::SecurityServer => "SECURITY_SERVER",
        }
    }
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::SubmittedForApproval, Self::Approved, Self::Declined, Self::Revoked];

    /// The name in the administration interface.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::SubmittedForApproval => "SUBMITTED FOR APPROVAL",
            Self::Approved => "APPROVED",
            Self::Declined => "DECLINED",
            Self::Revoked => "REVOKED",
        }
    }

    /// Whether it waits to be decided.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Waiting | Self::SubmittedForApproval)
    }
}

impl Request {
    /// Its type.
    pub const fn kind(&self) -> RequestType {
        self.content.kind()
    }

    /// Whether it waits to be decided.
    pub fn is_pending(&self) -> bool {
        self.status.is_some_and(Status::is_pending)
    }
}
