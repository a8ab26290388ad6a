use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::configuration::{
    AcmeServer, Anchor, AnchorSource, ApprovedCa, CaCertificate, ClassPolicy, ConfigurationError, CostType,
    CsrFormat, GlobalGroup, LocalCopy, Member, NodeClass, NodeClasses, OcspResponder, PairTerms,
    PrivateParameters, Purpose, RegisteredServer, SharedParameters, Source, Subsystem, TimestampingService,
    TlsFloor, node_classes, optional_parts,
};
use crate::id::{ClientId, GlobalGroupId, MemberId, SecurityServerId};
use crate::time::UtcTime;

fn member() -> MemberId {
    MemberId::new("I", "GOV", "1 & <1>").expect("a member")
}

fn subsystem(code: &str) -> ClientId {
    ClientId::new(member(), Some(code)).expect("a subsystem")
}

fn shared_parameters() -> SharedParameters {
    let ca = CaCertificate {
        certificate: vec![1, 2, 3],
        ocsp: vec![
            OcspResponder {
                url: "http://o/?a=1&b=2".to_owned(),
                certificate: Some(vec![4]),
                cost: CostType::Paid,
            },
            OcspResponder { url: "http://p".to_owned(), certificate: None, cost: CostType::Undefined },
        ],
    };
    SharedParameters {
        instance: "I".to_owned(),
        sources: vec![Source {
            address: "cs".to_owned(),
            internal_verification_certs: vec![vec![5], vec![6]],
            external_verification_certs: Vec::new(),
        }],
        approved_cas: vec![ApprovedCa {
            name: "CA".to_owned(),
            authentication_only: true,
            top: ca.clone(),
            intermediates: vec![ca],
            certificate_profile: "a.b.C".to_owned(),
            default_csr_format: Some(CsrFormat::Der),
            acme: Some(AcmeServer {
                directory: "https://acme/directory".to_owned(),
                ip_address: Some("192.0.2.1,192.0.2.2".to_owned()),
                authentication_profile: Some("auth".to_owned()),
                signing_profile: Some("sign".to_owned()),
            }),
        }],
        timestamping_services: vec![TimestampingService {
            name: "TSA".to_owned(),
            url: "http://t".to_owned(),
            certificate: vec![7],
            cost: CostType::Free,
        }],
        members: vec![Member {
            id: member(),
            name: "Bộ \"Nội vụ\"".to_owned(),
            subsystems: vec![
                Subsystem { code: "a".to_owned(), name: Some("A".to_owned()) },
                Subsystem { code: "b".to_owned(), name: None },
            ],
        }],
        servers: vec![RegisteredServer {
            id: SecurityServerId::new(member(), "ss1").expect("a server"),
            address: Some("ss1.example".to_owned()),
            certificate_hashes: vec![vec![8; 20], vec![9; 32]],
            clients: vec![subsystem("a"), subsystem("b")],
            maintenance: Some("back at 5".to_owned()),
        }],
        groups: vec![GlobalGroup {
            id: GlobalGroupId::new("I", "all").expect("a group"),
            description: String::new(),
            members: vec![subsystem("a"), ClientId::from(member())],
        }],
        member_classes: vec![("GOV".to_owned(), "Government".to_owned())],
        ocsp_freshness_seconds: 3600,
    }
}

/// What a version can carry.
fn carried(version: u8) -> SharedParameters {
    let mut parameters = shared_parameters();
    parameters.servers[0].certificate_hashes.remove(if version == 2 { 1 } else { 0 });
    if version == 2 {
        parameters.sources.clear();
        parameters.approved_cas[0].acme = None;
    }
    if let (..4, Some(acme)) = (version, &mut parameters.approved_cas[0].acme) {
        (acme.authentication_profile, acme.signing_profile) = (None, None);
    }
    if version < 5 {
        parameters.servers[0].maintenance = None;
        parameters.members[0].subsystems[0].name = None;
    }
    if version < 6 {
        parameters.timestamping_services[0].cost = CostType::Undefined;
        let ca = &mut parameters.approved_cas[0];
        ca.default_csr_format = None;
        for certificate in std::iter::once(&mut ca.top).chain(&mut ca.intermediates) {
            certificate.ocsp[0].cost = CostType::Undefined;
        }
    }
    parameters
}

