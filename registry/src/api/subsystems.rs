//! `/subsystems`.

use administration::api::{ApiError, Call, Created, Json, NoContent, Path, delete, patch, post};
use protocol::id::ClientId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::clients::ClientView;
use super::ids::subsystem_of;
use super::office::Office;
use super::permission::Permission;
use super::{RegistryApi, security_servers};
use crate::instance::Desk;

/// A new subsystem.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "SubsystemAdd")]
pub struct SubsystemAdd {
    /// Class, code of the member and code of the subsystem.
    pub subsystem_id: NewSubsystemId,
    /// Its name.
    #[schemars(length(max = 255))]
    pub subsystem_name: Option<String>,
}

/// The parts of a new subsystem's identifier; the instance is the registry's.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "NewSubsystemId")]
pub struct NewSubsystemId {
    /// The class.
    #[schemars(length(min = 1, max = 255))]
    pub member_class: String,
    /// The code of the member.
    #[schemars(length(min = 1, max = 255))]
    pub member_code: String,
    /// The code of the subsystem.
    #[schemars(length(min = 1, max = 255))]
    pub subsystem_code: String,
}

/// A new name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "SubsystemName")]
pub struct SubsystemName {
    /// The name; none or empty: it has none.
    #[schemars(length(max = 255))]
    pub subsystem_name: Option<String>,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{AddMemberSubsystem, EditMemberSubsystem, RemoveMemberSubsystem, UnregisterSubsystem};
    api.add(
        post("/subsystems", "addSubsystem")
            .permission(AddMemberSubsystem)
            .event("Add subsystem")
            .takes::<SubsystemAdd>()
            .answers::<ClientView>(201)
            .refuses(404)
            .refuses(409),
        add,
    )
    .add(
        patch("/subsystems/{subsystem_id}", "updateSubsystemName")
            .permission(EditMemberSubsystem)
            .event("Edit subsystem")
            .takes::<SubsystemName>()
            .answers::<ClientView>(200)
            .refuses(404),
        rename,
    )
    .add(
        delete("/subsystems/{subsystem_id}", "deleteSubsystem")
            .permission(RemoveMemberSubsystem)
            .event("Delete subsystem")
            .answers_nothing(204)
            .refuses(404),
        remove,
    )
    .add(
        delete("/subsystems/{subsystem_id}/servers/{server_id}", "unregisterSubsystem")
            .permission(UnregisterSubsystem)
            .event("Unregister subsystem as security server client")
            .answers_nothing(204)
            .refuses(404),
        unregister,
    )
}

async fn add(call: Call<Office>, Json(body): Json<SubsystemAdd>) -> Result<Created<ClientView>, ApiError> {
    let SubsystemAdd { subsystem_id: id, subsystem_name } = body;
    call.fact("memberClass", &id.member_class);
    call.fact("memberCode", &id.member_code);
    call.fact("memberSubsystemCode", &id.subsystem_code);
    call.fact("memberSubsystemName", subsystem_name.as_deref());
    let add = move |desk: &Desk| {
        let member = desk.member_id(&id.member_class, &id.member_code)?;
        desk.add_subsystem(&member, &id.subsystem_code, subsystem_name.as_deref())
    };
    Ok(Created(ClientView::of_subsystem(&call.node().command(add).await?)))
}

async fn rename(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(body): Json<SubsystemName>,
) -> Result<Json<ClientView>, ApiError> {
    let id = subsystem_of(&id)?;
    facts(&call, &id);
    call.fact("memberSubsystemName", body.subsystem_name.as_deref());
    let rename = move |desk: &Desk| desk.rename_subsystem(&id, body.subsystem_name.as_deref());
    Ok(Json(ClientView::of_subsystem(&call.node().command(rename).await?)))
}

async fn remove(call: Call<Office>, Path(id): Path<String>) -> Result<NoContent, ApiError> {
    let id = subsystem_of(&id)?;
    facts(&call, &id);
    call.node().command(move |desk| desk.delete_subsystem(&id)).await?;
    Ok(NoContent)
}

async fn unregister(
    call: Call<Office>,
    Path((subsystem, server)): Path<(String, String)>,
) -> Result<NoContent, ApiError> {
    security_servers::unregister(&call, subsystem_of(&subsystem)?, &server).await
}

fn facts(call: &Call<Office>, id: &ClientId) {
    call.fact("memberClass", id.member().class());
    call.fact("memberCode", id.member().code());
    call.fact("memberSubsystemCode", id.subsystem());
}
