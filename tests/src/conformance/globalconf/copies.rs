//! Anchors, local copies, and what follows from them.

use std::path::Path;

use bytes::Bytes;
use gateway::configuration::locations::of_shared_parameters;
use gateway::configuration::read_local;
use protocol::configuration::local::Purpose;
use protocol::configuration::{
    Anchor, AnchorSource, CopyState, CostPreference, LocalCopy, optional_parts, private,
};

use super::super::{Cases, read};
use super::{code, round_trip, time};

pub(super) fn anchors(folder: &Path, cases: &mut Cases) {
    for (file, hash) in [
        (
            "anchors/core-configuration-anchor1.xml",
            "CC:2D:DB:13:0D:56:99:A5:7A:44:B3:A1:77:F9:78:4E:77:8C:50:FD:3D:D7:C0:80:9E:40:58:81",
        ),
        (
            "anchors/confclient-configuration-anchor1.xml",
            "90:D8:E0:6D:42:1D:54:7A:E0:99:99:6E:A0:F2:B0:6A:C5:66:00:03:C6:35:42:C5:8D:25:AC:9C",
        ),
        (
            "anchors/internal-configuration-anchor.xml",
            "4D:72:A8:60:90:88:A2:5B:9C:6B:91:86:3C:D7:44:CE:9E:E1:1C:27:8E:33:F4:E5:31:68:F2:EC",
        ),
        (
            "anchors/trusted-anchor.xml",
            "40:2A:4F:94:05:D2:9B:ED:C9:EE:A2:6D:EC:EC:11:94:5D:C9:A8:3E:29:1F:B2:92:A6:E4:DF:1D",
        ),
        (
            "signed-central/configuration_anchor_CS_internal.xml",
            "54:70:AF:FE:15:78:E0:03:69:FB:C3:BE:99:D0:B0:0B:D0:77:21:52:14:87:3D:2C:B3:6D:7C:C7",
        ),
    ] {
        let bytes = read(&folder.join(file));
        let anchor = Anchor::parse(&bytes);
        cases.case(file, "accepted", code(&anchor));
        cases.case(format!("{file}, hash"), hash, Anchor::shown_hash(&bytes));
        if let Ok(anchor) = anchor {
            let again = Anchor::parse(&anchor.to_xml());
            cases.case(format!("{file}, written and read"), true, again == Ok(anchor));
        }
    }
    let anchor = Anchor::parse(&read(&folder.join("anchors/trusted-anchor.xml")));
    cases.case(
        "anchors/trusted-anchor.xml, instance",
        "CS0",
        anchor.map_or(String::new(), |anchor| anchor.instance),
    );
    let invalid = Anchor::parse(&read(&folder.join("anchors/trusted-anchor-invalid-1.xml")));
    cases.case("anchors/trusted-anchor-invalid-1.xml", "malformed_anchor", code(&invalid));
    let proxy = Anchor::parse(&read(&folder.join("configuration-proxy/anchor.xml")));
    cases.case("configuration-proxy/anchor.xml", "accepted", code(&proxy));
}

pub(super) fn caches(folder: &Path, cases: &mut Cases) {
    let now = time("2026-01-01T00:00:00Z");
    for (name, known) in [
        ("globalconf_good_v2", "EE 2, bar 2, foo 2"),
        ("globalconf_good_v3", "EE 3, bar 3, foo_v2 2"),
        ("globalconf_good_v6", "EE 6, bar 3, baz_v3 3, foo_v2 2, quux_v5 5, qux_v4 4"),
        ("globalconf_good2_v3", "DEV 3"),
        ("globalconf_empty", ""),
        ("globalconf_malformed", ""),
    ] {
        let copy = read_local(&folder.join("cache").join(name)).unwrap_or_default();
        let loaded = copy.load(Purpose::Evidence);
        let mut got: Vec<String> = loaded
            .configuration
            .instances
            .values()
            .map(|instance| format!("{} {}", instance.identifier, instance.version))
            .collect();
        got.sort();
        cases.case(format!("cache/{name}"), known, got.join(", "));
        if name != "globalconf_malformed" {
            cases.case(format!("cache/{name}, files that cannot be read"), 0, loaded.problems.len());
        }
        for instance in copy.instances().filter(|_| name != "globalconf_malformed") {
            let Some(bytes) = copy.file(instance, "private-params.xml") else { continue };
            let version = if name == "globalconf_good_v2" || instance.ends_with("v2") { 2 } else { 3 };
            let read = private::parse(bytes, version);
            cases.case(format!("cache/{name}/{instance}/private-params.xml"), "accepted", code(&read));
        }
        for instance in loaded.configuration.instances.values() {
            round_trip(&format!("cache/{name}/{}", instance.identifier), instance, cases);
        }
        // X-Road takes a file without metadata as one that never ends; here it is one that has ended.
        let current = copy.load(Purpose::Running(now)).configuration.is_current(now);
        let stated = matches!(name, "globalconf_good_v2" | "globalconf_good_v3" | "globalconf_good_v6");
        cases.case(format!("cache/{name}, current"), stated, current);
    }
    let state = |name: &str| read_local(&folder.join("cache").join(name)).unwrap_or_default().state();
    cases.case("cache/globalconf_empty, state", "Malformed", format!("{:?}", state("globalconf_empty")));
    cases.case("cache/globalconf_good_v6, state", "Ready", format!("{:?}", state("globalconf_good_v6")));
    let mut nameless = LocalCopy::default();
    nameless.insert("I", "shared-params.xml", Bytes::new());
    cases.case(
        "a copy without instance identifier, state",
        format!("{:?}", CopyState::MissingIdentifier),
        format!("{:?}", nameless.state()),
    );

    let copy =
        read_local(&folder.join("cache/globalconf_good_v6")).unwrap_or_default().load(Purpose::Evidence);
    let responders = |preference| {
        let own = copy.configuration.own()?;
        let top = own.shared.approved_cas.iter().map(|ca| &ca.top).find(|ca| ca.ocsp.len() > 3)?;
        let short = |url: &str| url.rsplit('/').next().map(str::to_owned).filter(|_| !url.contains("8082"));
        let urls = top
            .responders(preference)
            .into_iter()
            .map(|responder| short(&responder.url).unwrap_or("8082".to_owned()));
        Some(urls.collect::<Vec<_>>().join(" "))
    };
    for (preference, expected) in [
        (CostPreference::None, "8082 ocsp ocsp2 ocsp3 ocsp4"),
        (CostPreference::OnlyFree, "8082 ocsp4"),
        (CostPreference::FreeFirst, "8082 ocsp4 ocsp ocsp2 ocsp3"),
        (CostPreference::OnlyPaid, "ocsp ocsp2"),
        (CostPreference::PaidFirst, "ocsp ocsp2 8082 ocsp4 ocsp3"),
    ] {
        cases.case(
            format!("cache/globalconf_good_v6, {preference:?}"),
            expected,
            responders(preference).unwrap_or_default(),
        );
    }
}

