//! The software token: keys encrypted at rest under a PIN, with their certificates.
//!
//! Beside its list and certificates the folder has `keys/ID.key`: one private key each, PKCS#8 under
//! AES-256-GCM with the token's own key. That one lies in the list, wrapped under the PIN. It is random and
//! never changes, so a new PIN rewrites one file.
//! The list itself is not secret and not authenticated: whoever can write the folder can switch a
//! certificate off, and cannot make a key of his own pass for one of the token's, since each key file is
//! bound to its id and compared with the listed public key.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use protocol::signature::SignatureAlgorithm;
use protocol::time::UtcTime;
use zeroize::Zeroizing;

use super::index::{self, Index, ListedKey};
use super::seal::{self, TokenSecret};
use super::shelf::{Shelf, listed};
use super::{CertificateStatus, Token, TokenError, TokenKey};
use crate::certificate::{Certificate, CertificateUsage};
use crate::files;
use crate::key::{DeviceKey, KeyError, KeyKind, PrivateKey};

const LONGEST_KEY_FILE: u64 = 64 * 1024;

/// A software token, open or closed. A closed one shows its keys and certificates and signs nothing.
pub struct SoftwareToken {
    shelf: Shelf,
    secret: RwLock<Option<TokenSecret>>,
}

/// A key of a token that is closed.
struct LockedKey;

impl DeviceKey for LockedKey {
    fn sign_digest(&self, _: SignatureAlgorithm, _: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Device("the software token is not logged in".to_owned()))
    }
}

impl SoftwareToken {
    /// Makes an empty token in a folder, which is made when it is not there.
    pub fn create(folder: &Path, pin: &str) -> Result<Self, TokenError> {
        if Self::exists(folder) {
            return Err(TokenError::Exists);
        }
        Shelf::create_folders(folder, &["keys", "certificates"])?;
        let (secret, wrapped) = TokenSecret::generate(pin)?;
        let token = Self { shelf: Shelf::closed(folder), secret: RwLock::new(Some(secret)) };
        let index = Index { version: index::VERSION, wrapped: Some(wrapped), keys: Vec::new() };
        token.shelf.write_index(&index, &|listed| token.read_key(listed))?;
        Ok(token)
    }

    /// Opens a token and decrypts its keys. Deriving the key from the PIN takes hundredths of a second.
    pub fn open(folder: &Path, pin: &str) -> Result<Self, TokenError> {
        let token = Self { shelf: Shelf::closed(folder), secret: RwLock::default() };
        token.log_in(pin)?;
        Ok(token)
    }

    /// The token of a folder as it lies there, without its PIN.
    pub fn closed(folder: &Path) -> Result<Self, TokenError> {
        let token = Self { shelf: Shelf::closed(folder), secret: RwLock::default() };
        token.reload()?;
        Ok(token)
    }

    /// Opens it. With a wrong PIN it stays as it is.
    pub fn log_in(&self, pin: &str) -> Result<(), TokenError> {
        let (_changing, index) = self.shelf.begin_change()?;
        let damaged = || TokenError::Damaged(self.shelf.folder().to_owned());
        let secret = TokenSecret::unwrap(index.wrapped.as_ref().ok_or_else(damaged)?, pin)?;
        *self.secret.write().unwrap_or_else(PoisonError::into_inner) = Some(secret);
        self.shelf.adopt_anew(&index, &|listed| self.read_key(listed))
    }

    /// Closes it: the keys leave memory as soon as nobody signs with them any more.
    pub fn log_out(&self) -> Result<(), TokenError> {
        let (_changing, index) = self.shelf.begin_change()?;
        *self.secret.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.shelf.adopt_anew(&index, &|listed| self.read_key(listed))
    }

