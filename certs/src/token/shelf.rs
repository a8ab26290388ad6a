//! The list of a token's keys, and their certificates: a folder.
//!
//! - `token.json`: the list, and for a software token how the PIN becomes a key;
//! - `certificates/SHA256.der`: the certificates.
//!
//! Every file is replaced atomically; a crash between two files leaves at most a file that the list does
//! not name.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use protocol::time::UtcTime;

use super::index::{self, Index, ListedCertificate, ListedKey};
use super::{CertificateStatus, TokenCertificate, TokenError, TokenKey};
use crate::certificate::{Certificate, CertificateUsage};
use crate::files;
use crate::key::PrivateKey;

/// More keys than a server has use for; a list with more is not read.
const MOST_KEYS: usize = 10_000;
const LONGEST_INDEX: u64 = 16 * 1024 * 1024;

/// Gets hold of a listed private key.
pub(super) type Opener<'a> = &'a dyn Fn(&ListedKey) -> Result<PrivateKey, TokenError>;

/// The list and the certificates of one token.
pub(super) struct Shelf {
    folder: PathBuf,
    keys: RwLock<Vec<TokenKey>>,
    changing: Mutex<()>, // held from reading the list to writing it
}

impl Shelf {
    /// A shelf that shows nothing yet.
    pub(super) fn closed(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), keys: RwLock::default(), changing: Mutex::default() }
    }

    /// Whether there is a list in the folder.
    pub(super) fn exists(folder: &Path) -> bool {
        index_path(folder).exists()
    }

    /// Makes the folders.
    pub(super) fn create_folders(folder: &Path, below: &[&str]) -> Result<(), TokenError> {
        for below in below {
            let path = folder.join(below);
            files::create_folder(&path).map_err(|error| TokenError::File { path, error })?;
        }
        Ok(())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The list as it is on disk.
    pub(super) fn read_index(&self) -> Result<Index, TokenError> {
        let path = index_path(&self.folder);
        let json = match files::read_bounded(&path, LONGEST_INDEX) {
            Ok(json) => json,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(TokenError::NotInitialized);
            }
            Err(error) => return Err(TokenError::File { path, error }),
        };
        let index = Index::from_json(&json).filter(|index| index.keys.len() <= MOST_KEYS);
        index.ok_or(TokenError::Damaged(path))
    }

    /// The list as it is on disk, where another program may have changed it; other threads of this one
    /// wait until the guard is gone.
    pub(super) fn begin_change(&self) -> Result<(MutexGuard<'_, ()>, Index), TokenError> {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((changing, self.read_index()?))
    }

    /// Writes the list and then goes by it.
    pub(super) fn write_index(&self, index: &Index, open: Opener<'_>) -> Result<(), TokenError> {
        let path = index_path(&self.folder);
        let json = index.to_json().ok_or(TokenError::Sealing)?;
        files::write_atomically(&path, &json).map_err(|error| TokenError::File { path, error })?;
        self.adopt(index, open)
    }

    /// Makes what the list says the token's content. Keys that are open already are kept.
    pub(super) fn adopt(&self, index: &Index, open: Opener<'_>) -> Result<(), TokenError> {
        self.adopt_with(index, open, &self.keys())
    }

    /// As [`Shelf::adopt`]; every key is got hold of again.
    pub(super) fn adopt_anew(&self, index: &Index, open: Opener<'_>) -> Result<(), TokenError> {
        self.adopt_with(index, open, &[])
    }

    fn adopt_with(&self, index: &Index, open: Opener<'_>, known: &[TokenKey]) -> Result<(), TokenError> {
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
                        None => Arc::new(open(listed)?),
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

    pub(super) fn keys(&self) -> Vec<TokenKey> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn key(&self, id: &str) -> Option<TokenKey> {
        self.keys().into_iter().find(|key| key.id == id)
    }

    pub(super) fn key_of(&self, certificate: &Certificate) -> Option<TokenKey> {
        self.keys().into_iter().find(|key| key.key.public_key() == certificate.public_key())
    }

    /// Takes a key off the list, and its certificates off the disk. `remove` ends the key itself.
    pub(super) fn remove_key(
        &self,
        id: &str,
        open: Opener<'_>,
        remove: impl FnOnce() -> Result<(), TokenError>,
    ) -> Result<(), TokenError> {
        let (_changing, mut index) = self.begin_change()?;
        let place = index.keys.iter().position(|key| key.id == id).ok_or(TokenError::KeyNotFound)?;
        let removed = index.keys.remove(place);
        self.write_index(&index, open)?;
        for listed in &removed.certificates {
            let path = self.certificate_path(&listed.sha256);
            files::remove(&path).map_err(|error| TokenError::File { path, error })?;
        }
        remove()
    }

    /// See [`super::Token::import_certificate`].
    pub(super) fn import_certificate(
        &self,
        certificate: &Certificate,
        at: UtcTime,
        open: Opener<'_>,
    ) -> Result<TokenKey, TokenError> {
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
        self.write_index(&index, open)?;
        self.key(&owner.id).ok_or(TokenError::KeyNotFound)
    }

    /// Changes what the list says about a certificate.
    pub(super) fn change_certificate(
        &self,
        certificate: &Certificate,
        open: Opener<'_>,
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
        self.write_index(&index, open)
    }

    /// Removes a certificate; its key stays.
    pub(super) fn remove_certificate(
        &self,
        certificate: &Certificate,
        open: Opener<'_>,
    ) -> Result<(), TokenError> {
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
        self.write_index(&index, open)?;
        let path = self.certificate_path(&sha256);
        files::remove(&path).map_err(|error| TokenError::File { path, error })
    }

    fn certificate_path(&self, sha256: &str) -> PathBuf {
        self.folder.join("certificates").join(format!("{sha256}.der"))
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

/// A key for the list, without certificates.
pub(super) fn listed(id: String, name: &str, usage: CertificateUsage, public_key: &[u8]) -> ListedKey {
    ListedKey {
        id,
        name: name.to_owned(),
        usage: usage.into(),
        public_key: index::encode(public_key),
        certificates: Vec::new(),
    }
}

pub(super) fn index_path(folder: &Path) -> PathBuf {
    folder.join("token.json")
}
