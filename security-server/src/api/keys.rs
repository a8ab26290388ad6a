//! `/keys`: keys on tokens (registry and administration §4.11).

use std::sync::Arc;

use administration::api::{ApiError, Call, Json, NoContent, Path, delete, get, patch};
use certs::certificate::CertificateUsage;
use certs::token::{CertificateStatus, Token, TokenKey};

use super::initialization::token_refusal;
use super::key_views::{KeyView, key_view};
use super::tokens::{Name, blocking};
use super::{Office, Permission, ServerApi};
use crate::node::Control;

pub(super) fn operations(api: ServerApi) -> ServerApi {
    api.add(
        get("/keys/{id}", "getKey")
            .summary("a key with its certificates and certificate requests")
            .permission(Permission::ViewKeys)
            .answers::<KeyView>(200)
            .refuses(404)
            .refuses(409),
        one,
    )
    .add(
        patch("/keys/{id}", "updateKey")
            .summary("give a key another name")
            .permission(Permission::EditKeyFriendlyName)
            .event("Set friendly name to key")
            .takes::<Name>()
            .answers::<KeyView>(200)
            .refuses(404)
            .refuses(409),
        rename,
    )
    .add(
        delete("/keys/{id}", "deleteKey")
            .summary("remove a key with its certificates and requests; there is no way back")
            .permission_any(&[Permission::DeleteKey, Permission::DeleteAuthKey, Permission::DeleteSignKey])
            .event("Delete key")
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        remove,
    )
}

async fn one(call: Call<Office>, Path(id): Path<String>) -> Result<Json<KeyView>, ApiError> {
    view(&call, id).await
}

async fn rename(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(name): Json<Name>,
) -> Result<Json<KeyView>, ApiError> {
    call.fact("keyId", &id);
    let name = name.checked()?.to_owned();
    call.fact("keyFriendlyName", &name);
    let (control, wanted) = (call.node().control()?, id.clone());
    blocking(move || {
        let (place, _, key) = find(&control, &wanted)?;
        if place != 0 {
            return Err(ApiError::conflict("action_not_possible").with("names of a device's keys are fixed"));
        }
        control.software().rename_key(&key.id, &name).map_err(|error| token_refusal(&error))
    })
    .await?;
    view(&call, id).await
}

async fn remove(call: Call<Office>, Path(id): Path<String>) -> Result<NoContent, ApiError> {
    call.fact("keyId", &id);
    let (control, keyring) = (call.node().control()?, Arc::clone(call.node().keyring()));
    let wanted = id.clone();
    let usage = blocking(move || find(&control, &wanted).map(|(_, _, key)| key.usage)).await?;
    match usage {
        CertificateUsage::Authentication => call.require(Permission::DeleteAuthKey)?,
        CertificateUsage::Signing => call.require(Permission::DeleteSignKey)?,
    }
    call.fact("keyUsage", format!("{usage:?}").to_uppercase());
    let control = call.node().control()?;
    blocking(move || {
        let (_, token, key) = find(&control, &id)?;
        if !token.is_active() {
            return Err(ApiError::conflict("token_not_active"));
        }
        let is_registered = |status| {
            matches!(status, CertificateStatus::Registered | CertificateStatus::RegistrationInProgress)
        };
        let is_authentication = key.usage == CertificateUsage::Authentication;
        if is_authentication && key.certificates.iter().any(|held| is_registered(held.status)) {
            let why = "unregister the authentication certificate first";
            return Err(ApiError::conflict("action_not_possible").with(why));
        }
        token.remove_key(&key.id).map_err(|error| token_refusal(&error))?;
        control.keys_changed();
        keyring.remove_key(&key.id).map_err(|error| {
            tracing::error!(%error, "the requests of a removed key are still listed");
            ApiError::internal()
        })
    })
    .await?;
    Ok(NoContent)
}

async fn view(call: &Call<Office>, id: String) -> Result<Json<KeyView>, ApiError> {
    let (control, keyring) = (call.node().control()?, Arc::clone(call.node().keyring()));
    blocking(move || {
        let (place, token, key) = find(&control, &id)?;
        Ok(Json(key_view(&control, &keyring, &key, token.is_active(), place == 0)))
    })
    .await
}

/// A key by its id, with its token and the token's place.
pub(super) fn find(control: &Control, id: &str) -> Result<(usize, Arc<dyn Token>, TokenKey), ApiError> {
    let mut all =
        control.tokens().iter().enumerate().flat_map(|(place, token)| {
            token.keys().into_iter().map(move |key| (place, Arc::clone(token), key))
        });
    let found = all.find(|(_, _, key)| key.id.eq_ignore_ascii_case(id));
    found.ok_or_else(|| ApiError::not_found("key_not_found").with(id))
}
