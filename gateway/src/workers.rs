//! The threads of the data plane.
//!
//! Each worker has a runtime of its own and its own sockets on the same addresses; the system spreads
//! connections over them. A connection lives and dies on its worker, and so do the connections that it
//! opens, so that workers share nothing that is written often.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::exchange::clients::{ClientService, HealthService};
use crate::exchange::provider::PeerService;
use crate::http::server::Acceptor;
use crate::http::{bind, serve_within};
use crate::node::{Node, Worker};
use crate::tls;

/// The running threads.
pub(crate) struct Workers {
    stop: watch::Sender<bool>,
    threads: Vec<thread::JoinHandle<()>>,
}

type Tls = fn() -> Option<Arc<rustls::ServerConfig>>;

impl Workers {
    /// Binds all addresses, then starts the threads: after this returns, connections are accepted.
    ///
    /// # Errors
    /// An address that cannot be bound, a thread that cannot be started.
    pub(crate) fn start(node: &Arc<Node>) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let count = node.settings.workers.max(1);
        let mut workers = Self { stop, threads: Vec::with_capacity(count) };
        for number in 0..count {
            let started = Sockets::bind(node, count > 1, number == 0).and_then(|sockets| {
                let (node, stopped) = (Arc::clone(node), stopped.clone());
                thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || sockets.run(&node, stopped))
            });
            match started {
                Ok(thread) => workers.threads.push(thread),
                Err(error) => {
                    workers.stop.send_replace(true);
                    return Err(error);
                }
            }
        }
        Ok(workers)
    }

    /// Stops accepting, lets running exchanges finish within the bound of the settings, and joins the
    /// threads.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a worker has panicked");
                }
            }
        });
        let _ = joined.await;
    }
}

/// The listeners of one worker, with the runtime that owns them.
struct Sockets {
    runtime: tokio::runtime::Runtime,
    messages: TcpListener,
    clients_http: Option<TcpListener>,
    clients_https: Option<TcpListener>,
    health: Option<TcpListener>,
}

impl Sockets {
    fn bind(node: &Node, shared: bool, first: bool) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _entered = runtime.enter();
        let listen = |address: SocketAddr| {
            bind(address, shared)
                .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
        };
        let settings = &node.settings;
        let sockets = (
            listen(settings.messages)?,
            settings.clients_http.map(listen).transpose()?,
            settings.clients_https.filter(|_| node.internal.is_some()).map(listen).transpose()?,
            settings.health.filter(|_| first).map(listen).transpose()?,
        );
        drop(_entered);
        let (messages, clients_http, clients_https, health) = sockets;
        Ok(Self { runtime, messages, clients_http, clients_https, health })
    }

    fn run(self, node: &Arc<Node>, stop: watch::Receiver<bool>) {
        let Self { runtime, messages, clients_http, clients_https, health } = self;
        let worker = Arc::new(Worker::new(Arc::clone(node)));
        // Every task of a connection holds a receiver of this channel: when all are gone, all exchanges
        // are finished.
        let (done, running) = watch::channel(false);
        runtime.block_on(async {
            let identity = Arc::clone(&node.identity);
            let acceptor = move || identity.load().map(|tls| Acceptor::from(tls.as_ref()));
            let of_worker = Arc::clone(&worker);
            let peers =
                move |connection| Some(Arc::new(PeerService::new(Arc::clone(&of_worker), &connection)));
            let open = &node.connections;
            tokio::spawn(serve_within(
                messages,
                Arc::clone(&open.messages),
                Some(acceptor),
                peers,
                running.clone(),
            ));
            let of_worker = Arc::clone(&worker);
            let clients =
                move |connection| Some(Arc::new(ClientService::new(Arc::clone(&of_worker), connection)));
            if let Some(listener) = clients_http {
                tokio::spawn(serve_within(
                    listener,
                    Arc::clone(&open.clients),
                    None::<Tls>,
                    clients.clone(),
                    running.clone(),
                ));
            }
            if let (Some(listener), Some(identity)) = (clients_https, &node.internal) {
                let config = Arc::new(tls::anybody_acceptor(identity));
                let acceptor = move || Some(Arc::clone(&config));
                tokio::spawn(serve_within(
                    listener,
                    Arc::clone(&open.clients),
                    Some(acceptor),
                    clients.clone(),
                    running.clone(),
                ));
            }
            if let Some(listener) = health {
                let of_health = Arc::clone(node);
                let service = move |_| Some(Arc::new(HealthService(Arc::clone(&of_health))));
                tokio::spawn(serve_within(
                    listener,
                    Arc::clone(&open.health),
                    None::<Tls>,
                    service,
                    running.clone(),
                ));
            }
            drop(running);
            let mut stop = stop;
            let _ = stop.wait_for(|stop| *stop).await;
            done.send_replace(true);
            if timeout(node.settings.stop_timeout, done.closed()).await.is_err() {
                tracing::warn!("exchanges were cut off because they did not finish in time");
            }
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
}
