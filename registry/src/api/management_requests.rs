//! `/management-requests`; how they look is `management_request_views`.

use administration::api::{ApiError, Call, Json, Path, Query, delete, get, post};
use http::StatusCode;
use protocol::id::ClientId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::changes::ChangeView;
use super::ids::{ClientIdView, ServerIdView, server_of};
use super::list::{Order, Page, Paging, Search, folded};
use super::management_request_views::{
    OriginView, RequestDetails, RequestRow, RequestTypeView, RequestView, StatusView,
};
use super::office::Office;
use super::permission::Permission;
use super::{RegistryApi, actor};
use crate::instance::{Actor, Desk, Instance, Refusal};
use crate::requests::{Decision, Origin, Request, RequestType, Status};

/// Which requests are shown.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ManagementRequestsFilter")]
pub struct RequestFilter {
    /// In the number, the time, the owner's name or the server's identifier.
    pub query: Option<String>,
    /// The same by its short name.
    pub q: Option<String>,
    /// Only of this origin.
    pub origin: Option<OriginView>,
    /// Only of these types.
    pub types: Vec<RequestTypeView>,
    /// Only in this state.
    pub status: Option<StatusView>,
    /// Only about this server.
    pub server_id: Option<String>,
}

/// A row of the list: a request with the name of the server's owner.
type Row<'a> = (&'a str, &'a Request);

/// By what the list can be ordered.
fn orders<'a>() -> [Order<Row<'a>>; 6] {
    [
        ("id", |one, other| one.1.id.cmp(&other.1.id)),
        ("created_at", |one, other| one.1.created.cmp(&other.1.created)),
        ("type", |one, other| one.1.kind().name().cmp(other.1.kind().name())),
        ("security_server_owner", |one, other| folded(one.0, other.0)),
        ("security_server_id", |one, other| one.1.server.cmp(&other.1.server)),
        ("status", |one, other| state(one).cmp(state(other))),
    ]
}

fn state(row: &Row<'_>) -> &'static str {
    row.1.status.map_or("", Status::name)
}

/// A page of the requests that pass the filter.
fn find(instance: &Instance, filter: &RequestFilter, paging: &Paging) -> Result<Page<RequestRow>, ApiError> {
    let search = Search::new(filter.query.as_deref().or(filter.q.as_deref()));
    let origin = filter.origin.map(Origin::from);
    let status = filter.status.map(Status::from);
    let types: Vec<RequestType> = filter.types.iter().map(|kind| (*kind).into()).collect();
    let server = filter.server_id.as_deref().filter(|id| !id.is_empty()).map(server_of).transpose()?;
    let found = |row: &Row<'_>| {
        let Some(search) = &search else { return true };
        let owner = row.1.server.owner();
        let texts = [row.0, owner.instance(), owner.class(), owner.code(), row.1.server.code()];
        search.is_in_any(texts)
            || search.is_in(&row.1.id.to_string())
            || search.is_in(&row.1.created.to_seconds_text().replace(['T', 'Z'], " "))
    };
    let passes = |row: &Row<'_>| {
        origin.is_none_or(|origin| row.1.origin == origin)
            && status.is_none_or(|status| row.1.status == Some(status))
            && (types.is_empty() || types.contains(&row.1.kind()))
            && server.as_ref().is_none_or(|server| row.1.server == *server)
            && found(row)
    };
    let rows =
        instance.requests().values().map(|request| (owner_name(instance, request).unwrap_or(""), request));
    let (rows, paging_metadata) = paging.cut(rows.filter(passes), &orders())?;
    let items = rows.iter().map(|(_, request)| row(instance, request)).collect();
    Ok(Page { items, paging_metadata })
}

fn owner_name<'a>(instance: &'a Instance, request: &Request) -> Option<&'a str> {
    Some(instance.member(request.server.owner())?.member.name.as_str())
}

fn row(instance: &Instance, request: &Request) -> RequestRow {
    let client = request.content.client();
    let member = client.and_then(|client| instance.member(client.member()));
    RequestRow {
        id: request.id,
        kind: request.kind().into(),
        origin: request.origin.into(),
        security_server_owner: owner_name(instance, request).map(str::to_owned),
        security_server_id: ServerIdView::from(&request.server),
        address: request.content.address().map(str::to_owned),
        status: request.status.map(Into::into),
        client_id: client.map(ClientIdView::from),
        client_owner_name: member.map(|entry| entry.member.name.clone()),
        client_subsystem_name: client.and_then(|client| instance.subsystem(client)?.name.clone()),
        created_at: request.created.to_string(),
    }
}

