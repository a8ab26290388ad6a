//! `/tokens`: where keys lie (registry and administration §4.11).

use administration::api::{ApiError, Call, Json, Path, put};
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::initialization::token_refusal;
use super::{Office, Permission, ServerApi};

/// The id of the software token.
pub(super) const SOFTWARE: &str = "0";

/// A PIN.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenPassword")]
struct Pin {
    /// The PIN.
    #[schemars(with = "String")]
    password: Zeroizing<String>,
}

pub(super) fn operations(api: ServerApi) -> ServerApi {
    api.add(
        put("/tokens/{id}/login", "loginToken")
            .summary("open a token with its PIN")
            .permission(Permission::ActivateDeactivateToken)
            .event("Log in to token")
            .takes::<Pin>()
            .answers_nothing(200)
            .refuses(404)
            .refuses(409),
        log_in,
    )
    .add(
        put("/tokens/{id}/logout", "logoutToken")
            .summary("close a token")
            .permission(Permission::ActivateDeactivateToken)
            .event("Log out from token")
            .answers_nothing(200)
            .refuses(404)
            .refuses(409),
        log_out,
    )
}

async fn log_in(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(pin): Json<Pin>,
) -> Result<Json<()>, ApiError> {
    call.fact("tokenId", &id);
    only_software(&id)?;
    let control = call.node().control()?;
    blocking(move || {
        control.software().log_in(&pin.password).map_err(|error| token_refusal(&error))?;
        control.keys_changed();
        Ok(())
    })
    .await
    .map(Json)
}

async fn log_out(call: Call<Office>, Path(id): Path<String>) -> Result<Json<()>, ApiError> {
    call.fact("tokenId", &id);
    only_software(&id)?;
    let control = call.node().control()?;
    blocking(move || {
        control.software().log_out().map_err(|error| token_refusal(&error))?;
        control.keys_changed();
        Ok(())
    })
    .await
    .map(Json)
}

fn only_software(id: &str) -> Result<(), ApiError> {
    if id == SOFTWARE { Ok(()) } else { Err(ApiError::not_found("token_not_found").with(id)) }
}

/// Does what waits for a disk, a device or much computation on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "an operation ended badly");
            Err(ApiError::internal())
        }
    }
}
