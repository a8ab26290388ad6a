//! Where the management services meet the instance: what requests are checked against, and the way into
//! their life cycle.

use std::sync::{Arc, Mutex, PoisonError};

use certs::trust::TrustStore;
use gateway::Clock;
use gateway::ports::BoxFuture;
use protocol::configuration::directory::NEXT_UPDATE;
use protocol::configuration::optional_parts::parse_next_update;
use protocol::configuration::{self, GlobalConfiguration, SharedParameters};
use protocol::management::Change;
use protocol::time::UtcTime;
use tokio::sync::watch;

use super::{Checked, Declined, RefusedRequest, Registrar, View};
use crate::instance::{Actor, Desk, Instance, Refusal};
use crate::publish::Published;
use crate::requests::Content;

/// The registry behind the management services.
pub(crate) struct Intake {
    desk: Arc<Desk>,
    published: watch::Receiver<Arc<Published>>,
    clock: Clock,
    /// The view of a generation of the instance.
    view: Mutex<Option<(u64, Arc<View>)>>,
}

impl Intake {
    pub(crate) fn new(desk: Arc<Desk>, published: watch::Receiver<Arc<Published>>, clock: Clock) -> Self {
        Self { desk, published, clock, view: Mutex::default() }
    }
}

impl Registrar for Intake {
    fn view(&self) -> Option<Arc<View>> {
        let expires = self.published.borrow().expires?;
        if self.clock.now() > expires {
            return None;
        }
        let mut kept = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let instance = self.desk.look();
        match &*kept {
            Some((generation, view)) if *generation == instance.generation() => Some(Arc::clone(view)),
            _ => {
                let view = Arc::new(view(&instance)?);
                *kept = Some((instance.generation(), Arc::clone(&view)));
                Some(view)
            }
        }
    }

    fn submit(&self, request: Checked) -> BoxFuture<'_, Result<u64, Declined>> {
        let desk = Arc::clone(&self.desk);
        Box::pin(async move {
            let request = request.into_request();
            let add = move || {
                desk.add_request(&Actor::SecurityServer, &request.server, content(request.change), None)
            };
            // It waits for the disk.
            match tokio::task::spawn_blocking(add).await {
                Ok(Ok(added)) => Ok(added.id.into()),
                Ok(Err(refusal)) => Err(declined(&refusal)),
                Err(error) => {
                    tracing::error!(%error, "a management request could not be added");
                    Err(Declined { code: "internal_error".to_owned(), status: 500 })
                }
            }
        })
    }

    fn refused(&self, refused: RefusedRequest) -> BoxFuture<'_, ()> {
        refused.tell();
        Box::pin(std::future::ready(()))
    }
}

fn declined(refusal: &Refusal) -> Declined {
    tracing::info!(%refusal, "the rules of the registry forbid a management request");
    Declined { code: refusal.code().to_owned(), status: refusal.status() }
}

/// Only what requests are checked against: members and servers are many, and change with every request.
fn view(instance: &Instance) -> Option<View> {
    let own_instance = instance.parameters().instance.clone()?;
    let provider = instance.parameters().provider.clone()?;
    let shared = SharedParameters {
        instance: own_instance.clone(),
        approved_cas: instance.approved_cas(),
        ocsp_freshness_seconds: instance.parameters().ocsp_freshness_seconds,
        ..SharedParameters::default()
    };
    let provider_addresses =
        instance.servers_of_client(&provider).filter_map(|entry| entry.server.address.clone()).collect();
    // It is looked at only while something is published; the store itself does not expire.
    let expires = UtcTime::from_millis(i64::MAX);
    let mut known = configuration::Instance::new(shared, 6, expires);
    if let Some(part) = instance.parts().get(NEXT_UPDATE) {
        known.verify_next_update = parse_next_update(&part.content).unwrap_or(true);
    }
    let instances = [(own_instance.clone(), Arc::new(known))].into();
    let trust = Arc::new(TrustStore::new(Arc::new(GlobalConfiguration { own_instance, instances })));
    Some(View { trust, provider, provider_addresses })
}

/// What a request asks for, as it is kept.
fn content(change: Change) -> Content {
    match change {
        Change::AuthCertReg { address, certificate, dry_run: _ } => {
            Content::CertificateRegistration { certificate: certificate.into(), address }
        }
        Change::AuthCertDeletion { certificate } => {
            Content::CertificateDeletion { certificate: certificate.into() }
        }
        Change::ClientReg { client, subsystem_name } => {
            Content::ClientRegistration { client, subsystem_name }
        }
        Change::ClientDeletion { client } => Content::ClientDeletion { client },
        Change::ClientDisable { client } => Content::ClientDisable { client },
        Change::ClientEnable { client } => Content::ClientEnable { client },
        Change::ClientRename { client, subsystem_name } => Content::ClientRename { client, subsystem_name },
        Change::OwnerChange { client } => Content::OwnerChange { client },
        Change::AddressChange { address } => Content::AddressChange { address },
        Change::MaintenanceModeEnable { message } => Content::MaintenanceModeEnable { message },
        Change::MaintenanceModeDisable => Content::MaintenanceModeDisable,
    }
}