#[test]
fn every_version_reads_what_it_writes() {
    for version in OLDEST_VERSION..=NEWEST_VERSION {
        let bytes = shared::write(&shared_parameters(), version).expect("writes");
        assert_eq!(shared::parse(&bytes, version), Ok(carried(version)), "version {version}");
    }
    assert!(matches!(shared::write(&shared_parameters(), 7), Err(ConfigurationError::UnsupportedVersion(_))));
    assert!(matches!(shared::parse(b"", 1), Err(ConfigurationError::UnsupportedVersion(_))));
}

#[test]
fn schemas_are_those_of_the_version() {
    let text = |version| {
        String::from_utf8(shared::write(&shared_parameters(), version).expect("writes")).expect("text")
    };
    let check = |text: &str, version: u8, good: bool| {
        assert_eq!(shared::parse(text.as_bytes(), version).is_ok(), good, "version {version}: {text}");
    };
    // Newer elements are refused by older versions, sources are missing in version 2.
    for (written, read, good) in
        [(3, 2, false), (2, 3, false), (5, 4, false), (6, 5, false), (3, 4, true), (4, 6, true)]
    {
        check(&text(written), read, good);
    }
    // The profiles of ACME came with version 4.
    check(&text(4), 3, false);
    check(&text(6).replace("<defaultCsrFormat>DER", "<defaultCsrFormat>der"), 6, false);
    let settings = "</globalSettings>";
    check(&text(2).replace(settings, "</globalSettings><other/>"), 2, false);
    check(&text(3).replace(settings, "</globalSettings><other/>"), 3, true);
    for (from, to) in [
        ("<owner>id0</owner>", "<owner>id1</owner>"),
        ("<owner>id0</owner>", "<owner>id9</owner>"),
        ("id=\"id1\"", "id=\"id0\""),
        ("<client>id1</client>", "<client>id9</client>"),
        ("<name>CA</name>", ""),
        ("<name>CA</name>", "<name>CA</name><name>CA</name>"),
        ("<serverCode>ss1</serverCode>", "<serverCode> </serverCode>"),
        ("true</authenticationOnly>", "yes</authenticationOnly>"),
        ("<ocspFreshnessSeconds>3600", "<ocspFreshnessSeconds>-1"),
        ("<globalSettings>", "<globalSettings>text"),
        ("<globalSettings>", "<globalSettings a=\"b\">"),
        ("AQID", "A*ID"),
        ("SUBSYSTEM", "SERVICE"),
        ("http://x-road.eu/xsd/xroad.xsd", "http://x-road.eu/xsd/other.xsd"),
    ] {
        let text = text(6);
        assert!(text.contains(from), "{from}");
        check(&text.replacen(from, to, 1), 6, false);
    }
}

#[test]
fn certificates_come_as_der_whatever_was_published() {
    let text = String::from_utf8(shared::write(&shared_parameters(), 6).expect("writes")).expect("text");
    // The PEM text of the bytes 1, 2, 3, in base64 once more, broken into lines.
    let pem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFRSUQKLS0t\n LS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";
    let parsed =
        shared::parse(text.replace("<cert>AQID</cert>", &format!("<cert>{pem}</cert>")).as_bytes(), 6);
    assert_eq!(
        parsed.map(|parameters| parameters.approved_cas[0].top.certificate.clone()),
        Ok(vec![1, 2, 3])
    );
}

#[test]
fn what_contradicts_itself_is_not_written() {
    let mut parameters = shared_parameters();
    parameters.members.clear();
    assert!(matches!(shared::write(&parameters, 6), Err(ConfigurationError::Unwritable(_))));
    let parameters = SharedParameters { sources: Vec::new(), ..shared_parameters() };
    assert!(shared::write(&parameters, 3).is_err());
    assert!(shared::write(&parameters, 2).is_ok());
}

