//! What stands before every operation: address, limits, who asks, permission; and after it the audit log.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::call::{Note, Noted};
use super::error::ApiError;
use super::operation::Operation;
use crate::access::{Access, Actor, Denied, Permission, Role};
use crate::audit::{Audit, Event};

/// A caller that takes longer to send its body is not waited for.
const SLOWEST_BODY: Duration = Duration::from_secs(60);

/// Who may come in, and where it is told.
pub(crate) struct Guard {
    pub(crate) access: Arc<Access>,
    pub(crate) audit: Arc<dyn Audit>,
    /// Each permission of the interface with the roles that have it.
    permissions: Vec<(&'static str, &'static [Role])>,
}

/// What the guard needs to know of an operation.
pub(crate) struct Rule {
    /// One of these is needed; empty: whoever is known may.
    roles: Vec<Role>,
    needs_permission: bool,
    event: Option<&'static str>,
    id: &'static str,
    is_look: bool,
    body_limit: usize,
}

impl Rule {
    pub(crate) fn of<P: Permission>(operation: &Operation<P>) -> Self {
        let roles = operation.permissions.iter().flat_map(|permission| permission.roles());
        Self {
            roles: roles.copied().collect(),
            needs_permission: !operation.permissions.is_empty(),
            event: operation.event,
            id: operation.id,
            is_look: operation.is_look,
            body_limit: operation.body_limit,
        }
    }

    fn admits(&self, actor: &Actor) -> bool {
        !self.needs_permission || self.roles.iter().any(|role| actor.roles.contains(role))
    }
}

impl Guard {
    pub(crate) fn new(
        access: Arc<Access>,
        audit: Arc<dyn Audit>,
        permissions: Vec<(&'static str, &'static [Role])>,
    ) -> Self {
        Self { access, audit, permissions }
    }

    /// The names of what somebody may.
    pub(crate) fn permissions_of(&self, actor: &Actor) -> Vec<&'static str> {
        let has = |roles: &&'static [Role]| roles.iter().any(|role| actor.roles.contains(role));
        self.permissions.iter().filter(|(_, roles)| has(roles)).map(|(name, _)| *name).collect()
    }

    /// Runs an operation for whoever may, and tells the audit log.
    pub(crate) async fn run<F>(
        &self,
        rule: &Rule,
        request: Request,
        handle: impl FnOnce(Request) -> F,
    ) -> Response
    where
        F: Future<Output = Response>,
    {
        let url = request.uri().path().to_owned();
        let actor = match self.access.identify(request.headers(), rule.is_look) {
            Ok(actor) => actor,
            Err(denied) => {
                let error = ApiError::from(&denied);
                self.tell(
                    rule.event.unwrap_or("Authentication"),
                    None,
                    &url,
                    Err(&error),
                    Default::default(),
                );
                return error.into_response();
            }
        };
        if !rule.admits(&actor) {
            let error = ApiError::forbidden();
            let event = rule.event.unwrap_or("Access check");
            let facts = [("operation".to_owned(), rule.id.into())].into_iter().collect();
            self.tell(event, Some(&actor), &url, Err(&error), facts);
            return error.into_response();
        }
        let note = Arc::new(std::sync::Mutex::new(Note { event: rule.event, ..Note::default() }));
        let noted = Noted { actor, note };
        let response = match self.take_body(request, rule.body_limit).await {
            Err(error) => error.into_response(),
            Ok(mut request) => {
                request.extensions_mut().insert(noted.clone());
                // A handler that panics is a defect; it must not go without a trace in the audit log.
                let run = AssertUnwindSafe(handle(request)).catch_unwind().await;
                run.unwrap_or_else(|_| ApiError::internal().into_response())
            }
        };
        let Note { event, facts } =
            std::mem::take(&mut *noted.note.lock().unwrap_or_else(PoisonError::into_inner));
        let error = response.extensions().get::<ApiError>();
        if let Some(event) = event {
            self.tell(event, Some(&noted.actor), &url, error.map_or(Ok(()), Err), facts);
        }
        response
    }

    /// Reads the body, so that the handler has all of it and only so much.
    pub(crate) async fn take_body(&self, request: Request, limit: usize) -> Result<Request, ApiError> {
        let (parts, body) = request.into_parts();
        let read = tokio::time::timeout(SLOWEST_BODY, Limited::new(body, limit).collect()).await;
        let body = match read {
            Err(_) => return Err(ApiError::new(408, "request_timeout")),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return Err(ApiError::new(413, "payload_too_large").with(format!("{limit}")));
            }
            Ok(Err(_)) => return Err(ApiError::bad_request("validation_failure")),
            Ok(Ok(body)) => body.to_bytes(),
        };
        Ok(Request::from_parts(parts, Body::from(body)))
    }

    pub(crate) fn tell(
        &self,
        event: &'static str,
        actor: Option<&Actor>,
        url: &str,
        outcome: Result<(), &ApiError>,
        facts: serde_json::Map<String, serde_json::Value>,
    ) {
        self.audit.record(Event { event, actor, url, outcome, facts });
    }
}

impl From<&Denied> for ApiError {
    fn from(denied: &Denied) -> Self {
        match denied {
            Denied::NotKnown => Self::new(401, "unauthorized"),
            Denied::Forged => Self::new(403, "access_denied"),
            Denied::Address => Self::new(403, "access_denied"),
            Denied::TooMany => Self::new(429, "too_many_requests"),
        }
    }
}

/// Whom a request comes from.
pub(crate) fn address(request: &Request) -> IpAddr {
    let connection = request.extensions().get::<ConnectInfo<SocketAddr>>();
    connection.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| address.ip())
}

/// Around everything: which addresses may ask and how often, and the headers of answers.
pub(crate) async fn around(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let correlation = protocol::digest::hex(uuid::Uuid::new_v4().as_bytes());
    let is_api = request.uri().path().starts_with("/api/");
    let url = request.uri().path().to_owned();
    let from = address(&request);
    let mut response = match guard.access.admits(from) {
        Ok(()) => next.run(request).await,
        Err(denied) => {
            tracing::warn!(%from, url, "{denied}");
            ApiError::from(&denied).into_response()
        }
    };
    if response.status().is_server_error() {
        tracing::error!(correlation, url, status = response.status().as_u16(), "an operation failed");
    }
    let headers = response.headers_mut();
    let policy = if is_api { "default-src 'none'" } else { "default-src 'self'" };
    let fixed = [
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (HeaderName::from_static("x-xss-protection"), "0"),
        (header::CACHE_CONTROL, "no-cache, no-store, max-age=0, must-revalidate"),
        (header::PRAGMA, "no-cache"),
        (header::EXPIRES, "0"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000 ; includeSubDomains"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(correlation) = HeaderValue::from_str(&correlation) {
        headers.insert("x-road-ui-correlation-id", correlation);
    }
    response
}
