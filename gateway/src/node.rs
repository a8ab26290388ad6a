//! What the workers of a gateway share, and what each has for itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::evidence::VerifiedSignatures;
use protocol::fault::{Fault, code};
use protocol::time::UtcTime;

use crate::clock::Clock;
use crate::http::Connections;
use crate::ocsp::{OwnResponses, PeerResponses};
use crate::peer::Peer;
use crate::pool::Pool;
use crate::ports::{MessageLog, NodeDirectory, Signer};
use crate::replays::Replays;
use crate::route::Health;
use crate::service::ServiceCaller;
use crate::settings::Settings;
use crate::snapshot::{Snapshot, SnapshotCell};
use crate::stats::{Counts, Stats};
use crate::tls::{Identity, IdentityCell, PeerTls};

/// Peers close connections that were idle for 30 s (§4.8). Ours are given up before.
const LONGEST_IDLE: Duration = Duration::from_secs(25);

/// Shared by all workers.
pub(crate) struct Node {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) snapshot: Arc<SnapshotCell>,
    pub(crate) identity: Arc<IdentityCell>,
    pub(crate) internal: Option<Identity>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) log: Arc<dyn MessageLog>,
    pub(crate) directory: Arc<dyn NodeDirectory>,
    pub(crate) own_ocsp: Arc<OwnResponses>,
    pub(crate) peer_ocsp: Arc<PeerResponses>,
    pub(crate) signatures: VerifiedSignatures,
    pub(crate) replays: Arc<Replays>,
    pub(crate) health: Health,
    pub(crate) connections: PortConnections,
    pub(crate) stats: Stats,
}

/// Open connections of the ports, whichever worker has them.
pub(crate) struct PortConnections {
    pub(crate) messages: Arc<Connections>,
    pub(crate) clients: Arc<Connections>,
    pub(crate) health: Arc<Connections>,
}

impl PortConnections {
    /// None yet. Information systems may all come through one address, that of a proxy.
    pub(crate) fn new(settings: &Settings) -> Self {
        let of_clients = || Connections::new(settings.limits(settings.connections));
        let messages = Connections::new(settings.limits(settings.connections_per_peer));
        Self { messages, clients: of_clients(), health: of_clients() }
    }
}

/// A connection to another security server, and the identity we showed on it.
pub(crate) struct PeerLink {
    pub(crate) peer: Peer,
    pub(crate) tls: Arc<PeerTls>,
}

/// Belongs to one thread. Connections never move to another worker.
pub(crate) struct Worker {
    pub(crate) node: Arc<Node>,
    pub(crate) peers: Pool<PeerLink>,
    pub(crate) services: ServiceCaller,
}

impl Worker {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let services = ServiceCaller::new(node.internal.clone(), node.settings.connect_timeout);
        Self { node, peers: Pool::new(LONGEST_IDLE), services }
    }
}

impl Node {
    /// The global configuration for one exchange.
    ///
    /// # Errors
    /// `global_conf_outdated` when it has expired, or there was never any (§9.4).
    pub(crate) fn current_snapshot(&self, now: UtcTime) -> Result<Arc<Snapshot>, Fault> {
        match self.snapshot.load() {
            Some(snapshot) if snapshot.configuration().is_current(now) => Ok(snapshot),
            Some(_) | None => Err(Fault::new(code::GLOBAL_CONF_OUTDATED, "global configuration is expired")),
        }
    }

    /// What was counted since the start.
    pub(crate) fn counts(&self) -> Counts {
        self.stats.read(self.signatures.recalled())
    }

    /// Usable OCSP responses for a chain of our own, one for each certificate; none if one is missing.
    pub(crate) fn own_responses(&self, chain: &[Certificate], now: UtcTime) -> Option<Vec<Bytes>> {
        chain.iter().map(|certificate| self.own_ocsp.get(certificate, now)).collect()
    }

    /// Why the node cannot take part in exchanges now, in words for a load balancer; none if it can.
    pub(crate) fn illness(&self) -> Option<&'static str> {
        let now = self.clock.now();
        if self.current_snapshot(now).is_err() {
            return Some("global configuration is expired");
        }
        let Some(identity) = self.identity.load() else {
            return Some("no authentication certificate is in use");
        };
        match self.own_responses(&identity.chain, now) {
            Some(_) => None,
            None => Some("no usable OCSP response for the authentication certificate"),
        }
    }
}
