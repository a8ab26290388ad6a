//! The two ports, from opening to serving.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use gateway::Clock;
use gateway::http::{Connections, Limits, serve_within};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::intake::Intake;
use super::{Admission, ManagementServices, ManagementTls, Port, Registrar, Settings};
use crate::config::Config;
use crate::instance::Desk;
use crate::publish::Published;
use crate::registry::{StartError, listen};

/// Open connections of a port, and of one address.
const CONNECTIONS: (usize, usize) = (512, 32);

/// The ports, open and not served yet.
pub(crate) struct Listeners {
    ports: Vec<(Port, std::net::TcpListener)>,
    admission: Admission,
    requests_per_minute: usize,
    tls: Arc<ManagementTls>,
}

/// What the services run on.
pub(crate) struct Surroundings {
    pub(crate) desk: Arc<Desk>,
    pub(crate) published: watch::Receiver<Arc<Published>>,
    pub(crate) clock: Clock,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Listeners {
    /// Opens the ports that the operator wants.
    ///
    /// # Errors
    /// Those of the operating system; a certificate that cannot be read.
    pub(crate) fn open(config: &Config, tls: Arc<ManagementTls>) -> Result<Self, StartError> {
        let Settings { registration, management, requests_per_minute, .. } = config.management_services;
        let admission = config.management_services.admission()?;
        let mut ports = Vec::new();
        for (port, place) in [(Port::Registration, registration), (Port::Management, management)] {
            if let Some(address) = place.address(port, config.http) {
                ports.push((port, listen(address)?));
            }
        }
        Ok(Self { ports, admission, requests_per_minute, tls })
    }

    /// Where a service listens.
    pub(crate) fn address(&self, port: Port) -> Option<SocketAddr> {
        self.ports.iter().find(|(of, _)| *of == port).and_then(|(_, listener)| listener.local_addr().ok())
    }

    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// The sockets cannot be used.
    pub(crate) fn serve(self, around: &Surroundings) -> io::Result<Vec<JoinHandle<()>>> {
        let Surroundings { desk, published, clock, stopped } = around;
        let registrar: Arc<dyn Registrar> =
            Arc::new(Intake::new(Arc::clone(desk), published.clone(), *clock));
        let mut tasks = Vec::new();
        for (port, listener) in self.ports {
            let (registrar, admission) = (Arc::clone(&registrar), self.admission.clone());
            let services =
                ManagementServices::new(port, registrar, *clock, admission, self.requests_per_minute);
            let (connections, per_address) = CONNECTIONS;
            let limits = Limits { connections, per_address, ..Limits::default() };
            let tls = Arc::clone(&self.tls);
            tasks.push(tokio::spawn(serve_within(
                TcpListener::from_std(listener)?,
                Connections::new(limits),
                Some(move || Some(tls.current().acceptor())),
                move |connection| Some(services.visit(connection)),
                stopped.clone(),
            )));
        }
        Ok(tasks)
    }
}
