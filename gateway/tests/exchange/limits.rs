//! What one side may cost the other: heads that can be read in two ways, too much of anything, too slow.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::craft::{CLIENT, blob, connect, request};
use crate::federation::{CLIENT_PORT, Federation, OCSP_PORT, PEER_PORT, Wishes};

const ECHO: &str = "/r1/CW/COM/2/service/echo/x";

/// Sends octets to a port of the consumer's server and reads until the connection is closed.
async fn send(federation: &Federation, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(federation.consumer.address(CLIENT_PORT)).await.unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(octets).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A call with these header lines and this body, and another call right behind it, which must not be
/// answered when the first is refused.
fn call(lines: &str, body: &str) -> Vec<u8> {
    let head = format!("POST {ECHO} HTTP/1.1\r\nhost: x\r\nx-road-client: CW/COM/1/client\r\n");
    format!("{head}{lines}\r\n{body}{head}content-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn heads_that_can_be_read_in_two_ways_end_the_connection() {
    let federation = Federation::start();
    let many = "x-a: b\r\n".repeat(120);
    let long = format!("x-a: {}\r\n", "b".repeat(200 * 1024));
    let cases: [(&str, &str, &str, u16); 13] = [
        ("two lengths", "content-length: 5\r\ncontent-length: 6\r\n", "abcdef", 400),
        ("lengths in a list", "content-length: 5, 5\r\n", "abcde", 400),
        ("a length with a sign", "content-length: +5\r\n", "abcde", 400),
        ("a negative length", "content-length: -5\r\n", "abcde", 400),
        ("a length beyond all numbers", "content-length: 99999999999999999999999\r\n", "abcde", 400),
        ("chunked is not the last coding", "transfer-encoding: chunked, gzip\r\n", "0\r\n\r\n", 400),
        ("another coding before it", "transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n", 400),
        ("chunked twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n", 400),
        ("white space before the colon", "content-length : 5\r\n", "abcde", 400),
        ("a folded line", "x-a: b\r\n c\r\n", "", 400),
        ("two hosts", "host: y\r\ncontent-length: 0\r\n", "", 400),
        ("too many lines", &many, "", 431),
        ("too long a head", &long, "", 431),
    ];
    for (what, lines, body, status) in cases {
        let answer = send(&federation, &call(lines, body)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: what stood behind it was answered too");
    }
    for (what, body) in [
        ("no number", "zz\r\nabc\r\n0\r\n\r\n"),
        ("a number beyond all", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("longer than it says", "2\r\nabc\r\n0\r\n\r\n"),
    ] {
        let answer = send(&federation, &call("transfer-encoding: chunked\r\n", body)).await;
        assert!(!answer.contains("HTTP/1.1 200"), "chunk with {what}: {answer}");
    }
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 0, "a service was called");
    // Of both, the coding counts and the connection ends (RFC 9112 §6.3).
    for lines in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
    ] {
        let answer = send(&federation, &call(lines, "0\r\n\r\n")).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lines}: what stood behind it was answered too");
    }
    let good = send(&federation, &call("content-length: 3\r\n", "abc")).await;
    assert_eq!(good.matches("HTTP/1.1 200").count(), 2, "{good}");
}

#[tokio::test]
async fn a_body_that_is_shorter_than_it_says_is_no_message() {
    let federation = Federation::start();
    let head = format!("POST {ECHO} HTTP/1.1\r\nhost: x\r\nx-road-client: CW/COM/1/client\r\n");
    for framing in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut stream = TcpStream::connect(federation.consumer.address(CLIENT_PORT)).await.unwrap();
        stream.write_all(format!("{head}{framing}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{framing}");
    }
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 0);
    assert_eq!(federation.consumer.log.len(), 0);
}

