//! `/system`.

use administration::api::{ApiError, Call, Json, get, put};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RegistryApi;
use super::initialization::InitializationStatus;
use super::office::Office;
use super::permission::Permission;

/// How the registry is.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "SystemStatus")]
pub struct SystemStatus {
    /// What of it is initialised.
    pub initialization_status: InitializationStatus,
    /// Whether it has several nodes.
    pub high_availability_status: AvailabilityStatus,
}

/// Whether a registry has several nodes.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "HighAvailabilityStatus")]
pub struct AvailabilityStatus {
    /// Whether it has.
    pub is_ha_configured: bool,
    /// The name of this node.
    pub node_name: String,
}

/// The nodes of a registry.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "HighAvailabilityClusterStatus")]
pub struct ClusterStatus {
    /// Whether there are several.
    pub is_ha_configured: bool,
    /// The name of this node.
    pub node_name: String,
    /// All of them.
    pub nodes: Vec<ClusterNode>,
    /// Whether all publish.
    pub all_nodes_ok: bool,
}

/// A node of a registry.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "HighAvailabilityClusterNode")]
pub struct ClusterNode {
    /// Its name.
    pub node_name: String,
    /// Its host name or address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_address: Option<String>,
    /// When it published last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_generated: Option<String>,
    /// How it is.
    pub status: NodeHealth,
}

/// How a node is.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NodeHealth {
    /// It publishes.
    Ok,
    /// What it published is older than it should be.
    Warn,
    /// What it published has expired.
    Error,
    /// It has published nothing yet.
    Unknown,
}

/// Which program answers.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Version")]
pub struct Version {
    /// Its version.
    pub info: String,
}

/// A new address of the registry.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "CentralServerAddress")]
pub struct RegistryAddress {
    /// Host name or address.
    #[schemars(length(min = 1, max = 255))]
    pub central_server_address: String,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    api.add(
        get("/system/status", "getSystemStatus")
            .permission(Permission::ViewVersion)
            .answers::<SystemStatus>(200),
        status,
    )
    .add(
        get("/system/version", "getSystemVersion")
            .permission(Permission::ViewVersion)
            .answers::<Version>(200),
        version,
    )
    .add(
        get("/system/high-availability-cluster/status", "getHighAvailabilityClusterStatus")
            .permission(Permission::ViewVersion)
            .answers::<ClusterStatus>(200),
        cluster,
    )
    .add(
        put("/system/server-address", "updateCentralServerAddress")
            .permission(Permission::EditCentralServerAddress)
            .event("Edit central server address")
            .takes::<RegistryAddress>()
            .answers::<SystemStatus>(200),
        set_address,
    )
}

impl SystemStatus {
    fn of(office: &Office) -> Self {
        let availability = AvailabilityStatus { is_ha_configured: false, node_name: NODE.to_owned() };
        Self {
            initialization_status: InitializationStatus::of(office),
            high_availability_status: availability,
        }
    }
}

/// The name of the only node.
const NODE: &str = "node_0";

async fn status(call: Call<Office>) -> Result<Json<SystemStatus>, ApiError> {
    Ok(Json(SystemStatus::of(call.node())))
}

async fn version(_call: Call<Office>) -> Result<Json<Version>, ApiError> {
    Ok(Json(Version { info: format!("Causeway {}", env!("CARGO_PKG_VERSION")) }))
}

async fn cluster(call: Call<Office>) -> Result<Json<ClusterStatus>, ApiError> {
    let office = call.node();
    let publication = office.desk.publication();
    let now = office.desk.clock().now();
    let status = match (publication.expires, &publication.failure) {
        (None, _) => NodeHealth::Unknown,
        (Some(expires), _) if expires <= now => NodeHealth::Error,
        (Some(_), Some(_)) => NodeHealth::Warn,
        (Some(_), None) => NodeHealth::Ok,
    };
    let node = ClusterNode {
        node_name: NODE.to_owned(),
        node_address: office.look(|instance| instance.parameters().address.clone()),
        configuration_generated: publication.made.map(|made| made.to_string()),
        status,
    };
    Ok(Json(ClusterStatus {
        is_ha_configured: false,
        node_name: NODE.to_owned(),
        all_nodes_ok: status == NodeHealth::Ok,
        nodes: vec![node],
    }))
}

async fn set_address(
    call: Call<Office>,
    Json(body): Json<RegistryAddress>,
) -> Result<Json<SystemStatus>, ApiError> {
    call.fact("centralServerAddress", &body.central_server_address);
    call.node().command(move |desk| desk.set_address(&body.central_server_address)).await?;
    Ok(Json(SystemStatus::of(call.node())))
}
