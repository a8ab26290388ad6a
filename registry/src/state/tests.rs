//! Tables of states that are refused and of changes that are told.

use std::collections::BTreeMap;
use std::path::Path;

use protocol::configuration::{Anchor, AnchorSource, NodeClass, TlsFloor};
use protocol::time::UtcTime;

use super::kept::{Kept, StateError, Taken};
use super::{Checked, Watched, read};
use administration::store::{Batch, Pair, SledStore, Store, StoreError};

const WHOLE: &str = r#"
instance = "CW"

[settings]
ocsp-freshness-seconds = 1800
timestamping-interval-seconds = 30
ocsp-fetch-interval-seconds = 300
verify-next-update = false

[[member-class]]
code = "GOV"
description = "Government"

[[member]]
class = "GOV"
code = "1"
name = "Ministry"
[[member.subsystem]]
code = "permits"
name = "Permits"
[[member.subsystem]]
code = "management"

[[member]]
class = "GOV"
code = "2"
name = "Data centre"

[[security-server]]
owner = "CW/GOV/1"
code = "ss1"
class = "state"
address = "127.0.1.11"
authentication-certificates = ["a.pem"]
clients = ["CW/GOV/1/permits", "CW/GOV/1/management"]

[[security-server]]
owner = "CW/GOV/2"
code = "hub"
class = "data-center"
authentication-certificates = ["b.der"]
clients = ["CW/GOV/1/permits"]
maintenance = "until noon"

[[certification-service]]
name = "Pilot CA"
profile = "FiVRK"
certificate = "ca.pem"
[[certification-service.ocsp]]
url = "http://127.0.1.2:8888/ocsp"
certificate = "ca.pem"
cost = "free"

[[timestamping-service]]
name = "Pilot TSA"
url = "http://127.0.1.2:8888/tsa"
certificate = "ca.pem"

[[global-group]]
code = "all"
description = "Everybody"
members = ["CW/GOV/1/permits", "PARTNER/COM/9/x"]

[[class-pair]]
consumer = "state"
provider = "data-center"
tls = "1.3"
ocsp-live-seconds = 60
synchronous-timestamp = true

[[partner]]
anchor = "partner.xml"

[management]
provider = "CW/GOV/1/management"
"#;

