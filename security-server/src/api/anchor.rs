//! `/system/anchor`: which registry the server believes (registry and administration §4.1; global
//! configuration and trust §2.3).

use std::sync::Arc;

use administration::api::{ApiError, Call, Download, Json, Octets, Query, get, post, put};
use gateway::configuration::{self, ConfigurationClient};
use gateway::http::Fetcher;
use gateway::snapshot::SnapshotCell;
use http::StatusCode;
use protocol::configuration::Anchor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Office, Permission, ServerApi};
use crate::config::Identity;

/// How an anchor looks.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Anchor")]
struct AnchorView {
    /// SHA-224 of the file as people compare it.
    hash: String,
    /// When it was made.
    created_at: String,
}

/// How a preview is made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct PreviewQuery {
    /// Whether an anchor of another instance than the server's is refused. Default: yes.
    validate_instance: Option<bool>,
}

pub(super) fn operations(api: ServerApi) -> ServerApi {
    api.add(
        get("/system/anchor", "getAnchor")
            .summary("the configuration anchor")
            .permission(Permission::ViewAnchor)
            .answers::<AnchorView>(200)
            .refuses(404),
        look,
    )
    .add(
        post("/system/anchor", "uploadInitialAnchor")
            .summary("give the server its first anchor")
            .permission(Permission::InitConfig)
            .event("Initialize anchor")
            .takes_octets()
            .answers_nothing(201)
            .refuses(409),
        upload,
    )
    .add(
        put("/system/anchor", "replaceAnchor")
            .summary("give the server another anchor of its instance")
            .permission(Permission::UploadAnchor)
            .event("Upload configuration anchor")
            .takes_octets()
            .answers_nothing(201)
            .refuses(409),
        replace,
    )
    .add(
        post("/system/anchor/previews", "previewAnchor")
            .summary("see what an anchor says before it is used")
            .permission_any(&[Permission::UploadAnchor, Permission::InitConfig])
            .takes_octets()
            .asks::<PreviewQuery>()
            .answers::<AnchorView>(200),
        preview,
    )
    .add(
        get("/system/anchor/download", "downloadAnchor")
            .summary("the anchor as a file")
            .permission(Permission::DownloadAnchor)
            .answers_file(200, "application/octet-stream")
            .refuses(404),
        download,
    )
}

async fn look(call: Call<Office>) -> Result<Json<AnchorView>, ApiError> {
    let bytes = read(call.node())?;
    let anchor = parse(&bytes)?;
    Ok(Json(view(&anchor, &bytes)))
}

async fn preview(
    call: Call<Office>,
    Query(query): Query<PreviewQuery>,
    Octets(bytes): Octets,
) -> Result<Json<AnchorView>, ApiError> {
    let anchor = parse(&bytes)?;
    if query.validate_instance.unwrap_or(true) {
        check_instance(call.node(), &anchor)?;
    }
    Ok(Json(view(&anchor, &bytes)))
}

async fn upload(call: Call<Office>, Octets(bytes): Octets) -> Result<StatusCode, ApiError> {
    if call.node().anchor_file().exists() {
        return Err(ApiError::conflict("anchor_already_exists"));
    }
    take(&call, &bytes).await.map(|()| StatusCode::CREATED)
}

async fn replace(call: Call<Office>, Octets(bytes): Octets) -> Result<StatusCode, ApiError> {
    read(call.node())?;
    take(&call, &bytes).await.map(|()| StatusCode::CREATED)
}

async fn download(call: Call<Office>) -> Result<Download, ApiError> {
    let bytes = read(call.node())?;
    let anchor = parse(&bytes)?;
    let stamp = anchor.generated_at.map(|time| time.to_string()).unwrap_or_default();
    let name = format!("configuration_anchor_{stamp}.xml");
    Ok(Download { name, content_type: "application/octet-stream", content: bytes.into() })
}

/// Believes the anchor if the configuration that it leads to is good, and starts the server again.
async fn take(call: &Call<Office>, bytes: &[u8]) -> Result<(), ApiError> {
    let office = call.node();
    if office.administered().declares_anchor() {
        return Err(ApiError::conflict("declared_in_file").with("[server] anchor"));
    }
    let anchor = parse(bytes)?;
    call.fact("anchorFileHash", Anchor::shown_hash(bytes));
    call.fact("anchorFileHashAlgorithm", "SHA-224");
    call.fact("generatedAt", anchor.generated_at.map(|time| time.to_string()));
    check_instance(office, &anchor)?;
    verify(office, anchor).await?;
    crate::files::write(&office.anchor_file(), bytes).map_err(|error| {
        tracing::error!(%error, "the anchor cannot be written");
        ApiError::internal()
    })?;
    if office.administered().is_initialised() {
        office.restart().await.map_err(|error| {
            tracing::error!(%error, "the server does not start with the new anchor");
            ApiError::internal().with(error.to_string())
        })?;
    }
    Ok(())
}

/// Downloads the configuration once, aside, and looks whether it is one for security servers.
async fn verify(office: &Office, anchor: Anchor) -> Result<(), ApiError> {
    let failed = |reason: &dyn std::fmt::Display| {
        tracing::warn!(%reason, "the configuration of an uploaded anchor could not be verified");
        ApiError::new(500, "conf_verification.other").with(reason.to_string())
    };
    let folder = tempfile::tempdir_in(office.state_folder()).map_err(|error| failed(&error))?;
    let settings = configuration::Settings::new(anchor, folder.path().to_owned());
    let fetcher = Fetcher::new(configuration::CONNECT_TIMEOUT, configuration::READ_TIMEOUT);
    let snapshot = Arc::new(SnapshotCell::new());
    let mut client = ConfigurationClient::new(settings, fetcher, snapshot, office.clock());
    // A configuration for other instances, which has no private parameters, is refused here as well.
    client.refresh_once().await.map_err(|error| failed(&error.reason))
}

fn check_instance(office: &Office, anchor: &Anchor) -> Result<(), ApiError> {
    let known = Identity::read(office.state_folder())
        .ok()
        .map(|identity| identity.id().owner().instance().to_owned());
    match known {
        Some(known) if known != anchor.instance => {
            Err(ApiError::bad_request("invalid_instance").with(anchor.instance.clone()))
        }
        _ => Ok(()),
    }
}

fn read(office: &Office) -> Result<Vec<u8>, ApiError> {
    std::fs::read(office.anchor_file()).map_err(|_| ApiError::not_found("anchor_file_not_found"))
}

fn parse(bytes: &[u8]) -> Result<Anchor, ApiError> {
    Anchor::parse(bytes).map_err(|error| {
        tracing::debug!(%error, "an uploaded anchor is none");
        ApiError::bad_request("malformed_anchor")
    })
}

fn view(anchor: &Anchor, bytes: &[u8]) -> AnchorView {
    let created_at = anchor.generated_at.map(|time| time.to_string()).unwrap_or_default();
    AnchorView { hash: Anchor::shown_hash(bytes), created_at }
}
