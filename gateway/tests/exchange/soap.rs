//! Exchanges over SOAP: what travels to the byte, attachments, faults, and refusals.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gateway::http::body::Piece;
use gateway::http::server::Service;
use gateway::http::{Outgoing, bind, serve};
use gateway::ports::{Direction, LocalService, LoggedBody, ServiceTls, ServiceType, Side, Signer as _};
use gateway::tls::Identity;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use protocol::digest::DigestAlgorithm;
use protocol::transport::{MessageType, PartKind};
use tokio::sync::watch;

use crate::calls::{Answer, call_at};
use crate::craft::{BOUNDARY, Crafted, connect, evidence, kind};
use crate::federation::{CLIENT_PORT, Federation, client, ocsp_response, service};
use crate::service::shown;

pub(crate) const PLAIN: &str = "text/xml; charset=utf-8";

/// Spoils a message before it is sent.
type Spoil = fn(&mut Crafted);

/// Makes the answer of the system.
type Answering = Box<dyn Fn(&HeaderMap, &Bytes) -> Response<Outgoing> + Send + Sync>;

/// A provider's system.
struct System {
    seen: Mutex<Vec<(String, HeaderMap, Bytes)>>,
    answering: Mutex<Answering>,
}

impl Service for System {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = self.answering.lock().unwrap()(&head.headers, &body);
        self.seen.lock().unwrap().push((format!("{} {}", head.method, head.uri), head.headers, body));
        answer
    }
}

/// A federation with SOAP services `query` and `other`; the client may call the first.
pub(crate) struct Soap {
    pub(crate) federation: Federation,
    system: Arc<System>,
    _stop: watch::Sender<bool>,
}

pub(crate) fn answer(content_type: &str, body: impl Into<Outgoing>) -> Response<Outgoing> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert("content-type", content_type.parse().unwrap());
    response
}

impl Soap {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// The same with a system that shows an identity over TLS, if there is one.
    pub(crate) fn start_with(identity: Option<&Identity>) -> Self {
        let federation = Federation::start();
        let listener = bind(format!("{}:0", federation.provider.ip).parse().unwrap(), false).unwrap();
        let address = listener.local_addr().unwrap();
        let answering: Answering = Box::new(|_, _| answer(PLAIN, envelope("queryResponse", "")));
        let system = Arc::new(System { seen: Mutex::default(), answering: Mutex::new(answering) });
        let (stop, stopped) = watch::channel(false);
        let of_listener = Arc::clone(&system);
        tokio::spawn(serve(listener, identity.map(shown), move |_| Some(Arc::clone(&of_listener)), stopped));
        let scheme = if identity.is_some() { "https" } else { "http" };
        for code in ["query", "other"] {
            let registered = LocalService {
                id: service(code),
                url: format!("{scheme}://{address}/soap?x=1"),
                timeout: Duration::from_secs(2),
                tls: ServiceTls::Pinned,
                disabled: None,
                service_type: ServiceType::Soap,
                description_url: None,
                endpoints: Vec::new(),
            };
            let directory = &federation.provider.directory;
            directory.services.lock().unwrap().insert(service(code), Arc::new(registered));
        }
        let rights = &federation.provider.directory.rights;
        rights.lock().unwrap().insert((client(), service("query")));
        Self { federation, system, _stop: stop }
    }

    pub(crate) fn answers(
        &self,
        answering: impl Fn(&HeaderMap, &Bytes) -> Response<Outgoing> + Send + Sync + 'static,
    ) {
        *self.system.answering.lock().unwrap() = Box::new(answering);
    }

    pub(crate) async fn call(&self, content_type: &str, body: impl Into<Outgoing>) -> Answer {
        call_at(self.federation.consumer.address(CLIENT_PORT), request(content_type, body)).await
    }

    pub(crate) fn last_seen(&self) -> (String, HeaderMap, Bytes) {
        self.system.seen.lock().unwrap().last().cloned().expect("a call")
    }

    pub(crate) fn calls(&self) -> usize {
        self.system.seen.lock().unwrap().len()
    }
}

/// A call of an information system.
pub(crate) fn request(content_type: &str, body: impl Into<Outgoing>) -> Request<Outgoing> {
    let request = Request::builder()
        .method("POST")
        .uri("/")
        .header("host", "x")
        .header("soapaction", "\"urn:act\"")
        .header("content-type", content_type);
    request.body(body.into()).unwrap()
}

