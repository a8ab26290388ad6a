//! `/members`.

use std::collections::BTreeMap;

use administration::api::{ApiError, Call, Created, Json, NoContent, Path, delete, get, patch, post};
use protocol::id::{ClientId, MemberId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clients::ClientView;
use super::ids::{ClientIdView, member_of};
use super::office::Office;
use super::permission::Permission;
use super::security_servers::ServerView;
use super::{RegistryApi, security_servers};
use crate::instance::{Desk, Instance, Refusal, ServerEntry, Subsystem};
use crate::requests::{RequestType, Status};

/// A new member.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "MemberAdd")]
pub struct MemberAdd {
    /// Class and code.
    pub member_id: NewMemberId,
    /// Its full name.
    #[schemars(length(min = 1, max = 255))]
    pub member_name: String,
}

/// Class and code of a new member; the instance is the registry's.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "NewMemberId")]
pub struct NewMemberId {
    /// The class.
    #[schemars(length(min = 1, max = 255))]
    pub member_class: String,
    /// The code.
    #[schemars(length(min = 1, max = 255))]
    pub member_code: String,
}

/// A new name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "MemberName")]
pub struct MemberName {
    /// The full name of the member.
    #[schemars(length(min = 1, max = 255))]
    pub member_name: String,
}

/// A subsystem of a member with the servers that it is registered on.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Subsystem")]
pub struct SubsystemView {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subsystem_name: Option<String>,
    /// Its identifier.
    pub subsystem_id: ClientIdView,
    /// Where it is registered, or asked to be.
    pub used_security_servers: Vec<UsedServer>,
}

/// A server that a subsystem is registered on.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "UsedSecurityServers")]
pub struct UsedServer {
    /// Its code.
    pub server_code: String,
    /// Name of its owner.
    pub server_owner: String,
    /// State of the registration: that of the request, or `DISABLED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Its identifier.
    pub encoded_id: String,
}

/// A global group that a member or one of its subsystems is in.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "MemberGlobalGroup")]
pub struct MemberGroup {
    /// Code of the group.
    pub group_code: String,
    /// The subsystem; none: the member itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<String>,
    /// Since when.
    pub added_to_group: String,
}

/// The subsystems of a member, each with the servers that it is registered on.
fn subsystems(instance: &Instance, id: &MemberId) -> Result<Vec<SubsystemView>, Refusal> {
    let entry = instance.member(id).ok_or_else(|| Refusal::MemberNotFound(id.clone()))?;
    let view = |subsystem: &Subsystem| SubsystemView {
        subsystem_name: subsystem.name.clone(),
        subsystem_id: ClientIdView::from(&subsystem.id),
        used_security_servers: instance
            .servers_of_client(&subsystem.id)
            .map(|server| used_server(instance, server, &subsystem.id))
            .collect(),
    };
    Ok(entry.subsystems.values().map(view).collect())
}

fn used_server(instance: &Instance, entry: &ServerEntry, client: &ClientId) -> UsedServer {
    let id = &entry.server.id;
    let enabled = entry.clients.get(client).is_some_and(|client| client.enabled);
    // What the last request for it came to; without one, that it is registered says it.
    let asked = instance.requests_of_server(id).rev().find(|request| {
        request.kind() == RequestType::ClientRegistration && request.content.client() == Some(client)
    });
    let state = asked.and_then(|request| request.status).unwrap_or(Status::Approved);
    UsedServer {
        server_code: id.code().to_owned(),
        server_owner: instance.member(id.owner()).map(|owner| owner.member.name.clone()).unwrap_or_default(),
        status: Some(if enabled { state.name().replace(' ', "_") } else { "DISABLED".to_owned() }),
        encoded_id: id.joined(),
    }
}

/// The groups that a member or one of its subsystems is in.
fn groups(instance: &Instance, id: &MemberId) -> Vec<MemberGroup> {
    let Some(entry) = instance.member(id) else { return Vec::new() };
    let itself = ClientId::from(id.clone());
    let all = std::iter::once(&itself).chain(entry.subsystems.values().map(|subsystem| &subsystem.id));
    let of_client = |client: &ClientId| {
        let client = client.clone();
        instance
            .groups_of(&client)
            .map(|group| MemberGroup {
                group_code: group.group.code.clone(),
                subsystem: client.subsystem().map(str::to_owned),
                added_to_group: group
                    .members
                    .get(&client)
                    .map(|member| member.added.to_string())
                    .unwrap_or_default(),
            })
            .collect::<Vec<_>>()
    };
    all.flat_map(of_client).collect()
}

/// The servers that a member or one of its subsystems is registered on.
fn used_servers(instance: &Instance, id: &MemberId) -> Vec<ServerView> {
    let Some(entry) = instance.member(id) else { return Vec::new() };
    let itself = ClientId::from(id.clone());
    let all = std::iter::once(&itself).chain(entry.subsystems.values().map(|subsystem| &subsystem.id));
    let servers = all.flat_map(|client| instance.servers_of_client(client));
    let by_number: BTreeMap<u32, &ServerEntry> = servers.map(|entry| (entry.server.number, entry)).collect();
    by_number.values().map(|entry| ServerView::of(instance, entry)).collect()
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{AddNewMember, DeleteMember, EditMemberName, UnregisterMember, ViewMemberDetails};
    api.add(
        post("/members", "addMember")
            .permission(AddNewMember)
            .event("Add member")
            .takes::<MemberAdd>()
            .answers::<ClientView>(201)
            .refuses(404)
            .refuses(409),
        add,
    )
    .add(
        get("/members/{member_id}", "getMember")
            .permission(ViewMemberDetails)
            .answers::<ClientView>(200)
            .refuses(404),
        one,
    )
    .add(
        patch("/members/{member_id}", "updateMemberName")
            .permission(EditMemberName)
            .event("Edit member name")
            .takes::<MemberName>()
            .answers::<ClientView>(200)
            .refuses(404),
        rename,
    )
    .add(
        delete("/members/{member_id}", "deleteMember")
            .permission(DeleteMember)
            .event("Delete member")
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        remove,
    )
    .add(
        get("/members/{member_id}/subsystems", "getSubsystems")
            .permission(ViewMemberDetails)
            .answers::<Vec<SubsystemView>>(200)
            .refuses(404),
        list_subsystems,
    )
    .add(
        get("/members/{member_id}/global-groups", "getMemberGlobalGroups")
            .permission(ViewMemberDetails)
            .answers::<Vec<MemberGroup>>(200),
        list_groups,
    )
    .add(
        get("/members/{member_id}/owned-servers", "getOwnedServers")
            .permission(ViewMemberDetails)
            .answers::<Vec<ServerView>>(200),
        list_owned,
    )
    .add(
        get("/members/{member_id}/used-servers", "getUsedServers")
            .permission(ViewMemberDetails)
            .answers::<Vec<ServerView>>(200),
        list_used,
    )
    .add(
        delete("/members/{member_id}/servers/{server_id}", "unregisterMember")
            .permission(UnregisterMember)
            .event("Unregister member as security server client")
            .answers_nothing(204)
            .refuses(404),
        unregister,
    )
}

async fn add(call: Call<Office>, Json(body): Json<MemberAdd>) -> Result<Created<ClientView>, ApiError> {
    let MemberAdd { member_id: NewMemberId { member_class, member_code }, member_name } = body;
    call.fact("memberName", &member_name);
    call.fact("memberClass", &member_class);
    call.fact("memberCode", &member_code);
    let add = move |desk: &Desk| desk.add_member(&member_class, &member_code, &member_name);
    Ok(Created(ClientView::of_member(&call.node().command(add).await?)))
}

async fn one(call: Call<Office>, Path(id): Path<String>) -> Result<Json<ClientView>, ApiError> {
    let id = member_of(&id)?;
    let found = call.node().look(|instance| Some(ClientView::of_member(&instance.member(&id)?.member)));
    Ok(Json(found.ok_or(Refusal::MemberNotFound(id))?))
}

async fn rename(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(body): Json<MemberName>,
) -> Result<Json<ClientView>, ApiError> {
    let id = member_of(&id)?;
    call.fact("memberName", &body.member_name);
    facts(&call, &id);
    let member = call.node().command(move |desk| desk.rename_member(&id, &body.member_name)).await?;
    Ok(Json(ClientView::of_member(&member)))
}

async fn remove(call: Call<Office>, Path(id): Path<String>) -> Result<NoContent, ApiError> {
    let id = member_of(&id)?;
    facts(&call, &id);
    call.node().command(move |desk| desk.delete_member(&id)).await?;
    Ok(NoContent)
}

fn facts(call: &Call<Office>, id: &MemberId) {
    call.fact("memberClass", id.class());
    call.fact("memberCode", id.code());
}

async fn list_subsystems(
    call: Call<Office>,
    Path(id): Path<String>,
) -> Result<Json<Vec<SubsystemView>>, ApiError> {
    let id = member_of(&id)?;
    Ok(Json(call.node().look(|instance| subsystems(instance, &id))?))
}

async fn list_groups(call: Call<Office>, Path(id): Path<String>) -> Result<Json<Vec<MemberGroup>>, ApiError> {
    let id = member_of(&id)?;
    Ok(Json(call.node().look(|instance| groups(instance, &id))))
}

async fn list_owned(call: Call<Office>, Path(id): Path<String>) -> Result<Json<Vec<ServerView>>, ApiError> {
    let id = member_of(&id)?;
    let owned = |instance: &Instance| {
        instance.servers_of_owner(&id).map(|entry| ServerView::of(instance, entry)).collect()
    };
    Ok(Json(call.node().look(owned)))
}

async fn list_used(call: Call<Office>, Path(id): Path<String>) -> Result<Json<Vec<ServerView>>, ApiError> {
    let id = member_of(&id)?;
    Ok(Json(call.node().look(|instance| used_servers(instance, &id))))
}

async fn unregister(
    call: Call<Office>,
    Path((member, server)): Path<(String, String)>,
) -> Result<NoContent, ApiError> {
    security_servers::unregister(&call, member_of(&member)?.into(), &server).await
}
