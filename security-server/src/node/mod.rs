//! Puts a security server together and keeps it running.
//!
//! Order of the start: what can be refused without touching the network comes first, so that a mistake
//! is told at once. The data plane opens its ports last; from then on messages are taken as soon as
//! there is an authentication certificate with a fresh OCSP response.

mod archiving;
mod control;
mod error;
mod internal_tls;
mod keys;
mod log_key;
mod open;
mod ports;

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use certs::token::Token;
use gateway::configuration::ConfigurationClient;
use gateway::http::Fetcher;
use gateway::ocsp::{OwnResponses, OwnSettings, PeerResponses, PeerSettings, Relay};
use gateway::snapshot::SnapshotCell;
use gateway::tls::IdentityCell;
use gateway::{Clock, Gateway, GatewayParts, RunningGateway, Settings};
use protocol::configuration::CostPreference;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

pub use control::Control;
pub use error::StartError;
pub use internal_tls::{CERTIFICATE_FILE, load as load_internal};
pub(crate) use keys::member;
pub use open::open_state_as_it_is;
pub(crate) use open::{configuration_client, is_locked, open_hardware_tokens, open_token, read_anchor};
pub(crate) use ports::sockets;

use crate::config::Config;
use crate::directory::Directory;
use crate::management::ManagementClient;
use crate::message_log::ApprovedServices;
use crate::replay_journal::ReplayJournal;
use crate::signer::BatchSigner;
use crate::state::NodeState;
use keys::KeyKeeper;
use open::{open_log, open_replays, open_state, prepare_folder};

/// Times for services that are asked over HTTP.
const CONNECT: Duration = Duration::from_secs(20);
const READ: Duration = Duration::from_secs(60);
/// Longest wait for the first global configuration.
const FIRST_CONFIGURATION: Duration = Duration::from_secs(30);

/// A security server.
pub struct SecurityServer;

/// A security server that runs. Dropping it stops it too, and blocks the thread until that is done.
pub struct Running {
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
    thread: Option<JoinHandle<()>>,
    readiness: watch::Receiver<Readiness>,
    control: Arc<Control>,
}

/// Whether a server takes part in exchanges.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not, for this reason.
    NotReady(String),
}

impl SecurityServer {
    /// Starts a server; returns when its ports are open. The server has threads of its own.
    ///
    /// # Errors
    /// Each says what to do. Nothing runs on after an error.
    pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
        let (stop, stopping) = watch::channel(false);
        let (tell, readiness) = watch::channel(Readiness::NotReady("it is starting".to_owned()));
        let (started, outcome) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let run = move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(run(config, clock, started, tell, stopping)),
                Err(error) => drop(started.send(Err(StartError::Resources(error)))),
            }
            drop(end);
        };
        let thread =
            std::thread::Builder::new().name("node".to_owned()).spawn(run).map_err(StartError::Resources)?;
        let died = || StartError::Gateway("it ended unexpectedly; look into its log".to_owned());
        match outcome.await.unwrap_or_else(|_| Err(died())) {
            Ok(control) => Ok(Running { stop, ended, thread: Some(thread), readiness, control }),
            Err(error) => {
                // The thread has nothing left to do, and holds no lock once it is gone.
                let _ = ended.await;
                join(thread);
                Err(error)
            }
        }
    }
}

impl Running {
    /// Whether it takes part in exchanges, and changes of that.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.clone()
    }

    /// Asks the registry for changes of this server.
    pub fn management(&self) -> &Arc<ManagementClient> {
        self.control.management()
    }

    /// What administration works with.
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Stops taking calls, lets running exchanges finish, writes what is to be written.
    pub async fn stop(mut self) {
        self.end().await;
    }

    async fn end(&mut self) {
        self.stop.send_replace(true);
        // It is never sent to: it ends with the last act of the thread.
        let _ = (&mut self.ended).await;
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            join(thread);
        }
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("the node's thread has panicked");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.join();
    }
}

type Started = oneshot::Sender<Result<Arc<Control>, StartError>>;

async fn run(
    config: Config,
    clock: Clock,
    started: Started,
    readiness: watch::Sender<Readiness>,
    mut stop: watch::Receiver<bool>,
) {
    let node = match Node::build(config, clock, readiness, &stop).await {
        Ok(node) => node,
        Err(error) => return drop(started.send(Err(error))),
    };
    drop(started.send(Ok(Arc::clone(&node.control))));
    // An error means that the handle is gone, which is a reason to stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
    tracing::info!("stopping");
    node.gateway.stop().await;
    let mut tasks = node.tasks;
    while tasks.join_next().await.is_some() {}
    tracing::info!("stopped");
}

