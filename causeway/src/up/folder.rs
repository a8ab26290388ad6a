//! The state folder of a pilot federation: who uses it, and what lies where.

use std::fs::{self, File, TryLockError};
use std::io;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

use super::plan::{NODES, Network, port};

/// Made last when a federation is set up, so that a set-up that broke off is noticed.
const MARK: &str = "set-up-complete";
/// Held while a federation runs, by the program and by all its processes; the system releases it when
/// the last of them ends, however that happens. In it stands the process id of the program.
const LOCK: &str = "in-use.lock";
/// The network that the files in the folder name.
const NETWORK: &str = "network";
/// How long processes of a run that was killed may take to end.
const LEFTOVERS: Duration = Duration::from_secs(15);

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or written.
    #[error("cannot write in {0}: {1}\nChoose another folder with --state DIR, or make this one writable.")]
    NotWritable(PathBuf, io::Error),
    /// Another federation runs in it.
    #[error(
        "a federation is running in {0} already{1}\nStop it with Ctrl-C in its terminal, or choose another folder with --state DIR."
    )]
    InUse(PathBuf, String),
    /// It was set up with other addresses.
    #[error(
        "the federation in {0} was set up with --network {1}\nLeave --network out, or choose another folder with --state DIR."
    )]
    OtherNetwork(PathBuf, String),
    /// It has files that no federation of this program made.
    #[error(
        "{0} has files in it that are not a pilot federation's\nChoose an empty folder with --state DIR; nothing was changed."
    )]
    Foreign(PathBuf),
    /// A port is taken.
    #[error("{0} is in use by another program ({1})\nStop that program; `ss -ltnp 'sport = :{port}'` shows it. Or choose other addresses with --network 127.0.N and another folder with --state DIR.", port = .0.port())]
    PortInUse(SocketAddr, io::Error),
    /// An address cannot be used at all.
    #[error(
        "cannot listen on {0}: {1}\nA pilot federation needs loopback addresses; choose them with --network 127.0.N."
    )]
    NoAddress(SocketAddr, io::Error),
}

/// A folder that this process alone uses.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
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
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.join(LOCK))
            .map_err(failed)?;
        let end = Instant::now() + LEFTOVERS;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            // Processes of a program that was killed are about to end.
            let program = program_of(&mut lock);
            if program.is_some_and(|program| test_kill_process(program).is_ok()) || Instant::now() > end {
                let named =
                    program.map_or_else(String::new, |pid| format!(" (process {})", pid.as_raw_nonzero()));
                return Err(FolderError::InUse(path, named));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(std::process::id().to_string().as_bytes()))
            .map_err(failed)?;
        let folder = Self { path, lock };
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

    /// Something for another process to hold, with which it holds the folder.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn hold(&self) -> io::Result<Stdio> {
        self.lock.try_clone().map(Stdio::from)
    }

    /// The network that the federation in this folder was set up with.
    pub(crate) fn network(&self) -> Option<Network> {
        Network::parse(fs::read_to_string(self.path.join(NETWORK)).ok()?.trim())
    }

    /// Whether a set-up was completed here.
    pub(crate) fn is_set_up(&self) -> bool {
        self.path.join(MARK).exists()
    }

    /// Marks the set-up with these addresses as complete.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn complete(&self, network: Network) -> io::Result<()> {
        fs::write(self.path.join(NETWORK), network.to_string())?;
        fs::write(self.path.join(MARK), b"")
    }

    /// Finds ports that are taken before any process is started.
    ///
    /// # Errors
    /// [`FolderError::PortInUse`], [`FolderError::NoAddress`]
    pub(crate) fn check_addresses(&self, network: Network) -> Result<(), FolderError> {
        let mut addresses = vec![network.authority()];
        for node in &NODES {
            let ports = [port::CLIENTS, port::CLIENTS_TLS, port::MESSAGES, port::OCSP];
            addresses.extend(ports.map(|port| SocketAddr::new(node.host(network), port)));
            addresses.extend(node.provider.map(|_| node.system(network)));
        }
        for address in addresses {
            // A port is free if it can be bound; the listener is gone again before the node starts.
            TcpListener::bind(address).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => FolderError::PortInUse(address, error),
                _ => FolderError::NoAddress(address, error),
            })?;
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

/// The program that says in the lock that it runs.
fn program_of(lock: &mut File) -> Option<Pid> {
    let mut text = String::new();
    lock.rewind().and_then(|()| lock.take(16).read_to_string(&mut text)).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}
