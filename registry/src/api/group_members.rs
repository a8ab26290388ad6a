//! `/global-groups/{group}/members`.

use std::collections::BTreeSet;

use administration::api::{ApiError, Call, Created, Json, NoContent, Path, delete, get, post};
use protocol::id::ClientId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clients::ClientKind;
use super::ids::{ClientIdView, client_of};
use super::list::{Order, Page, Paging, Search, folded};
use super::office::Office;
use super::permission::Permission;
use super::{RegistryApi, global_groups};
use crate::instance::{GroupMember, Instance, Refusal};

/// A member or subsystem in a group.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "GroupMemberListView")]
pub struct GroupMemberView {
    /// Its number in the group.
    pub id: u32,
    /// Name of the member; none when this instance does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who.
    pub client_id: ClientIdView,
    /// Since when.
    pub created_at: String,
}

/// Identifiers of members and subsystems.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "Members")]
pub struct MemberIds {
    /// Each with its parts joined by colons.
    #[serde(default)]
    pub items: Vec<String>,
}

/// What is searched for in a group.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "GroupMembersFilter")]
pub struct GroupMemberFilter {
    /// In the name or any part of the identifier.
    pub query: Option<String>,
    /// Only this member class.
    pub member_class: Option<String>,
    /// Only this instance.
    pub instance: Option<String>,
    /// Only these member codes.
    pub codes: Option<Vec<String>>,
    /// Only these subsystem codes.
    pub subsystems: Option<Vec<String>>,
    /// Only members or only subsystems.
    pub types: Option<Vec<ClientKind>>,
    /// Page and order.
    pub paging_sorting: Option<Paging>,
}

/// What the filters of a group can be set to.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "GroupMembersFilterModel")]
pub struct GroupFilterModel {
    /// Instances of its members.
    pub instances: Vec<String>,
    /// Their classes.
    pub member_classes: Vec<String>,
    /// Their codes.
    pub codes: Vec<String>,
    /// Their subsystem codes.
    pub subsystems: Vec<String>,
}

/// A row of the list: who is in the group, with the name of the member if it is known.
type Row<'a> = (&'a str, &'a GroupMember);

/// By what the list can be ordered.
fn orders<'a>() -> [Order<Row<'a>>; 7] {
    [
        ("name", |one, other| folded(one.0, other.0)),
        ("type", |one, other| one.1.id.subsystem().is_some().cmp(&other.1.id.subsystem().is_some())),
        ("instance", |one, other| folded(one.1.id.instance(), other.1.id.instance())),
        ("class", |one, other| folded(one.1.id.member().class(), other.1.id.member().class())),
        ("code", |one, other| folded(one.1.id.member().code(), other.1.id.member().code())),
        ("subsystem", |one, other| folded(subsystem(one), subsystem(other))),
        ("created_at", |one, other| one.1.added.cmp(&other.1.added)),
    ]
}

fn subsystem<'a>(row: &Row<'a>) -> &'a str {
    row.1.id.subsystem().unwrap_or_default()
}

/// A page of those in a group who pass the filter.
fn find(
    instance: &Instance,
    code: &str,
    filter: &GroupMemberFilter,
) -> Result<Page<GroupMemberView>, ApiError> {
    let group = instance.groups().get(code).ok_or_else(|| Refusal::GroupNotFound(code.to_owned()))?;
    let search = Search::new(filter.query.as_deref());
    let is = |wanted: &Option<String>, text: &str| {
        wanted.as_deref().filter(|wanted| !wanted.is_empty()).is_none_or(|wanted| wanted == text)
    };
    let among = |wanted: &Option<Vec<String>>, text: &str| {
        wanted.as_ref().filter(|all| !all.is_empty()).is_none_or(|all| all.iter().any(|one| one == text))
    };
    let name = |member: &GroupMember| {
        instance.member(member.id.member()).map_or("", |entry| entry.member.name.as_str())
    };
    let mut members: Vec<&GroupMember> = group.members.values().collect();
    members.sort_unstable_by_key(|member| member.number);
    let rows = members.into_iter().map(|member| (name(member), member));
    let passes = |row: &Row<'_>| {
        let member = row.1.id.member();
        let texts = [row.0, member.instance(), member.class(), member.code(), subsystem(row)];
        let kind = if row.1.id.subsystem().is_some() { ClientKind::Subsystem } else { ClientKind::Member };
        search.as_ref().is_none_or(|search| search.is_in_any(texts))
            && is(&filter.instance, member.instance())
            && is(&filter.member_class, member.class())
            && among(&filter.codes, member.code())
            && among(&filter.subsystems, subsystem(row))
            && filter.types.as_ref().is_none_or(|kinds| kinds.is_empty() || kinds.contains(&kind))
    };
    let paging = filter.paging_sorting.clone().unwrap_or_default();
    let (rows, paging_metadata) = paging.cut(rows.filter(passes), &orders())?;
    let view = |(name, member): &Row<'_>| GroupMemberView {
        id: member.number,
        name: Some((*name).to_owned()).filter(|name| !name.is_empty()),
        client_id: ClientIdView::from(&member.id),
        created_at: member.added.to_string(),
    };
    Ok(Page { items: rows.iter().map(view).collect(), paging_metadata })
}

