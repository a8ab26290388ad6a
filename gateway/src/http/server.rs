//! Listeners: accept, optionally TLS, and answer requests until told to stop.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::Outgoing;
use super::limits::{Admitted, Connections, Limits, is_ambiguous};
use super::stall::Unstalled;
use crate::tls::PeerTls;
#[cfg(feature = "legacy-transport")]
use crate::tls::{hello, legacy::LegacyTls};

/// Largest head of a request, and what is read ahead of a body. Beyond it 431 is answered, and so it is
/// for more than 100 header lines, hyper's own bound.
const HEAD_LIMIT: usize = 128 * 1024;

/// What a handler learns about the connection a request came on.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The other end.
    pub remote: SocketAddr,
    /// Certificates of the other end, leaf first; empty without TLS or without a certificate.
    pub certificates: Arc<[CertificateDer<'static>]>,
    /// The TLS version, if there is TLS.
    pub tls: Option<rustls::ProtocolVersion>,
    /// Whether it came over the old channel.
    pub legacy: bool,
}

/// What a listener makes TLS connections with.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<rustls::ServerConfig>,
    #[cfg(feature = "legacy-transport")]
    legacy: Option<Arc<LegacyTls>>,
}

impl From<Arc<rustls::ServerConfig>> for Acceptor {
    fn from(config: Arc<rustls::ServerConfig>) -> Self {
        Self {
            config,
            #[cfg(feature = "legacy-transport")]
            legacy: None,
        }
    }
}

impl From<&PeerTls> for Acceptor {
    fn from(tls: &PeerTls) -> Self {
        Self {
            config: Arc::clone(&tls.acceptor),
            #[cfg(feature = "legacy-transport")]
            legacy: tls.legacy.clone(),
        }
    }
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

/// As [`serve_within`], with bounds of its own: the defaults.
pub async fn serve<S, T, M>(listener: TcpListener, tls: Option<T>, make: M, stop: watch::Receiver<bool>)
where
    S: Service,
    T: Fn() -> Option<Arc<rustls::ServerConfig>> + Send + 'static,
    M: Fn(Connection) -> Option<Arc<S>> + Clone + Send + Sync + 'static,
{
    serve_within(listener, Connections::new(Limits::default()), tls, make, stop).await;
}

/// Accepts connections until `stop` turns true, then lets running requests finish. Connections beyond
/// the bounds of `connections`, which the listeners of a port share, are closed at once.
///
/// `tls` gives the configuration for the next handshake; `make` makes the service of a connection or
/// refuses it.
pub async fn serve_within<S, T, A, M>(
    listener: TcpListener,
    connections: Arc<Connections>,
    tls: Option<T>,
    make: M,
    mut stop: watch::Receiver<bool>,
) where
    S: Service,
    T: Fn() -> Option<A> + Send + 'static,
    A: Into<Acceptor>,
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
        let Some(admitted) = connections.admit(remote.ip()) else { continue };
        let _ = stream.set_nodelay(true);
        let (make, stop) = (make.clone(), stop.clone());
        match &tls {
            None => {
                let connection = Connection { remote, certificates: Arc::from([]), tls: None, legacy: false };
                if let Some(service) = make(connection) {
                    tokio::spawn(run(stream, service, stop, admitted));
                }
            }
            Some(tls) => {
                let Some(config) = tls() else {
                    tracing::warn!(%remote, "no TLS identity yet, connection refused");
                    continue;
                };
                tokio::spawn(run_tls(stream, remote, config.into(), make, stop, admitted));
            }
        }
    }
}

async fn run_tls<S: Service>(
    stream: TcpStream,
    remote: SocketAddr,
    acceptor: Acceptor,
    make: impl Fn(Connection) -> Option<Arc<S>>,
    stop: watch::Receiver<bool>,
    admitted: Admitted,
) {
    let limit = admitted.limits().handshake;
    #[cfg(feature = "legacy-transport")]
    let stream = match accept_legacy(stream, remote, &acceptor, limit).await {
        Way::Modern(stream) => stream,
        Way::Legacy(stream, connection) => {
            if let Some(service) = make(connection) {
                run(stream, service, stop, admitted).await;
            }
            return;
        }
        Way::Closed => return,
    };
    let handshake = TlsAcceptor::from(acceptor.config).accept(stream);
    let stream = match tokio::time::timeout(limit, handshake).await {
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
        legacy: false,
    };
    if let Some(service) = make(connection) {
        run(stream, service, stop, admitted).await;
    }
}

/// Where a connection goes on.
#[cfg(feature = "legacy-transport")]
enum Way {
    Modern(TcpStream),
    Legacy(tokio_openssl::SslStream<TcpStream>, Connection),
    Closed,
}

/// Serves a peer over the old channel when its ClientHello has nothing else.
#[cfg(feature = "legacy-transport")]
async fn accept_legacy(stream: TcpStream, remote: SocketAddr, acceptor: &Acceptor, limit: Duration) -> Way {
    let Some(legacy) = &acceptor.legacy else { return Way::Modern(stream) };
    let suites = &acceptor.config.crypto_provider().cipher_suites;
    let modern: Vec<u16> = suites.iter().map(|suite| suite.suite().into()).collect();
    let way = async {
        if !hello::is_legacy(&stream, &modern).await? {
            return Ok(Way::Modern(stream));
        }
        let secured = legacy.accept(stream).await?;
        let connection = Connection {
            remote,
            certificates: secured.certificates.into(),
            tls: Some(rustls::ProtocolVersion::TLSv1_2),
            legacy: true,
        };
        Ok(Way::Legacy(secured.stream, connection))
    };
    match tokio::time::timeout(limit, way).await {
        Ok(Ok(way)) => way,
        Ok(Err(error)) => {
            let error: io::Error = error;
            tracing::info!(%remote, %error, "TLS handshake over the old channel refused");
            Way::Closed
        }
        Err(_) => Way::Closed,
    }
}

async fn run<S: Service>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Arc<S>,
    mut stop: watch::Receiver<bool>,
    admitted: Admitted,
) {
    let limits = *admitted.limits();
    let answer = move |request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move {
            // What follows such a head may be meant as a body or as a request: nothing more is read.
            if is_ambiguous(request.headers()) {
                return Ok::<_, Infallible>(malformed());
            }
            Ok(service.call(request).await)
        }
    };
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_LIMIT)
        .half_close(false)
        .serve_connection(
            TokioIo::new(Unstalled::new(stream, limits.stall)),
            hyper::service::service_fn(answer),
        );
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

fn malformed() -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::Empty);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}
