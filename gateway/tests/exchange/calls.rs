//! Calling as an information system does, and exchanges that succeed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::http::Outgoing;
use gateway::ports::{ConnectionType, Direction, LocalClient, ServiceTls, Side};
use gateway::snapshot::Snapshot;
use gateway::tls::Identity;
use http_body_util::BodyExt as _;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use protocol::configuration::directory::SHARED_PARAMETERS_FILE;
use protocol::configuration::{LocalCopy, Purpose, shared};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::federation::{
    CLIENT_PORT, CLIENT_TLS_PORT, Federation, HEALTH_PORT, client, provider, self_signed, service,
};
use crate::service::System;
use crate::trusting::trusting;

pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub(crate) fn error(&self) -> &str {
        self.headers.get("x-road-error").map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Outgoing>,
) -> Answer {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    driver.abort();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

pub(crate) fn request(method: &str, path: &str, body: Outgoing) -> Request<Outgoing> {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "x")
        .header("X-Road-Client", "CW/COM/1/client");
    builder.body(body).unwrap()
}

pub(crate) async fn call_at(address: SocketAddr, request: Request<Outgoing>) -> Answer {
    send(TcpStream::connect(address).await.unwrap(), request).await
}

impl Federation {
    /// Calls the consumer's server over plain HTTP.
    pub(crate) async fn call(&self, method: &str, path: &str, body: impl Into<Outgoing>) -> Answer {
        call_at(self.consumer.address(CLIENT_PORT), request(method, path, body.into())).await
    }
}

const ECHO: &str = "/r1/CW/COM/2/service/echo";

#[tokio::test]
async fn a_call_arrives_and_leaves_evidence_on_both_sides() {
    let federation = Federation::start();
    let body = "{\"plate\":\"ABC123\"}".to_owned();
    let mut call = request("POST", &format!("{ECHO}/v1/cars?dry=1&note=a%20b"), body.clone().into());
    call.headers_mut().insert("content-type", "application/json".parse().unwrap());
    call.headers_mut().insert("x-road-id", "id-1".parse().unwrap());
    call.headers_mut().insert("cookie", "a=b".parse().unwrap());
    let answer = call_at(federation.consumer.address(CLIENT_PORT), call).await;
    assert_eq!((answer.status, answer.error()), (200, ""), "{:?}", answer.body);
    assert_eq!(answer.body, body);
    assert_eq!(answer.headers["x-mine"], "yes");
    assert_eq!(answer.headers["x-road-id"], "id-1");
    assert_eq!(answer.headers["x-road-service"], "CW/COM/2/service/echo");
    assert_eq!(answer.headers["content-length"], body.len().to_string().as_str());

    let seen = federation.system.seen.last.lock().unwrap().clone().unwrap();
    assert_eq!((seen.0.as_str(), seen.1.as_str()), ("POST", "/api/v1/cars?dry=1&note=a%20b"));
    assert_eq!(seen.2["x-road-client"], "CW/COM/1/client");
    assert_eq!(seen.2["content-type"], "application/json");
    assert_eq!(seen.2["content-length"], body.len().to_string().as_str());

    let consumer = federation.consumer.log.entries.lock().unwrap();
    let provider = federation.provider.log.entries.lock().unwrap();
    assert_eq!((consumer.len(), provider.len()), (2, 2));
    for ((one, _), (other, _)) in consumer.iter().zip(provider.iter()) {
        assert_eq!((one.side, other.side), (Side::Consumer, Side::Provider));
        assert_eq!(one.direction, other.direction);
        assert_eq!(one.message, other.message);
        assert_eq!(one.signed.document, other.signed.document);
        assert_eq!((one.message_id.as_str(), one.request_id.as_str()), ("id-1", other.request_id.as_str()));
        assert_eq!((&one.client, &other.service), (&client(), &service("echo")));
    }
    assert_eq!(consumer[0].0.direction, Direction::Request);
}

