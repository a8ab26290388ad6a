//! Ports are tried before anything is started, so that the message can name the setting.

use std::io;
use std::net::SocketAddr;

use super::StartError;
use crate::config::Listen;

/// Every socket with the setting it comes from.
pub(crate) fn sockets(listen: &Listen) -> impl Iterator<Item = (&'static str, SocketAddr)> {
    let all = [
        ("http", listen.http),
        ("https", listen.https),
        ("messages", Some(listen.messages)),
        ("ocsp", Some(listen.ocsp)),
        ("health", listen.health),
    ];
    all.into_iter().filter_map(|(setting, socket)| socket.map(|socket| (setting, socket)))
}

/// Binds each port alone and lets it go. The workers share their ports, and a shared port of a second
/// node would bind without complaint and take half of the calls.
pub(super) fn check(listen: &Listen) -> Result<(), StartError> {
    for (setting, address) in sockets(listen) {
        gateway::http::bind(address, false).map_err(|error| refusal(setting, address, &error))?;
    }
    Ok(())
}

pub(super) fn refusal(setting: &'static str, address: SocketAddr, error: &io::Error) -> StartError {
    let port = address.port();
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program uses the port. Stop it (ss -ltnp 'sport = :{port}' shows which), or choose another port or address"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 need a privilege. Choose a port above, or give the program CAP_NET_BIND_SERVICE for port {port}"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine has no address {}. Choose one that it has", address.ip())
        }
        _ => error.to_string(),
    };
    StartError::Port { address, setting, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_setting() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap();
        let free = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let listen =
            Listen { http: None, https: Some(taken), messages: free(0), ocsp: free(0), health: None };
        let text = check(&listen).unwrap_err().to_string();
        assert!(text.contains("[listen] https") && text.contains(&taken.to_string()), "{text}");
        assert!(text.contains("another program"), "{text}");
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 9));
        let listen = Listen { http: None, https: None, messages: elsewhere, ocsp: free(0), health: None };
        assert!(check(&listen).unwrap_err().to_string().contains("no address 192.0.2.1"));
    }
}
