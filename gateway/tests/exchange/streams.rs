//! Large bodies, and ends that go away.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gateway::http::Outgoing;
use gateway::http::body::Piece;
use gateway::ports::LoggedBody;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::calls::{call_at, request};
use crate::federation::{CLIENT_PORT, Federation};
use crate::service::bytes_of;

const SERVICE: &str = "/r1/CW/COM/2/service/echo";
const LARGE: usize = 12 * 1024 * 1024;

#[tokio::test]
async fn large_bodies_stream_in_both_directions() {
    let federation = Federation::start();
    let started = Instant::now();
    let answer = federation.call("POST", &format!("{SERVICE}/length"), bytes_of(LARGE)).await;
    assert_eq!(
        (answer.status, answer.body.as_ref()),
        (200, LARGE.to_string().as_bytes()),
        "{:?}",
        answer.error()
    );
    let up = started.elapsed();
    let answer = federation.call("GET", &format!("{SERVICE}/bytes/{LARGE}"), Outgoing::Empty).await;
    assert_eq!((answer.status, answer.body.len()), (200, LARGE), "{:?}", answer.error());
    println!("{LARGE} bytes up in {up:?}, down in {:?}", started.elapsed() - up);
    let entries = federation.provider.log.entries.lock().unwrap();
    for place in [0, 3] {
        let bodies = entries[place].0.attachments.as_slice();
        assert!(matches!(bodies, [LoggedBody::DigestOnly { length, .. }] if *length == LARGE as u64));
    }
}

#[tokio::test]
async fn bodies_around_the_limits_arrive_whole() {
    let federation = Federation::start();
    for length in [1, 65_535, 65_536, 65_537, 131_072, 262_144, 262_145, 1_000_000] {
        let answer = federation.call("POST", &format!("{SERVICE}/x"), bytes_of(length)).await;
        let expected = length.min(1024 * 1024);
        assert_eq!((answer.status, answer.body.len()), (200, expected), "{length} {}", answer.error());
    }
}

#[tokio::test]
async fn a_refused_upload_is_answered_before_its_end() {
    let federation = Federation::start();
    let answer = federation.call("POST", "/r1/CW/COM/9/x/echo", bytes_of(LARGE)).await;
    assert_eq!(answer.error(), "server.clientproxy.unknown_member");
    federation.provider.directory.clients.lock().unwrap().clear();
    let answer = federation.call("POST", &format!("{SERVICE}/length"), bytes_of(4 * LARGE)).await;
    assert_eq!(answer.error(), "server.serverproxy.service_failed.unknown_member");
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_of_its_body_calls_nothing() {
    let federation = Federation::start();
    let (sender, body) = Outgoing::channel(4);
    let call = request("POST", &format!("{SERVICE}/length"), body);
    let address = federation.consumer.address(CLIENT_PORT);
    let calling = tokio::spawn(async move {
        let stream = TcpStream::connect(address).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        client.send_request(call).await.is_err()
    });
    for _ in 0..30 {
        sender.send(Piece::Data(vec![1; 10_000].into())).await.unwrap();
    }
    drop(sender);
    assert!(calling.await.unwrap());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 0);
    assert_eq!((federation.consumer.log.len(), federation.provider.log.len()), (0, 0));
}

#[tokio::test]
async fn a_client_that_does_not_wait_leaves_evidence_all_the_same() {
    let federation = Federation::start();
    let mut stream = TcpStream::connect(federation.consumer.address(CLIENT_PORT)).await.unwrap();
    let call =
        format!("GET {SERVICE}/slow/200 HTTP/1.1\r\nhost: x\r\nX-Road-Client: CW/COM/1/client\r\n\r\n");
    stream.write_all(call.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(stream);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((federation.consumer.log.len(), federation.provider.log.len()), (2, 2));
}

#[tokio::test]
async fn many_at_once() {
    let federation = std::sync::Arc::new(Federation::start());
    let calls: Vec<_> = (0..64)
        .map(|number| {
            let federation = std::sync::Arc::clone(&federation);
            tokio::spawn(async move {
                for round in 0..5 {
                    let body = format!("{number} {round}");
                    let call = request("POST", &format!("{SERVICE}/x"), body.clone().into());
                    let answer = call_at(federation.consumer.address(CLIENT_PORT), call).await;
                    assert_eq!((answer.status, answer.body.as_ref()), (200, body.as_bytes()));
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!((federation.consumer.log.len(), federation.provider.log.len()), (640, 640));
    assert_eq!(federation.consumer.counts().consumer_exchanges, 320);
}
