//! The life of a security server at a registry, from its first request to its last: registry, servers and
//! authority are real, every request travels as it does in the field.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway::ca;
use certs::ca::Purpose;
use certs::certificate::{Certificate, CertificateUsage};
use certs::key::KeyKind;
use certs::profile::{Profile, RequestFor};
use certs::token::SoftwareToken;
use gateway::Clock;
use gateway::http::Fetcher;
use gateway::ports::{Direction, Side};
use protocol::configuration::{CostType, RegisteredServer, directory, shared};
use protocol::fault::code;
use protocol::id::{ClientId, MemberId, SecurityServerId};
use registry::instance::{Authority, CertificationSettings, Initialisation, SOFTWARE_TOKEN, ServerEntry};
use registry::management::{Place, Settings};
use registry::publish::SourceKind;
use registry::{Actor, Desk, PinSource, Refusal, Registry};
use security_server::SecurityServer;
use security_server::management::{ManagementError, Registration, RequestId};
use security_server::message_log::{Filter, Reader};
use security_server::node::{Readiness, Running};

const PIN: &str = "Secret1234";
const MESSAGES: u16 = 16_500;
const OCSP: u16 = 16_577;
/// Loopback addresses of this test: authority, registry, servers.
const NETWORK: &str = "127.0.88";

fn member(class: &str, code: &str) -> MemberId {
    MemberId::new("CW", class, code).unwrap()
}

fn subsystem(member: &MemberId, code: &str) -> ClientId {
    ClientId::new(member.clone(), Some(code)).unwrap()
}

/// Who administers the registry.
fn clerk() -> Actor {
    Actor::Person("clerk".to_owned())
}

struct World {
    folder: tempfile::TempDir,
    authority: ca::Running,
    registry: registry::Running,
}

