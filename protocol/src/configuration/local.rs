//! The local copy of a configuration: a folder for each instance (§9.1), and `verificationconf.zip`.
//!
//! Whoever reads files hands them in as paths and bytes; this module knows what they mean.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read as _};
use std::sync::Arc;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::directory::{PRIVATE_PARAMETERS_FILE, SHARED_PARAMETERS_FILE};
use super::parameters::{private, shared};
use super::{ConfigurationError, GlobalConfiguration, Instance, node_classes, optional_parts};
use crate::time::UtcTime;

/// The file that names the own instance.
pub const INSTANCE_IDENTIFIER_FILE: &str = "instance-identifier";
/// What is appended to a file's name for its metadata.
pub const METADATA_SUFFIX: &str = ".metadata";

/// Most bytes of a whole copy, and of one file of an archive.
const SIZE_LIMIT: u64 = 256 * 1024 * 1024;
const FILE_LIMIT: u64 = 64 * 1024 * 1024;
const ENTRY_LIMIT: usize = 10_000;

/// What stands beside each file.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// What the file is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_identifier: Option<String>,
    /// The instance it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_identifier: Option<String>,
    /// Until when it holds, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_date: Option<String>,
    /// The name that the directory proposed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_file_name: Option<String>,
    /// Where it was fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_location: Option<String>,
    /// Version of the configuration; absent means 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_version: Option<String>,
}

impl Metadata {
    /// Reads a metadata file; one that is missing or unreadable says nothing.
    pub fn parse(bytes: Option<&Bytes>) -> Self {
        bytes.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    /// The bytes of the file.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn version(&self) -> Result<u8, ConfigurationError> {
        match &self.configuration_version {
            None => Ok(2),
            Some(text) => text
                .trim()
                .parse()
                .map_err(|_| ConfigurationError::UnsupportedVersion(text.chars().take(20).collect())),
        }
    }
}

/// What a copy is read for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// To run on it. A file without an expiry counts as expired, and instances other than the own one
    /// that have expired by this time are left out.
    Running(UtcTime),
    /// To verify evidence of the past. Expiry does not count.
    Evidence,
}

/// In what state a copy is, before its files are looked at (§9.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyState {
    /// No instance has a folder.
    Malformed,
    /// Nothing says which instance is the own one.
    MissingIdentifier,
    /// It can be read.
    Ready,
}

/// The files of a copy.
#[derive(Clone, Debug, Default)]
pub struct LocalCopy {
    own_instance: Option<String>,
    /// By instance identifier, then by file name.
    instances: BTreeMap<String, BTreeMap<String, Bytes>>,
}

/// A configuration that was read, and what could not be.
#[derive(Debug)]
pub struct Loaded {
    /// What could be read.
    pub configuration: GlobalConfiguration,
    /// Files that are left out, as `instance/file`, and why.
    pub problems: Vec<(String, ConfigurationError)>,
}

impl LocalCopy {
    /// A copy of these files; paths are relative to its top and have `/` as separator. Files that are
    /// neither in the folder of an instance nor the instance identifier are passed over.
    pub fn from_files(files: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        let mut copy = Self::default();
        for (path, bytes) in files {
            match path.split_once('/') {
                None if path == INSTANCE_IDENTIFIER_FILE => {
                    copy.own_instance = std::str::from_utf8(&bytes)
                        .ok()
                        .map(|text| text.trim().to_owned())
                        .filter(|text| !text.is_empty());
                }
                Some((folder, name)) if !name.contains('/') => {
                    if let Some(instance) = instance_of(folder) {
                        copy.insert(&instance, name, bytes);
                    }
                }
                _ => {}
            }
        }
        copy
    }

