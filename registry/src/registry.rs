//! A running registry.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use administration::settings::Settings;
use administration::store::StoreError;
use certs::key::KeyKind;
use gateway::Clock;
use gateway::http::server::Connection;
use gateway::http::{bind, serve};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::api::{Office, Opened, ServeError};
use crate::config::Config;
use crate::files;
use crate::instance::{Desk, DeskSettings, Refusal, SOFTWARE_TOKEN};
use crate::keys::{KeysError, SigningKey, SigningKeys};
use crate::management::{Listeners, ManagementTls, ManagementTlsError, Port, Surroundings};
use crate::pin::{PinError, PinSource};
use crate::publish::{Address, Published, PublishedFolder, RoundError, Rounds, SourceKind};
use crate::publisher::{self, AdministeredWork, Anchors, Command, DeclaredWork, Publisher, Work};
use crate::serve::{Connections, Publication};
use crate::state::Watched;
use crate::state::kept::{self, StateError};
use crate::store::{self, ReopeningStore};
use crate::tls::{self, TlsError};

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
        match tokio::task::spawn_blocking(move || prepare(&config, clock)).await {
            Ok(prepared) => Ok(prepared?.run(administration.as_ref())?),
            Err(error) => Err(StartError::Thread(io::Error::other(error))),
        }
    }
}

/// Everything of a registry before its tasks run.
struct Prepared {
    http: std::net::TcpListener,
    https: Option<Https>,
    anchors: Anchors,
    management: Option<(Arc<ManagementTls>, Listeners)>,
    published: watch::Receiver<Arc<Published>>,
    publisher: Publisher,
}

type Https = (std::net::TcpListener, Arc<rustls::ServerConfig>);

/// What is prepared otherwise for a declared instance than for an administered one.
struct Kind {
    work: Work,
    desk: Arc<Desk>,
    http: std::net::TcpListener,
    https: Option<Https>,
    management: Option<(Arc<ManagementTls>, Listeners)>,
}

fn prepare(config: &Config, clock: Clock) -> Result<Prepared, StartError> {
    let state_folder = config.state_folder.as_path();
    files::make_folder(state_folder, 0o700).map_err(|error| folder_error(config, error))?;
    let anchors = Anchors { state_folder: state_folder.to_owned() };
    let kind = match (&config.instance_file, &config.pin) {
        (Some(file), Some(pin)) => prepare_declared(config, file, pin, anchors.clone(), clock)?,
        (Some(_), None) => return Err(PinError::Empty.into()),
        (None, _) => prepare_administered(config, anchors.clone(), clock)?,
    };
    let Kind { work, desk, http, https, management } = kind;
    let (sender, published) = watch::channel(Arc::new(Published::default()));
    let mut publisher = Publisher {
        work,
        desk,
        rounds: Rounds::new(config.minimum_version, config.expiry),
        folder: PublishedFolder::new(state_folder.join("published")),
        published: sender,
        period: config.period,
        clock,
        woken: Arc::default(),
    };
    publisher.round()?;
    Ok(Prepared { http, https, anchors, management, published, publisher })
}

fn prepare_declared(
    config: &Config,
    file: &Path,
    pin: &PinSource,
    anchors: Anchors,
    clock: Clock,
) -> Result<Kind, StartError> {
    let pin = pin.get()?;
    let store = open_store(config.state_folder.join("declared"))?;
    let old = config.state_folder.join("store");
    store::take_over(&old, kept::NAME, &store).map_err(|error| StartError::Store { path: old, error })?;
    let mut watched = Watched::new(file);
    let (kept, complaints) = publisher::load(&store, &mut watched, clock)?;
    let keys = SigningKeys::open(config, &pin, clock.now())?;
    drop(pin);
    let Ports { http, https, address } = Ports::open(config.http, config.https, config.address.as_deref())?;
    let settings = desk_settings(config, &http, https.as_ref());
    let https = match https {
        Some(listener) => {
            Some((listener, tls::acceptor(config.tls.as_ref(), &keys, address.host(), clock.now())?))
        }
        None => None,
    };
    let (store, expiry) = (Box::new(store), config.expiry);
    let work = DeclaredWork { store, kept, watched, keys, address, expiry, anchors, complaints };
    work.write_anchors(clock).map_err(|error| folder_error(config, error))?;
    let desk = Arc::new(Desk::declared(&work.declared(clock), settings, clock));
    Ok(Kind { work: Work::Declared(Box::new(work)), desk, http, https, management: None })
}

