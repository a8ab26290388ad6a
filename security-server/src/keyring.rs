//! What administrators call things on tokens by, beside the tokens themselves: names of tokens, and the
//! certificate requests that were made (registry and administration §4.11).
//!
//! Requests lie in one file of the state folder. They are public; losing them means making them anew.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use certs::certificate::CertificateUsage;
use protocol::id::{ClientId, MemberId};
use serde::{Deserialize, Serialize};

/// Requests that are kept; more than a server has use for.
const MOST: usize = 10_000;
const LONGEST_FILE: u64 = 64 << 20;

/// A certificate request that was made.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeptRequest {
    /// 40 hexadecimal digits in capitals.
    pub id: String,
    /// The key it is for.
    pub key: String,
    /// Whether it is for signing; else for authentication.
    pub is_for_signing: bool,
    /// The member that a signing certificate is for, percent-encoded.
    pub member: Option<String>,
    /// The Java class of the certificate profile.
    pub profile: String,
    /// PKCS#10 in DER, base64.
    pub der: String,
}

impl KeptRequest {
    /// What it is for.
    pub fn usage(&self) -> CertificateUsage {
        if self.is_for_signing { CertificateUsage::Signing } else { CertificateUsage::Authentication }
    }

    /// The member that a signing certificate is for.
    pub fn member(&self) -> Option<MemberId> {
        self.member
            .as_deref()
            .and_then(|member| ClientId::parse_encoded(member).ok())
            .map(|client| client.member().clone())
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Kept {
    requests: Vec<KeptRequest>,
    /// By id of the token.
    names: std::collections::BTreeMap<String, String>,
}

/// The list.
pub struct Keyring {
    path: PathBuf,
    kept: Mutex<Kept>,
}

/// Why the list cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct KeyringError {
    path: PathBuf,
    reason: String,
}

impl Keyring {
    /// The list of a state folder.
    ///
    /// # Errors
    /// The file cannot be read, or is not what was written.
    pub fn open(state_folder: &Path) -> Result<Self, KeyringError> {
        use std::io::Read as _;
        let path = state_folder.join("keyring.json");
        let told = |reason: String| KeyringError { path: path.clone(), reason };
        let kept = match std::fs::File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(told(error.to_string())),
            Ok(file) => {
                let mut text = String::new();
                file.take(LONGEST_FILE).read_to_string(&mut text).map_err(|error| told(error.to_string()))?;
                serde_json::from_str(&text).map_err(|error| told(error.to_string()))?
            }
        };
        Ok(Self { path, kept: Mutex::new(kept) })
    }

    /// The requests of a key.
    pub fn requests_of(&self, key: &str) -> Vec<KeptRequest> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.requests.iter().filter(|request| request.key == key).cloned().collect()
    }

    /// The name that a token was given.
    pub fn name_of(&self, token: &str) -> Option<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).names.get(token).cloned()
    }

    /// Gives a token a name.
    ///
    /// # Errors
    /// Those of the file; then nothing has changed.
    pub fn rename(&self, token: &str, name: &str) -> Result<(), KeyringError> {
        self.change(|kept| drop(kept.names.insert(token.to_owned(), name.to_owned())))
    }

    /// Keeps a request.
    ///
    /// # Errors
    /// Those of the file; then nothing has changed.
    pub fn add(&self, request: KeptRequest) -> Result<(), KeyringError> {
        self.change(|kept| {
            let surplus = (kept.requests.len() + 1).saturating_sub(MOST);
            kept.requests.drain(..surplus);
            kept.requests.push(request);
        })
    }

    /// Forgets a request; whether there was one.
    ///
    /// # Errors
    /// Those of the file; then nothing has changed.
    pub fn remove(&self, key: &str, id: &str) -> Result<bool, KeyringError> {
        let mut found = false;
        self.change(|kept| {
            let before = kept.requests.len();
            kept.requests.retain(|request| request.key != key || !request.id.eq_ignore_ascii_case(id));
            found = kept.requests.len() < before;
        })?;
        Ok(found)
    }

    /// Forgets the requests of a key.
    ///
    /// # Errors
    /// Those of the file; then nothing has changed.
    pub fn remove_key(&self, key: &str) -> Result<(), KeyringError> {
        self.change(|kept| kept.requests.retain(|request| request.key != key))
    }

    fn change(&self, change: impl FnOnce(&mut Kept)) -> Result<(), KeyringError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = kept.clone();
        change(&mut changed);
        let told = |reason: String| KeyringError { path: self.path.clone(), reason };
        let text = serde_json::to_vec(&changed).map_err(|error| told(error.to_string()))?;
        crate::files::write(&self.path, &text).map_err(|error| told(error.to_string()))?;
        *kept = changed;
        Ok(())
    }
}
