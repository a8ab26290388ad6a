//! Opens what a node is made of, each with its own refusal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use administration::store::{SledStore, StoreError};
use certs::token::{SoftwareToken, Token, TokenError};
use gateway::Clock;
use gateway::configuration::{self, ConfigurationClient};
use gateway::http::Fetcher;
use gateway::replays::Replays;
use gateway::snapshot::SnapshotCell;
use protocol::configuration::Anchor;

use super::{StartError, log_key};
use crate::config::{Config, PinSource};
use crate::message_log::{self, MessageLog};
use crate::replay_journal::ReplayJournal;
use crate::state::{NodeState, StateError};

pub(super) fn prepare_folder(folder: &Path) -> Result<(), StartError> {
    let refused =
        |error: io::Error| StartError::Folder { folder: folder.to_owned(), reason: error.to_string() };
    std::fs::create_dir_all(folder).map_err(refused)?;
    tempfile::tempfile_in(folder).map(drop).map_err(refused)
}

pub(crate) fn read_anchor(config: &Config) -> Result<Anchor, StartError> {
    let refused = |reason: String| StartError::Anchor { file: config.anchor.clone(), reason };
    let bytes = std::fs::read(&config.anchor).map_err(|error| refused(error.to_string()))?;
    let anchor = Anchor::parse(&bytes).map_err(|error| refused(error.to_string()))?;
    let expected = config.server.owner().instance();
    if anchor.instance != expected {
        return Err(StartError::WrongInstance {
            file: config.anchor.clone(),
            found: anchor.instance,
            expected: expected.to_owned(),
        });
    }
    Ok(anchor)
}

/// Opens a node's own configuration as it is. Only one process can have it open.
///
/// # Errors
/// [`StartError::Running`] while the node runs, and what hinders it from starting.
pub fn open_state_as_it_is(config: &Config) -> Result<NodeState, StartError> {
    let folder = config.node_state_folder();
    let store = SledStore::open(&folder).map_err(|error| match error {
        StoreError::InUse(_) => StartError::Running(config.state_folder.clone()),
        error => StartError::State(error.into()),
    })?;
    NodeState::open(Arc::new(store), &config.server).map_err(|error| match error {
        StateError::OtherServer(owner) => StartError::OtherServer { folder, owner },
        error => StartError::State(error),
    })
}

/// Opens the node's own configuration and brings it up to what the file declares.
pub(super) fn open_state(config: &Config, clock: Clock) -> Result<NodeState, StartError> {
    let state = open_state_as_it_is(config)?;
    if let Some(declared) = &config.clients {
        for change in state.replace(declared, clock.now()).map_err(StartError::State)? {
            tracing::info!(file = %config.file.display(), "{change}");
        }
    }
    Ok(state)
}

/// Whether a process runs on this state folder.
pub(crate) fn is_locked(state_folder: &Path) -> bool {
    let folder = state_folder.join("node");
    folder.is_dir() && matches!(SledStore::open(&folder), Err(StoreError::InUse(_)))
}

pub(crate) fn open_token(config: &Config) -> Result<SoftwareToken, StartError> {
    let folder = config.token_folder();
    if config.pin == PinSource::Administrator {
        return SoftwareToken::closed(&folder).map_err(|error| match error {
            TokenError::NotInitialized => StartError::NoToken(folder),
            error => StartError::Token { folder, reason: error.to_string() },
        });
    }
    let pin = config.pin.read()?;
    if !config.hardware_tokens.is_empty() && !SoftwareToken::exists(&folder) {
        // All keys may lie on devices.
        return SoftwareToken::create(&folder, &pin)
            .map_err(|error| StartError::Token { folder, reason: error.to_string() });
    }
    SoftwareToken::open(&folder, &pin).map_err(|error| match error {
        TokenError::WrongPin => StartError::WrongPin(folder),
        TokenError::NotInitialized => StartError::NoToken(folder),
        error => StartError::Token { folder, reason: error.to_string() },
    })
}

