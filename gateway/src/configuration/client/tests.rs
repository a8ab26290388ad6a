//! A client against registries that stand in memory. Keys are names: a signature value is the digest
//! of certificate and signed octets.

use std::collections::BTreeMap;

use protocol::configuration::directory::{assemble, content};
use protocol::configuration::{
    AnchorSource, ConfigurationError, Part, PrivateParameters, SharedParameters, Source, node_classes,
    private, shared,
};
use protocol::digest::DigestAlgorithm;
use protocol::id::{ClientId, MemberId};
use protocol::signature::{SignatureAlgorithm, SignatureScheme};

use super::*;

const ALGORITHM: SignatureAlgorithm =
    SignatureAlgorithm::new(SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha512);
const START: i64 = 1_800_000_000;

fn at(seconds: i64) -> UtcTime {
    UtcTime::from_seconds(START + seconds)
}

fn value(certificate: &[u8], signed: &[u8]) -> Vec<u8> {
    DigestAlgorithm::Sha256.digest(&[certificate, signed].concat()).bytes().to_vec()
}

/// What one registry publishes, as URL to status and body.
#[derive(Clone, Default)]
struct Web(BTreeMap<String, (u16, Vec<u8>)>);

#[derive(Clone)]
struct Registry<'a> {
    instance: &'a str,
    host: &'a str,
    key: &'a str,
    /// Keys in the shared parameters.
    listed: &'a [&'a str],
    folder: &'a str,
    version: u8,
    stamp: i64,
    expires: UtcTime,
    federated: Vec<Anchor>,
    extra: Vec<(&'static str, Vec<u8>)>,
    /// Shared parameters of another instance, as a configuration proxy has them.
    along: Option<(&'a str, Vec<u8>)>,
}

impl Default for Registry<'_> {
    fn default() -> Self {
        Self {
            instance: "I",
            host: "cs",
            key: "k1",
            listed: &["k1"],
            folder: "internalconf",
            version: 6,
            stamp: 1,
            expires: at(600),
            federated: Vec::new(),
            extra: Vec::new(),
            along: None,
        }
    }
}

impl Registry<'_> {
    fn publish(&self, web: &mut Web) {
        let certificates: Vec<Vec<u8>> = self.listed.iter().map(|key| key.as_bytes().to_vec()).collect();
        let shared_parameters = SharedParameters {
            instance: self.instance.to_owned(),
            sources: vec![Source {
                address: self.host.to_owned(),
                internal_verification_certs: certificates.clone(),
                external_verification_certs: certificates,
            }],
            ocsp_freshness_seconds: 3600,
            ..SharedParameters::default()
        };
        let member = MemberId::new(self.instance, "GOV", "1").expect("a member");
        let private_parameters = PrivateParameters {
            instance: self.instance.to_owned(),
            anchors: self.federated.clone(),
            registration_address: "https://cs:4001/".to_owned(),
            registration_certificate: None,
            management_service_provider: ClientId::new(member, Some("management")).expect("a client"),
            timestamping_interval_seconds: 60,
        };
        let mut files = vec![(
            "SHARED-PARAMETERS",
            "shared-params.xml",
            shared::write(&shared_parameters, self.version).expect("written"),
        )];
        if self.folder == "internalconf" {
            let bytes = private::write(&private_parameters, self.version).expect("written");
            files.push(("PRIVATE-PARAMETERS", "private-params.xml", bytes));
        }
        files.extend(self.extra.iter().map(|(identifier, bytes)| (*identifier, "extra.xml", bytes.clone())));
        let mut parts = Vec::new();
        for (identifier, name, bytes) in files {
            let location = format!("/V{}/{:020}/{name}", self.version, self.stamp);
            parts.push(Part {
                content_identifier: Some(identifier.to_owned()),
                instance: Some(self.instance.to_owned()),
                location: location.clone(),
                file_name: None,
                digest: DigestAlgorithm::Sha512.digest(&bytes),
            });
            web.0.insert(format!("http://{}{location}", self.host), (200, bytes));
        }
        if let Some((instance, bytes)) = &self.along {
            let location = format!("/P/{:020}/{instance}/shared-params.xml", self.stamp);
            parts.push(Part {
                content_identifier: Some("SHARED-PARAMETERS".to_owned()),
                instance: Some((*instance).to_owned()),
                location: location.clone(),
                file_name: None,
                digest: DigestAlgorithm::Sha512.digest(bytes),
            });
            web.0.insert(format!("http://{}{location}", self.host), (200, bytes.clone()));
        }
        let signed = content(self.expires, self.version, &parts, "inner");
        let certificate = self.key.as_bytes();
        let directory =
            assemble(&signed, "inner", "outer", ALGORITHM, certificate, &value(certificate, &signed));
        let url = format!("http://{}/{}?version={}", self.host, self.folder, self.version);
        web.0.insert(url, (200, directory.expect("a named algorithm")));
    }

    fn web(&self) -> Web {
        let mut web = Web::default();
        self.publish(&mut web);
        web
    }

    fn anchor(&self) -> Anchor {
        Anchor {
            generated_at: None,
            instance: self.instance.to_owned(),
            sources: vec![AnchorSource {
                download_url: format!("http://{}/{}", self.host, self.folder),
                verification_certs: vec![self.key.as_bytes().to_vec()],
            }],
        }
    }
}