fn private_parameters() -> PrivateParameters {
    PrivateParameters {
        instance: "I".to_owned(),
        anchors: vec![Anchor {
            generated_at: Some(UtcTime::from_millis(1_800_000_000_123)),
            instance: "J".to_owned(),
            sources: vec![AnchorSource {
                download_url: "http://j/externalconf?a&b".to_owned(),
                verification_certs: vec![vec![1]],
            }],
        }],
        registration_address: "https://cs:4001/".to_owned(),
        registration_certificate: Some(vec![2]),
        management_service_provider: subsystem("management"),
        timestamping_interval_seconds: 60,
    }
}

#[test]
fn private_parameters_and_anchors_come_back() {
    for version in OLDEST_VERSION..=NEWEST_VERSION {
        let bytes = private::write(&private_parameters(), version).expect("writes");
        assert_eq!(private::parse(&bytes, version), Ok(private_parameters()));
        let longer = String::from_utf8(bytes).expect("text").replace("</ns3:conf>", "<x/></ns3:conf>");
        assert_eq!(private::parse(longer.as_bytes(), version).is_ok(), version > 2);
    }
    let anchor = &private_parameters().anchors[0];
    assert_eq!(Anchor::parse(&anchor.to_xml()).as_ref(), Ok(anchor));
    let text = String::from_utf8(anchor.to_xml()).expect("text");
    for (from, to) in [
        ("<instanceIdentifier>J</instanceIdentifier>", ""),
        ("verificationCert", "cert"),
        ("<source>", "<x/><source>"),
    ] {
        let error = Anchor::parse(text.replace(from, to).as_bytes()).expect_err(from);
        assert_eq!(error.code(), "malformed_anchor");
    }
}

#[test]
fn node_classes_come_back_or_are_refused() {
    let terms = PairTerms { tls: TlsFloor::Tls13, ocsp_live_seconds: Some(60), synchronous_timestamp: true };
    let plain = PairTerms { tls: TlsFloor::Tls12, ocsp_live_seconds: None, synchronous_timestamp: false };
    let server = |code| SecurityServerId::new(member(), code).expect("a server");
    let classes = NodeClasses {
        servers: HashMap::from([(server("ss\"1"), NodeClass::State), (server("hub"), NodeClass::DataCenter)]),
        policy: ClassPolicy {
            pairs: HashMap::from([
                ((NodeClass::State, NodeClass::International), terms),
                ((NodeClass::State, NodeClass::State), plain),
            ]),
        },
    };
    let bytes = node_classes::write(&classes, "I");
    assert_eq!(node_classes::parse(&bytes, "I"), Ok(classes));
    assert!(node_classes::parse(&bytes, "J").is_err());
    let text = String::from_utf8(bytes).expect("text");
    for (from, to) in [
        ("class=\"state\"", "class=\"State\""),
        ("class=\"state\"", ""),
        ("class=\"state\"", "class=\"state\" x=\"y\""),
        ("tls=\"1.3\"", "tls=\"1.1\""),
        ("ocspLiveSeconds=\"60\"", "ocspLiveSeconds=\"\""),
        ("synchronousTimestamp=\"true\"", "synchronousTimestamp=\"yes\""),
        ("provider=\"international\"", "provider=\"state\""),
        ("node-classes:1", "node-classes:2"),
        ("</nodeClasses>", "<more/></nodeClasses>"),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        assert!(node_classes::parse(text.replacen(from, to, 1).as_bytes(), "I").is_err(), "{from} -> {to}");
    }
}

#[test]
fn optional_parts_come_back() {
    assert_eq!(optional_parts::parse_next_update(&optional_parts::write_next_update(false)), Ok(false));
    assert_eq!(optional_parts::parse_fetch_interval(&optional_parts::write_fetch_interval(300)), Ok(300));
    assert_eq!(optional_parts::parse_fetch_interval(&optional_parts::write_fetch_interval(5)), Ok(60));
    for client in [None, Some(subsystem("monitor"))] {
        let bytes = optional_parts::write_monitoring(client.as_ref());
        assert_eq!(optional_parts::parse_monitoring(&bytes), Ok(client));
    }
}

