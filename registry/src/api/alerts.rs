//! `/notifications/alerts`: what an administrator must look after now.

use administration::api::{ApiError, Call, Json, get};
use schemars::JsonSchema;
use serde::Serialize;

use super::RegistryApi;
use super::office::Office;
use crate::instance::Missing;
use crate::publish::SourceKind;

/// Something to look after.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Alert")]
pub struct Alert {
    /// What it is.
    #[serde(rename = "errorCode")]
    pub error_code: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<String>,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    api.add(
        get("/notifications/alerts", "getAlerts").authenticated().only_looks().answers::<Vec<Alert>>(200),
        list,
    )
}

async fn list(call: Call<Office>) -> Result<Json<Vec<Alert>>, ApiError> {
    let desk = &call.node().desk;
    let status = desk.initialisation_status();
    // Before that there is nothing to look after but initialisation itself.
    if status.instance.is_none() || status.address.is_none() || !status.token {
        return Ok(Json(Vec::new()));
    }
    let publication = desk.publication();
    let mut alerts = Vec::new();
    let mut tell = |code: &str, metadata: Option<String>| {
        alerts.push(Alert { error_code: code.to_owned(), metadata: metadata.into_iter().collect() });
    };
    for missing in &publication.missing {
        match missing {
            Missing::Key(source) => tell(&format!("status.signing_key.{}.missing", source.name()), None),
            Missing::Login => {
                for source in SourceKind::ALL {
                    tell(&format!("status.signing_key.{}.token_not_active", source.name()), None);
                }
            }
            // Configuration waits for it, which is told below.
            Missing::Initialisation | Missing::Provider => {}
        }
    }
    match (&publication.failure, publication.expires) {
        (Some(_), _) => {
            let at = publication.made.map(|made| made.to_string());
            tell("status.global_conf_generation.failing", at);
        }
        (None, None) => tell("status.global_conf_generation.status_not_found", None),
        (None, Some(expires)) if expires <= desk.clock().now() => {
            tell("status.global_conf_generation.global_conf_expired", None);
        }
        (None, Some(_)) => {}
    }
    Ok(Json(alerts))
}