fn client(anchor: Anchor) -> Client {
    let verifier = |certificate: &[u8], algorithm, signed: &[u8], given: &[u8]| {
        algorithm == ALGORITHM && given == value(certificate, signed)
    };
    Client::new(anchor, Federations::All, Duration::from_secs(60), Box::new(verifier), 1)
}

#[derive(Debug, Default)]
struct Outcome {
    asked: Vec<String>,
    adopted: usize,
    renewed: usize,
    copy: Option<LocalCopy>,
    report: RoundReport,
}

/// One round.
fn round(client: &mut Client, web: &Web, now: UtcTime) -> Outcome {
    let mut outcome = Outcome::default();
    client.hurry();
    let mut input = Input::Woken;
    loop {
        input = match client.handle(now, input) {
            Output::WakeAt(_) => panic!("asleep in a round"),
            Output::Fetch(fetch) => {
                let answer = match web.0.get(&fetch.url) {
                    Some((status, body)) => Answer::Got { status: *status, body: body.clone().into() },
                    None if fetch.url.starts_with("https") => Answer::Failed("refused".to_owned()),
                    None => Answer::Got { status: 404, body: Bytes::new() },
                };
                outcome.asked.push(fetch.url);
                Input::Answered(answer)
            }
            Output::Adopt(adoption) => {
                match (&adoption.configuration, adoption.change) {
                    (Some(_), CopyChange::Whole(copy)) => {
                        outcome.adopted += 1;
                        outcome.copy = Some(copy);
                    }
                    (None, CopyChange::Files(_)) => outcome.renewed += 1,
                    (configuration, change) => panic!("{configuration:?} {change:?}"),
                }
                Input::Woken
            }
            Output::Ended(report) => {
                outcome.report = report;
                return outcome;
            }
        };
    }
}

fn own_expiry(client: &Client) -> UtcTime {
    client.configuration().own().expect("an own instance").expires()
}

/// What was refused first.
fn refused(outcome: &Outcome) -> Option<&ConfigurationError> {
    outcome.report.failures.iter().find_map(|(_, failure)| match failure {
        DownloadError::Refused { error, .. } => Some(error),
        _ => None,
    })
}

