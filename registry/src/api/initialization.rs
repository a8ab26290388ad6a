//! `/initialization`.

use administration::api::{ApiError, Call, Json, get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::RegistryApi;
use super::office::Office;
use super::permission::Permission;
use crate::instance::Initialisation;

/// What a new registry needs; what it has already must not be given.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "InitialServerConf")]
pub struct InitialSettings {
    /// The instance identifier, which never changes.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub instance_identifier: Option<String>,
    /// Host name or address of the registry.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub central_server_address: Option<String>,
    /// PIN of the software token that will keep the signing keys.
    #[serde(default)]
    #[schemars(length(max = 255), with = "Option<String>")]
    pub software_token_pin: Option<Zeroizing<String>>,
}

/// What of a new registry is done.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "InitializationStatus")]
pub struct InitializationStatus {
    /// The instance identifier; empty before initialisation.
    pub instance_identifier: String,
    /// Host name or address; empty before initialisation.
    pub central_server_address: String,
    /// Whether there is a software token.
    pub software_token_init_status: TokenInitStatus,
}

/// Whether there is a software token.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "TokenInitStatus")]
pub enum TokenInitStatus {
    /// There is one.
    Initialized,
    /// There is none.
    NotInitialized,
    /// Nobody can tell.
    Unknown,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    api.add(
        get("/initialization/status", "getInitializationStatus")
            .authenticated()
            .answers::<InitializationStatus>(200),
        status,
    )
    .add(
        post("/initialization", "initCentralServer")
            .permission(Permission::InitConfig)
            .event("Initialize central server")
            .takes::<InitialSettings>()
            .answers_nothing(200)
            .refuses(409),
        initialise,
    )
}

async fn status(call: Call<Office>) -> Result<Json<InitializationStatus>, ApiError> {
    Ok(Json(InitializationStatus::of(call.node())))
}

async fn initialise(call: Call<Office>, Json(body): Json<InitialSettings>) -> Result<(), ApiError> {
    call.fact("centralServerAddress", body.central_server_address.as_deref());
    call.fact("instanceIdentifier", body.instance_identifier.as_deref());
    let given = Initialisation {
        instance: body.instance_identifier,
        address: body.central_server_address,
        pin: body.software_token_pin,
    };
    call.node().command(move |desk| desk.initialise(given)).await
}

impl InitializationStatus {
    pub(super) fn of(office: &Office) -> Self {
        let status = office.desk.initialisation_status();
        let token = if status.token { TokenInitStatus::Initialized } else { TokenInitStatus::NotInitialized };
        Self {
            instance_identifier: status.instance.unwrap_or_default(),
            central_server_address: status.address.unwrap_or_default(),
            software_token_init_status: token,
        }
    }
}