fn now() -> UtcTime {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn files() -> BTreeMap<String, Vec<u8>> {
    let (a, b, ca) = (authentication("a"), authentication("b"), authority());
    let mut ended = params("old");
    ended.not_after = rcgen::date_time_ymd(2020, 1, 1);
    ended.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    [
        ("a.pem", a.pem().into_bytes()),
        ("b.der", b.der().to_vec()),
        ("ca.pem", ca.pem().into_bytes()),
        ("two.pem", (a.pem() + &b.pem()).into_bytes()),
        ("partner.xml", anchor("PARTNER")),
        ("own.xml", anchor("CW")),
        ("junk", vec![0x30, 1, 2]),
        ("signing.pem", authority().pem().into_bytes()),
        ("ended.pem", sign(ended).pem().into_bytes()),
    ]
    .map(|(name, content)| (name.to_owned(), content))
    .into()
}

fn anchor(instance: &str) -> Vec<u8> {
    let source = AnchorSource {
        download_url: "http://r.example/externalconf".to_owned(),
        verification_certs: vec![authority().der().to_vec()],
    };
    Anchor { generated_at: None, instance: instance.to_owned(), sources: vec![source] }.to_xml()
}

fn params(name: &str) -> rcgen::CertificateParams {
    rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn sign(params: rcgen::CertificateParams) -> rcgen::Certificate {
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap()
}

fn authentication(name: &str) -> rcgen::Certificate {
    let mut params = params(name);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    sign(params)
}

fn authority() -> rcgen::Certificate {
    let mut params = params("ca");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    sign(params)
}

#[test]
fn a_whole_state() {
    let files = files();
    let Checked { state, warnings } = read(WHOLE, &files, now()).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(state.servers.len(), 2);
    assert_eq!(state.servers[1].class, Some(NodeClass::DataCenter));
    assert_eq!(state.servers[1].certificates, [files["b.der"].clone()]);
    assert_eq!(state.servers[1].maintenance.as_deref(), Some("until noon"));
    assert_eq!(state.servers[1].address, None);

    let old = state.shared_parameters(2, Vec::new());
    let new = state.shared_parameters(3, Vec::new());
    assert_eq!(old.servers[0].certificate_hashes[0].len(), 20);
    assert_eq!(new.servers[0].certificate_hashes[0].len(), 32);
    assert_eq!(new.groups[0].members.len(), 2);

    let classes = state.node_classes().unwrap();
    assert_eq!(classes.servers.len(), 2);
    let terms = classes.policy.pairs[&(NodeClass::State, NodeClass::DataCenter)];
    assert_eq!((terms.tls, terms.ocsp_live_seconds), (TlsFloor::Tls13, Some(60)));

    let private = state.private_parameters("registry.example");
    assert_eq!(private.registration_address, "https://registry.example:4001/managementservice/");
    assert_eq!(private.timestamping_interval_seconds, 30);
    assert_eq!(private.anchors[0].instance, "PARTNER");
}

/// The files of docs/configuration.md are good as they stand there.
#[test]
fn the_documented_files_are_read() {
    let page = include_str!("../../../docs/configuration.md");
    let mut blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let config = crate::Config::parse(blocks.next().unwrap(), Path::new("")).unwrap();
    assert_eq!(config.address.as_deref(), Some("registry.example.org"));
    let files: BTreeMap<String, Vec<u8>> = [
        ("ss1.pem", authentication("ss1").pem().into_bytes()),
        ("ca.pem", authority().pem().into_bytes()),
        ("intermediate.pem", authority().pem().into_bytes()),
        ("ocsp.pem", authority().pem().into_bytes()),
        ("tsa.pem", authority().pem().into_bytes()),
        ("registration.pem", authority().pem().into_bytes()),
        ("partner-external-anchor.xml", anchor("PARTNER")),
        ("local-rules.xml", b"<rules/>".to_vec()),
    ]
    .map(|(name, content)| (name.to_owned(), content))
    .into();
    let checked = read(blocks.next().unwrap(), &files, now()).unwrap();
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    assert_eq!(
        checked.state.settings.monitoring_client.map(|id| id.to_string()).as_deref(),
        Some("CW-TEST/GOV/1001/monitor")
    );
    let acme = checked.state.certification_services[0].acme.clone().unwrap();
    assert_eq!(
        (acme.signing_profile.as_deref(), acme.ip_address.as_deref()),
        (Some("sign"), Some("192.0.2.1"))
    );
    assert_eq!(checked.state.optional_parts[0].content, b"<rules/>");
    let proxy = crate::proxy::Config::parse(blocks.next().unwrap(), Path::new("")).unwrap();
    assert_eq!(proxy.mirrors[0].name, "CW");
    assert_eq!(blocks.next(), None);
}

#[test]
fn a_certificate_that_has_ended_is_told() {
    let checked = read(&WHOLE.replace("\"a.pem\"", "\"ended.pem\""), &files(), now()).unwrap();
    assert_eq!(checked.warnings.len(), 1);
    assert!(checked.warnings[0].contains("ended.pem ended at 2020-01-01"), "{:?}", checked.warnings);
}

/// Replaces `old` by `new` in the whole state; each of `expected` must be told, and nothing else.
#[track_caller]
fn refused(old: &str, new: &str, expected: &[&str]) {
    assert!(WHOLE.contains(old), "{old}");
    let problems = read(&WHOLE.replacen(old, new, 1), &files(), now()).expect_err("a problem");
    let told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.contains(expected), "{told:?} has no {expected:?}");
    }
}

