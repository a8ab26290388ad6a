//! `/initialization`: from nothing to a server with an identity and a token (registry and administration
//! §4.1).

use std::sync::Arc;

use administration::api::{ApiError, Call, CodeWithDetails, Json, get, post};
use certs::token::{SoftwareToken, TokenError};
use gateway::ports::ConnectionType;
use http::StatusCode;
use protocol::configuration::Anchor;
use protocol::id::{ClientId, MemberId, SecurityServerId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Office, Permission, ServerApi};
use crate::config::Identity;
use crate::state::{ClientSettings, NodeState};

/// How far the server is set up.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "InitializationStatus")]
struct StatusView {
    /// There is an anchor.
    is_anchor_imported: bool,
    /// There is a server code.
    is_server_code_initialized: bool,
    /// There is an owner.
    is_server_owner_initialized: bool,
    /// `INITIALIZED` or `NOT_INITIALIZED`.
    software_token_init_status: &'static str,
    /// Whether weak PINs are refused.
    enforce_token_pin_policy: bool,
}

/// Who the server is to be. Parts that are there already are left out.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InitialServerConf")]
struct Wanted {
    /// Member class of the owner.
    owner_member_class: Option<String>,
    /// Member code of the owner.
    owner_member_code: Option<String>,
    /// The server code.
    security_server_code: Option<String>,
    /// The PIN of the software token that is made.
    #[schemars(with = "Option<String>")]
    software_token_pin: Option<Zeroizing<String>>,
    /// Go on in spite of warnings.
    #[serde(default)]
    ignore_warnings: bool,
}

pub(super) fn operations(api: ServerApi) -> ServerApi {
    api.add(
        get("/initialization/status", "getInitializationStatus")
            .summary("how far the server is set up")
            .authenticated()
            .answers::<StatusView>(200),
        status,
    )
    .add(
        post("/initialization", "initSecurityServer")
            .summary("give the server its identity and its software token")
            .permission(Permission::InitConfig)
            .event("Initialize server configuration")
            .takes::<Wanted>()
            .answers_nothing(201)
            .refuses(409),
        initialise,
    )
}

async fn status(call: Call<Office>) -> Json<StatusView> {
    let office = call.node();
    let is_initialised = office.administered().is_initialised();
    let has_token = SoftwareToken::exists(&token_folder(office));
    Json(StatusView {
        is_anchor_imported: office.anchor_file().exists(),
        is_server_code_initialized: is_initialised,
        is_server_owner_initialized: is_initialised,
        software_token_init_status: if has_token { "INITIALIZED" } else { "NOT_INITIALIZED" },
        enforce_token_pin_policy: false,
    })
}

async fn initialise(call: Call<Office>, Json(wanted): Json<Wanted>) -> Result<StatusCode, ApiError> {
    let office = call.node();
    call.fact("ownerMemberIdentifier", (&wanted.owner_member_class, &wanted.owner_member_code));
    call.fact("serverCode", &wanted.security_server_code);
    let anchor = std::fs::read(office.anchor_file()).map_err(|_| ApiError::conflict("anchor_not_found"))?;
    let anchor = Anchor::parse(&anchor).map_err(|_| ApiError::conflict("malformed_anchor"))?;
    let has_identity = office.administered().is_initialised();
    let has_token = SoftwareToken::exists(&token_folder(office));
    if has_identity && has_token {
        return Err(ApiError::conflict("server_already_fully_initialized"));
    }
    let identity = read_identity(&wanted, &anchor, has_identity)?;
    let pin = read_pin(&wanted, has_token)?;
    if let (Some(identity), false) = (&identity, wanted.ignore_warnings) {
        let warnings = warnings(office, identity.id());
        if !warnings.is_empty() {
            return Err(ApiError::warnings(warnings));
        }
    }
    // The token first: without an identity nothing is started, so a crash in between can be repaired by
    // asking again with what is missing.
    if let Some(pin) = pin {
        let folder = token_folder(office);
        let made = tokio::task::spawn_blocking(move || SoftwareToken::create(&folder, &pin)).await;
        made.map_err(|_| ApiError::internal())?.map_err(|error| {
            tracing::error!(%error, "the software token cannot be made");
            ApiError::new(500, "software_token_init_failed")
        })?;
    }
    if let Some(identity) = identity {
        declare_owner(office, identity.id())?;
        identity.write(office.state_folder()).map_err(|error| {
            tracing::error!(%error, "the identity cannot be written");
            ApiError::internal()
        })?;
    }
    office.start().await.map_err(|error| {
        tracing::error!(%error, "the initialised server does not start");
        ApiError::internal().with(error.to_string())
    })?;
    Ok(StatusCode::CREATED)
}

