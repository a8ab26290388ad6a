//! A server that is administered while it runs, also before it is anything: the administration interface
//! comes up first, the rest follows as soon as there is an anchor and an identity.

use std::net::SocketAddr;
use std::sync::Arc;

use administration::access::Access;
use administration::audit::Audit;
use administration::server::{Listener, ServerError};
use administration::store::{SledStore, StoreError};
use gateway::Clock;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::{NotRunning, Office, api};
use crate::config::Administered;
use crate::files;
use crate::keyring::KeyringError;

/// Why there is no administration.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    /// The state folder cannot be used.
    #[error("the state folder {0} cannot be used: {1}")]
    Folder(std::path::PathBuf, std::io::Error),
    /// The list of certificate requests cannot be read.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// API keys cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The port cannot be served.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server itself was not started.
    #[error(transparent)]
    Node(NotRunning),
}

/// An administration that runs, with the server if there is one.
pub struct RunningAdministration {
    office: Arc<Office>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    listener: JoinHandle<()>,
}

/// Brings the administration interface up, and the server if it is initialised.
///
/// # Errors
/// Each says what to do.
pub async fn administer(
    administered: Administered,
    clock: Clock,
    audit: Arc<dyn Audit>,
) -> Result<RunningAdministration, AdministrationError> {
    let folder = administered.state_folder.clone();
    files::create_folder(&folder).map_err(|error| AdministrationError::Folder(folder.clone(), error))?;
    let store = Arc::new(SledStore::open(&folder.join("administration"))?);
    let access = Arc::new(Access::open(&administered.settings, store)?);
    let listener = Listener::open(&administered.settings)?;
    let address = listener.address().map_err(|error| AdministrationError::Folder(folder.clone(), error))?;
    let office = Arc::new(Office::new(administered, clock)?);
    match office.start().await {
        Ok(()) => {}
        Err(NotRunning::NotInitialised) => {
            tracing::info!("the server is not initialised; the administration interface waits for it");
        }
        // A server that was set up and does not start is a reason to stop: its supervisor tells.
        Err(error) => return Err(AdministrationError::Node(error)),
    }
    let (stop, stopped) = watch::channel(false);
    let router = api().router(Arc::clone(&office), access, audit);
    let listener = tokio::spawn(listener.serve(router, stopped));
    tracing::info!(%address, "the administration interface listens");
    Ok(RunningAdministration { office, address, stop, listener })
}

impl RunningAdministration {
    /// Where the interface listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What operations work on.
    pub fn office(&self) -> &Arc<Office> {
        &self.office
    }

    /// Stops the interface, then the server.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.listener.await;
        self.office.stop().await;
    }
}
