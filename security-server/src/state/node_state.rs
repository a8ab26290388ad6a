//! The node's own configuration in a store.
//!
//! Keys are `client/…`, `service/…`, `description/…`, `endpoints/…`, `group/…`, `rights/…` with
//! percent-encoded names, and `meta/server` and `meta/next-number`. Values are JSON and name what they are
//! about, so keys are never taken apart.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use administration::store::{Batch, Store, StoreError};
use protocol::id::{ClientId, SecurityServerId};
use protocol::time::UtcTime;
use serde::de::DeserializeOwned;

use super::records::{
    ClientRecord, DescriptionRecord, GroupRecord, KINDS, NumbersRecord, Records, RightsRecord, ServiceRecord,
    encode, encode_client,
};
use super::{ClientSettings, LocalConfiguration, Number, ServiceKey};

const SERVER_KEY: &str = "meta/server";
const NEXT_NUMBER_KEY: &str = "meta/next-number";

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
        for (key, record) in self.records::<DescriptionRecord>("description/")? {
            let client = owner(&mut configuration, &key, &record.client)?;
            client.descriptions.insert(record.url.clone(), record.into());
        }
        for (key, record) in self.records::<NumbersRecord>("endpoints/")? {
            let client = owner(&mut configuration, &key, &record.client)?;
            client.numbers.extend(record.numbers.into_iter().map(|number| number.read(&record.code)));
        }
        for (key, record) in self.records::<GroupRecord>("group/")? {
            let groups = &mut owner(&mut configuration, &key, &record.client)?.groups;
            let code = record.code.clone();
            groups.insert(code, record.read().map_err(|reason| corrupt(&key, reason))?);
        }
        for (key, record) in self.records::<RightsRecord>("rights/")? {
            let client = owner(&mut configuration, &key, &record.client)?;
            for right in record.rights {
                let (right, term) = right.read(&record.code).map_err(|reason| corrupt(&key, reason))?;
                client.rights.insert(right, term);
            }
        }
        Ok(configuration)
    }

    /// Makes the state equal to `wanted`, in one durable step, and tells what that changed. What a
    /// declaration does not say stays as it is: statuses, numbers, times.
    pub fn replace(&self, wanted: &LocalConfiguration, now: UtcTime) -> Result<Vec<Change>, StateError> {
        let before = self.load()?;
        let mut wanted = wanted.clone();
        wanted.adopt(&before);
        let first = self.next_number(&before)?;
        let mut next = first;
        wanted.clients.values_mut().for_each(|client| client.settle(&mut next, now));
        let records = encode(&wanted).map_err(|error| corrupt("", error.to_string()))?;
        let mut kept = Records::new();
        for kind in KINDS {
            kept.extend(self.store.scan(kind.as_bytes())?);
        }
        let mut batch = Batch::default();
        difference(&kept, records, &mut batch);
        if next != first {
            batch.put(NEXT_NUMBER_KEY, next.to_string());
        }
        if !batch.is_empty() {
            self.store.write(batch)?;
        }
        Ok(changes(&before, &wanted))
    }

    /// Makes the changes of these clients durable in one step: each as it was and as it is to be, none for
    /// one that is not there. What is new gets its numbers and times.
    pub fn change(
        &self,
        all: &LocalConfiguration,
        changed: &mut BTreeMap<ClientId, Option<ClientSettings>>,
        now: UtcTime,
    ) -> Result<(), StateError> {
        let unreadable = |error: serde_json::Error| corrupt("", error.to_string());
        let first = self.next_number(all)?;
        let mut next = first;
        let mut batch = Batch::default();
        for (id, after) in changed.iter_mut() {
            let before = all.clients.get(id).map(|before| encode_client(id, before)).transpose();
            let after = after.as_mut().map(|after| {
                after.settle(&mut next, now);
                encode_client(id, after)
            });
            let after = after.transpose().map_err(unreadable)?.unwrap_or_default();
            difference(&before.map_err(unreadable)?.unwrap_or_default(), after, &mut batch);
        }
        if next != first {
            batch.put(NEXT_NUMBER_KEY, next.to_string());
        }
        if !batch.is_empty() {
            self.store.write(batch)?;
        }
        Ok(())
    }

    fn next_number(&self, all: &LocalConfiguration) -> Result<Number, StateError> {
        match self.store.get(NEXT_NUMBER_KEY.as_bytes())? {
            Some(text) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                text.parse().map_err(|_| corrupt(NEXT_NUMBER_KEY, format!("{text} is no number")))
            }
            None => {
                Ok(all.clients.values().filter_map(ClientSettings::greatest_number).max().unwrap_or(0) + 1)
            }
        }
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

