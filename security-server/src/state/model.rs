//! The node's own configuration as values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use gateway::ports::{ConnectionType, ServiceTls, ServiceType};
use protocol::id::{ClientId, GlobalGroupId};

/// All clients of a node with what belongs to them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalConfiguration {
    /// By identifier.
    pub clients: BTreeMap<ClientId, ClientSettings>,
}

/// One client: a member or a subsystem.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientSettings {
    /// How its information systems must connect.
    pub connection_type: ConnectionType,
    /// DER certificates of its information systems.
    pub certificates: Vec<Bytes>,
    /// Its services.
    pub services: BTreeMap<ServiceKey, ServiceSettings>,
    /// Its local groups by code.
    pub groups: BTreeMap<String, LocalGroup>,
    /// Who may call its services.
    pub rights: BTreeSet<AccessRight>,
}

/// Names a service within its client.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ServiceKey {
    /// The service code.
    pub code: String,
    /// The version; only SOAP services have one.
    pub version: Option<String>,
}

/// Where a service is and how it is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSettings {
    /// `http` or `https`.
    pub url: String,
    /// Time allowed for each read.
    pub timeout: Duration,
    /// How the provider's TLS certificate is checked.
    pub tls: ServiceTls,
    /// The operator's notice while the service is switched off.
    pub disabled: Option<String>,
    /// What it speaks, and how it is described.
    pub service_type: ServiceType,
    /// The URL of the document that describes it.
    pub description: Option<String>,
    /// What people call it; from the document.
    pub title: Option<String>,
    /// Its endpoints but the base endpoint. Always empty for SOAP.
    pub endpoints: BTreeSet<Endpoint>,
}

/// A part of a REST service: a method and a path pattern.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Endpoint {
    /// The path pattern, or `**`.
    pub path: String,
    /// The HTTP method in capitals, or `*`.
    pub method: String,
    /// Whether it comes from the document. Such endpoints come and go with it.
    pub generated: bool,
}

/// A group that one client keeps for its own access rights.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LocalGroup {
    /// What it is for.
    pub description: String,
    /// Exactly these clients are in it.
    pub members: BTreeSet<ClientId>,
}

/// Lets a subject call a part of a service (messages and transport §5.6). It covers all versions.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AccessRight {
    /// The service code.
    pub service_code: String,
    /// The HTTP method; none: every one.
    pub method: Option<String>,
    /// The path pattern; none: every path.
    pub path: Option<String>,
    /// Who may.
    pub subject: Subject,
}

/// Whom an access right is for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// Exactly this client; a member's right does not reach its subsystems, nor the reverse.
    Client(ClientId),
    /// Whoever is in this group of the global configuration.
    GlobalGroup(GlobalGroupId),
    /// Whoever is in this local group of the provider.
    LocalGroup(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => id.fmt(f),
            Self::GlobalGroup(id) => write!(f, "global group {id}"),
            Self::LocalGroup(code) => write!(f, "local group {code}"),
        }
    }
}

impl fmt::Display for AccessRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.as_deref().unwrap_or("*");
        let path = self.path.as_deref().unwrap_or("**");
        write!(f, "{} {method} {path} for {}", self.service_code, self.subject)
    }
}
