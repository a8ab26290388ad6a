//! Reading an archive and checking its chain, with bounded memory.

use std::collections::HashSet;
use std::io::{Read, Seek};

use zip::ZipArchive;

use super::linking::{LinkingInformation, step};
use super::{LINKING_INFORMATION, Link};
use crate::digest::{Digest, Hasher};

/// What an archive may be at most.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLimits {
    /// Containers.
    pub containers: usize,
    /// Octets of one container.
    pub container: u64,
    /// Octets of all containers.
    pub total: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { containers: 1_000_000, container: 2 << 30, total: 16 << 30 }
    }
}

/// Octets of the linking information for each container that the limits allow: digest and name.
const LINE_LIMIT: u64 = 512;

/// Why an archive is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ArchiveError {
    /// It is not a zip, or a damaged one.
    #[error("the archive cannot be read: {0}")]
    Damaged(String),
    /// The entry `linkinginfo` is missing.
    #[error("the archive has no linking information")]
    NoLinkingInformation,
    /// The entry `linkinginfo` is not of the form.
    #[error("the linking information is malformed")]
    MalformedLinkingInformation,
    /// There is no container.
    #[error("the archive has no containers")]
    NoContainers,
    /// An entry that the chain does not cover, or that would be written outside a folder.
    #[error("the archive has an entry that is no container: {0}")]
    StrangeEntry(String),
    /// A name stands twice.
    #[error("the archive has two entries {0}")]
    Duplicate(String),
    /// More than the limits allow.
    #[error("the archive is larger than is allowed")]
    TooLarge,
    /// It does not continue the archive before it.
    #[error("the archive continues digest {found}, not {expected}")]
    OtherPrevious {
        /// What it says; `-` for none.
        found: String,
        /// What it had to say.
        expected: String,
    },
    /// The names in the archive are not those of the linking information.
    #[error("the linking information does not name the containers of the archive: {0}")]
    OtherNames(String),
    /// A container is not what was archived, or stands at another place.
    #[error("the chain breaks at {0}")]
    Broken(String),
}

/// An archive whose entries are known and whose containers are not yet compared.
#[derive(Debug)]
pub struct Archive<R> {
    zip: ZipArchive<R>,
    limits: ArchiveLimits,
    linking: LinkingInformation,
    /// Index in the zip and name of each container.
    containers: Vec<(usize, String)>,
}

impl<R: Read + Seek> Archive<R> {
    /// Opens an archive.
    ///
    /// # Errors
    /// [`ArchiveError`], all but those of [`Archive::verify`].
    pub fn open(from: R, limits: ArchiveLimits) -> Result<Self, ArchiveError> {
        let mut zip = ZipArchive::new(from).map_err(damaged)?;
        if zip.len() > limits.containers.saturating_add(1) {
            return Err(ArchiveError::TooLarge);
        }
        // Readers that walk local headers and readers of the central directory must see the same.
        zip.validate_header_consistency().map_err(damaged)?;
        let mut names = HashSet::new();
        let mut containers = Vec::new();
        let mut linking = None;
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(damaged)?;
            let name = entry.name().map_err(damaged)?.into_owned();
            drop(entry);
            if !names.insert(name.clone()) {
                return Err(ArchiveError::Duplicate(name));
            }
            if name == LINKING_INFORMATION {
                linking = Some(index);
            } else if name.ends_with(".asice") && !name.contains(['/', '\\']) {
                containers.push((index, name));
            } else {
                return Err(ArchiveError::StrangeEntry(name));
            }
        }
        let index = linking.ok_or(ArchiveError::NoLinkingInformation)?;
        let limit = LINE_LIMIT * (containers.len() as u64 + 1);
        let text = whole(zip.by_index(index).map_err(damaged)?, limit)?;
        let linking = std::str::from_utf8(&text).ok().and_then(LinkingInformation::parse);
        let linking = linking.ok_or(ArchiveError::MalformedLinkingInformation)?;
        if containers.is_empty() {
            return Err(ArchiveError::NoContainers);
        }
        Ok(Self { zip, limits, linking, containers })
    }

    /// What the archive says of its chain.
    pub fn linking(&self) -> &LinkingInformation {
        &self.linking
    }

    /// Names of the containers in the order of the zip.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.containers.iter().map(|(_, name)| name.as_str())
    }

    /// Checks the chain from the digest that the archive says it continues. Gives the last digest, which
    /// the next archive must continue.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn verify(&mut self) -> Result<String, ArchiveError> {
        let listed: HashSet<&str> = self.linking.lines.iter().map(|(_, name)| name.as_str()).collect();
        let missing =
            self.containers.iter().map(|(_, name)| name).find(|name| !listed.contains(name.as_str()));
        if let Some(name) = missing {
            return Err(ArchiveError::OtherNames(format!("{name} is not in it")));
        }
        if listed.len() != self.containers.len() || self.linking.lines.len() != listed.len() {
            return Err(ArchiveError::OtherNames("it names others too".to_owned()));
        }
        let algorithm = self.linking.algorithm;
        let mut last = self.linking.previous.as_ref().map_or_else(String::new, |link| link.digest.clone());
        let mut room = self.limits.total;
        // The set of names is the same; the order that counts is that of the zip.
        let lines: std::collections::HashMap<&str, &str> =
            self.linking.lines.iter().map(|(digest, name)| (name.as_str(), digest.as_str())).collect();
        for (index, name) in &self.containers {
            let mut entry = self.zip.by_index(*index).map_err(damaged)?;
            let (digest, length) =
                digest(&mut entry, Hasher::new(algorithm), room.min(self.limits.container))?;
            room -= length;
            last = step(algorithm, &last, &digest);
            if lines.get(name.as_str()).is_none_or(|line| *line != last) {
                return Err(ArchiveError::Broken(name.clone()));
            }
        }
        Ok(last)
    }

    /// Whether the archive continues `expected`; none: it must begin a chain.
    ///
    /// # Errors
    /// [`ArchiveError::OtherPrevious`].
    pub fn continues(&self, expected: Option<&str>) -> Result<(), ArchiveError> {
        let found = self.linking.previous.as_ref().map(|Link { digest, .. }| digest.as_str());
        if found == expected {
            return Ok(());
        }
        let text = |digest: Option<&str>| digest.unwrap_or("-").to_owned();
        Err(ArchiveError::OtherPrevious { found: text(found), expected: text(expected) })
    }

    /// The octets of a container, by its place among [`Archive::names`]; empty if there is no such place.
    ///
    /// # Errors
    /// It is damaged, or has more than `limit` octets.
    pub fn container(&mut self, place: usize, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let Some((index, _)) = self.containers.get(place) else { return Ok(Vec::new()) };
        whole(self.zip.by_index(*index).map_err(damaged)?, limit)
    }
}

fn damaged(error: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::Damaged(error.to_string())
}

/// All octets of an entry. What the entry says about its size is not believed.
fn whole(entry: impl Read, limit: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut octets = Vec::new();
    entry.take(limit.saturating_add(1)).read_to_end(&mut octets).map_err(damaged)?;
    if octets.len() as u64 > limit { Err(ArchiveError::TooLarge) } else { Ok(octets) }
}

fn digest(entry: &mut impl Read, mut hasher: Hasher, limit: u64) -> Result<(Digest, u64), ArchiveError> {
    let mut buffer = [0; 16 * 1024];
    let mut length: u64 = 0;
    loop {
        let count = entry.read(&mut buffer).map_err(damaged)?;
        if count == 0 {
            return Ok((hasher.finish(), length));
        }
        length += count as u64;
        if length > limit {
            return Err(ArchiveError::TooLarge);
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}
