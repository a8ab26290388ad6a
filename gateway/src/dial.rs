//! TCP connections to hosts by name.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use protocol::fault::code;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long sent octets may go without an acknowledgement.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The name does not resolve.
    #[error("the host name cannot be resolved")]
    UnknownHost(#[source] io::Error),
    /// Nobody answered in time.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// Refused, unreachable, out of sockets.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
}

impl DialError {
    /// The leaf code of the failure (§7.2).
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::UnknownHost(_) => code::UNKNOWN_HOST,
            Self::Timeout(_) => code::IO_ERROR,
            Self::Connect(_) => code::NETWORK_ERROR,
        }
    }
}

/// Connects to the first address of `host` that answers; `limit` covers all of it.
pub(crate) async fn dial(host: &str, port: u16, limit: Duration) -> Result<TcpStream, DialError> {
    let host = host.trim().trim_start_matches('[').trim_end_matches(']');
    let connect = async {
        let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => tokio::net::lookup_host((host, port)).await.map_err(DialError::UnknownHost)?.collect(),
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    watch(&stream);
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(DialError::Connect(last))
    };
    timeout(limit, connect).await.unwrap_or(Err(DialError::Timeout(limit)))
}

/// Makes the system notice that the other host is gone: without these, what is sent to it waits for a
/// quarter of an hour. What a system does not know is left out.
fn watch(stream: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
    #[cfg(not(any(target_os = "openbsd", target_os = "haiku")))]
    let keepalive = keepalive.with_interval(Duration::from_secs(10));
    let socket = socket2::SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
}
