//! What the pilot authority keeps in its folder.
//!
//! ```text
//! settings.json        the settings it was made with
//! ca.pem ocsp.pem tsa.pem
//! keys/                a software token with the three keys, under the PIN
//! issued/SERIAL.pem    every certificate it signed
//! revoked/SERIAL.json  when and why, for those that are revoked
//! ```
//!
//! Each file is written whole beside its place, synced and renamed. A certificate is in `issued`
//! before anybody gets it: after a crash it may be there without having been handed out, never the
//! other way round.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::digest::hex;
use protocol::time::UtcTime;
use ring::rand::SecureRandom as _;
use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::files::{create_folder, write_atomically};
use crate::key::KeyError;

/// A certificate that was issued.
#[derive(Clone)]
pub(super) struct Issued {
    pub(super) certificate: Certificate,
    pub(super) revoked: Option<Revoked>,
}

/// A revocation, as its file has it.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoked {
    /// Milliseconds since 1970.
    at: i64,
    /// CRLReason.
    pub(super) reason: u8,
}

impl Revoked {
    pub(super) fn new(at: UtcTime, reason: u8) -> Self {
        Self { at: at.millis(), reason }
    }

    pub(super) fn at(&self) -> UtcTime {
        UtcTime::from_millis(self.at)
    }
}

/// All issued certificates by the octets of their serial number.
pub(super) struct Index {
    folder: PathBuf,
    issued: HashMap<Vec<u8>, Issued>,
}

impl Index {
    /// Reads the folder.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut issued = HashMap::new();
        create_folder(&folder.join("issued"))?;
        create_folder(&folder.join("revoked"))?;
        for entry in fs::read_dir(folder.join("issued"))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "pem") {
                continue; // what a crash left of a file that was not yet renamed
            }
            let certificate = Certificate::from_pem(&fs::read_to_string(&path)?).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
            })?;
            issued.insert(certificate.serial().to_vec(), Issued { certificate, revoked: None });
        }
        for (serial, entry) in &mut issued {
            match fs::read(folder.join("revoked").join(format!("{}.json", hex(serial)))) {
                Ok(text) => entry.revoked = Some(serde_json::from_slice(&text)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { folder: folder.to_owned(), issued })
    }

    pub(super) fn get(&self, serial: &[u8]) -> Option<&Issued> {
        self.issued.get(serial)
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = &Issued> {
        self.issued.values()
    }

    /// Makes a certificate known, durably.
    pub(super) fn add(&mut self, certificate: &Certificate) -> io::Result<()> {
        let serial = certificate.serial();
        let path = self.folder.join("issued").join(format!("{}.pem", hex(serial)));
        write_atomically(&path, certificate.to_pem().as_bytes())?;
        self.issued.insert(serial.to_vec(), Issued { certificate: certificate.clone(), revoked: None });
        Ok(())
    }

    /// Revokes a certificate, durably. `false` when it is not known. The first revocation stays.
    pub(super) fn revoke(&mut self, serial: &[u8], revoked: Revoked) -> io::Result<bool> {
        let Some(entry) = self.issued.get_mut(serial) else { return Ok(false) };
        if entry.revoked.is_none() {
            let path = self.folder.join("revoked").join(format!("{}.json", hex(serial)));
            write_atomically(&path, &serde_json::to_vec(&revoked)?)?;
            entry.revoked = Some(revoked);
        }
        Ok(true)
    }
}

/// A serial number that is positive and was never used: 126 random bits.
pub(super) fn random_serial() -> Result<[u8; 16], KeyError> {
    let mut serial = [0; 16];
    ring::rand::SystemRandom::new().fill(&mut serial).map_err(|_| KeyError::Failed)?;
    serial[0] = serial[0] & 0x3F | 0x40;
    Ok(serial)
}