impl World {
    /// A registry that was initialised and knows the members, and whom to trust.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "listen = \"{NETWORK}.1:0\"\nfolder = {:?}\npin = \"1234\"\ninstance = \"CW\"\n",
            folder.path().join("ca")
        );
        let authority = ca::start(ca::Config::parse(&settings).unwrap(), Clock::system()).await.unwrap();
        let pin = folder.path().join("pin");
        std::fs::write(&pin, PIN).unwrap();
        std::fs::set_permissions(&pin, std::fs::Permissions::from_mode(0o600)).unwrap();
        let config = registry::Config {
            http: format!("{NETWORK}.2:0").parse().unwrap(),
            https: None,
            key: KeyKind::P256,
            pin: Some(PinSource::File(pin)),
            management_services: Settings {
                registration: Place::At(format!("{NETWORK}.2:4001").parse().unwrap()),
                management: Place::At(format!("{NETWORK}.2:4002").parse().unwrap()),
                requests_per_minute: 1000,
                ..Settings::default()
            },
            ..registry::Config::administered(folder.path().join("registry"))
        };
        let registry = Registry::start(config, Clock::system()).await.unwrap();
        let world = Self { folder, authority, registry };
        world.found().await;
        world
    }

    async fn found(&self) {
        let address = self.registry.http().to_string();
        let (at, pilot) = (self.authority.address(), self.authority.authority());
        let der = |certificate: &Certificate| certificate.der().to_vec();
        let (root, ocsp) = (der(pilot.certificate()), der(pilot.ocsp_certificate()));
        let timestamps = der(pilot.timestamp_certificate());
        self.at(move |desk| {
            let (instance, pin) = (Some("CW".to_owned()), Some(PIN.to_owned().into()));
            desk.initialise(Initialisation { instance, address: Some(address), pin })?;
            desk.login(SOFTWARE_TOKEN, PIN)?;
            for source in SourceKind::ALL {
                desk.add_signing_key(source, SOFTWARE_TOKEN, "key")?;
            }
            for class in ["GOV", "COM"] {
                desk.add_member_class(class, class)?;
            }
            for (class, code) in [("GOV", "1001"), ("COM", "2002"), ("COM", "3003")] {
                desk.add_member(class, code, &format!("Member {code}"))?;
            }
            let settings =
                CertificationSettings { profile: "Ejbca".to_owned(), ..CertificationSettings::default() };
            let service = desk.add_certification_service(&root, settings)?;
            let url = format!("http://{at}/ocsp");
            desk.add_responder(Authority::Service(service.id), &url, Some(&ocsp), CostType::Free)?;
            desk.add_timestamping_service(&format!("http://{at}/tsa"), &timestamps, CostType::Free)?;
            let provider = desk.add_subsystem(&member("GOV", "1001"), "management", None)?.id;
            desk.set_provider(&provider)
        })
        .await
        .unwrap();
        self.published().await;
        let anchor = self.registry.anchor(SourceKind::Internal).unwrap();
        std::fs::write(self.path("anchor.xml"), anchor).unwrap();
        let pinned = self.registry.management_tls().unwrap().current().certificate().to_pem();
        std::fs::write(self.path("management.pem"), pinned).unwrap();
        let second = Duration::from_secs(5);
        let url = format!("http://{}/managementservices.wsdl", self.registry.http());
        let wsdl = Fetcher::new(second, second).get(&url, None, 1 << 20).await.unwrap();
        assert_eq!((wsdl.status.as_u16(), wsdl.headers["content-type"].as_bytes()), (200, &b"text/xml"[..]));
        std::fs::write(self.path("management.wsdl"), wsdl.body).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn at<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Desk) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let desk = self.registry.desk();
        tokio::task::spawn_blocking(move || act(&desk)).await.unwrap()
    }

    /// Waits until the last change is published.
    async fn published(&self) {
        let generation = self.registry.desk().look().generation();
        let mut published = self.registry.published();
        let wait = published.wait_for(|published| published.generation >= generation);
        tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap().unwrap();
    }

    /// Approves the request that a server was told the number of.
    async fn approve(&self, id: RequestId) {
        let id = u32::try_from(id.unwrap()).unwrap();
        self.at(move |desk| desk.approve_request(&clerk(), id)).await.unwrap();
        self.published().await;
    }

    fn entry(&self, server: &SecurityServerId) -> Option<ServerEntry> {
        self.registry.desk().look().server(server).cloned()
    }

    /// The server as security servers are told.
    async fn told(&self, server: &SecurityServerId) -> Option<RegisteredServer> {
        self.published().await;
        let published = self.registry.published().borrow().clone();
        let text = published.directory(SourceKind::External, 6).unwrap().clone();
        let text = String::from_utf8_lossy(&text).into_owned();
        let location = text.lines().find_map(|line| {
            let path = line.strip_prefix("Content-location: ")?;
            path.ends_with(directory::SHARED_PARAMETERS_FILE).then_some(path)
        });
        let second = Duration::from_secs(5);
        let url = format!("http://{}{}", self.registry.http(), location.unwrap());
        let file = Fetcher::new(second, second).get(&url, None, 1 << 20).await.unwrap();
        let parameters = shared::parse(&file.body, 6).unwrap();
        parameters.servers.into_iter().find(|known| known.id == *server)
    }

    /// Starts a server with keys of these members; the first one owns it.
    async fn server(&self, host: u8, members: &[MemberId], more: &str) -> Server {
        let owner = &members[0];
        let id = SecurityServerId::new(owner.clone(), &format!("ss{host}")).unwrap();
        let folder = self.path(&format!("ss{host}"));
        let token = enrol_all(&folder, &id, members, &self.authority);
        let text = format!(
            "[server]\ninstance = \"CW\"\nclass = \"{}\"\nmember = \"{}\"\ncode = \"ss{host}\"\n\
             state = \"ss{host}\"\nanchor = \"anchor.xml\"\n[token]\npin-file = \"pin\"\n\
             [listen]\naddress = \"{NETWORK}.{host}\"\nhttp = 0\nhttps = 0\nmessages = {MESSAGES}\nocsp = {OCSP}\n\
             [configuration]\nrefresh-seconds = 1\n\
             [data-plane]\nworkers = 1\npeer-messages-port = {MESSAGES}\npeer-ocsp-port = {OCSP}\n\
             [message-log]\nsegment-megabytes = 1\nfree-space-floor-megabytes = 1\n{more}\n",
            owner.class(),
            owner.code(),
        );
        let file = self.path(&format!("ss{host}.toml"));
        std::fs::write(&file, text).unwrap();
        let config = security_server::config::Config::read(&file).unwrap_or_else(|error| panic!("{error}"));
        let running = SecurityServer::start(config, Clock::system()).await.unwrap();
        Server { id, running, authentication: token, address: format!("{NETWORK}.{host}") }
    }
}

/// Makes keys for all members on a new token, and one for authentication, which is given back.
fn enrol_all(
    folder: &Path,
    server: &SecurityServerId,
    members: &[MemberId],
    authority: &ca::Running,
) -> Registration {
    let token = security_server::enrol::open_or_create_token(&folder.join("token"), PIN).unwrap();
    for member in members {
        enrol(&token, CertificateUsage::Signing, server, member, authority);
    }
    let certificate = enrol(&token, CertificateUsage::Authentication, server, server.owner(), authority);
    registration_of(&token, certificate)
}

