//! The software token: keys encrypted at rest under a PIN, with their certificates.
//!
//! Global configuration and trust §18; signatures and evidence §7.1 and §7.2. A token is a folder:
//!
//! - `token.json`: how the PIN becomes a key, the token's own key wrapped under it, and the list of keys
//!   and certificates with their status;
//! - `keys/ID.key`: one private key each, PKCS#8 under AES-256-GCM with the token's own key;
//! - `certificates/SHA256.der`: the certificates.
//!
//! The token's own key is random and never changes, so a new PIN rewrites one file. Every file is
//! replaced atomically; a crash between two files leaves at most a file that the list does not name.
//! The list itself is not secret and not authenticated: whoever can write the folder can switch a
//! certificate off, and cannot make a key of his own pass for one of the token's, since each key file is
//! bound to its id and compared with the listed public key.

mod index;
mod seal;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use protocol::time::UtcTime;
use zeroize::Zeroizing;

pub use index::CertificateStatus;

use crate::certificate::{Certificate, CertificateUsage};
use crate::files;
use crate::key::{KeyError, KeyKind, PrivateKey};
use index::{Index, ListedCertificate, ListedKey};
use seal::TokenSecret;

/// More keys than a server has use for; a list with more is not read.
const MOST_KEYS: usize = 10_000;
const LONGEST_INDEX: u64 = 16 * 1024 * 1024;
const LONGEST_KEY_FILE: u64 = 64 * 1024;

/// An open software token.
pub struct SoftwareToken {
    folder: PathBuf,
    secret: TokenSecret,
    keys: RwLock<Vec<TokenKey>>,
    changing: Mutex<()>, // held from reading the list to writing it
}

/// A key of a token with its certificates, as it was when it was asked for.
#[derive(Clone)]
pub struct TokenKey {
    /// 40 hexadecimal digits.
    pub id: String,
    /// Shown to people.
    pub name: String,
    /// What it is for; set when it was made.
    pub usage: CertificateUsage,
    /// The key itself.
    pub key: Arc<PrivateKey>,
    /// Its certificates in the order of import.
    pub certificates: Vec<TokenCertificate>,
}

/// A certificate of a key.
#[derive(Clone, Debug)]
pub struct TokenCertificate {
    /// The certificate.
    pub certificate: Certificate,
    /// Where it stands in its life.
    pub status: CertificateStatus,
    /// The operator's switch.
    pub active: bool,
}

/// Why the token did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The PIN does not open the token.
    #[error("the PIN is wrong")]
    WrongPin,
    /// A PIN that is empty or longer than 1000 bytes.
    #[error("a PIN has between 1 and 1000 bytes")]
    UnusablePin,
    /// The PIN is weaker than [`check_pin_policy`] demands.
    #[error("a PIN has at least 10 printable ASCII characters of three kinds: lower, upper, digit, other")]
    WeakPin,
    /// There is a token in the folder already.
    #[error("the folder holds a token already")]
    Exists,
    /// There is no token in the folder.
    #[error("the folder holds no token")]
    NotInitialized,
    /// A file of the token is not what the token wrote.
    #[error("{0} is damaged")]
    Damaged(PathBuf),
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// No key of the token belongs to the certificate, or no key has this id.
    #[error("the token has no such key")]
    KeyNotFound,
    /// The key is on the token already.
    #[error("the token has this key already")]
    KeyExists,
    /// The certificate is on the token already.
    #[error("the token has this certificate already")]
    CertificateExists,
    /// The certificate is not on the token.
    #[error("the token has no such certificate")]
    CertificateNotFound,
    /// The certificate is for signing and for authentication, for neither, or not for what its key is.
    #[error("the certificate is not for what its key is for")]
    WrongUsage,
    /// The certificate has expired.
    #[error("the certificate has expired")]
    Expired,
    /// Making or reading a key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no randomness, or encryption failed.
    #[error("encryption failed")]
    Sealing,
}

