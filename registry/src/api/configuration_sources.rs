//! `/configuration-sources`: what is published for the own and for other instances.

use administration::api::{ApiError, Call, Download, Form, Json, NoContent, Path, get, post, put};
use protocol::time::UtcTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::office::Office;
use super::permission::Permission;
use super::trust_uploads::PartForm;
use super::{RegistryApi, trust_uploads};
use crate::instance::{Desk, OwnAnchor, Refusal};
use crate::publish::SourceKind;

/// For whom a configuration is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "ConfigurationType")]
pub enum SourceType {
    /// For the own instance.
    Internal,
    /// For other instances.
    External,
}

/// An anchor, if there is one yet.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ConfigurationAnchorContainer")]
pub struct AnchorContainer {
    /// The anchor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<AnchorView>,
}

/// An anchor.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ConfigurationAnchor")]
pub struct AnchorView {
    /// SHA-224 of its file, in hexadecimal with colons.
    pub hash: String,
    /// When it was made.
    pub created_at: String,
}

/// Where a configuration is.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "GlobalConfDownloadUrl")]
pub struct DownloadUrl {
    /// The address.
    pub url: String,
}

/// A part of a configuration.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ConfigurationPart")]
pub struct PartView {
    /// What it is.
    pub content_identifier: String,
    /// The name of its file at the servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Whether an operator provides it.
    pub optional: bool,
    /// When it was made or uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_updated_at: Option<String>,
    /// The version of the configuration that it is in; 0: all of them.
    pub version: u32,
}

impl From<SourceType> for SourceKind {
    fn from(source: SourceType) -> Self {
        match source {
            SourceType::Internal => Self::Internal,
            SourceType::External => Self::External,
        }
    }
}

impl From<SourceKind> for SourceType {
    fn from(source: SourceKind) -> Self {
        match source {
            SourceKind::Internal => Self::Internal,
            // A mirror has no keys of a registry.
            SourceKind::External | SourceKind::Mirror => Self::External,
        }
    }
}

impl From<&OwnAnchor> for AnchorView {
    fn from(anchor: &OwnAnchor) -> Self {
        Self { hash: anchor.hash(), created_at: anchor.generated.to_string() }
    }
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    const VIEW: &[Permission] =
        &[Permission::ViewInternalConfigurationSource, Permission::ViewExternalConfigurationSource];
    use Permission::{
        DownloadConfigurationPart, DownloadSourceAnchor, GenerateSourceAnchor, UploadConfigurationPart,
    };
    api.add(
        get("/configuration-sources/{configuration_type}/anchor", "getAnchor")
            .permission_any(VIEW)
            .answers::<AnchorContainer>(200),
        anchor,
    )
    .add(
        get("/configuration-sources/{configuration_type}/anchor/download", "downloadAnchor")
            .permission(DownloadSourceAnchor)
            .answers_file(200, "application/xml")
            .refuses(404),
        download_anchor,
    )
    .add(
        put("/configuration-sources/{configuration_type}/anchor/re-create", "reCreateAnchor")
            .permission(GenerateSourceAnchor)
            .event("Re-create configuration anchor")
            .answers::<AnchorView>(200)
            .refuses(409),
        recreate_anchor,
    )
    .add(
        get("/configuration-sources/{configuration_type}/download-url", "getDownloadUrl")
            .permission_any(VIEW)
            .answers::<DownloadUrl>(200),
        download_url,
    )
    .add(
        get("/configuration-sources/{configuration_type}/configuration-parts", "getConfigurationParts")
            .permission_any(VIEW)
            .answers::<Vec<PartView>>(200),
        parts,
    )
    .add(
        post("/configuration-sources/{configuration_type}/configuration-parts", "uploadConfigurationParts")
            .permission(UploadConfigurationPart)
            .event("Upload configuration part")
            .takes_form::<PartForm>()
            .answers_nothing(204),
        upload,
    )
    .add(
        get(
            "/configuration-sources/{configuration_type}/configuration-parts/{content_identifier}/{version}/download",
            "downloadConfigurationParts",
        )
        .permission(DownloadConfigurationPart)
        .answers_file(200, "application/xml")
        .refuses(404),
        download_part,
    )
}

