//! One mirror: gets a configuration in every version that there is, and signs it again (§13).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::Clock;
use gateway::configuration::{self, ConfigurationClient, Contents, Settings};
use gateway::http::Fetcher;
use gateway::snapshot::SnapshotCell;
use protocol::configuration::directory::{SHARED_PARAMETERS, SHARED_PARAMETERS_FILE};
use protocol::configuration::local::{METADATA_SUFFIX, Metadata, folder_of};
use protocol::configuration::{
    Anchor, ConfigurationError, GlobalConfiguration, LocalCopy, Part, Source, shared,
};
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::time::UtcTime;

use super::config::{Config, MirrorConfig};
use super::documents::Served;
use crate::config::VERSIONS;
use crate::files;
use crate::keys::SigningKeys;
use crate::publish::{Address, RoundError, Shelf, SourceKind, sign, stamp};

/// A version that the source does not have is asked for again after so many rounds.
const ASK_AGAIN: u32 = 10;

/// A mirror at work.
pub(super) struct Mirror {
    name: String,
    instance: String,
    anchor_file: std::path::PathBuf,
    address: Address,
    expiry: Duration,
    keys: SigningKeys,
    /// Newest version first.
    versions: Vec<Mirrored>,
    shelf: Shelf,
    count: u64,
}

/// One version of what is mirrored.
struct Mirrored {
    version: u8,
    client: ConfigurationClient,
    /// Rounds to pass before the source is asked again for a version that it did not have.
    pause: u32,
    files: Vec<Located>,
    directory: Option<Bytes>,
}

/// A file with its place. A file that did not change keeps its place over many rounds.
#[derive(Clone)]
struct Located {
    instance: String,
    name: String,
    identifier: Option<String>,
    digest: Digest,
    path: String,
}

