//! Calls that are refused: by whom, with which code, and what is left of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use certs::certificate::CertificateUsage;
use certs::key::KeyKind;
use gateway::Settings;
use gateway::http::Outgoing;
use gateway::ports::ServiceType;
use hyper::header::HeaderValue;
use protocol::configuration::{ClassPolicy, NodeClass, NodeClasses, PairTerms, TlsFloor};

use crate::calls::{Answer, call_at, request};
use crate::federation::{
    CLIENT_PORT, Federation, Wishes, client, issue, ocsp_response, provider, publish, service,
};

const ECHO: &str = "/r1/CW/COM/2/service/echo/x";

#[track_caller]
fn check(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.error(), answer.status), (code, status), "{:?}", answer.body);
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["type"], code);
    assert!(body["detail"].as_str().is_some_and(|id| id.parse::<uuid::Uuid>().is_ok()), "{body}");
    assert!(!body["message"].as_str().unwrap().contains("secret"), "{body}");
}

#[tokio::test]
async fn the_consumers_server_refuses() {
    let federation = Federation::start();
    for (path, header, status, code) in [
        ("/r1/CW/COM/2/service", None, 400, "client.bad_request"),
        ("/r1/CW/COM/2/service/echo/a|b", None, 400, "client.bad_request"),
        ("/r1/CW/COM/2/service/echo/%2e%2e/x", None, 400, "client.bad_request"),
        (ECHO, Some("CW/COM/1"), 500, "server.clientproxy.unknown_member"),
        (ECHO, Some("CW/COM/1/other"), 500, "server.clientproxy.unknown_member"),
        (ECHO, Some("nonsense"), 400, "client.bad_request"),
        ("/r1/CW/COM/3/service/echo", None, 500, "server.clientproxy.unknown_member"),
        ("/r1/XX/COM/2/service/echo", None, 500, "server.clientproxy.internal_error"),
    ] {
        let mut call = request("GET", path, Outgoing::Empty);
        if let Some(client) = header {
            call.headers_mut().insert("x-road-client", HeaderValue::from_static(client));
        }
        check(&call_at(federation.consumer.address(CLIENT_PORT), call).await, status, code);
    }
    let mut call = request("GET", ECHO, Outgoing::Empty);
    call.headers_mut().remove("x-road-client");
    let answer = call_at(federation.consumer.address(CLIENT_PORT), call).await;
    check(&answer, 500, "server.clientproxy.invalid_client_identifier");
    let mut call = request("GET", ECHO, Outgoing::Empty);
    call.headers_mut().insert("x-road-security-server", "CW/COM/1/ss".parse().unwrap());
    let answer = call_at(federation.consumer.address(CLIENT_PORT), call).await;
    check(&answer, 500, "server.clientproxy.invalid_security_server");
    assert_eq!((federation.consumer.log.len(), federation.provider.log.len()), (0, 0));
}

#[tokio::test]
async fn errors_come_as_xml_when_asked() {
    let federation = Federation::start();
    let mut call = request("GET", "/r1/CW/COM/3/service/echo", Outgoing::Empty);
    call.headers_mut().insert("accept", "text/xml".parse().unwrap());
    let answer = call_at(federation.consumer.address(CLIENT_PORT), call).await;
    assert_eq!(answer.headers["content-type"], "text/xml;charset=utf-8");
    assert!(answer.body.starts_with(b"<?xml"));
}

#[tokio::test]
async fn the_providers_server_refuses_and_calls_nothing() {
    let federation = Federation::start();
    for (path, code) in [
        ("/r1/CW/COM/2/service/other", "server.serverproxy.unknown_service"),
        ("/r1/CW/COM/2/service/echo/forbidden", "server.serverproxy.access_denied"),
        ("/r1/CW/COM/2/service/echo/a%2Fb", "server.serverproxy.access_denied"),
    ] {
        check(&federation.call("GET", path, Outgoing::Empty).await, 500, code);
    }
    federation.change_service(|service| service.disabled = Some("for maintenance".to_owned()));
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    check(&answer, 500, "server.serverproxy.service_disabled");
    assert!(String::from_utf8_lossy(&answer.body).contains("for maintenance"));
    federation.change_service(|service| service.service_type = ServiceType::Soap);
    check(&federation.call("GET", ECHO, Outgoing::Empty).await, 500, "server.serverproxy.service_type");
    federation.provider.directory.services.lock().unwrap().remove(&service("echo"));
    check(&federation.call("GET", ECHO, Outgoing::Empty).await, 500, "server.serverproxy.unknown_service");
    federation.provider.directory.clients.lock().unwrap().remove(&provider());
    let code = "server.serverproxy.service_failed.unknown_member";
    check(&federation.call("GET", ECHO, Outgoing::Empty).await, 500, code);
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 0);
    assert_eq!(federation.provider.log.len(), 0);
    // The requests were logged where they came from: their evidence must not be lost if they arrive.
    assert_eq!(federation.consumer.log.len(), 7);
}

