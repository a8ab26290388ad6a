//! What the operations work on: the server as it runs now, or as far as it is set up.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use administration::api::ApiError;
use gateway::Clock;
use tokio::sync::Mutex;

use crate::config::{Administered, Config};
use crate::keyring::{Keyring, KeyringError};
use crate::node::{Control, Running, SecurityServer};

/// A security server under administration.
pub struct Office {
    administered: Administered,
    clock: Clock,
    running: RwLock<Option<Arc<Control>>>,
    /// Held by whoever starts, stops or sets up the server.
    node: Mutex<Option<Running>>,
    keyring: Arc<Keyring>,
    asked: std::sync::Mutex<Asked>,
}

/// What the registry was asked to change about this server, until the global configuration shows it.
#[derive(Debug, Default)]
pub struct Asked {
    /// Another address.
    pub address: Option<String>,
    /// Into maintenance, or out of it.
    pub maintenance: Option<bool>,
}

/// The server does not run yet.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotRunning {
    /// There is no anchor or no identity.
    #[error("the server is not initialised: upload the configuration anchor, then initialise it")]
    NotInitialised,
    /// It could not be started.
    #[error("{0}")]
    Failed(String),
}

impl From<NotRunning> for ApiError {
    fn from(error: NotRunning) -> Self {
        Self::conflict("server_not_initialized").with(error.to_string())
    }
}

impl Office {
    /// For the server of a configuration file.
    ///
    /// # Errors
    /// The list of certificate requests cannot be read.
    pub fn new(administered: Administered, clock: Clock) -> Result<Self, KeyringError> {
        let keyring = Arc::new(Keyring::open(&administered.state_folder)?);
        Ok(Self {
            administered,
            clock,
            running: RwLock::default(),
            node: Mutex::default(),
            keyring,
            asked: std::sync::Mutex::default(),
        })
    }

    /// What the registry was asked to change.
    pub fn asked(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of tokens and certificate requests.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// What the file says.
    pub fn administered(&self) -> &Administered {
        &self.administered
    }

    /// The clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The folder of everything the server keeps.
    pub fn state_folder(&self) -> &Path {
        &self.administered.state_folder
    }

    /// The anchor, once there is one.
    pub fn anchor_file(&self) -> PathBuf {
        self.administered.anchor_file()
    }

    /// What runs.
    ///
    /// # Errors
    /// The server is not initialised.
    pub fn control(&self) -> Result<Arc<Control>, NotRunning> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.clone().ok_or(NotRunning::NotInitialised)
    }

    /// Starts the server, if everything that it needs is there and it does not run yet.
    ///
    /// # Errors
    /// Something is missing, or it cannot be started; the reason says what to do.
    pub async fn start(&self) -> Result<(), NotRunning> {
        let mut node = self.node.lock().await;
        self.start_locked(&mut node).await
    }

    async fn start_locked(&self, node: &mut Option<Running>) -> Result<(), NotRunning> {
        if node.is_some() {
            return Ok(());
        }
        if !self.anchor_file().exists() || !self.administered.is_initialised() {
            return Err(NotRunning::NotInitialised);
        }
        let failed = |error: &dyn std::fmt::Display| NotRunning::Failed(error.to_string());
        let config = Config::read(&self.administered.file).map_err(|error| failed(&error))?;
        let running = SecurityServer::start(config, self.clock).await.map_err(|error| failed(&error))?;
        let control = Arc::clone(running.control());
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = Some(control);
        *node = Some(running);
        Ok(())
    }

    /// Stops the server, if it runs, and starts it again: after its identity or anchor changed.
    ///
    /// # Errors
    /// As [`Office::start`].
    pub async fn restart(&self) -> Result<(), NotRunning> {
        let mut node = self.node.lock().await;
        self.stop_locked(&mut node).await;
        self.start_locked(&mut node).await
    }

    /// Stops the server.
    pub async fn stop(&self) {
        let mut node = self.node.lock().await;
        self.stop_locked(&mut node).await;
    }

    async fn stop_locked(&self, node: &mut Option<Running>) {
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(running) = node.take() {
            running.stop().await;
        }
    }
}
