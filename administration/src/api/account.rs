//! Logging in and out, API keys, and what the interface says about itself (registry and administration §5.1,
//! §5.2, §6.7).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::BASE;
use super::error::ApiError;
use super::guard::{Guard, address};
use crate::access::{Actor, ApiKey, ApiKeysError, Denied, Role, SESSION_COOKIE, XSRF_COOKIE};

type Shared = State<Arc<Guard>>;

/// Bodies of these calls are short.
const BODY: usize = 8 * 1024;

pub(super) fn routes(guard: &Arc<Guard>, document: String) -> Router {
    let document = Bytes::from(document);
    let yaml = move || async move { ([(header::CONTENT_TYPE, "application/yaml")], document) };
    let base = |path: &str| format!("{BASE}{path}");
    Router::new()
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route(&base("/user"), get(user))
        .route(&base("/notifications/session-status"), get(session_status))
        .route(&base("/openapi.yaml"), get(yaml))
        .route(&base("/api-keys"), get(list).post(create))
        .route(&base("/api-keys/{id}"), get(one).put(update).delete(remove))
        .with_state(Arc::clone(guard))
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: Zeroizing<String>,
}

async fn log_in(State(guard): Shared, request: Request) -> Response {
    let from = address(&request);
    let login = match form(&guard, request).await {
        Ok(login) => login,
        Err(error) => return error.into_response(),
    };
    let result = guard.access.log_in(&login.username, &login.password, from).await;
    let facts = [("user".to_owned(), login.username.clone().into())].into_iter().collect();
    match result {
        Ok(session) => {
            let cookies = [
                format!("{XSRF_COOKIE}={}; Path=/; Secure; SameSite=Strict", session.xsrf),
                format!("{SESSION_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict", session.id),
            ];
            guard.tell("Log in user", None, "/login", Ok(()), facts);
            let mut response =
                ([(header::CONTENT_TYPE, "application/json;charset=UTF-8")], "OK\n").into_response();
            for cookie in cookies {
                if let Ok(cookie) = cookie.parse() {
                    response.headers_mut().append(header::SET_COOKIE, cookie);
                }
            }
            response
        }
        Err(denied) => {
            let error = ApiError::from(&denied);
            guard.tell("Log in user", None, "/login", Err(&error), facts);
            error.into_response()
        }
    }
}

async fn form(guard: &Guard, request: Request) -> Result<Login, ApiError> {
    let request = guard.take_body(request, BODY).await?;
    let form = axum::Form::<Login>::from_request(request, &()).await;
    form.map(|form| form.0).map_err(|_| ApiError::bad_request("validation_failure"))
}

