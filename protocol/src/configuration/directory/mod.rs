//! The signed directory: which parts a configuration has, their digests, and until when it holds (§4).
//!
//! [`SignedDirectory::parse`] only splits the document; nothing in it is believed until
//! [`verify`](SignedDirectory::verify) gave a [`Directory`]. The signed octets are kept as they came.

mod headers;
mod read;
mod write;

use crate::digest::Digest;
use crate::signature::{SignatureAlgorithm, SignatureScheme};
use crate::time::UtcTime;

use super::{ConfigurationError, node_classes, private, shared};

pub use read::SignedDirectory;
pub use write::{assemble, content};

/// Content identifier of the private parameters.
pub const PRIVATE_PARAMETERS: &str = "PRIVATE-PARAMETERS";
/// Content identifier of the shared parameters.
pub const SHARED_PARAMETERS: &str = "SHARED-PARAMETERS";
/// Content identifier of the monitoring client.
pub const MONITORING: &str = "MONITORING";
/// Content identifier of the OCSP fetch interval.
pub const FETCH_INTERVAL: &str = "FETCHINTERVAL";
/// Content identifier of the switch for `nextUpdate`.
pub const NEXT_UPDATE: &str = "NEXTUPDATE";

/// File name of the private parameters in a local copy.
pub const PRIVATE_PARAMETERS_FILE: &str = "private-params.xml";
/// File name of the shared parameters in a local copy.
pub const SHARED_PARAMETERS_FILE: &str = "shared-params.xml";

/// Largest directory that is read, bytes.
pub const DIRECTORY_LIMIT: usize = 1024 * 1024;

/// A directory whose signature was verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directory {
    /// Until when the configuration holds.
    pub expires: UtcTime,
    /// Version of the parameters, 2 to 6.
    pub version: u8,
    /// The parts in the order of the directory.
    pub parts: Vec<Part>,
}

/// A part as a directory lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// What it is; none for an anonymous part.
    pub content_identifier: Option<String>,
    /// The instance it is about.
    pub instance: Option<String>,
    /// Where to fetch it, relative to the directory's own URL.
    pub location: String,
    /// A name that the directory proposes for the local copy.
    pub file_name: Option<String>,
    /// The digest of its bytes.
    pub digest: Digest,
}

impl Directory {
    /// The part of an instance with this content identifier. A configuration proxy lists several
    /// instances in one directory (§13).
    pub fn part(&self, content_identifier: &str, instance: &str) -> Option<&Part> {
        self.parts
            .iter()
            .find(|part| part.is(content_identifier) && part.instance.as_deref() == Some(instance))
    }

    /// When the parts about an instance were made, as far as their locations tell.
    pub fn stamp(&self, instance: &str) -> Option<Stamp<'_>> {
        let parts = self.parts.iter().filter(|part| part.is_about(instance));
        Stamp::newest(parts.map(|part| part.location.as_str()))
    }

    /// Checks the bytes of a part: its digest and, for parameters, the schema of the version and the
    /// instance (§5.4).
    ///
    /// # Errors
    /// `global_conf_part_downloaded_file_integrity_failure`, `malformed_global_conf`,
    /// `global_conf_part_invalid_instance_identifier`; node classes that cannot be read.
    pub fn check_part(&self, part: &Part, bytes: &[u8]) -> Result<(), ConfigurationError> {
        part.check(bytes)?;
        let found = if part.is(SHARED_PARAMETERS) {
            shared::parse(bytes, self.version)?.instance
        } else if part.is(PRIVATE_PARAMETERS) {
            private::parse(bytes, self.version)?.instance
        } else if let (true, Some(instance)) = (part.is(node_classes::CONTENT_IDENTIFIER), &part.instance) {
            return node_classes::parse(bytes, instance).map(drop);
        } else {
            return Ok(());
        };
        match &part.instance {
            Some(expected) if *expected != found => {
                Err(ConfigurationError::Instance { expected: expected.clone(), found })
            }
            _ => Ok(()),
        }
    }
}

/// The time at which a registry made a part, as its location tells (§4.1). Stamps mean nothing to
/// clients but this: of two with the same place and length the greater is the later one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp<'a> {
    place: &'a str,
    digits: &'a str,
}