/// A message of the exchange with this element in its body and these further header blocks.
pub(crate) fn envelope(wrapper: &str, more: &str) -> String {
    format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- kept -->\n\
         <e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/' \
         xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:i=\"http://x-road.eu/xsd/identifiers\">\
         <e:Header>\r\n  \
         <x:client i:objectType=\"SUBSYSTEM\"><i:xRoadInstance>CW</i:xRoadInstance>\
         <i:memberClass>COM</i:memberClass><i:memberCode>1</i:memberCode>\
         <i:subsystemCode>client</i:subsystemCode></x:client>\r\n  \
         <x:service i:objectType=\"SERVICE\"><i:xRoadInstance>CW</i:xRoadInstance>\
         <i:memberClass>COM</i:memberClass><i:memberCode>2</i:memberCode>\
         <i:subsystemCode>service</i:subsystemCode><i:serviceCode>{}</i:serviceCode></x:service>\r\n  \
         <x:userId>EE1</x:userId><x:id>id-1</x:id>{more}<x:protocolVersion>4.0</x:protocolVersion>\
         </e:Header><e:Body><p:{wrapper} xmlns:p='urn:p'><![CDATA[<&]]>\u{e9}</p:{wrapper}></e:Body></e:Envelope>",
        wrapper.strip_suffix("Response").unwrap_or(wrapper),
    )
}

/// The code of a fault.
pub(crate) fn code(answer: &Answer) -> String {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/xml;charset=utf-8");
    assert_eq!(answer.headers["soapaction"], "");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let code = text.split_once("<faultcode>").and_then(|(_, rest)| rest.split_once("</faultcode>"));
    code.map_or(text.clone(), |(code, _)| code.to_owned())
}

