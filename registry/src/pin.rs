//! Where the PIN of the signing keys comes from.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// Where a PIN comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PinSource {
    /// The first line of a file that only its owner may read.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

/// A PIN cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file cannot be read.
    #[error("cannot read the PIN from {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Others than the owner may read or write the file.
    #[error("the PIN file {0} is open to others (mode {mode:03o}); run: chmod 600 {0}", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The variable is not set.
    #[error("the environment variable {0}, which should hold the PIN, is not set")]
    Variable(String),
    /// There is nothing in it.
    #[error("the PIN is empty")]
    Empty,
}

/// More than any PIN has.
const LONGEST: usize = 4096;

impl PinSource {
    /// Reads the PIN. It is wiped when it is dropped.
    pub fn get(&self) -> Result<Zeroizing<String>, PinError> {
        let text = match self {
            Self::File(path) => {
                let told = |error| PinError::File { path: path.clone(), error };
                let file = std::fs::File::open(path).map_err(told)?;
                let mode = file.metadata().map_err(told)?.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(PinError::Exposed { path: path.clone(), mode });
                }
                // Allocated once: a text that grows leaves copies behind.
                let mut text = Zeroizing::new(String::with_capacity(LONGEST));
                file.take(LONGEST as u64).read_to_string(&mut text).map_err(told)?;
                text
            }
            Self::Variable(name) => {
                Zeroizing::new(std::env::var(name).map_err(|_| PinError::Variable(name.clone()))?)
            }
        };
        match text.lines().next() {
            Some(pin) if !pin.is_empty() => Ok(Zeroizing::new(pin.to_owned())),
            _ => Err(PinError::Empty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        let source = PinSource::File(path.clone());
        assert!(matches!(source.get(), Err(PinError::File { .. })));
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write("1234\nnot this\n", 0o600);
        assert_eq!(source.get().unwrap().as_str(), "1234");
        write("\n", 0o400);
        assert!(matches!(source.get(), Err(PinError::Empty)));
        write("1234\n", 0o640);
        assert!(matches!(source.get(), Err(PinError::Exposed { mode: 0o640, .. })));
        assert!(matches!(PinSource::Variable("CAUSEWAY_NO_PIN".into()).get(), Err(PinError::Variable(_))));
    }
}
