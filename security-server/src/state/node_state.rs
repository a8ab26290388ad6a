//! The node's own configuration in a store.
//!
//! Keys are `client/…`, `service/…`, `group/…`, `rights/…` with percent-encoded names, and
//! `meta/server`. Values are JSON and name what they are about, so keys are never taken apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use administration::store::{Batch, Store, StoreError};
use protocol::id::{ClientId, SecurityServerId};
use serde::de::DeserializeOwned;

use super::records::{ClientRecord, GroupRecord, RightsRecord, ServiceRecord, encode};
use super::{ClientSettings, LocalConfiguration, LocalGroup, ServiceKey};

const SERVER_KEY: &str = "meta/server";
const KINDS: [&str; 4] = ["client/", "service/", "group/", "rights/"];

/// The state of one node.
#[derive(Clone)]
pub struct NodeState {
    store: Arc<dyn Store>,
}

/// Why the state cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StateError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record does not read; the store was written by something else.
    #[error("the state record {key} cannot be read: {reason}")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The folder holds another server's state.
    #[error("the state folder belongs to the security server {0}")]
    OtherServer(String),
}

/// What became different.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Something is new.
    Added(String),
    /// Something has other settings than before.
    Changed(String),
    /// Something is gone.
    Removed(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(what) => write!(f, "added {what}"),
            Self::Changed(what) => write!(f, "changed {what}"),
            Self::Removed(what) => write!(f, "removed {what}"),
        }
    }
}

impl NodeState {
    /// The state in `store`, which becomes `server`'s when it is empty.
    ///
    /// # Errors
    /// [`StateError::OtherServer`] when the store has been used for another server.
    pub fn open(store: Arc<dyn Store>, server: &SecurityServerId) -> Result<Self, StateError> {
        let name = server.encoded();
        match store.get(SERVER_KEY.as_bytes())? {
            Some(found) if found == name.as_bytes() => {}
            Some(found) => return Err(StateError::OtherServer(String::from_utf8_lossy(&found).into_owned())),
            None => {
                let mut batch = Batch::default();
                batch.put(SERVER_KEY, name);
                store.write(batch)?;
            }
        }
        Ok(Self { store })
    }

    /// Everything that is configured.
    pub fn load(&self) -> Result<LocalConfiguration, StateError> {
        let mut configuration = LocalConfiguration::default();
        for (key, record) in self.records::<ClientRecord>("client/")? {
            let (id, settings) = record.read().map_err(|reason| corrupt(&key, reason))?;
            configuration.clients.insert(id, settings);
        }
        for (key, record) in self.records::<ServiceRecord>("service/")? {
            let client = owner(&mut configuration, &key, &record.client)?;
            let service = ServiceKey { code: record.code.clone(), version: record.version.clone() };
            client.services.insert(service, record.into());
        }
        for (key, record) in self.records::<GroupRecord>("group/")? {
            let members: Result<BTreeSet<_>, _> =
                record.members.iter().map(|member| ClientId::parse_encoded(member)).collect();
            let members = members.map_err(|error| corrupt(&key, error.to_string()))?;
            let group = LocalGroup { description: record.description, members };
            owner(&mut configuration, &key, &record.client)?.groups.insert(record.code, group);
        }
        for (key, record) in self.records::<RightsRecord>("rights/")? {
            let client = owner(&mut configuration, &key, &record.client)?;
            for right in record.rights {
                let right = right.read(&record.code).map_err(|reason| corrupt(&key, reason))?;
                client.rights.insert(right);
            }
        }
        Ok(configuration)
    }

    /// Makes the state equal to `wanted`, in one durable step, and tells what that changed.
    pub fn replace(&self, wanted: &LocalConfiguration) -> Result<Vec<Change>, StateError> {
        let before = self.load()?;
        let records = encode(wanted).map_err(|error| corrupt("", error.to_string()))?;
        let mut batch = Batch::default();
        for kind in KINDS {
            for (key, value) in self.store.scan(kind.as_bytes())? {
                match records.get(&key) {
                    Some(new) if *new == value => {}
                    Some(new) => batch.put(key, new.clone()),
                    None => batch.remove(key),
                }
            }
        }
        for (key, value) in &records {
            if self.store.get(key)?.is_none() {
                batch.put(key.clone(), value.clone());
            }
        }
        if !batch.is_empty() {
            self.store.write(batch)?;
        }
        Ok(changes(&before, wanted))
    }

    fn records<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<(String, T)>, StateError> {
        let pairs = self.store.scan(kind.as_bytes())?;
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let key = String::from_utf8_lossy(&key).into_owned();
            match serde_json::from_slice(&value) {
                Ok(record) => Ok((key, record)),
                Err(error) => Err(corrupt(&key, error.to_string())),
            }
        };
        pairs.into_iter().map(read).collect()
    }
}

fn corrupt(key: &str, reason: String) -> StateError {
    StateError::Corrupt { key: key.to_owned(), reason }
}

fn owner<'a>(
    configuration: &'a mut LocalConfiguration,
    key: &str,
    client: &str,
) -> Result<&'a mut ClientSettings, StateError> {
    let id = ClientId::parse_encoded(client).map_err(|error| corrupt(key, error.to_string()))?;
    configuration.clients.get_mut(&id).ok_or_else(|| corrupt(key, format!("there is no client {client}")))
}