/// The different values of each part of the identifiers in a group; empty for a group that is not there.
fn filter_model(instance: &Instance, code: &str) -> GroupFilterModel {
    let Some(group) = instance.groups().get(code) else { return GroupFilterModel::default() };
    let ids: Vec<&ClientId> = group.members.keys().collect();
    let different = |part: fn(&ClientId) -> Option<&str>| {
        let all: BTreeSet<&str> = ids.iter().filter_map(|id| part(id)).collect();
        all.into_iter().map(str::to_owned).collect()
    };
    GroupFilterModel {
        instances: different(|id| Some(id.instance())),
        member_classes: different(|id| Some(id.member().class())),
        codes: different(|id| Some(id.member().code())),
        subsystems: different(ClientId::subsystem),
    }
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{AddAndRemoveGroupMembers, ViewGroupDetails};
    api.add(
        post("/global-groups/{group_code}/members", "findGlobalGroupMembers")
            .permission(ViewGroupDetails)
            .takes::<GroupMemberFilter>()
            .answers::<Page<GroupMemberView>>(200)
            .refuses(404),
        search,
    )
    .add(
        get("/global-groups/{group_code}/members/filter-model", "getGroupMembersFilterModel")
            .permission(ViewGroupDetails)
            .answers::<GroupFilterModel>(200),
        model,
    )
    .add(
        post("/global-groups/{group_code}/members/add", "addGlobalGroupMembers")
            .permission(AddAndRemoveGroupMembers)
            .event("Add members to global group")
            .takes::<MemberIds>()
            .answers::<MemberIds>(201)
            .refuses(404),
        add,
    )
    .add(
        delete("/global-groups/{group_code}/members/{client_id}", "deleteGlobalGroupMember")
            .permission(AddAndRemoveGroupMembers)
            .event("Remove members from global group")
            .answers_nothing(204)
            .refuses(404),
        remove,
    )
}

async fn search(
    call: Call<Office>,
    Path(code): Path<String>,
    Json(filter): Json<GroupMemberFilter>,
) -> Result<Json<Page<GroupMemberView>>, ApiError> {
    Ok(Json(call.node().search(move |instance| find(instance, &code, &filter)).await?))
}

async fn model(call: Call<Office>, Path(code): Path<String>) -> Result<Json<GroupFilterModel>, ApiError> {
    Ok(Json(call.node().search(move |instance| Ok(filter_model(instance, &code))).await?))
}

async fn add(
    call: Call<Office>,
    Path(code): Path<String>,
    Json(members): Json<MemberIds>,
) -> Result<Created<MemberIds>, ApiError> {
    global_groups::facts(&call, &code);
    call.fact("memberIdentifiers", &members.items);
    let ids: Vec<ClientId> = members.items.iter().map(|id| client_of(id)).collect::<Result<_, _>>()?;
    let added = call.node().command(move |desk| desk.add_group_members(&code, &ids)).await?;
    Ok(Created(MemberIds { items: added.iter().map(ClientId::joined).collect() }))
}

async fn remove(
    call: Call<Office>,
    Path((code, client)): Path<(String, String)>,
) -> Result<NoContent, ApiError> {
    global_groups::facts(&call, &code);
    call.fact("memberIdentifiers", [&client]);
    let client = client_of(&client)?;
    call.node().command(move |desk| desk.delete_group_member(&code, &client)).await?;
    Ok(NoContent)
}