#[tokio::test]
async fn methods_statuses_and_bodies_pass() {
    let federation = Federation::start();
    for (method, path, body, status, expected) in [
        ("GET", "/status/404", "", 404, 0),
        ("GET", "/status/302", "", 302, 0),
        ("GET", "/status/204", "", 204, 0),
        ("GET", "/status/500", "", 500, 0),
        ("DELETE", "", "", 200, 0),
        ("PUT", "/length", "", 200, 1),
        ("PATCH", "/x", "abc", 200, 3),
        ("GET", "/bytes/70000", "", 200, 70_000),
        ("GET", "/bytes/1", "", 200, 1),
        ("HEAD", "/bytes/5", "", 200, 0),
        ("OPTIONS", "/", "", 200, 0),
        ("GET", "/length", "unwanted", 200, 1),
        ("GET", "/a%2Fb", "", 500, 200),
    ] {
        let answer = federation.call(method, &format!("{ECHO}{path}"), body.to_owned()).await;
        assert_eq!(answer.status, status, "{method} {path} {:?}", answer.body);
        if path != "/a%2Fb" {
            assert_eq!(answer.error(), "", "{method} {path}");
            assert_eq!(answer.body.len(), expected, "{method} {path}");
        }
    }
    // A second call goes over the same connection.
    assert_eq!(federation.consumer.counts().peer_connections, 1);
    assert!(federation.consumer.counts().peer_reuses >= 10);
    assert_eq!(federation.consumer.counts().peer_validations, 1);
    assert_eq!(federation.provider.counts().peer_validations, 1);
}

/// TLS to the client port; with `identity`, its certificate is shown.
pub(crate) async fn call_over_tls(
    federation: &Federation,
    identity: Option<&Identity>,
    request: Request<Outgoing>,
) -> Answer {
    let config = match identity {
        Some(identity) => trusting().with_client_cert_resolver(identity.client_resolver()),
        None => trusting().with_no_client_auth(),
    };
    let stream = TcpStream::connect(federation.consumer.address(CLIENT_TLS_PORT)).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    send(stream, request).await
}

#[tokio::test]
async fn connection_types_are_enforced() {
    let federation = Federation::start();
    let (identity, other) = (self_signed(), self_signed());
    let path = format!("{ECHO}/x");
    let refused = "server.clientproxy.ssl_authentication_failed";
    for (connection_type, registered, plain, tls, certificate) in [
        (ConnectionType::Http, &identity, "", "", ""),
        (ConnectionType::HttpsNoAuth, &identity, refused, "", ""),
        (ConnectionType::Https, &identity, refused, refused, ""),
        (ConnectionType::Https, &other, refused, refused, refused),
    ] {
        let local =
            LocalClient { id: client(), connection_type, certificates: vec![registered.chain()[0].clone()] };
        federation.consumer.directory.clients.lock().unwrap().insert(client(), Arc::new(local));
        let answer = federation.call("GET", &path, Outgoing::Empty).await;
        assert_eq!(answer.error(), plain, "{connection_type:?} plain");
        let answer = call_over_tls(&federation, None, request("GET", &path, Outgoing::Empty)).await;
        assert_eq!(answer.error(), tls, "{connection_type:?} TLS");
        let answer =
            call_over_tls(&federation, Some(&identity), request("GET", &path, Outgoing::Empty)).await;
        assert_eq!(answer.error(), certificate, "{connection_type:?} with certificate");
    }
}

#[tokio::test]
async fn services_are_called_over_tls() {
    let federation = Federation::start();
    let (identity, other) = (self_signed(), self_signed());
    let system = System::start_with(&federation.provider.ip, Some(&identity));
    let refused = "server.serverproxy.ssl_authentication_failed";
    for (tls, registered, error) in [
        (ServiceTls::Pinned, Some(&identity), ""),
        (ServiceTls::Pinned, Some(&other), refused),
        (ServiceTls::Pinned, None, refused),
        (ServiceTls::Unchecked, None, ""),
        (ServiceTls::Verified, Some(&identity), refused),
    ] {
        federation.change_service(|service| {
            service.url = format!("https://{}/tls", system.address);
            service.tls = tls;
        });
        let certificates = registered.map(|identity| identity.chain()[0].clone()).into_iter().collect();
        let local = LocalClient { id: provider(), connection_type: ConnectionType::Http, certificates };
        federation.provider.directory.clients.lock().unwrap().insert(provider(), Arc::new(local));
        let answer = federation.call("GET", &format!("{ECHO}/x"), Outgoing::Empty).await;
        assert_eq!(answer.error(), error, "{tls:?} {:?}", answer.body);
    }
}