pub(super) fn source_locations(folder: &Path, cases: &mut Cases) {
    let places = |cache: &str, url: &str| {
        let path = if cache.starts_with("cache/") {
            folder.join(cache)
        } else {
            folder.join("source-locations").join(cache)
        };
        let copy = read_local(&path).unwrap_or_default();
        let instance = copy.instance("EE", Purpose::Evidence, &mut Vec::new());
        let source = AnchorSource { download_url: url.to_owned(), verification_certs: vec![vec![0]] };
        let anchor = Anchor { generated_at: None, instance: "EE".to_owned(), sources: vec![source] };
        let places = instance.map(|instance| of_shared_parameters(&anchor, &instance)).unwrap_or_default();
        places
            .iter()
            .map(|place| format!("{} {}", place.url, place.certificates.len()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    for (cache, url, expected) in [
        (
            "V3",
            "http://domainAddress/internalconf",
            "https://node1/internalconf 1, http://node1/internalconf 1",
        ),
        (
            "V3",
            "http://domainAddress/externalconf",
            "https://node1/externalconf 1, http://node1/externalconf 1",
        ),
        ("V3", "http://domainAddress/PROXY/conf", "https://node1/PROXY/conf 2, http://node1/PROXY/conf 2"),
        ("V3", "http://notMatchFormat", ""),
        ("cache/globalconf_good_v2", "http://domainAddress/internalconf", ""),
    ] {
        cases.case(format!("source-locations/{cache} {url}"), expected, places(cache, url));
    }
    let many = places("V3-many-nodes", "http://domainAddress/internalconf");
    let schemes: Vec<&str> = many.split(", ").filter_map(|place| place.split(':').next()).collect();
    cases.case("source-locations/V3-many-nodes", "https https https http http http", schemes.join(" "));
}

pub(super) fn optional(folder: &Path, cases: &mut Cases) {
    let folder = folder.join("optional-parts");
    let file = |name: &str| read(&folder.join(name));
    for (name, expected, got) in [
        (
            "valid-monitoring-params.xml",
            "accepted",
            code(&optional_parts::parse_monitoring(&file("valid-monitoring-params.xml"))),
        ),
        (
            "valid-nextupdate-params.xml",
            "accepted",
            code(&optional_parts::parse_next_update(&file("valid-nextupdate-params.xml"))),
        ),
        (
            "valid-fetchinterval-params.xml",
            "accepted",
            code(&optional_parts::parse_fetch_interval(&file("valid-fetchinterval-params.xml"))),
        ),
        (
            "monitoring-params_upload.xml",
            "accepted",
            code(&optional_parts::parse_monitoring(&file("monitoring-params_upload.xml"))),
        ),
        (
            "invalid-monitoring-params.xml",
            "malformed_optional_parts_conf",
            code(&optional_parts::parse_monitoring(&file("invalid-monitoring-params.xml"))),
        ),
        (
            "invalid-fetchinterval-params.xml",
            "malformed_optional_parts_conf",
            code(&optional_parts::parse_fetch_interval(&file("invalid-fetchinterval-params.xml"))),
        ),
        (
            "empty-nextupdate-params.xml",
            "malformed_optional_parts_conf",
            code(&optional_parts::parse_next_update(&file("empty-nextupdate-params.xml"))),
        ),
    ] {
        cases.case(format!("optional-parts/{name}"), expected, got);
    }
    cases.case(
        "optional-parts/valid-nextupdate-params.xml, value",
        false,
        optional_parts::parse_next_update(&file("valid-nextupdate-params.xml")).unwrap_or(true),
    );
    cases.case(
        "optional-parts/valid-fetchinterval-params.xml, value",
        500,
        optional_parts::parse_fetch_interval(&file("valid-fetchinterval-params.xml")).unwrap_or(0),
    );
    cases.skip("optional-parts/*.ini", "declarations of a central server's own configuration folder");
    cases.skip("configuration-proxy/conf.ini", "settings of X-Road's configuration proxy");
}