fn enrol(
    token: &SoftwareToken,
    usage: CertificateUsage,
    server: &SecurityServerId,
    member: &MemberId,
    authority: &ca::Running,
) -> Certificate {
    let of = RequestFor { server, member, member_name: "", dns_name: "", country: "" };
    let now = Clock::system().now();
    let requested =
        security_server::enrol::request(token, KeyKind::P256, usage, Profile::Ejbca, &of).unwrap();
    let purpose = match usage {
        CertificateUsage::Authentication => Purpose::Authentication,
        CertificateUsage::Signing => Purpose::Signing,
    };
    let issued = authority.authority().issue(requested.to_pem().as_bytes(), purpose, now).unwrap();
    security_server::enrol::import_unchecked(token, &issued, now).unwrap();
    issued
}

fn registration_of(token: &SoftwareToken, certificate: Certificate) -> Registration {
    let holds =
        |key: &certs::token::TokenKey| key.certificates.iter().any(|held| held.certificate == certificate);
    let key = token.keys().into_iter().find(holds).unwrap();
    Registration { key: Arc::clone(&key.key), certificate, address: String::new(), dry_run: false }
}

struct Server {
    id: SecurityServerId,
    running: Running,
    authentication: Registration,
    address: String,
}

impl Server {
    /// Registers its first certificate, and waits until it takes part in exchanges.
    async fn join(&mut self, world: &World) {
        self.authentication.address.clone_from(&self.address);
        let management = self.running.management();
        management.probe_registration_service().await.unwrap();
        // The responder has to be asked for the owner's certificate first.
        let number =
            eventually(async || management.register_auth_certificate(&self.authentication).await).await;
        assert!(world.entry(&self.id).is_none(), "nothing changes before somebody decided");
        let again = management.register_auth_certificate(&self.authentication).await.unwrap_err();
        assert_eq!(again.registry_code(), Some("management_request_exists"), "{again}");
        world.approve(number).await;
        let mut readiness = self.running.readiness();
        let ready = readiness.wait_for(|readiness| *readiness == Readiness::Ready);
        tokio::time::timeout(Duration::from_secs(60), ready).await.unwrap().unwrap();
    }
}

/// Asks until the servers on the way have heard of each other.
async fn eventually(ask: impl AsyncFn() -> Result<RequestId, ManagementError>) -> RequestId {
    let started = Instant::now();
    loop {
        match ask().await {
            Ok(number) => return number,
            Err(error) if started.elapsed() > Duration::from_secs(30) => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
        }
    }
}