    /// Whether it is open.
    pub fn is_logged_in(&self) -> bool {
        self.secret.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Gives a key another name.
    pub fn rename_key(&self, id: &str, name: &str) -> Result<(), TokenError> {
        let (_changing, mut index) = self.shelf.begin_change()?;
        let listed = index.keys.iter_mut().find(|key| key.id == id).ok_or(TokenError::KeyNotFound)?;
        listed.name = name.to_owned();
        self.shelf.write_index(&index, &|listed| self.read_key(listed))
    }

    /// Whether there is a token in the folder.
    pub fn exists(folder: &Path) -> bool {
        Shelf::exists(folder)
    }

    /// Reads the folder again, after another program has changed it.
    pub fn reload(&self) -> Result<(), TokenError> {
        let (_changing, index) = self.shelf.begin_change()?;
        self.shelf.adopt(&index, &|listed| self.read_key(listed))
    }

    /// Changes the PIN. A crash leaves the token with the old one or the new one.
    pub fn change_pin(&self, old: &str, new: &str) -> Result<(), TokenError> {
        let (_changing, mut index) = self.shelf.begin_change()?;
        let damaged = || TokenError::Damaged(self.shelf.folder().to_owned());
        let secret = TokenSecret::unwrap(index.wrapped.as_ref().ok_or_else(damaged)?, old)?;
        index.wrapped = Some(secret.wrap(new)?);
        self.shelf.write_index(&index, &|listed| self.read_key(listed))
    }

    /// All keys with their certificates.
    pub fn keys(&self) -> Vec<TokenKey> {
        self.shelf.keys()
    }

    /// The key with this id.
    pub fn key(&self, id: &str) -> Option<TokenKey> {
        self.shelf.key(id)
    }

    /// The key that a certificate belongs to, whether or not the certificate was imported.
    pub fn key_of(&self, certificate: &Certificate) -> Option<TokenKey> {
        self.shelf.key_of(certificate)
    }

    /// Generates a key.
    pub fn generate(
        &self,
        kind: KeyKind,
        usage: CertificateUsage,
        name: &str,
    ) -> Result<TokenKey, TokenError> {
        self.import(PrivateKey::generate(kind)?, usage, name)
    }

    /// Takes over a key that was made elsewhere.
    pub fn import(
        &self,
        key: PrivateKey,
        usage: CertificateUsage,
        name: &str,
    ) -> Result<TokenKey, TokenError> {
        let pkcs8 = key.pkcs8().ok_or(KeyError::Unsupported)?;
        let (_changing, mut index) = self.shelf.begin_change()?;
        let public_key = index::encode(key.public_key());
        if index.keys.iter().any(|listed| listed.public_key == public_key) {
            return Err(TokenError::KeyExists);
        }
        let id = seal::random_id()?;
        // The key is on disk before the list names it; a crash in between leaves a file without use.
        let path = self.key_path(&id);
        let sealed = {
            let secret = self.secret.read().unwrap_or_else(PoisonError::into_inner);
            secret.as_ref().ok_or(TokenError::NotActive)?.seal(&id, &pkcs8)?
        };
        files::write_atomically(&path, &sealed).map_err(|error| TokenError::File { path, error })?;
        index.keys.push(listed(id.clone(), name, usage, key.public_key()));
        self.shelf.write_index(&index, &|listed| self.read_key(listed))?;
        self.key(&id).ok_or(TokenError::KeyNotFound)
    }

    /// Removes a key with its certificates. There is no way back.
    pub fn remove_key(&self, id: &str) -> Result<(), TokenError> {
        self.shelf.remove_key(id, &|listed| self.read_key(listed), || {
            let path = self.key_path(id);
            files::remove(&path).map_err(|error| TokenError::File { path, error })
        })
    }

    /// Imports a certificate; see [`Token::import_certificate`].
    pub fn import_certificate(&self, certificate: &Certificate, at: UtcTime) -> Result<TokenKey, TokenError> {
        self.shelf.import_certificate(certificate, at, &|listed| self.read_key(listed))
    }

    /// Sets the status of a certificate.
    pub fn set_status(&self, certificate: &Certificate, status: CertificateStatus) -> Result<(), TokenError> {
        let open = |listed: &ListedKey| self.read_key(listed);
        self.shelf.change_certificate(certificate, &open, |listed| listed.status = status)
    }

    /// Switches a certificate on or off.
    pub fn set_active(&self, certificate: &Certificate, active: bool) -> Result<(), TokenError> {
        let open = |listed: &ListedKey| self.read_key(listed);
        self.shelf.change_certificate(certificate, &open, |listed| listed.active = active)
    }

    /// Removes a certificate; its key stays.
    pub fn remove_certificate(&self, certificate: &Certificate) -> Result<(), TokenError> {
        self.shelf.remove_certificate(certificate, &|listed| self.read_key(listed))
    }

    pub(super) fn key_path(&self, id: &str) -> PathBuf {
        self.shelf.folder().join("keys").join(format!("{id}.key"))
    }

    fn read_key(&self, listed: &ListedKey) -> Result<PrivateKey, TokenError> {
        let secret = self.secret.read().unwrap_or_else(PoisonError::into_inner);
        let Some(secret) = secret.as_ref() else {
            let public_key = index::decode(&listed.public_key);
            let damaged = || TokenError::Damaged(self.shelf.folder().to_owned());
            return Ok(PrivateKey::on_device(public_key.ok_or_else(damaged)?, Box::new(LockedKey))?);
        };
        let path = self.key_path(&listed.id);
        let sealed = files::read_bounded(&path, LONGEST_KEY_FILE)
            .map_err(|error| TokenError::File { path: path.clone(), error })?;
        let key = secret
            .open(&listed.id, &sealed)
            .and_then(|pkcs8: Zeroizing<Vec<u8>>| PrivateKey::from_pkcs8(&pkcs8).ok())
            .filter(|key| index::encode(key.public_key()) == listed.public_key);
        key.ok_or(TokenError::Damaged(path))
    }
}

impl Token for SoftwareToken {
    fn name(&self) -> String {
        "software token".to_owned()
    }

    fn is_active(&self) -> bool {
        self.is_logged_in()
    }

    fn keys(&self) -> Vec<TokenKey> {
        Self::keys(self)
    }

    fn generate(&self, kind: KeyKind, usage: CertificateUsage, name: &str) -> Result<TokenKey, TokenError> {
        Self::generate(self, kind, usage, name)
    }

    fn remove_key(&self, id: &str) -> Result<(), TokenError> {
        Self::remove_key(self, id)
    }

    fn import_certificate(&self, certificate: &Certificate, at: UtcTime) -> Result<TokenKey, TokenError> {
        Self::import_certificate(self, certificate, at)
    }

    fn set_status(&self, certificate: &Certificate, status: CertificateStatus) -> Result<(), TokenError> {
        Self::set_status(self, certificate, status)
    }

    fn set_active(&self, certificate: &Certificate, active: bool) -> Result<(), TokenError> {
        Self::set_active(self, certificate, active)
    }

    fn remove_certificate(&self, certificate: &Certificate) -> Result<(), TokenError> {
        Self::remove_certificate(self, certificate)
    }
}
