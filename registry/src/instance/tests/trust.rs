//! Trust services, anchors, parts, settings, tokens and signing keys.

use protocol::configuration::{Anchor, AnchorSource, CostType, CsrFormat};

use super::town::{Authority as TestCa, Town, refused};
use crate::instance::{
    Authority, CertificationSettings, Missing, ResponderChange, Rules, SOFTWARE_TOKEN, SettingsChange,
    TriedAnchor, read_anchor,
};
use crate::publish::SourceKind;

fn settings(profile: &str) -> CertificationSettings {
    CertificationSettings { profile: profile.into(), ..CertificationSettings::default() }
}

#[test]
fn certification_services() {
    let town = Town::new();
    let desk = &town.desk;
    let (top, below) = (TestCa::new("Second CA"), TestCa::new("Below"));
    refused(desk.add_certification_service(b"x", settings("FiVRK")), "400 invalid_certificate []");
    let refusal = "400 certificate_profile_info_class_not_found []";
    refused(desk.add_certification_service(&top.der, settings("Fivrk")), refusal);
    let acme = |directory: &str, addresses: &str| CertificationSettings {
        acme_directory: Some(directory.into()),
        acme_ip_addresses: Some(addresses.into()),
        csr_format: Some(CsrFormat::Der),
        ..settings("Basic")
    };
    refused(desk.add_certification_service(&top.der, acme("ftp://x", "")), "400 invalid_url []");
    let refusal = "400 invalid_ip_address []";
    refused(desk.add_certification_service(&top.der, acme("http://x", "10.0.0.1, x")), refusal);
    let service = desk.add_certification_service(&top.der, acme("http://x/d", "10.0.0.1, ::1")).unwrap();
    assert_eq!((service.id, service.name.as_str()), (2, "Second CA"));
    assert!(service.settings.profile.ends_with(".BasicCertificateProfileInfoProvider"));
    let refusal = "409 certification_authority_exists []";
    refused(desk.add_certification_service(&top.der, settings("Basic")), refusal);

    let missing = "404 certification_service_not_found []";
    refused(desk.change_certification_service(9, |_| {}), missing);
    refused(desk.delete_certification_service(9), missing);
    refused(desk.add_intermediate_ca(9, &below.der), missing);
    refused(desk.add_responder(Authority::Service(9), "http://o", None, CostType::Free), missing);
    let refusal = "400 certificate_profile_info_class_not_found []";
    refused(desk.change_certification_service(2, |settings| settings.profile.clear()), refusal);
    let changed = desk.change_certification_service(2, |settings| settings.acme_directory = Some(" ".into()));
    assert_eq!(changed.unwrap().settings.acme_directory, None);

    refused(desk.add_intermediate_ca(2, b"x"), "400 invalid_certificate []");
    let intermediate = desk.add_intermediate_ca(2, &below.der).unwrap();
    let refusal = "409 certification_authority_exists []";
    refused(desk.add_intermediate_ca(1, &below.der), refusal);
    let missing = "404 intermediate_ca_not_found []";
    refused(desk.delete_intermediate_ca(9), missing);
    refused(desk.add_responder(Authority::Intermediate(9), "http://o", None, CostType::Free), missing);
    refused(desk.delete_responder(Some(Authority::Intermediate(9)), 1), missing);

    let of = Authority::Intermediate(intermediate.id);
    refused(desk.add_responder(of, "o", None, CostType::Free), "400 invalid_url []");
    refused(desk.add_responder(of, "http://o", Some(b"x"), CostType::Free), "400 invalid_certificate []");
    let one = desk.add_responder(of, "http://o", Some(&below.der), CostType::Paid).unwrap();
    let two = desk.add_responder(Authority::Service(2), "http://p", None, CostType::Free).unwrap();
    let missing = "404 ocsp_responder_not_found []";
    refused(desk.change_responder(9, ResponderChange::default()), missing);
    refused(desk.delete_responder(None, 9), missing);
    refused(desk.delete_responder(Some(of), two.id), missing);
    let change = ResponderChange { url: Some("o".into()), ..ResponderChange::default() };
    refused(desk.change_responder(one.id, change), "400 invalid_url []");
    let change = ResponderChange {
        url: Some("http://q".into()),
        certificate: Some(Vec::new()),
        cost: Some(CostType::Undefined),
    };
    let changed = desk.change_responder(one.id, change).unwrap();
    assert_eq!((changed.url.as_str(), changed.certificate), ("http://q", None));
    desk.delete_certification_service(2).unwrap();
    let reopened = town.reopened();
    for look in [desk.look(), reopened.look()] {
        assert_eq!(look.certification_services().len(), 1);
        assert!(look.intermediate_cas().is_empty() && look.responders().is_empty());
    }
}