#[tokio::test]
async fn a_plain_message_travels_to_the_byte() {
    let soap = Soap::start();
    let sent = envelope("query", "");
    let got = soap.call("TEXT/XML", sent.clone()).await;
    assert_eq!((got.status, got.headers["content-type"].as_bytes()), (200, &b"text/xml; charset=UTF-8"[..]));
    let hash = DigestAlgorithm::Sha512.digest(sent.as_bytes()).to_base64();
    let expected = envelope("queryResponse", "").replace(
        "</x:id>",
        &format!(
            "</x:id>\r\n  <x:requestHash algorithmId=\"http://www.w3.org/2001/04/xmlenc#sha512\">{hash}</x:requestHash>"
        ),
    );
    assert_eq!(String::from_utf8_lossy(&got.body), expected);

    let (target, headers, body) = soap.last_seen();
    assert_eq!(target, "POST /soap?x=1");
    assert_eq!(body, sent);
    for (name, value) in [
        ("content-type", "text/xml; charset=UTF-8"),
        ("soapaction", "\"urn:act\""),
        ("accept-encoding", ""),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let consumer = soap.federation.consumer.log.entries.lock().unwrap();
    let provider = soap.federation.provider.log.entries.lock().unwrap();
    assert_eq!((consumer.len(), provider.len()), (2, 2));
    for ((one, _), (other, _)) in consumer.iter().zip(provider.iter()) {
        assert_eq!((one.side, other.side), (Side::Consumer, Side::Provider));
        assert_eq!((one.protocol, other.protocol), (MessageType::Soap, MessageType::Soap));
        assert_eq!((&one.message, &one.message_id), (&other.message, &other.message_id));
        assert_eq!((one.direction, one.request_id.as_str()), (other.direction, other.request_id.as_str()));
        assert_eq!((&one.client, &other.service), (&client(), &service("query")));
        assert!(one.attachments.is_empty() && other.attachments.is_empty());
        let sent = if one.direction == Direction::Request { &sent } else { &expected };
        assert_eq!(one.message, *sent);
    }
}

/// A multipart message: the SOAP part and attachments with these octets.
pub(crate) fn multipart(boundary: &str, soap_type: &str, envelope: &str, attachments: &[Vec<u8>]) -> Vec<u8> {
    let mut body =
        format!("--{boundary}\r\ncontent-type:{soap_type}\r\nContent-ID: <root>\r\n\r\n{envelope}")
            .into_bytes();
    for (number, octets) in attachments.iter().enumerate() {
        let head = format!(
            "\r\n--{boundary}\r\ncontent-type:application/octet-stream\r\n\
             Content-Transfer-Encoding: binary\r\nContent-ID: <{number}>\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(octets);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body
}

fn octets(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251 + seed * 7) as u8).collect()
}

/// A body that comes in pieces.
fn in_pieces(octets: Vec<u8>) -> Outgoing {
    let (sender, body) = Outgoing::channel(2);
    tokio::spawn(async move {
        for piece in octets.chunks(30_011) {
            if sender.send(Piece::Data(Bytes::copy_from_slice(piece))).await.is_err() {
                return;
            }
        }
        let _ = sender.send(Piece::End).await;
    });
    body
}

#[tokio::test]
async fn attachments_travel_to_the_byte() {
    let soap = Soap::start();
    let mtom = "multipart/related; type=\"application/xop+xml\"; start-info=\"text/xml\"; boundary=uuid:1";
    let named = "Multipart/Related; charset=utf-8; boundary=\"a b'c\"";
    for (what, content_type, boundary, soap_type, lengths) in [
        ("one", named, "a b'c", "text/xml", vec![10]),
        ("none", named, "a b'c", "text/xml; charset=UTF-8", vec![]),
        ("mtom", mtom, "uuid:1", "application/xop+xml; charset=UTF-8; type=\"text/xml\"", vec![300, 0, 5]),
        ("many", mtom, "uuid:1", "text/xml", vec![100; 700]),
        ("large", mtom, "uuid:1", "text/xml", vec![3_000_000, 70, 100_000, 5_000_000]),
        ("large and many", named, "a b'c", "text/xml", vec![20_000; 100]),
    ] {
        let attachments: Vec<_> =
            lengths.iter().enumerate().map(|(seed, length)| octets(seed, *length)).collect();
        let sent = multipart(boundary, soap_type, &envelope("query", ""), &attachments);
        let answered = multipart(boundary, soap_type, &envelope("queryResponse", ""), &attachments);
        let body = answered.clone();
        soap.answers(move |_, _| answer(content_type, in_pieces(body.clone())));
        let before = soap.federation.provider.log.len();
        let got = soap.call(content_type, in_pieces(sent.clone())).await;
        assert_eq!(got.status, 200, "{what}");
        let expected_type = if content_type.contains("charset") {
            content_type.to_owned()
        } else {
            format!("{content_type};charset=utf-8")
        };
        assert_eq!(got.headers["content-type"], expected_type.as_str(), "{what}: {:?}", got.body);
        let (_, headers, body) = soap.last_seen();
        assert_eq!(headers["content-type"], content_type, "{what}");
        assert!(body == sent, "{what}: the provider got other octets");
        // Nothing but the hash of the request was put in.
        let (at, length) = (find(&got.body, b"<x:requestHash"), got.body.len() - answered.len());
        let start = at - 4;
        assert!(got.body[..start] == answered[..start], "{what}: the client got other octets");
        assert!(got.body[start + length..] == answered[start..], "{what}: the client got other octets");

        let consumer = soap.federation.consumer.log.entries.lock().unwrap();
        let provider = soap.federation.provider.log.entries.lock().unwrap();
        assert_eq!(provider.len(), before + 2, "{what}");
        for (entry, _) in consumer[before..].iter().chain(&provider[before..]) {
            assert_eq!(entry.attachments.len(), attachments.len(), "{what}");
            assert_eq!(entry.signed.hash_chain.is_some(), !attachments.is_empty(), "{what}");
            for (logged, expected) in entry.attachments.iter().zip(&attachments) {
                assert!(logged_octets(logged) == *expected, "{what}: other octets were logged");
            }
        }
    }
}

fn find(octets: &[u8], needle: &[u8]) -> usize {
    octets.windows(needle.len()).position(|window| window == needle).expect("it is there")
}

fn logged_octets(logged: &LoggedBody) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    match logged {
        LoggedBody::Memory(octets) => octets.to_vec(),
        LoggedBody::File { file, at, length } => {
            let mut octets = vec![0; *length as usize];
            file.read_exact_at(&mut octets, *at).unwrap();
            octets
        }
        LoggedBody::DigestOnly { .. } => panic!("not logged"),
    }
}

