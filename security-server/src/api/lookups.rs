//! What the global configuration says, for those who fill in forms: classes, names, servers, instances,
//! approved time-stamping services (registry and administration §8).

use std::sync::Arc;

use administration::api::{ApiError, Call, Json, Path, Query, get};
use gateway::snapshot::Snapshot;
use protocol::configuration::{CostType, RegisteredServer};
use protocol::id::MemberId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Office, Permission, ServerApi};

/// A security server.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "SecurityServer")]
struct ServerView {
    id: String,
    instance_id: String,
    member_class: String,
    member_code: String,
    server_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_address: Option<String>,
}

/// An instance.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "XRoadInstance")]
struct InstanceView {
    identifier: String,
    local: bool,
}

/// The name of a member.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "MemberName")]
struct NameView {
    member_name: String,
}

/// A time-stamping service.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "TimestampingService")]
struct TimestampingView {
    name: String,
    url: String,
    cost_type: &'static str,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct ClassQuery {
    /// Only classes of the own instance.
    current_instance: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct ServerQuery {
    /// Only this server.
    current_server: Option<bool>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
struct NameQuery {
    /// The class.
    member_class: String,
    /// The code.
    member_code: String,
}

pub(super) fn operations(api: ServerApi) -> ServerApi {
    let api = api
        .add(
            get("/member-classes", "getMemberClasses")
                .summary("the member classes")
                .permission(Permission::ViewMemberClasses)
                .asks::<ClassQuery>()
                .answers::<Vec<String>>(200)
                .refuses(409),
            classes,
        )
        .add(
            get("/member-classes/{id}", "getMemberClassesForInstance")
                .summary("the member classes of an instance")
                .permission(Permission::ViewMemberClasses)
                .answers::<Vec<String>>(200)
                .refuses(404)
                .refuses(409),
            classes_of,
        )
        .add(
            get("/member-names", "findMemberName")
                .summary("the name of a member")
                .permission_any(&[Permission::ViewClientDetails, Permission::AddClient])
                .asks::<NameQuery>()
                .answers::<NameView>(200)
                .refuses(404)
                .refuses(409),
            name,
        );
    api.add(
        get("/security-servers", "getSecurityServers")
            .summary("the security servers of all known instances")
            .permission(Permission::ViewSecurityServers)
            .asks::<ServerQuery>()
            .answers::<Vec<ServerView>>(200)
            .refuses(409),
        servers,
    )
    .add(
        get("/security-servers/{id}", "getSecurityServer")
            .summary("a security server")
            .permission(Permission::ViewSecurityServers)
            .answers::<ServerView>(200)
            .refuses(404)
            .refuses(409),
        server,
    )
    .add(
        get("/xroad-instances", "getXRoadInstances")
            .summary("the known instances")
            .permission(Permission::ViewXroadInstances)
            .answers::<Vec<InstanceView>>(200)
            .refuses(409),
        instances,
    )
    .add(
        get("/timestamping-services", "getApprovedTimestampingServices")
            .summary("the approved time-stamping services")
            .permission(Permission::ViewTsps)
            .answers::<Vec<TimestampingView>>(200)
            .refuses(409),
        timestamping,
    )
}

/// The configuration in force.
pub(super) fn snapshot(call: &Call<Office>) -> Result<Arc<Snapshot>, ApiError> {
    call.node().control()?.snapshot().ok_or_else(|| ApiError::new(503, "global_conf_outdated"))
}

async fn classes(call: Call<Office>, Query(query): Query<ClassQuery>) -> Result<Json<Vec<String>>, ApiError> {
    let snapshot = snapshot(&call)?;
    let own = call.node().control()?.server().owner().instance().to_owned();
    let instances = snapshot.configuration().instances.values();
    let wanted =
        instances.filter(|known| !query.current_instance.unwrap_or(false) || known.shared.instance == own);
    let mut classes: Vec<String> =
        wanted.flat_map(|known| known.shared.member_classes.iter().map(|(code, _)| code.clone())).collect();
    classes.sort_unstable();
    classes.dedup();
    Ok(Json(classes))
}

async fn classes_of(call: Call<Office>, Path(id): Path<String>) -> Result<Json<Vec<String>>, ApiError> {
    let snapshot = snapshot(&call)?;
    let known = snapshot.configuration().instance(&id);
    let known = known.ok_or_else(|| ApiError::not_found("instance_not_found").with(&id))?;
    Ok(Json(known.shared.member_classes.iter().map(|(code, _)| code.clone()).collect()))
}

async fn name(call: Call<Office>, Query(query): Query<NameQuery>) -> Result<Json<NameView>, ApiError> {
    let snapshot = snapshot(&call)?;
    let control = call.node().control()?;
    let unknown = || ApiError::not_found("member_name_not_found");
    let id = MemberId::new(control.server().owner().instance(), &query.member_class, &query.member_code)
        .map_err(|_| unknown())?;
    let own = snapshot.configuration().own().ok_or_else(unknown)?;
    let member = own.shared.members.iter().find(|member| member.id == id).ok_or_else(unknown)?;
    Ok(Json(NameView { member_name: member.name.clone() }))
}

async fn servers(
    call: Call<Office>,
    Query(query): Query<ServerQuery>,
) -> Result<Json<Vec<ServerView>>, ApiError> {
    let snapshot = snapshot(&call)?;
    let control = call.node().control()?;
    let only_own = query.current_server.unwrap_or(false);
    let all = snapshot.configuration().instances.values().flat_map(|known| &known.shared.servers);
    let wanted = all.filter(|server| !only_own || server.id == *control.server());
    let mut views: Vec<ServerView> = wanted.map(view).collect();
    views.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Json(views))
}

async fn server(call: Call<Office>, Path(id): Path<String>) -> Result<Json<ServerView>, ApiError> {
    let snapshot = snapshot(&call)?;
    let mut all = snapshot.configuration().instances.values().flat_map(|known| &known.shared.servers);
    let found = all.find(|server| server.id.to_string().replace('/', ":") == id);
    Ok(Json(view(found.ok_or_else(|| ApiError::not_found("security_server_not_found").with(&id))?)))
}

fn view(server: &RegisteredServer) -> ServerView {
    let owner = server.id.owner();
    ServerView {
        id: server.id.to_string().replace('/', ":"),
        instance_id: owner.instance().to_owned(),
        member_class: owner.class().to_owned(),
        member_code: owner.code().to_owned(),
        server_code: server.id.code().to_owned(),
        server_address: server.address.clone(),
    }
}

async fn instances(call: Call<Office>) -> Result<Json<Vec<InstanceView>>, ApiError> {
    let snapshot = snapshot(&call)?;
    let own = call.node().control()?.server().owner().instance().to_owned();
    let view =
        |identifier: &str| InstanceView { identifier: identifier.to_owned(), local: identifier == own };
    let known = snapshot.configuration().instances.values();
    let mut views: Vec<InstanceView> = known.map(|known| view(&known.shared.instance)).collect();
    views.sort_by(|a, b| a.identifier.cmp(&b.identifier));
    Ok(Json(views))
}

async fn timestamping(call: Call<Office>) -> Result<Json<Vec<TimestampingView>>, ApiError> {
    let snapshot = snapshot(&call)?;
    let own = snapshot.configuration().own();
    let approved = own.into_iter().flat_map(|own| &own.shared.timestamping_services);
    let view = |service: &protocol::configuration::TimestampingService| TimestampingView {
        name: service.name.clone(),
        url: service.url.clone(),
        cost_type: cost(service.cost),
    };
    Ok(Json(approved.map(view).collect()))
}

/// The name of a cost.
pub(super) fn cost(cost: CostType) -> &'static str {
    match cost {
        CostType::Free => "FREE",
        CostType::Paid => "PAID",
        CostType::Undefined => "UNDEFINED",
    }
}
