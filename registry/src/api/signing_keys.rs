//! `/signing-keys`, and those of a configuration source.

use administration::api::{ApiError, Call, Json, NoContent, Path, Query, delete, post, put};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::configuration_sources::SourceType;
use super::office::Office;
use super::permission::Permission;
use super::{RegistryApi, tokens};
use crate::instance::{ConfigurationKey, Desk};
use crate::publish::SourceKind;

/// A key that signs configuration.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ConfigurationSigningKey")]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// The token that it is in.
    pub token_id: String,
    /// What people call it.
    pub label: KeyLabel,
    /// Whether it signs now.
    pub active: bool,
    /// Whether it can sign.
    pub available: bool,
    /// When it was made.
    pub created_at: String,
    /// What can be done with it now.
    pub possible_actions: Vec<KeyAction>,
    /// What it signs; not told of a key that was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<SourceType>,
    /// The kind of key.
    pub key_algorithm: KeyAlgorithm,
}

/// A text for people in the form that the interface has it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "KeyLabel")]
pub struct KeyLabel {
    /// The text.
    pub label: String,
}

/// What can be done with a key.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "PossibleKeyAction")]
pub enum KeyAction {
    /// Delete it.
    Delete,
    /// Let it sign from now on.
    Activate,
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum KeyAlgorithm {
    /// RSA.
    Rsa,
    /// On a curve.
    Ec,
}

/// A new key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ConfigurationSigningKeyAdd")]
pub struct KeyAdd {
    /// What people will call it.
    #[schemars(length(min = 1, max = 255))]
    pub key_label: String,
    /// The token; scripts give the number of the software token as one.
    pub token_id: TokenId,
}

/// The id of a token, as a text or a number.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TokenId {
    /// A text.
    Text(String),
    /// A number.
    Number(u32),
}

impl TokenId {
    /// The id.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl KeyView {
    /// A key in a token that somebody is logged in to or not; the source is told in lists only.
    pub(super) fn of(key: &ConfigurationKey, logged_in: bool, in_list: bool) -> Self {
        let free = !key.active && logged_in;
        let possible_actions = if free { vec![KeyAction::Activate, KeyAction::Delete] } else { Vec::new() };
        let is_rsa = key.kind().is_some_and(|kind| kind.name().starts_with("RSA"));
        Self {
            id: key.id.clone(),
            token_id: key.token.clone(),
            label: KeyLabel { label: key.label.clone() },
            active: key.active,
            available: logged_in,
            created_at: key.generated.to_string(),
            possible_actions,
            source_type: in_list.then(|| SourceType::from(key.source)),
            key_algorithm: if is_rsa { KeyAlgorithm::Rsa } else { KeyAlgorithm::Ec },
        }
    }
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{ActivateSigningKey, DeleteSigningKey, GenerateSigningKey};
    api.add(
        post("/configuration-sources/{configuration_type}/signing-keys", "addKey")
            .permission(GenerateSigningKey)
            .event("Generate key")
            .takes::<KeyAdd>()
            .answers::<KeyView>(200)
            .refuses(404),
        add,
    )
    .add(
        put("/signing-keys/{sign_key_id}/activate", "activateKey")
            .permission(ActivateSigningKey)
            .event("Activate signing key")
            .asks::<Activation>()
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        activate,
    )
    .add(
        delete("/signing-keys/{sign_key_id}", "deleteKey")
            .permission(DeleteSigningKey)
            .event("Delete signing key")
            .answers_nothing(204)
            .refuses(404),
        remove,
    )
}

async fn add(
    call: Call<Office>,
    Path(source): Path<SourceType>,
    Json(body): Json<KeyAdd>,
) -> Result<Json<KeyView>, ApiError> {
    call.event(match source {
        SourceType::Internal => "Generate internal configuration signing key",
        SourceType::External => "Generate external configuration signing key",
    });
    let token = body.token_id.text();
    tokens::facts(&call, &token);
    call.fact("keyFriendlyName", &body.key_label);
    let add = move |desk: &Desk| desk.add_signing_key(source.into(), &token, &body.key_label);
    let key = call.node().command(add).await?;
    call.fact("keyId", &key.id);
    call.fact_hash("certHash", &key.certificate);
    Ok(Json(KeyView::of(&key, true, false)))
}

async fn activate(
    call: Call<Office>,
    Path(id): Path<String>,
    Query(activation): Query<Activation>,
) -> Result<NoContent, ApiError> {
    facts(
        &call,
        &id,
        "Activate internal configuration signing key",
        "Activate external configuration signing key",
    );
    let early = activation.ignore_warnings.unwrap_or(false);
    call.node().command(move |desk| desk.activate_signing_key(&id, early)).await?;
    Ok(NoContent)
}

async fn remove(call: Call<Office>, Path(id): Path<String>) -> Result<NoContent, ApiError> {
    facts(
        &call,
        &id,
        "Delete internal configuration signing key",
        "Delete external configuration signing key",
    );
    call.node().command(move |desk| desk.delete_signing_key(&id)).await?;
    Ok(NoContent)
}

/// What the audit log says of a key; the event names its source.
fn facts(call: &Call<Office>, id: &str, internal: &'static str, external: &'static str) {
    call.fact("keyId", id);
    let known = call
        .node()
        .look(|instance| instance.signing_keys().get(id).map(|key| (key.token.clone(), key.source)));
    if let Some((token, source)) = known {
        tokens::facts(call, &token);
        call.event(if source == SourceKind::Internal { internal } else { external });
    }
}

/// How a key is activated.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct Activation {
    /// Activate a key that clients may not know yet. Those that have not fetched since it was made need
    /// a new anchor then.
    pub ignore_warnings: Option<bool>,
}