/// What runs.
struct Node {
    gateway: RunningGateway,
    tasks: JoinSet<()>,
    control: Arc<Control>,
    // Writes what is left when all exchanges are over.
    _replays: Option<ReplayJournal>,
    // Holds the lock of the state folder.
    _state: NodeState,
}

impl Node {
    async fn build(
        config: Config,
        clock: Clock,
        readiness: watch::Sender<Readiness>,
        stop: &watch::Receiver<bool>,
    ) -> Result<Self, StartError> {
        prepare_folder(&config.state_folder)?;
        ports::check(&config.listen)?;
        let anchor = read_anchor(&config)?;
        let state = open_state(&config, clock)?;
        // Deriving the key from the PIN takes longer than all the rest, so it is done beside it.
        let tokens = tokio::task::spawn_blocking({
            let config = config.clone();
            move || {
                let software = Arc::new(open_token(&config)?);
                let mut tokens: Vec<Arc<dyn Token>> = vec![Arc::clone(&software) as _];
                tokens.extend(open_hardware_tokens(&config)?);
                Ok((software, tokens))
            }
        });
        let host = config.listen.https.map_or_else(|| "localhost".to_owned(), |https| https.ip().to_string());
        let internal = internal_tls::load_or_create(&config.internal_tls_folder(), &host, clock.now())?;
        let fetcher = Fetcher::new(CONNECT, READ);
        let snapshot = Arc::new(SnapshotCell::new());
        let mut configuration = configuration_client(
            &config,
            anchor,
            config.configuration_folder(),
            Arc::clone(&snapshot),
            clock,
        );
        let is_current = configuration.load_local().map_err(|error| StartError::Folder {
            folder: config.configuration_folder(),
            reason: error.to_string(),
        })?;
        let timestamper = ApprovedServices::new(
            fetcher.clone(),
            Arc::clone(&snapshot),
            clock,
            config.message_log.timestamping_services.clone(),
            CostPreference::None,
        );
        let log = Arc::new(open_log(&config, clock, Arc::new(timestamper))?);
        let archiving = archiving::Archiving::open(&config, clock)?;
        let (software, tokens) =
            tokens.await.unwrap_or_else(|error| Err(StartError::Gateway(error.to_string())))?;
        if !is_current {
            download(&config, &mut configuration, &snapshot).await?;
        }

        let ocsp_settings = OwnSettings::in_folder(config.ocsp_folder());
        let own_ocsp = Arc::new(OwnResponses::new(ocsp_settings, fetcher, Arc::clone(&snapshot), clock));
        let ocsp: Arc<dyn crate::signer::OwnOcsp> = own_ocsp.clone();
        let signer = Arc::new(BatchSigner::new(Arc::clone(&snapshot), ocsp, clock));
        let identity = Arc::new(identity_cell(&config, &snapshot));
        let keeper = Arc::new(KeyKeeper {
            server: config.server.clone(),
            tokens: tokens.clone(),
            snapshot: Arc::clone(&snapshot),
            ocsp: Arc::clone(&own_ocsp),
            identity: Arc::clone(&identity),
            signer: Arc::clone(&signer),
            algorithms: config.signing,
            clock,
            readiness,
            in_use: Mutex::default(),
        });
        // Certificates, then, with the responses of the last run, what can be used of them.
        keeper.refresh();
        let directory = Arc::new(Directory::new(config.server.clone(), clock));
        // Before the table is built, so that no change in between is missed.
        let changes = snapshot.subscribe();
        update_directory(&directory, &state, &snapshot)?;
        let replays = open_replays(&config, &log, &snapshot, clock)?;
        let relay = gateway::http::bind(config.listen.ocsp, false)
            .map_err(|error| ports::refusal("ocsp", config.listen.ocsp, &error))?;
        let parts = GatewayParts {
            settings: settings(&config),
            clock,
            snapshot: Arc::clone(&snapshot),
            identity,
            internal: Some(internal),
            signer: signer.clone(),
            log: log.clone(),
            directory: directory.clone(),
            own_ocsp: Arc::clone(&own_ocsp),
            peer_ocsp: Arc::new(PeerResponses::new(PeerSettings::default())),
            replays: replays.0,
        };
        let gateway = Gateway::start(parts).map_err(|error| StartError::Gateway(error.to_string()))?;
        let management =
            Arc::new(ManagementClient::new(config.server.clone(), Arc::clone(&snapshot), signer));
        management.set_calls(gateway.own_calls(tokio::runtime::Handle::current()));

        let mut tasks = JoinSet::new();
        tasks.spawn(configuration.run(stop.clone()));
        tasks.spawn(Arc::clone(&own_ocsp).run(stop.clone()));
        tasks.spawn(Arc::clone(&keeper).run(stop.clone()));
        tasks.spawn(Relay::new(Arc::clone(&own_ocsp), clock).serve(relay, stop.clone()));
        tasks.spawn(log.run_timestamping(stop.clone()));
        if let Some(archiving) = archiving {
            tasks.spawn(archiving.run(log, stop.clone()));
        }
        tasks.spawn(follow(
            Arc::clone(&directory),
            state.clone(),
            Arc::clone(&snapshot),
            changes,
            stop.clone(),
        ));
        tracing::info!(server = %config.server, messages = %config.listen.messages, "security server started");
        let control = Control {
            software,
            tokens,
            snapshot,
            management,
            keeper,
            ocsp: own_ocsp,
            state: state.clone(),
            directory,
            clock,
        };
        Ok(Self { gateway, tasks, control: Arc::new(control), _replays: replays.1, _state: state })
    }
}

