//! Choice among the servers of a provider.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use gateway::http::{Outgoing, bind};
use protocol::configuration::RegisteredServer;
use socket2::{Domain, Socket, Type};

use crate::federation::{Federation, Node, PEER_PORT, Wishes, publish, server};

const ECHO: &str = "/r1/CW/COM/2/service/echo/x";

fn another(federation: &Federation, code: &str, address: &str) -> RegisteredServer {
    let template = federation.shared.lock().unwrap().servers[1].clone();
    RegisteredServer {
        id: server("2", code),
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
        let registered = another(&federation, code, address);
        federation.shared.lock().unwrap().servers.insert(1, registered);
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

/// A port whose queue of connections is full: whoever connects waits.
struct Slow {
    _listener: Socket,
    _waiting: Vec<TcpStream>,
}

impl Slow {
    fn at(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.set_reuse_address(true).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let patience = Duration::from_millis(100);
        let connect = || TcpStream::connect_timeout(&address, patience).ok();
        let waiting = std::iter::from_fn(connect).take(100).collect();
        Self { _listener: listener, _waiting: waiting }
    }
}

/// Calls so often, each time over a new connection, and says how many messages each server logged.
async fn calls(federation: &Federation, other: &Node, times: usize) -> (usize, usize) {
    let (key, certificate) = &federation.consumer.authentication;
    let before = (federation.provider.log.len(), other.log.len());
    for _ in 0..times {
        federation.consumer.authenticate_with(&federation.ca, key, certificate);
        let opened = federation.consumer.counts().peer_connections;
        let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
        assert_eq!((answer.status, answer.error()), (200, ""), "{:?}", answer.body);
        assert_eq!(federation.consumer.counts().peer_connections, opened + 1, "a connection was kept");
    }
    (federation.provider.log.len() - before.0, other.log.len() - before.1)
}

fn set_maintenance(federation: &Federation, places: &[usize], other: &Node) {
    {
        let mut shared = federation.shared.lock().unwrap();
        for (place, registered) in shared.servers.iter_mut().enumerate() {
            registered.maintenance = places.contains(&place).then(|| "back at noon".to_owned());
        }
        publish(&shared, None, other, 3600);
    }
    federation.publish();
}

/// Nobody has connected since it was opened.
fn was_left_alone(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).unwrap();
    listener.accept().is_err()
}

/// Two servers of the provider are alive at the same time, in places 1 (`other`) and 2.
#[tokio::test]
async fn of_two_servers_the_fastest_is_kept_until_it_is_gone() {
    let mut federation = Federation::start();
    let mut other = federation.another_server("other");
    set_maintenance(&federation, &[], &other);
    let slow = Slow::at(other.address(PEER_PORT));
    assert_eq!(calls(&federation, &other, 1).await, (2, 0), "the slow one was asked");
    drop(slow);
    other.start(&Wishes::default());
    assert_eq!(calls(&federation, &other, 6).await, (12, 0), "the fastest was forgotten");

    // The fastest dies: the other takes its place at once, and stays when the first is back.
    federation.provider.halt().await;
    assert_eq!(calls(&federation, &other, 1).await, (0, 2));
    let place = bind(federation.provider.address(PEER_PORT), false).unwrap().into_std().unwrap();
    assert_eq!(calls(&federation, &other, 3).await, (0, 6));
    assert!(was_left_alone(&place), "the dead one was tried again");
    drop(place);
    federation.provider.start(&Wishes::default());
    assert_eq!(calls(&federation, &other, 3).await, (0, 6));
    other.halt().await;
    assert_eq!(calls(&federation, &other, 3).await, (6, 0), "the first is back");

    // Maintenance counts for more than speed.
    other.start(&Wishes::default());
    set_maintenance(&federation, &[2], &other);
    assert_eq!(calls(&federation, &other, 2).await, (0, 4));
    set_maintenance(&federation, &[1, 2], &other);
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    assert_eq!((answer.status, answer.error()), (500, "server.clientproxy.maintenance_mode"));
    set_maintenance(&federation, &[1], &other);
    assert_eq!(calls(&federation, &other, 2).await, (4, 0));
}