#[test]
fn a_round_probes_downloads_and_then_only_renews() {
    let registry = Registry { version: 4, ..Registry::default() };
    let mut client = client(registry.anchor());
    let outcome = round(&mut client, &registry.web(), at(0));
    assert_eq!(
        outcome.asked,
        [
            "https://cs/internalconf?version=6", // no answer: the next place
            "http://cs/internalconf?version=6",
            "http://cs/internalconf?version=5",
            "http://cs/internalconf?version=4",
            "http://cs/V4/00000000000000000001/shared-params.xml",
            "http://cs/V4/00000000000000000001/private-params.xml",
        ]
    );
    assert_eq!((outcome.adopted, outcome.renewed, outcome.report.missed.len()), (1, 0, 0));
    assert_eq!(client.configuration().own().map(|own| own.version), Some(4));

    // The place is known now, nothing else is new, and the expiry moves on without a new snapshot.
    let before = Arc::clone(client.configuration());
    let later = Registry { version: 4, stamp: 2, expires: at(660), ..Registry::default() };
    let outcome = round(&mut client, &later.web(), at(60));
    assert_eq!(outcome.asked, ["http://cs/internalconf?version=4"]);
    assert_eq!((outcome.adopted, outcome.renewed), (0, 1));
    assert!(Arc::ptr_eq(&before, client.configuration()));
    assert_eq!(own_expiry(&client), at(660));

    // The copy that was written tells a new client the same.
    let mut again = super::tests::client(registry.anchor());
    let copy = round(&mut super::tests::client(registry.anchor()), &later.web(), at(60)).copy;
    assert_eq!(again.load(copy.expect("a copy"), at(70)), []);
    assert_eq!(own_expiry(&again), at(660));
}

#[test]
fn version_two_is_not_probed_and_a_fixed_version_stays() {
    let registry = Registry { version: 2, ..Registry::default() };
    let mut client2 = client(registry.anchor());
    let outcome = round(&mut client2, &registry.web(), at(0));
    assert!(outcome.asked.contains(&"http://cs/internalconf?version=2".to_owned()));
    assert_eq!(outcome.adopted, 1);

    let registry = Registry { version: 5, ..Registry::default() };
    let mut anchor = registry.anchor();
    anchor.sources[0].download_url.push_str("?version=5");
    let outcome = round(&mut client(anchor), &registry.web(), at(0));
    assert!(outcome.asked.iter().all(|url| !url.contains("version=6")), "{:?}", outcome.asked);
    assert_eq!(outcome.adopted, 1);

    // Any status but 404 decides the version; the place then fails with it.
    let mut web = Registry::default().web();
    web.0.insert("http://cs/internalconf?version=6".to_owned(), (500, Vec::new()));
    Registry { version: 5, ..Registry::default() }.publish(&mut web);
    let outcome = round(&mut client(Registry::default().anchor()), &web, at(0));
    assert_eq!((outcome.adopted, outcome.report.missed), (0, vec!["I".to_owned()]));
}

#[test]
fn keys_are_followed_through_the_cached_shared_parameters() {
    let before = Registry { listed: &["k1", "k2"], ..Registry::default() };
    let after = Registry { listed: &["k2"], key: "k2", stamp: 2, expires: at(700), ..Registry::default() };
    let mut known = client(before.anchor());
    round(&mut known, &before.web(), at(0));
    let outcome = round(&mut known, &after.web(), at(100));
    assert_eq!((outcome.adopted, own_expiry(&known)), (1, at(700)));

    // Who knows only the anchor has never heard of the key.
    let outcome = round(&mut client(before.anchor()), &after.web(), at(100));
    assert_eq!(refused(&outcome), Some(&ConfigurationError::NoVerificationCertificate));
}

