//! Asks the registry for changes: management requests, sent (registry and administration §3).
//!
//! A registration of an authentication certificate goes straight to the registration service, whose
//! certificate the private parameters name. Everything else is a call of the server's owner over the
//! exchange protocol, signed and logged like any other. A request that was answered has changed nothing yet:
//! that shows in the next global configuration (§0.3 trap 7).

mod error;
mod registration;
mod requests;
mod sign;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use gateway::OwnCalls;
use gateway::snapshot::{Snapshot, SnapshotCell};
use protocol::configuration::PrivateParameters;
use protocol::fault::{Fault, Origin, code};
use protocol::id::SecurityServerId;

pub use error::ManagementError;
pub use registration::Registration;

use crate::signer::BatchSigner;

/// The number under which the registry keeps a request; none when it did not tell one, or keeps none
/// because it was only to check the request.
pub type RequestId = Option<u64>;

/// Sends management requests of one security server.
pub struct ManagementClient {
    server: SecurityServerId,
    snapshot: Arc<SnapshotCell>,
    signer: Arc<BatchSigner>,
    /// There are none before the data plane runs.
    calls: ArcSwapOption<OwnCalls>,
}

impl ManagementClient {
    /// For the requests of this server.
    pub fn new(server: SecurityServerId, snapshot: Arc<SnapshotCell>, signer: Arc<BatchSigner>) -> Self {
        Self { server, snapshot, signer, calls: ArcSwapOption::empty() }
    }

    /// The server that requests are about.
    pub fn server(&self) -> &SecurityServerId {
        &self.server
    }

    /// Makes calls over the exchange protocol from now on. Until then only certificates can be registered.
    pub fn set_calls(&self, calls: OwnCalls) {
        self.calls.store(Some(Arc::new(calls)));
    }

    fn calls(&self) -> Result<Arc<OwnCalls>, ManagementError> {
        self.calls.load_full().ok_or_else(|| {
            let text = "Security server has no valid authentication certificate";
            let fault = Fault::new(code::SSL_AUTHENTICATION_FAILED, text);
            ManagementError::Refused(fault.from_origin(Origin::ClientProxy))
        })
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, ManagementError> {
        let outdated = || Fault::new(code::GLOBAL_CONF_OUTDATED, "there is no global configuration yet");
        self.snapshot.load().ok_or_else(|| ManagementError::Refused(outdated()))
    }
}

/// What the registry's own instance tells its servers.
fn private(snapshot: &Snapshot) -> Result<&PrivateParameters, ManagementError> {
    let own = snapshot.configuration().own().and_then(|own| own.private.as_ref());
    own.ok_or(ManagementError::NoPrivateParameters)
}
