//! A signed message is carried out once, however it comes again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use protocol::digest::DigestAlgorithm;
use protocol::id::SecurityServerId;
use protocol::transport::PartKind;
use tokio::task::JoinSet;

use crate::craft::{CLIENT, Crafted, Raw, blob, connect, evidence, request};
use crate::federation::{Federation, Wishes, member};

const REPLAYED: &str = "server.serverproxy.replayed_message";

async fn send(peer: &mut Raw, message: &Crafted) -> Result<u16, String> {
    match peer.send(message).await {
        Ok(response) => Ok(response.status()),
        Err(fault) => Err(fault.code.into_owned()),
    }
}

#[tokio::test]
async fn the_same_message_is_carried_out_once() {
    let federation = Federation::start();
    let mut peer = connect(&federation).await;
    for body in [None, Some("abc")] {
        let calls = federation.system.seen.calls.load(Ordering::Relaxed);
        let logged = federation.provider.log.len();
        let message = request(&federation, &blob("POST", "echo/x", CLIENT), body).await;
        assert_eq!(send(&mut peer, &message).await, Ok(200));
        assert_eq!(send(&mut peer, &message).await, Err(REPLAYED.to_owned()));
        let mut another = connect(&federation).await;
        assert_eq!(send(&mut another, &message).await, Err(REPLAYED.to_owned()), "over another connection");
        assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), calls + 1);
        assert_eq!(federation.provider.log.len(), logged + 2, "a replay was logged");
    }
    let counts = federation.provider.gateway.as_ref().map(|gateway| gateway.counts().replays_refused);
    assert_eq!(counts, Some(4));
}

type Disguise = fn(&mut Crafted);

/// What can be changed without the signing key.
const DISGUISES: [(&str, Disguise); 6] = [
    ("another request id", |message| message.set_header("x-road-request-id", Some("request-2"))),
    ("another version", |message| message.set_header("x-proxy-version", Some("7.7.0"))),
    ("white space in the hash chain", |message| {
        change(message, PartKind::HashChain, |text| text.replace("><", ">\n\n<").replace("    ", "  "));
    }),
    ("a step more in the hash chain", |message| {
        change(message, PartKind::HashChain, |text| text.replace("</ns2:HashChain>", UNUSED));
    }),
    ("white space in the signature", |message| {
        change(message, PartKind::Signature, |text| {
            text.replace("</xades:UnsignedSignatureProperties>", "\n</xades:UnsignedSignatureProperties>")
        });
    }),
    ("the other s of the signature value", |message| {
        change(message, PartKind::Signature, |text| {
            let start = text.find("<ds:SignatureValue").unwrap();
            let start = start + text[start..].find('>').unwrap() + 1;
            let end = start + text[start..].find('<').unwrap();
            let value: String = text[start..end].split_whitespace().collect();
            let value = STANDARD.encode(negated(&STANDARD.decode(value).unwrap()));
            format!("{}{value}{}", &text[..start], &text[end..])
        });
    }),
];

const UNUSED: &str = "<ns2:HashStep id=\"UNUSED\"/></ns2:HashChain>";

fn change(message: &mut Crafted, kind: PartKind, change: impl Fn(&str) -> String) {
    let place = message.place(kind.content_type());
    let before = String::from_utf8(message.parts[place].1.to_vec()).unwrap();
    let after = change(&before);
    assert_ne!(before, after, "nothing was changed");
    message.parts[place].1 = Bytes::from(after);
}

