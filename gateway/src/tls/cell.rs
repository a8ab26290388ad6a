//! The authentication identity in use; it can be exchanged while the gateway runs.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use certs::certificate::Certificate;
use rustls::client::Resumption;

use super::{CipherSuites, Identity, IdentityError, peer_acceptor, peer_connector};
use crate::snapshot::SnapshotCell;

/// TLS sessions with peers that are remembered for resumption.
const SESSIONS: usize = 4096;

/// Both directions of TLS with other security servers under one authentication certificate.
pub(crate) struct PeerTls {
    pub(crate) acceptor: Arc<rustls::ServerConfig>,
    pub(crate) connector: Arc<rustls::ClientConfig>,
    pub(crate) chain: Vec<Certificate>,
    #[cfg(feature = "legacy-transport")]
    pub(crate) legacy: Option<Arc<super::legacy::LegacyTls>>,
}

/// Holds the authentication certificate, its chain and key. Running connections keep what they began
/// with; sessions of an exchanged identity are not resumed.
pub struct IdentityCell {
    snapshot: Arc<SnapshotCell>,
    suites: CipherSuites,
    #[cfg(feature = "legacy-transport")]
    has_legacy: bool,
    current: ArcSwapOption<PeerTls>,
}

impl IdentityCell {
    /// A cell without identity: no message is taken or sent until there is one.
    pub fn new(snapshot: Arc<SnapshotCell>) -> Self {
        Self::with_suites(snapshot, CipherSuites::default())
    }

    /// The same with the operator's choice of cipher suites.
    pub fn with_suites(snapshot: Arc<SnapshotCell>, suites: CipherSuites) -> Self {
        Self {
            snapshot,
            suites,
            #[cfg(feature = "legacy-transport")]
            has_legacy: false,
            current: ArcSwapOption::empty(),
        }
    }

    /// The same with the old channel for peers that offer CBC suites only.
    #[cfg(feature = "legacy-transport")]
    #[must_use]
    pub fn with_legacy_transport(self, has_legacy: bool) -> Self {
        Self { has_legacy, ..self }
    }

    /// Uses this identity from the next connection on.
    ///
    /// # Errors
    /// When a certificate of the chain cannot be read.
    pub fn store(&self, identity: &Identity) -> Result<(), IdentityError> {
        let chain = identity.chain().iter().map(|der| {
            Certificate::from_der(der.clone()).map_err(|error| IdentityError::Certificate(error.to_string()))
        });
        let chain = chain.collect::<Result<_, _>>()?;
        let mut acceptor = peer_acceptor(identity, &self.suites, Arc::clone(&self.snapshot));
        acceptor.session_storage = rustls::server::ServerSessionMemoryCache::new(SESSIONS);
        let mut connector = peer_connector(identity, &self.suites);
        connector.resumption = Resumption::in_memory_sessions(SESSIONS);
        let tls = PeerTls {
            acceptor: Arc::new(acceptor),
            connector: Arc::new(connector),
            chain,
            #[cfg(feature = "legacy-transport")]
            legacy: self.legacy(identity),
        };
        self.current.store(Some(Arc::new(tls)));
        Ok(())
    }

    /// The old channel where it is wanted and possible; without it the other one is still there.
    #[cfg(feature = "legacy-transport")]
    fn legacy(&self, identity: &Identity) -> Option<Arc<super::legacy::LegacyTls>> {
        if !self.has_legacy {
            return None;
        }
        let made = super::legacy::LegacyTls::new(identity, Arc::clone(&self.snapshot));
        made.inspect_err(|error| tracing::error!(%error, "peers with CBC suites only are not served"))
            .ok()
            .map(Arc::new)
    }

    /// Uses none: the certificate was revoked or taken out of use.
    pub fn clear(&self) {
        self.current.store(None);
    }

    pub(crate) fn load(&self) -> Option<Arc<PeerTls>> {
        self.current.load_full()
    }
}
