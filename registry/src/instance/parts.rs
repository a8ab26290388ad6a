//! Configuration parts: files that go to the servers of the instance as they are (global configuration and
//! trust §8).
//!
//! The parts that the field knows are read before they are taken. Others are known by the operator's
//! configuration file, which gives each its identifier and its file's name.

use bytes::Bytes;
use protocol::configuration::directory::{FETCH_INTERVAL, MONITORING, NEXT_UPDATE};
use protocol::configuration::optional_parts;

use super::model::ConfigurationPart;
use super::record::{Record, RecordKey};
use super::{Desk, Refusal};
use crate::publish::SourceKind;

/// The parts that every registry knows, with the names of their files.
pub const KNOWN_PARTS: [(&str, &str); 3] = [
    (FETCH_INTERVAL, "fetchinterval-params.xml"),
    (MONITORING, "monitoring-params.xml"),
    (NEXT_UPDATE, "nextupdate-params.xml"),
];
/// Longest file of a part.
const LONGEST_FILE: usize = 1 << 20;

impl Desk {
    /// The parts that can be uploaded: identifier and name of the file.
    pub fn known_parts(&self) -> Vec<(String, String)> {
        let own = |(identifier, name): (&str, &str)| (identifier.to_owned(), name.to_owned());
        KNOWN_PARTS.into_iter().map(own).chain(self.rules().parts.iter().cloned()).collect()
    }

    /// Takes a part, in place of an earlier file of it.
    ///
    /// # Errors
    /// No such part is known, or not in this source: other instances get shared parameters only. It is not
    /// what it should be.
    pub fn put_part(
        &self,
        source: SourceKind,
        identifier: &str,
        content: &[u8],
    ) -> Result<ConfigurationPart, Refusal> {
        let known = self.known_parts().into_iter().find(|(known, _)| known == identifier);
        self.change(|draft| {
            let known = known.filter(|_| source == SourceKind::Internal);
            let (identifier, file_name) = known.ok_or_else(|| Refusal::UnknownPart(identifier.to_owned()))?;
            check(&identifier, content)?;
            let (content, uploaded) = (Bytes::copy_from_slice(content), draft.now);
            let part = ConfigurationPart { identifier, file_name, content, uploaded };
            draft.put(Record::Part(part.clone()));
            Ok(part)
        })
    }

    /// Takes a part out of the configuration.
    ///
    /// # Errors
    /// There is none.
    pub fn delete_part(&self, identifier: &str) -> Result<(), Refusal> {
        self.change(|draft| {
            if !draft.instance.parts.contains_key(identifier) {
                return Err(Refusal::PartNotFound(identifier.to_owned()));
            }
            draft.remove(RecordKey::Part(identifier.to_owned()));
            Ok(())
        })
    }
}

fn check(identifier: &str, content: &[u8]) -> Result<(), Refusal> {
    if content.is_empty() || content.len() > LONGEST_FILE {
        return Err(Refusal::InvalidPart("it is empty or too long".into()));
    }
    let read = match identifier {
        FETCH_INTERVAL => optional_parts::parse_fetch_interval(content).map(drop),
        MONITORING => optional_parts::parse_monitoring(content).map(drop),
        NEXT_UPDATE => optional_parts::parse_next_update(content).map(drop),
        _ => Ok(()),
    };
    read.map_err(|error| Refusal::InvalidPart(error.to_string()))
}
