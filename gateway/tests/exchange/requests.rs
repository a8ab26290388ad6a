//! What a provider's server says to messages that are not as they should be (§4.6.3).

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::CertificateUsage;
use certs::key::KeyKind;
use gateway::tls::Identity;
use protocol::id::SecurityServerId;
use protocol::transport::{PartKind, write_fault};

use crate::craft::{BOUNDARY, CLIENT, Crafted, Raw, blob, connect, evidence, kind, now, request, sign};
use crate::federation::{Federation, issue, member, ocsp_response};

type Spoil = fn(&mut Crafted);

const SPOILT: [(&str, Spoil, &str); 27] = [
    ("other method", |message| message.method = "PUT", "invalid_http_method"),
    ("no digest", |message| message.set_header("x-hash-algorithm", None), "internal_error"),
    ("weak digest", |message| message.set_header("x-hash-algorithm", Some("MD5")), "internal_error"),
    ("no request id", |message| message.set_header("x-road-request-id", None), "internal_error"),
    (
        "REST where SOAP is announced",
        |message| message.set_header("x-road-message-type", None),
        "missing_soap",
    ),
    (
        "a fault as request",
        |message| message.set_header("content-type", Some("text/xml")),
        "service_failed.invalid_content_type",
    ),
    (
        "no boundary",
        |message| message.set_header("content-type", Some("multipart/mixed")),
        "service_failed.invalid_content_type",
    ),
    ("no OCSP response", |message| drop(message.parts.remove(0)), "service_failed.ssl_authentication_failed"),
    ("OCSP response cut", |message| message.parts[0].1.truncate(100), "service_failed.io_error"),
    (
        "OCSP response changed",
        |message| {
            let mut bytes = message.parts[0].1.to_vec();
            bytes[80] ^= 1;
            message.parts[0].1 = bytes.into();
        },
        "service_failed.ssl_authentication_failed",
    ),
    ("no message", |message| message.parts.truncate(1), "missing_rest"),
    (
        "unknown part",
        |message| message.parts[1].0 = "text/plain".to_owned(),
        "service_failed.invalid_content_type",
    ),
    (
        "response instead of request",
        |message| message.parts[1].0 = kind(PartKind::RestResponse),
        "service_failed.invalid_content_type",
    ),
    ("no signature", |message| drop(message.parts.pop()), "missing_signature"),
    (
        "fault instead of signature",
        |message| {
            message.parts.pop();
            let fault = protocol::fault::Fault::new("x", "y");
            message.parts.push((kind(PartKind::Fault), write_fault(&fault).into()));
        },
        "missing_signature",
    ),
    (
        "part behind the signature",
        |message| message.parts.push((kind(PartKind::RestBody), Bytes::from_static(b"more"))),
        "service_failed.invalid_message",
    ),
    ("cut off in the signature", |message| message.ending.clear(), "missing_signature"),
    (
        "cut off before the end",
        |message| message.ending = format!("\r\n--{BOUNDARY}\r\n"),
        "service_failed.mime_parsing_failed",
    ),
    (
        "body changed",
        |message| {
            let place = message.place(PartKind::RestBody.content_type());
            message.parts[place].1 = Bytes::from_static(b"abd");
        },
        "signature_verification.malformed_signature.invalid_hash_chain",
    ),
    (
        "body removed",
        |message| drop(message.parts.remove(message.place(PartKind::RestBody.content_type()))),
        "signature_verification.malformed_signature.invalid_reference",
    ),
    (
        "head changed",
        |message| {
            let place = message.place(PartKind::RestRequest.content_type());
            let blob = String::from_utf8(message.parts[place].1.to_vec()).unwrap();
            message.parts[place].1 = blob.replace("id-1", "id-2").into();
        },
        "signature_verification.malformed_signature.invalid_hash_chain",
    ),
    (
        "hash chain removed",
        |message| {
            message.parts.retain(|(content_type, _)| !content_type.contains("hash-chain"));
        },
        "signature_verification.malformed_signature",
    ),
    (
        "hash chain without result",
        |message| drop(message.parts.remove(message.place(PartKind::HashChainResult.content_type()))),
        "service_failed.invalid_content_type",
    ),
    (
        "hash chain is not XML",
        |message| {
            let place = message.place(PartKind::HashChain.content_type());
            message.parts[place].1 = Bytes::from_static(b"<nonsense");
        },
        "signature_verification.malformed_signature.malformed_hash_chain",
    ),
    (
        "signature is not XML",
        |message| {
            let place = message.place(PartKind::Signature.content_type());
            message.parts[place].1 = Bytes::from_static(b"nonsense");
        },
        "signature_verification.invalid_xml",
    ),
    (
        "head not canonical",
        |message| {
            let place = message.place(PartKind::RestRequest.content_type());
            let blob = String::from_utf8(message.parts[place].1.to_vec()).unwrap();
            message.parts[place].1 = blob.replace("\r\n", "\n").into();
        },
        "service_failed.internal_error",
    ),
    (
        "head with a header that must not travel",
        |message| {
            let place = message.place(PartKind::RestRequest.content_type());
            let blob = String::from_utf8(message.parts[place].1.to_vec()).unwrap();
            message.parts[place].1 = format!("{blob}Host:x\r\n").into();
        },
        "service_failed.internal_error",
    ),
];

