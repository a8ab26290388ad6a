//! The interface of a registry on its port.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use administration::access::Access;
use administration::audit::Audit;
use administration::server::{Listener, ServerError};
use administration::settings::Settings;
use administration::store::{SledStore, StoreError};
use axum::Router;
use tokio::sync::watch;

use super::Office;
use super::lines::AuditLines;

/// Why the interface does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port cannot be served.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The store of API keys cannot be opened.
    #[error("cannot open the store of API keys in {}: {error}", path.display())]
    Store {
        /// Its folder.
        path: PathBuf,
        /// Why.
        error: StoreError,
    },
    /// The audit log cannot be written.
    #[error("cannot write the audit log {}: {error}", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

/// A port that is open, and what it will answer.
pub(crate) struct Opened {
    listener: Listener,
    router: Router,
}

impl Opened {
    /// Opens the port. Must run inside a runtime.
    pub(crate) fn open(settings: &Settings, office: Office) -> Result<Self, ServeError> {
        let listener = Listener::open(settings)?;
        let path = settings.state_folder.join("administration");
        let store =
            SledStore::open(&path).map_err(|error| ServeError::Store { path: path.clone(), error })?;
        let access = Access::open(settings, Arc::new(store));
        let access = access.map_err(|error| ServeError::Store { path, error })?;
        let path = settings.state_folder.join("audit.log");
        let audit = AuditLines::open(&path).map_err(|error| ServeError::Audit { path, error })?;
        let audit: Arc<dyn Audit> = Arc::new(audit);
        let router = super::api().router(Arc::new(office), Arc::new(access), audit);
        Ok(Self { listener, router })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Serves until `stop` turns true.
    pub(crate) async fn serve(self, stop: watch::Receiver<bool>) {
        self.listener.serve(self.router, stop).await;
    }
}