/// What has to be written so that `before` becomes `after`.
fn difference(before: &Records, after: Records, batch: &mut Batch) {
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        batch.remove(key.clone());
    }
    for (key, value) in after {
        if before.get(&key) != Some(&value) {
            batch.put(key, value);
        }
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
        for right in settings.rights.keys() {
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

    use crate::state::{AccessRight, Endpoint, LocalGroup, ServiceSettings, Subject, Term};

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
        let group = LocalGroup {
            description: "d".into(),
            members: [(client("x"), None)].into(),
            ..LocalGroup::default()
        };
        settings.groups.insert("friends".into(), group);
        settings.rights = [
            right(None, Subject::Client(client("y"))),
            right(Some("/a/**"), Subject::LocalGroup("friends".into())),
            right(None, Subject::GlobalGroup(GlobalGroupId::new("CW", "all").unwrap())),
        ]
        .map(|right| (right, Term::default()))
        .into();
        LocalConfiguration { clients: [(client("a"), settings), (client("b"), Default::default())].into() }
    }

    #[test]
    fn comes_back_as_it_was_and_tells_changes() {
        let folder = tempfile::tempdir().unwrap();
        let server = SecurityServerId::new(MemberId::new("CW", "GOV", "1").unwrap(), "ss1").unwrap();
        let open = || NodeState::open(Arc::new(SledStore::open(folder.path()).unwrap()), &server).unwrap();
        let mut wanted = sample();
        let now = UtcTime::from_seconds(1_800_000_000);
        let state = open();
        assert_eq!(state.replace(&wanted, now).unwrap().len(), 9);
        assert_eq!(state.replace(&wanted, now.plus(Duration::from_secs(9))).unwrap(), []);
        let kept = state.load().unwrap();
        drop(state);
        let state = open();
        assert_eq!(state.load().unwrap(), kept);
        let settings = wanted.clients.get_mut(&client("a")).unwrap();
        settings.rights.pop_first();
        settings.connection_type = ConnectionType::Http;
        wanted.clients.remove(&client("b"));
        let changed: Vec<_> = state.replace(&wanted, now).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            changed,
            [
                "removed access right CW/GOV/1/2 ü/a/permits * ** for CW/GOV/1/2 ü/y",
                "removed client CW/GOV/1/2 ü/b",
                "changed client CW/GOV/1/2 ü/a",
            ]
        );
        drop(state);
        let other = SecurityServerId::new(MemberId::new("CW", "GOV", "1").unwrap(), "ss2").unwrap();
        let store = Arc::new(SledStore::open(folder.path()).unwrap());
        assert!(matches!(NodeState::open(store, &other), Err(StateError::OtherServer(_))));
    }

    #[test]
    fn what_stays_keeps_its_number_and_what_comes_gets_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let server = SecurityServerId::new(MemberId::new("CW", "GOV", "1").unwrap(), "ss1").unwrap();
        let state = NodeState::open(Arc::new(SledStore::open(folder.path()).unwrap()), &server).unwrap();
        let now = UtcTime::from_seconds(1_800_000_000);
        let later = now.plus(Duration::from_secs(60));
        let mut wanted = sample();
        state.replace(&wanted, now).unwrap();
        let of = |local: &LocalConfiguration| local.clients[&client("a")].clone();
        let first = of(&state.load().unwrap());
        let url = "http://127.0.0.1:1/api.yaml";
        let description = first.descriptions[url].clone();
        assert_eq!(description.refreshed, Some(now));
        assert_eq!(description.notice.as_deref(), Some("moved"));
        // The base endpoint, the declared one, and the one that somebody has a right to.
        assert_eq!(first.numbers.len(), 3);
        assert_eq!(first.groups["friends"].members[&client("x")], Some(now));
        assert!(first.rights.values().all(|term| *term == Term { given: Some(now), until: None }));

        let settings = wanted.clients.get_mut(&client("a")).unwrap();
        settings.groups.clear();
        settings.rights.pop_first();
        state.replace(&wanted, later).unwrap();
        let second = of(&state.load().unwrap());
        assert_eq!(second.descriptions[url], description);
        assert_eq!(second.numbers, first.numbers);
        assert!(second.rights.values().all(|term| term.given == Some(now)));
        let settings = wanted.clients.get_mut(&client("a")).unwrap();
        settings.groups.insert("friends".into(), LocalGroup::default());
        state.replace(&wanted, later).unwrap();
        let third = of(&state.load().unwrap());
        let number = third.groups["friends"].number.unwrap();
        assert!(number > first.greatest_number().unwrap(), "a number is never given twice");
        assert_eq!(third.groups["friends"].updated, Some(later));
    }

    #[test]
    fn records_of_the_first_version_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = SledStore::open(folder.path()).unwrap();
        let mut batch = Batch::default();
        for (key, value) in [
            ("client/CW/GOV/1/a", r#"{"client":"CW/GOV/1/a","connection_type":"NOSSL","certificates":[]}"#),
            (
                "service/CW/GOV/1/a/s",
                r#"{"client":"CW/GOV/1/a","code":"s","version":null,"url":"http://h/","timeout_millis":60000,"tls":"pinned","disabled":null}"#,
            ),
            (
                "group/CW/GOV/1/a/g",
                r#"{"client":"CW/GOV/1/a","code":"g","description":"d","members":["CW/GOV/2/b"]}"#,
            ),
            (
                "rights/CW/GOV/1/a/s",
                r#"{"client":"CW/GOV/1/a","code":"s","rights":[{"method":null,"path":null,"subject":{"client":"CW/GOV/2/b"}}]}"#,
            ),
        ] {
            batch.put(key, value);
        }
        store.write(batch).unwrap();
        let server = SecurityServerId::new(MemberId::new("CW", "GOV", "1").unwrap(), "ss1").unwrap();
        let state = NodeState::open(Arc::new(store), &server).unwrap();
        let read = state.load().unwrap();
        let now = UtcTime::from_seconds(1_800_000_000);
        assert_eq!(state.replace(&read, now).unwrap().len(), 1, "the group got times");
        let settled = &state.load().unwrap().clients[&ClientId::parse_encoded("CW/GOV/1/a").unwrap()];
        assert_eq!(settled.status, super::super::ClientStatus::Saved);
        assert_eq!((settled.descriptions.len(), settled.numbers.len(), settled.rights.len()), (1, 1, 1));
        assert_eq!(settled.greatest_number(), Some(3));
    }
}
