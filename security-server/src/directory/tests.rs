//! The table of clients, services and rights.

use protocol::configuration::{Instance, RegisteredServer, SharedParameters};
use protocol::id::MemberId;
use protocol::time::UtcTime;

use super::*;
use crate::state::{AccessRight, Endpoint, LocalGroup, Subject, Term};

fn client(text: &str) -> ClientId {
    ClientId::parse_encoded(text).unwrap()
}

fn service(code: &str, service_type: ServiceType) -> (ServiceKey, ServiceSettings) {
    let version = (service_type == ServiceType::Soap).then(|| "v1".to_owned());
    let endpoint = |path: &str| Endpoint { path: path.into(), method: "DELETE".into(), generated: true };
    let settings = ServiceSettings {
        url: "http://127.0.0.1/".into(),
        timeout: std::time::Duration::from_secs(1),
        tls: gateway::ports::ServiceTls::Pinned,
        disabled: None,
        service_type,
        description: Some("http://127.0.0.1/api.yaml".into()),
        title: None,
        endpoints: [endpoint("/declared")].into(),
    };
    (ServiceKey { code: code.into(), version }, settings)
}

fn server() -> SecurityServerId {
    SecurityServerId::new(MemberId::new("CW", "GOV", "1").unwrap(), "ss1").unwrap()
}

/// A configuration in which `CW/GOV/1/a` is registered at this server.
fn global() -> GlobalConfiguration {
    let shared = SharedParameters {
        instance: "CW".into(),
        servers: vec![RegisteredServer {
            id: server(),
            address: None,
            certificate_hashes: vec![],
            clients: vec![client("CW/GOV/1/a")],
            maintenance: None,
        }],
        ..SharedParameters::default()
    };
    let instance = Instance::new(shared, 6, UtcTime::from_seconds(i64::MAX / 1000));
    GlobalConfiguration {
        own_instance: "CW".into(),
        instances: [("CW".to_owned(), Arc::new(instance))].into(),
    }
}

fn directory() -> Directory {
    let subject = |text: &str| match text.split_once(':') {
        Some(("global", code)) => Subject::GlobalGroup(GlobalGroupId::new("CW", code).unwrap()),
        Some((_, code)) => Subject::LocalGroup(code.to_owned()),
        None => Subject::Client(client(text)),
    };
    let rights = [
        ("permits", "*", "**", "CW/GOV/2/all"),
        ("permits", "GET", "/open/*", "CW/GOV/2/reader"),
        ("permits", "get", "/open/*", "CW/GOV/2/other"),
        ("permits", "POST", "/open/**", "local:friends"),
        ("permits", "GET", "**", "global:ministries"),
        ("permits", "*", "**", "CW/GOV/3"),
        ("gone", "*", "**", "local:nobody"),
    ];
    let option = |text: &str, any: &str| Some(text).filter(|text| *text != any).map(str::to_owned);
    let settings = ClientSettings {
        groups: [(
            "friends".to_owned(),
            LocalGroup { members: [(client("CW/GOV/2/friend"), None)].into(), ..LocalGroup::default() },
        )]
        .into(),
        rights: rights
            .iter()
            .map(|(code, method, path, who)| AccessRight {
                service_code: (*code).to_owned(),
                method: option(method, "*"),
                path: option(path, "**"),
                subject: subject(who),
            })
            .map(|right| (right, Term::default()))
            .collect(),
        services: [service("soap", ServiceType::Soap), service("permits", ServiceType::OpenApi)].into(),
        ..ClientSettings::default()
    };
    let local = LocalConfiguration {
        clients: [(client("CW/GOV/1/a"), settings.clone()), (client("CW/GOV/1/unregistered"), settings)]
            .into(),
    };
    let directory = Directory::new(server(), Clock::system());
    directory.update(&local, &global());
    directory
}

#[track_caller]
fn check(who: &str, code: &str, method: &str, path: &str, expected: bool) {
    let service = ServiceId::new(client("CW/GOV/1/a"), code, None).unwrap();
    let is_in_group = |group: &GlobalGroupId| group.code() == "ministries" && who == "CW/GOV/2/ministry";
    let allowed = directory().is_allowed(&client(who), &service, method, path, &is_in_group);
    assert_eq!(allowed, expected, "{who} {code} {method} {path}");
}

#[test]
fn access_rights() {
    check("CW/GOV/2/all", "permits", "DELETE", "/x/y", true);
    check("CW/GOV/2/all", "other", "GET", "/", false);
    check("CW/GOV/2/all", "gone", "GET", "/", false);
    check("CW/GOV/2", "permits", "GET", "/", false);
    check("CW/GOV/2/stranger", "permits", "GET", "/open/1", false);
    check("CW/GOV/2/reader", "permits", "GET", "/open/1", true);
    check("CW/GOV/2/reader", "permits", "get", "/open/", true);
    check("CW/GOV/2/reader", "permits", "POST", "/open/1", false);
    check("CW/GOV/2/reader", "permits", "GET", "/open/1/2", false);
    check("CW/GOV/2/reader", "permits", "GET", "/Open/1", false);
    check("CW/GOV/2/other", "permits", "GET", "/open/1", true);
    check("CW/GOV/2/friend", "permits", "POST", "/open/1/2", true);
    check("CW/GOV/2/friend", "permits", "GET", "/open/1", false);
    check("CW/GOV/2/ministry", "permits", "GET", "/anything", true);
    check("CW/GOV/2/ministry", "permits", "PUT", "/anything", false);
    check("CW/GOV/3", "permits", "GET", "/", true);
    check("CW/GOV/3/sub", "permits", "GET", "/", false);
}