#[tokio::test]
async fn a_fault_of_the_service_travels_to_the_byte() {
    let soap = Soap::start();
    let fault = "<?xml version='1.0'?>\n<S:Envelope xmlns:S=\"http://schemas.xmlsoap.org/soap/envelope/\"><S:Body>\
                 <S:Fault><faultcode>S:Own.Code</faultcode><faultstring>no &amp; never</faultstring>\
                 <detail><own xmlns='urn:o'/></detail></S:Fault></S:Body></S:Envelope>\n";
    for (status, content_type, body) in [
        (200, PLAIN, fault.as_bytes().to_vec()),
        (500, PLAIN, fault.as_bytes().to_vec()),
        (200, "multipart/related; boundary=b", multipart("b", "text/xml", fault, &[octets(1, 100_000)])),
    ] {
        soap.answers(move |_, _| {
            let mut response = answer(content_type, Bytes::from(body.clone()));
            *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
            response
        });
        let got = soap.call(PLAIN, envelope("query", "")).await;
        assert_eq!(code(&got), "S:Own.Code");
        assert_eq!(String::from_utf8_lossy(&got.body), fault);
    }
    // What a service answers with a fault is no message: nothing was signed or logged.
    assert_eq!((soap.federation.consumer.log.len(), soap.federation.provider.log.len()), (3, 3));
    assert_eq!(soap.federation.consumer.counts().faults_received, 3);
}

#[tokio::test]
async fn the_consumers_server_refuses() {
    let soap = Soap::start();
    let good = envelope("query", "");
    let cases: Vec<(&str, &str, &str, String)> = vec![
        ("client.invalid_content_type", "application/json", "\"\"", good.clone()),
        ("client.invalid_content_type", "multipart/related; type=x", "\"\"", good.clone()),
        ("client.invalid_soap_action", PLAIN, "urn:act", good.clone()),
        ("client.invalid_soap", PLAIN, "", String::new()),
        ("client.invalid_soap", PLAIN, "", "<a><b></a>".to_owned()),
        ("client.invalid_soap", PLAIN, "", good.replace("<!-- kept -->", "<!DOCTYPE a [<!ENTITY b 'c'>]>")),
        ("client.missing_header_field", PLAIN, "", good.replace("<x:id>id-1</x:id>", "")),
        ("client.duplicate_header_field", PLAIN, "", envelope("query", "<x:id>2</x:id>")),
        ("client.invalid_protocol_version", PLAIN, "", good.replace(">4.0<", ">3.1<")),
        ("client.invalid_body", PLAIN, "", good.replace("<e:Body>", "<e:Body><a/>")),
        ("client.inconsistent_headers", PLAIN, "", good.replace("p:query", "p:other")),
        ("client.invalid_client_identifier", PLAIN, "", good.replacen("SUBSYSTEM", "MEMBER", 1)),
        (
            "client.own",
            PLAIN,
            "",
            "<S:Envelope xmlns:S='http://schemas.xmlsoap.org/soap/envelope/'><S:Body>\
          <S:Fault><faultcode>Own</faultcode><faultstring/></S:Fault></S:Body></S:Envelope>"
                .to_owned(),
        ),
        ("server.clientproxy.unknown_member", PLAIN, "", good.replacen(">client<", ">stranger<", 1)),
        ("server.clientproxy.unknown_member", PLAIN, "", good.replacen(">service<", ">nobody<", 1)),
        (
            "client.invalid_content_type",
            "multipart/related; boundary=b",
            "",
            String::from_utf8(multipart("b", "text/plain", &good, &[])).unwrap(),
        ),
        ("client.missing_soap", "multipart/related; boundary=b", "", "--b--\r\n".to_owned()),
        (
            "client.mime_parsing_failed",
            "multipart/related; boundary=b",
            "",
            "--b\r\nno header\r\n\r\n".to_owned(),
        ),
    ];
    for (expected, content_type, action, body) in cases {
        let request = Request::builder()
            .method("POST")
            .uri("/anything?x")
            .header("host", "x")
            .header("soapaction", action)
            .header("content-type", content_type)
            .body(Outgoing::from(body.clone()));
        let got = call_at(soap.federation.consumer.address(CLIENT_PORT), request.unwrap()).await;
        assert_eq!(code(&got), expected, "{content_type} {action} {body}");
    }
    assert_eq!((soap.federation.consumer.log.len(), soap.calls()), (0, 0));
}