#[tokio::test]
async fn spoilt_messages_are_refused() {
    let federation = Federation::start();
    let good = request(&federation, &blob("POST", "echo/x", CLIENT), Some("abc")).await;
    let mut peer = connect(&federation).await;
    assert_eq!(peer.send(&good).await.unwrap().status(), 200);
    let calls = federation.system.seen.calls.load(Ordering::Relaxed);
    for (what, spoil, code) in SPOILT {
        let mut message = good.clone();
        spoil(&mut message);
        let fault = peer.send(&message).await.err().map(|fault| fault.code.into_owned());
        assert_eq!(fault.as_deref(), Some(format!("server.serverproxy.{code}").as_str()), "{what}");
    }
    assert_eq!(
        federation.system.seen.calls.load(Ordering::Relaxed),
        calls,
        "a spoilt message reached the service"
    );
    assert_eq!(federation.provider.log.len(), 2, "a spoilt message was logged");
    let good = request(&federation, &blob("POST", "echo/x", CLIENT), Some("abc")).await;
    assert_eq!(peer.send(&good).await.unwrap().status(), 200);
}

#[tokio::test]
async fn messages_for_others_or_of_others_are_refused() {
    let federation = Federation::start();
    let mut peer = connect(&federation).await;
    for (lines, code) in [
        ("x-road-client:CW/COM/2/service\r\n", "service_failed.ssl_authentication_failed"),
        ("x-road-client:CW/COM/1/unknown\r\n", "service_failed.ssl_authentication_failed"),
        ("x-road-client:XX/COM/1/client\r\n", "service_failed.internal_error"),
        ("", "service_failed.invalid_client_identifier"),
        (
            "x-road-client:CW/COM/1/client\r\nx-road-security-server:CW/COM/1/ss\r\n",
            "service_failed.invalid_security_server",
        ),
    ] {
        let message = request(&federation, &blob("GET", "echo/x", lines), None).await;
        let fault = peer.send(&message).await.err().map(|fault| fault.code.into_owned());
        assert_eq!(fault.as_deref(), Some(format!("server.serverproxy.{code}").as_str()), "{lines}");
    }
}

#[tokio::test]
async fn evidence_of_another_message_is_refused() {
    let federation = Federation::start();
    let mut peer = connect(&federation).await;
    let other = request(&federation, &blob("GET", "echo/other", CLIENT), None).await;
    let mut message = request(&federation, &blob("GET", "echo/x", CLIENT), None).await;
    let signature = message.place(PartKind::Signature.content_type());
    message.parts[signature] = other.parts[signature].clone();
    let code = peer.send(&message).await.err().unwrap().code;
    assert!(code.starts_with("server.serverproxy.signature_verification"), "{code}");

    // A signature over the head alone does not cover a body that was put beside it.
    let mut message = request(&federation, &blob("POST", "echo/x", CLIENT), None).await;
    message.parts.insert(2, (kind(PartKind::RestBody), Bytes::from_static(b"uncovered")));
    let code = peer.send(&message).await.err().unwrap().code;
    assert!(code.starts_with("server.serverproxy.signature_verification.malformed_signature"), "{code}");

    // The provider's member cannot sign for the client's.
    let text = Bytes::from(blob("GET", "echo/x", CLIENT));
    let mut message = request(&federation, &blob("GET", "echo/x", CLIENT), None).await;
    message.parts.truncate(2);
    message.parts.extend(evidence(sign(&federation.provider, &text, None).await));
    let code = peer.send(&message).await.err().unwrap().code;
    assert_eq!(code, "server.serverproxy.signature_verification.incorrect_certificate");
}

