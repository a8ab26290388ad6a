//! The hardware token: keys on a device, reached through PKCS#11.
//!
//! Signatures and evidence §7.1. The device makes the keys and signs with them; the list of its keys and
//! their certificates lie in a folder, so a node starts, and knows whom it could sign for, while the device
//! is away. A device that was lost is looked for whenever it is needed, so it is back without a restart. A
//! PIN that was refused once is not tried again: devices lock themselves after a few tries.

mod device;
mod library;
mod objects;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::time::UtcTime;
use zeroize::Zeroizing;

use super::index::{self, Index, ListedKey};
use super::seal;
use super::shelf::{Shelf, listed};
use super::{CertificateStatus, Token, TokenError, TokenKey};
use crate::certificate::{Certificate, CertificateUsage};
use crate::key::{KeyError, KeyKind, PrivateKey};
use device::{Device, OnDevice};

/// Where a device is and how it is opened.
pub struct HardwareTokenSettings {
    /// A name for people.
    pub name: String,
    /// The PKCS#11 library of its maker.
    pub library: PathBuf,
    /// Which slot of the library.
    pub slot: SlotChoice,
    /// The user PIN. It is kept in memory, since a device that comes back wants it again.
    pub pin: Zeroizing<String>,
}

/// How a token is told from the others of a library.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SlotChoice {
    /// The number of the slot.
    Number(u64),
    /// The label of the token.
    Label(String),
    /// The serial number of the token, which stays the same in every slot.
    Serial(String),
}

/// A token whose keys lie on a device.
pub struct HardwareToken {
    shelf: Shelf,
    device: Arc<Device>,
}

impl HardwareToken {
    /// Opens the list in `folder`, which is made when it is not there. Whether the device is there shows
    /// with [`Token::is_active`].
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Path, settings: HardwareTokenSettings) -> Result<Self, TokenError> {
        let token = Self { shelf: Shelf::closed(folder), device: Arc::new(Device::new(settings)) };
        if !Shelf::exists(folder) {
            Shelf::create_folders(folder, &["certificates"])?;
            let index = Index { version: index::VERSION, wrapped: None, keys: Vec::new() };
            token.shelf.write_index(&index, &|listed| token.key_on_device(listed))?;
        }
        token.shelf.adopt(&token.shelf.read_index()?, &|listed| token.key_on_device(listed))?;
        Ok(token)
    }

    /// Logs in now, which signing does by itself.
    ///
    /// # Errors
    /// [`TokenError::WrongPin`], or what the device or its library said.
    pub fn log_in(&self) -> Result<(), TokenError> {
        self.device.log_in().map_err(|error| error.of_token(self.device.name()))
    }

    /// Takes keys that are on the device and not on the list into the list, for one use; those whose kind
    /// is not known are left out. For keys that other software made there.
    ///
    /// # Errors
    /// The device, or the folder.
    pub fn adopt_keys(&self, usage: CertificateUsage) -> Result<Vec<TokenKey>, TokenError> {
        let found = self.device.list_keys().map_err(|error| error.of_token(self.device.name()))?;
        let (_changing, mut index) = self.shelf.begin_change()?;
        let mut adopted = Vec::new();
        for key in found {
            let public_key = index::encode(&key.public_key);
            let is_listed = index.keys.iter().any(|listed| listed.public_key == public_key);
            let id = hexadecimal(&key.id);
            if is_listed || id.len() != 40 || KeyKind::of_public_key(&key.public_key).is_none() {
                continue;
            }
            index.keys.push(listed(id.clone(), &key.label, usage, &key.public_key));
            adopted.push(id);
        }
        self.shelf.write_index(&index, &|listed| self.key_on_device(listed))?;
        Ok(adopted.iter().filter_map(|id| self.shelf.key(id)).collect())
    }

    fn key_on_device(&self, listed: &ListedKey) -> Result<PrivateKey, TokenError> {
        let damaged = || TokenError::Damaged(self.shelf.folder().to_owned());
        let public_key = index::decode(&listed.public_key).ok_or_else(damaged)?;
        let id = octets(&listed.id).ok_or_else(damaged)?;
        let kind = KeyKind::of_public_key(&public_key).ok_or_else(damaged)?;
        let key = OnDevice::new(Arc::clone(&self.device), id, kind);
        PrivateKey::on_device(public_key, Box::new(key)).map_err(|_| damaged())
    }
}

impl Token for HardwareToken {
    fn name(&self) -> String {
        self.device.name().to_owned()
    }

    fn is_active(&self) -> bool {
        self.device.is_active()
    }

    fn keys(&self) -> Vec<TokenKey> {
        self.shelf.keys()
    }

    fn generate(&self, kind: KeyKind, usage: CertificateUsage, name: &str) -> Result<TokenKey, TokenError> {
        let id = seal::random_id()?;
        let id_octets = octets(&id).ok_or(TokenError::Key(KeyError::Failed))?;
        let (_changing, mut index) = self.shelf.begin_change()?;
        // The key is on the device before the list names it; a crash in between leaves one without use.
        let public_key = self
            .device
            .generate(kind, &id_octets, name)
            .map_err(|error| error.of_token(self.device.name()))?;
        index.keys.push(listed(id.clone(), name, usage, &public_key));
        self.shelf.write_index(&index, &|listed| self.key_on_device(listed))?;
        self.shelf.key(&id).ok_or(TokenError::KeyNotFound)
    }

    fn remove_key(&self, id: &str) -> Result<(), TokenError> {
        self.shelf.remove_key(id, &|listed| self.key_on_device(listed), || {
            let octets = octets(id).ok_or(TokenError::KeyNotFound)?;
            self.device.remove_key(&octets).map_err(|error| error.of_token(self.device.name()))
        })
    }

    fn import_certificate(&self, certificate: &Certificate, at: UtcTime) -> Result<TokenKey, TokenError> {
        self.shelf.import_certificate(certificate, at, &|listed| self.key_on_device(listed))
    }

    fn set_status(&self, certificate: &Certificate, status: CertificateStatus) -> Result<(), TokenError> {
        let open = |listed: &ListedKey| self.key_on_device(listed);
        self.shelf.change_certificate(certificate, &open, |listed| listed.status = status)
    }

    fn set_active(&self, certificate: &Certificate, active: bool) -> Result<(), TokenError> {
        let open = |listed: &ListedKey| self.key_on_device(listed);
        self.shelf.change_certificate(certificate, &open, |listed| listed.active = active)
    }

    fn remove_certificate(&self, certificate: &Certificate) -> Result<(), TokenError> {
        self.shelf.remove_certificate(certificate, &|listed| self.key_on_device(listed))
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    octets.iter().fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
        // Writing into a string does not fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

fn octets(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