#[test]
fn states_that_are_refused() {
    refused("instance = \"CW\"", "", &["`instance` is missing"]);
    refused(
        "name = \"Ministry\"",
        "nam = \"Ministry\"",
        &["`name` is missing", "member[0].nam: is not known"],
    );
    refused(
        "code = \"permits\"",
        "code = \"per mits\"",
        &["character ' '", "not among", "not among", "not among"],
    );
    refused("class = \"state\"", "class = \"States\"", &["must be state, data-center or international"]);
    refused("class = \"state\"", "", &["`class` is missing"]);
    refused("address = \"127.0.1.11\"", "address = \"http://127.0.1.11\"", &["must be a host name"]);
    refused("[\"a.pem\"]", "[\"b.der\"]", &["registered to CW/GOV/1/ss1 already"]);
    refused("[\"a.pem\"]", "[\"c.pem\"]", &["authentication-certificates[0]: c.pem was not kept"]);
    refused("[\"a.pem\"]", "[\"junk\"]", &["is no certificate"]);
    refused("[\"a.pem\"]", "[\"two.pem\"]", &["more than one certificate"]);
    refused("[\"a.pem\"]", "[\"signing.pem\"]", &["is no authentication certificate"]);
    refused("\"CW/GOV/1/management\"]", "\"CW/GOV/1/permits\"]", &["a second time"]);
    refused("\"CW/GOV/1/management\"]", "\"XX/GOV/1/permits\"]", &["is not of the instance CW"]);
    refused("owner = \"CW/GOV/2\"", "owner = \"CW/GOV/3\"", &["CW/GOV/3 is not among the members"]);
    refused("profile = \"FiVRK\"", "profile = \"Mine\"", &["no known certificate profile"]);
    refused("url = \"http://127.0.1.2:8888/tsa\"", "url = \"127.0.1.2/tsa\"", &["http:// or https:// URL"]);
    refused("cost = \"free\"", "cost = \"gratis\"", &["free, paid or undefined"]);
    refused("tls = \"1.3\"", "tls = \"1.1\"", &["\"1.2\" or \"1.3\""]);
    refused("ocsp-live-seconds = 60", "ocsp-live-seconds = 0", &["must be from 1"]);
    refused("[management]\nprovider = \"CW/GOV/1/management\"", "", &["`management` is missing"]);
    refused("code = \"2\"", "code = \"1\"", &["this member stands here a second time", "CW/GOV/2 is not"]);
    refused(
        "class = \"GOV\"\ncode = \"2\"",
        "class = \"COM\"\ncode = \"2\"",
        &["COM is no", "CW/GOV/2 is not"],
    );
    let settings = "verify-next-update = false";
    refused(settings, "monitoring-client = \"CW\"", &["must have the form"]);
    refused(
        "profile = \"FiVRK\"",
        "profile = \"FiVRK\"\nacme-signing-profile = \"s\"",
        &["of no use without"],
    );
    refused("profile = \"FiVRK\"", "profile = \"FiVRK\"\ndefault-csr-format = \"txt\"", &["pem or der"]);
    let part = |identifier: &str, file: &str, name: &str| {
        format!(
            "[[optional-part]]\nidentifier = \"{identifier}\"\nfile = \"{file}\"\nfile-name = \"{name}\"\n[management]"
        )
    };
    for (identifier, file, name, expected) in [
        ("SHARED-PARAMETERS", "junk", "x.xml", "every configuration has"),
        ("MONITORING", "junk", "x.xml", "made from [settings]"),
        ("A;B", "junk", "x.xml", "letters, digits"),
        ("A", "missing.xml", "x.xml", "missing.xml was not kept"),
        ("A", "junk", "../x.xml", "a plain name"),
        ("A", "junk", "x.metadata", "a plain name"),
        ("A", "junk", "shared-params.xml", "another part's file"),
    ] {
        refused("[management]", &part(identifier, file, name), &[expected]);
    }
    let twice = part("A", "junk", "x.xml").replace("[management]", &part("A", "junk", "y.xml"));
    refused("[management]", &twice, &["this optional part stands here a second time"]);
    refused("partner.xml", "own.xml", &["is an anchor of this instance"]);
    refused("partner.xml", "a.pem", &["malformed configuration anchor"]);
    refused("verify-next-update = false", "verify-next-update = ", &["line 8"]);
    // Problems in several places come together, in the order of the file.
    refused(
        "[[member-class]]",
        "[[global-group]]\ncode = \"x:y\"\n[[class-pair]]\nconsumer = \"state\"\n[extra]\n[[member-class]]",
        &["x:y", "`provider` is missing", "extra: is not known here"],
    );
}