impl TokenError {
    /// The code by which X-Road's administration interface calls it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongPin => "token_pin_incorrect",
            Self::UnusablePin | Self::WeakPin => "token_pin_policy_failure",
            Self::Exists => "token_already_initialized",
            Self::NotInitialized => "token_not_initialized",
            Self::KeyNotFound => "key_not_found",
            Self::CertificateExists => "cert_exists",
            Self::CertificateNotFound => "cert_not_found",
            Self::WrongUsage => "wrong_cert_usage",
            Self::Expired => "cert_import_failed",
            Self::Damaged(_) | Self::File { .. } | Self::KeyExists | Self::Key(_) | Self::Sealing => {
                "internal_error"
            }
        }
    }
}

/// The PIN policy that some countries demand (signatures and evidence §7.1): at least 10 printable ASCII
/// characters of at least three of the kinds lower case, upper case, digit, other.
pub fn check_pin_policy(pin: &str) -> Result<(), TokenError> {
    let kinds: [fn(&u8) -> bool; 4] =
        [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit, |letter| {
            !letter.is_ascii_alphanumeric()
        }];
    let printable = pin.bytes().all(|letter| (32..=126).contains(&letter));
    let present = kinds.iter().filter(|kind| pin.bytes().any(|letter| kind(&letter))).count();
    if pin.len() >= 10 && printable && present >= 3 { Ok(()) } else { Err(TokenError::WeakPin) }
}

impl SoftwareToken {
    /// Makes an empty token in a folder, which is made when it is not there.
    pub fn create(folder: &Path, pin: &str) -> Result<Self, TokenError> {
        if Self::exists(folder) {
            return Err(TokenError::Exists);
        }
        for below in ["keys", "certificates"] {
            let path = folder.join(below);
            files::create_folder(&path).map_err(|error| TokenError::File { path, error })?;
        }
        let (secret, wrapped) = TokenSecret::generate(pin)?;
        let token = Self::closed(folder, secret);
        token.write_index(&Index { version: index::VERSION, wrapped, keys: Vec::new() })?;
        Ok(token)
    }

    /// Opens a token and decrypts its keys. Deriving the key from the PIN takes tenths of a second.
    pub fn open(folder: &Path, pin: &str) -> Result<Self, TokenError> {
        let index = read_index(folder)?;
        let secret = TokenSecret::unwrap(&index.wrapped, pin)?;
        let token = Self::closed(folder, secret);
        token.adopt(&index)?;
        Ok(token)
    }

    fn closed(folder: &Path, secret: TokenSecret) -> Self {
        Self { folder: folder.to_owned(), secret, keys: RwLock::default(), changing: Mutex::default() }
    }

    /// Whether there is a token in the folder.
    pub fn exists(folder: &Path) -> bool {
        index_path(folder).exists()
    }

    /// Reads the folder again, after another program has changed it.
    pub fn reload(&self) -> Result<(), TokenError> {
        let (_changing, index) = self.begin_change()?;
        self.adopt(&index)
    }

    /// Changes the PIN. A crash leaves the token with the old one or the new one.
    pub fn change_pin(&self, old: &str, new: &str) -> Result<(), TokenError> {
        let (_changing, mut index) = self.begin_change()?;
        index.wrapped = TokenSecret::unwrap(&index.wrapped, old)?.wrap(new)?;
        self.write_index(&index)
    }

    /// All keys with their certificates.
    pub fn keys(&self) -> Vec<TokenKey> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key with this id.
    pub fn key(&self, id: &str) -> Option<TokenKey> {
        self.keys().into_iter().find(|key| key.id == id)
    }

