//! `/tokens`: where keys lie (registry and administration §4.11).

use std::sync::Arc;

use administration::api::{ApiError, Call, Json, Path, get, patch, put};
use certs::token::Token;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::initialization::token_refusal;
use super::key_views::{TokenView, token_id, token_view};
use super::{Office, Permission, ServerApi};
use crate::node::Control;

/// A PIN.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenPassword")]
struct Pin {
    /// The PIN.
    #[schemars(with = "String")]
    password: Zeroizing<String>,
}

/// A change of the PIN.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenPinUpdate")]
struct NewPin {
    /// The PIN so far.
    #[schemars(with = "String")]
    old_pin: Zeroizing<String>,
    /// The PIN from now on.
    #[schemars(with = "String")]
    new_pin: Zeroizing<String>,
}

/// A name.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenName")]
pub(super) struct Name {
    /// The name.
    #[schemars(length(min = 1, max = 255))]
    pub(super) name: String,
}

impl Name {
    /// The name without white space around it.
    pub(super) fn checked(&self) -> Result<&str, ApiError> {
        let name = self.name.trim();
        let is_good = (1..=255).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if is_good { Ok(name) } else { Err(ApiError::validation("name", "Size")) }
    }
}

pub(super) fn operations(api: ServerApi) -> ServerApi {
    let api = api
        .add(
            get("/tokens", "getTokens")
                .summary("all tokens with their keys and certificates")
                .permission(Permission::ViewKeys)
                .answers::<Vec<TokenView>>(200)
                .refuses(409),
            list,
        )
        .add(
            get("/tokens/{id}", "getToken")
                .summary("a token with its keys and certificates")
                .permission(Permission::ViewKeys)
                .answers::<TokenView>(200)
                .refuses(404)
                .refuses(409),
            one,
        )
        .add(
            patch("/tokens/{id}", "updateToken")
                .summary("give a token another name")
                .permission(Permission::EditTokenFriendlyName)
                .event("Set friendly name to token")
                .takes::<Name>()
                .answers::<TokenView>(200)
                .refuses(404)
                .refuses(409),
            rename,
        );
    api.add(
        put("/tokens/{id}/login", "loginToken")
            .summary("open a token with its PIN")
            .permission(Permission::ActivateDeactivateToken)
            .event("Log in to token")
            .takes::<Pin>()
            .answers::<TokenView>(200)
            .refuses(404)
            .refuses(409),
        log_in,
    )
    .add(
        put("/tokens/{id}/logout", "logoutToken")
            .summary("close a token")
            .permission(Permission::ActivateDeactivateToken)
            .event("Log out from token")
            .answers::<TokenView>(200)
            .refuses(404)
            .refuses(409),
        log_out,
    )
    .add(
        put("/tokens/{id}/pin", "updateTokenPin")
            .summary("change the PIN of the software token")
            .permission(Permission::UpdateTokenPin)
            .event("Change token pin")
            .takes::<NewPin>()
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        change_pin,
    )
}

async fn list(call: Call<Office>) -> Result<Json<Vec<TokenView>>, ApiError> {
    let (control, keyring) = (call.node().control()?, Arc::clone(call.node().keyring()));
    blocking(move || {
        let tokens = control.tokens().iter().enumerate();
        Ok(tokens.map(|(place, token)| token_view(&control, &keyring, place, token.as_ref())).collect())
    })
    .await
    .map(Json)
}

async fn one(call: Call<Office>, Path(id): Path<String>) -> Result<Json<TokenView>, ApiError> {
    view(&call, &id).await
}

async fn rename(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(name): Json<Name>,
) -> Result<Json<TokenView>, ApiError> {
    call.fact("tokenId", &id);
    let name = name.checked()?.to_owned();
    call.fact("tokenFriendlyName", &name);
    let control = call.node().control()?;
    find(&control, &id)?;
    let (keyring, token) = (Arc::clone(call.node().keyring()), id.clone());
    blocking(move || {
        keyring.rename(&token, &name).map_err(|error| {
            tracing::error!(%error, "the name of a token could not be kept");
            ApiError::internal()
        })
    })
    .await?;
    view(&call, &id).await
}

async fn log_in(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(pin): Json<Pin>,
) -> Result<Json<TokenView>, ApiError> {
    call.fact("tokenId", &id);
    let control = call.node().control()?;
    only_software(&control, &id)?;
    blocking(move || {
        control.software().log_in(&pin.password).map_err(|error| token_refusal(&error))?;
        control.keys_changed();
        Ok(())
    })
    .await?;
    view(&call, &id).await
}

async fn log_out(call: Call<Office>, Path(id): Path<String>) -> Result<Json<TokenView>, ApiError> {
    call.fact("tokenId", &id);
    let control = call.node().control()?;
    only_software(&control, &id)?;
    blocking(move || {
        control.software().log_out().map_err(|error| token_refusal(&error))?;
        control.keys_changed();
        Ok(())
    })
    .await?;
    view(&call, &id).await
}

async fn change_pin(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(pins): Json<NewPin>,
) -> Result<StatusCode, ApiError> {
    call.fact("tokenId", &id);
    let control = call.node().control()?;
    only_software(&control, &id)?;
    if !pins.new_pin.is_ascii() {
        return Err(ApiError::bad_request("invalid_characters_pin"));
    }
    blocking(move || {
        let changed = control.software().change_pin(&pins.old_pin, &pins.new_pin);
        changed.map_err(|error| token_refusal(&error))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn view(call: &Call<Office>, id: &str) -> Result<Json<TokenView>, ApiError> {
    let (control, keyring) = (call.node().control()?, Arc::clone(call.node().keyring()));
    let (place, token) = find(&control, id)?;
    blocking(move || Ok(Json(token_view(&control, &keyring, place, token.as_ref())))).await
}

/// A token by its id.
pub(super) fn find(control: &Control, id: &str) -> Result<(usize, Arc<dyn Token>), ApiError> {
    let mut tokens = control.tokens().iter().enumerate();
    let found = tokens.find(|(place, _)| token_id(*place) == id);
    let (place, token) = found.ok_or_else(|| ApiError::not_found("token_not_found").with(id))?;
    Ok((place, Arc::clone(token)))
}

/// Devices are logged in to with the PIN that the configuration names; this is for the software token.
fn only_software(control: &Control, id: &str) -> Result<(), ApiError> {
    match find(control, id)? {
        (0, _) => Ok(()),
        _ => {
            Err(ApiError::conflict("action_not_possible")
                .with("the configuration file names the device's PIN"))
        }
    }
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
