//! A configuration proxy between two federated registries and their clients, over real sockets.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use certs::key::{KeyKind, PrivateKey};
use certs::self_signed;
use gateway::Clock;
use gateway::configuration::trial::Trial;
use gateway::configuration::{ConfigurationClient, Contents, Federations, Settings};
use gateway::http::Fetcher;
use gateway::snapshot::SnapshotCell;
use protocol::configuration::{Anchor, ConfigurationError, Instance};
use registry::keys::SigningKeys;
use registry::proxy::{self, Proxy};
use registry::publish::SourceKind;
use registry::{PinSource, Registry};

const PIN: &str = "Pilot-2026-pin";

/// Everything of this test, in one folder.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        std::fs::write(place.path("pin"), PIN).expect("writes");
        std::fs::set_permissions(place.path("pin"), Permissions::from_mode(0o600)).expect("sets the mode");
        let key = PrivateKey::generate(KeyKind::P256).expect("a key");
        let ca = self_signed::key_container(&key, "CA").expect("a certificate");
        std::fs::write(place.path("ca.pem"), ca.to_pem()).expect("writes");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A registry of a small instance on a free port, which names these partners.
    async fn registry(&self, instance: &str, partners: &[&Path]) -> registry::Running {
        let partners: String =
            partners.iter().map(|anchor| format!("[[partner]]\nanchor = '{}'\n", anchor.display())).collect();
        let text = format!(
            "instance = '{instance}'\n[[member-class]]\ncode = 'GOV'\n[[member]]\nclass = 'GOV'\ncode = '1'\n\
             name = 'One of {instance}'\n[[certification-service]]\nname = 'CA'\nprofile = 'FiVRK'\n\
             certificate = 'ca.pem'\n[[certification-service.ocsp]]\nurl = 'http://ocsp.example'\n\
             {partners}[management]\nprovider = '{instance}/GOV/1'\n"
        );
        let file = self.path(&format!("{instance}.toml"));
        std::fs::write(&file, text).expect("writes");
        let config = registry::Config {
            http: "127.0.0.1:0".parse().expect("an address"),
            https: None,
            period: Duration::from_secs(1),
            expiry: Duration::from_secs(60),
            key: KeyKind::P256,
            ..registry::Config::new(self.path(instance), file, PinSource::File(self.path("pin")))
        };
        Registry::start(config, Clock::system()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    fn proxy(&self, http: &str, mirrors: &[(&str, &Path)]) -> proxy::Config {
        let mirrors: String = mirrors
            .iter()
            .map(|(name, anchor)| {
                let anchor = anchor.display();
                format!("[[mirror]]\nname = '{name}'\nanchor = '{anchor}'\nfederations = ['all']\n")
            })
            .collect();
        let text = format!(
            "[proxy]\nstate = 'proxy'\n[token]\npin-file = 'pin'\n[listen]\nhttp = '{http}'\n\
             https = '127.0.0.1:0'\n[publication]\nperiod-seconds = 1\nexpiry-seconds = 40\n\
             [signing]\nkey = 'P-256'\n{mirrors}"
        );
        proxy::Config::parse(&text, self.0.path()).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn client(&self, anchor: &Anchor, name: &str, version: Option<u8>) -> ConfigurationClient {
        let settings = Settings {
            federations: Federations::All,
            version,
            ..Settings::new(anchor.clone(), self.path(name))
        };
        ConfigurationClient::new(settings, fetcher(), Arc::new(SnapshotCell::new()), Clock::system())
    }
}

fn fetcher() -> Fetcher {
    Fetcher::new(Duration::from_secs(2), Duration::from_secs(5))
}

fn read_anchor(file: &Path) -> Anchor {
    Anchor::parse(&std::fs::read(file).expect("an anchor")).expect("parses")
}

fn own(client: &ConfigurationClient) -> &Instance {
    client.configuration().own().expect("the own instance")
}

async fn start(config: &proxy::Config) -> proxy::Running {
    Proxy::start(config.clone(), Clock::system()).await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_proxy_stands_between_registries_and_clients() {
    let place = Place::new();
    let partner = place.registry("PARTNER", &[]).await;
    let partner_anchor = partner.anchor_file(SourceKind::External);
    let registry = place.registry("CW-TEST", &[&partner_anchor]).await;
    let source = registry.anchor_file(SourceKind::Internal);
    let config = place.proxy("127.0.0.1:0", &[("inner", &source), ("outer", &partner_anchor)]);
    let running = start(&config).await;
    let (inner, outer) =
        (read_anchor(&config.anchor_file("inner")), read_anchor(&config.anchor_file("outer")));
    let address = running.http().to_string();
    let https = running.https().expect("HTTPS").to_string();
    let urls: Vec<&str> = inner.sources.iter().map(|source| source.download_url.as_str()).collect();
    assert_eq!(urls, [format!("http://{address}/inner/conf"), format!("https://{https}/inner/conf")]);
    assert_eq!((inner.instance.as_str(), outer.instance.as_str()), ("CW-TEST", "PARTNER"));

    // What is mirrored is as internal or external as its source.
    for (anchor, contents, refused) in [
        (&inner, Contents::Internal, false),
        (&inner, Contents::External, true),
        (&outer, Contents::External, false),
        (&outer, Contents::Internal, true),
    ] {
        let anchor = anchor.clone();
        let name = anchor.instance.clone();
        let trial = Trial { anchor, contents, version: None, federations: Federations::None };
        let got = trial.download(&fetcher(), Clock::system()).await;
        assert_eq!(got.configuration.instance(&name).is_none(), refused, "{name} {contents:?}");
        let codes: Vec<&str> = got.report.failures.iter().map(|(_, error)| error.code()).collect();
        assert_eq!(codes.contains(&ConfigurationError::NotExternal.code()), refused && name == "CW-TEST");
    }

    // With the partner's registry away, the partner is still known, through the proxy.
    let mut client = place.client(&inner, "copy", None);
    partner.stop().await;
    client.refresh_once().await.expect("downloads");
    assert_eq!((own(&client).version, own(&client).private.is_some()), (6, true));
    let addresses: Vec<&str> = own(&client).shared.sources.iter().map(|one| one.address.as_str()).collect();
    assert_eq!(addresses, [address.as_str()]);
    let known = client.configuration().instance("PARTNER").expect("the partner");
    assert_eq!(known.shared.members[0].name, "One of PARTNER");
    assert!(own(&client).expires() <= registry.published().borrow().expires.expect("a time"));
    for version in 2..=6 {
        let mut old = place.client(&inner, &format!("copy{version}"), Some(version));
        old.refresh_once().await.unwrap_or_else(|error| panic!("version {version}: {error}"));
        assert_eq!(own(&old).version, version);
    }

    // The proxy's keys rotate, twice, and the client follows without a new anchor.
    for _ in 0..2 {
        let now = Clock::system().now();
        let mut keys =
            SigningKeys::open_for(config.keys("inner"), &[SourceKind::Mirror], PIN, now).expect("opens");
        let active = keys.rotate(SourceKind::Mirror, true, now).expect("rotates");
        until(|| read_anchor(&config.anchor_file("inner")).sources[0].verification_certs.len() == 3).await;
        client.refresh_once().await.expect("the cached sources verify");
        assert!(keys.keys(SourceKind::Mirror).iter().any(|key| key.active && key.id == active));
    }

    // Without its source the proxy goes on, over a restart too, and extends nothing.
    let last = registry.published().borrow().expires.expect("a time");
    registry.stop().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.stop().await;
    let config = place.proxy(&address, &[("inner", &source), ("outer", &partner_anchor)]);
    let running = start(&config).await;
    client.refresh_once().await.expect("downloads");
    assert!(own(&client).expires() <= last.plus(Duration::from_secs(2)));
    running.stop().await;
}

async fn until(fits: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !fits() {
        assert!(Instant::now() < end, "not in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
