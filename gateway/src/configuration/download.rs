//! The download of one instance from one of its places: version, directory, parts (§5.3, §5.4).

use std::collections::VecDeque;

use bytes::Bytes;
use http::Uri;
use protocol::configuration::directory::{
    DIRECTORY_LIMIT, PRIVATE_PARAMETERS, SHARED_PARAMETERS, Stamp, Verifier,
};
use protocol::configuration::local::{METADATA_SUFFIX, Metadata};
use protocol::configuration::parameters::{NEWEST_VERSION, OLDEST_VERSION};
use protocol::configuration::{
    ConfigurationError, Directory, LocalCopy, Part, SignedDirectory, node_classes,
};
use protocol::time::UtcTime;

use super::locations::Location;

/// Largest part that is fetched, bytes.
const PART_LIMIT: usize = 64 * 1024 * 1024;

/// A request to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fetch {
    /// What to GET.
    pub url: String,
    /// Most bytes of the answer.
    pub limit: usize,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// An answer of any status.
    Got {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Bytes,
    },
    /// No answer, and why.
    Failed(String),
}

/// Which parts of a directory are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// All parts of an internal configuration, for the own instance.
    Internal,
    /// All parts of an external configuration, which has no private parameters.
    External,
    /// All parts of whatever is there.
    Either,
    /// Shared parameters and node classes, for a federated instance.
    Shared,
}

/// Why a place gave nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DownloadError {
    /// No connection, or no complete answer.
    #[error("{url}: {reason}")]
    Connection {
        /// What was asked for.
        url: String,
        /// What went wrong.
        reason: String,
        /// What it was to bring.
        during: Asking,
    },
    /// An answer with another status than 200.
    #[error("{url}: HTTP status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// Whether it was a part that was asked for.
        part: bool,
    },
    /// What came is refused.
    #[error("{url}: {error}")]
    Refused {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        error: ConfigurationError,
    },
}

/// What a request was to bring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asking {
    /// Whether a version is published.
    Version,
    /// The directory.
    Directory,
    /// A part.
    Part,
}

impl DownloadError {
    /// The code of the specification (§19), which is for the log and for people.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Connection { during: Asking::Version, .. } => "global_conf_get_version_failed",
            Self::Connection { during: Asking::Directory, .. } | Self::Status { part: false, .. } => {
                "global_conf_download_url_connection_failure"
            }
            Self::Connection { during: Asking::Part, .. } | Self::Status { part: true, .. } => {
                "global_conf_part_download_failure"
            }
            Self::Refused { error, .. } => error.code(),
        }
    }
}

/// What a download ended with.
#[derive(Debug)]
pub(super) enum Step {
    Fetch(Fetch),
    Done { url: String, result: Fetched },
    Failed(DownloadError),
}

/// A whole configuration of an instance.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) directory: Directory,
    /// File names and bytes of all wanted parts.
    pub(super) files: Vec<(String, Bytes)>,
    /// Metadata by the name of its file.
    pub(super) metadata: Vec<(String, Vec<u8>)>,
    /// Nothing but the time of expiry is new.
    pub(super) unchanged: bool,
}

enum Stage {
    /// Asking whether a version is published. The answer, if it is one, is used at once.
    Probing(u8),
    Directory,
    Parts {
        directory: Directory,
        left: VecDeque<Part>,
        files: Vec<(String, Bytes)>,
        fresh: bool,
    },
}

/// One attempt at one place.
pub(super) struct Download {
    instance: String,
    wanted: Wanted,
    location: Location,
    /// URL of the directory with its version.
    url: String,
    stage: Stage,
    /// URL of the request under way.
    asked: String,
}

impl Download {
    /// Begins; `pinned` is the URL that worked at this place before.
    pub(super) fn begin(
        instance: &str,
        wanted: Wanted,
        location: Location,
        pinned: Option<String>,
        version: Option<u8>,
    ) -> (Self, Fetch) {
        let fixed = pinned
            .or_else(|| has_version(&location.url).then(|| location.url.clone()))
            .or_else(|| version.map(|version| with_version(&location.url, version)));
        let (url, stage) = match fixed {
            Some(url) => (url, Stage::Directory),
            None => (with_version(&location.url, NEWEST_VERSION), Stage::Probing(NEWEST_VERSION)),
        };
        let fetch = Fetch { url: url.clone(), limit: DIRECTORY_LIMIT };
        let download =
            Self { instance: instance.to_owned(), wanted, location, asked: url.clone(), url, stage };
        (download, fetch)
    }

