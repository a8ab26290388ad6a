//! The listener of the interface: HTTPS on port 4000.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::settings::Settings;

/// Connections at a time; administrators are few.
const CONNECTIONS: usize = 512;
/// A caller that does not finish its handshake or its head in this time is gone.
const SLOWEST_HEAD: Duration = Duration::from_secs(20);
/// Running calls get this long when the server stops.
const LAST_CALLS: Duration = Duration::from_secs(5);
/// The self-signed certificate is good for so many days.
const VALID_DAYS: i64 = 3650;

/// Why the interface does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for administrators: {error}; see listen in [administration]")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// A file cannot be read, used or written.
    #[error("{}: {problem}; see certificate and key in [administration]", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Certificate and key cannot be used together.
    #[error(
        "the certificate for administrators cannot be used: {0}; see certificate and key in [administration]"
    )]
    Tls(#[from] rustls::Error),
}

/// A port that is open, with the TLS to serve on it.
pub struct Listener {
    socket: TcpListener,
    tls: Arc<ServerConfig>,
}

impl Listener {
    /// Opens the port. Must run inside a runtime.
    ///
    /// # Errors
    /// The address is not to be had, or the certificate cannot be used.
    pub fn open(settings: &Settings) -> Result<Self, ServerError> {
        let tls = tls(settings)?;
        let address = settings.listen;
        let socket =
            gateway::http::bind(address, false).map_err(|error| ServerError::Listen { address, error })?;
        Ok(Self { socket, tls })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop` turns true; then running calls may finish.
    pub async fn serve(self, router: Router, mut stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let acceptor = TlsAcceptor::from(self.tls);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Too many open files: the connection waits in the system's queue meanwhile.
                    tracing::warn!(%error, "cannot accept a connection of an administrator");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(%remote, "too many connections of administrators");
                continue;
            };
            let (acceptor, router, stop) = (acceptor.clone(), router.clone(), stop.clone());
            connections.spawn(async move {
                one(stream, remote, acceptor, router, stop).await;
                drop(place);
            });
        }
        drop(self.socket);
        let last = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_CALLS, last).await.is_err() {
            tracing::warn!("calls of administrators were cut off because they did not finish in time");
        }
    }
}

async fn one(
    stream: TcpStream,
    remote: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let Ok(Ok(stream)) = tokio::time::timeout(SLOWEST_HEAD, acceptor.accept(stream)).await else { return };
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(remote));
        request.map(axum::body::Body::new)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_HEAD)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = async { drop(stop.wait_for(|stop| *stop).await) } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%remote, %error, "a connection of an administrator ended");
    }
}

fn tls(settings: &Settings) -> Result<Arc<ServerConfig>, ServerError> {
    let (certificate, key) = match &settings.tls {
        Some((certificate, key)) => (certificate.clone(), key.clone()),
        None => self_signed(&settings.state_folder)?,
    };
    let told = |path: &Path, problem: String| ServerError::File { path: path.to_owned(), problem };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| told(&certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(told(&certificate, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| told(&key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificate made at the first start, for this machine's names.
fn self_signed(folder: &Path) -> Result<(PathBuf, PathBuf), ServerError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let (certificate, key) = (folder.join("administration.crt"), folder.join("administration.key"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let told = |path: &Path, problem: &dyn std::fmt::Display| ServerError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    };
    std::fs::create_dir_all(folder).map_err(|error| told(folder, &error))?;
    let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).and_then(|pair| {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut parameters = rcgen::CertificateParams::new(vec![host, "localhost".to_owned()])?;
        let now = time_of(0);
        parameters.not_before = now;
        parameters.not_after = time_of(VALID_DAYS);
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "Causeway administration");
        Ok((parameters.self_signed(&pair)?.pem(), zeroize::Zeroizing::new(pair.serialize_pem())))
    });
    let (certificate_text, key_text) = made.map_err(|error| told(&certificate, &error))?;
    let write = |path: &Path, text: &str, mode: u32| {
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(mode).open(path);
        let written =
            file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
        written.map_err(|error| told(path, &error))
    };
    // The key first: with a certificate alone, both are made again.
    write(&key, &key_text, 0o600)?;
    write(&certificate, &certificate_text, 0o644)?;
    Ok((certificate, key))
}

fn time_of(days_ahead: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc() + time::Duration::days(days_ahead)
}