#[tokio::test]
async fn the_providers_server_refuses() {
    let soap = Soap::start();
    let target = |server: &str| {
        format!(
            "<x:securityServer i:objectType=\"SERVER\"><i:xRoadInstance>CW</i:xRoadInstance>\
             <i:memberClass>COM</i:memberClass><i:memberCode>2</i:memberCode>\
             <i:serverCode>{server}</i:serverCode></x:securityServer>"
        )
    };
    for (expected, body) in [
        ("unknown_service", envelope("missing", "")),
        ("access_denied", envelope("other", "")),
        ("service_type", envelope("echo", "")),
    ] {
        let got = soap.call(PLAIN, body).await;
        assert_eq!(code(&got), format!("server.serverproxy.{expected}"));
    }
    let got = soap.call(PLAIN, envelope("query", &target("nowhere"))).await;
    assert_eq!(code(&got), "server.clientproxy.invalid_security_server");
    assert_eq!(soap.calls(), 0);
    assert_eq!(code_free(&soap.call(PLAIN, envelope("query", &target("ss"))).await), 200);
    // REST does not reach it.
    let got = soap.federation.call("GET", "/r1/CW/COM/2/service/query", Outgoing::Empty).await;
    assert_eq!(got.error(), "server.serverproxy.service_type");
}

/// The status of an answer that is no fault.
pub(crate) fn code_free(answer: &Answer) -> u16 {
    assert!(!answer.headers.contains_key("soapaction"), "{:?}", answer.body);
    answer.status
}

