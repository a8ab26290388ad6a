//! The keys that sign the configuration, and their rotation (global configuration and trust §11).
//!
//! Each source (internal, external; the mirror of a configuration proxy) has keys of its own in a
//! software token under the operator's PIN.
//! One of them is active. The others are published in anchors and shared parameters already, so that a
//! client that has fetched once since then follows when one of them becomes active, without a new
//! anchor. From the first start on every source has a next key, therefore the first anchor covers the
//! first rotation.
//!
//! `keys.json` says which key of the token is whose and which is active. It is replaced atomically: a
//! crash leaves the old list or the new one, and keys of the token that the list does not name are not
//! used. Another process may change it; the running registry notices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use certs::certificate::{Certificate, CertificateUsage};
use certs::key::{KeyKind, PrivateKey, SignatureForm};
use certs::self_signed;
use certs::token::{SoftwareToken, TokenError, TokenKey};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use protocol::time::UtcTime;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Padding};
use crate::files;
use crate::publish::SourceKind;
use crate::random::{self, NoRandomness};

/// Most keys of a source.
const MOST_KEYS: usize = 8;
/// The name of the HTTPS port's key in the token.
const TLS_KEY: &str = "tls";

/// Why a key cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The token cannot be used; a wrong PIN among the reasons.
    #[error("the signing keys in {}: {error}", folder.display())]
    Token {
        /// The token's folder.
        folder: PathBuf,
        /// Why.
        error: TokenError,
    },
    /// The list of keys cannot be read or written, or names a key that is not there.
    #[error("the list of signing keys {}: {problem}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// Signing failed.
    #[error("cannot sign with a signing key")]
    Signing(#[from] certs::key::KeyError),
    /// There is no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The keys of another role are in this folder.
    #[error("there are no {} keys", .0.name())]
    NoSource(SourceKind),
    /// No key of this source has this id.
    #[error("the {source_kind} source has no key {id}", source_kind = kind.name())]
    NoSuchKey {
        /// The source.
        kind: SourceKind,
        /// What was asked for.
        id: String,
    },
    /// The active key stays as long as it is active.
    #[error("the key {0} is active; activate another one first")]
    Active(String),
    /// There are as many keys as there may be.
    #[error("a source has at most {MOST_KEYS} keys; remove an old one first")]
    TooMany,
    /// Clients may not know the key yet.
    #[error("the key {id} is published since {since}; clients know it for certain from {from} on")]
    TooEarly {
        /// The key.
        id: String,
        /// Since when it is published.
        since: UtcTime,
        /// From when on it may become active.
        from: UtcTime,
    },
}

/// A signing key as it is shown.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// Its id in the token.
    pub id: String,
    /// Since when it is published.
    pub since: UtcTime,
    /// What kind of key it is.
    pub kind: KeyKind,
    /// Whether it signs.
    pub active: bool,
    /// The container of its public key.
    pub certificate: Certificate,
}

/// A signature over a directory.
pub(crate) struct Signed {
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) certificate: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// Signs what a source publishes.
pub(crate) trait ConfigurationSigner {
    /// The verification certificates of a source: those of all its keys, active or not.
    fn certificates(&self, kind: SourceKind) -> Vec<Vec<u8>>;

    /// Signs with the active key of a source.
    fn sign(&self, kind: SourceKind, octets: &[u8]) -> Result<Signed, KeysError>;
}

impl ConfigurationSigner for SigningKeys {
    fn certificates(&self, kind: SourceKind) -> Vec<Vec<u8>> {
        Self::certificates(self, kind)
    }

    fn sign(&self, kind: SourceKind, octets: &[u8]) -> Result<Signed, KeysError> {
        Self::sign(self, kind, octets)
    }
}

/// Where signing keys are, and how they sign.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// The folder of their token.
    pub folder: PathBuf,
    /// The kind of keys that are made.
    pub kind: KeyKind,
    /// How RSA signatures are padded.
    pub padding: Padding,
    /// How long what they sign is valid: after that time every client knows a published key.
    pub expiry: Duration,
}

impl KeySettings {
    /// The algorithm that a key of this kind signs directories with.
    pub(crate) fn algorithm(&self, kind: KeyKind) -> SignatureAlgorithm {
        let default = kind.default_algorithm();
        match (default.scheme, self.padding) {
            (SignatureScheme::RsaPkcs1, Padding::Pss) => {
                SignatureAlgorithm::new(SignatureScheme::RsaPss, DigestAlgorithm::Sha512)
            }
            _ => default,
        }
    }
}

