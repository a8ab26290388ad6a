//! A federation of one instance with a consumer's and a provider's server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use certs::ca::{PilotCa, Purpose};
use certs::certificate::{Certificate, CertificateUsage};
use certs::key::{KeyKind, PrivateKey};
use certs::profile::{Profile, RequestFor};
use gateway::ocsp::{OwnResponses, OwnSettings, PeerResponses, PeerSettings, Relay};
use gateway::ports::{ConnectionType, LocalClient, LocalService, ServiceTls, ServiceType};
use gateway::replays::Replays;
use gateway::snapshot::{Snapshot, SnapshotCell};
use gateway::tls::{CipherSuites, Identity, IdentityCell};
use gateway::{Clock, Gateway, GatewayParts, RunningGateway, Settings};
use protocol::configuration::{
    ApprovedCa, CaCertificate, GlobalConfiguration, Instance, Member, NodeClasses, OcspResponder,
    RegisteredServer, SharedParameters, Source, Subsystem,
};
use protocol::id::{ClientId, MemberId, SecurityServerId, ServiceId};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::parts::{Directory, Keys, Log, SigningKey};
use crate::service::System;

pub(crate) const PEER_PORT: u16 = 25_500;
pub(crate) const OCSP_PORT: u16 = 25_577;
pub(crate) const CLIENT_PORT: u16 = 28_080;
pub(crate) const CLIENT_TLS_PORT: u16 = 28_443;
pub(crate) const HEALTH_PORT: u16 = 25_588;

pub(crate) fn member(code: &str) -> MemberId {
    MemberId::new("CW", "COM", code).unwrap()
}

/// A server of a member.
pub(crate) fn server(member_code: &str, code: &str) -> SecurityServerId {
    SecurityServerId::new(member(member_code), code).unwrap()
}

/// `CW/COM/1/client`
pub(crate) fn client() -> ClientId {
    ClientId::new(member("1"), Some("client")).unwrap()
}

/// `CW/COM/2/service`
pub(crate) fn provider() -> ClientId {
    ClientId::new(member("2"), Some("service")).unwrap()
}

pub(crate) fn service(code: &str) -> ServiceId {
    ServiceId::new(provider(), code, None).unwrap()
}

/// One security server.
pub(crate) struct Node {
    pub id: SecurityServerId,
    pub ip: String,
    pub directory: Arc<Directory>,
    pub log: Arc<Log>,
    pub keys: Arc<Keys>,
    pub snapshot: Arc<SnapshotCell>,
    pub own_ocsp: Arc<OwnResponses>,
    pub authentication: (Arc<PrivateKey>, Certificate),
    pub identity: Arc<IdentityCell>,
    pub gateway: Option<RunningGateway>,
    responses: PathBuf,
    pub internal: Identity,
    stop: watch::Sender<bool>,
}

/// What a test wants to be different.
pub(crate) struct Wishes {
    pub settings: fn(&mut Settings),
    pub classes: Option<NodeClasses>,
    pub key: KeyKind,
    pub suites: CipherSuites,
    /// Of the provider's server, if it has others.
    pub provider_suites: Option<CipherSuites>,
    #[cfg_attr(
        not(feature = "legacy-transport"),
        expect(dead_code, reason = "only the old channel reads it")
    )]
    pub has_legacy_transport: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            settings: |_| {},
            classes: None,
            key: KeyKind::P256,
            suites: CipherSuites::default(),
            provider_suites: None,
            has_legacy_transport: false,
        }
    }
}

pub(crate) struct Federation {
    pub ca: PilotCa,
    pub shared: Mutex<SharedParameters>,
    pub classes: Option<NodeClasses>,
    pub consumer: Node,
    pub provider: Node,
    pub system: System,
    folder: TempDir,
}

/// A fresh loopback address: tests run at the same time.
fn fresh_ip() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{}.{number}", 64 + process % 64, process / 64 % 250)
}

/// A key with a certificate of the authority.
pub(crate) fn issue(
    ca: &PilotCa,
    server: &SecurityServerId,
    usage: CertificateUsage,
    kind: KeyKind,
) -> (PrivateKey, Certificate) {
    let key = PrivateKey::generate(kind).unwrap();
    let certificate = certify(ca, server, usage, &key);
    (key, certificate)
}

