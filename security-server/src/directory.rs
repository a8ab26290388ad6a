//! Who may call what at this node, and where its services are.
//!
//! One immutable table behind an atomic pointer, built anew when the node's own configuration or the
//! global configuration changes. Access rights follow messages and transport §5.6: deny unless some
//! right matches, and a right covers all versions of a service.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use gateway::ports::{LocalClient, LocalService, NodeDirectory, ServiceEndpoint, ServiceType};
use protocol::configuration::GlobalConfiguration;
use protocol::id::{ClientId, GlobalGroupId, SecurityServerId, ServiceId};
use protocol::message::path::PathGlob;

use crate::state::{AccessRight, ClientSettings, LocalConfiguration, ServiceKey, ServiceSettings, Subject};

/// The node's [`NodeDirectory`].
pub struct Directory {
    server: SecurityServerId,
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

/// All rights on one method and path pattern of a service.
struct Granted {
    method: Option<String>,
    pattern: Option<String>,
    glob: Option<PathGlob>,
    /// Clients that are named, or in a local group that is.
    clients: HashSet<ClientId>,
    global_groups: Vec<GlobalGroupId>,
}

impl Directory {
    /// An empty directory of this server.
    pub fn new(server: SecurityServerId) -> Self {
        Self { server, table: ArcSwap::default() }
    }

    /// Takes a new configuration. `global` decides which clients are registered at this server; exchanges
    /// that run keep what they have already looked up.
    pub fn update(&self, local: &LocalConfiguration, global: &GlobalConfiguration) {
        let is_registered =
            |client: &ClientId| global.servers_of(client).any(|server| server.id == self.server);
        self.table.store(Arc::new(Table::new(local, &is_registered)));
    }

    /// Whether the client is not served: it is not registered at this server.
    pub fn is_missing(&self, client: &ClientId) -> bool {
        !self.table.load().clients.contains_key(client)
    }
}

impl Table {
    fn new(local: &LocalConfiguration, is_registered: &dyn Fn(&ClientId) -> bool) -> Self {
        let mut table = Self::default();
        for (id, settings) in local.clients.iter().filter(|(id, _)| is_registered(id)) {
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
            table.rights.insert(id.clone(), rights_of(settings));
        }
        table
    }

    /// Everything that somebody has a right to, of all versions of the service.
    fn endpoints(&self, service: &ServiceId) -> impl Iterator<Item = &Granted> {
        let rights = self.rights.get(service.provider());
        rights.and_then(|rights| rights.get(service.code())).into_iter().flatten()
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
    let granted = settings.rights.iter().filter(|right| right.service_code == key.code);
    let granted =
        granted.map(|right| (right.path.as_deref().unwrap_or("**"), right.method.as_deref().unwrap_or("*")));
    let all: BTreeSet<_> = declared.chain(granted).filter(|endpoint| *endpoint != ("**", "*")).collect();
    all.into_iter()
        .map(|(path, method)| ServiceEndpoint { method: method.to_owned(), path: path.to_owned() })
        .collect()
}

fn rights_of(settings: &ClientSettings) -> HashMap<String, Vec<Granted>> {
    let mut by_code: HashMap<String, Vec<Granted>> = HashMap::new();
    for right in &settings.rights {
        let endpoints = by_code.entry(right.service_code.clone()).or_default();
        let index = endpoints.iter().position(|endpoint| endpoint.is_of(right)).unwrap_or_else(|| {
            endpoints.push(Granted::of(right));
            endpoints.len() - 1
        });
        let endpoint = &mut endpoints[index];
        match &right.subject {
            Subject::Client(client) => endpoint.clients.extend([client.clone()]),
            Subject::GlobalGroup(group) => endpoint.global_groups.push(group.clone()),
            Subject::LocalGroup(code) => {
                let members = settings.groups.get(code).into_iter().flat_map(|group| &group.members);
                endpoint.clients.extend(members.cloned());
            }
        }
    }
    by_code
}

impl Granted {
    fn of(right: &AccessRight) -> Self {
        // `**` and no pattern are the same, and so are `*` and no method (§5.6).
        let pattern = right.path.clone().filter(|path| path != "**");
        Self {
            method: right.method.clone().filter(|method| method != "*"),
            glob: pattern.as_deref().map(PathGlob::new),
            pattern,
            clients: HashSet::new(),
            global_groups: Vec::new(),
        }
    }