    /// Takes an answer. `copy` is the local copy so far.
    pub(super) fn answered(
        mut self,
        answer: Answer,
        copy: &LocalCopy,
        verifier: &Verifier<'_>,
        now: UtcTime,
    ) -> (Option<Self>, Step) {
        let asked = std::mem::take(&mut self.asked);
        let step = self.step(&asked, answer, copy, verifier, now);
        match step {
            Ok(Step::Fetch(fetch)) => {
                self.asked.clone_from(&fetch.url);
                (Some(self), Step::Fetch(fetch))
            }
            Ok(step) => (None, step),
            Err(error) => (None, Step::Failed(error)),
        }
    }

    /// The place that is tried.
    pub(super) fn place(&self) -> &Location {
        &self.location
    }

    fn step(
        &mut self,
        asked: &str,
        answer: Answer,
        copy: &LocalCopy,
        verifier: &Verifier<'_>,
        now: UtcTime,
    ) -> Result<Step, DownloadError> {
        let url = || asked.to_owned();
        let (status, body) = match answer {
            Answer::Failed(reason) => {
                let during = match self.stage {
                    Stage::Probing(_) => Asking::Version,
                    Stage::Directory => Asking::Directory,
                    Stage::Parts { .. } => Asking::Part,
                };
                return Err(DownloadError::Connection { url: url(), reason, during });
            }
            Answer::Got { status, body } => (status, body),
        };
        if let (Stage::Probing(version), 404) = (&self.stage, status) {
            let version = version.saturating_sub(1);
            self.url = with_version(&self.location.url, version);
            // Version 2 is always there; its answer is not a probe any more.
            self.stage = if version > OLDEST_VERSION { Stage::Probing(version) } else { Stage::Directory };
            return Ok(Step::Fetch(Fetch { url: self.url.clone(), limit: DIRECTORY_LIMIT }));
        }
        if status != 200 {
            let part = matches!(self.stage, Stage::Parts { .. });
            return Err(DownloadError::Status { url: url(), status, part });
        }
        let refused = |error| DownloadError::Refused { url: asked.to_owned(), error };
        match &mut self.stage {
            Stage::Probing(_) | Stage::Directory => {
                let directory = SignedDirectory::parse(&body)
                    .and_then(|signed| signed.verify(&self.location.certificates, verifier, now))
                    .and_then(|directory| self.check(directory, copy, now))
                    .map_err(refused)?;
                let left = self.wanted_parts(&directory);
                self.stage = Stage::Parts { directory, left, files: Vec::new(), fresh: false };
            }
            Stage::Parts { directory, left, files, fresh } => {
                if let Some(part) = left.pop_front() {
                    directory.check_part(&part, &body).map_err(refused)?;
                    let name = part.local_name().map_err(refused)?;
                    files.push((name.to_owned(), body));
                    *fresh = true;
                }
            }
        }
        self.next_part(copy).map_err(refused)
    }

    /// Takes from the copy what is there already, then asks for the next part or ends.
    fn next_part(&mut self, copy: &LocalCopy) -> Result<Step, ConfigurationError> {
        let Stage::Parts { directory, left, files, fresh } = &mut self.stage else {
            return Err(ConfigurationError::Directory("no directory yet"));
        };
        while let Some(part) = left.front() {
            let name = part.local_name()?;
            match copy.file(&self.instance, name).filter(|known| part.check(known).is_ok()) {
                // A known file counts as known only in the version it was checked in.
                Some(known) if known_version(copy, &self.instance, name) == directory.version => {
                    files.push((name.to_owned(), known.clone()));
                    left.pop_front();
                }
                Some(known) => {
                    directory.check_part(part, known)?;
                    files.push((name.to_owned(), known.clone()));
                    *fresh = true;
                    left.pop_front();
                }
                None => {
                    let url = resolved(&self.url, &part.location)
                        .ok_or(ConfigurationError::HeaderWrong("content-location"))?;
                    return Ok(Step::Fetch(Fetch { url, limit: PART_LIMIT }));
                }
            }
        }
        let known =
            copy.files_of(&self.instance).filter(|(name, _)| !name.ends_with(METADATA_SUFFIX)).count();
        let unchanged = !*fresh && known == files.len();
        let wanted = |part: &&Part| is_wanted(self.wanted, &self.instance, part);
        let metadata =
            directory.parts.iter().filter(wanted).map(|part| metadata(directory, part, &self.instance));
        let metadata = metadata.collect::<Result<_, _>>()?;
        let result =
            Fetched { directory: directory.clone(), files: std::mem::take(files), metadata, unchanged };
        Ok(Step::Done { url: self.url.clone(), result })
    }