/// A certificate of the authority for a key.
pub(crate) fn certify(
    ca: &PilotCa,
    server: &SecurityServerId,
    usage: CertificateUsage,
    key: &PrivateKey,
) -> Certificate {
    let of = RequestFor {
        server,
        member: server.owner(),
        member_name: "Somebody",
        dns_name: "localhost",
        country: "FI",
    };
    let subject = Profile::Ejbca.subject(usage, &of).unwrap();
    let request = certs::request::create(key, &subject, usage).unwrap();
    let purpose = match usage {
        CertificateUsage::Authentication => Purpose::Authentication,
        CertificateUsage::Signing => Purpose::Signing,
    };
    ca.issue(&request, purpose, Clock::system().now()).unwrap()
}

pub(crate) fn ocsp_response(ca: &PilotCa, certificate: &Certificate) -> Bytes {
    let request = certs::ocsp::request(certificate, ca.certificate());
    Bytes::from(ca.ocsp_answer(&request, Clock::system().now()))
}

/// Leaves the response where a node finds it at its start.
fn keep_response(folder: &Path, ca: &PilotCa, certificate: &Certificate) {
    let name = format!("{}.ocsp", certificate.hashes().sha1.to_hex());
    std::fs::write(folder.join(name), ocsp_response(ca, certificate)).unwrap();
}

/// A self-signed TLS certificate for the side of information systems.
pub(crate) fn self_signed() -> Identity {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    Identity::new(vec![Bytes::copy_from_slice(certificate.der())], &key.serialize_der()).unwrap()
}

