//! `/system`: version and kind of the server.

use administration::api::{Call, Json, get};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Office, Permission, ServerApi};

/// The version of the program.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "VersionInfo")]
struct VersionView {
    /// The version.
    info: String,
}

/// Whether several nodes share the identity.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "NodeTypeResponse")]
struct NodeTypeView {
    /// `STANDALONE`, `PRIMARY` or `SECONDARY`.
    node_type: String,
}

pub(super) fn operations(api: ServerApi) -> ServerApi {
    api.add(
        get("/system/version", "systemVersion")
            .summary("the version of the program")
            .permission(Permission::ViewVersion)
            .answers::<VersionView>(200),
        version,
    )
    .add(
        get("/system/node-type", "getNodeType")
            .summary("whether several nodes share the identity of the server")
            .permission(Permission::ViewNodeType)
            .answers::<NodeTypeView>(200),
        node_type,
    )
}

async fn version(_call: Call<Office>) -> Json<VersionView> {
    Json(VersionView { info: env!("CARGO_PKG_VERSION").to_owned() })
}

/// Several nodes of one identity are not there yet.
async fn node_type(_call: Call<Office>) -> Json<NodeTypeView> {
    Json(NodeTypeView { node_type: "STANDALONE".to_owned() })
}