    /// Reads `verificationconf.zip` (messages and transport §5.4).
    ///
    /// # Errors
    /// When it is no archive or larger than a configuration can be.
    pub fn from_zip(archive: &[u8]) -> Result<Self, ConfigurationError> {
        let broken = ConfigurationError::Directory("not a readable archive of configuration");
        let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(archive)) else { return Err(broken) };
        if archive.len() > ENTRY_LIMIT {
            return Err(broken);
        }
        let mut files = Vec::new();
        let mut left = SIZE_LIMIT;
        for index in 0..archive.len() {
            let Ok(entry) = archive.by_index(index) else { return Err(broken) };
            let Ok(name) = entry.name() else { return Err(broken) };
            let Some(path) = name.strip_prefix("verificationconf/").map(str::to_owned) else { continue };
            drop(name);
            if entry.is_dir() {
                continue;
            }
            let mut bytes = Vec::new();
            let limit = left.min(FILE_LIMIT);
            let read = entry.take(limit.saturating_add(1)).read_to_end(&mut bytes);
            if read.is_err() || bytes.len() as u64 > limit {
                return Err(broken);
            }
            left -= bytes.len() as u64;
            files.push((path, Bytes::from(bytes)));
        }
        Ok(Self::from_files(files))
    }

    /// A copy without files, for this own instance.
    pub fn new(own_instance: &str) -> Self {
        Self { own_instance: Some(own_instance.to_owned()), instances: BTreeMap::new() }
    }

    /// Puts a file in.
    pub fn insert(&mut self, instance: &str, name: &str, bytes: Bytes) {
        self.instances.entry(instance.to_owned()).or_default().insert(name.to_owned(), bytes);
    }

    /// Takes an instance with all its files away.
    pub fn remove(&mut self, instance: &str) {
        self.instances.remove(instance);
    }

    /// A file of an instance.
    pub fn file(&self, instance: &str, name: &str) -> Option<&Bytes> {
        self.instances.get(instance)?.get(name)
    }

    /// All files of an instance with their names.
    pub fn files_of(&self, instance: &str) -> impl Iterator<Item = (&str, &Bytes)> {
        self.instances.get(instance).into_iter().flatten().map(|(name, bytes)| (name.as_str(), bytes))
    }

    /// The own instance, if the copy says it.
    pub fn own_instance(&self) -> Option<&str> {
        self.own_instance.as_deref()
    }

    /// All instances with a folder.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        self.instances.keys().map(String::as_str)
    }

    /// All files as paths relative to the top, the instance identifier among them.
    pub fn files(&self) -> impl Iterator<Item = (String, Bytes)> {
        let own = self.own_instance.iter();
        let own =
            own.map(|own| (INSTANCE_IDENTIFIER_FILE.to_owned(), Bytes::copy_from_slice(own.as_bytes())));
        own.chain(self.instances.iter().flat_map(|(instance, files)| {
            let folder = folder_of(instance);
            files.iter().map(move |(name, bytes)| (format!("{folder}/{name}"), bytes.clone()))
        }))
    }

    /// In what state it is.
    pub fn state(&self) -> CopyState {
        if self.instances.is_empty() {
            CopyState::Malformed
        } else if self.own_instance.is_none() {
            CopyState::MissingIdentifier
        } else {
            CopyState::Ready
        }
    }

    /// Reads all that can be read; what cannot is left out and named.
    pub fn load(&self, purpose: Purpose) -> Loaded {
        let own = self.own_instance.clone().unwrap_or_default();
        let mut problems = Vec::new();
        let mut instances = HashMap::new();
        for identifier in self.instances.keys() {
            let is_own = *identifier == own;
            match self.instance(identifier, purpose, &mut problems) {
                Some(instance) if is_own || is_current(&instance, purpose) => {
                    instances.insert(identifier.clone(), Arc::new(instance));
                }
                _ => {}
            }
        }
        Loaded { configuration: GlobalConfiguration { own_instance: own, instances }, problems }
    }

    /// Reads one instance; none when its shared parameters or its node classes cannot be read.
    /// Whatever is left out is added to `problems`.
    pub fn instance(
        &self,
        identifier: &str,
        purpose: Purpose,
        problems: &mut Vec<(String, ConfigurationError)>,
    ) -> Option<Instance> {
        let is_own = self.own_instance.as_deref() == Some(identifier);
        let mut failed = |name: &str, error| problems.push((format!("{identifier}/{name}"), error));
        let parse = |name: &str| -> Option<(&Bytes, Metadata)> {
            let bytes = self.file(identifier, name)?;
            Some((bytes, Metadata::parse(self.file(identifier, &format!("{name}{METADATA_SUFFIX}")))))
        };
        let (bytes, metadata) = parse(SHARED_PARAMETERS_FILE)?;
        let read = metadata.version().and_then(|version| {
            let parameters = match purpose {
                Purpose::Running(_) => shared::parse(bytes, version)?,
                Purpose::Evidence => shared::parse_for_evidence(bytes, version)?,
            };
            check_instance(identifier, &parameters.instance)?;
            let mut instance = Instance::new(parameters, version, expiry(&metadata, purpose));
            instance.shared_file = Some(bytes.clone());
            Ok(instance)
        });
        let mut instance = match read {
            Ok(instance) => instance,
            Err(error) => {
                failed(SHARED_PARAMETERS_FILE, error);
                return None;
            }
        };
        if let Some((bytes, metadata)) = is_own.then(|| parse(PRIVATE_PARAMETERS_FILE)).flatten() {
            let read = metadata.version().and_then(|version| {
                let parameters = private::parse(bytes, version)?;
                check_instance(identifier, &parameters.instance)?;
                Ok(parameters)
            });
            match read {
                Ok(parameters) => {
                    instance.private = Some(parameters);
                    instance.limit_expiry(expiry(&metadata, purpose));
                }
                Err(error) => failed(PRIVATE_PARAMETERS_FILE, error),
            }
        }
        if let Some(bytes) = self.file(identifier, node_classes::FILE_NAME) {
            match node_classes::parse(bytes, identifier) {
                Ok(classes) => instance.node_classes = Some(classes),
                Err(error) => {
                    failed(node_classes::FILE_NAME, error);
                    // What cannot be understood may forbid anything. Evidence does not ask for classes.
                    if purpose != Purpose::Evidence {
                        return None;
                    }
                }
            }
        }
        if is_own {
            let mut part = |name: &str, result: Result<(), ConfigurationError>| {
                if let Err(error) = result {
                    failed(name, error);
                }
            };
            if let Some(bytes) = self.file(identifier, "nextupdate-params.xml") {
                let read = optional_parts::parse_next_update(bytes);
                part("nextupdate-params.xml", read.map(|verify| instance.verify_next_update = verify));
            }
            if let Some(bytes) = self.file(identifier, "fetchinterval-params.xml") {
                let read = optional_parts::parse_fetch_interval(bytes);
                part("fetchinterval-params.xml", read.map(|seconds| instance.ocsp_fetch_interval = seconds));
            }
            if let Some(bytes) = self.file(identifier, "monitoring-params.xml") {
                let read = optional_parts::parse_monitoring(bytes);
                part("monitoring-params.xml", read.map(|client| instance.monitoring_client = client));
            }
        }
        Some(instance)
    }
}

