//! One round: makes the parts of every version and signs the directories (§10).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use protocol::configuration::directory::{
    self, FETCH_INTERVAL, MONITORING, NEXT_UPDATE, PRIVATE_PARAMETERS, SHARED_PARAMETERS,
};
use protocol::configuration::{
    ConfigurationError, Part, Source, node_classes, optional_parts, private, shared,
};
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::time::UtcTime;

use super::{Address, Published, Shelf, SourceKind};
use crate::config::VERSIONS;
use crate::keys::{ConfigurationSigner, KeysError};
use crate::random::{self, NoRandomness};
use crate::state::InstanceState;

/// Why a round failed. What was published before stays, until it expires.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// A file would not follow the schema of its version, so that clients would refuse everything.
    #[error("cannot write {file} of version {version}: {error}")]
    Part {
        /// Which file.
        file: &'static str,
        /// Of which version.
        version: u8,
        /// Why.
        error: ConfigurationError,
    },
    /// Signing failed.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// There is no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The key signs with an algorithm that has no name in a directory.
    #[error("the signature algorithm of the {} key has no name", .0.name())]
    Algorithm(SourceKind),
}

/// Makes rounds, and remembers the parts of earlier ones.
#[derive(Debug)]
pub(crate) struct Rounds {
    minimum_version: u8,
    count: u64,
    /// What the last round was made from.
    basis: Option<Basis>,
    /// The files of the last round by version.
    current: BTreeMap<u8, Vec<Located>>,
    /// All parts that are served.
    shelf: Shelf,
}

/// What the files depend on. While it stays, they stay, and a round only signs.
#[derive(Debug, Eq, PartialEq)]
struct Basis {
    generation: u64,
    address: Address,
    registration_certificate: Option<Vec<u8>>,
    internal_certs: Vec<Vec<u8>>,
    external_certs: Vec<Vec<u8>>,
}

/// What a round is made from.
pub(crate) struct Edition<'a> {
    /// The generation of the state.
    pub(crate) generation: u64,
    /// The state.
    pub(crate) state: &'a InstanceState,
    /// Where clients find the registry.
    pub(crate) address: &'a Address,
    /// How long the round is valid.
    pub(crate) expiry: Duration,
}

/// A file with its place. A file that did not change keeps its place over many rounds.
#[derive(Clone, Debug)]
struct Located {
    identifier: String,
    name: String,
    internal_only: bool,
    digest: Digest,
    path: String,
}

/// A file before it has a place.
struct File {
    identifier: String,
    name: String,
    internal_only: bool,
    bytes: Vec<u8>,
}

impl File {
    fn new(identifier: &str, name: &str, internal_only: bool, bytes: Vec<u8>) -> Self {
        Self { identifier: identifier.to_owned(), name: name.to_owned(), internal_only, bytes }
    }
}

type Written = (BTreeMap<u8, Vec<Located>>, HashMap<String, Bytes>);

impl Located {
    fn part(&self, instance: &str) -> Part {
        Part {
            content_identifier: Some(self.identifier.clone()),
            instance: Some(instance.to_owned()),
            location: self.path.clone(),
            file_name: None,
            digest: self.digest,
        }
    }
}

impl Rounds {
    /// Rounds from a version on. Parts stay for as long as a directory counts.
    pub(crate) fn new(minimum_version: u8, expiry: Duration) -> Self {
        let (current, shelf) = (BTreeMap::new(), Shelf::new(expiry));
        Self { minimum_version, count: 0, basis: None, current, shelf }
    }