impl Node {
    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        format!("{}:{port}", self.ip).parse().unwrap()
    }

    fn prepare(
        ca: &PilotCa,
        id: SecurityServerId,
        folder: &TempDir,
        key: KeyKind,
    ) -> (Self, RegisteredServer) {
        let ip = fresh_ip();
        let (authentication_key, authentication) =
            issue(ca, &id, CertificateUsage::Authentication, KeyKind::P256);
        let (signing_key, signing) = issue(ca, &id, CertificateUsage::Signing, key);
        let signing = SigningKey {
            algorithm: signing_key.default_algorithm(),
            key: Arc::new(signing_key),
            response: ocsp_response(ca, &signing),
            certificate: signing,
        };
        let client = if *id.owner() == member("1") { client() } else { provider() };
        let registered = RegisteredServer {
            id: id.clone(),
            address: Some(ip.clone()),
            certificate_hashes: vec![authentication.hashes().sha256.bytes().to_vec()],
            clients: vec![client.clone()],
            maintenance: None,
        };
        let responses = folder.path().join(format!("ocsp-{ip}"));
        std::fs::create_dir_all(&responses).unwrap();
        keep_response(&responses, ca, &authentication);
        let snapshot = Arc::new(SnapshotCell::new());
        let fetcher = gateway::http::Fetcher::new(Duration::from_secs(1), Duration::from_secs(1));
        let clock = Clock::system();
        let own_ocsp = OwnResponses::new(
            OwnSettings::in_folder(responses.clone()),
            fetcher,
            Arc::clone(&snapshot),
            clock,
        );
        let local = LocalClient {
            id: client.clone(),
            connection_type: ConnectionType::Http,
            certificates: Vec::new(),
        };
        let directory = Directory {
            server: id.clone(),
            clients: Mutex::new(HashMap::from([(client, Arc::new(local))])),
            services: Mutex::default(),
            rights: Mutex::default(),
        };
        let keys = Keys {
            keys: Mutex::new(HashMap::from([(id.owner().clone(), signing)])),
            spoils: AtomicBool::new(false),
            intermediates: Mutex::default(),
        };
        let node = Self {
            id,
            ip,
            directory: Arc::new(directory),
            log: Arc::new(Log::default()),
            keys: Arc::new(keys),
            identity: Arc::new(IdentityCell::new(Arc::clone(&snapshot))),
            responses,
            snapshot,
            own_ocsp: Arc::new(own_ocsp),
            authentication: (Arc::new(authentication_key), authentication),
            gateway: None,
            internal: self_signed(),
            stop: watch::channel(false).0,
        };
        (node, registered)
    }

    pub(crate) fn start(&mut self, wishes: &Wishes) {
        let (key, certificate) = &self.authentication;
        self.own_ocsp.set_certificates(vec![certificate.clone()]);
        let of_provider = wishes.provider_suites.as_ref().filter(|_| self.id.owner() == &member("2"));
        let suites = of_provider.unwrap_or(&wishes.suites).clone();
        let identity = IdentityCell::with_suites(Arc::clone(&self.snapshot), suites);
        #[cfg(feature = "legacy-transport")]
        let identity = identity.with_legacy_transport(wishes.has_legacy_transport);
        self.identity = Arc::new(identity);
        self.identity
            .store(&Identity::new(vec![certificate.der().clone()], &key.pkcs8().unwrap()).unwrap())
            .unwrap();
        let mut settings = Settings {
            clients_http: Some(self.address(CLIENT_PORT)),
            clients_https: Some(self.address(CLIENT_TLS_PORT)),
            messages: self.address(PEER_PORT),
            health: Some(self.address(HEALTH_PORT)),
            peer_port: PEER_PORT,
            ocsp_port: OCSP_PORT,
            workers: 1,
            ..Settings::default()
        };
        (wishes.settings)(&mut settings);
        let relay = gateway::http::bind(self.address(OCSP_PORT), false).unwrap();
        let own = Arc::clone(&self.own_ocsp);
        tokio::spawn(Relay::new(own, Clock::system()).serve(relay, self.stop.subscribe()));
        let parts = GatewayParts {
            settings,
            clock: Clock::system(),
            snapshot: Arc::clone(&self.snapshot),
            identity: Arc::clone(&self.identity),
            internal: Some(self.internal.clone()),
            signer: self.keys.clone(),
            log: self.log.clone(),
            directory: self.directory.clone(),
            own_ocsp: Arc::clone(&self.own_ocsp),
            peer_ocsp: Arc::new(PeerResponses::new(PeerSettings::default())),
            replays: Arc::new(Replays::new(1000)),
        };
        self.gateway = Some(Gateway::start(parts).unwrap());
    }

    /// Stops; may be started again.
    pub(crate) async fn halt(&mut self) {
        self.gateway.take().unwrap().stop().await;
        self.stop.send_replace(true);
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.stop.send_replace(false);
    }

    /// Authenticates itself with another key from the next connection on. It must be registered.
    pub(crate) fn authenticate_with(&self, ca: &PilotCa, key: &PrivateKey, certificate: &Certificate) {
        keep_response(&self.responses, ca, certificate);
        self.own_ocsp.set_certificates(vec![certificate.clone()]);
        let identity = Identity::new(vec![certificate.der().clone()], &key.pkcs8().unwrap()).unwrap();
        self.identity.store(&identity).unwrap();
    }

    /// Counters of the running gateway.
    pub(crate) fn counts(&self) -> gateway::stats::Counts {
        self.gateway.as_ref().unwrap().counts()
    }
}

impl Federation {
    pub(crate) fn start() -> Self {
        Self::with(Wishes::default())
    }

