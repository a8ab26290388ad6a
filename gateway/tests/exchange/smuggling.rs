//! Octets over a peer's TLS connection that one reader would cut into messages in another way than the next.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::craft::{CLIENT, Crafted, blob, identity, request, secured};
use crate::federation::Federation;

/// A signed message with its own identifier.
async fn message(federation: &Federation, number: usize) -> Crafted {
    let blob = blob("POST", "echo/x", CLIENT).replace("id-1", &format!("smuggled-{number}"));
    request(federation, &blob, Some("abc")).await
}

/// A message as it travels, with these lines that say how long it is.
fn octets(message: &Crafted, framing: &str, body: &[u8]) -> Vec<u8> {
    let mut octets = b"POST / HTTP/1.1\r\nhost: x\r\n".to_vec();
    for (name, value) in &message.headers {
        octets.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    octets.extend_from_slice(format!("{framing}\r\n").as_bytes());
    octets.extend_from_slice(body);
    octets
}

/// The body as one chunk.
fn chunked(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

/// Sends octets over TLS with the consumer's certificate, and reads until the connection is closed.
async fn answers(federation: &Federation, octets: &[u8]) -> String {
    let mut stream = secured(federation, &identity(&federation.consumer)).await.unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(octets).await;
    let _ = stream.flush().await;
    let mut answer = Vec::new();
    let ended = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(ended.is_ok(), "the connection stayed open: {answer}");
    answer
}

/// Heads of HTTP answers.
fn heads(answer: &str) -> usize {
    answer.matches("HTTP/1.1 ").count()
}

#[tokio::test]
async fn what_stands_behind_a_message_that_can_be_read_in_two_ways_is_no_message() {
    let federation = Federation::start();
    let first = message(&federation, 0).await;
    let hidden = message(&federation, 1).await;
    let (body, inner) = (first.body(), hidden.body());
    let length = body.len();
    let closing = format!("content-length: {}\r\nconnection: close\r\n", inner.len());
    let behind = octets(&hidden, &closing, &inner);
    let plain = body.clone();
    let both = format!("content-length: {length}\r\ntransfer-encoding: identity\r\n");
    let cases: [(&str, String, Vec<u8>); 10] = [
        (
            "two lengths",
            format!("content-length: {length}\r\ncontent-length: {}\r\n", length + behind.len()),
            plain.clone(),
        ),
        ("lengths in a list", format!("content-length: {length}, {length}\r\n"), plain.clone()),
        ("a length with a sign", format!("content-length: +{length}\r\n"), plain.clone()),
        ("white space before the colon", format!("content-length : {length}\r\n"), plain.clone()),
        ("a folded line", format!("content-length:\r\n {length}\r\n"), plain.clone()),
        ("an unknown coding beside a length", both, plain),
        ("chunked is not the last coding", "transfer-encoding: chunked, gzip\r\n".into(), chunked(&body)),
        ("another coding before it", "transfer-encoding: gzip, chunked\r\n".into(), chunked(&body)),
        (
            "chunked twice",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n".into(),
            chunked(&body),
        ),
        ("a disguised coding", "transfer-encoding: xchunked\r\n".into(), chunked(&body)),
    ];
    for (what, framing, body) in cases {
        let sent = [octets(&first, &framing, &body), behind.clone()].concat();
        let answer = answers(&federation, &sent).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{what}: {answer}");
        assert_eq!(heads(&answer), 1, "{what}: what stood behind it was answered too");
    }
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 0, "a service was called");
    assert_eq!(federation.provider.log.len(), 0, "a message was logged");

    // Of both, the coding counts and the connection ends (RFC 9112 §6.3).
    let framing = format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", length / 2);
    let sent = [octets(&first, &framing, &chunked(&body)), behind.clone()].concat();
    let answer = answers(&federation, &sent).await;
    assert_eq!(heads(&answer), 1, "what stood behind both lengths was answered too: {answer}");
    let calls = federation.system.seen.calls.load(Ordering::Relaxed);
    assert!(calls <= 1, "{calls} calls");
}

#[tokio::test]
async fn a_message_ends_where_its_length_says() {
    let federation = Federation::start();
    let served = || federation.system.seen.calls.load(Ordering::Relaxed);
    let (first, hidden) = (message(&federation, 0).await, message(&federation, 1).await);
    let (body, inner) = (first.body(), hidden.body());
    let closing = format!("content-length: {}\r\nconnection: close\r\n", inner.len());
    let behind = octets(&hidden, &closing, &inner);

    // Too short: the message is not whole, and what is left of it is no request.
    let framing = format!("content-length: {}\r\n", body.len() - 10);
    let sent = [octets(&first, &framing, &body), behind.clone()].concat();
    let answer = answers(&federation, &sent).await;
    assert_eq!(answer.matches("restresponse").count(), 0, "{answer}");
    assert_eq!((served(), federation.provider.log.len()), (0, 0));

    // Too long: the second request is in the first one's body, behind its end, and is nobody's message.
    let framing = format!("content-length: {}\r\nconnection: close\r\n", body.len() + behind.len());
    let sent = [octets(&message(&federation, 2).await, &framing, &body), behind.clone()].concat();
    let answer = answers(&federation, &sent).await;
    assert_eq!(heads(&answer), 1, "{answer}");
    assert!(served() <= 1);

    // Two whole messages behind each other are two messages.
    let (calls, logged) = (served(), federation.provider.log.len());
    let (one, other) = (message(&federation, 3).await, message(&federation, 4).await);
    let framing = format!("content-length: {}\r\n", one.body().len());
    let closing = "transfer-encoding: chunked\r\nconnection: close\r\n";
    let sent =
        [octets(&one, &framing, &one.body()), octets(&other, closing, &chunked(&other.body()))].concat();
    let answer = answers(&federation, &sent).await;
    assert_eq!(heads(&answer), 2, "{answer}");
    assert_eq!((served() - calls, federation.provider.log.len() - logged), (2, 4));
    let entries = federation.provider.log.entries.lock().unwrap();
    let ids: Vec<_> = entries[logged..].iter().map(|(entry, _)| entry.message_id.as_str()).collect();
    assert_eq!(ids, ["smuggled-3", "smuggled-3", "smuggled-4", "smuggled-4"]);
}
