//! The configuration proxy: gets a configuration by its anchor, signs it again with keys of its own and
//! serves it (global configuration and trust §13).
//!
//! It carries a configuration over the border of a network, or takes the load off a registry. Whoever
//! gets its anchor believes the proxy in the registry's place. It never extends anything: what it signs
//! ends at the latest when what it got ends.

pub mod config;
mod documents;
mod mirror;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gateway::Clock;
use gateway::http::serve;
use gateway::http::server::Connection;
use protocol::configuration::{Anchor, ConfigurationError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::files;
use crate::keys::SigningKeys;
use crate::publish::SourceKind;
use crate::registry::{Ports, StartError};
use crate::serve::{Connections, Publication};
use crate::tls;
use documents::Mirrored;
use mirror::Mirror;

pub use config::{Config, MirrorConfig};

/// How often keys are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Starts configuration proxies.
#[derive(Debug)]
pub struct Proxy;

/// A proxy at work. Dropping it stops it.
pub struct Running {
    http: SocketAddr,
    https: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a proxy does not start, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// What a registry could fail with as well.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An anchor cannot be used.
    #[error("the anchor {} of the mirror {mirror}: {reason}; get it anew from the source", path.display())]
    Anchor {
        /// The mirror.
        mirror: String,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Proxy {
    /// Starts a proxy: when this returns, every source was asked once and what there is is served. A
    /// source that does not answer keeps nothing from starting.
    ///
    /// # Errors
    /// Everything that an operator has to put right, each with what to do.
    pub async fn start(config: Config, clock: Clock) -> Result<Running, ProxyError> {
        let prepared = tokio::task::spawn_blocking(move || prepare(&config, clock)).await;
        let mut prepared = prepared.map_err(|error| StartError::Thread(io::Error::other(error)))??;
        let (published, documents) = watch::channel(Arc::new(Mirrored::default()));
        for mirror in &mut prepared.mirrors {
            mirror.load();
            mirror.refresh().await;
        }
        publish(&mut prepared.mirrors, clock, &published);
        Ok(prepared.run(clock, published, documents)?)
    }
}

struct Prepared {
    http: std::net::TcpListener,
    https: Option<(std::net::TcpListener, Arc<rustls::ServerConfig>)>,
    mirrors: Vec<Mirror>,
    period: Duration,
}

fn prepare(config: &Config, clock: Clock) -> Result<Prepared, ProxyError> {
    let pin = config.pin.get().map_err(StartError::from)?;
    let folder = |path: PathBuf| move |error| StartError::Folder { path, error };
    files::make_folder(&config.state_folder, 0o700).map_err(folder(config.state_folder.clone()))?;
    let Ports { http, https, address } = Ports::open(config.http, config.https, config.address.as_deref())?;
    let https = match https {
        Some(listener) => {
            let keys = SigningKeys::open_for(config.tls_keys(), &[], &pin, clock.now());
            let keys = keys.map_err(StartError::from)?;
            let acceptor = tls::acceptor(config.tls.as_ref(), &keys, address.host(), clock.now());
            Some((listener, acceptor.map_err(StartError::from)?))
        }
        None => None,
    };
    let mut mirrors = Vec::new();
    for mirror in &config.mirrors {
        let refused = |reason: String| ProxyError::Anchor {
            mirror: mirror.name.clone(),
            path: mirror.anchor.clone(),
            reason,
        };
        let file = std::fs::read(&mirror.anchor).map_err(|error| refused(error.to_string()))?;
        let anchor = Anchor::parse(&file).map_err(|error: ConfigurationError| refused(error.to_string()))?;
        let path = config.mirror_folder(&mirror.name);
        files::make_folder(&path, 0o700).map_err(folder(path))?;
        let keys = SigningKeys::open_for(config.keys(&mirror.name), &[SourceKind::Mirror], &pin, clock.now());
        let keys = keys.map_err(StartError::from)?;
        mirrors.push(Mirror::new(config, mirror, anchor, address.clone(), keys, clock));
    }
    Ok(Prepared { http, https, mirrors, period: config.period })
}

/// Signs and serves what is in force now.
fn publish(mirrors: &mut [Mirror], clock: Clock, published: &watch::Sender<Arc<Mirrored>>) {
    let made = mirrors.iter_mut().map(|mirror| {
        let name = mirror.name().to_owned();
        (name, mirror.make(clock.now()))
    });
    let made: HashMap<_, _> = made.collect();
    published.send_replace(Arc::new(Mirrored(made)));
}

impl Prepared {
    fn run(
        self,
        clock: Clock,
        published: watch::Sender<Arc<Mirrored>>,
        documents: watch::Receiver<Arc<Mirrored>>,
    ) -> Result<Running, StartError> {
        let Self { http, https, mirrors, period } = self;
        let (stop, stopped) = watch::channel(false);
        let connections = Arc::new(Connections::default());
        let make = move |connection: Connection| Publication::accept(&connection, &documents, &connections);
        let http_at = http.local_addr().map_err(StartError::Thread)?;
        let https_at = match &https {
            Some((listener, _)) => Some(listener.local_addr().map_err(StartError::Thread)?),
            None => None,
        };
        let http = TcpListener::from_std(http).map_err(StartError::Thread)?;
        let no_tls = None::<fn() -> Option<Arc<rustls::ServerConfig>>>;
        let mut tasks = vec![tokio::spawn(serve(http, no_tls, make.clone(), stopped.clone()))];
        if let Some((listener, config)) = https {
            let listener = TcpListener::from_std(listener).map_err(StartError::Thread)?;
            let tls = move || Some(Arc::clone(&config));
            tasks.push(tokio::spawn(serve(listener, Some(tls), make, stopped.clone())));
        }
        tasks.push(tokio::spawn(rounds(mirrors, period, clock, published, stopped)));
        tracing::info!(http = %http_at, https = ?https_at, "the configuration proxy serves");
        Ok(Running { http: http_at, https: https_at, stop, tasks })
    }
}

/// Gets and signs in every period, and signs at once when keys change.
async fn rounds(
    mut mirrors: Vec<Mirror>,
    period: Duration,
    clock: Clock,
    published: watch::Sender<Arc<Mirrored>>,
    mut stopped: watch::Receiver<bool>,
) {
    let work = async {
        let mut due = Instant::now() + period;
        loop {
            tokio::time::sleep(LOOK.min(due.saturating_duration_since(Instant::now()))).await;
            let is_due = Instant::now() >= due;
            if is_due {
                due = Instant::now() + period;
                for mirror in &mut mirrors {
                    mirror.refresh().await;
                }
            }
            let mut changed = false;
            for mirror in &mut mirrors {
                changed |= mirror.reload_keys();
            }
            if is_due || changed {
                publish(&mut mirrors, clock, &published);
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
}

impl Running {
    /// Where HTTP listens.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where HTTPS listens.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https
    }

    /// Stops: no more rounds, running downloads finish.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
