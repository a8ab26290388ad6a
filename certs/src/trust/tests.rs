use super::*;
use crate::profile::Profile;
use protocol::configuration::{
    ApprovedCa, CaCertificate, CertificateHashes, RegisteredServer, SharedParameters,
};
use protocol::id::MemberId;
use rcgen::KeyUsagePurpose::{ContentCommitment, DigitalSignature, KeyCertSign};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate with the key that may issue below it.
struct Node {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn params(name: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in name {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(&[(DnType::CommonName, name)]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyCertSign];
    params
}

fn signing_params() -> CertificateParams {
    let fields = [(DnType::CountryName, "XX"), (DnType::OrganizationName, "GOV"), (DnType::CommonName, "1")];
    let mut params = params(&fields);
    params.key_usages = vec![ContentCommitment];
    params
}

fn issue(params: CertificateParams, by: Option<&Node>) -> Node {
    let key = KeyPair::generate().expect("a key");
    let issued = match by {
        Some(by) => params.signed_by(&key, &by.issuer),
        None => params.self_signed(&key),
    };
    let certificate = Certificate::from_der(issued.expect("issues").der().to_vec()).expect("parses");
    Node { certificate, issuer: Issuer::new(params, key) }
}

fn ca(name: &str, by: Option<&Node>) -> Node {
    issue(ca_params(name), by)
}

fn approved(top: &Node, intermediates: &[&Node]) -> ApprovedCa {
    let listed =
        |node: &Node| CaCertificate { certificate: node.certificate.der().to_vec(), ocsp: Vec::new() };
    ApprovedCa {
        name: "Test".to_owned(),
        top: listed(top),
        intermediates: intermediates.iter().map(|node| listed(node)).collect(),
        certificate_profile: Profile::Ejbca.class_name(),
        ..ApprovedCa::default()
    }
}

fn trust(instances: &[(&str, Vec<ApprovedCa>, Vec<RegisteredServer>)]) -> TrustStore {
    let instances = instances.iter().map(|(identifier, approved_cas, servers)| {
        let shared = SharedParameters {
            instance: (*identifier).to_owned(),
            approved_cas: approved_cas.clone(),
            servers: servers.clone(),
            ..SharedParameters::default()
        };
        ((*identifier).to_owned(), Arc::new(Instance::new(shared, 6, time("2030-01-01"))))
    });
    let configuration = GlobalConfiguration { own_instance: "XX".to_owned(), instances: instances.collect() };
    TrustStore::new(Arc::new(configuration))
}

fn time(date: &str) -> UtcTime {
    format!("{date}T00:00:00Z").parse().expect("a date")
}

fn now() -> UtcTime {
    time("2026-06-01")
}

const SIGNATURE: PathUse<'_> = PathUse::Signature { instance: "XX" };

#[track_caller]
fn check(trust: &TrustStore, chain: &[&Node], used: PathUse<'_>, at: UtcTime, expected: Result<usize, &str>) {
    let additional: Vec<_> = chain[1..].iter().map(|node| node.certificate.clone()).collect();
    let path = trust.validate_path(&chain[0].certificate, &additional, used, at);
    let found = path.as_ref().map(|path| path.certificates.len()).map_err(|fault| fault.code.as_ref());
    assert_eq!(found, expected, "{path:?}");
}

#[test]
fn a_signature_is_anchored_in_the_direct_issuer() {
    let (root, other) = (ca("Root", None), ca("Root", None));
    let middle = ca("Middle", Some(&root));
    let (leaf, below) = (issue(signing_params(), Some(&root)), issue(signing_params(), Some(&middle)));
    let with_middle = trust(&[("XX", vec![approved(&root, &[&middle])], vec![])]);
    let without =
        trust(&[("XX", vec![approved(&root, &[])], vec![]), ("YY", vec![approved(&other, &[])], vec![])]);
    check(&with_middle, &[&leaf], SIGNATURE, now(), Ok(1));
    check(&with_middle, &[&below], SIGNATURE, now(), Ok(1));
    check(&with_middle, &[&below, &middle], SIGNATURE, now(), Ok(1));
    check(&without, &[&below, &middle], SIGNATURE, now(), Err("cannot_create_cert_path"));
    check(&without, &[&leaf], PathUse::Signature { instance: "YY" }, now(), Err("cannot_create_cert_path"));
    check(&without, &[&leaf], PathUse::Signature { instance: "ZZ" }, now(), Err("cannot_create_cert_path"));
    for (date, expected) in [("2025-12-31", "invalid_cert_path"), ("2027-01-02", "invalid_cert_path")] {
        check(&without, &[&leaf], SIGNATURE, time(date), Err(expected));
    }
}

#[test]
fn tls_is_anchored_by_the_side_of_the_peer() {
    let root = ca("Root", None);
    let middle = ca("Middle", Some(&root));
    let lower = ca("Lower", Some(&middle));
    let leaf = issue(signing_params(), Some(&lower));
    let stranger = ca("Stranger", None);
    let trust = trust(&[("XX", vec![approved(&root, &[])], vec![])]);
    let (consumer, provider) = (PathUse::Consumer { instance: "XX" }, PathUse::Provider { instance: "XX" });
    check(&trust, &[&leaf, &lower, &middle], consumer, now(), Ok(3));
    check(&trust, &[&leaf, &lower, &middle, &root], consumer, now(), Ok(3));
    check(&trust, &[&leaf, &middle, &lower], consumer, now(), Err("internal_error"));
    check(&trust, &[&leaf, &lower], consumer, now(), Err("internal_error"));
    check(&trust, &[&leaf, &middle], consumer, now(), Err("cannot_create_cert_path"));
    check(&trust, &[&leaf, &stranger], consumer, now(), Err("internal_error"));
    check(&trust, &[&leaf, &lower, &middle], provider, now(), Err("cannot_create_cert_path.internal_error"));
    let many = vec![&middle; 17];
    check(&trust, &[&[&leaf], many.as_slice()].concat(), consumer, now(), Err("cannot_create_cert_path"));
}

#[test]
fn rules_for_certificates_of_a_path() {
    let root = ca("Root", None);
    let trust = trust(&[("XX", vec![approved(&root, &[])], vec![])]);
    let consumer = PathUse::Consumer { instance: "XX" };
    type Change<'a> = &'a dyn Fn(&mut CertificateParams);
    let through = |change: Change<'_>| {
        let mut params = ca_params("Middle");
        change(&mut params);
        let middle = issue(params, Some(&root));
        let lower = ca("Lower", Some(&middle));
        [issue(signing_params(), Some(&lower)), lower, middle]
    };
    let cases: [(Change<'_>, Result<usize, &str>); 8] = [
        (&|_| {}, Ok(3)),
        (&|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)), Ok(3)),
        (&|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)), Err("invalid_cert_path")),
        (&|params| params.is_ca = IsCa::ExplicitNoCa, Err("invalid_cert_path")),
        (&|params| params.is_ca = IsCa::NoCa, Err("invalid_cert_path")),
        (&|params| params.key_usages = vec![DigitalSignature], Err("invalid_cert_path")),
        (&|params| params.not_after = rcgen::date_time_ymd(2026, 2, 1), Err("invalid_cert_path")),
        (
            &|params| {
                let permitted_subtrees = vec![rcgen::GeneralSubtree::DnsName("example".to_owned())];
                let constraints =
                    rcgen::NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() };
                params.name_constraints = Some(constraints);
            },
            Err("invalid_cert_path"),
        ),
    ];
    for (change, expected) in cases {
        let chain = through(change);
        check(&trust, &chain.each_ref(), consumer, now(), expected);
    }
    let mut strange = signing_params();
    let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999], vec![5, 0]);
    extension.set_criticality(true);
    strange.custom_extensions.push(extension);
    check(&trust, &[&issue(strange, Some(&root))], SIGNATURE, now(), Err("invalid_cert_path"));
}

