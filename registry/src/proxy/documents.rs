//! What a proxy serves at one moment.

use std::collections::HashMap;

use bytes::Bytes;

use crate::publish::{Documents, Found, SourceKind, version};

/// All mirrors by name. It is never changed; another one takes its place.
#[derive(Debug, Default)]
pub(super) struct Mirrored(pub(super) HashMap<String, Served>);

/// What one mirror serves.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    /// Signed directories by version.
    pub(super) directories: HashMap<u8, Bytes>,
    /// Parts by path.
    pub(super) parts: HashMap<String, Bytes>,
}

impl Documents for Mirrored {
    /// `/NAME/conf` by the rules that hold for a registry, and parts below `/NAME/` (§13).
    fn find(&self, path: &str, query: Option<&str>) -> Option<Found<'_>> {
        let (name, rest) = path.strip_prefix('/')?.split_once('/')?;
        let served = self.0.get(name)?;
        if rest == SourceKind::Mirror.directory() {
            return served.directories.get(&version(query)?).map(Found::Directory);
        }
        served.parts.get(path).map(Found::Part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let bytes = Bytes::from_static(b"x");
        let served = Served {
            directories: HashMap::from([(2, bytes.clone())]),
            parts: HashMap::from([("/P/1/I/shared-params.xml".to_owned(), bytes.clone())]),
        };
        let mirrored = Mirrored(HashMap::from([("P".to_owned(), served)]));
        for (path, query, expected) in [
            ("/P/conf", None, Some(Found::Directory(&bytes))),
            ("/P/conf", Some("version=2"), Some(Found::Directory(&bytes))),
            ("/P/conf", Some("version=6"), None),
            ("/P/1/I/shared-params.xml", None, Some(Found::Part(&bytes))),
            ("/P/1/I/private-params.xml", None, None),
            ("/Q/conf", None, None),
            ("/P", None, None),
            ("/conf", None, None),
            ("/P/conf/", None, None),
            ("P/conf", None, None),
        ] {
            assert_eq!(mirrored.find(path, query), expected, "{path} {query:?}");
        }
    }
}