#[test]
fn what_is_old_or_wrong_changes_nothing() {
    let good = Registry { stamp: 5, ..Registry::default() };
    let mut client = client(good.anchor());
    round(&mut client, &good.web(), at(0));
    let before = Arc::clone(client.configuration());
    let mut check = |bad: Registry<'_>, now, expected: ConfigurationError| {
        let outcome = round(&mut client, &bad.web(), now);
        assert_eq!(refused(&outcome), Some(&expected));
        assert_eq!(outcome.report.missed, ["I"]);
        assert!(Arc::ptr_eq(&before, client.configuration()));
    };
    let foreign = [0x21];
    check(Registry { stamp: 4, expires: at(900), ..Registry::default() }, at(10), ConfigurationError::Older);
    check(
        Registry { stamp: 6, key: "k9", ..Registry::default() },
        at(10),
        ConfigurationError::NoVerificationCertificate,
    );
    check(Registry { stamp: 6, expires: at(5), ..Registry::default() }, at(10), ConfigurationError::Outdated);
    check(
        Registry { stamp: 6, instance: "J", ..Registry::default() },
        at(10),
        ConfigurationError::Instance { expected: "I".to_owned(), found: "J".to_owned() },
    );
    // A policy that cannot be read is no policy that may be left out.
    let unreadable = vec![(node_classes::CONTENT_IDENTIFIER, foreign.to_vec())];
    let outcome =
        round(&mut client, &Registry { stamp: 6, extra: unreadable, ..Registry::default() }.web(), at(10));
    assert!(matches!(refused(&outcome), Some(ConfigurationError::OptionalPart(_))));

    // A part that is not what the directory announces.
    let mut web = Registry { stamp: 6, listed: &["k1", "k2"], ..Registry::default() }.web();
    web.0.insert("http://cs/V6/00000000000000000006/shared-params.xml".to_owned(), (200, b"x".to_vec()));
    let outcome = round(&mut client, &web, at(10));
    assert!(matches!(refused(&outcome), Some(ConfigurationError::PartDigest(_))));

    // No grace: the copy stays known, but is not current any more.
    assert!(client.configuration().is_current(at(600)));
    assert!(!client.configuration().is_current(at(601)));
    // What is valid then counts, even with an older stamp: a registry whose clock was wrong comes back.
    let outcome =
        round(&mut client, &Registry { stamp: 3, expires: at(1300), ..Registry::default() }.web(), at(700));
    assert_eq!((outcome.renewed + outcome.adopted, own_expiry(&client)), (1, at(1300)));
}

#[test]
fn federated_instances_come_expire_and_go() {
    let other = Registry {
        instance: "J",
        host: "cs2",
        folder: "externalconf",
        key: "j1",
        listed: &["j1"],
        expires: at(300),
        ..Registry::default()
    };
    let own = Registry { federated: vec![other.anchor()], ..Registry::default() };
    let mut web = own.web();
    other.publish(&mut web);
    let mut client = client(own.anchor());
    let outcome = round(&mut client, &web, at(0));
    assert_eq!(outcome.adopted, 2);
    assert!(client.configuration().instance("J").is_some_and(|known| known.private.is_none()));

    // Its registry is away: the round fails for it only, and it ends with its own date.
    let outcome = round(&mut client, &own.web(), at(60));
    assert_eq!(outcome.report.missed, ["J"]);
    assert!(client.configuration().instance("J").is_some());
    match client.handle(at(61), Input::Woken) {
        Output::WakeAt(time) => assert_eq!(time, at(120)),
        other => panic!("{other:?}"),
    }
    client.due = at(10_000);
    match client.handle(at(61), Input::Woken) {
        Output::WakeAt(time) => assert!(time > at(300) && time < at(301)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.handle(at(301), Input::Woken), Output::Adopt(_)));
    assert!(client.configuration().instance("J").is_none());
    assert!(client.configuration().own().is_some());

    // It comes back, and goes when the own registry does not name it any more.
    let other = Registry { expires: at(900), stamp: 2, ..other };
    let own = Registry { stamp: 2, expires: at(900), ..own };
    let mut web = own.web();
    other.publish(&mut web);
    round(&mut client, &web, at(310));
    assert!(client.configuration().instance("J").is_some());
    let own = Registry { stamp: 3, expires: at(900), federated: Vec::new(), ..own };
    let outcome = round(&mut client, &own.web(), at(370));
    assert!(client.configuration().instance("J").is_none());
    assert_eq!(outcome.copy.map(|copy| copy.instances().count()), Some(1));

    // What the operator does not allow is never asked for.
    let own = Registry { federated: vec![other.anchor()], ..Registry::default() };
    let mut web = own.web();
    other.publish(&mut web);
    client = super::tests::client(own.anchor());
    client.federations = Federations::None;
    let outcome = round(&mut client, &web, at(0));
    assert!(outcome.asked.iter().all(|url| !url.contains("cs2")));
    assert!(client.configuration().instance("J").is_none());
}

