//! Who may come to the management service.
//!
//! Two of its requests carry no signature: they rest on the server that offers the services, which has
//! verified who sent them. X-Road leaves it to the network to keep others out. Here the server of the
//! provider is known by its certificate or by its address.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use gateway::http::server::Connection;

/// Longest wait for the addresses of a host name.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Who is admitted. With nothing in it, whoever comes from an address at which a server of the provider is
/// registered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Admission {
    /// Certificates, DER: the internal TLS certificates of the provider's servers. Whoever has the key of
    /// one can have clients and certificates of any server deleted.
    pub certificates: Vec<Bytes>,
    /// Networks. Whoever can open connections from there can do the same.
    pub networks: Vec<Network>,
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// A text is no network.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be an IP address, or one with the number of its leading bits, such as 192.0.2.0/24")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| NetworkError)?;
        if bits > most { Err(NetworkError) } else { Ok(Self { first, bits }) }
    }
}

impl Network {
    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, length: u8| {
            let shift = u32::from(length.saturating_sub(self.bits));
            one.checked_shr(shift) == other.checked_shr(shift)
        };
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => same(one.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl Admission {
    /// Whether whoever connected is admitted. `registered` are the addresses of the provider's servers.
    pub(super) async fn admits(&self, connection: &Connection, registered: &[String]) -> bool {
        let address = connection.remote.ip().to_canonical();
        // The handshake has proved that the other end has the key of what it shows.
        let shown = connection.certificates.first();
        let is_known =
            shown.is_some_and(|shown| self.certificates.iter().any(|known| known.as_ref() == shown.as_ref()));
        if is_known || self.networks.iter().any(|network| network.contains(address)) {
            return true;
        }
        if !self.certificates.is_empty() || !self.networks.is_empty() {
            return false;
        }
        for host in registered {
            if is_at(host, address).await {
                return true;
            }
        }
        false
    }
}

async fn is_at(host: &str, address: IpAddr) -> bool {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return is_same(ip, address);
    }
    match tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(mut found)) => found.any(|socket| is_same(socket.ip(), address)),
        Ok(Err(error)) => {
            tracing::warn!(%host, %error, "the address of the management services' server has no meaning");
            false
        }
        Err(_) => false,
    }
}

/// A system chooses freely from which of its loopback addresses it connects, and so can all its programs.
fn is_same(registered: IpAddr, address: IpAddr) -> bool {
    let registered = registered.to_canonical();
    registered == address || registered.is_loopback() && address.is_loopback()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::CertificateDer;

    use super::*;

    #[test]
    fn networks() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network:?} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network:?} {outside}");
        }
        for bad in ["", "host", "192.0.2.0/33", "192.0.2.0/", "::/129", "192.0.2.0/-1", "192.0.2.0/24/1"] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad}");
        }
    }

    #[tokio::test]
    async fn strangers_are_not_admitted() {
        let connection = |address: &str, certificate: Option<&'static [u8]>| Connection {
            remote: std::net::SocketAddr::new(address.parse().unwrap(), 1),
            certificates: certificate.map(CertificateDer::from).into_iter().collect::<Arc<[_]>>(),
            tls: None,
            legacy: false,
        };
        let registered = ["192.0.2.1".to_owned(), "localhost".to_owned()];
        let usual = Admission::default();
        let known = Admission { certificates: vec![Bytes::from_static(b"known")], ..usual.clone() };
        let near = Admission { networks: vec!["198.51.100.0/24".parse().unwrap()], ..usual.clone() };
        for (admission, connection, expected) in [
            (&usual, connection("192.0.2.1", None), true),
            (&usual, connection("127.0.0.1", None), true),
            (&usual, connection("127.0.3.1", None), true),
            (&usual, connection("192.0.2.2", Some(b"known")), false),
            (&known, connection("203.0.113.1", Some(b"known")), true),
            (&known, connection("192.0.2.1", Some(b"other")), false),
            (&known, connection("192.0.2.1", None), false),
            (&near, connection("198.51.100.9", None), true),
            (&near, connection("192.0.2.1", None), false),
        ] {
            assert_eq!(admission.admits(&connection, &registered).await, expected, "{connection:?}");
        }
        assert!(!usual.admits(&connection("127.0.0.1", None), &[]).await);
    }
}