#[test]
fn timestamping_services() {
    let town = Town::new();
    let (desk, tsa) = (&town.desk, TestCa::new("TSA"));
    refused(desk.add_timestamping_service("x", &tsa.der, CostType::Free), "400 invalid_url []");
    let refusal = "400 invalid_certificate []";
    refused(desk.add_timestamping_service("http://t", b"x", CostType::Free), refusal);
    let one = desk.add_timestamping_service("http://t", &tsa.der, CostType::Free).unwrap();
    assert_eq!((one.id, one.name.as_str()), (1, "TSA"));
    let refusal = "409 timestamping_authority_exists []";
    refused(desk.add_timestamping_service("http://t", &tsa.der, CostType::Free), refusal);
    let missing = "404 timestamping_authority_not_found []";
    refused(desk.change_timestamping_service(9, "http://t", None, CostType::Free), missing);
    refused(desk.delete_timestamping_service(9), missing);
    let changed = desk.change_timestamping_service(1, "http://u", None, CostType::Paid).unwrap();
    assert_eq!((changed.certificate, changed.cost), (one.certificate, CostType::Paid));
    desk.delete_timestamping_service(1).unwrap();
    assert_eq!(desk.add_timestamping_service("http://t", &tsa.der, CostType::Free).unwrap().id, 2);
}

#[test]
fn trusted_anchors() {
    let anchor = |instance: &str| {
        let sources = vec![AnchorSource {
            download_url: "http://partner/externalconf".into(),
            verification_certs: vec![vec![1]],
        }];
        Anchor { generated_at: None, instance: instance.into(), sources }.to_xml()
    };
    let town = Town::new();
    let desk = &town.desk;
    refused(read_anchor(b"<x/>"), "400 malformed_anchor []");
    let own = TriedAnchor::untried(&anchor("CW")).unwrap();
    let refusal = "400 trusted_anchor_verification_failed [it is an anchor of this instance]";
    refused(desk.add_trusted_anchor(own), refusal);
    let kept = desk.add_trusted_anchor(TriedAnchor::untried(&anchor("PARTNER")).unwrap()).unwrap();
    assert_eq!(kept.file, anchor("PARTNER"));
    let hash = kept.hash();
    refused(desk.suspend_federation("AA", true), "404 trusted_anchor_not_found [AA]");
    refused(desk.delete_trusted_anchor("AA"), "404 trusted_anchor_not_found [AA]");
    desk.suspend_federation(&hash.to_lowercase().replace(':', ""), true).unwrap();
    // Another anchor of the same instance takes its place, and changes nothing of the suspension.
    let again = desk.add_trusted_anchor(TriedAnchor::untried(&anchor("PARTNER")).unwrap()).unwrap();
    assert!(again.suspended && town.reopened().look().anchors().len() == 1);
    desk.suspend_federation(&hash, false).unwrap();
    desk.delete_trusted_anchor(&hash).unwrap();
    assert!(town.reopened().look().anchors().is_empty());
    let alone = Town::with(Rules { trusted_anchors: false, ..Rules::default() });
    let refusal = "409 trusted_anchors_not_allowed []";
    refused(alone.desk.add_trusted_anchor(TriedAnchor::untried(&anchor("P")).unwrap()), refusal);
}

#[test]
fn configuration_parts() {
    let parts = vec![("LOCAL".to_owned(), "local.xml".to_owned())];
    let town = Town::with(Rules { parts, ..Rules::default() });
    let desk = &town.desk;
    let good = protocol::configuration::optional_parts::write_next_update(false);
    let internal = SourceKind::Internal;
    refused(desk.put_part(internal, "OTHER", &good), "400 unknown_configuration_part []");
    refused(desk.put_part(internal, "SHARED-PARAMETERS", &good), "400 unknown_configuration_part []");
    let external = desk.put_part(SourceKind::External, "NEXTUPDATE", &good);
    refused(external, "400 unknown_configuration_part []");
    for bad in ["", "<x/>", "not XML"] {
        let refusal = desk.put_part(internal, "NEXTUPDATE", bad.as_bytes()).unwrap_err();
        assert_eq!((refusal.code(), refusal.status()), ("configuration_part_validation_failed", 400));
    }
    let swapped = desk.put_part(internal, "MONITORING", &good).unwrap_err();
    assert_eq!(swapped.code(), "configuration_part_validation_failed");
    assert_eq!(desk.put_part(internal, "NEXTUPDATE", &good).unwrap().file_name, "nextupdate-params.xml");
    desk.put_part(internal, "LOCAL", b"anything").unwrap();
    assert_eq!(town.reopened().look().parts().len(), 2);
    refused(desk.delete_part("MONITORING"), "404 configuration_part_file_not_found []");
    desk.delete_part("LOCAL").unwrap();
}