impl<'a> Stamp<'a> {
    /// The newest stamp among locations.
    pub fn newest(locations: impl Iterator<Item = &'a str>) -> Option<Self> {
        locations.filter_map(Self::of).max_by_key(|stamp| (stamp.digits.len(), stamp.digits))
    }

    /// The stamp of a location: its longest element of nothing but digits.
    fn of(location: &'a str) -> Option<Self> {
        let is_stamp =
            |text: &&str| (13..=30).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let digits = location.split('/').filter(is_stamp).max_by_key(|text| text.len())?;
        let at = (digits.as_ptr() as usize).saturating_sub(location.as_ptr() as usize);
        Some(Self { place: location.get(..at)?, digits })
    }

    /// Whether this one is earlier than another; none if the two cannot be compared, since they were
    /// made by different clocks.
    pub fn is_before(&self, other: &Self) -> Option<bool> {
        (self.place == other.place && self.digits.len() == other.digits.len())
            .then(|| self.digits < other.digits)
    }
}

impl Part {
    /// Whether it is about this instance, or does not say about which.
    pub fn is_about(&self, instance: &str) -> bool {
        self.instance.as_deref().is_none_or(|about| about == instance)
    }

    /// Whether this is the part with this content identifier.
    pub fn is(&self, content_identifier: &str) -> bool {
        self.content_identifier.as_deref() == Some(content_identifier)
    }

    /// Its name in a local copy (§4.8).
    ///
    /// # Errors
    /// When the name is not plain: it must not leave its folder, hide, or pass for a file of ours.
    pub fn local_name(&self) -> Result<&str, ConfigurationError> {
        let name = match self.content_identifier.as_deref() {
            Some(PRIVATE_PARAMETERS) => PRIVATE_PARAMETERS_FILE,
            Some(SHARED_PARAMETERS) => SHARED_PARAMETERS_FILE,
            Some(MONITORING) => "monitoring-params.xml",
            Some(FETCH_INTERVAL) => "fetchinterval-params.xml",
            Some(NEXT_UPDATE) => "nextupdate-params.xml",
            Some(node_classes::CONTENT_IDENTIFIER) => node_classes::FILE_NAME,
            _ => {
                let path = self.location.split(['?', '#']).next().unwrap_or_default();
                self.file_name.as_deref().unwrap_or(path.rsplit('/').next().unwrap_or_default())
            }
        };
        let plain = !name.is_empty()
            && name.len() <= 200
            && !name.starts_with('.')
            && !name.ends_with(".metadata")
            && name
                .chars()
                .all(|character| !character.is_control() && !matches!(character, '/' | '\\' | ':' | '%'));
        if plain { Ok(name) } else { Err(ConfigurationError::FileName(name.chars().take(80).collect())) }
    }

    /// Checks fetched bytes against the announced digest.
    ///
    /// # Errors
    /// `global_conf_part_downloaded_file_integrity_failure`.
    pub fn check(&self, bytes: &[u8]) -> Result<(), ConfigurationError> {
        if self.digest.algorithm().digest(bytes) == self.digest {
            Ok(())
        } else {
            let name = self.content_identifier.as_deref().unwrap_or(&self.location);
            Err(ConfigurationError::PartDigest(name.chars().take(200).collect()))
        }
    }
}

/// Verifies a signature over configuration: certificate in DER, algorithm, signed octets, value. RSA
/// values are as they are, ECDSA values are DER. The certificate is only a holder of its key: it may be
/// expired, and nobody needs to have issued it (§4.5).
pub type Verifier<'a> = dyn Fn(&[u8], SignatureAlgorithm, &[u8], &[u8]) -> bool + 'a;

/// Whether configuration may be signed this way: everything named but SHA-1 (§4.7).
fn is_acceptable(algorithm: SignatureAlgorithm) -> bool {
    match algorithm.scheme {
        SignatureScheme::RsaPkcs1 | SignatureScheme::RsaPss | SignatureScheme::Ecdsa => {
            algorithm.digest != crate::digest::DigestAlgorithm::Sha1
        }
    }
}

#[cfg(test)]
mod tests;
