//! How management requests look, and how they are written.

use administration::api::ApiError;
use administration::views::CertificateDetails;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use protocol::id::ClientId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{ClientIdView, ServerIdView, client_of};
use crate::requests::{Content, Origin, Request, RequestType, Status};

/// The type of a management request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "ManagementRequestType")]
#[expect(missing_docs, reason = "the names say it")]
pub enum RequestTypeView {
    AuthCertRegistrationRequest,
    ClientRegistrationRequest,
    OwnerChangeRequest,
    ClientDeletionRequest,
    ClientDisableRequest,
    ClientEnableRequest,
    ClientRenameRequest,
    AuthCertDeletionRequest,
    AddressChangeRequest,
    MaintenanceModeEnableRequest,
    MaintenanceModeDisableRequest,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "ManagementRequestOrigin")]
pub enum OriginView {
    /// An administrator of the registry.
    Center,
    /// A security server.
    SecurityServer,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "ManagementRequestStatus")]
pub enum StatusView {
    /// It waits.
    Waiting,
    /// It took effect.
    Approved,
    /// It was refused.
    Declined,
    /// It was taken back.
    Revoked,
    /// Both origins said the same.
    #[serde(rename = "SUBMITTED FOR APPROVAL")]
    SubmittedForApproval,
}

/// A row of the list of requests.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ManagementRequestListView")]
pub struct RequestRow {
    /// Its number.
    pub id: u32,
    /// What it asks for.
    #[serde(rename = "type")]
    pub kind: RequestTypeView,
    /// Where it came from.
    pub origin: OriginView,
    /// Name of the owner of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_server_owner: Option<String>,
    /// The server.
    pub security_server_id: ServerIdView,
    /// The address that it gives to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Where it stands; deletions have no state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusView>,
    /// The client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientIdView>,
    /// Name of the member of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_owner_name: Option<String>,
    /// Name of the client, if it is a subsystem with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_subsystem_name: Option<String>,
    /// When it was added.
    pub created_at: String,
}

/// A request with all that is known of it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ManagementRequestDetailedView")]
pub struct RequestDetails {
    /// What the list shows.
    #[serde(flatten)]
    pub row: RequestRow,
    /// Remarks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<String>,
    /// The certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_details: Option<CertificateDetails>,
    /// Who added it, unless a security server did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_by: Option<String>,
    /// Who approved it first, where two persons must.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_approval_by: Option<String>,
    /// Who decided it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
}

/// A request as it is written and, with what the registry adds, answered.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "ManagementRequest")]
pub struct RequestView {
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub id: Option<u32>,
    /// What it asks for.
    #[serde(rename = "type")]
    pub kind: RequestTypeView,
    /// Where it comes from.
    pub origin: OriginView,
    /// The server.
    pub security_server_id: String,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub status: Option<StatusView>,
    /// The client, in requests about one; the new owner in an owner change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The name of the client, in a registration or renaming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsystem_name: Option<String>,
    /// The address of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_address: Option<String>,
    /// The authentication certificate, DER in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_certificate: Option<String>,
    /// What others are told while the server is in maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was added.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub created_at: Option<String>,
    /// When it changed last.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub updated_at: Option<String>,
}

impl RequestView {
    /// A request as it is answered.
    pub fn of(request: &Request) -> Self {
        let content = &request.content;
        let message = match content {
            Content::MaintenanceModeEnable { message } => message.clone(),
            _ => None,
        };
        // X-Road does not repeat the name that a registration gives.
        let named = content.subsystem_name().filter(|_| request.kind() == RequestType::ClientRename);
        Self {
            id: Some(request.id),
            kind: request.kind().into(),
            origin: request.origin.into(),
            security_server_id: request.server.joined(),
            status: request.status.map(Into::into),
            client_id: content.client().map(ClientId::joined),
            subsystem_name: named.map(str::to_owned),
            server_address: content.address().map(str::to_owned),
            authentication_certificate: content.certificate().map(|der| STANDARD.encode(der)),
            message,
            created_at: Some(request.created.to_string()),
            updated_at: Some(request.changed.to_string()),
        }
    }