    fn is_of(&self, right: &AccessRight) -> bool {
        self.method.as_deref() == right.method.as_deref().filter(|method| *method != "*")
            && self.pattern.as_deref() == right.path.as_deref().filter(|path| *path != "**")
    }

    fn covers(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.glob.as_ref().is_none_or(|glob| glob.matches(path))
    }

    fn admits(&self, client: &ClientId, is_in_group: &dyn Fn(&GlobalGroupId) -> bool) -> bool {
        self.clients.contains(client) || self.global_groups.iter().any(is_in_group)
    }
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
        table.endpoints(service).any(|endpoint| endpoint.admits(client, is_in_group))
    }

    fn is_allowed(
        &self,
        client: &ClientId,
        service: &ServiceId,
        method: &str,
        path: &str,
        is_in_group: &dyn Fn(&GlobalGroupId) -> bool,
    ) -> bool {
        let table = self.table.load();
        table
            .endpoints(service)
            .any(|endpoint| endpoint.covers(method, path) && endpoint.admits(client, is_in_group))
    }
}

#[cfg(test)]
mod tests {
    use protocol::configuration::{Instance, RegisteredServer, SharedParameters};
    use protocol::id::MemberId;
    use protocol::time::UtcTime;

    use super::*;
    use crate::state::{Endpoint, LocalGroup};

    fn client(text: &str) -> ClientId {
        ClientId::parse_encoded(text).unwrap()
    }

    fn service(code: &str, service_type: ServiceType) -> (ServiceKey, ServiceSettings) {
        let version = (service_type == ServiceType::Soap).then(|| "v1".to_owned());
        let endpoint = |path: &str| Endpoint { path: path.into(), method: "DELETE".into(), generated: true };
        let settings = ServiceSettings {
            url: "http://127.0.0.1/".into(),
            timeout: std::time::Duration::from_secs(1),
            tls: gateway::ports::ServiceTls::Pinned,
            disabled: None,
            service_type,
            description: Some("http://127.0.0.1/api.yaml".into()),
            title: None,
            endpoints: [endpoint("/declared")].into(),
        };
        (ServiceKey { code: code.into(), version }, settings)
    }

    fn directory() -> Directory {
        let server = SecurityServerId::new(MemberId::new("CW", "GOV", "1").unwrap(), "ss1").unwrap();
        let subject = |text: &str| match text.split_once(':') {
            Some(("global", code)) => Subject::GlobalGroup(GlobalGroupId::new("CW", code).unwrap()),
            Some((_, code)) => Subject::LocalGroup(code.to_owned()),
            None => Subject::Client(client(text)),
        };
        let rights = [
            ("permits", "*", "**", "CW/GOV/2/all"),
            ("permits", "GET", "/open/*", "CW/GOV/2/reader"),
            ("permits", "get", "/open/*", "CW/GOV/2/other"),
            ("permits", "POST", "/open/**", "local:friends"),
            ("permits", "GET", "**", "global:ministries"),
            ("permits", "*", "**", "CW/GOV/3"),
            ("gone", "*", "**", "local:nobody"),
        ];
        let option = |text: &str, any: &str| Some(text).filter(|text| *text != any).map(str::to_owned);
        let settings = ClientSettings {
            groups: [(
                "friends".to_owned(),
                LocalGroup { description: String::new(), members: [client("CW/GOV/2/friend")].into() },
            )]
            .into(),
            rights: rights
                .iter()
                .map(|(code, method, path, who)| AccessRight {
                    service_code: (*code).to_owned(),
                    method: option(method, "*"),
                    path: option(path, "**"),
                    subject: subject(who),
                })
                .collect(),
            services: [service("soap", ServiceType::Soap), service("permits", ServiceType::OpenApi)].into(),
            ..ClientSettings::default()
        };
        let local = LocalConfiguration {
            clients: [(client("CW/GOV/1/a"), settings.clone()), (client("CW/GOV/1/unregistered"), settings)]
                .into(),
        };
        let shared = SharedParameters {
            instance: "CW".into(),
            servers: vec![RegisteredServer {
                id: server.clone(),
                address: None,
                certificate_hashes: vec![],
                clients: vec![client("CW/GOV/1/a")],
                maintenance: None,
            }],
            ..SharedParameters::default()
        };
        let instance = Instance::new(shared, 6, UtcTime::from_seconds(i64::MAX / 1000));
        let global = GlobalConfiguration {
            own_instance: "CW".into(),
            instances: [("CW".to_owned(), Arc::new(instance))].into(),
        };
        let directory = Directory::new(server);
        directory.update(&local, &global);
        directory
    }

