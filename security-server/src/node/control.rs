//! What administration gets at while a server runs.

use std::sync::Arc;

use certs::token::{SoftwareToken, Token};
use gateway::Clock;
use gateway::ocsp::OwnResponses;
use gateway::snapshot::{Snapshot, SnapshotCell};
use protocol::id::SecurityServerId;

use super::keys::KeyKeeper;
use super::{StartError, update_directory};
use crate::directory::Directory;
use crate::management::ManagementClient;
use crate::state::NodeState;

/// The parts of a running server that administrators look at and change.
pub struct Control {
    pub(super) software: Arc<SoftwareToken>,
    pub(super) tokens: Vec<Arc<dyn Token>>,
    pub(super) snapshot: Arc<SnapshotCell>,
    pub(super) management: Arc<ManagementClient>,
    pub(super) keeper: Arc<KeyKeeper>,
    pub(super) ocsp: Arc<OwnResponses>,
    pub(super) state: NodeState,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Clock,
}

impl Control {
    /// The server.
    pub fn server(&self) -> &SecurityServerId {
        self.management.server()
    }

    /// The software token.
    pub fn software(&self) -> &Arc<SoftwareToken> {
        &self.software
    }

    /// All tokens, the software token first.
    pub fn tokens(&self) -> &[Arc<dyn Token>] {
        &self.tokens
    }

    /// The global configuration in force; none before the first download.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Asks the registry for changes.
    pub fn management(&self) -> &Arc<ManagementClient> {
        &self.management
    }

    /// OCSP responses of the own certificates.
    pub fn ocsp(&self) -> &Arc<OwnResponses> {
        &self.ocsp
    }

    /// The server's own configuration.
    pub fn state(&self) -> &NodeState {
        &self.state
    }

    /// The clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Takes changes of keys and certificates into use. Blocks for as long as devices do.
    pub fn keys_changed(&self) {
        self.keeper.refresh();
    }

    /// Takes changes of the server's own configuration into use.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn state_changed(&self) -> Result<(), StartError> {
        update_directory(&self.directory, &self.state, &self.snapshot)
    }
}