fn is_current(instance: &Instance, purpose: Purpose) -> bool {
    match purpose {
        Purpose::Running(now) => now <= instance.expires(),
        Purpose::Evidence => true,
    }
}

fn expiry(metadata: &Metadata, purpose: Purpose) -> UtcTime {
    let stated = metadata.expiration_date.as_deref().and_then(|text| text.parse().ok());
    match purpose {
        // X-Road takes a file without an expiry as one that never ends.
        Purpose::Running(_) => stated.unwrap_or(UtcTime::from_millis(i64::MIN)),
        Purpose::Evidence => stated.unwrap_or(UtcTime::from_millis(i64::MAX)),
    }
}

fn check_instance(expected: &str, found: &str) -> Result<(), ConfigurationError> {
    if expected == found {
        Ok(())
    } else {
        Err(ConfigurationError::Instance { expected: expected.to_owned(), found: found.to_owned() })
    }
}

/// The folder of an instance: its identifier, form-urlencoded.
pub fn folder_of(instance: &str) -> String {
    const DOTS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'*').remove(b' ');
    const KEPT: &AsciiSet = &DOTS.remove(b'.');
    // Form encoding keeps dots, but a folder of nothing but dots would be another folder.
    let kept = if instance.bytes().all(|byte| byte == b'.') { DOTS } else { KEPT };
    utf8_percent_encode(instance, kept).to_string().replace(' ', "+")
}

fn instance_of(folder: &str) -> Option<String> {
    let spaced = folder.replace('+', " ");
    let instance = percent_decode_str(&spaced).decode_utf8().ok()?.into_owned();
    (!instance.trim().is_empty()).then_some(instance)
}
