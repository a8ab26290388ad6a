//! Roles of administrators (registry and administration §5.3).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an administrator is there for. The names are those of X-Road, which scripts use.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Role {
    /// Keys, certificates of authentication, anchors, trust.
    #[serde(rename = "XROAD_SECURITY_OFFICER")]
    SecurityOfficer,
    /// Members, clients, registration.
    #[serde(rename = "XROAD_REGISTRATION_OFFICER")]
    RegistrationOfficer,
    /// Installation, backups, API keys.
    #[serde(rename = "XROAD_SYSTEM_ADMINISTRATOR")]
    SystemAdministrator,
    /// Services and access rights of a security server.
    #[serde(rename = "XROAD_SERVICE_ADMINISTRATOR")]
    ServiceAdministrator,
    /// Sees a security server, changes nothing.
    #[serde(rename = "XROAD_SECURITYSERVER_OBSERVER")]
    Observer,
    /// The management services towards the registry.
    #[serde(rename = "XROAD_MANAGEMENT_SERVICE")]
    ManagementService,
}

impl Role {
    /// All roles, in the order of tables.
    pub const ALL: [Self; 6] = [
        Self::SecurityOfficer,
        Self::RegistrationOfficer,
        Self::SystemAdministrator,
        Self::ServiceAdministrator,
        Self::Observer,
        Self::ManagementService,
    ];

    /// The name that X-Road gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SecurityOfficer => "XROAD_SECURITY_OFFICER",
            Self::RegistrationOfficer => "XROAD_REGISTRATION_OFFICER",
            Self::SystemAdministrator => "XROAD_SYSTEM_ADMINISTRATOR",
            Self::ServiceAdministrator => "XROAD_SERVICE_ADMINISTRATOR",
            Self::Observer => "XROAD_SECURITYSERVER_OBSERVER",
            Self::ManagementService => "XROAD_MANAGEMENT_SERVICE",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no role of this name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "there is no role {0}; the roles are XROAD_SECURITY_OFFICER, XROAD_REGISTRATION_OFFICER, XROAD_SYSTEM_ADMINISTRATOR, XROAD_SERVICE_ADMINISTRATOR, XROAD_SECURITYSERVER_OBSERVER, XROAD_MANAGEMENT_SERVICE"
)]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

/// What an operation needs. Each server has its own table of permissions and the roles that have them
/// (§5.4, §5.5).
pub trait Permission: Copy + Send + Sync + 'static {
    /// The name in the table.
    fn name(self) -> &'static str;
    /// Who has it.
    fn roles(self) -> &'static [Role];
    /// All of the table, those that guard no operation among them; empty: those of the operations.
    fn all() -> &'static [Self]
    where
        Self: Sized,
    {
        &[]
    }
}
