//! What a gateway is told when it starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use protocol::id::SecurityServerId;
use protocol::transport::ProxyVersion;

use crate::http::Limits;

/// Addresses, limits and times of a gateway. [`Settings::default`] has the values that the
/// specification gives; an operator changes what he must.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where information systems call over plain HTTP; none: not at all.
    pub clients_http: Option<SocketAddr>,
    /// Where information systems call over HTTPS; none: not at all.
    pub clients_https: Option<SocketAddr>,
    /// Where other security servers deliver messages.
    pub messages: SocketAddr,
    /// Where load balancers ask whether the node is well; none: nowhere.
    pub health: Option<SocketAddr>,
    /// The port on which other security servers of the federation take messages.
    pub peer_port: u16,
    /// The port on which other security servers give the OCSP responses of their own chains.
    pub ocsp_port: u16,
    /// Threads of the data plane; each has its own sockets, connections and runtime.
    pub workers: usize,
    /// Folder of anonymous files for large bodies. It needs room for all bodies in flight.
    pub spool_folder: PathBuf,
    /// Largest body in bytes that the message log keeps; of larger ones it keeps the digest.
    pub logged_body_limit: u64,
    /// Whether connection types of clients are enforced (§5.2). Off only behind a proxy that does it:
    /// whoever can reach the port may then speak for every client of the node.
    pub verify_clients: bool,
    /// Lowest `x-proxy-version` of peers that is served; none: any, even none.
    pub least_peer_version: Option<ProxyVersion>,
    /// Time for a connection to another security server or to a provider, TLS included.
    pub connect_timeout: Duration,
    /// Longest silence of the other side in the middle of a message.
    pub peer_timeout: Duration,
    /// Longest wait for the provider's server to begin its answer; none: as long as the service takes,
    /// whose own time-out is the provider's matter.
    pub response_timeout: Option<Duration>,
    /// Open connections that each port takes at most.
    pub connections: usize,
    /// Open connections that the port of messages takes from one address.
    pub connections_per_peer: usize,
    /// Time for the head of a request, and longest time that a connection may be idle.
    pub head_timeout: Duration,
    /// How long running exchanges may take to finish when the gateway stops.
    pub stop_timeout: Duration,
    /// How many verified signature documents are remembered, so that the other messages of a batch
    /// need no second verification.
    pub remembered_signatures: usize,
    /// Security servers from which a signed message may come any number of times. Whoever controls one
    /// of them can have its clients' calls carried out again.
    pub replays_accepted_from: Vec<SecurityServerId>,
}

impl Settings {
    /// The bounds of a port with this many connections from one address.
    pub(crate) fn limits(&self, per_address: usize) -> Limits {
        Limits {
            connections: self.connections,
            per_address,
            head: self.head_timeout,
            stall: self.peer_timeout,
            ..Limits::default()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        Self {
            clients_http: Some(any(8080)),
            clients_https: Some(any(8443)),
            messages: any(5500),
            health: None,
            peer_port: 5500,
            ocsp_port: 5577,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            spool_folder: std::env::temp_dir(),
            logged_body_limit: 10 * 1024 * 1024,
            verify_clients: true,
            least_peer_version: None,
            connect_timeout: Duration::from_secs(30),
            peer_timeout: Duration::from_secs(60),
            response_timeout: None,
            connections: 8192,
            connections_per_peer: 1024,
            head_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(30),
            remembered_signatures: 10_000,
            replays_accepted_from: Vec::new(),
        }
    }
}