/// The hardware tokens. A device that is not there is no reason not to start: it is looked for.
#[cfg(feature = "pkcs11")]
pub(crate) fn open_hardware_tokens(config: &Config) -> Result<Vec<Arc<dyn Token>>, StartError> {
    use certs::token::{HardwareToken, HardwareTokenSettings, SlotChoice};

    use crate::config::TokenSlot;

    let mut tokens: Vec<Arc<dyn Token>> = Vec::new();
    for wanted in &config.hardware_tokens {
        let folder = config.hardware_token_folder(&wanted.name);
        let settings = HardwareTokenSettings {
            name: wanted.name.clone(),
            library: wanted.library.clone(),
            slot: match &wanted.slot {
                TokenSlot::Number(number) => SlotChoice::Number(*number),
                TokenSlot::Label(label) => SlotChoice::Label(label.clone()),
                TokenSlot::Serial(serial) => SlotChoice::Serial(serial.clone()),
            },
            pin: wanted.pin.read()?,
        };
        let refused =
            |error: TokenError| StartError::Token { folder: folder.clone(), reason: error.to_string() };
        let token = HardwareToken::open(&folder, settings).map_err(refused)?;
        match token.log_in() {
            Ok(()) => {}
            Err(TokenError::WrongPin) => return Err(StartError::HardwarePin(wanted.name.clone())),
            Err(error) => tracing::warn!(%error, "a hardware token cannot be used now"),
        }
        tokens.push(Arc::new(token));
    }
    Ok(tokens)
}

/// None: a file that names one was refused.
#[cfg(not(feature = "pkcs11"))]
pub(crate) fn open_hardware_tokens(_: &Config) -> Result<Vec<Arc<dyn Token>>, StartError> {
    Ok(Vec::new())
}

/// A client of the registry. Its rounds have times of their own (§3.3 of the global configuration).
pub(crate) fn configuration_client(
    config: &Config,
    anchor: Anchor,
    folder: PathBuf,
    snapshot: Arc<SnapshotCell>,
    clock: Clock,
) -> ConfigurationClient {
    let settings = configuration::Settings {
        refresh: config.configuration.refresh,
        federations: config.configuration.federations.clone(),
        ..configuration::Settings::new(anchor, folder)
    };
    let (connect, read) = (configuration::CONNECT_TIMEOUT, configuration::READ_TIMEOUT);
    let fetcher = Fetcher::trusting(connect, read, &config.configuration.https);
    ConfigurationClient::new(settings, fetcher, snapshot, clock)
}

pub(super) fn open_log(
    config: &Config,
    clock: Clock,
    timestamper: Arc<dyn message_log::Timestamper>,
) -> Result<MessageLog, StartError> {
    let wanted = &config.message_log;
    let folder = config.message_log_folder();
    let refused = |reason: String| StartError::MessageLog { folder: folder.clone(), reason };
    let mut settings = message_log::Settings::new(&folder);
    settings.segment_size = wanted.segment_size;
    settings.free_space_floor = wanted.free_space_floor;
    settings.bodies = wanted.bodies.clone();
    settings.timestamps.acceptable_failure = wanted.acceptable_timestamp_failure.unwrap_or_default();
    settings.max_bytes = wanted.size_limit;
    settings.timestamps.immediately = wanted.timestamp_immediately;
    settings.timestamps.retry_delay = wanted.timestamp_retry;
    let key = log_key::load_or_create(&config.state_folder.join("log-key"), &config.server);
    settings.origin = Some(log_key::origin(&config.server));
    settings.key = Some(Arc::new(key.map_err(|error| refused(error.to_string()))?));
    MessageLog::open(settings, clock, timestamper).map_err(|error| refused(error.to_string()))
}

/// The memory of signed messages that were received, and the journal that keeps it over a restart.
pub(super) fn open_replays(
    config: &Config,
    log: &MessageLog,
    snapshot: &SnapshotCell,
    clock: Clock,
) -> Result<(Arc<Replays>, Option<ReplayJournal>), StartError> {
    let capacity = config.data_plane.remembered_messages;
    let replays = Arc::new(Replays::new(capacity));
    if capacity == 0 {
        tracing::warn!("the same signed message may come again and again: remembered-messages is 0");
        return Ok((replays, None));
    }
    let folder = config.replays_folder();
    let refused = |error: &dyn std::fmt::Display| StartError::Folder {
        folder: folder.clone(),
        reason: error.to_string(),
    };
    let fresh = snapshot.load().map_or(3600, |snapshot| snapshot.configuration().ocsp_freshness_seconds());
    let reader = log.reader().map_err(|error| refused(&error))?;
    let fresh = Duration::from_secs(fresh);
    let opened = ReplayJournal::open(&folder, Arc::clone(&replays), &reader, fresh, clock.now());
    let (journal, restored) = opened.map_err(|error| refused(&error))?;
    let (from_journal, from_log) = (restored.from_journal, restored.from_log);
    tracing::info!(from_journal, from_log, "received messages are remembered");
    Ok((replays, Some(journal)))
}
