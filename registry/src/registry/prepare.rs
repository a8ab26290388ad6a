//! What happens before a registry runs: everything that can fail is tried here.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use administration::settings::Settings;
use certs::key::KeyKind;
use gateway::Clock;
use gateway::http::server::Connection;
use gateway::http::{bind, serve};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Running, StartError};
use crate::api::{Office, Opened};
use crate::config::Config;
use crate::files;
use crate::instance::{Desk, DeskSettings, SOFTWARE_TOKEN};
use crate::keys::SigningKeys;
use crate::management::{Listeners, ManagementTls, Port, Surroundings};
use crate::pin::{PinError, PinSource};
use crate::publish::{Address, Published, PublishedFolder, Rounds};
use crate::publisher::{self, AdministeredWork, Anchors, Command, DeclaredWork, Publisher, Work};
use crate::serve::{Connections, Publication};
use crate::state::Watched;
use crate::state::kept;
use crate::store::{self, ReopeningStore};
use crate::tls;

/// Everything of a registry before its tasks run.
pub(super) struct Prepared {
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

pub(super) fn prepare(config: &Config, clock: Clock) -> Result<Prepared, StartError> {
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
    pub(super) fn run(self, administration: Option<&Settings>) -> Result<Running, StartError> {
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
