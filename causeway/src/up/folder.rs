//! The state folder of a pilot federation: who uses it, and what lies where.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use super::plan::{NODES, Network, port};

/// Made last when a federation is set up, so that a set-up that broke off is noticed.
const MARK: &str = "set-up-complete";
/// Held while a federation runs; the system releases it when the process ends, however it ends.
const LOCK: &str = "in-use.lock";

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or written.
    #[error("cannot write in {0}: {1}\nChoose another folder with --state DIR, or make this one writable.")]
    NotWritable(PathBuf, io::Error),
    /// Another federation runs in it.
    #[error(
        "a federation is running in {0} already\nStop it with Ctrl-C in its terminal, or choose another folder with --state DIR."
    )]
    InUse(PathBuf),
    /// It has files that no federation of this program made.
    #[error(
        "{0} has files in it that are not a pilot federation's\nChoose an empty folder with --state DIR; nothing was changed."
    )]
    Foreign(PathBuf),
    /// A port is taken.
    #[error("{0} is in use by another program ({1})\nStop that program; `ss -ltnp 'sport = :{port}'` shows it.", port = .0.port())]
    PortInUse(SocketAddr, io::Error),
}

/// A folder that this process alone uses.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Keeps the lock.
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is missing, and takes it for this process. What a set-up that broke off
    /// left behind is removed.
    ///
    /// # Errors
    /// [`FolderError`]
    pub(crate) fn take(path: &Path) -> Result<Self, FolderError> {
        let failed = |error| FolderError::NotWritable(path.to_owned(), error);
        fs::create_dir_all(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let is_empty = fs::read_dir(&path).map_err(failed)?.next().is_none();
        if !is_empty && !path.join(LOCK).exists() {
            return Err(FolderError::Foreign(path));
        }
        let lock =
            File::options().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse(path)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let folder = Self { path, _lock: lock };
        if !folder.is_set_up() {
            folder.clear().map_err(failed)?;
        }
        fs::create_dir_all(folder.path.join("logs")).map_err(failed)?;
        Ok(folder)
    }

    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else if entry.file_name() != LOCK {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Whether a set-up was completed here.
    pub(crate) fn is_set_up(&self) -> bool {
        self.path.join(MARK).exists()
    }

    /// Marks the set-up as complete.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn complete(&self) -> io::Result<()> {
        fs::write(self.path.join(MARK), b"")
    }

    /// Finds ports that are taken before any process is started.
    ///
    /// # Errors
    /// [`FolderError::PortInUse`]
    pub(crate) fn check_addresses(&self, network: Network) -> Result<(), FolderError> {
        let mut addresses = vec![network.authority()];
        for node in &NODES {
            let ports = [port::CLIENTS, port::CLIENTS_TLS, port::MESSAGES, port::OCSP];
            addresses.extend(ports.map(|port| SocketAddr::new(node.host(network), port)));
            addresses.extend(node.provider.map(|_| node.system(network)));
        }
        for address in addresses {
            // A port is free if it can be bound; the listener is gone again before the node starts.
            TcpListener::bind(address).map_err(|error| FolderError::PortInUse(address, error))?;
        }
        Ok(())
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Folder of a role.
    pub(crate) fn role(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The file that a role runs from.
    pub(crate) fn config(&self, name: &str) -> PathBuf {
        let file = match name {
            "authority" => "ca.toml",
            "registry" => "registry.toml",
            _ => "server.toml",
        };
        self.role(name).join(file)
    }

    /// Folder of a node's message log.
    pub(crate) fn message_log(&self, name: &str) -> PathBuf {
        self.role(name).join("state").join("messagelog")
    }

    /// The file that a process logs to.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(format!("{name}.log"))
    }
}
