//! Choice among the servers of a provider.

use gateway::http::Outgoing;
use protocol::configuration::RegisteredServer;
use protocol::id::SecurityServerId;

use crate::federation::{Federation, member};

const ECHO: &str = "/r1/CW/COM/2/service/echo/x";

fn another(federation: &Federation, code: &str, address: &str) -> RegisteredServer {
    let template = federation.shared.lock().unwrap().servers[1].clone();
    RegisteredServer {
        id: SecurityServerId::new(member("2"), code).unwrap(),
        address: Some(address.to_owned()),
        certificate_hashes: vec![vec![1; 32]],
        ..template
    }
}

#[tokio::test]
async fn servers_that_do_not_answer_are_passed_over() {
    let federation = Federation::start();
    // Nobody listens at the first, and the second shows the certificate of the consumer's own server.
    for (code, address) in [("dead", "127.255.0.1"), ("wrong", &federation.consumer.ip.clone())] {
        let server = another(&federation, code, address);
        federation.shared.lock().unwrap().servers.insert(1, server);
    }
    federation.publish();
    for _ in 0..10 {
        let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
        assert_eq!((answer.status, answer.error()), (200, ""), "{:?}", answer.body);
    }
    assert!(federation.consumer.counts().peer_connections <= 2);
}

#[tokio::test]
async fn when_none_answers_the_reason_is_told() {
    let federation = Federation::start();
    federation.shared.lock().unwrap().servers[1].address = Some("127.255.0.1".to_owned());
    federation.publish();
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    assert_eq!((answer.status, answer.error()), (500, "server.clientproxy.network_error"));
    federation.shared.lock().unwrap().servers[1].address = Some(federation.consumer.ip.clone());
    federation.publish();
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    assert_eq!((answer.status, answer.error()), (500, "server.clientproxy.ssl_authentication_failed"));
}

#[tokio::test]
async fn maintenance_is_respected() {
    let federation = Federation::start();
    federation.shared.lock().unwrap().servers[1].maintenance = Some("back at noon".to_owned());
    federation.publish();
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    assert_eq!((answer.status, answer.error()), (500, "server.clientproxy.maintenance_mode"));
    assert!(String::from_utf8_lossy(&answer.body).contains("back at noon"));
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let mut federation = Federation::start();
    assert_eq!(federation.call("GET", ECHO, Outgoing::Empty).await.status, 200);
    federation.restart_provider().await;
    let answer = federation.call("POST", ECHO, "abc".to_owned()).await;
    assert_eq!((answer.status, answer.error()), (200, ""), "{:?}", answer.body);
    federation.stop().await;
}