    #[track_caller]
    fn check(who: &str, code: &str, method: &str, path: &str, expected: bool) {
        let service = ServiceId::new(client("CW/GOV/1/a"), code, None).unwrap();
        let is_in_group = |group: &GlobalGroupId| group.code() == "ministries" && who == "CW/GOV/2/ministry";
        let allowed = directory().is_allowed(&client(who), &service, method, path, &is_in_group);
        assert_eq!(allowed, expected, "{who} {code} {method} {path}");
    }

    #[test]
    fn access_rights() {
        check("CW/GOV/2/all", "permits", "DELETE", "/x/y", true);
        check("CW/GOV/2/all", "other", "GET", "/", false);
        check("CW/GOV/2/all", "gone", "GET", "/", false);
        check("CW/GOV/2", "permits", "GET", "/", false);
        check("CW/GOV/2/stranger", "permits", "GET", "/open/1", false);
        check("CW/GOV/2/reader", "permits", "GET", "/open/1", true);
        check("CW/GOV/2/reader", "permits", "get", "/open/", true);
        check("CW/GOV/2/reader", "permits", "POST", "/open/1", false);
        check("CW/GOV/2/reader", "permits", "GET", "/open/1/2", false);
        check("CW/GOV/2/reader", "permits", "GET", "/Open/1", false);
        check("CW/GOV/2/other", "permits", "GET", "/open/1", true);
        check("CW/GOV/2/friend", "permits", "POST", "/open/1/2", true);
        check("CW/GOV/2/friend", "permits", "GET", "/open/1", false);
        check("CW/GOV/2/ministry", "permits", "GET", "/anything", true);
        check("CW/GOV/2/ministry", "permits", "PUT", "/anything", false);
        check("CW/GOV/3", "permits", "GET", "/", true);
        check("CW/GOV/3/sub", "permits", "GET", "/", false);
    }

    #[track_caller]
    fn check_some(who: &str, code: &str, expected: bool) {
        let service = ServiceId::new(client("CW/GOV/1/a"), code, None).unwrap();
        let is_in_group = |group: &GlobalGroupId| group.code() == "ministries" && who == "CW/GOV/2/ministry";
        let some = directory().has_some_right(&client(who), &service, &is_in_group);
        assert_eq!(some, expected, "{who} {code}");
    }

    #[test]
    fn some_right() {
        for who in ["all", "reader", "other", "friend", "ministry"] {
            check_some(&format!("CW/GOV/2/{who}"), "permits", true);
        }
        check_some("CW/GOV/2/stranger", "permits", false);
        check_some("CW/GOV/2/all", "gone", false);
        check_some("CW/GOV/2/all", "other", false);
    }

    #[test]
    fn services_tell_their_endpoints() {
        let directory = directory();
        let services = directory.services(&client("CW/GOV/1/a"));
        let ids: Vec<_> = services.iter().map(|service| service.id.to_string()).collect();
        assert_eq!(ids, ["CW/GOV/1/a/permits", "CW/GOV/1/a/soap/v1"]);
        let told: Vec<_> =
            services[0].endpoints.iter().map(|part| format!("{} {}", part.method, part.path)).collect();
        assert_eq!(told, ["GET **", "DELETE /declared", "GET /open/*", "get /open/*", "POST /open/**"]);
        assert_eq!(services[0].description_url.as_deref(), Some("http://127.0.0.1/api.yaml"));
        assert!(services[1].endpoints.is_empty());
        assert!(directory.services(&client("CW/GOV/1/unregistered")).is_empty());
    }

    #[test]
    fn a_right_covers_all_versions() {
        let service = ServiceId::new(client("CW/GOV/1/a"), "permits", Some("v2")).unwrap();
        assert!(directory().is_allowed(&client("CW/GOV/2/all"), &service, "GET", "/", &|_| false));
    }

    #[test]
    fn only_registered_clients_are_there() {
        let directory = directory();
        assert!(directory.client(&client("CW/GOV/1/a")).is_some());
        assert!(directory.client(&client("CW/GOV/1/unregistered")).is_none());
        let service = ServiceId::new(client("CW/GOV/1/unregistered"), "permits", None).unwrap();
        assert!(!directory.is_allowed(&client("CW/GOV/2/all"), &service, "GET", "/", &|_| false));
    }
}