fn details(instance: &Instance, request: &Request) -> RequestDetails {
    RequestDetails {
        row: row(instance, request),
        comments: request.comments.clone(),
        certificate_details: request.content.certificate().and_then(|der| super::certificate(der)),
        added_by: request.added_by.clone(),
        first_approval_by: request.first_approval.clone(),
        decided_by: request.decided_by.clone(),
    }
}

/// What it takes to add, approve and revoke a request of each type.
const fn permissions(kind: RequestType) -> (Permission, Option<Permission>, Option<Permission>) {
    use Permission as P;
    match kind {
        RequestType::CertificateRegistration => (
            P::AddAuthCertRegistrationRequest,
            Some(P::ApproveAuthCertRegistrationRequest),
            Some(P::RevokeAuthCertRegistrationRequest),
        ),
        RequestType::ClientRegistration => (
            P::AddClientRegistrationRequest,
            Some(P::ApproveClientRegistrationRequest),
            Some(P::RevokeClientRegistrationRequest),
        ),
        RequestType::OwnerChange => {
            (P::AddOwnerChangeRequest, Some(P::ApproveOwnerChangeRequest), Some(P::RevokeOwnerChangeRequest))
        }
        // These take effect as they come: nobody approves or revokes them.
        RequestType::CertificateDeletion => (P::AddAuthCertDeletionRequest, None, None),
        RequestType::ClientDeletion => (P::AddClientDeletionRequest, None, None),
        RequestType::ClientDisable => (P::AddClientDisableRequest, None, None),
        RequestType::ClientEnable => (P::AddClientEnableRequest, None, None),
        RequestType::ClientRename => (P::AddClientRenameRequest, None, None),
        RequestType::AddressChange => (P::AddAddressChangeRequest, None, None),
        RequestType::MaintenanceModeEnable => (P::AddMaintenanceModeEnableRequest, None, None),
        RequestType::MaintenanceModeDisable => (P::AddMaintenanceModeDisableRequest, None, None),
    }
}

/// All permissions of which an operation needs one, depending on the request.
const ADD: &[Permission] = &[
    Permission::AddAuthCertRegistrationRequest,
    Permission::AddAuthCertDeletionRequest,
    Permission::AddClientRegistrationRequest,
    Permission::AddClientDeletionRequest,
    Permission::AddOwnerChangeRequest,
    Permission::AddAddressChangeRequest,
    Permission::AddClientDisableRequest,
    Permission::AddClientEnableRequest,
    Permission::AddClientRenameRequest,
    Permission::AddMaintenanceModeEnableRequest,
    Permission::AddMaintenanceModeDisableRequest,
];
const APPROVE: &[Permission] = &[
    Permission::ApproveAuthCertRegistrationRequest,
    Permission::ApproveClientRegistrationRequest,
    Permission::ApproveOwnerChangeRequest,
];
const REVOKE: &[Permission] = &[
    Permission::RevokeAuthCertRegistrationRequest,
    Permission::RevokeClientRegistrationRequest,
    Permission::RevokeOwnerChangeRequest,
];

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    api.add(
        get("/management-requests", "findManagementRequests")
            .permission(Permission::ViewManagementRequests)
            .asks::<RequestFilter>()
            .asks::<Paging>()
            .answers::<Page<RequestRow>>(200),
        search,
    )
    .add(
        post("/management-requests", "addManagementRequest")
            .permission_any(ADD)
            .event("Add management request")
            .takes::<RequestView>()
            .answers::<RequestView>(201)
            .answers::<RequestView>(202)
            .refuses(404)
            .refuses(409),
        add,
    )
    .add(
        get("/management-requests/{management_request_id}", "getManagementRequest")
            .permission(Permission::ViewManagementRequestDetails)
            .answers::<RequestDetails>(200)
            .refuses(404),
        one,
    )
    .add(
        post("/management-requests/{management_request_id}/approval", "approveManagementRequest")
            .permission_any(APPROVE)
            .event("Approve management request")
            .answers::<RequestView>(200)
            .answers::<RequestView>(202)
            .refuses(404)
            .refuses(409),
        approve,
    )
    .add(
        delete("/management-requests/{management_request_id}", "revokeManagementRequest")
            .permission_any(REVOKE)
            .event("Revoke management request")
            .answers_nothing(200)
            .refuses(404)
            .refuses(409),
        revoke,
    )
    .add(
        get("/management-requests/{management_request_id}/changes", "getManagementRequestChanges")
            .permission(Permission::ViewManagementRequestDetails)
            .answers::<Vec<ChangeView>>(200)
            .refuses(404)
            .refuses(409),
        changes,
    )
}

