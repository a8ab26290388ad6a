//! `/global-groups`; their members are `group_members`.

use administration::api::{ApiError, Call, Created, Json, NoContent, Path, delete, get, patch, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RegistryApi;
use super::office::Office;
use super::permission::Permission;
use crate::instance::{GlobalGroup, GroupEntry, Refusal};

/// A global group.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "GlobalGroupResource")]
pub struct GroupView {
    /// Its code.
    pub code: String,
    /// What it is for.
    pub description: String,
    /// How many members and subsystems are in it.
    pub member_count: usize,
    /// When it was added.
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
}

/// A new group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "GlobalGroupCodeAndDescription")]
pub struct GroupAdd {
    /// Its code.
    #[schemars(length(min = 1, max = 255))]
    pub code: String,
    /// What it is for.
    #[schemars(length(min = 1, max = 255))]
    pub description: String,
}

/// A new description.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "GlobalGroupDescription")]
pub struct GroupDescription {
    /// What the group is for.
    #[schemars(length(min = 1, max = 255))]
    pub description: String,
}

impl GroupView {
    fn of(entry: &GroupEntry) -> Self {
        Self::new(&entry.group, entry.members.len())
    }

    fn new(group: &GlobalGroup, member_count: usize) -> Self {
        Self {
            code: group.code.clone(),
            description: group.description.clone(),
            member_count,
            created_at: group.added.to_string(),
            updated_at: group.changed.to_string(),
        }
    }
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{AddGlobalGroup, DeleteGroup, EditGroupDescription, ViewGlobalGroups, ViewGroupDetails};
    api.add(
        get("/global-groups", "findGlobalGroups").permission(ViewGlobalGroups).answers::<Vec<GroupView>>(200),
        list,
    )
    .add(
        post("/global-groups", "addGlobalGroup")
            .permission(AddGlobalGroup)
            .event("Add global group")
            .takes::<GroupAdd>()
            .answers::<GroupView>(201)
            .refuses(409),
        add,
    )
    .add(
        get("/global-groups/{group_code}", "getGlobalGroup")
            .permission(ViewGroupDetails)
            .answers::<GroupView>(200)
            .refuses(404),
        one,
    )
    .add(
        patch("/global-groups/{group_code}", "updateGlobalGroupDescription")
            .permission(EditGroupDescription)
            .event("Edit global group description")
            .takes::<GroupDescription>()
            .answers::<GroupView>(200)
            .refuses(404),
        describe,
    )
    .add(
        delete("/global-groups/{group_code}", "deleteGlobalGroup")
            .permission(DeleteGroup)
            .event("Delete global group")
            .answers_nothing(204)
            .refuses(404),
        remove,
    )
}

async fn list(call: Call<Office>) -> Result<Json<Vec<GroupView>>, ApiError> {
    let mut groups: Vec<_> = call.node().look(|instance| {
        instance.groups().values().map(|entry| (entry.group.id, GroupView::of(entry))).collect()
    });
    groups.sort_by_key(|(id, _)| *id);
    Ok(Json(groups.into_iter().map(|(_, group)| group).collect()))
}

async fn add(call: Call<Office>, Json(body): Json<GroupAdd>) -> Result<Created<GroupView>, ApiError> {
    call.fact("code", &body.code);
    call.fact("description", &body.description);
    let group = call.node().command(move |desk| desk.add_group(&body.code, &body.description)).await?;
    Ok(Created(GroupView::new(&group, 0)))
}

/// A group that must exist.
fn look(call: &Call<Office>, code: &str) -> Result<GroupView, ApiError> {
    let found = call.node().look(|instance| instance.groups().get(code).map(GroupView::of));
    Ok(found.ok_or_else(|| Refusal::GroupNotFound(code.to_owned()))?)
}

async fn one(call: Call<Office>, Path(code): Path<String>) -> Result<Json<GroupView>, ApiError> {
    look(&call, &code).map(Json)
}

async fn describe(
    call: Call<Office>,
    Path(code): Path<String>,
    Json(body): Json<GroupDescription>,
) -> Result<Json<GroupView>, ApiError> {
    call.fact("code", &code);
    call.fact("description", &body.description);
    let group = call.node().command(move |desk| desk.describe_group(&code, &body.description)).await?;
    look(&call, &group.code).map(Json)
}

async fn remove(call: Call<Office>, Path(code): Path<String>) -> Result<NoContent, ApiError> {
    facts(&call, &code);
    call.node().command(move |desk| desk.delete_group(&code)).await?;
    Ok(NoContent)
}

/// What the audit log says of a group.
pub(super) fn facts(call: &Call<Office>, code: &str) {
    call.fact("code", code);
    let description =
        call.node().look(|instance| Some(instance.groups().get(code)?.group.description.clone()));
    call.fact("description", description);
}
