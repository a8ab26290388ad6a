//! `/security-servers`.

use administration::api::{ApiError, Call, Json, NoContent, Path, Query, delete, get, patch};
use administration::views::CertificateDetails;
use protocol::id::{ClientId, MemberId, SecurityServerId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clients::{ClientRow, ClientView};
use super::ids::{ServerIdView, server_of};
use super::list::{Order, Page, Paging, Search, folded};
use super::office::Office;
use super::permission::Permission;
use super::{RegistryApi, actor};
use crate::instance::{AuthenticationCertificate, Instance, Refusal, ServerEntry};

/// A security server.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "SecurityServer")]
pub struct ServerView {
    /// Its identifier.
    pub server_id: ServerIdView,
    /// Name of its owner.
    pub owner_name: String,
    /// Host name or address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_address: Option<String>,
    /// Whether it is in maintenance.
    pub in_maintenance_mode: bool,
    /// What others are told meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_mode_message: Option<String>,
    /// Its node class, where node classes are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_class: Option<String>,
    /// When it was registered.
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
}

/// What is searched for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct ServerSearch {
    /// In the server code, or the owner's name, class or code.
    pub q: Option<String>,
}

/// A new address.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "SecurityServerAddress")]
pub struct ServerAddress {
    /// Host name or address.
    #[schemars(length(max = 255))]
    pub server_address: String,
}

/// An authentication certificate of a server.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "SecurityServerAuthenticationCertificateDetails")]
pub struct ServerCertificate {
    /// Its number.
    pub id: u32,
    /// The certificate.
    #[serde(flatten)]
    pub certificate: CertificateDetails,
}

impl ServerView {
    /// A server as it is shown.
    pub(crate) fn of(instance: &Instance, entry: &ServerEntry) -> Self {
        let server = &entry.server;
        let owner = instance.member(server.id.owner());
        Self {
            server_id: ServerIdView::from(&server.id),
            owner_name: owner.map(|owner| owner.member.name.clone()).unwrap_or_default(),
            server_address: server.address.clone(),
            in_maintenance_mode: server.maintenance.is_some(),
            maintenance_mode_message: server.maintenance.clone().filter(|message| !message.is_empty()),
            node_class: server.class.map(|class| class.name().to_owned()),
            created_at: server.registered.to_string(),
            updated_at: server.changed.to_string(),
        }
    }
}

/// A row of the list: a server with the name of its owner.
type Row<'a> = (&'a str, &'a ServerEntry);

/// By what the list can be ordered.
fn orders<'a>() -> [Order<Row<'a>>; 4] {
    [
        ("owner_name", |one, other| folded(one.0, other.0)),
        ("server_id.member_class", |one, other| folded(owner(one).class(), owner(other).class())),
        ("server_id.member_code", |one, other| folded(owner(one).code(), owner(other).code())),
        ("server_id.server_code", |one, other| folded(one.1.server.id.code(), other.1.server.id.code())),
    ]
}

fn owner<'a>(row: &Row<'a>) -> &'a MemberId {
    row.1.server.id.owner()
}

/// A page of the servers in whose code, owner's name, class or code the text is found.
fn find(instance: &Instance, q: Option<&str>, paging: &Paging) -> Result<Page<ServerView>, ApiError> {
    let search = Search::new(q);
    let rows = instance.servers().values().map(|entry| {
        let owner = instance.member(entry.server.id.owner());
        (owner.map_or("", |owner| owner.member.name.as_str()), entry)
    });
    let passes = |row: &Row<'_>| {
        let texts = [row.0, row.1.server.id.code(), owner(row).class(), owner(row).code()];
        search.as_ref().is_none_or(|search| search.is_in_any(texts))
    };
    let (rows, paging_metadata) = paging.cut(rows.filter(passes), &orders())?;
    let items = rows.iter().map(|(_, entry)| ServerView::of(instance, entry)).collect();
    Ok(Page { items, paging_metadata })
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{
        DeleteSecurityServer, DeleteSecurityServerAuthCert, EditSecurityServerAddress,
        ViewSecurityServerDetails, ViewSecurityServers,
    };
    api.add(
        get("/security-servers", "findSecurityServers")
            .permission(ViewSecurityServers)
            .asks::<ServerSearch>()
            .asks::<Paging>()
            .answers::<Page<ServerView>>(200),
        search,
    )
    .add(
        get("/security-servers/{server_id}", "getSecurityServer")
            .permission(ViewSecurityServerDetails)
            .answers::<ServerView>(200)
            .refuses(404),
        one,
    )
    .add(
        patch("/security-servers/{server_id}", "updateSecurityServerAddress")
            .permission(EditSecurityServerAddress)
            .event("Edit security server address")
            .takes::<ServerAddress>()
            .answers::<ServerView>(200)
            .refuses(404),
        set_address,
    )
    .add(
        delete("/security-servers/{server_id}", "deleteSecurityServer")
            .permission(DeleteSecurityServer)
            .event("Delete security server")
            .answers_nothing(204)
            .refuses(404),
        remove,
    )
    .add(
        get("/security-servers/{server_id}/clients", "getSecurityServerClients")
            .permission(ViewSecurityServerDetails)
            .answers::<Vec<ClientView>>(200)
            .refuses(404),
        list_clients,
    )
    .add(
        get("/security-servers/{server_id}/authentication-certificates", "getSecurityServerAuthCerts")
            .permission(ViewSecurityServerDetails)
            .answers::<Vec<ServerCertificate>>(200)
            .refuses(404),
        list_certificates,
    )
    .add(
        delete(
            "/security-servers/{server_id}/authentication-certificates/{certificate_id}",
            "deleteSecurityServerAuthCert",
        )
        .permission(DeleteSecurityServerAuthCert)
        .event("Delete authentication certificate of security server")
        .answers_nothing(204)
        .refuses(404),
        remove_certificate,
    )
}