#[track_caller]
fn refused(asked: Result<RequestId, ManagementError>, expected: &str) {
    let error = asked.expect_err("refused");
    assert_eq!(error.registry_code(), Some(expected), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_lives_by_its_requests() {
    let world = World::new().await;
    let [ministry, shop, other] = [member("GOV", "1001"), member("COM", "2002"), member("COM", "3003")];

    // The server that offers the management services, and the one that uses them.
    let services = format!(
        "[[client]]\nid = \"CW/GOV/1001/management\"\nconnection = \"http\"\ncertificates = [\"management.pem\"]\n\
         [[client.description]]\ntype = \"wsdl\"\nurl = \"http://{}/managementservices.wsdl\"\n\
         file = \"management.wsdl\"\nservice-url = \"https://{NETWORK}.2:4002/managementservice/manage/\"\n\
         allow = [{{ global-group = \"CW/security-server-owners\" }}]\n",
        world.registry.http()
    );
    let mut provider = world.server(11, std::slice::from_ref(&ministry), &services).await;
    provider.join(&world).await;
    let id = provider.id.clone();
    world.at(move |desk| desk.register_provider(&clerk(), &id)).await.unwrap();
    let mut server = world.server(12, &[shop.clone(), other.clone()], "").await;
    server.join(&world).await;
    let management = server.running.management();
    let id = server.id.clone();

    // A client: registered, disabled, enabled, renamed.
    let client = subsystem(&shop, "shop");
    let number = eventually(async || management.register_client(&client, Some("Shop")).await).await;
    refused(management.register_client(&client, None).await, "management_request_exists");
    world.approve(number).await;
    refused(management.register_client(&client, None).await, "management_request_client_already_registered");
    assert_eq!(world.told(&id).await.unwrap().clients, std::slice::from_ref(&client));
    management.disable_client(&client).await.unwrap();
    assert_eq!(world.told(&id).await.unwrap().clients, []);
    assert!(!world.entry(&id).unwrap().clients[&client].enabled);
    management.enable_client(&client).await.unwrap();
    assert_eq!(world.told(&id).await.unwrap().clients, std::slice::from_ref(&client));
    management.rename_client(&client, "Corner shop").await.unwrap();
    let name = world.registry.desk().look().subsystem(&client).unwrap().name.clone();
    assert_eq!(name.as_deref(), Some("Corner shop"));

    // The server itself: elsewhere, away, back.
    management.change_address("192.0.2.77").await.unwrap();
    assert_eq!(world.told(&id).await.unwrap().address.as_deref(), Some("192.0.2.77"));
    management.enable_maintenance(Some("until noon")).await.unwrap();
    assert_eq!(world.told(&id).await.unwrap().maintenance.as_deref(), Some("until noon"));
    let again = management.enable_maintenance(None).await;
    refused(again, "management_request_server_already_in_maintenance_mode");
    management.disable_maintenance().await.unwrap();
    assert_eq!(world.told(&id).await.unwrap().maintenance, None);

    // A second certificate comes and goes.
    let token = SoftwareToken::open(&world.path("ss12/token"), PIN).unwrap();
    let second = enrol(&token, CertificateUsage::Authentication, &id, &shop, &world.authority);
    let registration = Registration { address: "192.0.2.78".into(), ..registration_of(&token, second) };
    let dry = Registration { dry_run: true, ..copy(&registration) };
    assert_eq!(management.register_auth_certificate(&dry).await.unwrap(), Some(0));
    let number = management.register_auth_certificate(&registration).await.unwrap();
    world.approve(number).await;
    let entry = world.entry(&id).unwrap();
    assert_eq!((entry.certificates.len(), entry.server.address.as_deref()), (2, Some("192.0.2.78")));
    management.delete_auth_certificate(&registration.certificate).await.unwrap();
    assert_eq!(world.told(&id).await.unwrap().certificate_hashes.len(), 1);
    let gone = management.delete_auth_certificate(&registration.certificate).await;
    refused(gone, "management_request_invalid_auth_certificate");

    // What the rules protect.
    let own = provider.running.management();
    let forbidden = own.enable_maintenance(None).await;
    refused(forbidden, "mr_forbidden_enable_maintenance_mode_for_management_service");
    let forbidden = own.disable_client(&subsystem(&ministry, "management")).await;
    refused(forbidden, "mr_forbidden_disable_management_service_client");
    let nowhere = management.change_address("ss1:5500").await.unwrap_err();
    assert_eq!(nowhere.fault().map(|fault| fault.code.as_ref()), Some(code::INVALID_REQUEST));
    let foreign = management.register_client(&subsystem(&ministry, "permits"), None).await.unwrap_err();
    assert_eq!(foreign.fault().map(|fault| fault.code.as_ref()), Some(code::UNKNOWN_MEMBER), "no key here");

    // The client goes; another member comes and becomes the owner.
    management.delete_client(&client).await.unwrap();
    assert_eq!(world.told(&id).await.unwrap().clients, []);
    let gone = management.delete_client(&client).await;
    refused(gone, "management_request_client_registration_not_found");
    refused(management.change_owner(&other).await, "management_request_owner_must_be_client");
    let number = management.register_client(&other.clone().into(), None).await.unwrap();
    world.approve(number).await;
    let number = management.change_owner(&other).await.unwrap();
    world.approve(number).await;
    let changed = SecurityServerId::new(other, "ss12").unwrap();
    assert!(world.told(&id).await.is_none());
    assert_eq!(world.told(&changed).await.unwrap().clients, [ClientId::from(shop)]);

    server.running.stop().await;
    provider.running.stop().await;

    // Every call is evidence, here and at the provider's server.
    let calls = |folder: &str, side| {
        let log = Reader::open(&world.path(folder)).unwrap();
        assert!(log.verify(None).unwrap().is_good());
        let filter = Filter { side: Some(side), direction: Some(Direction::Request), ..Filter::default() };
        let codes: Vec<String> =
            log.list(filter).map(|found| found.unwrap().details.service.code().to_owned()).collect();
        codes
    };
    let sent = calls("ss12/messagelog", Side::Consumer);
    for code in [
        "clientReg",
        "clientDeletion",
        "clientDisable",
        "clientEnable",
        "clientRename",
        "authCertDeletion",
        "ownerChange",
        "addressChange",
        "maintenanceModeEnable",
        "maintenanceModeDisable",
    ] {
        assert!(sent.iter().any(|logged| logged == code), "{code} among {sent:?}");
    }
    assert!(calls("ss11/messagelog", Side::Provider).len() >= sent.len());
    world.registry.stop().await;
}

fn copy(registration: &Registration) -> Registration {
    let Registration { key, certificate, address, dry_run } = registration;
    Registration {
        key: Arc::clone(key),
        certificate: certificate.clone(),
        address: address.clone(),
        dry_run: *dry_run,
    }
}