#[test]
fn of_two_cas_with_one_name_the_signer_is_found() {
    let (old, new, false_one) = (ca("Root", None), ca("Root", None), ca("root", None));
    let trust = trust(&[("XX", vec![approved(&old, &[]), approved(&new, &[])], vec![])]);
    for by in [&old, &new] {
        let leaf = issue(signing_params(), Some(by));
        check(&trust, &[&leaf], SIGNATURE, now(), Ok(1));
        let issuer = trust.issuer_of(&leaf.certificate, None).map(|issuer| issuer.certificate().clone());
        assert_eq!(issuer, Some(by.certificate.clone()));
    }
    let forged = issue(signing_params(), Some(&false_one));
    check(&trust, &[&forged], SIGNATURE, now(), Err("cannot_create_cert_path"));
    check(
        &trust,
        &[&forged, &false_one],
        PathUse::Consumer { instance: "XX" },
        now(),
        Err("cannot_create_cert_path"),
    );
    assert!(trust.issuer_of(&forged.certificate, None).is_none());
}

#[test]
fn the_own_chain_leaves_the_anchor_out() {
    let root = ca("Root", None);
    let middle = ca("Middle", Some(&root));
    let leaf = issue(signing_params(), Some(&middle));
    let chain = |cas| trust(&[("XX", vec![cas], vec![])]).own_chain(&leaf.certificate);
    assert_eq!(chain(approved(&root, &[&middle])), [leaf.certificate.clone(), middle.certificate.clone()]);
    assert_eq!(chain(approved(&middle, &[])), std::slice::from_ref(&leaf.certificate));
    assert!(chain(approved(&root, &[])).is_empty());
}