#[test]
fn settings_have_bounds() {
    let town = Town::new();
    let change = |freshness: u64, interval: u64, expiry: Option<u64>| {
        town.desk.change_settings(SettingsChange {
            ocsp_freshness_seconds: Some(freshness),
            timestamping_interval_seconds: Some(interval),
            expiry_seconds: expiry,
            registration_url: None,
        })
    };
    for (freshness, interval, expiry) in [
        (3600, 59, None),
        (3600, 3600, None),
        (100_000, 86_401, None),
        (700_000, 60, None),
        (3600, 60, Some(4)),
    ] {
        refused(change(freshness, interval, expiry), "400 validation_failure []");
    }
    change(1800, 120, Some(300)).unwrap();
    assert_eq!(change(1800, 120, Some(0)).unwrap().expiry_seconds, None);
    let url = |url: &str| {
        let registration_url = Some(url.to_owned());
        town.desk.change_settings(SettingsChange { registration_url, ..SettingsChange::default() })
    };
    refused(url("registry"), "400 validation_failure []");
    url("https://%{centralServerAddress}:9001/x/").unwrap();
    for bad in ["", "http://x", "a b", "a/b"] {
        refused(town.desk.set_address(bad), "400 validation_failure []");
    }
    town.desk.set_address("r.example:8088").unwrap();
    assert_eq!(town.desk.host().as_deref(), Some("r.example"));
    assert_eq!(town.reopened().authority().as_deref(), Some("r.example:8088"));
}

#[test]
fn tokens_and_signing_keys() {
    let town = Town::empty(Rules::default());
    let desk = &town.desk;
    assert_eq!(desk.token_views(), []);
    refused(desk.login(SOFTWARE_TOKEN, "Secret1234"), "404 token_not_found []");
    town.initialise().unwrap();
    let add = |source| desk.add_signing_key(source, SOFTWARE_TOKEN, "a label");
    let internal = SourceKind::Internal;
    refused(add(internal), "400 token_action_not_possible []");
    refused(desk.logout(SOFTWARE_TOKEN), "400 token_action_not_possible []");
    refused(desk.login("9", "Secret1234"), "404 token_not_found []");
    refused(desk.login(SOFTWARE_TOKEN, "secret1234"), "400 token_incorrect_pin []");
    desk.login(SOFTWARE_TOKEN, "Secret1234").unwrap();
    refused(desk.login(SOFTWARE_TOKEN, "Secret1234"), "400 token_action_not_possible []");
    refused(desk.add_signing_key(internal, "9", "x"), "404 token_not_found []");
    refused(desk.add_signing_key(internal, SOFTWARE_TOKEN, &"x".repeat(256)), "400 validation_failure []");
    refused(desk.recreate_anchor(internal), "409 no_configuration_signing_keys_configured []");

    let first = add(internal).unwrap();
    assert!(first.active, "the first key of a source is active at once");
    let anchor = desk.look().own_anchor(internal).unwrap().clone();
    let next = add(internal).unwrap();
    assert!(!next.active && desk.look().own_anchor(internal).unwrap().hash() != anchor.hash());
    refused(add(internal), "400 token_action_not_possible []");
    assert!(add(SourceKind::External).unwrap().active);
    let view = &desk.token_views()[0];
    assert_eq!((view.name.as_str(), view.keys.len(), view.has_room(internal)), ("softToken-0", 3, false));
    let parsed = Anchor::parse(&desk.look().own_anchor(internal).unwrap().file).unwrap();
    let both = [first.certificate.to_vec(), next.certificate.to_vec()];
    assert_eq!(parsed.sources[0].verification_certs, both);
    assert_eq!(parsed.sources[0].download_url, "http://registry.example/internalconf");
    assert_eq!(parsed.sources[1].download_url, "https://registry.example/internalconf");

    refused(desk.activate_signing_key("x", false), "404 signing_key_not_found []");
    refused(desk.delete_signing_key("x"), "404 signing_key_not_found []");
    refused(desk.activate_signing_key(&first.id, true), "400 signing_key_action_not_possible []");
    refused(desk.delete_signing_key(&first.id), "400 signing_key_action_not_possible []");
    let early = desk.activate_signing_key(&next.id, false).unwrap_err();
    assert_eq!((early.code(), early.status()), ("signing_key_not_yet_distributed", 409));
    desk.logout(SOFTWARE_TOKEN).unwrap();
    refused(desk.activate_signing_key(&next.id, true), "400 signing_key_action_not_possible []");
    desk.login(SOFTWARE_TOKEN, "Secret1234").unwrap();
    desk.activate_signing_key(&next.id, true).unwrap();
    assert_eq!(desk.look().active_key(internal).map(|key| key.id.clone()), Some(next.id.clone()));
    desk.delete_signing_key(&first.id).unwrap();
    assert_eq!(desk.look().keys_of(internal).len(), 1);

    refused(desk.change_pin(SOFTWARE_TOKEN, "x", "New-pin-2026"), "400 token_incorrect_pin []");
    desk.change_pin(SOFTWARE_TOKEN, "Secret1234", "New-pin-2026").unwrap();
    let reopened = town.reopened();
    assert!(!reopened.tokens().is_active(), "nobody is logged in after a start");
    refused(reopened.login(SOFTWARE_TOKEN, "Secret1234"), "400 token_incorrect_pin []");
    assert_eq!(reopened.missing(), [Missing::Provider, Missing::Login]);
    reopened.login(SOFTWARE_TOKEN, "New-pin-2026").unwrap();
    assert_eq!(reopened.look().signing_keys().len(), 2);
}
