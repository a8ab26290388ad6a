//! What is told to the audit log (registry and administration §10).

use serde_json::{Map, Value};

use crate::access::Actor;
use crate::api::ApiError;

/// One act, or one that was refused.
pub struct Event<'a> {
    /// Its name; one that was refused is written with ` failed` after it.
    pub event: &'static str,
    /// Who did it, as far as is known.
    pub actor: Option<&'a Actor>,
    /// The path of the call.
    pub url: &'a str,
    /// Whether it was done.
    pub outcome: Result<(), &'a ApiError>,
    /// What it was about.
    pub facts: Map<String, Value>,
}

/// Keeps events.
pub trait Audit: Send + Sync {
    /// Keeps one. The answer of the call waits for it.
    fn record(&self, event: Event<'_>);
}

/// Tells events to the program's own log.
pub struct ToLog;

impl Audit for ToLog {
    fn record(&self, event: Event<'_>) {
        let user = event.actor.map_or("", |actor| actor.name.as_str());
        let auth = event.actor.map_or("", |actor| actor.means.name());
        let facts = Value::Object(event.facts).to_string();
        match event.outcome {
            Ok(()) => {
                tracing::info!(target: "audit", event = event.event, user, auth, url = event.url, facts)
            }
            Err(error) => {
                let (code, status) = (error.code().unwrap_or_default(), error.status());
                tracing::warn!(
                    target: "audit",
                    event = format!("{} failed", event.event),
                    user,
                    auth,
                    url = event.url,
                    code,
                    status,
                    facts
                );
            }
        }
    }
}
