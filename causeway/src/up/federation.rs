//! The running federation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::children::{ChildError, Role};
use super::folder::{Folder, FolderError};
use super::plan::{NODES, Network};
use super::setup::{self, SetupError};

/// What a federation is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of all state.
    pub state: PathBuf,
    /// Addresses; none: those that the folder was set up with, or else [`Network::PILOT`].
    pub network: Option<Network>,
    /// The program of the roles; this one if missing.
    pub program: Option<PathBuf>,
    /// Members besides the three, to make the configuration large.
    pub more_members: usize,
    /// Seconds between two publications, and between two downloads.
    pub refresh_seconds: u64,
}

/// Why the federation did not come up.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The state folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Files, keys or certificates could not be made.
    #[error("cannot set up the federation: {0}")]
    Setup(#[from] SetupError),
    /// A role did not come up.
    #[error(transparent)]
    Role(#[from] ChildError),
    /// This program does not know where it is.
    #[error("cannot find this program: {0}")]
    Program(std::io::Error),
    /// The system has no more file descriptors.
    #[error("cannot hold the state folder: {0}")]
    Hold(std::io::Error),
}

/// A pilot federation whose processes run.
pub struct Federation {
    network: Network,
    program: PathBuf,
    folder: Folder,
    /// In the order in which they were started.
    roles: Vec<Role>,
}

/// Ctrl-C and SIGTERM, which do not end this process any more from the moment this is made.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Watches for them.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn watch() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Returns when one of them came.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

impl Options {
    /// A federation in this folder with this program.
    pub fn new(state: PathBuf, network: Network) -> Self {
        Self { state, network: Some(network), program: None, more_members: 0, refresh_seconds: 2 }
    }
}

impl Federation {
    /// Starts everything, setting it up first where the folder is empty.
    ///
    /// # Errors
    /// [`UpError`], each with what to do.
    pub async fn start(options: &Options) -> Result<Self, UpError> {
        let program = match &options.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(UpError::Program)?,
        };
        let folder = Folder::take(&options.state)?;
        let network = match (options.network, folder.network()) {
            (Some(wanted), Some(kept)) if wanted != kept => {
                let state = folder.path().to_owned();
                return Err(FolderError::OtherNetwork(state, kept.to_string()).into());
            }
            (wanted, kept) => wanted.or(kept).unwrap_or(Network::PILOT),
        };
        folder.check_addresses(network)?;
        if !folder.is_set_up() {
            setup::write(&folder, options, network)?;
        }
        let mut federation = Self { network, program, folder, roles: Vec::new() };
        if let Err(error) = federation.start_roles().await {
            federation.stop().await;
            return Err(error);
        }
        Ok(federation)
    }

    async fn start_roles(&mut self) -> Result<(), UpError> {
        let authority = self.start_role("authority", "ca").await?;
        self.roles.push(authority);
        let registry = self.start_role("registry", "registry").await?;
        self.roles.push(registry);
        setup::hand_out_anchor(&self.folder)?;
        // The nodes know nothing of each other yet, so they start side by side.
        let (first, second, third) = tokio::join!(
            self.start_role(NODES[0].name, "server"),
            self.start_role(NODES[1].name, "server"),
            self.start_role(NODES[2].name, "server")
        );
        for role in [first, second, third] {
            self.roles.push(role?);
        }
        for (index, node) in NODES.iter().enumerate() {
            if node.provider.is_some() {
                self.start_system(index).await?;
            }
        }
        Ok(())
    }

    async fn start_role(&self, name: &str, command: &str) -> Result<Role, UpError> {
        let config = self.config(name).display().to_string();
        let arguments = [command, "--config", &config];
        let held = self.folder.hold().map_err(UpError::Hold)?;
        Ok(Role::start(&self.program, name, &arguments, &self.folder.log(name), held).await?)
    }

    /// Starts the information system behind a node.
    ///
    /// # Errors
    /// [`UpError::Role`]
    pub async fn start_system(&mut self, node: usize) -> Result<(), UpError> {
        let address = NODES[node].system(self.network).to_string();
        let name = system_name(node);
        let log = self.folder.log(&name);
        let arguments = ["sample", "--listen", &address];
        let held = self.folder.hold().map_err(UpError::Hold)?;
        let role = Role::start(&self.program, &name, &arguments, &log, held).await?;
        self.roles.push(role);
        Ok(())
    }

    /// Starts a node that was killed or stopped.
    ///
    /// # Errors
    /// [`UpError::Role`]
    pub async fn start_again(&mut self, name: &str) -> Result<(), UpError> {
        let command = match name {
            "authority" => "ca",
            "registry" => "registry",
            _ => "server",
        };
        let role = self.start_role(name, command).await?;
        self.roles.push(role);
        Ok(())
    }

    /// Kills a process at once, as a crash would.
    pub async fn kill(&mut self, name: &str) {
        if let Some(at) = self.roles.iter().position(|role| role.name() == name) {
            self.roles.swap_remove(at).kill().await;
        }
    }

    /// Stops a process cleanly.
    pub async fn stop_one(&mut self, name: &str) {
        if let Some(at) = self.roles.iter().position(|role| role.name() == name) {
            self.roles.swap_remove(at).stop().await;
        }
    }

    /// Addresses.
    pub fn network(&self) -> Network {
        self.network
    }

    /// The file that a role runs from.
    pub fn config(&self, name: &str) -> PathBuf {
        self.folder.config(name)
    }

    /// Folder of a role.
    pub fn role_folder(&self, name: &str) -> PathBuf {
        self.folder.role(name)
    }

    /// Folder of a node's message log.
    pub fn message_log(&self, node: usize) -> PathBuf {
        self.folder.message_log(NODES[node].name)
    }

    /// What a role has logged.
    pub fn log_text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.log(name)).unwrap_or_default()
    }

    /// The root of all state.
    pub fn state(&self) -> &Path {
        self.folder.path()
    }

    /// Process id of a role.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.roles.iter().find(|role| role.name() == name).and_then(Role::pid)
    }

    /// The two servers of the standard exchange: the ministry's and the data centre's.
    pub fn exchange_pids(&self) -> Vec<u32> {
        [NODES[0].name, NODES[1].name].iter().filter_map(|name| self.pid(name)).collect()
    }

    /// The information system behind a node.
    pub fn system_pid(&self, node: usize) -> Option<u32> {
        self.pid(&system_name(node))
    }

    /// Waits for somebody to end it, or for the end of a role, then stops everything.
    pub async fn serve(mut self, signals: &mut Signals) -> ExitCode {
        let code = loop {
            tokio::select! {
                () = signals.received() => break ExitCode::SUCCESS,
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
            if let Some(at) = self.roles.iter_mut().position(|role| role.has_ended()) {
                let role = self.roles.swap_remove(at);
                eprintln!("causeway: {} ended unexpectedly:\n{}", role.name(), role.last_words());
                break ExitCode::FAILURE;
            }
        };
        self.stop().await;
        code
    }

    /// Stops everything, the last started first.
    pub async fn stop(mut self) {
        let mut stopping = tokio::task::JoinSet::new();
        // Servers first and side by side: they may still ask registry and authority while they finish.
        let (servers, others): (Vec<_>, Vec<_>) =
            self.roles.drain(..).partition(|role| NODES.iter().any(|node| node.name == role.name()));
        for role in servers {
            stopping.spawn(role.stop());
        }
        while stopping.join_next().await.is_some() {}
        for role in others {
            stopping.spawn(role.stop());
        }
        while stopping.join_next().await.is_some() {}
    }
}

fn system_name(node: usize) -> String {
    NODES.get(node).map_or_else(String::new, |node| format!("{}-system", node.name))
}
