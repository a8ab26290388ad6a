//! `/member-classes`.

use administration::api::{ApiError, Call, Created, Json, NoContent, Path, delete, get, patch, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RegistryApi;
use super::list::folded;
use super::office::Office;
use super::permission::Permission;
use crate::instance::MemberClass;

/// A class of members.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "MemberClass")]
pub struct MemberClassView {
    /// Its code.
    #[schemars(length(min = 1, max = 255))]
    pub code: String,
    /// What it stands for.
    #[schemars(length(min = 1, max = 255))]
    pub description: String,
}

/// A new description.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "MemberClassDescription")]
pub struct MemberClassDescription {
    /// What the class stands for.
    #[schemars(length(min = 1, max = 255))]
    pub description: String,
}

impl From<MemberClass> for MemberClassView {
    fn from(class: MemberClass) -> Self {
        Self { code: class.code, description: class.description }
    }
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    api.add(
        get("/member-classes", "getMemberClasses")
            .permission(Permission::ViewMemberClasses)
            .answers::<Vec<MemberClassView>>(200),
        list,
    )
    .add(
        post("/member-classes", "addMemberClass")
            .permission(Permission::AddMemberClass)
            .event("Add member class")
            .takes::<MemberClassView>()
            .answers::<MemberClassView>(201)
            .refuses(409),
        add,
    )
    .add(
        patch("/member-classes/{code}", "updateMemberClass")
            .permission(Permission::EditMemberClass)
            .event("Edit member class description")
            .takes::<MemberClassDescription>()
            .answers::<MemberClassView>(200)
            .refuses(404),
        describe,
    )
    .add(
        delete("/member-classes/{code}", "deleteMemberClass")
            .permission(Permission::DeleteMemberClass)
            .event("Delete member class")
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        remove,
    )
}

async fn list(call: Call<Office>) -> Result<Json<Vec<MemberClassView>>, ApiError> {
    Ok(Json(call.node().look(|instance| {
        let mut classes: Vec<MemberClassView> =
            instance.classes().values().cloned().map(Into::into).collect();
        classes.sort_by(|one, other| folded(&one.code, &other.code));
        classes
    })))
}

async fn add(
    call: Call<Office>,
    Json(class): Json<MemberClassView>,
) -> Result<Created<MemberClassView>, ApiError> {
    call.fact("code", &class.code);
    call.fact("description", &class.description);
    let added =
        call.node().command(move |desk| desk.add_member_class(&class.code, &class.description)).await?;
    Ok(Created(added.into()))
}

async fn describe(
    call: Call<Office>,
    Path(code): Path<String>,
    Json(body): Json<MemberClassDescription>,
) -> Result<Json<MemberClassView>, ApiError> {
    call.fact("code", &code);
    call.fact("description", &body.description);
    let class = call.node().command(move |desk| desk.describe_member_class(&code, &body.description)).await?;
    Ok(Json(class.into()))
}

async fn remove(call: Call<Office>, Path(code): Path<String>) -> Result<NoContent, ApiError> {
    call.fact("code", &code);
    call.node().command(move |desk| desk.delete_member_class(&code)).await?;
    Ok(NoContent)
}