/// Takes the file's state into force; the differences, none if it is the same.
fn take(
    kept: &mut Option<Kept>,
    watched: &mut Watched,
    store: &SledStore,
) -> Result<Option<Vec<String>>, StateError> {
    match Kept::take(kept.as_ref(), watched, store, now())? {
        Taken::Same => Ok(None),
        Taken::New { kept: new, differences, .. } => {
            *kept = Some(*new);
            Ok(Some(differences))
        }
    }
}

#[test]
fn a_state_is_kept_and_its_changes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instance.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    for (name, content) in files() {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let store = SledStore::open(&folder.path().join("store")).unwrap();
    let mut watched = Watched::new(&path);
    let mut kept = Kept::load(&store, now()).unwrap();
    assert!(kept.is_none());
    assert!(matches!(take(&mut kept, &mut watched, &store), Err(StateError::File { .. })));

    write(WHOLE);
    assert!(matches!(take(&mut kept, &mut watched, &store), Ok(Some(_))));
    assert!(matches!(take(&mut kept, &mut watched, &store), Ok(None)));

    write(
        &WHOLE
            .replace("name = \"Ministry\"", "name = \"The ministry\"")
            .replace("code = \"all\"", "code = \"one\""),
    );
    let Ok(Some(differences)) = take(&mut kept, &mut watched, &store) else { panic!("a change") };
    let expected = ["member CW/GOV/1 changed", "global group CW/one added", "global group CW/all removed"];
    assert_eq!(differences, expected);

    // A certificate that is replaced under the same name is a change as well.
    std::fs::write(folder.path().join("a.pem"), authentication("new").pem()).unwrap();
    let Ok(Some(differences)) = take(&mut kept, &mut watched, &store) else { panic!("a change") };
    assert_eq!(differences, ["security server CW/GOV/1/ss1 changed"]);

    // A bad file leaves what is in force, also over a restart without the files.
    write("instance = 1");
    assert!(matches!(take(&mut kept, &mut watched, &store), Err(StateError::Problems { .. })));
    write(&WHOLE.replace("CW", "OTHER"));
    assert!(matches!(take(&mut kept, &mut watched, &store), Err(StateError::OtherInstance { .. })));
    let kept = kept.unwrap();
    drop(store);
    let store = SledStore::open(&folder.path().join("store")).unwrap();
    let again = Kept::load(&store, now()).unwrap().unwrap();
    assert_eq!((again.generation, &again.state), (3, &kept.state));

    let mut batch = Batch::default();
    batch.put("state", "{}");
    store.write(batch).unwrap();
    assert!(matches!(Kept::load(&store, now()), Err(StateError::Held(_))));
}

/// A store that fails just before or just after it wrote.
struct Failing<'a> {
    store: &'a SledStore,
    written: bool,
}

impl Store for Failing<'_> {
    fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(name)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.store.scan(prefix)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if self.written {
            self.store.write(batch)?;
        }
        Err(StoreError::Failed("the disk is full".into()))
    }
}

#[test]
fn a_failing_store_leaves_the_old_state_or_the_new_one() {
    for (written, name) in [(false, "Ministry"), (true, "The ministry")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("instance.toml");
        for (name, content) in files() {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let store = SledStore::open(&folder.path().join("store")).unwrap();
        let mut watched = Watched::new(&path);
        let mut kept = None;
        std::fs::write(&path, WHOLE).unwrap();
        take(&mut kept, &mut watched, &store).unwrap();
        std::fs::write(&path, WHOLE.replace("\"Ministry\"", "\"The ministry\"")).unwrap();
        let failed = Kept::take(kept.as_ref(), &mut watched, &Failing { store: &store, written }, now());
        assert!(matches!(failed, Err(StateError::Store(_))));
        assert!(watched.may_have_changed());
        drop(store);

        let store = SledStore::open(&folder.path().join("store")).unwrap();
        let mut kept = Kept::load(&store, now()).unwrap();
        assert_eq!(kept.as_ref().unwrap().state.members[0].name, name);
        // Reading the file again brings both to the same end.
        take(&mut kept, &mut watched, &store).unwrap();
        assert_eq!(kept.unwrap().state.members[0].name, "The ministry");
    }
}
