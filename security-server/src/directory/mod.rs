//! Who may call what at this node, and where its services are.
//!
//! One immutable table behind an atomic pointer, built anew when the node's own configuration or the
//! global configuration changes. Access rights follow messages and transport §5.6: deny unless some
//! right matches, and a right covers all versions of a service. A right past its end is as if it were not
//! there.

mod granted;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use gateway::Clock;
use gateway::ports::{LocalClient, LocalService, NodeDirectory, ServiceEndpoint, ServiceType};
use protocol::configuration::GlobalConfiguration;
use protocol::id::{ClientId, GlobalGroupId, SecurityServerId, ServiceId};

use crate::state::{ClientSettings, ClientStatus, LocalConfiguration, ServiceKey, ServiceSettings};
use granted::Granted;
pub use granted::Rule;

/// The node's [`NodeDirectory`].
pub struct Directory {
    server: SecurityServerId,
    clock: Clock,
    table: ArcSwap<Table>,
}

#[derive(Default)]
struct Table {
    /// Registered ones only.
    clients: HashMap<ClientId, Arc<LocalClient>>,
    services: HashMap<ServiceId, Arc<LocalService>>,
    by_provider: HashMap<ClientId, Vec<Arc<LocalService>>>,
    /// By provider, then by service code.
    rights: HashMap<ClientId, HashMap<String, Vec<Granted>>>,
}

impl Directory {
    /// An empty directory of this server.
    pub fn new(server: SecurityServerId, clock: Clock) -> Self {
        Self { server, clock, table: ArcSwap::default() }
    }

    /// Takes a new configuration. `global` decides which clients are registered at this server, save those
    /// that asked the registry to go; exchanges that run keep what they have already looked up.
    pub fn update(&self, local: &LocalConfiguration, global: &GlobalConfiguration) {
        let is_registered =
            |client: &ClientId| global.servers_of(client).any(|server| server.id == self.server);
        self.table.store(Arc::new(Table::new(local, &is_registered)));
    }

    /// The right by which a call of the client is allowed; none when it is not.
    pub fn rule(
        &self,
        client: &ClientId,
        service: &ServiceId,
        method: &str,
        path: &str,
        is_in_group: &dyn Fn(&GlobalGroupId) -> bool,
    ) -> Option<Rule> {
        let table = self.table.load();
        let found = table.deciding(client, service, method, path, is_in_group, self.clock);
        found.map(|(endpoint, admission)| endpoint.rule(service.code(), client, &admission))
    }

    /// Whether the client is not served: it is not registered at this server.
    pub fn is_missing(&self, client: &ClientId) -> bool {
        !self.table.load().clients.contains_key(client)
    }
}

impl Table {
    fn new(local: &LocalConfiguration, is_registered: &dyn Fn(&ClientId) -> bool) -> Self {
        let mut table = Self::default();
        let is_served = |id: &ClientId, settings: &ClientSettings| {
            settings.status.seen(is_registered(id)) == ClientStatus::Registered
        };
        for (id, settings) in local.clients.iter().filter(|(id, settings)| is_served(id, settings)) {
            let client = LocalClient {
                id: id.clone(),
                connection_type: settings.connection_type,
                certificates: settings.certificates.clone(),
            };
            table.clients.insert(id.clone(), Arc::new(client));
            for (key, service) in &settings.services {
                // A blank code cannot come out of a checked configuration, and could not be called.
                let Ok(service_id) = ServiceId::new(id.clone(), &key.code, key.version.as_deref()) else {
                    continue;
                };
                let service = LocalService {
                    id: service_id.clone(),
                    url: service.url.clone(),
                    timeout: service.timeout,
                    tls: service.tls,
                    disabled: service.disabled.clone(),
                    service_type: service.service_type,
                    description_url: service.description.clone(),
                    endpoints: endpoints_of(settings, key, service),
                };
                let service = Arc::new(service);
                // In the order of the keys, which is that of the identifiers.
                table.by_provider.entry(id.clone()).or_default().push(Arc::clone(&service));
                table.services.insert(service_id, service);
            }
            table.rights.insert(id.clone(), granted::of(settings));
        }
        table
    }

    /// Everything that somebody has a right to, of all versions of the service.
    fn endpoints(&self, service: &ServiceId) -> impl Iterator<Item = &Granted> {
        let rights = self.rights.get(service.provider());
        rights.and_then(|rights| rights.get(service.code())).into_iter().flatten()
    }

    /// The first endpoint that covers the call and that the client has a right to, and how it comes to it.
    fn deciding<'t>(
        &'t self,
        client: &ClientId,
        service: &ServiceId,
        method: &str,
        path: &str,
        is_in_group: &dyn Fn(&GlobalGroupId) -> bool,
        clock: Clock,
    ) -> Option<(&'t Granted, granted::Admission<'t>)> {
        self.endpoints(service).filter(|endpoint| endpoint.covers(method, path)).find_map(|endpoint| {
            let admission = endpoint.admits(client, is_in_group, clock)?;
            Some((endpoint, admission))
        })
    }
}

/// The endpoints of a service but the base endpoint: declared ones, and those that exist since somebody has
/// a right to them.
fn endpoints_of(
    settings: &ClientSettings,
    key: &ServiceKey,
    service: &ServiceSettings,
) -> Vec<ServiceEndpoint> {
    if service.service_type == ServiceType::Soap {
        return Vec::new();
    }
    let declared = service.endpoints.iter().map(|endpoint| (&*endpoint.path, &*endpoint.method));
    let granted = settings.rights.keys().filter(|right| right.service_code == key.code);
    let granted =
        granted.map(|right| (right.path.as_deref().unwrap_or("**"), right.method.as_deref().unwrap_or("*")));
    let all: BTreeSet<_> = declared.chain(granted).filter(|endpoint| *endpoint != ("**", "*")).collect();
    all.into_iter()
        .map(|(path, method)| ServiceEndpoint { method: method.to_owned(), path: path.to_owned() })
        .collect()
}

impl NodeDirectory for Directory {
    fn server_id(&self) -> &SecurityServerId {
        &self.server
    }

    fn client(&self, id: &ClientId) -> Option<Arc<LocalClient>> {
        self.table.load().clients.get(id).cloned()
    }

    fn service(&self, id: &ServiceId) -> Option<Arc<LocalService>> {
        self.table.load().services.get(id).cloned()
    }

    fn services(&self, provider: &ClientId) -> Vec<Arc<LocalService>> {
        self.table.load().by_provider.get(provider).cloned().unwrap_or_default()
    }

    fn has_some_right(
        &self,
        client: &ClientId,
        service: &ServiceId,
        is_in_group: &dyn Fn(&GlobalGroupId) -> bool,
    ) -> bool {
        let table = self.table.load();
        table.endpoints(service).any(|endpoint| endpoint.admits(client, is_in_group, self.clock).is_some())
    }

    fn is_allowed(
        &self,
        client: &ClientId,
        service: &ServiceId,
        method: &str,
        path: &str,
        is_in_group: &dyn Fn(&GlobalGroupId) -> bool,
    ) -> bool {
        self.table.load().deciding(client, service, method, path, is_in_group, self.clock).is_some()
    }
}

#[cfg(test)]
mod tests;
