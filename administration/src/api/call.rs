//! What a handler gets: the node, who asks, and the note for the audit log.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::access::{Actor, Permission};

/// A call whose permission was checked. There is no other way to the node: [`Api`](super::Api) makes one after
/// it has found out who asks and that he may.
pub struct Call<N> {
    node: Arc<N>,
    noted: Noted,
}

/// Who asks, and what is noted for the audit log meanwhile.
#[derive(Clone)]
pub(crate) struct Noted {
    pub(crate) actor: Actor,
    pub(crate) note: Arc<Mutex<Note>>,
}

/// The note of one call.
#[derive(Default)]
pub(crate) struct Note {
    pub(crate) event: Option<&'static str>,
    pub(crate) facts: Map<String, Value>,
}

impl<N> Call<N> {
    /// What the call is about.
    pub fn node(&self) -> &N {
        &self.node
    }

    /// The same, to be kept.
    pub fn shared_node(&self) -> Arc<N> {
        Arc::clone(&self.node)
    }

    /// Who asks.
    pub fn actor(&self) -> &Actor {
        &self.noted.actor
    }

    /// The name of who asks.
    pub fn user(&self) -> String {
        self.noted.actor.name.clone()
    }

    /// Notes a fact for the audit log, under the name that X-Road gives it where it has one.
    pub fn fact(&self, name: &str, value: impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.note(|note| drop(note.facts.insert(name.to_owned(), value)));
    }

    /// Notes the SHA-256 of something, with the name of the algorithm beside it.
    pub fn fact_hash(&self, name: &str, content: &[u8]) {
        let digest = protocol::digest::DigestAlgorithm::Sha256.digest(content).to_hex().to_uppercase();
        self.fact(name, digest);
        self.fact(&format!("{name}Algorithm"), "SHA-256");
    }

    /// Gives the event another name than the operation has.
    pub fn event(&self, event: &'static str) {
        self.note(|note| note.event = Some(event));
    }

    /// Refuses unless the actor has this permission too.
    ///
    /// # Errors
    /// 403
    pub fn require<P: Permission>(&self, permission: P) -> Result<(), ApiError> {
        if self.may(permission) { Ok(()) } else { Err(ApiError::forbidden()) }
    }

    /// Whether the actor has this permission.
    pub fn may<P: Permission>(&self, permission: P) -> bool {
        self.noted.actor.may(permission)
    }

    fn note(&self, change: impl FnOnce(&mut Note)) {
        change(&mut self.noted.note.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Actor {
    /// Whether one of the roles has this permission.
    pub fn may<P: Permission>(&self, permission: P) -> bool {
        permission.roles().iter().any(|role| self.roles.contains(role))
    }
}

impl<N: Send + Sync + 'static> FromRequestParts<Arc<N>> for Call<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<N>) -> Result<Self, ApiError> {
        // Only the guard of the operation puts it there.
        let noted = parts.extensions.get::<Noted>().cloned().ok_or_else(ApiError::forbidden)?;
        Ok(Self { node: Arc::clone(node), noted })
    }
}
