//! Counters of a running gateway, for monitoring and for benchmarks.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters themselves.
        #[derive(Debug, Default)]
        pub(crate) struct Stats {
            $($name: Counter,)*
        }

        /// Counts since the start. Each is exact; together they are no snapshot of one moment.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
            /// Of the signatures that verified, those whose document had been verified before.
            pub signatures_remembered: u64,
        }

        impl Stats {
            /// Reads all counters; `signatures_remembered` is counted elsewhere.
            pub(crate) fn read(&self, signatures_remembered: u64) -> Counts {
                Counts { $($name: self.$name.0.load(Ordering::Relaxed),)* signatures_remembered }
            }

            $(pub(crate) fn $name(&self) {
                self.$name.0.fetch_add(1, Ordering::Relaxed);
            })*
        }
    };
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

counters! {
    /// Calls of own information systems that were answered by the provider.
    consumer_exchanges,
    /// Calls of other servers that were answered with a service's response.
    provider_exchanges,
    /// Calls that were refused or failed here.
    faults_made,
    /// Calls that ended with a fault of the other server.
    faults_received,
    /// TLS connections made to other servers.
    peer_connections,
    /// Of them, those that resumed a TLS session.
    peer_resumptions,
    /// Connections in both directions over the old channel, with CBC suites.
    legacy_connections,
    /// Messages that went over a connection that was open already.
    peer_reuses,
    /// Chains and OCSP responses of other servers that were validated; the rest was still valid.
    peer_validations,
    /// Messages received with a signature that verified.
    signatures_verified,
    /// Of them, those that were refused because they had come before.
    replays_refused,
}
