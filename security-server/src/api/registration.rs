//! `/system/server-address` and `/system/maintenance-mode`: what the registry is asked to change about this
//! server (registry and administration §4.12).
//!
//! A change that was asked for is shown until the global configuration shows it. What was asked for is not
//! kept over a restart; the registry keeps the request.

use administration::api::{ApiError, Call, Json, NoContent, get, put};
use http::StatusCode;
use protocol::configuration::RegisteredServer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lookups::snapshot;
use super::token_certificates::management_refusal;
use super::{Office, Permission, ServerApi};

/// An address.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(rename = "SecurityServerAddress")]
struct Address {
    /// An IP address or a host name.
    #[schemars(length(min = 1, max = 255))]
    address: String,
}

/// The address, and the one that was asked for.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "SecurityServerAddressStatus")]
struct AddressStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    current_address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_change: Option<Address>,
}

/// Why the server is in maintenance.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "MaintenanceModeMessage")]
struct Message {
    /// For those who call in vain.
    #[schemars(length(max = 255))]
    message: Option<String>,
}

/// Whether the server is in maintenance.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "MaintenanceMode")]
struct MaintenanceView {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    is_management_services_provider: bool,
}

pub(super) fn operations(api: ServerApi) -> ServerApi {
    api.add(
        get("/system/server-address", "getServerAddress")
            .summary("the address of the server, and one that was asked for")
            .permission(Permission::ViewSysParams)
            .answers::<AddressStatus>(200)
            .refuses(409),
        address,
    )
    .add(
        put("/system/server-address", "addressChange")
            .summary("ask the registry for another address")
            .permission(Permission::ChangeSsAddress)
            .event("Change security server address")
            .takes::<Address>()
            .answers_nothing(202)
            .refuses(409),
        change_address,
    )
    .add(
        get("/system/maintenance-mode", "maintenanceMode")
            .summary("whether the server is in maintenance")
            .permission(Permission::ViewSysParams)
            .answers::<MaintenanceView>(200)
            .refuses(409),
        maintenance,
    )
    .add(
        put("/system/maintenance-mode/enable", "enableMaintenanceMode")
            .summary("ask the registry to send nobody here")
            .permission(Permission::ToggleMaintenanceMode)
            .event("Enable maintenance mode")
            .takes::<Message>()
            .answers_nothing(204)
            .refuses(409),
        enable,
    )
    .add(
        put("/system/maintenance-mode/disable", "disableMaintenanceMode")
            .summary("ask the registry to send callers here again")
            .permission(Permission::ToggleMaintenanceMode)
            .event("Disable maintenance mode")
            .answers_nothing(204)
            .refuses(409),
        disable,
    )
}

/// The server as the global configuration has it.
fn registered(call: &Call<Office>) -> Result<Option<RegisteredServer>, ApiError> {
    let (snapshot, control) = (snapshot(call)?, call.node().control()?);
    let own = snapshot.configuration().own();
    let found = own.and_then(|own| own.shared.servers.iter().find(|server| server.id == *control.server()));
    Ok(found.cloned())
}

async fn address(call: Call<Office>) -> Result<Json<AddressStatus>, ApiError> {
    let current = registered(&call)?.and_then(|server| server.address);
    let mut asked = call.node().asked();
    if asked.address == current {
        asked.address = None;
    }
    let view = |address: String| Address { address };
    let requested_change = asked.address.clone().map(view);
    Ok(Json(AddressStatus { current_address: current.map(view), requested_change }))
}

async fn change_address(call: Call<Office>, Json(wanted): Json<Address>) -> Result<StatusCode, ApiError> {
    call.fact("address", &wanted.address);
    if registered(&call)?.and_then(|server| server.address).as_ref() == Some(&wanted.address) {
        return Err(ApiError::conflict("same_address_change_request"));
    }
    let id = call.node().control()?.management().change_address(&wanted.address).await;
    call.fact("managementRequestId", id.map_err(|error| management_refusal(&error))?);
    call.node().asked().address = Some(wanted.address);
    Ok(StatusCode::ACCEPTED)
}

async fn maintenance(call: Call<Office>) -> Result<Json<MaintenanceView>, ApiError> {
    let current = registered(&call)?.and_then(|server| server.maintenance);
    let mut asked = call.node().asked();
    if asked.maintenance == Some(current.is_some()) {
        asked.maintenance = None;
    }
    let status = match (asked.maintenance, current.is_some()) {
        (Some(true), _) => "PENDING_ENABLE_MAINTENANCE_MODE",
        (Some(false), _) => "PENDING_DISABLE_MAINTENANCE_MODE",
        (None, true) => "ENABLED_MAINTENANCE_MODE",
        (None, false) => "DISABLED_MAINTENANCE_MODE",
    };
    drop(asked);
    let is_management_services_provider = provides_management(&call)?;
    Ok(Json(MaintenanceView { status, message: current, is_management_services_provider }))
}

/// Whether the management services are offered here; such a server cannot go into maintenance (§2.3).
fn provides_management(call: &Call<Office>) -> Result<bool, ApiError> {
    let snapshot = snapshot(call)?;
    let private = snapshot.configuration().own().and_then(|own| own.private.as_ref());
    let provider = private.map(|private| &private.management_service_provider);
    let server = registered(call)?;
    Ok(server.zip(provider).is_some_and(|(server, provider)| server.clients.contains(provider)))
}

async fn enable(call: Call<Office>, Json(message): Json<Message>) -> Result<NoContent, ApiError> {
    let message = message.message.as_deref().map(str::trim).filter(|message| !message.is_empty());
    call.fact("message", message);
    if message.is_some_and(|message| message.chars().count() > 255 || message.chars().any(char::is_control)) {
        return Err(ApiError::validation("message", "Size"));
    }
    if provides_management(&call)? || registered(&call)?.is_some_and(|server| server.maintenance.is_some()) {
        return Err(ApiError::conflict("action_not_possible"));
    }
    let id = call.node().control()?.management().enable_maintenance(message).await;
    call.fact("managementRequestId", id.map_err(|error| management_refusal(&error))?);
    call.node().asked().maintenance = Some(true);
    Ok(NoContent)
}

async fn disable(call: Call<Office>) -> Result<NoContent, ApiError> {
    if registered(&call)?.is_none_or(|server| server.maintenance.is_none()) {
        return Err(ApiError::conflict("action_not_possible"));
    }
    let id = call.node().control()?.management().disable_maintenance().await;
    call.fact("managementRequestId", id.map_err(|error| management_refusal(&error))?);
    call.node().asked().maintenance = Some(false);
    Ok(NoContent)
}
