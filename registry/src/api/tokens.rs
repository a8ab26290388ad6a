//! `/tokens`: where the keys that sign the configuration are.

use administration::api::{ApiError, Call, Json, Path, get, put};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::RegistryApi;
use super::office::Office;
use super::permission::Permission;
use super::signing_keys::KeyView;
use crate::instance;
use crate::instance::Refusal;
use crate::publish::SourceKind;

/// A token.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Token")]
pub struct TokenView {
    /// Its id; the software token has `0`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether its keys can be used.
    pub active: bool,
    /// Whether it is there.
    pub available: bool,
    /// Whether its PIN was given.
    pub logged_in: bool,
    /// Serial number of a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// How it is.
    pub status: TokenStatus,
    /// What can be done with it now.
    pub possible_actions: Vec<TokenAction>,
    /// Its keys that sign the configuration.
    pub configuration_signing_keys: Vec<KeyView>,
}

/// How a token is.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TokenStatus {
    /// Well.
    Ok,
    /// The PIN was wrong too often.
    UserPinLocked,
    /// The PIN was wrong.
    UserPinIncorrect,
    /// The PIN cannot be one.
    UserPinInvalid,
    /// The PIN is too old.
    UserPinExpired,
    /// The PIN was wrong; few tries are left.
    UserPinCountLow,
    /// One try is left.
    UserPinFinalTry,
    /// It has no PIN yet.
    NotInitialized,
}

/// What can be done with a token.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "PossibleTokenAction")]
pub enum TokenAction {
    /// Give the PIN.
    Login,
    /// Forget the PIN.
    Logout,
    /// Make a key of the internal source.
    GenerateInternalKey,
    /// Make a key of the external source.
    GenerateExternalKey,
    /// Change the PIN.
    ChangePin,
    /// Change the name.
    EditFriendlyName,
}

/// The PIN of a token.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenPassword")]
pub struct TokenPassword {
    /// The PIN.
    #[schemars(length(min = 1), with = "String")]
    pub password: Zeroizing<String>,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    api.add(
        get("/tokens", "getTokens")
            .permission_any(&[
                Permission::ViewInternalConfigurationSource,
                Permission::ViewExternalConfigurationSource,
            ])
            .answers::<Vec<TokenView>>(200),
        list,
    )
    .add(
        put("/tokens/{token_id}/login", "loginToken")
            .permission(Permission::ActivateToken)
            .event("Log in to token")
            .takes::<TokenPassword>()
            .answers::<TokenView>(200)
            .refuses(404),
        login,
    )
    .add(
        put("/tokens/{token_id}/logout", "logoutToken")
            .permission(Permission::DeactivateToken)
            .event("Log out from token")
            .answers::<TokenView>(200)
            .refuses(404),
        logout,
    )
}

async fn list(call: Call<Office>) -> Result<Json<Vec<TokenView>>, ApiError> {
    Ok(Json(call.node().desk.token_views().iter().map(TokenView::from).collect()))
}

async fn login(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(body): Json<TokenPassword>,
) -> Result<Json<TokenView>, ApiError> {
    facts(&call, &id);
    let token = id.clone();
    call.node().command(move |desk| desk.login(&token, &body.password)).await?;
    view(&call, &id)
}

async fn logout(call: Call<Office>, Path(id): Path<String>) -> Result<Json<TokenView>, ApiError> {
    facts(&call, &id);
    let token = id.clone();
    call.node().command(move |desk| desk.logout(&token)).await?;
    view(&call, &id)
}

fn view(call: &Call<Office>, id: &str) -> Result<Json<TokenView>, ApiError> {
    let tokens = call.node().desk.token_views();
    let token = tokens.iter().find(|token| token.id == id);
    Ok(Json(TokenView::from(token.ok_or_else(|| Refusal::TokenNotFound(id.to_owned()))?)))
}

/// What the audit log says of a token.
pub(super) fn facts(call: &Call<Office>, id: &str) {
    call.fact("tokenId", id);
    let tokens = call.node().desk.token_views();
    let name = tokens.iter().find(|token| token.id == id).map(|token| token.name.as_str());
    call.fact("tokenFriendlyName", name);
}

impl From<&instance::TokenView> for TokenView {
    fn from(token: &instance::TokenView) -> Self {
        let room = |source, action| token.has_room(source).then_some(action);
        let possible_actions = if token.active {
            [
                Some(TokenAction::Logout),
                room(SourceKind::Internal, TokenAction::GenerateInternalKey),
                room(SourceKind::External, TokenAction::GenerateExternalKey),
                Some(TokenAction::ChangePin),
            ]
            .into_iter()
            .flatten()
            .collect()
        } else {
            vec![TokenAction::Login]
        };
        Self {
            id: token.id.clone(),
            name: token.name.clone(),
            active: token.active,
            available: true,
            logged_in: token.active,
            serial_number: None,
            status: TokenStatus::Ok,
            possible_actions,
            configuration_signing_keys: token
                .keys
                .iter()
                .map(|key| KeyView::of(key, token.active, true))
                .collect(),
        }
    }
}