    /// The key that a certificate belongs to, whether or not the certificate was imported.
    pub fn key_of(&self, certificate: &Certificate) -> Option<TokenKey> {
        self.keys().into_iter().find(|key| key.key.public_key() == certificate.public_key())
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
        let (_changing, mut index) = self.begin_change()?;
        let public_key = index::encode(key.public_key());
        if index.keys.iter().any(|listed| listed.public_key == public_key) {
            return Err(TokenError::KeyExists);
        }
        let id = seal::random_id()?;
        // The key is on disk before the list names it; a crash in between leaves a file without use.
        let path = self.key_path(&id);
        let sealed = self.secret.seal(&id, &key.pkcs8())?;
        files::write_atomically(&path, &sealed).map_err(|error| TokenError::File { path, error })?;
        index.keys.push(ListedKey {
            id: id.clone(),
            name: name.to_owned(),
            usage: usage.into(),
            public_key,
            certificates: Vec::new(),
        });
        self.write_index(&index)?;
        self.key(&id).ok_or(TokenError::KeyNotFound)
    }

    /// Removes a key with its certificates. There is no way back.
    pub fn remove_key(&self, id: &str) -> Result<(), TokenError> {
        let (_changing, mut index) = self.begin_change()?;
        let place = index.keys.iter().position(|key| key.id == id).ok_or(TokenError::KeyNotFound)?;
        let removed = index.keys.remove(place);
        self.write_index(&index)?;
        let certificates = removed.certificates.iter().map(|listed| self.certificate_path(&listed.sha256));
        for path in certificates.chain([self.key_path(id)]) {
            files::remove(&path).map_err(|error| TokenError::File { path, error })?;
        }
        Ok(())
    }

    /// Imports a certificate: its key must be on the token and be for the same use, and it must not have
    /// expired. It starts active, `registered` when it signs and `saved` when it authenticates. The path
    /// to an approved CA and the member it names are for the caller to check, who has the trust store.
    pub fn import_certificate(&self, certificate: &Certificate, at: UtcTime) -> Result<TokenKey, TokenError> {
        let usage = certificate.usage().ok_or(TokenError::WrongUsage)?;
        let owner = self.key_of(certificate).ok_or(TokenError::KeyNotFound)?;
        if owner.usage != usage {
            return Err(TokenError::WrongUsage);
        }
        if at > certificate.not_after() {
            return Err(TokenError::Expired);
        }
        let (_changing, mut index) = self.begin_change()?;
        let listed = index.keys.iter_mut().find(|key| key.id == owner.id).ok_or(TokenError::KeyNotFound)?;
        let sha256 = certificate.hashes().sha256.to_hex();
        if listed.certificates.iter().any(|other| other.sha256 == sha256) {
            return Err(TokenError::CertificateExists);
        }
        let path = self.certificate_path(&sha256);
        files::write_atomically(&path, certificate.der())
            .map_err(|error| TokenError::File { path, error })?;
        let status = match usage {
            CertificateUsage::Signing => CertificateStatus::Registered,
            CertificateUsage::Authentication => CertificateStatus::Saved,
        };
        listed.certificates.push(ListedCertificate { sha256, status, active: true });
        self.write_index(&index)?;
        self.key(&owner.id).ok_or(TokenError::KeyNotFound)
    }

    /// Sets the status of a certificate.
    pub fn set_status(&self, certificate: &Certificate, status: CertificateStatus) -> Result<(), TokenError> {
        self.change_certificate(certificate, |listed| listed.status = status)
    }

    /// Switches a certificate on or off.
    pub fn set_active(&self, certificate: &Certificate, active: bool) -> Result<(), TokenError> {
        self.change_certificate(certificate, |listed| listed.active = active)
    }

    /// Removes a certificate; its key stays.
    pub fn remove_certificate(&self, certificate: &Certificate) -> Result<(), TokenError> {
        let (_changing, mut index) = self.begin_change()?;
        let sha256 = certificate.hashes().sha256.to_hex();
        let mut found = false;
        for key in &mut index.keys {
            let before = key.certificates.len();
            key.certificates.retain(|listed| listed.sha256 != sha256);
            found |= key.certificates.len() < before;
        }
        if !found {
            return Err(TokenError::CertificateNotFound);
        }
        self.write_index(&index)?;
        let path = self.certificate_path(&sha256);
        files::remove(&path).map_err(|error| TokenError::File { path, error })
    }

