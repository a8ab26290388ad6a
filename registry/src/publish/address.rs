//! Where clients find the registry: what stands in anchors and in shared parameters.

use std::net::{IpAddr, SocketAddr};

use protocol::configuration::{Anchor, AnchorSource};
use protocol::time::UtcTime;

use super::SourceKind;

/// The registry's address as clients use it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    host: String,
    http: String,
    https: Option<String>,
}

impl Address {
    /// From the configured address, or else from where the listeners are.
    pub fn new(configured: Option<&str>, http: SocketAddr, https: Option<SocketAddr>) -> Self {
        let (host, port) = match configured {
            Some(text) => split(text),
            None => (in_url(http.ip()), (http.port() != 80).then_some(http.port())),
        };
        // Who names no port has both at their usual ones, perhaps by forwarding.
        let https = https.map(|https| match port {
            Some(_) if https.port() != 443 => format!("{host}:{}", https.port()),
            None if configured.is_none() && https.port() != 443 => format!("{host}:{}", https.port()),
            _ => host.clone(),
        });
        let http = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        Self { host, http, https }
    }

    /// The host, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Host and, unless it is 80, port: `source/address` of shared parameters (§6.1).
    pub fn authority(&self) -> &str {
        &self.http
    }

    /// An anchor for a source: first the plain address, which old clients need, then HTTPS (§2.2).
    pub fn anchor(
        &self,
        kind: SourceKind,
        instance: &str,
        verification_certs: &[Vec<u8>],
        now: UtcTime,
    ) -> Anchor {
        self.anchor_at(kind.directory(), instance, verification_certs, now)
    }

    /// An anchor for a directory at this path.
    pub(crate) fn anchor_at(
        &self,
        path: &str,
        instance: &str,
        verification_certs: &[Vec<u8>],
        now: UtcTime,
    ) -> Anchor {
        let plain = [("http", &self.http)].into_iter();
        let sources = plain.chain(self.https.iter().map(|authority| ("https", authority)));
        let source = |(scheme, authority): (&str, &String)| AnchorSource {
            download_url: format!("{scheme}://{authority}/{path}"),
            verification_certs: verification_certs.to_vec(),
        };
        let generated_at = Some(UtcTime::from_seconds(now.seconds()));
        Anchor { generated_at, instance: instance.to_owned(), sources: sources.map(source).collect() }
    }
}

/// Host and port of a checked address.
fn split(text: &str) -> (String, Option<u16>) {
    let given = |port: u16| (port != 80).then_some(port);
    if let Ok(ip) = text.parse() {
        return (in_url(ip), None);
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return (in_url(socket.ip()), given(socket.port()));
    }
    match text.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host.to_owned(), given(port)),
        _ => (text.to_owned(), None),
    }
}

fn in_url(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(configured: Option<&str>, http: &str, https: Option<&str>, expected: &[&str]) {
        let sockets = (http.parse().unwrap(), https.map(|https| https.parse().unwrap()));
        let address = Address::new(configured, sockets.0, sockets.1);
        let anchor = address.anchor(SourceKind::External, "CW", &[vec![1]], UtcTime::from_millis(1));
        let urls: Vec<&str> = anchor.sources.iter().map(|source| source.download_url.as_str()).collect();
        assert_eq!(urls, expected, "{configured:?} {http} {https:?}");
        assert_eq!(anchor.generated_at, Some(UtcTime::from_seconds(0)));
    }

    #[test]
    fn addresses() {
        let both = ["http://r.example/externalconf", "https://r.example/externalconf"];
        check(Some("r.example"), "0.0.0.0:80", Some("0.0.0.0:443"), &both);
        check(Some("r.example"), "0.0.0.0:8088", Some("0.0.0.0:8443"), &both);
        check(Some("r.example:80"), "0.0.0.0:80", None, &["http://r.example/externalconf"]);
        let odd = ["http://r.example:8088/externalconf", "https://r.example:8443/externalconf"];
        check(Some("r.example:8088"), "0.0.0.0:8088", Some("0.0.0.0:8443"), &odd);
        let loopback = ["http://127.0.1.1:8088/externalconf", "https://127.0.1.1:8443/externalconf"];
        check(None, "127.0.1.1:8088", Some("127.0.1.1:8443"), &loopback);
        check(None, "127.0.1.1:80", None, &["http://127.0.1.1/externalconf"]);
        check(None, "[::1]:80", None, &["http://[::1]/externalconf"]);
        check(
            Some("::1"),
            "[::1]:80",
            Some("[::1]:443"),
            &["http://[::1]/externalconf", "https://[::1]/externalconf"],
        );
    }
}