/// (r, n - s) of a P-256 signature (r, s).
fn negated(value: &[u8]) -> Vec<u8> {
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order = (0..32).map(|place| u8::from_str_radix(&ORDER[2 * place..2 * place + 2], 16).unwrap());
    let order: Vec<u8> = order.collect();
    let mut negated = value.to_vec();
    let mut borrow = 0;
    for place in (0..32).rev() {
        let digit = i16::from(order[place]) - i16::from(value[32 + place]) - borrow;
        borrow = i16::from(digit < 0);
        negated[32 + place] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    negated
}

#[tokio::test]
async fn a_disguise_does_not_help() {
    let federation = Federation::start();
    let mut peer = connect(&federation).await;
    for (what, disguise) in DISGUISES {
        let message = request(&federation, &blob("POST", "echo/x", CLIENT), Some("abc")).await;
        // The disguised one is a valid message by itself: it is taken when it comes first.
        let mut disguised = message.clone();
        disguise(&mut disguised);
        assert_eq!(send(&mut peer, &disguised).await, Ok(200), "{what}, first");
        assert_eq!(
            send(&mut peer, &message).await,
            Err(REPLAYED.to_owned()),
            "{what}, the true one after it"
        );
        assert_eq!(send(&mut peer, &disguised).await, Err(REPLAYED.to_owned()), "{what}, again");
    }
}

#[tokio::test]
async fn the_same_words_signed_twice_are_two_messages() {
    let federation = Federation::start();
    let mut peer = connect(&federation).await;
    let text = blob("GET", "echo/x", CLIENT);
    for _ in 0..3 {
        let message = request(&federation, &text, None).await;
        assert_eq!(send(&mut peer, &message).await, Ok(200));
    }

    // A client said the same three times at once, and one signature covers all three.
    let node = &federation.consumer;
    let digest = [DigestAlgorithm::Sha512.digest(text.as_bytes())];
    let batch = node.keys.sign_batch(node.id.owner(), &[&digest, &digest, &digest]).unwrap();
    let messages = batch.into_iter().map(|signed| async {
        let mut message = request(&federation, &text, None).await;
        message.parts.truncate(2);
        message.parts.extend(evidence(signed));
        message
    });
    let mut sent = Vec::new();
    for message in messages {
        let message = message.await;
        assert_eq!(send(&mut peer, &message).await, Ok(200));
        sent.push(message);
    }
    for message in sent {
        assert_eq!(send(&mut peer, &message).await, Err(REPLAYED.to_owned()));
    }
}

#[tokio::test]
async fn what_was_not_logged_may_come_again() {
    let federation = Federation::start();
    let mut peer = connect(&federation).await;
    let message = request(&federation, &blob("GET", "echo/x", CLIENT), None).await;
    // Evidence that does not verify makes no message known.
    let mut spoilt = message.clone();
    spoilt.parts[1].1 = Bytes::from(blob("GET", "echo/y", CLIENT));
    assert!(send(&mut peer, &spoilt).await.is_err_and(|code| code.contains("signature_verification")));
    federation.provider.log.full.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let code = send(&mut peer, &message).await;
        assert_eq!(code, Err("server.serverproxy.logging_failed".to_owned()));
    }
    federation.provider.log.full.store(false, Ordering::Relaxed);
    assert_eq!(send(&mut peer, &message).await, Ok(200));
    assert_eq!(send(&mut peer, &message).await, Err(REPLAYED.to_owned()));
}

#[tokio::test]
async fn of_many_at_once_one_is_carried_out() {
    let federation = Federation::start();
    *federation.provider.log.delay.lock().unwrap() = Duration::from_millis(50);
    let message = request(&federation, &blob("GET", "echo/x", CLIENT), None).await;
    let mut senders = JoinSet::new();
    for _ in 0..16 {
        let (mut peer, message) = (connect(&federation).await, message.clone());
        senders.spawn(async move { send(&mut peer, &message).await });
    }
    let answers = senders.join_all().await;
    let good = answers.iter().filter(|answer| **answer == Ok(200)).count();
    let replayed = answers.iter().filter(|answer| **answer == Err(REPLAYED.to_owned())).count();
    assert_eq!((good, replayed), (1, 15), "{answers:?}");
    assert_eq!(federation.system.seen.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_switch_turns_it_off_for_one_peer() {
    let settings = |settings: &mut gateway::Settings| {
        settings.replays_accepted_from = vec![SecurityServerId::new(member("1"), "ss").unwrap()]
    };
    let federation = Federation::with(Wishes { settings, ..Wishes::default() });
    let mut peer = connect(&federation).await;
    let message = request(&federation, &blob("GET", "echo/x", CLIENT), None).await;
    assert_eq!(send(&mut peer, &message).await, Ok(200));
    assert_eq!(send(&mut peer, &message).await, Ok(200));
}
