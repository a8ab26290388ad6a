//! The node's own configuration as values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use gateway::ports::{ConnectionType, ServiceTls, ServiceType};
use protocol::id::{ClientId, GlobalGroupId};
use protocol::time::UtcTime;

use super::status::{ClientStatus, Renaming};

/// By what administrators name a description, an endpoint or a local group. No number is given twice.
pub type Number = u64;

/// All clients of a node with what belongs to them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalConfiguration {
    /// By identifier.
    pub clients: BTreeMap<ClientId, ClientSettings>,
}

/// One client: a member or a subsystem.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientSettings {
    /// How far its registration is.
    pub status: ClientStatus,
    /// Another name that was asked for and is not in the global configuration yet.
    pub renaming: Option<Renaming>,
    /// How its information systems must connect.
    pub connection_type: ConnectionType,
    /// DER certificates of its information systems.
    pub certificates: Vec<Bytes>,
    /// What its services are described by; by URL, and of a plain REST service by that of the service.
    pub descriptions: BTreeMap<String, Description>,
    /// Its services.
    pub services: BTreeMap<ServiceKey, ServiceSettings>,
    /// The numbers of the endpoints of its services.
    pub numbers: BTreeMap<EndpointKey, Number>,
    /// Its local groups by code.
    pub groups: BTreeMap<String, LocalGroup>,
    /// Who may call its services.
    pub rights: BTreeMap<AccessRight, Term>,
}

/// What is known of a description besides its services.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Description {
    /// None until the state keeps it.
    pub number: Option<Number>,
    /// When the document was last read. None until the state keeps it.
    pub refreshed: Option<UtcTime>,
    /// The operator's last notice; it is kept while the services are on.
    pub notice: Option<String>,
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

/// Names an endpoint within its client. Versions of a SOAP service share theirs.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct EndpointKey {
    /// The service code.
    pub code: String,
    /// The path pattern, or `**`.
    pub path: String,
    /// The HTTP method in capitals, or `*`.
    pub method: String,
}

/// A group that one client keeps for its own access rights.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LocalGroup {
    /// None until the state keeps it.
    pub number: Option<Number>,
    /// What it is for.
    pub description: String,
    /// When its description was written. None until the state keeps it.
    pub updated: Option<UtcTime>,
    /// Exactly these clients are in it, each since when. No time until the state keeps it.
    pub members: BTreeMap<ClientId, Option<UtcTime>>,
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

/// Since when a right is there, and until when it counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Term {
    /// When it was given. None until the state keeps it.
    pub given: Option<UtcTime>,
    /// From then on it is as if it were not there; none: it has no end.
    pub until: Option<UtcTime>,
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

impl ServiceSettings {
    /// The URL by which the description of the service is known.
    pub fn source(&self) -> &str {
        self.description.as_deref().unwrap_or(&self.url)
    }
}

impl Endpoint {
    /// Its name within its client.
    pub fn key(&self, code: &str) -> EndpointKey {
        EndpointKey { code: code.to_owned(), path: self.path.clone(), method: self.method.clone() }
    }
}

impl EndpointKey {
    /// The endpoint that every service has.
    pub fn base(code: &str) -> Self {
        Self { code: code.to_owned(), path: "**".to_owned(), method: "*".to_owned() }
    }

    /// Whether it is the endpoint that every service has.
    pub fn is_base(&self) -> bool {
        self.path == "**" && self.method == "*"
    }

    /// The endpoint that a right is to.
    pub fn of(right: &AccessRight) -> Self {
        Self {
            code: right.service_code.clone(),
            path: right.path.clone().unwrap_or_else(|| "**".to_owned()),
            method: right.method.clone().unwrap_or_else(|| "*".to_owned()),
        }
    }

    /// The right of `subject` to it.
    pub fn right_of(&self, subject: Subject) -> AccessRight {
        AccessRight {
            service_code: self.code.clone(),
            method: Some(self.method.clone()).filter(|method| method != "*"),
            path: Some(self.path.clone()).filter(|path| path != "**"),
            subject,
        }
    }
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