    /// What is asked for.
    ///
    /// # Errors
    /// 400 naming each value that the type needs and that is not there or not what it should be.
    pub fn content(&self) -> Result<Content, ApiError> {
        let client = || match &self.client_id {
            Some(client) => client_of(client),
            None => Err(missing("clientId")),
        };
        let address = || self.server_address.clone().ok_or_else(|| missing("serverAddress"));
        Ok(match self.kind {
            RequestTypeView::AuthCertRegistrationRequest => Content::CertificateRegistration {
                certificate: self.certificate()?,
                address: Some(address()?),
            },
            RequestTypeView::AuthCertDeletionRequest => {
                Content::CertificateDeletion { certificate: self.certificate()? }
            }
            RequestTypeView::ClientRegistrationRequest => {
                Content::ClientRegistration { client: client()?, subsystem_name: self.subsystem_name.clone() }
            }
            RequestTypeView::ClientDeletionRequest => Content::ClientDeletion { client: client()? },
            RequestTypeView::ClientDisableRequest => Content::ClientDisable { client: client()? },
            RequestTypeView::ClientEnableRequest => Content::ClientEnable { client: client()? },
            RequestTypeView::ClientRenameRequest => Content::ClientRename {
                client: client()?,
                subsystem_name: self.subsystem_name.clone().unwrap_or_default(),
            },
            RequestTypeView::OwnerChangeRequest => Content::OwnerChange { client: client()? },
            RequestTypeView::AddressChangeRequest => Content::AddressChange { address: address()? },
            RequestTypeView::MaintenanceModeEnableRequest => {
                Content::MaintenanceModeEnable { message: self.message.clone() }
            }
            RequestTypeView::MaintenanceModeDisableRequest => Content::MaintenanceModeDisable,
        })
    }

    fn certificate(&self) -> Result<Bytes, ApiError> {
        let text = self.authentication_certificate.as_ref();
        let text = text.ok_or_else(|| missing("authenticationCertificate"))?;
        let invalid = |_| {
            ApiError::validation("managementRequestDto.authenticationCertificate", "ValidX509Certificate")
        };
        STANDARD.decode(text).map(Bytes::from).map_err(invalid)
    }
}

fn missing(field: &str) -> ApiError {
    ApiError::validation(&format!("managementRequestDto.{field}"), "NotNull")
}

impl From<RequestType> for RequestTypeView {
    fn from(value: RequestType) -> Self {
        match value {
            RequestType::CertificateRegistration => Self::AuthCertRegistrationRequest,
            RequestType::ClientRegistration => Self::ClientRegistrationRequest,
            RequestType::OwnerChange => Self::OwnerChangeRequest,
            RequestType::ClientDeletion => Self::ClientDeletionRequest,
            RequestType::ClientDisable => Self::ClientDisableRequest,
            RequestType::ClientEnable => Self::ClientEnableRequest,
            RequestType::ClientRename => Self::ClientRenameRequest,
            RequestType::CertificateDeletion => Self::AuthCertDeletionRequest,
            RequestType::AddressChange => Self::AddressChangeRequest,
            RequestType::MaintenanceModeEnable => Self::MaintenanceModeEnableRequest,
            RequestType::MaintenanceModeDisable => Self::MaintenanceModeDisableRequest,
        }
    }
}

impl From<RequestTypeView> for RequestType {
    fn from(value: RequestTypeView) -> Self {
        match value {
            RequestTypeView::AuthCertRegistrationRequest => Self::CertificateRegistration,
            RequestTypeView::ClientRegistrationRequest => Self::ClientRegistration,
            RequestTypeView::OwnerChangeRequest => Self::OwnerChange,
            RequestTypeView::ClientDeletionRequest => Self::ClientDeletion,
            RequestTypeView::ClientDisableRequest => Self::ClientDisable,
            RequestTypeView::ClientEnableRequest => Self::ClientEnable,
            RequestTypeView::ClientRenameRequest => Self::ClientRename,
            RequestTypeView::AuthCertDeletionRequest => Self::CertificateDeletion,
            RequestTypeView::AddressChangeRequest => Self::AddressChange,
            RequestTypeView::MaintenanceModeEnableRequest => Self::MaintenanceModeEnable,
            RequestTypeView::MaintenanceModeDisableRequest => Self::MaintenanceModeDisable,
        }
    }
}

impl From<Origin> for OriginView {
    fn from(value: Origin) -> Self {
        match value {
            Origin::Center => Self::Center,
            Origin::SecurityServer => Self::SecurityServer,
        }
    }
}

impl From<OriginView> for Origin {
    fn from(value: OriginView) -> Self {
        match value {
            OriginView::Center => Self::Center,
            OriginView::SecurityServer => Self::SecurityServer,
        }
    }
}

impl From<Status> for StatusView {
    fn from(value: Status) -> Self {
        match value {
            Status::Waiting => Self::Waiting,
            Status::Approved => Self::Approved,
            Status::Declined => Self::Declined,
            Status::Revoked => Self::Revoked,
            Status::SubmittedForApproval => Self::SubmittedForApproval,
        }
    }
}

impl From<StatusView> for Status {
    fn from(value: StatusView) -> Self {
        match value {
            StatusView::Waiting => Self::Waiting,
            StatusView::Approved => Self::Approved,
            StatusView::Declined => Self::Declined,
            StatusView::Revoked => Self::Revoked,
            StatusView::SubmittedForApproval => Self::SubmittedForApproval,
        }
    }
}