#[tokio::test]
async fn signatures_of_others_are_refused() {
    let federation = Federation::start();
    federation.consumer.keys.spoils.store(true, Ordering::Relaxed);
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    assert!(answer.error().starts_with("server.serverproxy.signature_verification"), "{}", answer.error());
    let answer = federation.call("POST", ECHO, "abc".to_owned()).await;
    assert!(answer.error().starts_with("server.serverproxy.signature_verification"), "{}", answer.error());
    federation.consumer.keys.spoils.store(false, Ordering::Relaxed);
    assert_eq!(federation.provider.log.len(), 0);
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 0);

    federation.provider.keys.spoils.store(true, Ordering::Relaxed);
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    assert!(answer.error().starts_with("server.clientproxy.signature_verification"), "{}", answer.error());
    federation.provider.keys.spoils.store(false, Ordering::Relaxed);

    // The key of another member.
    let (key, certificate) =
        issue(&federation.ca, &federation.provider.id, CertificateUsage::Signing, KeyKind::P256);
    {
        let mut keys = federation.consumer.keys.keys.lock().unwrap();
        let signing = keys.get_mut(client().member()).unwrap();
        signing.key = Arc::new(key);
        signing.response = ocsp_response(&federation.ca, &certificate);
        signing.certificate = certificate;
    }
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    check(&answer, 500, "server.serverproxy.signature_verification.incorrect_certificate");
}

#[tokio::test]
async fn revoked_certificates_are_refused() {
    let federation = Federation::start();
    let now = gateway::Clock::system().now();
    let signing = federation.consumer.keys.keys.lock().unwrap()[client().member()].certificate.clone();
    federation.ca.revoke(signing.serial(), 1, now).unwrap();
    federation.consumer.keys.keys.lock().unwrap().get_mut(client().member()).unwrap().response =
        ocsp_response(&federation.ca, &signing);
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    assert!(answer.error().ends_with("cert_validation"), "{}", answer.error());
    assert!(answer.error().starts_with("server.serverproxy.signature_verification"), "{}", answer.error());
}