impl Mirror {
    pub(super) fn new(
        config: &Config,
        mirror: &MirrorConfig,
        anchor: Anchor,
        address: Address,
        keys: SigningKeys,
        clock: Clock,
    ) -> Self {
        let folder = config.mirror_folder(&mirror.name);
        let instance = anchor.instance.clone();
        let versions = (mirror.minimum_version..=*VERSIONS.end()).rev();
        let versions = versions.map(|version| Mirrored {
            version,
            client: client(mirror, anchor.clone(), &folder, version, clock),
            pause: 0,
            files: Vec::new(),
            directory: None,
        });
        Self {
            name: mirror.name.clone(),
            instance,
            anchor_file: config.anchor_file(&mirror.name),
            address,
            expiry: config.expiry,
            keys,
            versions: versions.collect(),
            shelf: Shelf::new(config.expiry),
            count: 0,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the copies from before, so that a start without the source goes on where the last one was.
    pub(super) fn load(&mut self) {
        for one in &mut self.versions {
            if let Err(error) = one.client.load_local() {
                tracing::warn!(mirror = self.name, version = one.version, %error, "a copy cannot be read");
            }
        }
    }

    /// Asks the source for everything.
    pub(super) async fn refresh(&mut self) {
        let is_known = |one: &Mirrored| one.client.configuration().own().is_some();
        let any = self.versions.iter().any(is_known);
        for one in &mut self.versions {
            if one.pause > 0 {
                one.pause -= 1;
                continue;
            }
            // The client tells in the log what failed.
            let failed = one.client.refresh_once().await.is_err();
            // Old registries have fewer versions.
            one.pause = if failed && any && !is_known(one) { ASK_AGAIN } else { 0 };
        }
    }

    /// Reads the keys again if another program changed them; whether it did.
    pub(super) fn reload_keys(&mut self) -> bool {
        self.keys.reload().unwrap_or_else(|error| {
            tracing::error!(mirror = self.name, %error, "the signing keys stay as they were");
            false
        })
    }

    /// Signs what is in force, in every version that is there. What cannot be signed anew stays until it
    /// expires.
    pub(super) fn make(&mut self, now: UtcTime) -> Served {
        if let Err(error) = self.write_anchor(now) {
            tracing::error!(mirror = self.name, %error, "cannot write the anchor");
        }
        self.count = self.count.wrapping_add(1);
        let stamp = stamp(now, self.count);
        let certificates = self.keys.certificates(SourceKind::Mirror);
        let source = Source {
            address: self.address.authority().to_owned(),
            internal_verification_certs: certificates.clone(),
            external_verification_certs: certificates,
        };
        let mut fresh = HashMap::new();
        for one in &mut self.versions {
            let place = format!("/{}/{stamp}", self.name);
            if let Err(error) = one.make(&place, &source, self.expiry, &self.keys, now, &mut fresh) {
                tracing::error!(mirror = self.name, version = one.version, %error, "not signed");
            }
        }
        let named = self.versions.iter().flat_map(|one| &one.files).map(|file| file.path.as_str());
        self.shelf.put(fresh, named, now);
        let directories = self.versions.iter().filter_map(|one| Some((one.version, one.directory.clone()?)));
        Served { directories: directories.collect(), parts: self.shelf.parts() }
    }

    /// Writes the anchor that leads here, unless the file says the same already.
    pub(super) fn write_anchor(&self, now: UtcTime) -> std::io::Result<()> {
        let path = format!("{}/{}", self.name, SourceKind::Mirror.directory());
        let certificates = self.keys.certificates(SourceKind::Mirror);
        let anchor = self.address.anchor_at(&path, &self.instance, &certificates, now);
        files::replace_anchor(&self.anchor_file, &anchor)
    }
}

fn client(
    mirror: &MirrorConfig,
    anchor: Anchor,
    folder: &Path,
    version: u8,
    clock: Clock,
) -> ConfigurationClient {
    let settings = Settings {
        federations: mirror.federations.clone(),
        contents: Contents::Either,
        version: Some(version),
        ..Settings::new(anchor, folder.join(format!("source-v{version}")))
    };
    let fetcher =
        Fetcher::trusting(configuration::CONNECT_TIMEOUT, configuration::READ_TIMEOUT, &mirror.https);
    ConfigurationClient::new(settings, fetcher, Arc::new(SnapshotCell::new()), clock)
}

impl Mirrored {
    fn make(
        &mut self,
        place: &str,
        source: &Source,
        expiry: Duration,
        keys: &SigningKeys,
        now: UtcTime,
        fresh: &mut HashMap<String, Bytes>,
    ) -> Result<(), RoundError> {
        let configuration = Arc::clone(self.client.configuration());
        let Some((expires, instances)) = in_force(&configuration, expiry, now) else { return Ok(()) };
        let mut added = HashMap::new();
        let mut located = Vec::new();
        for instance in instances {
            let files = self.files_of(self.client.copy(), instance, instance == configuration.own_instance);
            for (name, identifier, bytes) in files {
                let is_own_shared = instance == configuration.own_instance
                    && identifier.as_deref() == Some(SHARED_PARAMETERS);
                let bytes = if is_own_shared { self.with_source(&bytes, source)? } else { bytes };
                let digest = DigestAlgorithm::Sha512.digest(&bytes);
                let known = self
                    .files
                    .iter()
                    .find(|known| known.instance == instance && known.name == name && known.digest == digest);
                let path = known.map_or_else(
                    || format!("{place}/V{}/{}/{}", self.version, folder_of(instance), folder_of(&name)),
                    |known| known.path.clone(),
                );
                if known.is_none() {
                    added.insert(path.clone(), bytes);
                }
                located.push(Located { instance: instance.to_owned(), name, identifier, digest, path });
            }
        }
        let parts: Vec<Part> = located.iter().map(Located::part).collect();
        self.directory = Some(sign(SourceKind::Mirror, keys, expires, self.version, &parts)?);
        self.files = located;
        fresh.extend(added);
        Ok(())
    }

    /// Name, identifier and bytes of the files of an instance; of a federated one those that are for
    /// everybody.
    fn files_of(
        &self,
        copy: &LocalCopy,
        instance: &str,
        is_own: bool,
    ) -> Vec<(String, Option<String>, Bytes)> {
        let files = copy.files_of(instance).filter(|(name, _)| !name.ends_with(METADATA_SUFFIX));
        let files = files.filter(|(name, _)| is_own || *name != "private-params.xml");
        files
            .map(|(name, bytes)| {
                let metadata = copy.file(instance, &format!("{name}{METADATA_SUFFIX}"));
                let identifier = Metadata::parse(metadata).content_identifier;
                (name.to_owned(), identifier, bytes.clone())
            })
            .collect()
    }

    fn with_source(&self, bytes: &Bytes, source: &Source) -> Result<Bytes, RoundError> {
        let version = self.version;
        let file = SHARED_PARAMETERS_FILE;
        let failed = |error: ConfigurationError| RoundError::Part { file, version, error };
        shared::with_source(bytes, version, source).map(Bytes::from).map_err(failed)
    }
}

/// Until when a directory may hold, and of which instances: never longer than its sources. An instance
/// that ends in less than half of the time is left out, since a directory has one date for all; without
/// the own instance there is none.
fn in_force(
    configuration: &GlobalConfiguration,
    expiry: Duration,
    now: UtcTime,
) -> Option<(UtcTime, Vec<&str>)> {
    let own = configuration.own().filter(|own| now <= own.expires())?;
    let mut expires = now.plus(expiry).min(own.expires());
    let least = now.plus(expires.since(now) / 2);
    let mut instances = vec![own.identifier.as_str()];
    let mut others: Vec<_> = configuration.instances.values().collect();
    others.sort_by(|one, other| one.identifier.cmp(&other.identifier));
    for other in others {
        if other.identifier != own.identifier && other.expires() >= least {
            expires = expires.min(other.expires());
            instances.push(&other.identifier);
        }
    }
    Some((expires, instances))
}

impl Located {
    fn part(&self) -> Part {
        // Who knows the identifier knows the name as well.
        let named = Part {
            content_identifier: self.identifier.clone(),
            instance: Some(self.instance.clone()),
            location: self.path.clone(),
            file_name: None,
            digest: self.digest,
        };
        let known = named.local_name().is_ok_and(|name| name == self.name);
        Part { file_name: (!known).then(|| self.name.clone()), ..named }
    }
}

#[cfg(test)]
mod tests {
    use protocol::configuration::{Instance, SharedParameters};

    use super::*;

    #[test]
    fn nothing_lives_longer_than_its_source() {
        let now = UtcTime::from_seconds(1_800_000_000);
        let at = |seconds| now.plus(Duration::from_secs(seconds));
        for (own, others, expected) in [
            (590, vec![], Some((590, vec!["I"]))),
            (3600, vec![], Some((600, vec!["I"]))),
            (590, vec![("J", 580), ("K", 700)], Some((580, vec!["I", "J", "K"]))),
            (590, vec![("J", 294)], Some((590, vec!["I"]))),
            (590, vec![("J", 295)], Some((295, vec!["I", "J"]))),
            (0, vec![("J", 295)], Some((0, vec!["I", "J"]))),
        ] {
            let known = others.iter().copied().chain([("I", own)]);
            let instances = known.map(|(name, seconds)| {
                let shared = SharedParameters { instance: name.to_owned(), ..SharedParameters::default() };
                (name.to_owned(), Arc::new(Instance::new(shared, 6, at(seconds))))
            });
            let configuration =
                GlobalConfiguration { own_instance: "I".to_owned(), instances: instances.collect() };
            let got = in_force(&configuration, Duration::from_secs(600), now);
            let expected = expected.map(|(seconds, names)| (at(seconds), names));
            assert_eq!(got.as_ref().map(|(_, names)| names), expected.as_ref().map(|(_, names)| names));
            if own > 0 {
                assert_eq!(got.map(|(expires, _)| expires), expected.map(|(expires, _)| expires));
            }
            assert!(in_force(&configuration, Duration::from_secs(600), at(own + 1)).is_none());
        }
    }
}
