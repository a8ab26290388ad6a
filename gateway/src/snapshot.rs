//! The global configuration in force: an immutable snapshot behind an atomic pointer.
//!
//! One exchange sees one snapshot from start to end. Whatever was concluded from a snapshot, such as
//! that a peer may speak for a member, is kept together with its [generation](Snapshot::generation)
//! and concluded anew when the generation has changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use certs::trust::TrustStore;
use protocol::configuration::{CertificateHashes, GlobalConfiguration, RegisteredServer};
use tokio::sync::watch;

/// One global configuration with what was computed from it once.
#[derive(Debug)]
pub struct Snapshot {
    generation: u64,
    trust: TrustStore,
}

impl Snapshot {
    /// A snapshot of a configuration; parses its certificates, and logs those that cannot be read.
    pub fn new(configuration: Arc<GlobalConfiguration>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let trust = TrustStore::new(configuration);
        for problem in trust.problems() {
            tracing::warn!(problem, "the global configuration has something that cannot be read");
        }
        Self { generation: NEXT.fetch_add(1, Ordering::Relaxed), trust }
    }

    /// A number that no other snapshot of this process has; later snapshots have greater ones.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The parameters.
    pub fn configuration(&self) -> &GlobalConfiguration {
        self.trust.configuration()
    }

    /// Its certification, OCSP and time-stamping services, parsed.
    pub fn trust(&self) -> &TrustStore {
        &self.trust
    }

    /// The server that an authentication certificate is registered to, in any known instance.
    pub fn server_of(&self, hashes: &CertificateHashes) -> Option<&RegisteredServer> {
        self.configuration().server_of_certificate(hashes)
    }
}

/// Holds the snapshot in force. Reading costs an atomic operation; nobody waits for a writer.
#[derive(Debug)]
pub struct SnapshotCell {
    current: ArcSwapOption<Snapshot>,
    changes: watch::Sender<u64>,
}

impl Default for SnapshotCell {
    fn default() -> Self {
        Self::new()
    }
}

impl SnapshotCell {
    /// A cell without a snapshot yet.
    pub fn new() -> Self {
        Self { current: ArcSwapOption::empty(), changes: watch::Sender::new(0) }
    }

    /// The snapshot in force; none before the first configuration was read.
    pub fn load(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// Puts a snapshot in force and tells those who [subscribed](Self::subscribe).
    pub fn store(&self, snapshot: Arc<Snapshot>) {
        let generation = snapshot.generation;
        self.current.store(Some(snapshot));
        self.changes.send_replace(generation);
    }

    /// The generation in force, 0 before the first, and its changes.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_cell_gives_the_newest_and_tells() {
        let cell = SnapshotCell::new();
        let changes = cell.subscribe();
        assert!(cell.load().is_none());
        assert_eq!(*changes.borrow(), 0);
        let configuration =
            Arc::new(GlobalConfiguration { own_instance: "CW".to_owned(), instances: HashMap::new() });
        let first = Arc::new(Snapshot::new(Arc::clone(&configuration)));
        let second = Arc::new(Snapshot::new(configuration));
        assert!(first.generation() < second.generation());
        cell.store(first);
        cell.store(Arc::clone(&second));
        assert_eq!(cell.load().map(|snapshot| snapshot.generation()), Some(second.generation()));
        assert_eq!(*changes.borrow(), second.generation());
    }
}
