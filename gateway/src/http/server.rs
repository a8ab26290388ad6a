//! Listeners: accept, optionally TLS, and answer requests until told to stop.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::Outgoing;

/// How long the head of a request may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of a request; hyper answers 431 beyond it.
const HEAD_LIMIT: usize = 64 * 1024;

/// What a handler learns about the connection a request came on.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The other end.
    pub remote: SocketAddr,
    /// Certificates of the other end, leaf first; empty without TLS or without a certificate.
    pub certificates: Arc<[CertificateDer<'static>]>,
    /// The TLS version, if there is TLS.
    pub tls: Option<rustls::ProtocolVersion>,
}

/// Answers the requests of one connection. A service lives as long as its connection, so it can keep
/// what it found out about the other end.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn call(self: Arc<Self>, request: Request<Incoming>) -> impl Future<Output = Response<Outgoing>> + Send;
}

/// A listening socket. With `shared`, several sockets of this process may listen on the address, and
/// the system spreads connections over them.
///
/// # Errors
/// Those of the operating system: address in use, not permitted, no such address.
pub fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if shared {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    socket.listen(4096)
}

/// Accepts connections until `stop` turns true, then lets running requests finish.
///
/// `tls` gives the configuration for the next handshake; `make` makes the service of a connection or
/// refuses it.
pub async fn serve<S, T, M>(listener: TcpListener, tls: Option<T>, make: M, mut stop: watch::Receiver<bool>)
where
    S: Service,
    T: Fn() -> Option<Arc<rustls::ServerConfig>> + Send + 'static,
    M: Fn(Connection) -> Option<Arc<S>> + Clone + Send + Sync + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to come back.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (make, stop) = (make.clone(), stop.clone());
        match &tls {
            None => {
                let connection = Connection { remote, certificates: Arc::from([]), tls: None };
                if let Some(service) = make(connection) {
                    tokio::spawn(run(stream, service, stop));
                }
            }
            Some(tls) => {
                let Some(config) = tls() else {
                    tracing::warn!(%remote, "no TLS identity yet, connection refused");
                    continue;
                };
                tokio::spawn(run_tls(stream, remote, config, make, stop));
            }
        }
    }
}

async fn run_tls<S: Service>(
    stream: TcpStream,
    remote: SocketAddr,
    config: Arc<rustls::ServerConfig>,
    make: impl Fn(Connection) -> Option<Arc<S>>,
    stop: watch::Receiver<bool>,
) {
    let handshake = TlsAcceptor::from(config).accept(stream);
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::info!(%remote, %error, "TLS handshake refused");
            return;
        }
        Err(_) => return,
    };
    let session = stream.get_ref().1;
    let certificates = session.peer_certificates().unwrap_or_default();
    let connection = Connection {
        remote,
        certificates: certificates.iter().map(|certificate| certificate.clone().into_owned()).collect(),
        tls: session.protocol_version(),
    };
    if let Some(service) = make(connection) {
        run(stream, service, stop).await;
    }
}

async fn run<S: Service>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Arc<S>,
    mut stop: watch::Receiver<bool>,
) {
    let answer = move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.call(request).await) }
    };
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_LIMIT.max(128 * 1024))
        .half_close(false)
        .serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer));
    tokio::pin!(connection);
    tokio::select! {
        done = connection.as_mut() => {
            if let Err(error) = done {
                tracing::debug!(%error, "connection ended");
            }
            return;
        }
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