#[track_caller]
fn check_some(who: &str, code: &str, expected: bool) {
    let service = ServiceId::new(client("CW/GOV/1/a"), code, None).unwrap();
    let is_in_group = |group: &GlobalGroupId| group.code() == "ministries" && who == "CW/GOV/2/ministry";
    let some = directory().has_some_right(&client(who), &service, &is_in_group);
    assert_eq!(some, expected, "{who} {code}");
}

#[test]
fn some_right() {
    for who in ["all", "reader", "other", "friend", "ministry"] {
        check_some(&format!("CW/GOV/2/{who}"), "permits", true);
    }
    check_some("CW/GOV/2/stranger", "permits", false);
    check_some("CW/GOV/2/all", "gone", false);
    check_some("CW/GOV/2/all", "other", false);
}

#[test]
fn services_tell_their_endpoints() {
    let directory = directory();
    let services = directory.services(&client("CW/GOV/1/a"));
    let ids: Vec<_> = services.iter().map(|service| service.id.to_string()).collect();
    assert_eq!(ids, ["CW/GOV/1/a/permits", "CW/GOV/1/a/soap/v1"]);
    let told: Vec<_> =
        services[0].endpoints.iter().map(|part| format!("{} {}", part.method, part.path)).collect();
    assert_eq!(told, ["GET **", "DELETE /declared", "GET /open/*", "get /open/*", "POST /open/**"]);
    assert_eq!(services[0].description_url.as_deref(), Some("http://127.0.0.1/api.yaml"));
    assert!(services[1].endpoints.is_empty());
    assert!(directory.services(&client("CW/GOV/1/unregistered")).is_empty());
}

#[test]
fn a_right_covers_all_versions() {
    let service = ServiceId::new(client("CW/GOV/1/a"), "permits", Some("v2")).unwrap();
    assert!(directory().is_allowed(&client("CW/GOV/2/all"), &service, "GET", "/", &|_| false));
}

#[test]
fn only_registered_clients_are_there() {
    let directory = directory();
    assert!(directory.client(&client("CW/GOV/1/a")).is_some());
    assert!(directory.client(&client("CW/GOV/1/unregistered")).is_none());
    let service = ServiceId::new(client("CW/GOV/1/unregistered"), "permits", None).unwrap();
    assert!(!directory.is_allowed(&client("CW/GOV/2/all"), &service, "GET", "/", &|_| false));
}

#[test]
fn a_right_past_its_end_is_none() {
    let now = UtcTime::from_seconds(1_800_000_000);
    let directory = |until: &[(&str, Option<i64>)]| {
        let mut settings = ClientSettings {
            services: [service("permits", ServiceType::Rest)].into(),
            groups: [(
                "friends".to_owned(),
                LocalGroup { members: [(client("CW/GOV/2/a"), None)].into(), ..LocalGroup::default() },
            )]
            .into(),
            ..ClientSettings::default()
        };
        for (who, seconds) in until {
            let subject = match *who {
                "friends" => Subject::LocalGroup("friends".into()),
                "all" => Subject::GlobalGroup(GlobalGroupId::new("CW", "all").unwrap()),
                who => Subject::Client(client(who)),
            };
            let right = AccessRight { service_code: "permits".into(), method: None, path: None, subject };
            let until = seconds.map(|seconds| UtcTime::from_seconds(1_800_000_000 + seconds));
            settings.rights.insert(right, Term { given: None, until });
        }
        let local = LocalConfiguration { clients: [(client("CW/GOV/1/a"), settings)].into() };
        let directory = Directory::new(server(), Clock::set_to(now));
        directory.update(&local, &global());
        directory
    };
    let service = ServiceId::new(client("CW/GOV/1/a"), "permits", None).unwrap();
    let check = |until: &[(&str, Option<i64>)], expected: Option<&str>| {
        let directory = directory(until);
        let who = client("CW/GOV/2/a");
        let rule = directory.rule(&who, &service, "GET", "/", &|_| true);
        let found = rule.map(|rule| rule.right.subject.to_string());
        assert_eq!(found.as_deref(), expected, "{until:?}");
        assert_eq!(directory.is_allowed(&who, &service, "GET", "/", &|_| true), expected.is_some());
        assert_eq!(directory.has_some_right(&who, &service, &|_| true), expected.is_some());
    };
    check(&[("CW/GOV/2/a", Some(60))], Some("CW/GOV/2/a"));
    check(&[("CW/GOV/2/a", Some(-60))], None);
    check(&[("CW/GOV/2/a", Some(0))], None);
    check(&[("CW/GOV/2/a", Some(-60)), ("friends", Some(60))], Some("local group friends"));
    check(&[("CW/GOV/2/a", Some(-60)), ("friends", None)], Some("local group friends"));
    check(&[("CW/GOV/2/a", None), ("friends", Some(60))], Some("CW/GOV/2/a"));
    check(&[("CW/GOV/2/a", Some(-60)), ("all", Some(60))], Some("global group CW/all"));
    check(&[("all", Some(-60))], None);
}

#[test]
fn who_asked_to_go_is_not_served() {
    for status in ClientStatus::ALL {
        let settings = ClientSettings { status, ..ClientSettings::default() };
        let local = LocalConfiguration { clients: [(client("CW/GOV/1/a"), settings)].into() };
        let directory = Directory::new(server(), Clock::system());
        directory.update(&local, &global());
        let is_served = !matches!(
            status,
            ClientStatus::DeletionInProgress | ClientStatus::DisablingInProgress | ClientStatus::Disabled
        );
        assert_eq!(directory.client(&client("CW/GOV/1/a")).is_some(), is_served, "{status:?}");
    }
}
