//! A desk with an approved CA, a store in memory, and shorthand for what tests do all the time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use administration::store::{Batch, Pair, Store, StoreError};
use certs::key::KeyKind;
use gateway::Clock;
use protocol::id::{ClientId, MemberId, SecurityServerId};
use protocol::time::UtcTime;
use zeroize::Zeroizing;

use crate::config::Padding;
use crate::instance::{Actor, CertificationSettings, Desk, DeskSettings, Initialisation, Refusal, Rules};
use crate::keys::KeySettings;
use crate::requests::{Content, Request};

/// Keeps everything, and shares it with whoever opens it again.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore {
    pairs: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
    /// How the next batch fails, if it does.
    pub(crate) failure: Arc<Mutex<Option<Failure>>>,
}

/// What is on the disk when a batch is told to have failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    Before,
    After,
}

impl Store for MemoryStore {
    fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.pairs.lock().unwrap().get(name).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        let pairs = self.pairs.lock().unwrap();
        let matching = pairs.iter().filter(|(name, _)| name.starts_with(prefix));
        Ok(matching.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let failure = self.failure.lock().unwrap().take();
        let failed = || Err(StoreError::Failed("the disk is full".into()));
        if let Some(Failure::Before) = failure {
            return failed();
        }
        let mut pairs = self.pairs.lock().unwrap();
        for (name, value) in batch.changes() {
            match value {
                Some(value) => pairs.insert(name.to_vec(), value.to_vec()),
                None => pairs.remove(name),
            };
        }
        if failure.is_some() {
            return failed();
        }
        Ok(())
    }
}

impl MemoryStore {
    /// Everything in it.
    pub(crate) fn everything(&self) -> Batch {
        let mut batch = Batch::default();
        for (name, value) in self.pairs.lock().unwrap().iter() {
            batch.put(name.clone(), value.clone());
        }
        batch
    }
}

/// A desk of the instance `CW` with the classes GOV and COM.
pub(crate) struct Town {
    pub(crate) desk: Desk,
    pub(crate) store: MemoryStore,
    pub(crate) authority: Authority,
    folder: tempfile::TempDir,
}

pub(crate) const NOW: &str = "2026-12-01T12:00:00Z";

impl Town {
    pub(crate) fn new() -> Self {
        Self::with(Rules::default())
    }

    pub(crate) fn with(rules: Rules) -> Self {
        let town = Self::empty(rules);
        town.initialise().unwrap();
        for class in ["GOV", "COM"] {
            town.desk.add_member_class(class, "Some class").unwrap();
        }
        let settings = CertificationSettings { profile: "FiVRK".into(), ..CertificationSettings::default() };
        town.desk.add_certification_service(&town.authority.der, settings).unwrap();
        town
    }

    /// Before initialisation.
    pub(crate) fn empty(rules: Rules) -> Self {
        let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
        let desk = open(&store, &folder, rules);
        Self { desk, store, authority: Authority::new("Test CA"), folder }
    }

    pub(crate) fn initialise(&self) -> Result<(), Refusal> {
        self.desk.initialise(Initialisation {
            instance: Some("CW".into()),
            address: Some("registry.example".into()),
            pin: Some(Zeroizing::new("Secret1234".into())),
        })
    }

    /// Where its token is.
    pub(crate) fn token_folder(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// What a restart finds.
    pub(crate) fn reopened(&self) -> Desk {
        open(&self.store, &self.folder, self.desk.rules().clone())
    }

    /// A member, its server SS of this code with one certificate, approved.
    pub(crate) fn server(&self, member: &str, code: &str) -> SecurityServerId {
        let owner = self.member(member);
        let id = SecurityServerId::new(owner, code).unwrap();
        let certificate = self.authority.authentication(&id.to_string());
        let request = self.ask(&id, registration(&certificate, "ss.example")).unwrap();
        self.desk.approve_request(&clerk(), request.id).unwrap();
        id
    }

    /// A member of class GOV, there from now on.
    pub(crate) fn member(&self, code: &str) -> MemberId {
        match self.desk.add_member("GOV", code, &format!("Member {code}")) {
            Ok(_) | Err(Refusal::MemberExists(_)) => MemberId::new("CW", "GOV", code).unwrap(),
            Err(other) => panic!("{other}"),
        }
    }

    /// A subsystem of a member, there from now on.
    pub(crate) fn subsystem(&self, member: &str, code: &str) -> ClientId {
        let member = self.member(member);
        self.desk.add_subsystem(&member, code, None).unwrap().id
    }

    /// A client of a server, registered.
    pub(crate) fn client(&self, server: &SecurityServerId, client: &ClientId) {
        let request = self.ask(server, client_registration(client)).unwrap();
        self.desk.approve_request(&clerk(), request.id).unwrap();
    }

    /// A request from a security server.
    pub(crate) fn ask(&self, server: &SecurityServerId, content: Content) -> Result<Request, Refusal> {
        self.desk.add_request(&Actor::SecurityServer, server, content, None)
    }

    /// A request from an administrator.
    pub(crate) fn order(&self, server: &SecurityServerId, content: Content) -> Result<Request, Refusal> {
        self.desk.add_request(&clerk(), server, content, None)
    }

    /// The status of a request by its name in the interface.
    pub(crate) fn status(&self, id: u32) -> Option<&'static str> {
        self.desk.look().requests()[&id].status.map(crate::requests::Status::name)
    }
}

fn open(store: &MemoryStore, folder: &tempfile::TempDir, rules: Rules) -> Desk {
    open_with(Box::new(store.clone()), folder.path(), rules)
}

/// A desk on a store, with its token in the folder `keys` of a folder.
pub(crate) fn open_with(store: Box<dyn Store>, folder: &Path, rules: Rules) -> Desk {
    let clock = Clock::set_to(NOW.parse::<UtcTime>().unwrap());
    let keys = KeySettings {
        folder: folder.join("keys"),
        kind: KeyKind::P256,
        padding: Padding::Pkcs1,
        expiry: Duration::from_secs(600),
    };
    let (http, https) = ("0.0.0.0:80".parse().unwrap(), Some("0.0.0.0:443".parse().unwrap()));
    Desk::open(store, DeskSettings { rules, keys, http, https }, clock).unwrap()
}

/// A CA that issues certificates to anybody.
pub(crate) struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub(crate) der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = params(name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: rcgen::Issuer::new(params, key), der }
    }

    /// An authentication certificate.
    pub(crate) fn authentication(&self, name: &str) -> Vec<u8> {
        self.issue(name, |params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    pub(crate) fn issue(&self, name: &str, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Vec<u8> {
        let mut params = params(name);
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().to_vec()
    }
}

fn params(name: &str) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    params
}

pub(crate) fn clerk() -> Actor {
    Actor::Person("clerk".into())
}

pub(crate) fn registration(certificate: &[u8], address: &str) -> Content {
    let certificate = certificate.to_vec().into();
    Content::CertificateRegistration { certificate, address: Some(address.into()) }
}

pub(crate) fn client_registration(client: &ClientId) -> Content {
    Content::ClientRegistration { client: client.clone(), subsystem_name: None }
}

/// A refusal as code, status and metadata.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, Refusal>, expected: &str) {
    match outcome {
        Ok(done) => panic!("{expected} expected, done: {done:?}"),
        Err(refusal) => {
            let metadata = refusal.metadata().join(", ");
            let told = format!("{} {} [{metadata}]", refusal.status(), refusal.code());
            assert_eq!(told, expected, "{refusal}");
        }
    }
}