#[tokio::test]
async fn documents_and_health_are_served() {
    let federation = Federation::start();
    let mut call = request("POST", &format!("{ECHO}/x"), "abc".to_owned().into());
    call.headers_mut().insert("x-road-id", "id-2".parse().unwrap());
    call_at(federation.consumer.address(CLIENT_PORT), call).await;
    let client = "xRoadInstance=CW&memberClass=COM&memberCode=1&subsystemCode=client";
    for (query, status, content_type) in [
        (format!("{client}&queryId=id-2"), 200, "application/zip"),
        (format!("{client}&queryId=id-2&requestOnly&unique"), 200, "application/vnd.etsi.asic-e+zip"),
        (format!("{client}&queryId=id-2&unique"), 400, "text/plain; charset=UTF-8"),
        (format!("{client}&queryId=id-2&requestOnly&responseOnly"), 400, "text/plain; charset=UTF-8"),
        (format!("{client}&queryId=other"), 404, "text/plain; charset=UTF-8"),
        (format!("{client}x&queryId=id-2"), 401, "text/plain; charset=UTF-8"),
        (client.to_owned(), 400, "text/plain; charset=UTF-8"),
    ] {
        let answer = federation.call("GET", &format!("/asic?{query}"), Outgoing::Empty).await;
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(answer.headers["content-type"], content_type, "{query}");
        assert_eq!(answer.error(), "");
    }
    let answer = federation.call("GET", "/verificationconf", Outgoing::Empty).await;
    assert_eq!((answer.status, answer.headers["content-type"].as_bytes()), (200, &b"application/zip"[..]));
    let copy = LocalCopy::from_zip(&answer.body).unwrap();
    assert_eq!(copy.own_instance(), Some("CW"));
    let file = copy.file("CW", SHARED_PARAMETERS_FILE).unwrap();
    assert_eq!(shared::parse(file, 6).unwrap(), *federation.shared.lock().unwrap());

    let health = federation.consumer.address(HEALTH_PORT);
    assert_eq!(call_at(health, request("GET", "/", Outgoing::Empty)).await.status, 200);
    crate::federation::publish(&federation.shared.lock().unwrap(), None, &federation.consumer, 0);
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(call_at(health, request("GET", "/", Outgoing::Empty)).await.status, 500);
}

/// Whoever verifies must see the very octets that the registry has signed, not ours of the same meaning.
#[tokio::test]
async fn shared_parameters_are_given_as_they_were_published() {
    let federation = Federation::start();
    let written = shared::write(&federation.shared.lock().unwrap(), 6).unwrap();
    let text = String::from_utf8(written.clone()).unwrap();
    let (head, rest) = text.split_at(text.rfind("</").unwrap());
    let published = Bytes::from(format!("{head}<!-- by  hand\t-->{rest}\n\n"));
    assert_ne!(published, written);
    let expires = crate::craft::now().plus(Duration::from_secs(60));
    let metadata = format!(
        "{{\"contentIdentifier\":\"SHARED-PARAMETERS\",\"instanceIdentifier\":\"CW\",\
         \"expirationDate\":\"{expires}\",\"configurationVersion\":\"6\"}}"
    );
    let mut copy = LocalCopy::new("CW");
    copy.insert("CW", SHARED_PARAMETERS_FILE, published.clone());
    copy.insert("CW", &format!("{SHARED_PARAMETERS_FILE}.metadata"), metadata.into());
    let loaded = copy.load(Purpose::Running(crate::craft::now()));
    assert_eq!(loaded.problems, []);
    federation.consumer.snapshot.store(Arc::new(Snapshot::new(Arc::new(loaded.configuration))));
    let answer = federation.call("GET", "/verificationconf", Outgoing::Empty).await;
    let given = LocalCopy::from_zip(&answer.body).unwrap();
    assert_eq!(given.file("CW", SHARED_PARAMETERS_FILE), Some(&published));
}

#[tokio::test]
async fn a_stop_lets_running_exchanges_finish() {
    let mut federation = Federation::start();
    let address = federation.consumer.address(CLIENT_PORT);
    let running = tokio::spawn(async move {
        call_at(address, request("GET", &format!("{ECHO}/slow/300"), Outgoing::Empty)).await
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    for node in [&mut federation.consumer, &mut federation.provider] {
        node.gateway.take().unwrap().stop().await;
    }
    let answer = running.await.unwrap();
    assert_eq!((answer.status, answer.body.as_ref()), (200, &b"slow"[..]));
    assert!(TcpStream::connect(address).await.is_err());
}
