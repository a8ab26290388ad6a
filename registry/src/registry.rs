//! A running registry.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use gateway::Clock;
use gateway::http::server::Connection;
use gateway::http::{bind, serve};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::files;
use crate::keys::{KeysError, SigningKey, SigningKeys};
use crate::pin::PinError;
use crate::publish::{Address, Published, PublishedFolder, RoundError, Rounds, SourceKind};
use crate::publisher::{self, Anchors, Command, Complaints, Publisher};
use crate::serve::{Connections, Publication};
use crate::state::Watched;
use crate::state::kept::StateError;
use crate::store::{SledStore, StoreError};
use crate::tls::{self, TlsError};

/// Starts registries.
#[derive(Debug)]
pub struct Registry;

/// A registry at work. Dropping it stops it; [`Running::stop`] waits for the end as well.
pub struct Running {
    http: SocketAddr,
    https: Option<SocketAddr>,
    anchors: Anchors,
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
        match tokio::task::spawn_blocking(move || prepare(&config, clock)).await {
            Ok(prepared) => Ok(prepared?.run()?),
            Err(error) => Err(StartError::Thread(io::Error::other(error))),
        }
    }
}

/// Everything of a registry before its tasks run.
struct Prepared {
    http: std::net::TcpListener,
    https: Option<(std::net::TcpListener, Arc<rustls::ServerConfig>)>,
    anchors: Anchors,
    published: watch::Receiver<Arc<Published>>,
    publisher: Publisher,
}

fn prepare(config: &Config, clock: Clock) -> Result<Prepared, StartError> {
    let pin = config.pin.get()?;
    let state_folder = config.state_folder.as_path();
    let folder = |error| StartError::Folder { path: state_folder.to_owned(), error };
    files::make_folder(state_folder, 0o700).map_err(folder)?;
    let path = state_folder.join("store");
    let store = SledStore::open(&path).map_err(|error| StartError::Store { path, error })?;
    let mut watched = Watched::new(&config.instance_file);
    let (kept, complaint) = publisher::load(&store, &mut watched, clock)?;
    let keys = SigningKeys::open(config, &pin, clock.now())?;
    drop(pin);

    let Ports { http, https, address } = Ports::open(config.http, config.https, config.address.as_deref())?;
    let https = match https {
        Some(listener) => {
            Some((listener, tls::acceptor(config.tls.as_ref(), &keys, address.host(), clock.now())?))
        }
        None => None,
    };
    let anchors = || Anchors { state_folder: state_folder.to_owned(), address: address.clone() };
    anchors().refresh(&kept.state.instance, &keys, clock).map_err(folder)?;
    let (sender, published) = watch::channel(Arc::new(Published::default()));
    let mut publisher = Publisher {
        store: Box::new(store),
        kept,
        watched,
        keys,
        rounds: Rounds::new(address.clone(), config.minimum_version, config.expiry),
        folder: PublishedFolder::new(state_folder.join("published")),
        anchors: anchors(),
        published: sender,
        period: config.period,
        clock,
        complaints: Complaints { state: complaint, keys: None },
    };
    publisher.round()?;
    Ok(Prepared { http, https, anchors: anchors(), published, publisher })
}

/// Ports that are open, and the address at which clients find them.
pub(crate) struct Ports {
    pub(crate) http: std::net::TcpListener,
    pub(crate) https: Option<std::net::TcpListener>,
    pub(crate) address: Address,
}

impl Ports {
    /// Opens both; without a configured address, clients use that where HTTP listens.
    pub(crate) fn open(
        http_at: SocketAddr,
        https_at: Option<SocketAddr>,
        configured: Option<&str>,
    ) -> Result<Self, StartError> {
        let http = listen(http_at)?;
        let https = https_at.map(listen).transpose()?;
        let at = |listener: &std::net::TcpListener, asked: SocketAddr| listener.local_addr().unwrap_or(asked);
        let https_at = https.as_ref().zip(https_at).map(|(listener, asked)| at(listener, asked));
        let address = Address::new(configured, at(&http, http_at), https_at);
        Ok(Self { http, https, address })
    }
}

/// Binds without a runtime, so that nothing is half started when something else fails.
fn listen(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    bind(address, false).and_then(TcpListener::into_std).map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); grant it, or set [listen] to a higher \
                 port and give clients the address with that port"
            }
            io::ErrorKind::AddrInUse => "another program listens there; stop it, or change [listen]",
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address; change [listen]",
            _ => "see [listen] in the configuration file",
        };
        StartError::Listen { address, error, advice }
    })
}

impl Prepared {
    fn run(self) -> Result<Running, StartError> {
        let Self { http, https, anchors, published, publisher } = self;
        let (stop, stopped) = watch::channel(false);
        let connections = Arc::new(Connections::default());
        let make = {
            let published = published.clone();
            move |connection: Connection| Publication::accept(&connection, &published, &connections)
        };
        let told = |address: io::Result<SocketAddr>| address.map_err(StartError::Thread);
        let http_at = told(http.local_addr())?;
        let https_at = https.as_ref().map(|(listener, _)| told(listener.local_addr())).transpose()?;
        let http = TcpListener::from_std(http).map_err(StartError::Thread)?;
        let no_tls = None::<fn() -> Option<Arc<rustls::ServerConfig>>>;
        let mut listeners = vec![tokio::spawn(serve(http, no_tls, make.clone(), stopped.clone()))];
        if let Some((listener, config)) = https {
            let listener = TcpListener::from_std(listener).map_err(StartError::Thread)?;
            let tls = move || Some(Arc::clone(&config));
            listeners.push(tokio::spawn(serve(listener, Some(tls), make, stopped)));
        }
        let (commands, receiver) = mpsc::channel();
        let publisher = std::thread::Builder::new()
            .name("publisher".into())
            .spawn(move || publisher.run(&receiver))
            .map_err(StartError::Thread)?;
        let publisher = Some(publisher);
        tracing::info!(http = %http_at, https = ?https_at, "the registry publishes");
        Ok(Running {
            http: http_at,
            https: https_at,
            anchors,
            published,
            commands,
            stop,
            listeners,
            publisher,
        })
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

    /// What is published now; changes are told by the receiver.
    pub fn published(&self) -> watch::Receiver<Arc<Published>> {
        self.published.clone()
    }

    /// Makes a change of the signing keys, and publishes it at once.
    ///
    /// # Errors
    /// Those of the change.
    pub async fn change_keys<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut SigningKeys) -> Result<T, KeysError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        let (sender, result) = oneshot::channel();
        let change = Box::new(move |keys: &mut SigningKeys| drop(sender.send(change(keys))));
        self.commands.send(Command::Keys(change)).map_err(|_| ChangeError::Stopped)?;
        Ok(result.await.map_err(|_| ChangeError::Stopped)??)
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
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