#[tokio::test]
async fn what_services_answer_wrongly_is_refused() {
    let soap = Soap::start();
    let good = envelope("queryResponse", "");
    let cases: Vec<(&str, u16, &str, String)> = vec![
        ("server.serverproxy.service_failed.http_error", 404, PLAIN, good.clone()),
        ("server.serverproxy.service_failed.http_error", 302, PLAIN, good.clone()),
        ("server.serverproxy.service_failed.invalid_content_type", 200, "text/html", good.clone()),
        ("server.serverproxy.service_failed.invalid_content_type", 200, "", good.clone()),
        ("server.serverproxy.service_failed.invalid_soap", 200, PLAIN, "<html>".to_owned()),
        (
            "server.serverproxy.service_failed.missing_header_field",
            200,
            PLAIN,
            good.replace("x:id>", "x:ix>"),
        ),
        // What contradicts the request is noticed by the consumer's server (§2.7).
        ("server.clientproxy.service_failed.inconsistent_response", 200, PLAIN, good.replace("id-1", "id-2")),
        ("server.clientproxy.service_failed.inconsistent_response", 200, PLAIN, good.replace("EE1", "EE2")),
    ];
    for (expected, status, content_type, body) in cases {
        let (sent, of) = (body.clone(), content_type);
        soap.answers(move |_, _| {
            let mut response = answer("text/xml", sent.clone());
            match of.is_empty() {
                true => drop(response.headers_mut().remove("content-type")),
                false => drop(response.headers_mut().insert("content-type", of.parse().unwrap())),
            }
            *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
            response
        });
        let got = soap.call(PLAIN, envelope("query", "")).await;
        assert_eq!(code(&got), expected, "{status} {content_type} {body}");
    }
    // A service that breaks off in the middle of an attachment.
    let broken = multipart("b", "text/xml", &good, &[octets(0, 200_000)]);
    soap.answers(move |_, _| {
        let (sender, body) = Outgoing::channel(2);
        let piece = Bytes::from(broken[..150_000].to_vec());
        tokio::spawn(async move {
            let _ = sender.send(Piece::Data(piece)).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
        answer("multipart/related; boundary=b", body)
    });
    let got = soap.call(PLAIN, envelope("query", "")).await;
    assert_eq!(code(&got), "server.serverproxy.io_error");
}

/// The message that a consumer's server would send, with attachments as they are given. `signed` says
/// what its signature covers.
async fn crafted(soap: &Soap, original: &str, attachments: &[&str], signed: &[&str]) -> Crafted {
    let node = &soap.federation.consumer;
    let message = envelope("query", "");
    let covered = [message.as_str()];
    let digests = covered.iter().chain(signed);
    let digests = digests.map(|part| DigestAlgorithm::Sha512.digest(part.as_bytes())).collect();
    let evidence_of = node.keys.sign(node.id.owner(), digests).await.unwrap();
    let mut nested = String::new();
    for attachment in attachments {
        nested += &format!("\r\n--inner\r\ncontent-type: text/plain\r\n\r\n{attachment}");
    }
    let mut parts = vec![
        (kind(PartKind::Ocsp), ocsp_response(&soap.federation.ca, &node.authentication.1)),
        ("text/xml; charset=UTF-8".to_owned(), Bytes::from(message)),
    ];
    if !attachments.is_empty() {
        let body = format!("{nested}\r\n--inner--\r\n");
        parts.push(("multipart/mixed; boundary=inner".to_owned(), body.into()));
    }
    parts.extend(evidence(evidence_of));
    let headers = vec![
        ("content-type", format!("multipart/mixed; charset=UTF-8; boundary={BOUNDARY}")),
        ("x-hash-algorithm", "SHA-512".to_owned()),
        ("x-road-request-id", "request-1".to_owned()),
        ("x-original-content-type", original.to_owned()),
        ("x-original-soapaction", "\"\"".to_owned()),
    ];
    Crafted { method: "POST", headers, parts, ending: format!("\r\n--{BOUNDARY}--\r\n") }
}

#[tokio::test]
async fn contradictory_messages_of_peers_are_refused() {
    let soap = Soap::start();
    let mut peer = connect(&soap.federation).await;
    let related = "multipart/related; boundary=B";
    let good = ["one", "two"];
    assert_eq!(peer.fault(&crafted(&soap, related, &good, &good).await).await, None);
    let (_, _, body) = soap.last_seen();
    assert!(body.ends_with(b"\r\n\r\none\r\n--B\r\ncontent-type:text/plain\r\n\r\ntwo\r\n--B--\r\n"));
    let (calls, logged) = (soap.calls(), soap.federation.provider.log.len());
    let whole = "x\r\n--B\r\ncontent-type:text/plain\r\n\r\nsmuggled";
    let covered = "server.serverproxy.signature_verification.malformed_signature";
    let decoding = |code: &str| format!("server.serverproxy.service_failed.{code}");
    for (what, original, attachments, signed, expected) in [
        ("a part smuggled in", related, &[whole][..], &[whole][..], decoding("invalid_content_type")),
        ("a part ended at once", related, &["--B--"], &["--B--"], decoding("invalid_content_type")),
        ("attachments of a plain message", "text/xml", &good, &good, decoding("invalid_content_type")),
        ("no content type that carries it", "text/html", &good, &good, decoding("invalid_content_type")),
        ("an attachment too many", related, &["one", "two", "three"], &good, covered.to_owned()),
        ("another order", related, &["two", "one"], &good, covered.to_owned()),
        ("an attachment that was changed", related, &["one", "Two"], &good, covered.to_owned()),
        ("an attachment that is gone", related, &["one"], &good, covered.to_owned()),
    ] {
        let message = crafted(&soap, original, attachments, signed).await;
        let fault = peer.fault(&message).await.unwrap_or_default();
        assert!(fault.starts_with(&expected), "{what}: {fault}");
    }
    let spoilt: [(&str, Spoil, &str); 4] = [
        (
            "REST announced",
            |message| message.headers.push(("x-road-message-type", "REST".into())),
            "missing_rest",
        ),
        (
            "a malformed action",
            |message| message.set_header("x-original-soapaction", Some("urn:x")),
            "invalid_soap_action",
        ),
        (
            "attachments without their end",
            |message| message.parts[2].1 = message.parts[2].1.slice(..20),
            "service_failed.mime_parsing_failed",
        ),
        (
            "a fault in the place of the message",
            |message| {
                message.parts[1].1 = Bytes::from_static(
                    b"<S:Envelope xmlns:S='http://schemas.xmlsoap.org/soap/envelope/'><S:Body><S:Fault>\
                      <faultcode>x</faultcode></S:Fault></S:Body></S:Envelope>",
                );
            },
            "missing_signature",
        ),
    ];
    for (what, spoil, expected) in spoilt {
        let mut message = crafted(&soap, related, &good, &good).await;
        spoil(&mut message);
        let fault = connect(&soap.federation).await.fault(&message).await.unwrap_or_default();
        assert_eq!(fault, format!("server.serverproxy.{expected}"), "{what}");
    }
    assert_eq!((soap.calls(), soap.federation.provider.log.len()), (calls, logged));
}