/// The identity that is asked for; none when there is one.
fn read_identity(wanted: &Wanted, anchor: &Anchor, has_identity: bool) -> Result<Option<Identity>, ApiError> {
    let parts = (&wanted.owner_member_class, &wanted.owner_member_code, &wanted.security_server_code);
    let invalid = |what: &str| ApiError::bad_request("invalid_init_params").with(what);
    match (parts, has_identity) {
        ((None, None, None), true) => Ok(None),
        (_, true) => Err(invalid("owner_member_class, owner_member_code, security_server_code")),
        ((Some(class), Some(member), Some(code)), false) => {
            for part in [class, member, code] {
                check_part(part.trim())?;
            }
            let owner = MemberId::new(&anchor.instance, class.trim(), member.trim());
            let id = owner.and_then(|owner| SecurityServerId::new(owner, code.trim()));
            id.map(|id| Some(Identity::new(id))).map_err(|error| invalid(&error.to_string()))
        }
        (_, false) => Err(invalid("owner_member_class, owner_member_code, security_server_code")),
    }
}

/// Parts of identifiers have 1 to 255 characters without those that separate parts (§1.3).
fn check_part(part: &str) -> Result<(), ApiError> {
    let forbidden = |c: char| c.is_control() || ":;/\\%\u{feff}\u{200b}".contains(c);
    let is_good = (1..=255).contains(&part.chars().count()) && !part.chars().any(forbidden);
    if is_good { Ok(()) } else { Err(ApiError::bad_request("invalid_init_params").with(part)) }
}

fn read_pin(wanted: &Wanted, has_token: bool) -> Result<Option<Zeroizing<String>>, ApiError> {
    match (&wanted.software_token_pin, has_token) {
        (None, true) => Ok(None),
        (Some(pin), false) if !pin.is_ascii() => Err(ApiError::bad_request("invalid_characters_pin")),
        (Some(pin), false) if !pin.is_empty() && pin.len() <= 1000 => Ok(Some(pin.clone())),
        _ => Err(ApiError::bad_request("invalid_init_params").with("software_token_pin")),
    }
}

/// What the global configuration says about a server of this name. A configuration is downloaded by the
/// check of the anchor only, so before the first start nothing is known and nothing is warned of.
fn warnings(office: &Office, id: &SecurityServerId) -> Vec<CodeWithDetails> {
    let Some(snapshot) = office.control().ok().and_then(|control| control.snapshot()) else {
        return Vec::new();
    };
    let Some(own) = snapshot.configuration().own() else { return Vec::new() };
    let mut warnings = Vec::new();
    if !own.shared.members.iter().any(|member| member.id == *id.owner()) {
        let name = id.owner().to_string().replace('/', ":");
        warnings.push(CodeWithDetails::new("init_unregistered_member", vec![name]));
    }
    if own.shared.servers.iter().any(|server| server.id == *id) {
        let name = id.to_string().replace('/', ":");
        warnings.push(CodeWithDetails::new("init_server_id_exists", vec![name]));
    }
    warnings
}

/// The owner is a client from the beginning.
fn declare_owner(office: &Office, id: &SecurityServerId) -> Result<(), ApiError> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "the server's own configuration cannot be written");
        ApiError::internal()
    };
    let folder = office.state_folder().join("node");
    let store = administration::store::SledStore::open(&folder).map_err(|error| failed(&error))?;
    let state = NodeState::open(Arc::new(store), id).map_err(|error| failed(&error))?;
    let mut local = state.load().map_err(|error| failed(&error))?;
    let owner = ClientId::from(id.owner().clone());
    let settings = ClientSettings { connection_type: ConnectionType::Https, ..ClientSettings::default() };
    local.clients.entry(owner).or_insert(settings);
    state.replace(&local, office.clock().now()).map(drop).map_err(|error| failed(&error))
}

pub(super) fn token_folder(office: &Office) -> std::path::PathBuf {
    office.state_folder().join("token")
}

/// A refusal of a token.
pub(super) fn token_refusal(error: &TokenError) -> ApiError {
    match error {
        TokenError::WrongPin => ApiError::bad_request("pin_incorrect"),
        TokenError::NotActive => ApiError::conflict("token_not_active"),
        TokenError::KeyNotFound => ApiError::not_found("key_not_found"),
        TokenError::CertificateNotFound => ApiError::not_found("certificate_not_found"),
        error => {
            tracing::error!(%error, "a token");
            ApiError::new(500, error.code())
        }
    }
}
