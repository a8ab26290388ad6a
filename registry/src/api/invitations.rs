//! `/invitations`: files with which servers of members join.

use std::time::Duration;

use administration::api::{ApiError, Call, Created, Json, NoContent, Path, Query, delete, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::time::UtcTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::member_of;
use super::list::{Order, Page, Paging};
use super::office::Office;
use super::permission::Permission;
use super::{RegistryApi, actor};
use crate::instance::{Desk, Instance, Invitation, InvitationState, Refusal};
use crate::publish::SourceKind;

/// Whom to invite.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "InvitationAdd")]
pub struct InvitationAdd {
    /// The member whose server is invited.
    #[schemars(length(min = 1, max = 1023))]
    pub member_id: String,
    /// The code that the server must have; none: any.
    pub server_code: Option<String>,
    /// For how many hours it is good, by default 72 and at most 2160.
    #[schemars(range(min = 1, max = 2160))]
    pub valid_hours: Option<u32>,
}

/// An invitation as the registry keeps it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Invitation")]
pub struct InvitationView {
    /// Its number.
    pub id: u32,
    /// Whose server is invited.
    pub member_id: String,
    /// The code that the server must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_code: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// Until when it is good.
    pub expires_at: String,
    /// What became of it.
    pub status: InvitationStatus,
    /// The server that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_server_id: Option<String>,
}

/// What became of an invitation.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InvitationStatus {
    /// It waits for a server.
    Open,
    /// No server came in time.
    Expired,
    /// It was taken back.
    Revoked,
    /// A server came with it.
    Redeemed,
}

/// The invitation file: all that a server needs to join. The secret is in it and nowhere else.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "InvitationFile")]
pub struct InvitationFile {
    /// The number of the invitation.
    pub id: u32,
    /// The form of this file, 1.
    pub version: u32,
    /// The instance.
    pub instance: String,
    /// Host name or address of the registry.
    pub registry: String,
    /// The internal configuration anchor, base64. A server believes nothing that this does not lead to.
    pub anchor: String,
    /// SHA-224 of the anchor, to be compared by people over another channel.
    pub anchor_hash: String,
    /// The member.
    pub member_id: String,
    /// Its name.
    pub member_name: String,
    /// The code that the server must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_code: Option<String>,
    /// Until when it is good.
    pub expires_at: String,
    /// Works once.
    pub secret: String,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    api.add(
        get("/invitations", "getInvitations")
            .permission(Permission::ViewInvitations)
            .asks::<Paging>()
            .answers::<Page<InvitationView>>(200),
        list,
    )
    .add(
        post("/invitations", "addInvitation")
            .permission(Permission::AddInvitation)
            .event("Add invitation")
            .takes::<InvitationAdd>()
            .answers::<InvitationFile>(201)
            .refuses(404)
            .refuses(409),
        add,
    )
    .add(
        delete("/invitations/{invitation_id}", "revokeInvitation")
            .permission(Permission::RevokeInvitation)
            .event("Revoke invitation")
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        revoke,
    )
}

async fn list(
    call: Call<Office>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<InvitationView>>, ApiError> {
    let now = call.node().desk.clock().now();
    let page = move |instance: &Instance| {
        let orders: [Order<&Invitation>; 2] = [
            ("id", |one, other| one.id.cmp(&other.id)),
            ("expires_at", |one, other| one.expires.cmp(&other.expires)),
        ];
        let (rows, paging_metadata) = paging.cut(instance.invitations().values(), &orders)?;
        Ok(Page {
            items: rows.into_iter().map(|row| InvitationView::of(row, now)).collect(),
            paging_metadata,
        })
    };
    Ok(Json(call.node().search(page).await?))
}

async fn add(
    call: Call<Office>,
    Json(body): Json<InvitationAdd>,
) -> Result<Created<InvitationFile>, ApiError> {
    let member = member_of(&body.member_id)?;
    call.fact("memberIdentifier", member.joined());
    call.fact("serverCode", &body.server_code);
    // Without an anchor nobody could join.
    let anchor = call.node().look(|instance| instance.own_anchor(SourceKind::Internal).cloned());
    let anchor = anchor.ok_or(Refusal::NoSigningKeys)?;
    let (instance, registry, name) = call.node().look(|instance| {
        let parameters = instance.parameters().clone();
        let name = instance.member(&member).map(|entry| entry.member.name.clone());
        (parameters.instance.unwrap_or_default(), parameters.address.unwrap_or_default(), name)
    });
    let valid = Duration::from_secs(3600 * u64::from(body.valid_hours.unwrap_or(72)));
    let actor = actor(&call);
    let invite = move |desk: &Desk| desk.invite(&actor, &member, body.server_code.as_deref(), valid);
    let (invitation, secret) = call.node().command(invite).await?;
    call.fact("invitationId", invitation.id);
    Ok(Created(InvitationFile {
        id: invitation.id,
        version: 1,
        instance,
        registry,
        anchor: STANDARD.encode(&anchor.file),
        anchor_hash: anchor.hash(),
        member_id: invitation.member.joined(),
        member_name: name.unwrap_or_default(),
        server_code: invitation.server_code,
        expires_at: invitation.expires.to_string(),
        secret: secret.to_string(),
    }))
}

async fn revoke(call: Call<Office>, Path(id): Path<u32>) -> Result<NoContent, ApiError> {
    call.fact("invitationId", id);
    call.node().command(move |desk| desk.revoke_invitation(id)).await?;
    Ok(NoContent)
}

impl InvitationView {
    fn of(invitation: &Invitation, now: UtcTime) -> Self {
        let status = match &invitation.state {
            InvitationState::Open if invitation.is_open(now) => InvitationStatus::Open,
            InvitationState::Open => InvitationStatus::Expired,
            InvitationState::Revoked => InvitationStatus::Revoked,
            InvitationState::Redeemed { .. } => InvitationStatus::Redeemed,
        };
        let server = match &invitation.state {
            InvitationState::Redeemed { server, .. } => Some(server.joined()),
            InvitationState::Open | InvitationState::Revoked => None,
        };
        Self {
            id: invitation.id,
            member_id: invitation.member.joined(),
            server_code: invitation.server_code.clone(),
            created_at: invitation.created.to_string(),
            created_by: invitation.created_by.clone(),
            expires_at: invitation.expires.to_string(),
            status,
            security_server_id: server,
        }
    }
}