/// Each thing by its name for people, with something that differs when it changes.
fn described(configuration: &LocalConfiguration) -> BTreeMap<String, String> {
    let mut things = BTreeMap::new();
    for (id, settings) in &configuration.clients {
        let own = (settings.connection_type, &settings.certificates);
        things.insert(format!("client {id}"), format!("{own:?}"));
        for (service, settings) in &settings.services {
            let version = service.version.as_ref().map(|version| format!("/{version}")).unwrap_or_default();
            things.insert(format!("service {id}/{}{version}", service.code), format!("{settings:?}"));
        }
        for (code, group) in &settings.groups {
            things.insert(format!("local group {code} of {id}"), format!("{group:?}"));
        }
        for right in &settings.rights {
            things.insert(format!("access right {id}/{right}"), String::new());
        }
    }
    things
}

fn changes(before: &LocalConfiguration, after: &LocalConfiguration) -> Vec<Change> {
    let (before, after) = (described(before), described(after));
    let removed = before.keys().filter(|name| !after.contains_key(*name)).cloned().map(Change::Removed);
    let other = after.iter().filter_map(|(name, value)| match before.get(name) {
        Some(old) if old == value => None,
        Some(_) => Some(Change::Changed(name.clone())),
        None => Some(Change::Added(name.clone())),
    });
    removed.chain(other).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use gateway::ports::{ConnectionType, ServiceTls, ServiceType};
    use protocol::id::{GlobalGroupId, MemberId};

    use super::*;
    use administration::store::SledStore;

    use crate::state::{AccessRight, Endpoint, ServiceSettings, Subject};

    fn client(subsystem: &str) -> ClientId {
        ClientId::new(MemberId::new("CW", "GOV", "1/2 ü").unwrap(), Some(subsystem)).unwrap()
    }

    fn sample() -> LocalConfiguration {
        let service = |disabled: Option<&str>| ServiceSettings {
            url: "http://127.0.0.1:1/".into(),
            timeout: Duration::from_secs(60),
            tls: ServiceTls::Pinned,
            disabled: disabled.map(str::to_owned),
            service_type: ServiceType::OpenApi,
            description: Some("http://127.0.0.1:1/api.yaml".into()),
            title: None,
            endpoints: [Endpoint { path: "/a/*".into(), method: "GET".into(), generated: true }].into(),
        };
        let key = |code: &str, version: Option<&str>| ServiceKey {
            code: code.into(),
            version: version.map(str::to_owned),
        };
        let right = |path: Option<&str>, subject| AccessRight {
            service_code: "permits".into(),
            method: None,
            path: path.map(str::to_owned),
            subject,
        };
        let mut settings = ClientSettings {
            connection_type: ConnectionType::Https,
            certificates: vec![Bytes::from_static(b"der")],
            ..ClientSettings::default()
        };
        settings.services.insert(key("permits", None), service(None));
        settings.services.insert(key("permits", Some("")), service(Some("moved")));
        settings.services.insert(key("permits", Some("v1")), service(None));
        let group = LocalGroup { description: "d".into(), members: [client("x")].into() };
        settings.groups.insert("friends".into(), group);
        settings.rights = [
            right(None, Subject::Client(client("y"))),
            right(Some("/a/**"), Subject::LocalGroup("friends".into())),
            right(None, Subject::GlobalGroup(GlobalGroupId::new("CW", "all").unwrap())),
        ]
        .into();
        LocalConfiguration { clients: [(client("a"), settings), (client("b"), Default::default())].into() }
    }

    #[test]
    fn comes_back_as_it_was_and_tells_changes() {
        let folder = tempfile::tempdir().unwrap();
        let server = SecurityServerId::new(MemberId::new("CW", "GOV", "1").unwrap(), "ss1").unwrap();
        let open = || NodeState::open(Arc::new(SledStore::open(folder.path()).unwrap()), &server).unwrap();
        let mut wanted = sample();
        let state = open();
        assert_eq!(state.replace(&wanted).unwrap().len(), 9);
        assert_eq!(state.replace(&wanted).unwrap(), []);
        drop(state);
        let state = open();
        assert_eq!(state.load().unwrap(), wanted);
        let settings = wanted.clients.get_mut(&client("a")).unwrap();
        settings.rights.pop_first();
        settings.connection_type = ConnectionType::Http;
        wanted.clients.remove(&client("b"));
        let changed: Vec<_> = state.replace(&wanted).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            changed,
            [
                "removed access right CW/GOV/1/2 ü/a/permits * ** for CW/GOV/1/2 ü/y",
                "removed client CW/GOV/1/2 ü/b",
                "changed client CW/GOV/1/2 ü/a",
            ]
        );
        assert_eq!(state.load().unwrap(), wanted);
        drop(state);
        let other = SecurityServerId::new(MemberId::new("CW", "GOV", "1").unwrap(), "ss2").unwrap();
        let store = Arc::new(SledStore::open(folder.path()).unwrap());
        assert!(matches!(NodeState::open(store, &other), Err(StateError::OtherServer(_))));
    }
}
