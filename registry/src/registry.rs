//! A running registry.

mod prepare;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use administration::store::StoreError;
use gateway::Clock;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub(crate) use prepare::{Ports, listen};

use crate::api::ServeError;
use crate::config::Config;
use crate::instance::{Desk, Refusal};
use crate::keys::{KeysError, SigningKey, SigningKeys};
use crate::management::{ManagementTls, ManagementTlsError};
use crate::pin::PinError;
use crate::publish::{Published, RoundError, SourceKind};
use crate::publisher::{Anchors, Command};
use crate::state::kept::StateError;
use crate::tls::TlsError;

/// Starts registries.
#[derive(Debug)]
pub struct Registry;

/// A registry at work. Dropping it stops it; [`Running::stop`] waits for the end as well.
pub struct Running {
    http: SocketAddr,
    https: Option<SocketAddr>,
    anchors: Anchors,
    desk: Arc<Desk>,
    administration: Option<SocketAddr>,
    management_tls: Option<Arc<ManagementTls>>,
    registration: Option<SocketAddr>,
    management: Option<SocketAddr>,
    published: watch::Receiver<Arc<Published>>,
    commands: mpsc::Sender<Command>,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    publisher: Option<std::thread::JoinHandle<()>>,
}

/// Why a registry does not start, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The PIN of the signing keys cannot be had.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The folder cannot be used.
    #[error("cannot use the state folder {}: {error}; give the registry a folder that it may write", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The store cannot be opened.
    #[error("cannot open the store in {}: {error}; is another registry running on it?", path.display())]
    Store {
        /// Its folder.
        path: PathBuf,
        /// Why.
        error: StoreError,
    },
    /// The state cannot come into force.
    #[error(transparent)]
    State(#[from] StateError),
    /// The signing keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}; {advice}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
        /// What can be done.
        advice: &'static str,
    },
    /// The token cannot be opened with the PIN of the file.
    #[error("cannot log in to the software token: {0}")]
    Login(#[source] Refusal),
    /// The key of the management services cannot be used.
    #[error(transparent)]
    ManagementTls(#[from] ManagementTlsError),
    /// The interface for administrators cannot be served.
    #[error(transparent)]
    Administration(#[from] ServeError),
    /// HTTPS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The first round failed.
    #[error("cannot publish: {0}")]
    Round(#[from] RoundError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A change of keys was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The keys refused.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The keys of an administered instance are changed at the desk.
    #[error("the instance is administered; change its keys over the administration interface")]
    Administered,
    /// The registry has stopped.
    #[error("the registry has stopped")]
    Stopped,
}

impl Registry {
    /// Starts a registry: when this returns, the first configuration is published and served.
    ///
    /// # Errors
    /// Everything that an operator has to put right, each with what to do.
    pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
        // Deriving a key from the PIN, making keys and reading the store all take their time.
        let administration = config.administration.clone();
        match tokio::task::spawn_blocking(move || prepare::prepare(&config, clock)).await {
            Ok(prepared) => Ok(prepared?.run(administration.as_ref())?),
            Err(error) => Err(StartError::Thread(io::Error::other(error))),
        }
    }
}

impl Running {
    /// Where HTTP listens.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where HTTPS listens.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https
    }

    /// The anchor of a source as it is handed out.
    ///
    /// # Errors
    /// Those of reading the file that the registry keeps.
    pub fn anchor(&self, kind: SourceKind) -> io::Result<Vec<u8>> {
        std::fs::read(self.anchors.path(kind))
    }

    /// The file of that anchor.
    pub fn anchor_file(&self, kind: SourceKind) -> PathBuf {
        self.anchors.path(kind)
    }

    /// The instance, and the commands that change it.
    pub fn desk(&self) -> Arc<Desk> {
        Arc::clone(&self.desk)
    }

    /// Where the interface for administrators listens.
    pub fn administration(&self) -> Option<SocketAddr> {
        self.administration
    }

    /// Key and certificate of the management services, where the instance is administered.
    pub fn management_tls(&self) -> Option<Arc<ManagementTls>> {
        self.management_tls.clone()
    }

    /// Where certificates are registered.
    pub fn registration(&self) -> Option<SocketAddr> {
        self.registration
    }

    /// Where the server of the provider brings all other management requests.
    pub fn management(&self) -> Option<SocketAddr> {
        self.management
    }

    /// What is published now; changes are told by the receiver.
    pub fn published(&self) -> watch::Receiver<Arc<Published>> {
        self.published.clone()
    }

    /// Makes a change of the signing keys of a declared instance, and publishes it at once.
    ///
    /// # Errors
    /// Those of the change; the instance is administered.
    pub async fn change_keys<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut SigningKeys) -> Result<T, KeysError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        let (sender, result) = oneshot::channel();
        let change = move |keys: Option<&mut SigningKeys>| {
            let outcome = keys.ok_or(ChangeError::Administered).and_then(|keys| Ok(change(keys)?));
            drop(sender.send(outcome));
        };
        self.commands.send(Command::Keys(Box::new(change))).map_err(|_| ChangeError::Stopped)?;
        result.await.map_err(|_| ChangeError::Stopped)?
    }

    /// The signing keys of a source.
    pub async fn keys(&self, kind: SourceKind) -> Result<Vec<SigningKey>, ChangeError> {
        self.change_keys(move |keys| Ok(keys.keys(kind))).await
    }

    /// Stops: no more rounds, running downloads finish, the store is closed.
    pub async fn stop(mut self) {
        self.end();
        if let Some(publisher) = self.publisher.take() {
            let joined = tokio::task::spawn_blocking(move || publisher.join().is_ok()).await;
            if !joined.unwrap_or(false) {
                tracing::error!("the publisher ended badly");
            }
        }
        for listener in self.listeners.drain(..) {
            let _ = listener.await;
        }
    }

    fn end(&self) {
        self.stop.send_replace(true);
        // It may have ended already.
        let _ = self.commands.send(Command::Stop);
        // Whoever still looks at the desk cannot change anything; the store can be opened again.
        self.desk.close();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
