//! A registry that starts with nothing: initialised, administered, published, federated, restarted.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use certs::key::KeyKind;
use gateway::Clock;
use gateway::configuration::{ConfigurationClient, Federations, Settings};
use gateway::http::Fetcher;
use gateway::snapshot::SnapshotCell;
use protocol::configuration::Anchor;
use protocol::id::MemberId;
use registry::instance::{
    CertificationSettings, Initialisation, Missing, SOFTWARE_TOKEN, SettingsChange, TriedAnchor,
};
use registry::publish::SourceKind;
use registry::requests::Content;
use registry::{Actor, Config, Desk, PinSource, Refusal, Registry, Running};
use tempfile::TempDir;

const PIN: &str = "Secret1234";

fn config(folder: &Path) -> Config {
    Config {
        http: "127.0.0.1:0".parse().expect("an address"),
        https: Some("127.0.0.1:0".parse().expect("an address")),
        expiry: Duration::from_secs(60),
        key: KeyKind::P256,
        ..Config::administered(folder.join("state"))
    }
}

async fn start(config: Config) -> Running {
    Registry::start(config, Clock::system()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Does commands as whoever administers does: on a thread that may block.
async fn at<T: Send + 'static>(
    running: &Running,
    act: impl FnOnce(&Desk) -> Result<T, Refusal> + Send + 'static,
) -> T {
    let desk = running.desk();
    let done = tokio::task::spawn_blocking(move || act(&desk)).await.expect("no panic");
    done.unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// An instance with one member that offers the management services.
async fn set_up(running: &Running, instance: &'static str) {
    let address = running.http().to_string();
    at(running, move |desk| {
        desk.initialise(Initialisation {
            instance: Some(instance.to_owned()),
            address: Some(address),
            pin: Some(PIN.to_owned().into()),
        })?;
        desk.add_member_class("GOV", "Government")?;
        desk.login(SOFTWARE_TOKEN, PIN)?;
        for source in SourceKind::ALL {
            desk.add_signing_key(source, SOFTWARE_TOKEN, "a key")?;
        }
        let member = desk.add_member("GOV", "1", "One")?.id;
        let provider = desk.add_subsystem(&member, "MANAGEMENT", None)?.id;
        desk.set_provider(&provider)
    })
    .await;
}

/// Waits until the last change of the instance is published; how long it took.
async fn published(running: &Running) -> Duration {
    let (started, generation) = (Instant::now(), running.desk().look().generation());
    let mut published = running.published();
    let wait = published.wait_for(|published| published.generation >= generation);
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("in time").expect("it runs");
    started.elapsed()
}

/// A security server's client of configuration.
struct Client {
    client: ConfigurationClient,
    cell: Arc<SnapshotCell>,
    _folder: TempDir,
}

impl Client {
    fn new(running: &Running, federations: Federations) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = running.anchor(SourceKind::Internal).expect("an anchor");
        let anchor = Anchor::parse(&file).expect("parses");
        let settings = Settings { federations, ..Settings::new(anchor, folder.path().to_owned()) };
        let (cell, clock) = (Arc::new(SnapshotCell::default()), Clock::system());
        let fetcher = Fetcher::new(Duration::from_secs(5), Duration::from_secs(5));
        let client = ConfigurationClient::new(settings, fetcher, Arc::clone(&cell), clock);
        Self { client, cell, _folder: folder }
    }

    async fn refresh(&mut self) {
        self.client.refresh_once().await.expect("a configuration");
    }

    fn knows(&self, instance: &str) -> bool {
        let snapshot = self.cell.load().expect("a configuration in force");
        snapshot.configuration().instance(instance).is_some()
    }

    fn member_names(&self) -> Vec<String> {
        let snapshot = self.cell.load().expect("a configuration in force");
        let own = snapshot.configuration().own().expect("the own instance");
        own.shared.members.iter().map(|member| member.name.clone()).collect()
    }
}

#[tokio::test]
async fn a_registry_that_starts_with_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(config(folder.path())).await;
    let desk = running.desk();
    assert!(!desk.is_declared() && desk.missing().contains(&Missing::Initialisation));
    let fetcher = Fetcher::new(Duration::from_secs(5), Duration::from_secs(5));
    let url = format!("http://{}/internalconf?version=6", running.http());
    let answer = fetcher.get(&url, None, 1 << 20).await.expect("an answer");
    assert_eq!(answer.status, 404, "nothing is published");

    set_up(&running, "CW").await;
    assert!(published(&running).await < Duration::from_secs(2));
    assert_eq!(desk.missing(), []);
    let mut client = Client::new(&running, Federations::None);
    client.refresh().await;
    assert_eq!(client.member_names(), ["One"]);
    let snapshot = client.cell.load().expect("in force");
    let private = snapshot.configuration().own().expect("own").private.clone().expect("parameters");
    assert_eq!(private.management_service_provider.to_string(), "CW/GOV/1/MANAGEMENT");
    let certificate = running.management_tls().expect("a pair").current().certificate().der().to_vec();
    assert_eq!(private.registration_certificate, Some(certificate));
    assert_eq!(private.registration_address, "https://127.0.0.1:4001/managementservice/");

    // A change is published at once, a registered server with it.
    at(&running, |desk| {
        let id = MemberId::new("CW", "GOV", "1").expect("an identifier");
        desk.rename_member(&id, "Uno")
    })
    .await;
    assert!(published(&running).await < Duration::from_secs(2));
    client.refresh().await;
    assert_eq!(client.member_names(), ["Uno"]);
    running.management_tls().expect("a pair").renew("cs", Clock::system().now()).expect("renews");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    client.refresh().await;
    let snapshot = client.cell.load().expect("in force");
    let private = snapshot.configuration().own().expect("own").private.clone().expect("parameters");
    let certificate = running.management_tls().expect("a pair").current().certificate().der().to_vec();
    assert_eq!(private.registration_certificate, Some(certificate));
    running.stop().await;

    // After a start nobody is logged in, and the instance is what it was.
    let running = start(config(folder.path())).await;
    assert_eq!(running.desk().missing(), [Missing::Login]);
    assert_eq!(running.published().borrow().generation, 0);
    at(&running, |desk| desk.login(SOFTWARE_TOKEN, PIN)).await;
    let mut published = running.published();
    let wait = published.wait_for(|published| published.made.is_some());
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("in time").expect("it runs");
    assert_eq!(running.desk().publication().missing, []);
    running.stop().await;

    // Unless the operator's file gives the PIN.
    use std::os::unix::fs::PermissionsExt;
    let pin = folder.path().join("pin");
    std::fs::write(&pin, PIN).expect("writes");
    std::fs::set_permissions(&pin, PermissionsExt::from_mode(0o600)).expect("sets the mode");
    let with_pin = Config { pin: Some(PinSource::File(pin)), ..config(folder.path()) };
    let running = start(with_pin).await;
    assert!(running.published().borrow().made.is_some(), "the first round is made at the start");
    running.stop().await;
}

