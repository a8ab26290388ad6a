//! Where the PIN of the token comes from.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// The PIN. It leaves memory when it is dropped, and is never printed.
pub type Pin = Zeroizing<String>;

/// Where the PIN is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PinSource {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// An administrator, who logs in to the token while the server runs.
    Administrator,
}

/// Why there is no PIN.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PinError {
    /// The file cannot be read.
    #[error("the PIN file {0} cannot be read: {1}")]
    Unreadable(PathBuf, String),
    /// Others than the owner have access to the file.
    #[error("the PIN file {0} is open to others (mode {1:03o}); run: chmod 600 {0}")]
    Exposed(PathBuf, u32),
    /// The variable is not set.
    #[error("the environment variable {0} that should hold the PIN is not set")]
    Unset(String),
    /// Nobody wrote it anywhere; an administrator logs in.
    #[error("the PIN is not in the configuration: log in to the token over the administration interface")]
    NotKept,
    /// Nothing stands there.
    #[error("the PIN is empty")]
    Empty,
}

/// More than any PIN has.
const MAX_FILE: u64 = 4096;

impl PinSource {
    /// Reads the PIN.
    pub fn read(&self) -> Result<Pin, PinError> {
        let text = match self {
            Self::File(path) => {
                let unreadable =
                    |error: std::io::Error| PinError::Unreadable(path.clone(), error.to_string());
                let file = std::fs::File::open(path).map_err(unreadable)?;
                let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(PinError::Exposed(path.clone(), mode));
                }
                // One allocation, so that no grown buffer leaves a copy behind.
                let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize));
                file.take(MAX_FILE).read_to_string(&mut text).map_err(unreadable)?;
                text
            }
            Self::Variable(name) => {
                Zeroizing::new(std::env::var(name).map_err(|_| PinError::Unset(name.clone()))?)
            }
            Self::Administrator => return Err(PinError::NotKept),
        };
        match text.lines().next() {
            Some(pin) if !pin.is_empty() => Ok(Zeroizing::new(pin.to_owned())),
            _ => Err(PinError::Empty),
        }
    }
}
