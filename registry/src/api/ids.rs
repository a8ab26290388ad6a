//! Identifiers as the administration interface shows and takes them (registry and administration §6.3).

use administration::api::ApiError;
use protocol::id::{ClientId, IdError, MemberId, SecurityServerId};
use schemars::JsonSchema;
use serde::Serialize;

/// What an identifier names.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum IdKind {
    /// A member.
    Member,
    /// A subsystem of a member.
    Subsystem,
    /// A security server.
    Server,
}

/// The identifier of a member or of a subsystem, in parts and as a whole.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "ClientId")]
pub struct ClientIdView {
    /// `MEMBER` or `SUBSYSTEM`.
    #[serde(rename = "type")]
    pub kind: IdKind,
    /// The instance.
    pub instance_id: String,
    /// The member class.
    pub member_class: String,
    /// The member code.
    pub member_code: String,
    /// The subsystem code of a subsystem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subsystem_code: Option<String>,
    /// The parts joined by colons, as paths and bodies take them.
    pub encoded_id: String,
}

/// The identifier of a security server, in parts and as a whole.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "SecurityServerId")]
pub struct ServerIdView {
    /// Always `SERVER`.
    #[serde(rename = "type")]
    pub kind: IdKind,
    /// The instance.
    pub instance_id: String,
    /// The class of the owner.
    pub member_class: String,
    /// The code of the owner.
    pub member_code: String,
    /// The code of the server.
    pub server_code: String,
    /// The parts joined by colons.
    pub encoded_id: String,
}

impl From<&ClientId> for ClientIdView {
    fn from(id: &ClientId) -> Self {
        let member = id.member();
        Self {
            kind: if id.subsystem().is_some() { IdKind::Subsystem } else { IdKind::Member },
            instance_id: member.instance().to_owned(),
            member_class: member.class().to_owned(),
            member_code: member.code().to_owned(),
            subsystem_code: id.subsystem().map(str::to_owned),
            encoded_id: id.joined(),
        }
    }
}

impl From<&MemberId> for ClientIdView {
    fn from(id: &MemberId) -> Self {
        Self::from(&ClientId::from(id.clone()))
    }
}

impl From<&SecurityServerId> for ServerIdView {
    fn from(id: &SecurityServerId) -> Self {
        let owner = id.owner();
        Self {
            kind: IdKind::Server,
            instance_id: owner.instance().to_owned(),
            member_class: owner.class().to_owned(),
            member_code: owner.code().to_owned(),
            server_code: id.code().to_owned(),
            encoded_id: id.joined(),
        }
    }
}

/// The error for text that is no identifier.
fn invalid(text: &str) -> impl FnOnce(IdError) -> ApiError + '_ {
    move |_| ApiError::bad_request("invalid_encoded_id").with(text)
}

/// The member or subsystem with this identifier.
///
/// # Errors
/// 400 when it is none.
pub(crate) fn client_of(text: &str) -> Result<ClientId, ApiError> {
    ClientId::parse_joined(text).map_err(invalid(text))
}

/// The member with this identifier.
///
/// # Errors
/// 400 when it is none.
pub(crate) fn member_of(text: &str) -> Result<MemberId, ApiError> {
    if text.matches(':').count() != 2 {
        return Err(ApiError::bad_request("invalid_member_id").with(text));
    }
    MemberId::parse_joined(text).map_err(invalid(text))
}

/// The subsystem with this identifier.
///
/// # Errors
/// 400 when it is none.
pub(crate) fn subsystem_of(text: &str) -> Result<ClientId, ApiError> {
    if text.matches(':').count() != 3 {
        return Err(ApiError::bad_request("invalid_subsystem_id").with(text));
    }
    client_of(text)
}

/// The security server with this identifier.
///
/// # Errors
/// 400 when it is none.
pub(crate) fn server_of(text: &str) -> Result<SecurityServerId, ApiError> {
    SecurityServerId::parse_joined(text).map_err(invalid(text))
}