#[test]
fn copies_fail_closed() {
    let copy = |metadata: &'static [u8], classes: Option<&'static [u8]>| {
        let mut copy = LocalCopy::new("I");
        let shared = shared::write(&shared_parameters(), 6).expect("writes");
        copy.insert("I", "shared-params.xml", shared.into());
        copy.insert("I", "shared-params.xml.metadata", metadata.into());
        if let Some(classes) = classes {
            copy.insert("I", node_classes::FILE_NAME, classes.into());
        }
        copy
    };
    let now = UtcTime::from_seconds(1_800_000_000);
    let current = |copy: LocalCopy| copy.load(Purpose::Running(now)).configuration.is_current(now);
    let good = br#"{"configurationVersion":"6","expirationDate":"2027-01-15T08:00:00Z"}"#;
    assert!(current(copy(good, None)));
    assert!(!current(copy(br#"{"configurationVersion":"6"}"#, None)), "no expiry");
    assert!(!current(copy(br#"{"configurationVersion":"6","expirationDate":"2027-01-15T07:59:59Z"}"#, None)));
    assert!(!current(copy(br#"{"expirationDate":"2027-01-15T08:00:00Z"}"#, None)), "another version");
    assert!(!current(copy(good, Some(b"<unknown/>"))), "a policy that nobody understands");
    let evidence = copy(b"", None).load(Purpose::Evidence);
    assert_eq!(evidence.problems.len(), 1, "version 2 has no sources");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1000), version in 0u8..9) {
        let _ = shared::parse(&bytes, version);
        let _ = private::parse(&bytes, version);
        let _ = Anchor::parse(&bytes);
        let _ = node_classes::parse(&bytes, "I");
        let _ = optional_parts::parse_monitoring(&bytes);
        let _ = LocalCopy::from_zip(&bytes);
    }

    #[test]
    fn changed_parameters_never_panic(at in 0usize..4000, with in any::<u8>(), version in 2u8..7) {
        let mut bytes = shared::write(&shared_parameters(), version).expect("writes");
        if let Some(byte) = bytes.get_mut(at) {
            *byte = with;
        }
        let _ = shared::parse(&bytes, version);
    }
}

#[test]
fn only_the_sources_are_replaced() {
    let proxy = Source {
        address: "proxy & co".to_owned(),
        internal_verification_certs: vec![vec![8]],
        external_verification_certs: vec![vec![8]],
    };
    for version in 2..=6 {
        let mut parameters = carried(version);
        if version > 2 {
            parameters.sources.push(Source { address: "cs2".to_owned(), ..Source::default() });
        }
        let written = shared::write(&parameters, version).expect("written");
        // What this program does not know stays as well.
        let mut text = String::from_utf8(written).expect("text");
        if version > 2 {
            text = text.replace("</ns3:conf>", "<x:y xmlns:x=\"urn:x\">z</x:y><!-- end --></ns3:conf>");
        }
        let changed = shared::with_source(text.as_bytes(), version, &proxy).expect("replaced");
        let expected = match version {
            2 => carried(2),
            _ => SharedParameters { sources: vec![proxy.clone()], ..carried(version) },
        };
        assert_eq!(shared::parse(&changed, version), Ok(expected), "version {version}");
        let changed = String::from_utf8(changed).expect("text");
        let tail = |text: &str| text.split_once("<approvedCA>").map(|(_, tail)| tail.to_owned());
        assert_eq!(tail(&changed), tail(&text), "version {version}");
        let again = shared::with_source(changed.as_bytes(), version, &proxy).expect("replaced");
        assert_eq!(String::from_utf8(again).as_deref(), Ok(changed.as_str()));
    }
    assert!(shared::with_source(b"<conf/>", 6, &proxy).is_err());
}
