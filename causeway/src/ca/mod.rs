//! The role of the pilot certification authority: issuing, OCSP and time-stamps over HTTP.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /ocsp`, `GET /ocsp/BASE64` | OCSP response (RFC 6960) |
//! | `POST /tsa` | time-stamp response (RFC 3161) |
//! | `POST /sign?usage=auth\|sign\|tls` | certificate for the PEM or DER request in the body |
//! | `POST /revoke?serial=HEX&reason=NUMBER` | nothing; the certificate is revoked from now on |
//! | `GET /ca.pem`, `/ocsp.pem`, `/tsa.pem` | the certificates to be approved by a registry |
//!
//! OCSP and time-stamps are for everybody. Signing and revoking need the operator's token, and there is
//! neither unless the configuration has one.

mod config;
mod service;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use certs::ca::{CaError, PilotCa};
use gateway::Clock;
use gateway::http::{bind, serve};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use config::{Config, ConfigError, Secret};
use service::CaService;

/// The manual of the configuration file: its keys with their descriptions.
pub const MANUAL: &str = include_str!("config.rs");

/// Why the role did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The authority's folder or keys.
    #[error("the certification authority cannot be opened")]
    Ca(#[from] CaError),
    /// The address to listen on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The thread that opened the folder died.
    #[error("opening the certification authority was broken off")]
    Interrupted,
}

/// A running certification authority.
pub struct Running {
    authority: Arc<PilotCa>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Running {
    /// The address it listens on; with port 0 in the configuration, the one the system gave.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority itself, for whoever runs it in the same process.
    pub fn authority(&self) -> &Arc<PilotCa> {
        &self.authority
    }

    /// Stops accepting connections.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // The server task ends by itself; that it might have panicked changes nothing here.
        let _ = self.server.await;
    }
}

/// Opens the authority, or makes it at the first start, and serves it.
///
/// # Errors
/// When the configuration contradicts itself, the folder or its keys cannot be opened, or the address
/// cannot be listened on.
pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
    let pin = config.read_pin()?;
    let settings = config.settings();
    let folder = config.folder.clone();
    let now = clock.now();
    // Key derivation and the making of keys take their time.
    let opening = tokio::task::spawn_blocking(move || {
        if PilotCa::exists(&folder) {
            PilotCa::open(&folder, pin.text())
        } else {
            PilotCa::create(&folder, pin.text(), &settings, now)
        }
    });
    let authority = Arc::new(opening.await.map_err(|_| StartError::Interrupted)??);
    let listen = |error| StartError::Listen(config.listen, error);
    let listener = bind(config.listen, false).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let service = Arc::new(CaService::new(Arc::clone(&authority), config.operator_token, clock));
    let (stop, stopped) = watch::channel(false);
    let no_tls = None::<fn() -> Option<Arc<rustls::ServerConfig>>>;
    let server = tokio::spawn(serve(listener, no_tls, move |_| Some(Arc::clone(&service)), stopped));
    tracing::info!(%address, "certification authority started");
    Ok(Running { authority, address, stop, server })
}
