//! The configuration of one node: one TOML file.
//!
//! [`written`] is the file as an operator writes it, and his manual. [`Config`] is the checked value the
//! program runs on; its only origin is a check that tells all problems at once. A key that is not known
//! is a problem.

mod administered;
mod check;
mod clients;
mod descriptions;
mod evidence;
mod pin;
mod services;
#[cfg(test)]
mod tests;
pub mod written;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use certs::key::AlgorithmChoice;
use gateway::configuration::Federations;
use gateway::http::HttpsTrust;
use gateway::tls::CipherSuites;
use protocol::id::{MemberId, SecurityServerId};

pub use administered::{Administered, Identity, IdentityError};
pub use descriptions::{Declarations, Declared};
pub use pin::{Pin, PinError, PinSource};

use crate::archive::Grouping;
use crate::message_log::BodySettings;
use crate::state::LocalConfiguration;

/// The source of [`written`], whose comments are the operator's manual.
pub const MANUAL: &str = include_str!("written.rs");

/// What a node runs on. Paths are absolute or relative to the working directory.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from; shown to people.
    pub file: PathBuf,
    /// The security server.
    pub server: SecurityServerId,
    /// Folder of everything the node keeps.
    pub state_folder: PathBuf,
    /// The configuration anchor.
    pub anchor: PathBuf,
    /// Where the token's PIN comes from.
    pub pin: PinSource,
    /// Sockets.
    pub listen: Listen,
    /// Global configuration.
    pub configuration: ConfigurationSettings,
    /// Devices with keys.
    pub hardware_tokens: Vec<HardwareTokenConfig>,
    /// What signatures of messages are made with.
    pub signing: AlgorithmChoice,
    /// The data plane.
    pub data_plane: DataPlane,
    /// The message log.
    pub message_log: MessageLogSettings,
    /// Archives; none: nothing is archived and nothing removed.
    pub archive: Option<ArchiveSettings>,
    /// Clients that the file declares; none: the state is left as it is.
    pub clients: Option<LocalConfiguration>,
}

/// A device with keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HardwareTokenConfig {
    /// Its name; usable as the name of a folder.
    pub name: String,
    /// The PKCS#11 library.
    pub library: PathBuf,
    /// Which of the library's tokens.
    pub slot: TokenSlot,
    /// Where its PIN comes from.
    pub pin: PinSource,
}

/// How a token is told from the others of a library.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokenSlot {
    /// The number of its slot.
    Number(u64),
    /// Its label.
    Label(String),
    /// Its serial number.
    Serial(String),
}

/// Where the node listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listen {
    /// Information systems, plain HTTP.
    pub http: Option<SocketAddr>,
    /// Information systems, HTTPS.
    pub https: Option<SocketAddr>,
    /// Other security servers: messages.
    pub messages: SocketAddr,
    /// Other security servers: OCSP responses.
    pub ocsp: SocketAddr,
    /// Load balancers.
    pub health: Option<SocketAddr>,
}

/// How the global configuration is kept fresh.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigurationSettings {
    /// Time between two downloads.
    pub refresh: Duration,
    /// Which other instances are known here, of those that the own registry trusts.
    pub federations: Federations,
    /// What is demanded of registries over HTTPS.
    pub https: HttpsTrust,
}

/// Limits and times of the data plane.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DataPlane {
    /// Threads.
    pub workers: usize,
    /// Folder of anonymous files for large bodies.
    pub spool_folder: PathBuf,
    /// Time for a connection to a peer or provider.
    pub connect_timeout: Duration,
    /// Longest silence of a peer in the middle of a message.
    pub peer_timeout: Duration,
    /// Longest wait for a peer to begin its answer; none: no limit.
    pub response_timeout: Option<Duration>,
    /// Time for running exchanges when the node stops.
    pub stop_timeout: Duration,
    /// Whether connection types are enforced.
    pub verify_clients: bool,
    /// The ports of other servers: messages and OCSP responses.
    pub peer_ports: (u16, u16),
    /// Cipher suites between security servers.
    pub peer_cipher_suites: CipherSuites,
    /// Open connections of each port, and of one address to the port of messages.
    pub connections: (usize, usize),
    /// Whether peers with CBC suites only are served.
    pub legacy_transport: bool,
    /// How many signed messages are remembered, so that none is taken twice; 0: none.
    pub remembered_messages: usize,
    /// Servers that may send the same signed message again.
    pub replays_accepted_from: Vec<SecurityServerId>,
}