    pub(crate) fn with(wishes: Wishes) -> Self {
        let folder = TempDir::new().unwrap();
        let now = Clock::system().now();
        let settings = certs::ca::Settings::for_instance("CW");
        let ca = PilotCa::create(&folder.path().join("ca"), "1234", &settings, now).unwrap();
        let (mut consumer, consumer_server) = Node::prepare(&ca, server("1", "ss"), &folder, wishes.key);
        let (mut provider_node, provider_server) = Node::prepare(&ca, server("2", "ss"), &folder, wishes.key);
        let approved = ApprovedCa {
            name: "pilot".to_owned(),
            top: CaCertificate {
                certificate: ca.certificate().der().to_vec(),
                ocsp: vec![OcspResponder {
                    url: "http://127.0.0.1:1/".to_owned(),
                    certificate: Some(ca.ocsp_certificate().der().to_vec()),
                    ..OcspResponder::default()
                }],
            },
            certificate_profile: settings.certificate_profile.clone(),
            ..ApprovedCa::default()
        };
        let member = |code: &str, subsystem: &str| Member {
            id: member(code),
            name: code.to_owned(),
            subsystems: vec![Subsystem { code: subsystem.to_owned(), name: None }],
        };
        let shared = SharedParameters {
            instance: "CW".to_owned(),
            sources: vec![Source {
                address: "cs.example".to_owned(),
                internal_verification_certs: vec![ca.certificate().der().to_vec()],
                external_verification_certs: vec![ca.certificate().der().to_vec()],
            }],
            approved_cas: vec![approved],
            members: vec![member("1", "client"), member("2", "service")],
            servers: vec![consumer_server, provider_server],
            ocsp_freshness_seconds: 3600,
            ..SharedParameters::default()
        };
        let system = System::start(&provider_node.ip);
        let registered = LocalService {
            id: service("echo"),
            url: format!("http://{}/api", system.address),
            timeout: Duration::from_secs(2),
            tls: ServiceTls::Pinned,
            disabled: None,
            service_type: ServiceType::Rest,
            description_url: None,
            endpoints: Vec::new(),
        };
        let directory = &provider_node.directory;
        directory.services.lock().unwrap().insert(service("echo"), Arc::new(registered));
        directory.rights.lock().unwrap().insert((client(), service("echo")));
        let federation_parts = (Mutex::new(shared), wishes.classes.clone());
        for node in [&consumer, &provider_node] {
            publish(&federation_parts.0.lock().unwrap(), federation_parts.1.as_ref(), node, 3600);
        }
        consumer.start(&wishes);
        provider_node.start(&wishes);
        let (shared, classes) = federation_parts;
        Self { ca, shared, classes, consumer, provider: provider_node, system, folder }
    }

    /// Gives both nodes what stands in `shared` now.
    pub(crate) fn publish(&self) {
        for node in [&self.consumer, &self.provider] {
            publish(&self.shared.lock().unwrap(), self.classes.as_ref(), node, 3600);
        }
    }

    /// Registers another server of the provider, with the same services, before those that are there.
    /// It is not started, and nothing is published.
    pub(crate) fn another_server(&self, code: &str) -> Node {
        let (node, registered) = Node::prepare(&self.ca, server("2", code), &self.folder, KeyKind::P256);
        let (directory, known) = (&node.directory, &self.provider.directory);
        directory.services.lock().unwrap().clone_from(&known.services.lock().unwrap());
        directory.rights.lock().unwrap().clone_from(&known.rights.lock().unwrap());
        self.shared.lock().unwrap().servers.insert(1, registered);
        node
    }

    /// Stops the provider's server and starts it again.
    pub(crate) async fn restart_provider(&mut self) {
        self.provider.halt().await;
        self.provider.start(&Wishes::default());
    }

    /// Changes a service that the provider's node knows.
    pub(crate) fn change_service(&self, change: impl FnOnce(&mut LocalService)) {
        let mut services = self.provider.directory.services.lock().unwrap();
        let mut changed = LocalService::clone(&services[&service("echo")]);
        change(&mut changed);
        services.insert(changed.id.clone(), Arc::new(changed));
    }

    pub(crate) async fn stop(mut self) {
        for node in [&mut self.consumer, &mut self.provider] {
            node.gateway.take().unwrap().stop().await;
        }
    }
}

/// Puts parameters into force at a node, for so many seconds.
pub(crate) fn publish(shared: &SharedParameters, classes: Option<&NodeClasses>, node: &Node, seconds: u64) {
    let expires = Clock::system().now().plus(Duration::from_secs(seconds));
    let mut instance = Instance::new(shared.clone(), 6, expires);
    instance.node_classes = classes.cloned();
    let configuration = GlobalConfiguration {
        own_instance: "CW".to_owned(),
        instances: HashMap::from([("CW".to_owned(), Arc::new(instance))]),
    };
    node.snapshot.store(Arc::new(Snapshot::new(Arc::new(configuration))));
}