#[tokio::test]
async fn keys_rotate_without_a_new_anchor() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(config(folder.path())).await;
    set_up(&running, "CW").await;
    at(&running, |desk| {
        desk.change_settings(SettingsChange { expiry_seconds: Some(5), ..SettingsChange::default() })
    })
    .await;
    published(&running).await;
    let mut client = Client::new(&running, Federations::None);
    client.refresh().await;

    let next = at(&running, |desk| desk.add_signing_key(SourceKind::Internal, SOFTWARE_TOKEN, "next")).await;
    let id = next.id.clone();
    let early = running.desk().activate_signing_key(&id, false);
    assert!(matches!(early, Err(Refusal::KeyTooYoung(_))));
    published(&running).await;
    client.refresh().await;
    // A configuration is valid for five seconds: whoever has one then has seen the key.
    tokio::time::sleep(Duration::from_millis(5200)).await;
    let first = at(&running, move |desk| {
        let first = desk.look().active_key(SourceKind::Internal).cloned().expect("a key");
        desk.activate_signing_key(&id, false)?;
        desk.delete_signing_key(&first.id)
    })
    .await;
    published(&running).await;
    client.refresh().await;
    let signed_with = {
        let desk = running.desk();
        let look = desk.look();
        look.active_key(SourceKind::Internal).map(|key| key.id.clone())
    };
    assert_eq!(signed_with, Some(next.id));
    // Whoever has the old anchor alone and was away the whole time needs the new one.
    let mut newcomer = Client::new(&running, Federations::None);
    newcomer.refresh().await;
    let parsed = Anchor::parse(&running.anchor(SourceKind::Internal).expect("an anchor")).expect("parses");
    assert!(
        parsed.sources.iter().all(|source| !source.verification_certs.contains(&first.certificate.to_vec()))
    );
    running.stop().await;
}