async fn search(
    call: Call<Office>,
    Query(filter): Query<ServerSearch>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ServerView>>, ApiError> {
    Ok(Json(call.node().search(move |instance| find(instance, filter.q.as_deref(), &paging)).await?))
}

/// Looks at a server that must exist.
pub(super) fn look<T>(
    call: &Call<Office>,
    id: SecurityServerId,
    look: impl FnOnce(&Instance, &ServerEntry) -> T,
) -> Result<T, ApiError> {
    let found = call.node().look(|instance| Some(look(instance, instance.server(&id)?)));
    Ok(found.ok_or(Refusal::ServerNotFound(id))?)
}

async fn one(call: Call<Office>, Path(id): Path<String>) -> Result<Json<ServerView>, ApiError> {
    Ok(Json(look(&call, server_of(&id)?, ServerView::of)?))
}

async fn set_address(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(body): Json<ServerAddress>,
) -> Result<Json<ServerView>, ApiError> {
    let id = server_of(&id)?;
    facts(&call, &id);
    call.fact("address", &body.server_address);
    let server = call.node().command(move |desk| desk.set_server_address(&id, &body.server_address)).await?;
    Ok(Json(look(&call, server.id, ServerView::of)?))
}

async fn remove(call: Call<Office>, Path(id): Path<String>) -> Result<NoContent, ApiError> {
    let id = server_of(&id)?;
    facts(&call, &id);
    let actor = actor(&call);
    call.node().command(move |desk| desk.delete_server(&actor, &id)).await?;
    Ok(NoContent)
}

async fn list_clients(call: Call<Office>, Path(id): Path<String>) -> Result<Json<Vec<ClientView>>, ApiError> {
    let clients = |instance: &Instance, entry: &ServerEntry| {
        let rows = entry.clients.keys().filter_map(|id| ClientRow::of(instance, id));
        rows.map(|row| row.view()).collect()
    };
    Ok(Json(look(&call, server_of(&id)?, clients)?))
}

async fn list_certificates(
    call: Call<Office>,
    Path(id): Path<String>,
) -> Result<Json<Vec<ServerCertificate>>, ApiError> {
    let certificates = |_: &Instance, entry: &ServerEntry| {
        let view = |known: &AuthenticationCertificate| {
            Some(ServerCertificate { id: known.id, certificate: super::certificate(&known.der)? })
        };
        entry.certificates.values().filter_map(view).collect()
    };
    Ok(Json(look(&call, server_of(&id)?, certificates)?))
}

async fn remove_certificate(
    call: Call<Office>,
    Path((server, certificate)): Path<(String, u32)>,
) -> Result<NoContent, ApiError> {
    let id = server_of(&server)?;
    facts(&call, &id);
    let actor = actor(&call);
    let deleted = call.node().command(move |desk| desk.delete_certificate(&actor, &id, certificate)).await?;
    call.fact_hash("certHash", &deleted.der);
    Ok(NoContent)
}

/// Takes a member or subsystem from a server.
pub(super) async fn unregister(
    call: &Call<Office>,
    client: ClientId,
    server: &str,
) -> Result<NoContent, ApiError> {
    let server = server_of(server)?;
    facts(call, &server);
    call.fact("clientIdentifier", client.joined());
    let actor = actor(call);
    call.node().command(move |desk| desk.unregister_client(&actor, &server, &client)).await?;
    Ok(NoContent)
}

/// What the audit log says of a server.
pub(super) fn facts(call: &Call<Office>, id: &SecurityServerId) {
    call.fact("serverCode", id.code());
    call.fact("ownerClass", id.owner().class());
    call.fact("ownerCode", id.owner().code());
}