/// One header of a message between servers twice: the first reader would take one, the next the other.
#[tokio::test]
async fn headers_of_a_message_stand_there_once() {
    let federation = Federation::start();
    let mut peer = connect(&federation).await;
    let good = request(&federation, &blob("GET", "echo/x", CLIENT), None).await;
    for name in
        ["content-type", "x-hash-algorithm", "x-road-request-id", "x-proxy-version", "x-road-message-type"]
    {
        let mut message = good.clone();
        let value = message.headers.iter().find(|(known, _)| *known == name).unwrap().1.clone();
        message.headers.push((name, value));
        let fault = peer.send(&message).await.err().map(|fault| fault.code.into_owned());
        let expected = "server.serverproxy.service_failed.invalid_message";
        assert_eq!(fault.as_deref(), Some(expected), "{name}");
    }
    assert_eq!(peer.send(&good).await.unwrap().status(), 200);
}

fn patient(settings: &mut gateway::Settings) {
    settings.peer_timeout = Duration::from_millis(300);
    settings.head_timeout = Duration::from_millis(500);
}

/// Writes an octet now and then until the connection is closed; how long that took.
async fn trickle(federation: &Federation, begin: &str, octet: &[u8], pause: Duration) -> Duration {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(federation.consumer.address(CLIENT_PORT)).await.unwrap();
    stream.write_all(begin.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    while begun.elapsed() < Duration::from_secs(20) {
        match timeout(pause, stream.read(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => {}
            Err(_) if stream.write_all(octet).await.is_err() => break,
            Err(_) => {}
        }
    }
    begun.elapsed()
}

#[tokio::test]
async fn slow_senders_are_given_up() {
    let federation = Federation::with(Wishes { settings: patient, ..Wishes::default() });
    let head = format!("POST {ECHO} HTTP/1.1\r\nhost: x\r\nx-road-client: CW/COM/1/client\r\n");
    let often = Duration::from_millis(100);
    for (what, begin, octet, least, most) in [
        ("nothing at all", String::new(), &b""[..], 400, 3_000),
        ("a head without end", head.clone(), b"x", 400, 3_000),
        ("a silent body", format!("{head}content-length: 1000\r\n\r\n"), b"", 250, 3_000),
        ("a trickling body", format!("{head}content-length: 1000\r\n\r\n"), b"x", 1_000, 5_000),
        (
            "trickling chunks",
            format!("{head}transfer-encoding: chunked\r\n\r\n"),
            b"1\r\nx\r\n",
            1_000,
            5_000,
        ),
    ] {
        let took = trickle(&federation, &begin, octet, often).await;
        let allowed = Duration::from_millis(least)..Duration::from_millis(most);
        assert!(allowed.contains(&took), "{what}: {took:?}");
    }
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 0);
}

/// Opens connections until one is closed at once; how many stay.
async fn opened(address: std::net::SocketAddr, most: usize) -> usize {
    let mut open = Vec::new();
    for _ in 0..most {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut octet = [0];
        if timeout(Duration::from_millis(200), stream.read(&mut octet)).await.is_ok() {
            break;
        }
        open.push(stream);
    }
    open.len()
}

#[tokio::test]
async fn one_peer_has_so_many_connections() {
    let settings = |settings: &mut gateway::Settings| {
        settings.connections_per_peer = 3;
        settings.connections = 5;
    };
    let federation = Federation::with(Wishes { settings, ..Wishes::default() });
    assert_eq!(opened(federation.provider.address(PEER_PORT), 10).await, 3);
    assert_eq!(opened(federation.provider.address(CLIENT_PORT), 10).await, 5);
    // Those are closed by now, and others get in.
    let mut peer = connect(&federation).await;
    let message = request(&federation, &blob("GET", "echo/x", CLIENT), None).await;
    assert_eq!(peer.send(&message).await.unwrap().status(), 200);
}

#[tokio::test]
async fn ocsp_responses_are_given_over_a_bounded_number_of_connections() {
    let federation = Federation::start();
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(TcpStream::connect(federation.provider.address(OCSP_PORT)).await.unwrap());
    }
    assert_eq!(opened(federation.provider.address(OCSP_PORT), 1).await, 0);
    drop(open);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(opened(federation.provider.address(OCSP_PORT), 1).await, 1);
}