    /// Makes everything that is published from now on. If anything fails, nothing changes.
    pub(crate) fn make(
        &mut self,
        edition: &Edition<'_>,
        keys: &dyn ConfigurationSigner,
        now: UtcTime,
    ) -> Result<Published, RoundError> {
        let basis = Basis {
            generation: edition.generation,
            address: edition.address.clone(),
            registration_certificate: edition.state.management.registration_certificate.clone(),
            internal_certs: keys.certificates(SourceKind::Internal),
            external_certs: keys.certificates(SourceKind::External),
        };
        let (current, fresh) = if self.basis.as_ref() == Some(&basis) {
            (self.current.clone(), HashMap::new())
        } else {
            self.write(edition.state, &basis, now)?
        };
        let expires = now.plus(edition.expiry);
        let (mut directories, mut listed) = (HashMap::new(), BTreeMap::new());
        for (version, files) in &current {
            for kind in SourceKind::ALL {
                let seen = files.iter().filter(|file| kind == SourceKind::Internal || !file.internal_only);
                let parts: Vec<Part> = seen.map(|file| file.part(&edition.state.instance)).collect();
                directories.insert((kind, *version), sign(kind, keys, expires, *version, &parts)?);
                listed.insert((kind, *version), parts);
            }
        }
        self.basis = Some(basis);
        self.shelf.keep_for(edition.expiry);
        self.current = current;
        let named = self.current.values().flatten().map(|located| located.path.as_str());
        self.shelf.put(fresh, named, now);
        Ok(Published {
            generation: edition.generation,
            made: Some(now),
            expires: Some(expires),
            directories,
            listed,
            parts: self.shelf.parts(),
        })
    }

    /// Writes the files of all versions and gives them places: the old one where nothing changed.
    fn write(&mut self, state: &InstanceState, basis: &Basis, now: UtcTime) -> Result<Written, RoundError> {
        self.count = self.count.wrapping_add(1);
        let stamp = stamp(now, self.count);
        let mut current = BTreeMap::new();
        let mut fresh = HashMap::new();
        for version in self.minimum_version..=*VERSIONS.end() {
            let before = self.current.get(&version).map(Vec::as_slice).unwrap_or_default();
            let mut located = Vec::new();
            for File { identifier, name, internal_only, bytes } in self.files(state, basis, version)? {
                let digest = DigestAlgorithm::Sha512.digest(&bytes);
                let known = before.iter().find(|known| known.name == name && known.digest == digest);
                let path =
                    known.map_or_else(|| format!("/V{version}/{stamp}/{name}"), |known| known.path.clone());
                if known.is_none() {
                    fresh.insert(path.clone(), Bytes::from(bytes));
                }
                located.push(Located { identifier, name, internal_only, digest, path });
            }
            current.insert(version, located);
        }
        Ok((current, fresh))
    }

    /// The files of a version. Parameters are read back before they count: a client that cannot read
    /// one file refuses all.
    fn files(&self, state: &InstanceState, basis: &Basis, version: u8) -> Result<Vec<File>, RoundError> {
        let failed = |file| move |error| RoundError::Part { file, version, error };
        let source = Source {
            address: basis.address.authority().to_owned(),
            internal_verification_certs: basis.internal_certs.clone(),
            external_verification_certs: basis.external_certs.clone(),
        };
        let name = directory::PRIVATE_PARAMETERS_FILE;
        let parameters = state.private_parameters(basis.address.host());
        let bytes = private::write(&parameters, version).map_err(failed(name))?;
        private::parse(&bytes, version).map_err(failed(name))?;
        let mut files = vec![File::new(PRIVATE_PARAMETERS, name, true, bytes)];

        let name = directory::SHARED_PARAMETERS_FILE;
        let parameters = state.shared_parameters(version, vec![source]);
        let bytes = shared::write(&parameters, version).map_err(failed(name))?;
        shared::parse(&bytes, version).map_err(failed(name))?;
        files.push(File::new(SHARED_PARAMETERS, name, false, bytes));

        if let Some(seconds) = state.settings.ocsp_fetch_interval_seconds {
            let bytes = optional_parts::write_fetch_interval(seconds);
            files.push(File::new(FETCH_INTERVAL, "fetchinterval-params.xml", true, bytes));
        }
        if let Some(verify) = state.settings.verify_next_update {
            let bytes = optional_parts::write_next_update(verify);
            files.push(File::new(NEXT_UPDATE, "nextupdate-params.xml", true, bytes));
        }
        if let Some(client) = &state.settings.monitoring_client {
            let bytes = optional_parts::write_monitoring(Some(client));
            files.push(File::new(MONITORING, "monitoring-params.xml", true, bytes));
        }
        if let Some(classes) = state.node_classes() {
            let (identifier, name) = (node_classes::CONTENT_IDENTIFIER, node_classes::FILE_NAME);
            let bytes = node_classes::write(&classes, &state.instance);
            node_classes::parse(&bytes, &state.instance).map_err(failed(name))?;
            files.push(File::new(identifier, name, true, bytes));
        }
        for part in &state.optional_parts {
            files.push(File::new(&part.identifier, &part.file_name, true, part.content.clone()));
        }
        Ok(files)
    }
}