    /// Whether the directory may be used at all.
    fn check(
        &self,
        directory: Directory,
        copy: &LocalCopy,
        now: UtcTime,
    ) -> Result<Directory, ConfigurationError> {
        for (identifier, missing) in [
            (SHARED_PARAMETERS, "the directory has no shared parameters"),
            (PRIVATE_PARAMETERS, "the directory has no private parameters"),
        ] {
            if identifier == PRIVATE_PARAMETERS && self.wanted != Wanted::Internal {
                continue;
            }
            if directory.part(identifier, &self.instance).is_none() {
                let other = directory.parts.iter().find(|part| part.is(identifier));
                return Err(match other.and_then(|part| part.instance.clone()) {
                    Some(found) => ConfigurationError::Instance { expected: self.instance.clone(), found },
                    None => ConfigurationError::Parts(missing),
                });
            }
        }
        if self.wanted == Wanted::External && directory.parts.iter().any(|part| part.is(PRIVATE_PARAMETERS)) {
            return Err(ConfigurationError::NotExternal);
        }
        if is_older(&directory, copy, &self.instance, now) {
            return Err(ConfigurationError::Older);
        }
        Ok(directory)
    }

    fn wanted_parts(&self, directory: &Directory) -> VecDeque<Part> {
        let wanted = |part: &&Part| is_wanted(self.wanted, &self.instance, part);
        directory.parts.iter().filter(wanted).cloned().collect()
    }
}

/// Parts of other instances, which a configuration proxy lists too, are passed over: each instance is
/// believed by its own anchor only.
fn is_wanted(wanted: Wanted, instance: &str, part: &Part) -> bool {
    part.is_about(instance)
        && match wanted {
            Wanted::Internal | Wanted::External | Wanted::Either => true,
            Wanted::Shared => part.is(SHARED_PARAMETERS) || part.is(node_classes::CONTENT_IDENTIFIER),
        }
}

fn metadata(
    directory: &Directory,
    part: &Part,
    instance: &str,
) -> Result<(String, Vec<u8>), ConfigurationError> {
    let metadata = Metadata {
        content_identifier: part.content_identifier.clone(),
        instance_identifier: Some(instance.to_owned()),
        expiration_date: Some(directory.expires.to_string()),
        content_file_name: part.file_name.clone(),
        content_location: Some(part.location.clone()),
        configuration_version: Some(directory.version.to_string()),
    };
    Ok((format!("{}{METADATA_SUFFIX}", part.local_name()?), metadata.to_json()))
}

fn known(copy: &LocalCopy, instance: &str, name: &str) -> Metadata {
    Metadata::parse(copy.file(instance, &format!("{name}{METADATA_SUFFIX}")))
}

fn known_version(copy: &LocalCopy, instance: &str, name: &str) -> u8 {
    let version = known(copy, instance, name).configuration_version;
    version.map_or(OLDEST_VERSION, |text| text.parse().unwrap_or_default())
}

/// Whether a directory is older than what is in use: somebody on the way serves again what was signed
/// before, to keep a withdrawn key or server alive. The newest stamp among the locations tells; where
/// there are none to compare, the date of expiry. A copy that has expired stands in nobody's way, so
/// a registry whose clock was wrong is refused no longer than what it signed then is valid.
fn is_older(directory: &Directory, copy: &LocalCopy, instance: &str, now: UtcTime) -> bool {
    let known: Vec<Metadata> = copy
        .files_of(instance)
        .filter(|(name, _)| name.ends_with(METADATA_SUFFIX))
        .map(|(_, bytes)| Metadata::parse(Some(bytes)))
        .collect();
    let expiry = |metadata: &Metadata| metadata.expiration_date.as_ref()?.parse::<UtcTime>().ok();
    let Some(expires) = known.iter().filter_map(expiry).max().filter(|expires| now <= *expires) else {
        return false;
    };
    let old = Stamp::newest(known.iter().filter_map(|metadata| metadata.content_location.as_deref()));
    let by_stamp = directory.stamp(instance).zip(old).and_then(|(new, old)| new.is_before(&old));
    by_stamp.unwrap_or(directory.expires < expires)
}

fn has_version(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|parameter| parameter == "version" || parameter.starts_with("version="))
}

fn with_version(url: &str, version: u8) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}version={version}")
}

/// Resolves a location against the URL of the directory (RFC 3986 §5.2, without dot segments, which no
/// honest directory has).
pub(super) fn resolved(base: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return location.parse::<Uri>().ok().map(|_| location.to_owned());
    }
    if location.contains("://") || location.split('/').any(|segment| segment == "..") {
        return None;
    }
    let base: Uri = base.parse().ok()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    let path = if location.starts_with('/') {
        location.to_owned()
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{location}")
    };
    Some(format!("{scheme}://{authority}{path}"))
}