#[tokio::test]
async fn certificates_that_do_not_count_are_refused() {
    let federation = Federation::start();
    let text = blob("GET", "echo/x", CLIENT);
    // Of a key that is not registered: not even the handshake succeeds.
    let stranger = SecurityServerId::new(member("1"), "stranger").unwrap();
    let (key, certificate) =
        issue(&federation.ca, &stranger, CertificateUsage::Authentication, KeyKind::P256);
    let identity = Identity::new(vec![certificate.der().clone()], &key.pkcs8().unwrap()).unwrap();
    let refused = match Raw::open(&federation, &identity).await {
        // TLS 1.3 tells the client of the refusal only with its first answer.
        Ok(mut peer) => {
            let message = request(&federation, &text, None).await;
            tokio::spawn(async move { peer.send(&message).await.is_err() }).await.is_err()
        }
        Err(_) => true,
    };
    assert!(refused);

    // Revoked after registration.
    let mut peer = connect(&federation).await;
    federation.ca.revoke(federation.consumer.authentication.1.serial(), 1, now()).unwrap();
    let message = request(&federation, &text, None).await;
    let code = peer.send(&message).await.err().unwrap().code;
    assert_eq!(code, "server.serverproxy.service_failed.ssl_authentication_failed");

    // A response that was good, but long ago.
    let federation = Federation::start();
    let mut peer = connect(&federation).await;
    let mut message = request(&federation, &text, None).await;
    let asked = certs::ocsp::request(&federation.consumer.authentication.1, federation.ca.certificate());
    let old = federation.ca.ocsp_answer(&asked, now().minus(Duration::from_secs(3700)));
    message.parts[0].1 = old.into();
    let code = peer.send(&message).await.err().unwrap().code;
    assert_eq!(code, "server.serverproxy.service_failed.ssl_authentication_failed");

    // A response for another certificate.
    message.parts[0].1 = ocsp_response(&federation.ca, &federation.provider.authentication.1);
    let code = peer.send(&message).await.err().unwrap().code;
    assert_eq!(code, "server.serverproxy.service_failed.ssl_authentication_failed");
}

/// Whatever byte of head, body, chain result or framing is changed: the message does not pass. In the other
/// parts there are bytes that mean nothing: the responder's certificate inside an OCSP response, the
/// white space of a hash chain, what stands unsigned in a signature document.
#[tokio::test]
async fn a_changed_byte_is_noticed() {
    let federation = Federation::start();
    let good = request(&federation, &blob("POST", "echo/x", CLIENT), Some("abc")).await;
    let bytes = good.body();
    let mut peer = connect(&federation).await;
    let loose = [PartKind::Ocsp, PartKind::HashChain, PartKind::Signature].map(|kind| {
        let part = &good.parts[good.place(kind.content_type())].1;
        let start = bytes.windows(part.len()).position(|window| window == &part[..]).unwrap();
        start..start + part.len()
    });
    // The last line end stands behind everything.
    for place in (0..bytes.len() - 2).filter(|place| !loose.iter().any(|part| part.contains(place))) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let around = String::from_utf8_lossy(&bytes[place.saturating_sub(20)..(place + 20).min(bytes.len())]);
        assert!(peer.send_bytes(&good, changed).await.is_err(), "byte {place} of {around:?}");
    }
    let [_, _, signature] = loose;
    let tried = signature.step_by(23);
    let mut passed = 0;
    for place in tried.clone() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        passed += usize::from(peer.send_bytes(&good, changed).await.is_ok());
    }
    assert!(passed * 4 < tried.count(), "{passed} changes of the signature document passed");
}