/// A stamp that no earlier round with a smaller count had (§4.1).
pub(crate) fn stamp(now: UtcTime, count: u64) -> String {
    format!("{}{:03}{:06}", now.to_compact_text(), now.millis().rem_euclid(1000), count % 1_000_000)
}

/// Signs a directory of these parts.
pub(crate) fn sign(
    kind: SourceKind,
    keys: &dyn ConfigurationSigner,
    expires: UtcTime,
    version: u8,
    parts: &[Part],
) -> Result<Bytes, RoundError> {
    let (inner, outer) = (random::boundary()?, random::boundary()?);
    let content = directory::content(expires, version, parts, &inner);
    let signed = keys.sign(kind, &content)?;
    directory::assemble(&content, &inner, &outer, signed.algorithm, &signed.certificate, &signed.value)
        .map(Bytes::from)
        .ok_or(RoundError::Algorithm(kind))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use certs::key::KeyKind;

    use super::*;
    use crate::keys::SigningKeys;
    use crate::state::Watched;
    use crate::state::kept::Kept;
    use crate::state::kept::Taken;
    use crate::{Config, PinSource};
    use administration::store::SledStore;

    const INSTANCE: &str = "instance = 'CW'\n[[member-class]]\ncode = 'GOV'\n[[member]]\nclass = 'GOV'\n\
                            code = '1'\nname = 'One'\n[management]\nprovider = 'CW/GOV/1'\n";

    fn declare(folder: &Path, store: &SledStore, before: Option<&Kept>, text: &str) -> Kept {
        let path = folder.join("instance.toml");
        std::fs::write(&path, text).unwrap();
        let now = UtcTime::from_seconds(1_790_000_000);
        match Kept::take(before, &mut Watched::new(&path), store, now).unwrap() {
            Taken::New { kept, .. } => *kept,
            Taken::Same => panic!("nothing new"),
        }
    }

    fn location(published: &Published) -> String {
        let directory = published.directory(SourceKind::External, 6).unwrap();
        let text = String::from_utf8(directory.to_vec()).unwrap();
        text.lines().find_map(|line| line.strip_prefix("Content-location: ")).unwrap().to_owned()
    }

    #[test]
    fn parts_keep_their_places_and_stay_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let store = SledStore::open(&folder.path().join("store")).unwrap();
        let pin = PinSource::Variable("PIN".into());
        let config =
            Config { key: KeyKind::P256, ..Config::new(folder.path().to_owned(), folder.path().into(), pin) };
        let start: UtcTime = "2026-11-24T12:00:00Z".parse().unwrap();
        let at = |seconds| start.plus(Duration::from_secs(seconds));
        let keys = SigningKeys::open(&config, "1234", start).unwrap();
        let address = Address::new(Some("r.example"), config.http, None);
        let mut rounds = Rounds::new(2, config.expiry);
        let mut make = |kept: &Kept, now: UtcTime| {
            let (generation, state, expiry) = (kept.generation, &kept.state, config.expiry);
            rounds.make(&Edition { generation, state, address: &address, expiry }, &keys, now).unwrap()
        };

        let one = declare(folder.path(), &store, None, INSTANCE);
        let first = make(&one, at(0));
        assert_eq!((first.directories.len(), first.parts.len()), (10, 10));
        let second = make(&one, at(60));
        assert_eq!((location(&first), first.parts.len()), (location(&second), second.parts.len()));
        assert_eq!(second.expires, Some(at(660)));

        let other = declare(folder.path(), &store, Some(&one), &INSTANCE.replace("'One'", "'Two'"));
        let third = make(&other, at(120));
        assert_ne!(location(&second), location(&third));
        // Shared parameters have a new place in each version; private parameters stay where they were.
        assert_eq!(third.parts.len(), 15);
        for (seconds, there) in [(180, true), (660, true), (661, false)] {
            let later = make(&other, at(seconds));
            assert_eq!(later.parts.contains_key(&location(&second)), there, "{seconds}");
            assert!(later.parts.contains_key(&location(&third)));
        }
    }
}