#[test]
fn an_anchor_leads_to_what_is_expected() {
    let internal = Registry::default();
    let external = Registry { folder: "externalconf", ..Registry::default() };
    for (registry, contents, expected) in [
        (&internal, Contents::Internal, None),
        (&internal, Contents::Either, None),
        (&internal, Contents::External, Some(ConfigurationError::NotExternal)),
        (&external, Contents::External, None),
        (&external, Contents::Either, None),
        (
            &external,
            Contents::Internal,
            Some(ConfigurationError::Parts("the directory has no private parameters")),
        ),
    ] {
        let mut client = client(registry.anchor()).expecting(contents);
        let outcome = round(&mut client, &registry.web(), at(0));
        assert_eq!(refused(&outcome), expected.as_ref(), "{} {contents:?}", registry.folder);
        assert_eq!(client.configuration().own().is_some(), expected.is_none());
        let origin = expected.is_none().then(|| format!("http://cs/{}?version=6", registry.folder));
        assert_eq!(client.origin().map(str::to_owned), origin);
    }
}

#[test]
fn a_demanded_version_is_asked_for_at_once() {
    let mut web = Registry::default().web();
    Registry { version: 3, ..Registry::default() }.publish(&mut web);
    let mut client = client(Registry::default().anchor()).in_version(Some(3));
    let outcome = round(&mut client, &web, at(0));
    assert!(outcome.asked.iter().all(|url| url.contains("version=3") || url.contains("/V3/")));
    assert_eq!(client.configuration().own().map(|own| own.version), Some(3));
}

/// The partner's registry is out of reach, and the proxy that serves the own instance has it too.
#[test]
fn a_proxy_serves_partners_along() {
    let away = Registry {
        instance: "J",
        host: "cs2",
        folder: "externalconf",
        key: "j1",
        listed: &["j1"],
        ..Registry::default()
    };
    let file = away.web().0["http://cs2/V6/00000000000000000001/shared-params.xml"].1.clone();
    let proxy = |named: bool| Registry {
        federated: if named { vec![away.anchor()] } else { Vec::new() },
        along: Some(("J", file.clone())),
        ..Registry::default()
    };
    let mut known = client(proxy(true).anchor());
    let outcome = round(&mut known, &proxy(true).web(), at(0));
    assert_eq!((outcome.adopted, outcome.report.missed.len()), (2, 0));
    assert_eq!(known.configuration().instance("J").map(|one| one.expires()), Some(at(600)));

    // The place is known now, and nothing but the date is new.
    let outcome = round(&mut known, &Registry { expires: at(660), ..proxy(true) }.web(), at(60));
    assert_eq!((outcome.asked.len(), outcome.renewed), (2, 2));
    assert_eq!(known.configuration().instance("J").map(|one| one.expires()), Some(at(660)));

    // Its own registry, once it can be reached, is no older for having another clock.
    let mut web = Registry { expires: at(720), federated: vec![away.anchor()], ..Registry::default() }.web();
    Registry { stamp: 0, expires: at(720), ..away.clone() }.publish(&mut web);
    let outcome = round(&mut known, &web, at(120));
    assert_eq!(outcome.report.missed.len(), 0, "{:?}", outcome.report.failures);
    assert_eq!(known.configuration().instance("J").map(|one| one.expires()), Some(at(720)));

    // Whom the own instance does not name is nobody, whatever else the proxy serves.
    let mut known = client(proxy(false).anchor());
    round(&mut known, &proxy(false).web(), at(0));
    assert!(known.configuration().own().is_some() && known.configuration().instance("J").is_none());
}
