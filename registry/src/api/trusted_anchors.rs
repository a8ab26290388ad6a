//! `/trusted-anchors`: the instances that this one is federated with.

use administration::api::{
    ApiError, Call, Created, Download, Form, Json, NoContent, Path, delete, get, post, put,
};
use protocol::configuration::Anchor;
use protocol::time::UtcTime;
use schemars::JsonSchema;
use serde::Serialize;

use super::configuration_sources::file_time;
use super::office::Office;
use super::permission::Permission;
use super::trust_uploads::AnchorForm;
use super::{RegistryApi, trust_uploads};
use crate::instance::{Refusal, TriedAnchor, TrustedAnchor, read_anchor};

/// The external anchor of another instance.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "TrustedAnchor")]
pub struct TrustedAnchorView {
    /// SHA-224 of its file, in hexadecimal with colons.
    pub hash: String,
    /// The instance.
    pub instance_identifier: String,
    /// When the other registry made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated_at: Option<String>,
    /// Whether the federation is suspended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{
        DeleteTrustedAnchor, DownloadTrustedAnchor, SuspendTrustedAnchor, UploadTrustedAnchor,
        ViewTrustedAnchors,
    };
    api.add(
        get("/trusted-anchors", "getTrustedAnchors")
            .permission(ViewTrustedAnchors)
            .answers::<Vec<TrustedAnchorView>>(200),
        list,
    )
    .add(
        post("/trusted-anchors", "uploadTrustedAnchor")
            .permission(UploadTrustedAnchor)
            .event("Add trusted anchor")
            .takes_form::<AnchorForm>()
            .answers::<TrustedAnchorView>(201)
            .refuses(409),
        add,
    )
    .add(
        post("/trusted-anchors/preview", "previewTrustedAnchor")
            .permission(UploadTrustedAnchor)
            .takes_form::<AnchorForm>()
            .answers::<TrustedAnchorView>(200),
        preview,
    )
    .add(
        get("/trusted-anchors/{hash}/download", "downloadTrustedAnchor")
            .permission(DownloadTrustedAnchor)
            .answers_file(200, "application/xml")
            .refuses(404),
        download,
    )
    .add(
        put("/trusted-anchors/{hash}/suspend", "suspendTrustedAnchor")
            .permission(SuspendTrustedAnchor)
            .event("Suspend federation")
            .answers::<TrustedAnchorView>(200)
            .refuses(404),
        suspend,
    )
    .add(
        put("/trusted-anchors/{hash}/resume", "resumeTrustedAnchor")
            .permission(SuspendTrustedAnchor)
            .event("Resume federation")
            .answers::<TrustedAnchorView>(200)
            .refuses(404),
        resume,
    )
    .add(
        delete("/trusted-anchors/{hash}", "deleteTrustedAnchor")
            .permission(DeleteTrustedAnchor)
            .event("Delete trusted anchor")
            .answers_nothing(204)
            .refuses(404),
        remove,
    )
}

async fn list(call: Call<Office>) -> Result<Json<Vec<TrustedAnchorView>>, ApiError> {
    Ok(Json(call.node().look(|instance| instance.anchors().values().map(TrustedAnchorView::from).collect())))
}

async fn add(call: Call<Office>, mut form: Form) -> Result<Created<TrustedAnchorView>, ApiError> {
    let file = trust_uploads::xml(&mut form, "anchor")?.content;
    let read = read_anchor(&file)?;
    call.fact("instanceIdentifier", &read.instance);
    call.fact("anchorFileHash", Anchor::shown_hash(&file));
    call.fact("anchorFileHashAlgorithm", "SHA-224");
    call.fact("anchorUrls", read.sources.iter().map(|source| &source.download_url).collect::<Vec<_>>());
    // The configuration that it leads to is downloaded before anybody trusts it.
    let tried = TriedAnchor::with(&file, call.node().desk.clock()).await?;
    let anchor = call.node().command(move |desk| desk.add_trusted_anchor(tried)).await?;
    Ok(Created(TrustedAnchorView::from(&anchor)))
}

async fn preview(_call: Call<Office>, mut form: Form) -> Result<Json<TrustedAnchorView>, ApiError> {
    let file = trust_uploads::xml(&mut form, "anchor")?.content;
    let anchor = read_anchor(&file)?;
    Ok(Json(TrustedAnchorView {
        hash: Anchor::shown_hash(&file),
        instance_identifier: anchor.instance,
        generated_at: anchor.generated_at.map(|at| at.to_string()),
        suspended: false,
    }))
}

async fn download(call: Call<Office>, Path(hash): Path<String>) -> Result<Download, ApiError> {
    let found = call.node().look(|instance| instance.anchor_with_hash(&hash).cloned());
    let anchor = found.ok_or(Refusal::AnchorNotFound(hash))?;
    let time = generated(&anchor).map(file_time).unwrap_or_default();
    let name = format!("configuration_anchor_{}_{time}.xml", anchor.instance);
    Ok(Download { name, content_type: "application/xml", content: anchor.file })
}

async fn suspend(call: Call<Office>, Path(hash): Path<String>) -> Result<Json<TrustedAnchorView>, ApiError> {
    set_suspended(&call, hash, true).await
}

async fn resume(call: Call<Office>, Path(hash): Path<String>) -> Result<Json<TrustedAnchorView>, ApiError> {
    set_suspended(&call, hash, false).await
}

async fn set_suspended(
    call: &Call<Office>,
    hash: String,
    suspended: bool,
) -> Result<Json<TrustedAnchorView>, ApiError> {
    call.fact("anchorFileHash", &hash);
    let anchor = call.node().command(move |desk| desk.suspend_federation(&hash, suspended)).await?;
    call.fact("instanceIdentifier", &anchor.instance);
    Ok(Json(TrustedAnchorView::from(&anchor)))
}

async fn remove(call: Call<Office>, Path(hash): Path<String>) -> Result<NoContent, ApiError> {
    call.fact("anchorFileHash", &hash);
    call.fact("anchorFileHashAlgorithm", "SHA-224");
    let anchor = call.node().command(move |desk| desk.delete_trusted_anchor(&hash)).await?;
    call.fact("instanceIdentifier", &anchor.instance);
    Ok(NoContent)
}

/// When the other registry made the anchor.
fn generated(anchor: &TrustedAnchor) -> Option<UtcTime> {
    Anchor::parse(&anchor.file).ok()?.generated_at
}

impl From<&TrustedAnchor> for TrustedAnchorView {
    fn from(anchor: &TrustedAnchor) -> Self {
        Self {
            hash: anchor.hash(),
            instance_identifier: anchor.instance.clone(),
            generated_at: generated(anchor).map(|at| at.to_string()),
            suspended: anchor.suspended,
        }
    }
}