/// The signing keys of a registry or of a configuration proxy.
pub struct SigningKeys {
    token: SoftwareToken,
    written: Vec<u8>,
    list: List,
    settings: KeySettings,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
struct List(BTreeMap<SourceKind, ListedSource>);

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ListedSource {
    active: String,
    keys: Vec<ListedKey>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ListedKey {
    id: String,
    since: String,
}

impl List {
    fn source(&self, kind: SourceKind) -> Result<&ListedSource, KeysError> {
        self.0.get(&kind).ok_or(KeysError::NoSource(kind))
    }
}

impl SigningKeys {
    /// Opens the keys of a registry; the first time it makes them, two for each source.
    ///
    /// # Errors
    /// A wrong PIN, and everything that keeps files from being read or written.
    pub fn open(config: &Config, pin: &str, now: UtcTime) -> Result<Self, KeysError> {
        Self::open_for(config.keys(), &SourceKind::ALL, pin, now)
    }

    /// Opens the keys of these sources; the first time it makes them, two for each.
    ///
    /// # Errors
    /// As [`SigningKeys::open`].
    pub fn open_for(
        settings: KeySettings,
        kinds: &[SourceKind],
        pin: &str,
        now: UtcTime,
    ) -> Result<Self, KeysError> {
        let folder = settings.folder.clone();
        let told = |error| KeysError::Token { folder: folder.clone(), error };
        let token = if SoftwareToken::exists(&folder) {
            SoftwareToken::open(&folder, pin).map_err(told)?
        } else {
            SoftwareToken::create(&folder, pin).map_err(told)?
        };
        let path = list_path(&folder);
        if !path.exists() {
            let mut list = List::default();
            for kind in kinds {
                let keys: Vec<ListedKey> = (0..2)
                    .map(|_| make_key(&token, &folder, settings.kind, *kind, now))
                    .collect::<Result<_, _>>()?;
                let active = keys.first().map(|key| key.id.clone()).unwrap_or_default();
                list.0.insert(*kind, ListedSource { active, keys });
            }
            write_list(&path, &list)?;
        }
        let (written, list) = read_list(&path, &token)?;
        for kind in kinds {
            list.source(*kind)
                .map_err(|error| KeysError::List { path: path.clone(), problem: error.to_string() })?;
        }
        Ok(Self { token, written, list, settings })
    }

    /// Reads the list again if it was changed by somebody else; whether it was.
    pub fn reload(&mut self) -> Result<bool, KeysError> {
        let path = list_path(&self.settings.folder);
        if std::fs::read(&path).is_ok_and(|written| written == self.written) {
            return Ok(false);
        }
        self.token.reload().map_err(|error| self.token_error(error))?;
        (self.written, self.list) = read_list(&path, &self.token)?;
        Ok(true)
    }

    /// The keys of a source in the order in which they were made.
    pub fn keys(&self, kind: SourceKind) -> Vec<SigningKey> {
        let Ok(source) = self.list.source(kind) else { return Vec::new() };
        let show = |listed: &ListedKey| {
            let held = self.token.key(&listed.id)?;
            Some(SigningKey {
                id: listed.id.clone(),
                since: listed.since.parse().ok()?,
                kind: held.key.kind(),
                active: listed.id == source.active,
                certificate: certificate(&held)?.clone(),
            })
        };
        source.keys.iter().filter_map(show).collect()
    }

    /// The verification certificates of a source: those of all its keys, active or not.
    pub fn certificates(&self, kind: SourceKind) -> Vec<Vec<u8>> {
        self.keys(kind).into_iter().map(|key| key.certificate.der().to_vec()).collect()
    }

    /// Signs with the active key of a source.
    pub(crate) fn sign(&self, kind: SourceKind, octets: &[u8]) -> Result<Signed, KeysError> {
        let id = &self.list.source(kind)?.active;
        let missing = || KeysError::NoSuchKey { kind, id: id.clone() };
        let key = self.token.key(id).ok_or_else(missing)?;
        let certificate = certificate(&key).ok_or_else(missing)?.der().to_vec();
        let algorithm = self.settings.algorithm(key.key.kind());
        let value = key.key.sign(algorithm, octets, SignatureForm::Der)?;
        Ok(Signed { algorithm, certificate, value })
    }

    /// Makes another key for a source and publishes it; its id.
    pub fn add(&mut self, kind: SourceKind, key: KeyKind, now: UtcTime) -> Result<String, KeysError> {
        self.reload()?;
        if self.list.source(kind)?.keys.len() >= MOST_KEYS {
            return Err(KeysError::TooMany);
        }
        let made = make_key(&self.token, &self.settings.folder, key, kind, now)?;
        let id = made.id.clone();
        self.change(kind, |source| source.keys.push(made))?;
        Ok(id)
    }

    /// Lets another key of a source sign from the next round on. It must have been published for as
    /// long as a configuration is valid, since by then every client has fetched it or stopped; `known`
    /// overrides this for keys that clients got in another way, such as in the anchor.
    pub fn activate(
        &mut self,
        kind: SourceKind,
        id: &str,
        known: bool,
        now: UtcTime,
    ) -> Result<(), KeysError> {
        self.reload()?;
        let key = self.keys(kind).into_iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| KeysError::NoSuchKey { kind, id: id.to_owned() })?;
        let from = key.since.plus(self.settings.expiry.max(Duration::from_secs(1)));
        if !known && !key.active && now < from {
            return Err(KeysError::TooEarly { id: id.to_owned(), since: key.since, from });
        }
        self.change(kind, |source| source.active = id.to_owned())
    }

    /// Removes a key that is not active. Anchors and shared parameters no longer name it.
    pub fn remove(&mut self, kind: SourceKind, id: &str) -> Result<(), KeysError> {
        self.reload()?;
        let source = self.list.source(kind)?;
        if source.active == id {
            return Err(KeysError::Active(id.to_owned()));
        }
        if !source.keys.iter().any(|key| key.id == id) {
            return Err(KeysError::NoSuchKey { kind, id: id.to_owned() });
        }
        // The list first: a crash in between leaves a key that nobody uses.
        self.change(kind, |source| source.keys.retain(|key| key.id != id))?;
        self.token.remove_key(id).map_err(|error| self.token_error(error))
    }

    /// One step of rotation: the key after the active one becomes active, a fresh one is made to be
    /// the next, and what came before the one that was active is removed. Gives the id of the key that
    /// is active now.
    pub fn rotate(&mut self, kind: SourceKind, known: bool, now: UtcTime) -> Result<String, KeysError> {
        self.reload()?;
        let source = self.list.source(kind)?;
        let ids: Vec<String> = source.keys.iter().map(|key| key.id.clone()).collect();
        let active = ids.iter().position(|id| *id == source.active).unwrap_or(0);
        let next = match ids.get(active + 1) {
            Some(next) => next.clone(),
            None => self.add(kind, self.settings.kind, now)?,
        };
        self.activate(kind, &next, known, now)?;
        for old in ids.iter().take(active) {
            self.remove(kind, old)?;
        }
        if ids.len() <= active + 2 {
            self.add(kind, self.settings.kind, now)?;
        }
        Ok(next)
    }

    /// The key and certificate of the HTTPS port, made when they are not there or are for another host.
    pub(crate) fn tls(&self, host: &str, now: UtcTime) -> Result<(Arc<PrivateKey>, Certificate), KeysError> {
        let name = format!("{TLS_KEY} {host}");
        let known = self.token.keys().into_iter().find(|key| key.name == name);
        if let Some(key) = &known
            && let Some(certificate) = certificate(key)
            && certificate.is_valid_at(now)
        {
            return Ok((Arc::clone(&key.key), certificate.clone()));
        }
        for old in self.token.keys().into_iter().filter(|key| key.name.starts_with(TLS_KEY)) {
            self.token.remove_key(&old.id).map_err(|error| self.token_error(error))?;
        }
        let key = self.token.generate(KeyKind::P256, CertificateUsage::Authentication, &name);
        let key = key.map_err(|error| self.token_error(error))?;
        let certificate = self_signed::server_certificate(&key.key, host, random::bytes()?, now)?;
        self.token.import_certificate(&certificate, now).map_err(|error| self.token_error(error))?;
        Ok((key.key, certificate))
    }

    fn change(&mut self, kind: SourceKind, change: impl FnOnce(&mut ListedSource)) -> Result<(), KeysError> {
        let mut list = self.list.clone();
        list.0.get_mut(&kind).map(change).ok_or(KeysError::NoSource(kind))?;
        self.written = write_list(&list_path(&self.settings.folder), &list)?;
        self.list = list;
        Ok(())
    }

    fn token_error(&self, error: TokenError) -> KeysError {
        KeysError::Token { folder: self.settings.folder.clone(), error }
    }
}

fn make_key(
    token: &SoftwareToken,
    folder: &Path,
    key: KeyKind,
    kind: SourceKind,
    now: UtcTime,
) -> Result<ListedKey, KeysError> {
    let told = |error| KeysError::Token { folder: folder.to_owned(), error };
    let made = token.generate(key, CertificateUsage::Signing, kind.name()).map_err(told)?;
    let certificate = self_signed::key_container(&made.key, &format!("{}SigningKey", kind.name()))?;
    token.import_certificate(&certificate, now).map_err(told)?;
    Ok(ListedKey { id: made.id, since: now.to_string() })
}

fn certificate(key: &TokenKey) -> Option<&Certificate> {
    key.certificates.first().map(|listed| &listed.certificate)
}

fn list_path(folder: &Path) -> PathBuf {
    folder.join("keys.json")
}

fn write_list(path: &Path, list: &List) -> Result<Vec<u8>, KeysError> {
    let told = |problem: String| KeysError::List { path: path.to_owned(), problem };
    let written = serde_json::to_vec_pretty(list).map_err(|error| told(error.to_string()))?;
    files::replace(path, &written, 0o600).map_err(|error| told(error.to_string()))?;
    Ok(written)
}

fn read_list(path: &Path, token: &SoftwareToken) -> Result<(Vec<u8>, List), KeysError> {
    let told = |problem: String| KeysError::List { path: path.to_owned(), problem };
    let written = std::fs::read(path).map_err(|error| told(error.to_string()))?;
    let list: List = serde_json::from_slice(&written).map_err(|error| told(error.to_string()))?;
    for (kind, source) in &list.0 {
        if !source.keys.iter().any(|key| key.id == source.active) {
            return Err(told(format!("the active {} key is not in it", kind.name())));
        }
        for key in &source.keys {
            if key.since.parse::<UtcTime>().is_err() {
                return Err(told(format!("the key {} has no time", key.id)));
            }
            if token.key(&key.id).is_none_or(|key| certificate(&key).is_none()) {
                return Err(told(format!("the token has no key {}", key.id)));
            }
        }
    }
    Ok((written, list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PinSource;

    fn config(folder: &Path) -> Config {
        let pin = PinSource::Variable("PIN".into());
        Config { key: KeyKind::P256, ..Config::new(folder.to_owned(), folder.join("instance.toml"), pin) }
    }

    #[test]
    fn keys_rotate_in_small_steps() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let now: UtcTime = "2026-11-24T12:00:00Z".parse().unwrap();
        let later = now.plus(config.expiry);
        let kind = SourceKind::Internal;
        let mut keys = SigningKeys::open(&config, "1234", now).unwrap();
        let ids = |keys: &SigningKeys| {
            keys.keys(kind).into_iter().map(|key| (key.id, key.active)).collect::<Vec<_>>()
        };
        let first = ids(&keys);
        assert_eq!(first.iter().map(|key| key.1).collect::<Vec<_>>(), [true, false]);

        let mut other = SigningKeys::open(&config, "1234", now).unwrap();
        assert!(matches!(keys.rotate(kind, false, now), Err(KeysError::TooEarly { .. })));
        assert_eq!(keys.rotate(kind, false, later).unwrap(), first[1].0);
        let second = ids(&keys);
        assert_eq!(second.iter().map(|key| key.1).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(second[0].0, first[0].0);
        assert!(matches!(keys.rotate(kind, false, later), Err(KeysError::TooEarly { .. })));
        assert!(matches!(keys.remove(kind, &second[1].0), Err(KeysError::Active(_))));
        assert!(matches!(keys.remove(kind, "x"), Err(KeysError::NoSuchKey { .. })));

        // Another process notices, once.
        assert!(other.reload().unwrap());
        assert!(!other.reload().unwrap());
        assert_eq!(ids(&other), second);

        assert_eq!(keys.rotate(kind, true, later).unwrap(), second[2].0);
        let third = ids(&keys);
        assert_eq!(third.iter().map(|key| key.1).collect::<Vec<_>>(), [false, true, false]);
        assert!(!third.iter().any(|key| key.0 == first[0].0), "the oldest key is gone");
        // The other source was left alone.
        assert_eq!(keys.keys(SourceKind::External).len(), 2);
    }

    #[test]
    fn keys_are_opened_with_the_pin_only() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let certificates =
            SigningKeys::open(&config, "1234", now).unwrap().certificates(SourceKind::External);
        let wrong = SigningKeys::open(&config, "4321", now);
        assert!(matches!(wrong, Err(KeysError::Token { error: TokenError::WrongPin, .. })));
        let keys = SigningKeys::open(&config, "1234", now).unwrap();
        assert_eq!(keys.certificates(SourceKind::External), certificates);

        let (key, certificate) = keys.tls("r.example", now).unwrap();
        assert_eq!(keys.tls("r.example", now).unwrap().1.der(), certificate.der());
        assert_ne!(keys.tls("s.example", now).unwrap().0.public_key(), key.public_key());

        std::fs::write(folder.path().join("keys/keys.json"), "{}").unwrap();
        assert!(matches!(SigningKeys::open(&config, "1234", now), Err(KeysError::List { .. })));
    }
}
