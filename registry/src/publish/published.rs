//! What is published at one moment, as whoever asks gets it.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use protocol::configuration::directory::Part;
use protocol::time::UtcTime;
use serde::{Deserialize, Serialize};

use crate::management::{WSDL, WSDL_PATH};

/// What signing keys sign: one of the two configurations of an instance (§1), or what a configuration
/// proxy serves (§13).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// For the security servers of the instance: everything.
    Internal,
    /// For other instances: shared parameters only.
    External,
    /// What a proxy got and signs again.
    Mirror,
}

impl SourceKind {
    /// Both configurations of a registry.
    pub const ALL: [Self; 2] = [Self::Internal, Self::External];

    /// The last part of the address: `internalconf`, `externalconf`, or `conf` at a proxy.
    pub const fn directory(self) -> &'static str {
        match self {
            Self::Internal => "internalconf",
            Self::External => "externalconf",
            Self::Mirror => "conf",
        }
    }

    /// `internal`, `external` or `mirror`
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
            Self::Mirror => "mirror",
        }
    }
}

/// One round of publishing. It is never changed; the next round takes its place as a whole, so nobody
/// sees a directory without its parts.
#[derive(Debug, Default)]
pub struct Published {
    /// The generation of the state it was made from.
    pub generation: u64,
    /// When it was made.
    pub made: Option<UtcTime>,
    /// When it expires.
    pub expires: Option<UtcTime>,
    /// Signed directories.
    pub(crate) directories: HashMap<(SourceKind, u8), Bytes>,
    /// What the directories list.
    pub(crate) listed: BTreeMap<(SourceKind, u8), Vec<Part>>,
    /// Parts by path, those of earlier rounds among them while somebody may still be downloading.
    pub(crate) parts: HashMap<String, Bytes>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found<'a> {
    /// A signed directory.
    Directory(&'a Bytes),
    /// A part.
    Part(&'a Bytes),
}

/// Something that documents can be asked of.
pub(crate) trait Documents: Send + Sync + 'static {
    /// The document at a path with a query, by the rules of §3.1.
    fn find(&self, path: &str, query: Option<&str>) -> Option<Found<'_>>;
}

impl Documents for Published {
    fn find(&self, path: &str, query: Option<&str>) -> Option<Found<'_>> {
        // Servers take the codes of the management services from it (registry and administration §3.11).
        if path == WSDL_PATH {
            return Some(Found::Part(&WSDL));
        }
        let name = path.strip_prefix('/')?;
        match SourceKind::ALL.into_iter().find(|kind| kind.directory() == name) {
            Some(kind) => self.directories.get(&(kind, version(query)?)).map(Found::Directory),
            None => self.parts.get(path).map(Found::Part),
        }
    }
}

impl Published {
    /// The signed directory of a version.
    pub fn directory(&self, kind: SourceKind, version: u8) -> Option<&Bytes> {
        self.directories.get(&(kind, version))
    }

    /// The parts that the directories of a source list: version, content identifier, name and bytes.
    pub fn listed(&self, kind: SourceKind) -> impl Iterator<Item = (u8, &str, &str, &Bytes)> {
        let of_kind = self.listed.iter().filter(move |((listed, _), _)| *listed == kind);
        of_kind.flat_map(|((_, version), parts)| {
            parts.iter().filter_map(|part| {
                let name = part.location.rsplit('/').next().unwrap_or_default();
                let bytes = self.parts.get(&part.location)?;
                Some((*version, part.content_identifier.as_deref()?, name, bytes))
            })
        })
    }
}

/// The version that a query asks for: the first `version` that is a number, 2 without one. None stands
/// for a number that is no version: `06` and `300` are not found, as `7` is not.
pub(crate) fn version(query: Option<&str>) -> Option<u8> {
    let numbers = query.unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("version="));
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match numbers.into_iter().find(is_number) {
        None => Some(2),
        Some(number) => number.parse().ok().filter(|version: &u8| version.to_string() == number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: Option<&str>, expected: Option<u8>) {
        assert_eq!(version(query), expected, "{query:?}");
    }

    #[test]
    fn versions() {
        for query in
            [None, Some(""), Some("version="), Some("version=x"), Some("version=3.0"), Some("Version=3")]
        {
            check(query, Some(2));
        }
        check(Some("version=6"), Some(6));
        check(Some("a=b&version=5&version=6"), Some(5));
        check(Some("version=new&version=4"), Some(4));
        check(Some("version=-4"), Some(2));
        check(Some("version=06"), None);
        check(Some("version=999999999999999999999"), None);
        check(Some("xversion=6"), Some(2));
    }

    #[test]
    fn paths() {
        let mut published = Published::default();
        published.directories.insert((SourceKind::Internal, 2), Bytes::from_static(b"directory"));
        published.parts.insert("/V2/1/shared-params.xml".into(), Bytes::from_static(b"part"));
        let directory = Bytes::from_static(b"directory");
        let part = Bytes::from_static(b"part");
        for (path, query, expected) in [
            ("/internalconf", None, Some(Found::Directory(&directory))),
            ("/internalconf", Some("version=2"), Some(Found::Directory(&directory))),
            ("/internalconf", Some("version=3"), None),
            ("/externalconf", None, None),
            ("/V2/1/shared-params.xml", None, Some(Found::Part(&part))),
            ("/V2/1/shared-params.xml", Some("version=3"), Some(Found::Part(&part))),
            ("/V2/1/../1/shared-params.xml", None, None),
            ("/internalconf/", None, None),
            ("//internalconf", None, None),
            ("internalconf", None, None),
            ("/managementservices.wsdl", None, Some(Found::Part(&WSDL))),
            ("/managementservices.wsdl/", None, None),
            ("/", None, None),
            ("", None, None),
        ] {
            assert_eq!(published.find(path, query), expected, "{path} {query:?}");
        }
    }
}