#[tokio::test]
async fn two_instances_trust_each_other_until_one_suspends() {
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let one = start(config(folders[0].path())).await;
    let two = start(config(folders[1].path())).await;
    set_up(&one, "ONE").await;
    set_up(&two, "TWO").await;
    for running in [&one, &two] {
        published(running).await;
    }
    let external = |running: &Running| {
        running.desk().look().own_anchor(SourceKind::External).expect("an anchor").file.clone()
    };
    let internal = two.desk().look().own_anchor(SourceKind::Internal).expect("an anchor").file.clone();
    let refused = TriedAnchor::with(&internal, Clock::system()).await.expect_err("not for others");
    assert_eq!(refused.code(), "trusted_anchor_verification_failed");
    let tried = TriedAnchor::with(&external(&two), Clock::system()).await.expect("leads to TWO");
    let hash = at(&one, move |desk| desk.add_trusted_anchor(tried)).await.hash();
    published(&one).await;

    let mut willing = Client::new(&one, Federations::All);
    let mut unwilling = Client::new(&one, Federations::None);
    for client in [&mut willing, &mut unwilling] {
        client.refresh().await;
    }
    assert!(willing.knows("TWO") && !unwilling.knows("TWO"), "each server opts in for itself");

    let suspended = hash.clone();
    at(&one, move |desk| desk.suspend_federation(&suspended, true)).await;
    assert!(published(&one).await < Duration::from_secs(2));
    willing.refresh().await;
    assert!(!willing.knows("TWO"), "a suspended partner is forgotten with the next refresh");
    let again = hash.clone();
    at(&one, move |desk| desk.suspend_federation(&again, false)).await;
    published(&one).await;
    willing.refresh().await;
    assert!(willing.knows("TWO"));
    at(&one, move |desk| desk.delete_trusted_anchor(&hash)).await;
    published(&one).await;
    willing.refresh().await;
    assert!(!willing.knows("TWO"));
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_declared_instance_is_looked_at_and_not_changed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let instance = "instance = 'CW'\n[[member-class]]\ncode = 'GOV'\ndescription = 'x'\n[[member]]\nclass = 'GOV'\n\
                    code = '1'\nname = 'One'\n[management]\nprovider = 'CW/GOV/1'\n";
    std::fs::write(path("instance.toml"), instance).expect("writes");
    std::fs::write(path("pin"), PIN).expect("writes");
    std::fs::set_permissions(path("pin"), PermissionsExt::from_mode(0o600)).expect("sets the mode");
    let declared = Config::new(path("state"), path("instance.toml"), PinSource::File(path("pin")));
    let Config { instance_file, pin, state_folder, .. } = declared;
    let running = start(Config { instance_file, pin, state_folder, ..config(folder.path()) }).await;
    let desk = running.desk();
    assert!(desk.is_declared());
    let one = MemberId::new("CW", "GOV", "1").expect("an identifier");
    assert_eq!(desk.look().member(&one).map(|entry| entry.member.name.clone()).as_deref(), Some("One"));
    assert_eq!(desk.look().signing_keys().len(), 4);
    let file = desk.look().own_anchor(SourceKind::Internal).expect("an anchor").file.clone();
    let shown = Anchor::parse(&file).expect("parses");
    let handed = Anchor::parse(&running.anchor(SourceKind::Internal).expect("an anchor")).expect("parses");
    assert_eq!(shown.sources, handed.sources);
    let server = protocol::id::SecurityServerId::new(one.clone(), "SS").expect("an identifier");
    let clerk = Actor::Person("clerk".into());
    let settings = CertificationSettings::default();
    let refusals = [
        desk.add_member("GOV", "2", "Two").err(),
        desk.delete_member(&one).err(),
        desk.add_request(&clerk, &server, Content::MaintenanceModeDisable, None).err(),
        desk.approve_request(&clerk, 1).err(),
        desk.add_certification_service(b"", settings).err(),
        desk.login(SOFTWARE_TOKEN, PIN).err(),
        desk.add_signing_key(SourceKind::Internal, SOFTWARE_TOKEN, "x").err(),
        desk.set_address("elsewhere").err(),
        desk.initialise(Initialisation { instance: None, address: None, pin: None }).err(),
    ];
    for refusal in refusals {
        let refusal = refusal.expect("a refusal");
        assert_eq!((refusal.code(), refusal.status()), ("declared_in_file", 409));
    }
    // A new declaration shows.
    std::fs::write(path("instance.toml"), instance.replace("'One'", "'Uno'")).expect("writes");
    let mut changes = desk.changes();
    let wait = changes.wait_for(|generation| *generation == 2);
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("in time").expect("it runs");
    assert_eq!(desk.look().member(&one).map(|entry| entry.member.name.clone()).as_deref(), Some("Uno"));
    running.stop().await;
}
