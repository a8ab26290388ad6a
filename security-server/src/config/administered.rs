//! What the file of an administered server says before it is initialised, and the identity that it gets then
//! (registry and administration §4.1).

use std::path::{Path, PathBuf};

use protocol::id::{MemberId, SecurityServerId};
use serde::{Deserialize, Serialize};

use super::check::one_line;
use super::{ConfigError, written};

/// Longest file of an identity.
const LONGEST_IDENTITY: u64 = 64 * 1024;

/// The part of a configuration file that is there before anything else of a server.
#[derive(Clone, Debug)]
pub struct Administered {
    /// The file.
    pub file: PathBuf,
    /// Folder of everything the server keeps.
    pub state_folder: PathBuf,
    /// Where and how the administration interface is offered.
    pub settings: administration::settings::Settings,
    /// The anchor, if the file names one.
    anchor: Option<PathBuf>,
    /// The identity, if the file gives one.
    is_named: bool,
    /// Whether the file declares the clients and services.
    pub declares_clients: bool,
    /// Whether the file says where the PIN of the software token is.
    pub keeps_pin: bool,
}

impl Administered {
    /// Reads a file; none when it has no `[administration]`.
    ///
    /// # Errors
    /// What is wrong with the parts that are read here. The rest is looked at when the server starts.
    pub fn read(file: &Path) -> Result<Option<Self>, ConfigError> {
        let refused = |problems: Vec<String>| ConfigError { file: file.to_owned(), problems };
        let text = std::fs::read_to_string(file)
            .map_err(|error| refused(vec![format!("the file cannot be read: {error}")]))?;
        let mut table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| refused(vec![error.to_string().trim_end().to_owned()]))?;
        let Some(section) = table.remove("administration") else { return Ok(None) };
        let mut problems = Vec::new();
        let section: Result<administration::settings::Written, _> = section.try_into();
        let section =
            section.map_err(|error| problems.push(format!("[administration]: {}", one_line(&error))));
        let server = table.remove("server").unwrap_or_else(|| toml::Table::new().into());
        let server: Result<written::Server, _> = server.try_into();
        let server = server.map_err(|error| problems.push(format!("[server]: {}", one_line(&error))));
        let (Ok(section), Ok(server)) = (section, server) else { return Err(refused(problems)) };
        let folder = file.parent().unwrap_or(Path::new(""));
        let state_folder = folder.join(&server.state);
        let settings = section.check(folder, &state_folder).map_err(refused)?;
        let token = table.get("token").and_then(toml::Value::as_table);
        Ok(Some(Self {
            file: file.to_owned(),
            anchor: server.anchor.as_ref().map(|anchor| folder.join(anchor)),
            is_named: is_named(&server),
            declares_clients: table.contains_key("client"),
            keeps_pin: token
                .is_some_and(|token| token.contains_key("pin-file") || token.contains_key("pin-variable")),
            state_folder,
            settings,
        }))
    }

    /// Where the anchor is, or will be.
    pub fn anchor_file(&self) -> PathBuf {
        self.anchor.clone().unwrap_or_else(|| anchor_file(&self.state_folder))
    }

    /// Whether the file names the anchor, so that it is not for administrators to change.
    pub fn declares_anchor(&self) -> bool {
        self.anchor.is_some()
    }

    /// Whether the server has an identity.
    pub fn is_initialised(&self) -> bool {
        self.is_named || Identity::read(&self.state_folder).is_ok()
    }
}

/// Whether a file says anything of who the server is; then it must say all of it.
pub(super) fn is_named(server: &written::Server) -> bool {
    [&server.instance, &server.class, &server.member, &server.code].iter().any(|part| part.is_some())
}

/// The anchor of a server that was given one by an administrator.
pub(super) fn anchor_file(state_folder: &Path) -> PathBuf {
    state_folder.join("anchor.xml")
}

/// Who the server is, since it was initialised.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity(SecurityServerId);

/// Why there is no identity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// It was not initialised.
    #[error("the server is not initialised yet")]
    Missing,
    /// The file cannot be read or written, or is not what was written.
    #[error("the identity in {0} cannot be used: {1}")]
    File(PathBuf, String),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    instance: String,
    class: String,
    member: String,
    code: String,
}

impl Identity {
    /// For this server.
    pub fn new(id: SecurityServerId) -> Self {
        Self(id)
    }

    /// The server.
    pub fn id(&self) -> &SecurityServerId {
        &self.0
    }

    /// Reads it from a state folder.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(state_folder: &Path) -> Result<Self, IdentityError> {
        use std::io::Read as _;
        let path = identity_file(state_folder);
        let told = |reason: String| IdentityError::File(path.clone(), reason);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(IdentityError::Missing),
            Err(error) => return Err(told(error.to_string())),
        };
        let mut text = String::new();
        file.take(LONGEST_IDENTITY).read_to_string(&mut text).map_err(|error| told(error.to_string()))?;
        let record: Record = serde_json::from_str(&text).map_err(|error| told(error.to_string()))?;
        let id = MemberId::new(&record.instance, &record.class, &record.member)
            .and_then(|owner| SecurityServerId::new(owner, &record.code));
        id.map(Self).map_err(|error| told(error.to_string()))
    }

    /// Writes it into a state folder, whole or not at all.
    ///
    /// # Errors
    /// Those of the file.
    pub fn write(&self, state_folder: &Path) -> Result<(), IdentityError> {
        let path = identity_file(state_folder);
        let told = |reason: String| IdentityError::File(path.clone(), reason);
        let owner = self.0.owner();
        let record = Record {
            instance: owner.instance().to_owned(),
            class: owner.class().to_owned(),
            member: owner.code().to_owned(),
            code: self.0.code().to_owned(),
        };
        let text = serde_json::to_vec_pretty(&record).map_err(|error| told(error.to_string()))?;
        crate::files::write(&path, &text).map_err(|error| told(error.to_string()))
    }
}

fn identity_file(state_folder: &Path) -> PathBuf {
    state_folder.join("identity.json")
}