    fn change_certificate(
        &self,
        certificate: &Certificate,
        change: impl FnOnce(&mut ListedCertificate),
    ) -> Result<(), TokenError> {
        let (_changing, mut index) = self.begin_change()?;
        let sha256 = certificate.hashes().sha256.to_hex();
        let listed = index
            .keys
            .iter_mut()
            .flat_map(|key| &mut key.certificates)
            .find(|listed| listed.sha256 == sha256)
            .ok_or(TokenError::CertificateNotFound)?;
        change(listed);
        self.write_index(&index)
    }

    /// The list as it is on disk, where another program may have changed it; other threads of this one
    /// wait until the guard is gone.
    fn begin_change(&self) -> Result<(MutexGuard<'_, ()>, Index), TokenError> {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((changing, read_index(&self.folder)?))
    }

    fn key_path(&self, id: &str) -> PathBuf {
        self.folder.join("keys").join(format!("{id}.key"))
    }

    fn certificate_path(&self, sha256: &str) -> PathBuf {
        self.folder.join("certificates").join(format!("{sha256}.der"))
    }

    /// Writes the list and then goes by it.
    fn write_index(&self, index: &Index) -> Result<(), TokenError> {
        let path = index_path(&self.folder);
        let json = index.to_json().ok_or(TokenError::Sealing)?;
        files::write_atomically(&path, &json).map_err(|error| TokenError::File { path, error })?;
        self.adopt(index)
    }

    /// Makes what the list says the token's content. Keys that are decrypted already are kept.
    fn adopt(&self, index: &Index) -> Result<(), TokenError> {
        let known = self.keys();
        let keys = index
            .keys
            .iter()
            .map(|listed| {
                let opened = known.iter().find(|key| key.id == listed.id);
                Ok(TokenKey {
                    id: listed.id.clone(),
                    name: listed.name.clone(),
                    usage: listed.usage.into(),
                    key: match opened {
                        Some(opened) => Arc::clone(&opened.key),
                        None => Arc::new(self.read_key(listed)?),
                    },
                    certificates: listed
                        .certificates
                        .iter()
                        .map(|certificate| self.read_certificate(certificate))
                        .collect::<Result<_, _>>()?,
                })
            })
            .collect::<Result<_, TokenError>>()?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn read_key(&self, listed: &ListedKey) -> Result<PrivateKey, TokenError> {
        let path = self.key_path(&listed.id);
        let sealed = files::read_bounded(&path, LONGEST_KEY_FILE)
            .map_err(|error| TokenError::File { path: path.clone(), error })?;
        let key = self
            .secret
            .open(&listed.id, &sealed)
            .and_then(|pkcs8: Zeroizing<Vec<u8>>| PrivateKey::from_pkcs8(&pkcs8).ok())
            .filter(|key| index::encode(key.public_key()) == listed.public_key);
        key.ok_or(TokenError::Damaged(path))
    }

    fn read_certificate(&self, listed: &ListedCertificate) -> Result<TokenCertificate, TokenError> {
        let path = self.certificate_path(&listed.sha256);
        let limit = u64::try_from(crate::certificate::LONGEST_CERTIFICATE).unwrap_or(u64::MAX);
        let der = files::read_bounded(&path, limit)
            .map_err(|error| TokenError::File { path: path.clone(), error })?;
        let certificate = Certificate::from_der(der)
            .ok()
            .filter(|certificate| certificate.hashes().sha256.to_hex() == listed.sha256)
            .ok_or(TokenError::Damaged(path))?;
        Ok(TokenCertificate { certificate, status: listed.status, active: listed.active })
    }
}

fn index_path(folder: &Path) -> PathBuf {
    folder.join("token.json")
}

fn read_index(folder: &Path) -> Result<Index, TokenError> {
    let path = index_path(folder);
    let json = match files::read_bounded(&path, LONGEST_INDEX) {
        Ok(json) => json,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(TokenError::NotInitialized),
        Err(error) => return Err(TokenError::File { path, error }),
    };
    Index::from_json(&json).filter(|index| index.keys.len() <= MOST_KEYS).ok_or(TokenError::Damaged(path))
}

#[cfg(test)]
mod tests;