async fn search(
    call: Call<Office>,
    Query(filter): Query<RequestFilter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<RequestRow>>, ApiError> {
    Ok(Json(call.node().search(move |instance| find(instance, &filter, &paging)).await?))
}

async fn add(
    call: Call<Office>,
    Json(body): Json<RequestView>,
) -> Result<(StatusCode, Json<RequestView>), ApiError> {
    let content = body.content()?;
    let (permission, _, _) = permissions(content.kind());
    call.require(permission)?;
    // Whoever speaks for servers does nothing else, and nobody else speaks for them.
    let for_server = body.origin == OriginView::SecurityServer;
    if call.may(Permission::ImpersonateSecurityServer) != for_server {
        return Err(ApiError::forbidden());
    }
    let server = server_of(&body.security_server_id)?;
    let actor = if for_server { Actor::SecurityServer } else { actor(&call) };
    let add = move |desk: &Desk| desk.add_request(&actor, &server, content, None);
    let request = call.node().command(add).await?;
    facts(&call, &request);
    let status = match request.status {
        Some(Status::Approved) => StatusCode::CREATED,
        _ => StatusCode::ACCEPTED,
    };
    Ok((status, Json(RequestView::of(&request))))
}

/// A request that must exist.
fn look<T>(call: &Call<Office>, id: u32, look: impl FnOnce(&Instance, &Request) -> T) -> Result<T, ApiError> {
    let found = call.node().look(|instance| Some(look(instance, instance.requests().get(&id)?)));
    Ok(found.ok_or(Refusal::RequestNotFound(id))?)
}

async fn one(call: Call<Office>, Path(id): Path<u32>) -> Result<Json<RequestDetails>, ApiError> {
    Ok(Json(look(&call, id, details)?))
}

async fn approve(
    call: Call<Office>,
    Path(id): Path<u32>,
) -> Result<(StatusCode, Json<RequestView>), ApiError> {
    call.fact("managementRequestId", id);
    let kind = look(&call, id, |_, request| request.kind())?;
    call.require(permissions(kind).1.ok_or_else(ApiError::forbidden)?)?;
    let actor = actor(&call);
    let decision = call.node().command(move |desk| desk.approve_request(&actor, id)).await?;
    facts(&call, decision.request());
    let status = match &decision {
        Decision::Approved(_) => StatusCode::OK,
        Decision::FirstApproval(_) => StatusCode::ACCEPTED,
    };
    Ok((status, Json(RequestView::of(decision.request()))))
}

async fn revoke(call: Call<Office>, Path(id): Path<u32>) -> Result<(), ApiError> {
    call.fact("managementRequestId", id);
    let (kind, origin) = look(&call, id, |_, request| (request.kind(), request.origin))?;
    if origin == Origin::SecurityServer {
        call.event("Decline management request");
    }
    call.require(permissions(kind).2.ok_or_else(ApiError::forbidden)?)?;
    let actor = actor(&call);
    let request = call.node().command(move |desk| desk.revoke_request(&actor, id)).await?;
    facts(&call, &request);
    Ok(())
}

/// What the audit log says of a request.
fn facts(call: &Call<Office>, request: &Request) {
    call.fact("managementRequestId", request.id);
    call.fact("managementRequestType", request.kind().name());
    call.fact("managementRequestStatus", request.status.map(Status::name));
    call.fact("serverIdentifier", request.server.joined());
    call.fact("clientIdentifier", request.content.client().map(ClientId::joined));
}

async fn changes(call: Call<Office>, Path(id): Path<u32>) -> Result<Json<Vec<ChangeView>>, ApiError> {
    let changes = call.node().command(move |desk| desk.differences(id)).await?;
    Ok(Json(changes.into_iter().map(Into::into).collect()))
}