/// Who looks at a source needs the permission for this one.
fn may_view(call: &Call<Office>, source: SourceType) -> Result<(), ApiError> {
    call.require(match source {
        SourceType::Internal => Permission::ViewInternalConfigurationSource,
        SourceType::External => Permission::ViewExternalConfigurationSource,
    })
}

async fn anchor(
    call: Call<Office>,
    Path(source): Path<SourceType>,
) -> Result<Json<AnchorContainer>, ApiError> {
    may_view(&call, source)?;
    let anchor = call.node().look(|instance| instance.own_anchor(source.into()).map(AnchorView::from));
    Ok(Json(AnchorContainer { anchor }))
}

async fn download_anchor(call: Call<Office>, Path(source): Path<SourceType>) -> Result<Download, ApiError> {
    let found = call.node().look(|instance| {
        let name = instance.parameters().instance.clone().unwrap_or_default();
        instance.own_anchor(source.into()).map(|anchor| (name, anchor.clone()))
    });
    let (instance, anchor) = found.ok_or_else(|| ApiError::new(404, "configuration_not_found"))?;
    let time = file_time(anchor.generated);
    let name = format!("configuration_anchor_{instance}_{}_UTC_{time}.xml", SourceKind::from(source).name());
    Ok(Download { name, content_type: "application/xml", content: anchor.file })
}

/// A time as file names have it: `2026-11-24_02_50_41`.
pub(super) fn file_time(time: UtcTime) -> String {
    time.to_seconds_text().trim_end_matches('Z').replace(['T', ':'], "_")
}

async fn recreate_anchor(
    call: Call<Office>,
    Path(source): Path<SourceType>,
) -> Result<Json<AnchorView>, ApiError> {
    call.event(match source {
        SourceType::Internal => "Re-create internal configuration anchor",
        SourceType::External => "Re-create external configuration anchor",
    });
    let anchor = call.node().command(move |desk| desk.recreate_anchor(source.into())).await?;
    call.fact("anchorFileHash", anchor.hash());
    call.fact("anchorFileHashAlgorithm", "SHA-224");
    Ok(Json(AnchorView::from(&anchor)))
}

async fn download_url(
    call: Call<Office>,
    Path(source): Path<SourceType>,
) -> Result<Json<DownloadUrl>, ApiError> {
    may_view(&call, source)?;
    let host = call.node().desk.authority().unwrap_or_default();
    Ok(Json(DownloadUrl { url: format!("https://{host}/{}", SourceKind::from(source).directory()) }))
}

async fn parts(call: Call<Office>, Path(source): Path<SourceType>) -> Result<Json<Vec<PartView>>, ApiError> {
    may_view(&call, source)?;
    Ok(Json(call.node().parts(source.into())))
}

async fn upload(
    call: Call<Office>,
    Path(source): Path<SourceType>,
    mut form: Form,
) -> Result<NoContent, ApiError> {
    let identifier = form.required("content_identifier")?;
    call.fact("sourceType", source);
    call.fact("contentIdentifier", &identifier);
    let file = trust_uploads::xml(&mut form, "file")?;
    call.fact("uploadFileName", &file.name);
    call.fact_hash("uploadFileHash", &file.content);
    let put = move |desk: &Desk| desk.put_part(source.into(), &identifier, &file.content);
    let part = call.node().command(put).await?;
    call.fact("partFileName", &part.file_name);
    Ok(NoContent)
}

async fn download_part(
    call: Call<Office>,
    Path((source, identifier, version)): Path<(SourceType, String, u32)>,
) -> Result<Download, ApiError> {
    let found = call.node().part(source.into(), &identifier, version);
    let (name, content) = found.ok_or(Refusal::PartNotFound(identifier))?;
    Ok(Download { name, content_type: "application/xml", content })
}