/// Downloads before anything else, since there is no local copy in force. A node whose copy has expired
/// starts all the same and refuses messages until the registry is there again.
async fn download(
    config: &Config,
    client: &mut ConfigurationClient,
    snapshot: &SnapshotCell,
) -> Result<(), StartError> {
    let failure = match tokio::time::timeout(FIRST_CONFIGURATION, client.refresh_once()).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.reason,
        Err(_) => format!("the registry did not answer within {} s", FIRST_CONFIGURATION.as_secs()),
    };
    if snapshot.load().is_some() {
        tracing::warn!(%failure, "the local copy of the global configuration has expired, and there is no new one");
        return Ok(());
    }
    Err(StartError::NoConfiguration { anchor: config.anchor.clone(), reason: failure })
}

fn identity_cell(config: &Config, snapshot: &Arc<SnapshotCell>) -> IdentityCell {
    let suites = config.data_plane.peer_cipher_suites.clone();
    let cell = IdentityCell::with_suites(Arc::clone(snapshot), suites);
    #[cfg(feature = "legacy-transport")]
    let cell = cell.with_legacy_transport(config.data_plane.legacy_transport);
    if config.data_plane.legacy_transport {
        tracing::warn!(
            "[data-plane] legacy-transport is on: servers that offer only the CBC suites of TLS 1.2 are served"
        );
    }
    cell
}

fn settings(config: &Config) -> Settings {
    let data_plane = &config.data_plane;
    // Not only what is kept in the end: the log itself decides which bodies those are.
    let logged_body_limit = config.message_log.bodies.longest();
    Settings {
        clients_http: config.listen.http,
        clients_https: config.listen.https,
        messages: config.listen.messages,
        health: config.listen.health,
        peer_port: data_plane.peer_ports.0,
        ocsp_port: data_plane.peer_ports.1,
        workers: data_plane.workers,
        spool_folder: data_plane.spool_folder.clone(),
        logged_body_limit,
        verify_clients: data_plane.verify_clients,
        connect_timeout: data_plane.connect_timeout,
        peer_timeout: data_plane.peer_timeout,
        response_timeout: data_plane.response_timeout,
        stop_timeout: data_plane.stop_timeout,
        connections: data_plane.connections.0,
        connections_per_peer: data_plane.connections.1,
        replays_accepted_from: data_plane.replays_accepted_from.clone(),
        ..Settings::default()
    }
}

fn update_directory(
    directory: &Directory,
    state: &NodeState,
    snapshot: &SnapshotCell,
) -> Result<(), StartError> {
    let local = state.load().map_err(StartError::State)?;
    if let Some(snapshot) = snapshot.load() {
        directory.update(&local, snapshot.configuration());
        for client in local.clients.keys().filter(|client| directory.is_missing(client)) {
            tracing::warn!(%client, "the client is not registered at this server and is not served");
        }
    }
    Ok(())
}

/// Rebuilds the directory after each change of the global configuration.
async fn follow(
    directory: Arc<Directory>,
    state: NodeState,
    snapshot: Arc<SnapshotCell>,
    mut changes: watch::Receiver<u64>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if let Err(error) = update_directory(&directory, &state, &snapshot) {
            tracing::error!(%error, "the node's own configuration cannot be read");
        }
    }
}