fn client(text: &str) -> ClientId {
    let parts: Vec<_> = text.split('/').collect();
    let member = MemberId::new(parts[0], parts[1], parts[2]).expect("an identifier");
    ClientId::new(member, parts.get(3).copied()).expect("an identifier")
}

#[test]
fn signing_certificates_name_their_member() {
    let root = ca("Root", None);
    let leaf = issue(signing_params(), Some(&root));
    let only = ApprovedCa { authentication_only: true, ..approved(&root, &[]) };
    let strange =
        ApprovedCa { certificate_profile: "com.example.Profile".to_owned(), ..approved(&root, &[]) };
    for (cas, signer, expected) in [
        (approved(&root, &[]), "XX/GOV/1", Ok(())),
        (approved(&root, &[]), "XX/GOV/1/sub", Ok(())),
        (approved(&root, &[]), "XX/GOV/2", Err("incorrect_certificate")),
        (approved(&root, &[]), "YY/GOV/1", Err("internal_error")),
        (only, "XX/GOV/1", Err("incorrect_certificate")),
        (strange, "XX/GOV/1", Err("internal_error")),
    ] {
        let trust = trust(&[("XX", vec![cas], vec![])]);
        let found = trust.member_of_signing_certificate(&leaf.certificate, &client(signer));
        assert_eq!(found.as_ref().map_err(|fault| fault.code.as_ref()).copied(), expected, "{signer}");
    }
}

#[test]
fn authentication_needs_a_registered_certificate_and_client() {
    let root = ca("Root", None);
    let auth = |by: &Node| {
        let mut params = params(&[(DnType::CommonName, "ss1")]);
        params.key_usages = vec![DigitalSignature];
        issue(params, Some(by)).certificate
    };
    let (registered, unknown, foreign) = (auth(&root), auth(&root), auth(&ca("Elsewhere", None)));
    let signing = issue(signing_params(), Some(&root)).certificate;
    let hash = |certificate: &Certificate| CertificateHashes::of(certificate.der()).sha256.bytes().to_vec();
    let server = |owner: &str, certificates: &[&Certificate], clients: &[&str]| RegisteredServer {
        id: SecurityServerId::new(client(owner).member().clone(), "ss1").expect("an identifier"),
        address: None,
        certificate_hashes: certificates.iter().map(|certificate| hash(certificate)).collect(),
        clients: clients.iter().map(|text| client(text)).collect(),
        maintenance: None,
    };
    let here = server("XX/GOV/1", &[&registered, &signing, &foreign], &["XX/GOV/1/a", "XX/COM/2/b"]);
    let there = server("YY/GOV/1", &[], &["YY/GOV/1/a"]);
    let trust = trust(&[
        ("XX", vec![approved(&root, &[])], vec![here.clone()]),
        ("YY", vec![approved(&root, &[])], vec![there]),
    ]);
    let verify = |chain: &[&Certificate], of: &str, peer| {
        let chain: Vec<_> = chain.iter().map(|certificate| (*certificate).clone()).collect();
        trust.verify_authentication(&chain, &client(of), peer, now()).map(|peer| peer.server)
    };
    for peer in [Peer::Provider, Peer::Consumer] {
        for of in ["XX/GOV/1", "XX/GOV/1/a", "XX/COM/2/b"] {
            assert_eq!(verify(&[&registered], of, peer), Ok(here.id.clone()), "{of}");
        }
        for (chain, of) in [
            (&[&registered][..], "XX/COM/2"),
            (&[&registered], "XX/GOV/1/b"),
            (&[&registered], "YY/GOV/1/a"),
            (&[&unknown], "XX/GOV/1"),
            (&[&signing], "XX/GOV/1"),
            (&[], "XX/GOV/1"),
        ] {
            let fault = verify(chain, of, peer).expect_err("is refused");
            assert_eq!(fault.code, "ssl_authentication_failed", "{of}: {fault}");
        }
    }
    let code = |peer| verify(&[&foreign], "XX/GOV/1", peer).map_err(|fault| fault.code.into_owned());
    let path = "ssl_authentication_failed.cannot_create_cert_path.internal_error";
    assert_eq!(code(Peer::Provider), Err(path.to_owned()));
    assert_eq!(code(Peer::Consumer), Err("internal_error".to_owned()));
}

#[test]
fn unreadable_certificates_are_told_and_left_out() {
    let mut broken = approved(&ca("Root", None), &[]);
    broken.top.certificate.truncate(50);
    let trust = trust(&[("XX", vec![broken], vec![])]);
    assert_eq!((trust.authorities().len(), trust.problems().len()), (0, 1));
}
