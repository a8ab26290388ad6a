//! Why a node does not start, and what to do about it.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::PinError;
use crate::state::StateError;

/// Why a node does not start. Each text ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder cannot be made or written to.
    #[error(
        "the folder {folder} cannot be written: {reason}. Let the user that runs the node own it, or choose another with [server] state"
    )]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Another process runs on the same state.
    #[error(
        "another process uses the state folder {0}. Stop it, or choose another folder with [server] state"
    )]
    Running(PathBuf),
    /// The state of another server.
    #[error(
        "the state folder {folder} belongs to the security server {owner}. Correct [server], or choose another folder with [server] state"
    )]
    OtherServer {
        /// Which folder.
        folder: PathBuf,
        /// Whose it is.
        owner: String,
    },
    /// The node's own configuration cannot be read.
    #[error(
        "{0}. Restore the folder from a back-up, or move it away: clients of the configuration file are set up anew"
    )]
    State(StateError),
    /// There is no PIN.
    #[error("{0} (settings [token] pin-file and pin-variable)")]
    Pin(#[from] PinError),
    /// There is no token yet.
    #[error(
        "there is no key token in {0}. Make keys, have them certified and import the certificates before the first start"
    )]
    NoToken(PathBuf),
    /// The PIN does not open the token.
    #[error("the PIN does not open the key token in {0}. Correct the PIN that [token] points at")]
    WrongPin(PathBuf),
    /// The PIN does not open a device.
    #[error(
        "the PIN does not open the hardware token {0}. Correct the PIN that [[hardware-token]] points at; do not try often, devices lock themselves"
    )]
    HardwarePin(String),
    /// The token is damaged.
    #[error("the key token in {folder} cannot be opened: {reason}. Restore it from a back-up")]
    Token {
        /// Where it is.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The anchor cannot be used.
    #[error(
        "the configuration anchor {file} cannot be used: {reason}. Get it anew from the registry and correct [server] anchor"
    )]
    Anchor {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The anchor stands for another instance.
    #[error(
        "the anchor {file} stands for the instance {found}, but [server] instance is {expected}. Correct the one that is wrong"
    )]
    WrongInstance {
        /// The file.
        file: PathBuf,
        /// Instance of the anchor.
        found: String,
        /// Instance of the server.
        expected: String,
    },
    /// No configuration could be had, and there is no local copy.
    #[error(
        "there is no global configuration: {reason}. Check that the registry runs, that it can be reached from here, and that {anchor} is its anchor"
    )]
    NoConfiguration {
        /// The anchor.
        anchor: PathBuf,
        /// Why the download failed.
        reason: String,
    },
    /// The message log does not open.
    #[error("the message log in {folder} cannot be opened: {reason}")]
    MessageLog {
        /// Where it is.
        folder: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A port is taken, forbidden, or its address is not this machine's.
    #[error("cannot listen on {address} ([listen] {setting}): {reason}")]
    Port {
        /// The address.
        address: SocketAddr,
        /// Which setting it is.
        setting: &'static str,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The node's TLS key towards information systems.
    #[error("the internal TLS key in {folder} cannot be used: {reason}. Remove the folder to get a new one")]
    InternalTls {
        /// Where it is.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The data plane does not start.
    #[error("the gateway does not start: {0}")]
    Gateway(String),
    /// The system gives no thread.
    #[error("the system gives no more threads or files: {0}. Raise the limits of the service")]
    Resources(std::io::Error),
}