#[tokio::test]
async fn a_full_log_stops_traffic() {
    let federation = Federation::start();
    federation.consumer.log.full.store(true, Ordering::Relaxed);
    check(&federation.call("GET", ECHO, Outgoing::Empty).await, 500, "server.clientproxy.logging_failed");
    federation.consumer.log.full.store(false, Ordering::Relaxed);
    federation.provider.log.full.store(true, Ordering::Relaxed);
    check(&federation.call("GET", ECHO, Outgoing::Empty).await, 500, "server.serverproxy.logging_failed");
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn nothing_goes_without_a_configuration_in_force() {
    let federation = Federation::start();
    publish(&federation.shared.lock().unwrap(), None, &federation.provider, 0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    check(
        &federation.call("GET", ECHO, Outgoing::Empty).await,
        500,
        "server.serverproxy.global_conf_outdated",
    );
    publish(&federation.shared.lock().unwrap(), None, &federation.consumer, 0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    check(
        &federation.call("GET", ECHO, Outgoing::Empty).await,
        500,
        "server.clientproxy.global_conf_outdated",
    );
}

#[tokio::test]
async fn peers_are_checked_again_when_the_configuration_changes() {
    let federation = Federation::start();
    assert_eq!(federation.call("GET", ECHO, Outgoing::Empty).await.status, 200);
    // Only the provider's node has heard that the consumer's server lost its client.
    let mut shared = federation.shared.lock().unwrap().clone();
    shared.servers[0].clients.clear();
    publish(&shared, None, &federation.provider, 3600);
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    check(&answer, 500, "server.serverproxy.service_failed.ssl_authentication_failed");
    federation.publish();
    assert_eq!(federation.call("GET", ECHO, Outgoing::Empty).await.status, 200);
    // Only the consumer's node has heard that the provider's certificate is not registered any more.
    shared = federation.shared.lock().unwrap().clone();
    shared.servers[1].certificate_hashes = vec![vec![0; 32]];
    publish(&shared, None, &federation.consumer, 3600);
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    check(&answer, 500, "server.clientproxy.ssl_authentication_failed");
    assert_eq!(federation.consumer.counts().peer_connections, 2, "the pooled connection was not believed");
    assert_eq!(federation.consumer.counts().peer_resumptions, 1, "and a resumed session is checked too");
}

#[tokio::test]
async fn providers_that_fail() {
    let federation = Federation::start();
    let code = |leaf: &str| format!("server.serverproxy.{leaf}");
    check(
        &federation.call("GET", "/r1/CW/COM/2/service/echo/slow/3000", Outgoing::Empty).await,
        500,
        &code("io_error"),
    );
    check(
        &federation.call("GET", "/r1/CW/COM/2/service/echo/cut/10", Outgoing::Empty).await,
        500,
        &code("io_error"),
    );
    check(
        &federation.call("GET", "/r1/CW/COM/2/service/echo/cut/100000", Outgoing::Empty).await,
        500,
        &code("io_error"),
    );
    for (url, leaf) in [
        ("http://127.0.0.1:1/".to_owned(), "network_error"),
        ("http://no-such-host.invalid/".to_owned(), "unknown_host"),
        (format!("https://{}/", federation.system.address), "ssl_authentication_failed"),
        (String::new(), "service_missing_url"),
    ] {
        federation.change_service(|service| url.clone_into(&mut service.url));
        check(&federation.call("GET", ECHO, Outgoing::Empty).await, 500, &code(leaf));
    }
}

fn classes(federation_policy: &[((NodeClass, NodeClass), PairTerms)]) -> NodeClasses {
    let servers = [("1", NodeClass::State), ("2", NodeClass::DataCenter)].map(|(code, class)| {
        let id = protocol::id::SecurityServerId::new(crate::federation::member(code), "ss").unwrap();
        (id, class)
    });
    NodeClasses {
        servers: servers.into_iter().collect(),
        policy: ClassPolicy { pairs: federation_policy.iter().copied().collect() },
    }
}

const TERMS: PairTerms =
    PairTerms { tls: TlsFloor::Tls13, ocsp_live_seconds: Some(3000), synchronous_timestamp: true };

#[tokio::test]
async fn node_classes_that_may_talk_do_so_on_their_terms() {
    let classes = classes(&[((NodeClass::State, NodeClass::DataCenter), TERMS)]);
    let federation = Federation::with(Wishes { classes: Some(classes), ..Wishes::default() });
    assert_eq!(federation.call("GET", ECHO, Outgoing::Empty).await.status, 200);
    for node in [&federation.consumer, &federation.provider] {
        assert!(node.log.entries.lock().unwrap().iter().all(|(_, timestamped)| *timestamped));
    }
}

#[tokio::test]
async fn node_classes_that_may_not_talk_are_refused_at_both_ends() {
    let forbidding = classes(&[((NodeClass::DataCenter, NodeClass::State), TERMS)]);
    let federation = Federation::with(Wishes { classes: Some(forbidding), ..Wishes::default() });
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    check(&answer, 500, "server.clientproxy.access_denied.node_class_policy");
    assert!(String::from_utf8_lossy(&answer.body).contains("state may not call data-center"));
    // A consumer's server that does not care is refused by the provider's.
    publish(&federation.shared.lock().unwrap(), None, &federation.consumer, 3600);
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    check(&answer, 500, "server.serverproxy.access_denied.node_class_policy");
    assert_eq!(federation.provider.log.len(), 0);
}

#[tokio::test]
async fn old_peers_are_refused_when_a_least_version_is_set() {
    let settings: fn(&mut Settings) = |settings| settings.least_peer_version = "9.0.0".parse().ok();
    let federation = Federation::with(Wishes { settings, ..Wishes::default() });
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    check(&answer, 500, "server.serverproxy.client_proxy_version_not_supported");
}
