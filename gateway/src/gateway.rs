//! Starting and stopping the data plane.

use std::io;
use std::sync::Arc;

use certs::evidence::VerifiedSignatures;

use crate::clock::Clock;
use crate::exchange::own::OwnCalls;
use crate::node::{Node, PortConnections};
use crate::ocsp::{OwnResponses, PeerResponses};
use crate::ports::{MessageLog, NodeDirectory, Signer};
use crate::replays::Replays;
use crate::route::Health;
use crate::settings::Settings;
use crate::snapshot::SnapshotCell;
use crate::stats::{Counts, Stats};
use crate::tls::{Identity, IdentityCell};
use crate::workers::Workers;

/// What a gateway is put together from.
pub struct GatewayParts {
    /// Addresses, limits, times.
    pub settings: Settings,
    /// The node's clock.
    pub clock: Clock,
    /// Global configuration; it may still be empty.
    pub snapshot: Arc<SnapshotCell>,
    /// The authentication certificate for other security servers; it may still be empty, and may be
    /// exchanged at any time.
    pub identity: Arc<IdentityCell>,
    /// The internal TLS certificate, shown to information systems; without it there is no HTTPS for
    /// them.
    pub internal: Option<Identity>,
    /// Signs messages.
    pub signer: Arc<dyn Signer>,
    /// Keeps messages.
    pub log: Arc<dyn MessageLog>,
    /// Knows clients, services and access rights.
    pub directory: Arc<dyn NodeDirectory>,
    /// OCSP responses of own certificates.
    pub own_ocsp: Arc<OwnResponses>,
    /// OCSP responses of other security servers.
    pub peer_ocsp: Arc<PeerResponses>,
    /// Messages that were taken before.
    pub replays: Arc<Replays>,
}

/// The data plane of a security server.
pub struct Gateway;

/// A gateway that serves. Dropping it without [`stop`](Self::stop) cuts running exchanges off.
pub struct RunningGateway {
    workers: Workers,
    node: Arc<Node>,
}

impl Gateway {
    /// Binds the addresses and begins to serve.
    ///
    /// # Errors
    /// An address that cannot be bound; its text names the address.
    pub fn start(parts: GatewayParts) -> io::Result<RunningGateway> {
        let GatewayParts {
            settings,
            clock,
            snapshot,
            identity,
            internal,
            signer,
            log,
            directory,
            own_ocsp,
            peer_ocsp,
            replays,
        } = parts;
        let node = Arc::new(Node {
            signatures: VerifiedSignatures::new(settings.remembered_signatures),
            connections: PortConnections::new(&settings),
            settings,
            clock,
            snapshot,
            identity,
            internal,
            signer,
            log,
            directory,
            own_ocsp,
            peer_ocsp,
            replays,
            health: Health::default(),
            stats: Stats::default(),
        });
        let workers = Workers::start(&node)?;
        Ok(RunningGateway { workers, node })
    }
}

impl RunningGateway {
    /// What was counted since the start.
    pub fn counts(&self) -> Counts {
        self.node.counts()
    }

    /// Reads the counts at any later time, for whoever does not hold the gateway.
    pub fn counter(&self) -> impl Fn() -> Counts + Send + Sync + 'static {
        let node = Arc::clone(&self.node);
        move || node.counts()
    }

    /// Makes calls in the name of the server's owner. Their connections live on `runtime`.
    pub fn own_calls(&self, runtime: tokio::runtime::Handle) -> OwnCalls {
        OwnCalls::new(Arc::clone(&self.node), runtime)
    }

    /// Stops accepting, lets running exchanges finish within [`Settings::stop_timeout`], then returns.
    pub async fn stop(self) {
        self.workers.stop().await;
    }
}