fn prepare_administered(config: &Config, anchors: Anchors, clock: Clock) -> Result<Kind, StartError> {
    let store = open_store(config.state_folder.join("instance"))?;
    let Ports { http, https, address } = Ports::open(config.http, config.https, None)?;
    let settings = desk_settings(config, &http, https.as_ref());
    let desk = Arc::new(Desk::open(Box::new(store), settings, clock)?);
    if let Some(pin) = &config.pin
        && desk.tokens().is_initialised()
    {
        desk.login(SOFTWARE_TOKEN, &pin.get()?).map_err(StartError::Login)?;
    }
    let host = desk.look().parameters().address.clone();
    let host = host.as_deref().unwrap_or(address.host());
    let (folder, now) = (config.state_folder.as_path(), clock.now());
    let own = Arc::new(ManagementTls::open_or_create(folder, KeyKind::Rsa2048, host, now)?);
    let https = match https {
        Some(listener) => Some((listener, tls::administered_acceptor(config.tls.as_ref(), &own)?)),
        None => None,
    };
    let work = Work::Administered(Box::new(AdministeredWork::new(anchors, Arc::clone(&own))));
    let listeners = Listeners::open(config, Arc::clone(&own))?;
    Ok(Kind { work, desk, http, https, management: Some((own, listeners)) })
}

fn open_store(path: PathBuf) -> Result<ReopeningStore, StartError> {
    ReopeningStore::open(&path).map_err(|error| StartError::Store { path, error })
}

fn folder_error(config: &Config, error: io::Error) -> StartError {
    StartError::Folder { path: config.state_folder.clone(), error }
}

fn desk_settings(
    config: &Config,
    http: &std::net::TcpListener,
    https: Option<&std::net::TcpListener>,
) -> DeskSettings {
    let at = |listener: &std::net::TcpListener, asked: SocketAddr| listener.local_addr().unwrap_or(asked);
    DeskSettings {
        rules: config.rules.clone(),
        keys: config.keys(),
        http: at(http, config.http),
        https: https.zip(config.https).map(|(listener, asked)| at(listener, asked)),
    }
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
pub(crate) fn listen(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
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
    fn run(self, administration: Option<&Settings>) -> Result<Running, StartError> {
        let Self { http, https, anchors, management, published, publisher } = self;
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
            listeners.push(tokio::spawn(serve(listener, Some(tls), make, stopped.clone())));
        }
        let (commands, receiver) = mpsc::channel();
        let desk = Arc::clone(&publisher.desk);
        let office = Office::new(
            Arc::clone(&desk),
            management.as_ref().map(|(own, _)| Arc::clone(own)),
            published.clone(),
        );
        let opened = administration.map(|settings| Opened::open(settings, office)).transpose()?;
        let administration = opened.as_ref().map(|opened| told(opened.address())).transpose()?;
        listeners.extend(opened.map(|opened| tokio::spawn(opened.serve(stopped.clone()))));
        let wake = Waker { woken: Arc::clone(&publisher.woken), commands: commands.clone() };
        listeners.push(tokio::spawn(wake.on_change(desk.changes(), stopped.clone())));
        let (mut management_tls, mut addresses) = (None, [None, None]);
        if let Some((own, services)) = management {
            let wake = Waker { woken: Arc::clone(&publisher.woken), commands: commands.clone() };
            listeners.push(tokio::spawn(wake.on_change(own.subscribe(), stopped.clone())));
            addresses = [Port::Registration, Port::Management].map(|port| services.address(port));
            let (published, clock) = (published.clone(), publisher.clock);
            let around = Surroundings { desk: Arc::clone(&desk), published, clock, stopped };
            listeners.extend(services.serve(&around).map_err(StartError::Thread)?);
            management_tls = Some(own);
        }
        let [registration, management] = addresses;
        let publisher = std::thread::Builder::new()
            .name("publisher".into())
            .spawn(move || publisher.run(&receiver))
            .map_err(StartError::Thread)?;
        let publisher = Some(publisher);
        tracing::info!(http = %http_at, https = ?https_at, "the registry serves its configuration");
        Ok(Running {
            http: http_at,
            https: https_at,
            anchors,
            desk,
            administration,
            management_tls,
            registration,
            management,
            published,
            commands,
            stop,
            listeners,
            publisher,
        })
    }
}

/// Wakes the publisher, once for all that happens before it looks.
struct Waker {
    woken: Arc<AtomicBool>,
    commands: mpsc::Sender<Command>,
}

impl Waker {
    async fn on_change<T>(self, mut changes: watch::Receiver<T>, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            // The desk told of the change after it was made, so the next round has it.
            if !self.woken.swap(true, Ordering::SeqCst) && self.commands.send(Command::Wake).is_err() {
                return;
            }
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