async fn log_out(State(guard): Shared, headers: HeaderMap) -> Response {
    let result = guard.access.log_out(&headers);
    let outcome = result.as_ref().map_err(ApiError::from);
    guard.tell(
        "Log out user",
        result.as_ref().ok(),
        "/logout",
        outcome.as_ref().map(|_| ()),
        Default::default(),
    );
    match outcome {
        Ok(_) => {
            let over = format!("{SESSION_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
            (StatusCode::OK, [(header::SET_COOKIE, over)]).into_response()
        }
        Err(error) => error.into_response(),
    }
}

async fn user(State(guard): Shared, headers: HeaderMap) -> Result<Response, ApiError> {
    let actor = guard.access.identify(&headers, false).map_err(|denied| ApiError::from(&denied))?;
    let roles: Vec<&str> = actor.roles.iter().map(|role| role.name()).collect();
    Ok(axum::Json(
        json!({"username": actor.name, "roles": roles, "permissions": guard.permissions_of(&actor)}),
    )
    .into_response())
}

/// Asked by pages now and then; it does not keep the session alive.
async fn session_status(State(guard): Shared, headers: HeaderMap) -> Response {
    let is_valid = guard.access.identify(&headers, true).is_ok();
    axum::Json(json!({"valid": is_valid})).into_response()
}

/// Who may administer API keys: a session or key with the role, or user and password from some addresses.
async fn keeper(guard: &Guard, caller: (HeaderMap, IpAddr), wants: &[Role]) -> Result<Actor, ApiError> {
    let (headers, from) = caller;
    let known = match guard.access.identify(&headers, false) {
        Err(Denied::NotKnown) => guard.access.identify_basic(&headers, from).await,
        known => known,
    };
    let actor = known.map_err(|denied| ApiError::from(&denied))?;
    let may = wants.iter().any(|role| actor.roles.contains(role));
    if may { Ok(actor) } else { Err(ApiError::forbidden()) }
}

/// Headers and address of a request, whose body cannot be shared between threads.
fn caller(request: &Request) -> (HeaderMap, IpAddr) {
    (request.headers().clone(), address(request))
}

const CHANGES: &[Role] = &[Role::SystemAdministrator];
const LOOKS: &[Role] = &[Role::SystemAdministrator, Role::Observer];

async fn roles(guard: &Guard, request: Request, actor: &Actor) -> Result<BTreeSet<Role>, ApiError> {
    let request = guard.take_body(request, BODY).await?;
    let body = Bytes::from_request(request, &()).await.map_err(|_| ApiError::internal())?;
    let names: Vec<String> =
        serde_json::from_slice(&body).map_err(|_| ApiError::bad_request("invalid_role"))?;
    let roles = names.iter().map(|name| name.parse::<Role>()).collect::<Result<BTreeSet<_>, _>>();
    let roles = roles.map_err(|_| ApiError::bad_request("invalid_role"))?;
    if roles.is_empty() {
        return Err(ApiError::bad_request("invalid_role"));
    }
    // Nobody gives away what he does not have; the role of the management services may be given.
    let may = |role: &Role| actor.roles.contains(role) || *role == Role::ManagementService;
    if roles.iter().all(may) { Ok(roles) } else { Err(ApiError::forbidden()) }
}

fn view(key: &ApiKey) -> serde_json::Value {
    let roles: Vec<&str> = key.roles.iter().map(|role| role.name()).collect();
    json!({"id": key.id, "roles": roles})
}

fn failed(error: &ApiKeysError) -> ApiError {
    tracing::error!(%error, "API keys");
    match error {
        ApiKeysError::TooMany => ApiError::conflict("too_many_api_keys"),
        ApiKeysError::Store(_) | ApiKeysError::Corrupt(_) => ApiError::internal(),
    }
}

/// Does something with keys and tells the audit log.
async fn told<F>(guard: &Guard, event: &'static str, url: String, act: F) -> Response
where
    F: Future<Output = (Option<Actor>, Result<(serde_json::Value, u64), ApiError>)>,
{
    let (actor, result) = act.await;
    let facts = result.as_ref().map(|(_, id)| [("apiKeyId".to_owned(), (*id).into())].into_iter().collect());
    guard.tell(event, actor.as_ref(), &url, result.as_ref().map(|_| ()), facts.unwrap_or_default());
    match result {
        Ok((value, _)) if value.is_null() => StatusCode::OK.into_response(),
        Ok((value, _)) => axum::Json(value).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn create(State(guard): Shared, request: Request) -> Response {
    let url = request.uri().path().to_owned();
    let act = async {
        let actor = match keeper(&guard, caller(&request), CHANGES).await {
            Ok(actor) => actor,
            Err(error) => return (None, Err(error)),
        };
        let made = roles(&guard, request, &actor)
            .await
            .and_then(|roles| guard.access.keys.create(roles).map_err(|error| failed(&error)));
        let made = made.map(|(key, secret)| {
            let mut value = view(&key);
            value["key"] = secret.into();
            (value, key.id)
        });
        (Some(actor), made)
    };
    told(&guard, "API key create", url, act).await
}

async fn update(
    State(guard): Shared,
    axum::extract::Path(id): axum::extract::Path<u64>,
    request: Request,
) -> Response {
    let url = request.uri().path().to_owned();
    let act = async {
        let actor = match keeper(&guard, caller(&request), CHANGES).await {
            Ok(actor) => actor,
            Err(error) => return (None, Err(error)),
        };
        let changed = roles(&guard, request, &actor).await.and_then(|roles| {
            let key = guard.access.keys.update(id, roles).map_err(|error| failed(&error))?;
            key.ok_or_else(|| ApiError::not_found("api_key_not_found").with(id.to_string()))
        });
        (Some(actor), changed.map(|key| (view(&key), id)))
    };
    told(&guard, "API key update", url, act).await
}

async fn remove(
    State(guard): Shared,
    axum::extract::Path(id): axum::extract::Path<u64>,
    request: Request,
) -> Response {
    let url = request.uri().path().to_owned();
    let caller = caller(&request);
    let act = async {
        let actor = match keeper(&guard, caller, CHANGES).await {
            Ok(actor) => actor,
            Err(error) => return (None, Err(error)),
        };
        let removed = match guard.access.keys.remove(id) {
            Ok(true) => Ok((serde_json::Value::Null, id)),
            Ok(false) => Err(ApiError::not_found("api_key_not_found").with(id.to_string())),
            Err(error) => Err(failed(&error)),
        };
        (Some(actor), removed)
    };
    told(&guard, "API key remove", url, act).await
}

async fn list(State(guard): Shared, request: Request) -> Result<Response, ApiError> {
    keeper(&guard, caller(&request), LOOKS).await?;
    let keys: Vec<_> = guard.access.keys.list().iter().map(view).collect();
    Ok(axum::Json(keys).into_response())
}

async fn one(
    State(guard): Shared,
    axum::extract::Path(id): axum::extract::Path<u64>,
    request: Request,
) -> Result<Response, ApiError> {
    keeper(&guard, caller(&request), LOOKS).await?;
    let keys = guard.access.keys.list();
    let key = keys.iter().find(|key| key.id == id);
    let key = key.ok_or_else(|| ApiError::not_found("api_key_not_found").with(id.to_string()))?;
    Ok(axum::Json(view(key)).into_response())
}