/// The message log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MessageLogSettings {
    /// Which bodies are kept.
    pub bodies: BodySettings,
    /// Size in bytes at which a segment is sealed.
    pub segment_size: u64,
    /// Free bytes that the disk must have.
    pub free_space_floor: u64,
    /// Most bytes of the whole log; none: as many as the disk has.
    pub size_limit: Option<u64>,
    /// Whether every message is time-stamped before its exchange goes on.
    pub timestamp_immediately: bool,
    /// Longest acceptable failure of time-stamping; none: no limit.
    pub acceptable_timestamp_failure: Option<Duration>,
    /// URLs of the time-stamping services to use, in their order; empty: all that are approved.
    pub timestamping_services: Vec<String>,
    /// Time from a failure of time-stamping to the next try.
    pub timestamp_retry: Duration,
}

/// Archives of the message log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArchiveSettings {
    /// Folder of the archives.
    pub folder: PathBuf,
    /// Time between two runs.
    pub interval: Duration,
    /// Which records share a chain.
    pub grouping: Grouping,
    /// Octets of containers after which an archive is ended.
    pub max_file_size: u64,
    /// What the shell runs after each run.
    pub transfer_command: Option<String>,
    /// How long archived records stay in the log; none: for ever.
    pub keep: Option<Duration>,
    /// Encryption of archives.
    pub encryption: Option<EncryptionSettings>,
}

/// Keys of archives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncryptionSettings {
    /// The secret key that signs; none: the node's own.
    pub signing_key: Option<PathBuf>,
    /// Public keys for members that have none of their own.
    pub default_keys: Vec<PathBuf>,
    /// Public keys of members.
    pub member_keys: Vec<(MemberId, PathBuf)>,
}

/// All that is wrong with a configuration file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// One sentence each, naming the key.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration file {} cannot be used:", self.file.display())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads and checks a file. Relative paths in it start at the folder of the file.
    ///
    /// # Errors
    /// All problems at once.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(&text, file),
            Err(error) => {
                let problems = vec![format!("the file cannot be read: {error}")];
                Err(ConfigError { file: file.to_owned(), problems })
            }
        }
    }

    /// Checks the text of a file of this name.
    ///
    /// # Errors
    /// All problems at once.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        match check::check(text, file, &mut problems) {
            Some(config) if problems.0.is_empty() => Ok(config),
            _ => Err(ConfigError { file: file.to_owned(), problems: problems.0 }),
        }
    }

    /// The descriptions that a file declares, without looking at the copies of their documents.
    ///
    /// # Errors
    /// What hinders from reading them; other parts of the file are not looked at.
    pub fn declared_descriptions(file: &Path) -> Result<Declarations, ConfigError> {
        let refused = |problem: String| ConfigError { file: file.to_owned(), problems: vec![problem] };
        let text = std::fs::read_to_string(file)
            .map_err(|error| refused(format!("the file cannot be read: {error}")))?;
        descriptions::declared(&text, file).map_err(refused)
    }

    /// The folder of the token's keys and certificates.
    pub fn token_folder(&self) -> PathBuf {
        self.state_folder.join("token")
    }

    /// The folder with the list of keys and the certificates of a hardware token.
    pub fn hardware_token_folder(&self, name: &str) -> PathBuf {
        self.state_folder.join("hardware-tokens").join(name)
    }

    /// The folder of the local copy of the global configuration.
    pub fn configuration_folder(&self) -> PathBuf {
        self.state_folder.join("globalconf")
    }

    /// The folder of the message log.
    pub fn message_log_folder(&self) -> PathBuf {
        self.state_folder.join("messagelog")
    }

    /// The folder of the node's own configuration.
    pub fn node_state_folder(&self) -> PathBuf {
        self.state_folder.join("node")
    }

    /// The folder of the journal of received messages.
    pub fn replays_folder(&self) -> PathBuf {
        self.state_folder.join("replays")
    }

    /// The folder of the key that information systems see.
    pub fn internal_tls_folder(&self) -> PathBuf {
        self.state_folder.join("internal-tls")
    }

    /// The folder of OCSP responses.
    pub fn ocsp_folder(&self) -> PathBuf {
        self.state_folder.join("ocsp")
    }
}

/// Collects problems while checking goes on.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: impl fmt::Display) {
        self.0.push(problem.to_string());
    }

    /// The value, or a problem with the name of the key before it.
    fn take<T, E: fmt::Display>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(format_args!("{key}: {error}"))).ok()
    }
}
