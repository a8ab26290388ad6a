//! Names of members, subsystems, services, security servers and groups.
//!
//! Messages and transport §1. A component is never blank; equality is byte for byte. Every type
//! prints its *short form* (`CW-TEST/GOV/1001/permits`), which is for people and is not parsed back.

mod encoded;
mod joined;

use std::fmt;
use std::sync::Arc;

pub use encoded::{decode_segment, encode_segment};

/// A member: an organisation in one instance.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MemberId {
    instance: Arc<str>,
    class: Arc<str>,
    code: Arc<str>,
}

/// A member or one of its subsystems: whoever can be a client or a provider.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientId {
    member: MemberId,
    subsystem: Option<Arc<str>>,
}

/// A service of a provider.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServiceId {
    provider: ClientId,
    code: Arc<str>,
    version: Option<Arc<str>>,
}

/// A security server, named below its owner.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SecurityServerId {
    owner: MemberId,
    code: Arc<str>,
}

/// A group known to a whole instance.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GlobalGroupId {
    instance: Arc<str>,
    code: Arc<str>,
}

/// Why a name is not well formed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdError {
    /// A component is empty or only white space.
    #[error("a part of the identifier is empty")]
    EmptyPart,
    /// Fewer or more components than this kind of identifier has.
    #[error("the identifier has the wrong number of parts")]
    WrongNumberOfParts,
    /// A percent escape is not two hexadecimal digits, or the result is not UTF-8.
    #[error("the identifier is not correctly percent-encoded")]
    BadEncoding,
    /// A character stands raw that must not, or an escape hides a path separator or a dot segment.
    #[error("the identifier is not in normal form")]
    NotNormalised,
}

fn part(text: &str) -> Result<Arc<str>, IdError> {
    if text.trim().is_empty() { Err(IdError::EmptyPart) } else { Ok(Arc::from(text)) }
}

impl MemberId {
    /// A member of these three components.
    pub fn new(instance: &str, class: &str, code: &str) -> Result<Self, IdError> {
        Ok(Self { instance: part(instance)?, class: part(class)?, code: part(code)? })
    }

    /// The instance identifier.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The member class.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The member code.
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl ClientId {
    /// A member, or with a subsystem code one of its subsystems.
    pub fn new(member: MemberId, subsystem: Option<&str>) -> Result<Self, IdError> {
        Ok(Self { member, subsystem: subsystem.map(part).transpose()? })
    }

    /// The member, whose key signs.
    pub fn member(&self) -> &MemberId {
        &self.member
    }

    /// The subsystem code, unless this is the member itself.
    pub fn subsystem(&self) -> Option<&str> {
        self.subsystem.as_deref()
    }

    /// The instance identifier.
    pub fn instance(&self) -> &str {
        self.member.instance()
    }
}

impl From<MemberId> for ClientId {
    fn from(member: MemberId) -> Self {
        Self { member, subsystem: None }
    }
}

impl ServiceId {
    /// A service of a provider. An empty version is kept apart from none (§1.1).
    pub fn new(provider: ClientId, code: &str, version: Option<&str>) -> Result<Self, IdError> {
        Ok(Self { provider, code: part(code)?, version: version.map(Arc::from) })
    }

    /// Who offers it.
    pub fn provider(&self) -> &ClientId {
        &self.provider
    }

    /// The service code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The version, always absent over REST.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

impl SecurityServerId {
    /// A server of this owner.
    pub fn new(owner: MemberId, code: &str) -> Result<Self, IdError> {
        Ok(Self { owner, code: part(code)? })
    }

    /// The member that runs it.
    pub fn owner(&self) -> &MemberId {
        &self.owner
    }

    /// The server code.
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl GlobalGroupId {
    /// A group of this instance.
    pub fn new(instance: &str, code: &str) -> Result<Self, IdError> {
        Ok(Self { instance: part(instance)?, code: part(code)? })
    }

    /// The instance identifier.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The group code.
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.instance, self.class, self.code)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subsystem {
            Some(subsystem) => write!(f, "{}/{subsystem}", self.member),
            None => self.member.fmt(f),
        }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.code)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "/{version}"))
    }
}

impl fmt::Display for SecurityServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.code)
    }
}

impl fmt::Display for GlobalGroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.instance, self.code)
    }
}
