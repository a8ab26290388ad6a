//! What a consumer's server makes of answers that are not as they should be (§4.6.2, §4.7).

use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use gateway::http::server::Service;
use gateway::http::{Outgoing, bind, serve};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Request, Response};
use protocol::digest::DigestAlgorithm;
use protocol::fault::Fault;
use protocol::message::{RestRequest, RestResponse, request_hash};
use protocol::transport::{Decoder, Direction, Encoder, Event, Limits, PartHeaders, PartKind, write_fault};
use tokio::sync::watch;

use crate::craft::{BOUNDARY, evidence, identity, kind, sign};
use crate::federation::{Federation, PEER_PORT};
use crate::service::shown;

const ECHO: &str = "/r1/CW/COM/2/service/echo/x";

/// An answer to be spoiled before it is sent.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    parts: Vec<(String, Bytes)>,
    ending: String,
}

type Spoil = Box<dyn Fn(&mut Answer) + Send + Sync>;

/// A provider's server that signs rightly and answers wrongly.
pub(crate) struct Impostor {
    federation: Arc<Federation>,
    /// Changes the head before it is signed.
    head: Mutex<fn(String) -> String>,
    spoil: Mutex<Option<Spoil>>,
}

impl Service for Impostor {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let (head, body) = request.into_parts();
        let content_type = head.headers["content-type"].to_str().unwrap().to_owned();
        let request_id = head.headers["x-road-request-id"].to_str().unwrap().to_owned();
        let body = body.collect().await.unwrap().to_bytes();
        let mut decoder = Decoder::new(&content_type, Direction::Request, Limits::default()).unwrap();
        decoder.push(body);
        let mut request = None;
        while let Some(event) = decoder.next().unwrap() {
            if let Event::Rest(blob) = event {
                request = Some(RestRequest::parse(blob).unwrap());
            }
        }
        let request = request.unwrap();
        let hash = request_hash(&DigestAlgorithm::Sha512.digest(request.blob()), None);
        let response =
            RestResponse::build(200, "OK", std::iter::empty(), &request, &request_id, &hash).unwrap();
        let blob = String::from_utf8(response.blob().to_vec()).unwrap();
        let blob = Bytes::from(self.head.lock().unwrap()(blob));
        let body = Bytes::from_static(b"answer");
        let signed = sign(&self.federation.provider, &blob, Some(&body)).await;
        let mut answer = Answer {
            status: 200,
            headers: vec![
                ("content-type", format!("multipart/mixed; charset=UTF-8; boundary={BOUNDARY}")),
                ("x-hash-algorithm", "SHA-512".to_owned()),
            ],
            parts: vec![(kind(PartKind::RestResponse), blob), (kind(PartKind::RestBody), body)],
            ending: format!("\r\n--{BOUNDARY}--\r\n"),
        };
        answer.parts.extend(evidence(signed));
        if let Some(spoil) = &*self.spoil.lock().unwrap() {
            spoil(&mut answer);
        }
        let mut encoder = Encoder::new(BOUNDARY);
        let mut bytes = Vec::new();
        for (content_type, part) in &answer.parts {
            if !content_type.is_empty() {
                bytes.extend_from_slice(&encoder.soap(&PartHeaders::new(content_type).unwrap()));
            }
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(answer.ending.as_bytes());
        let mut response = Response::builder().status(answer.status);
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        response.body(Outgoing::from(Bytes::from(bytes))).unwrap()
    }
}

impl Impostor {
    /// From now on it answers with this HTTP status.
    pub(crate) fn answers_with_status(&self, status: u16) {
        *self.spoil.lock().unwrap() = Some(Box::new(move |answer| answer.status = status));
    }

    /// From now on it changes heads in this way before it signs them.
    pub(crate) fn changes_head(&self, change: fn(String) -> String) {
        *self.head.lock().unwrap() = change;
    }
}

/// A federation whose provider's server is the impostor.
pub(crate) async fn start_impostor() -> (Arc<Federation>, Arc<Impostor>, watch::Sender<bool>) {
    let mut federation = Federation::start();
    federation.provider.gateway.take().unwrap().stop().await;
    let tls = shown(&identity(&federation.provider));
    let federation = Arc::new(federation);
    let impostor = Arc::new(Impostor {
        federation: Arc::clone(&federation),
        head: Mutex::new(|head| head),
        spoil: Mutex::new(None),
    });
    let listener = bind(federation.provider.address(PEER_PORT), false).unwrap();
    let (stop, stopped) = watch::channel(false);
    let service = Arc::clone(&impostor);
    tokio::spawn(serve(listener, Some(tls), move |_| Some(Arc::clone(&service)), stopped));
    (federation, impostor, stop)
}

fn fault() -> Bytes {
    let fault =
        Fault { code: "Server.ServerProxy.X".into(), text: "text".to_owned(), detail: Some("d".to_owned()) };
    write_fault(&fault).into()
}

#[tokio::test]
async fn spoilt_answers_are_refused() {
    let (federation, impostor, _stop) = start_impostor().await;
    assert_eq!(federation.call("GET", ECHO, Outgoing::Empty).await.status, 200);
    let place = |kind: PartKind| {
        move |answer: &Answer| {
            answer.parts.iter().position(|(other, _)| other == kind.content_type()).unwrap()
        }
    };
    let cases: Vec<(&str, Spoil, &str)> = vec![
        ("HTTP status", Box::new(|answer| answer.status = 404), "http_error"),
        ("redirect", Box::new(|answer| answer.status = 302), "http_error"),
        (
            "no content type",
            Box::new(|answer| drop(answer.headers.remove(0))),
            "service_failed.invalid_content_type",
        ),
        (
            "other content type",
            Box::new(|answer| answer.headers[0].1 = "text/html".to_owned()),
            "service_failed.invalid_content_type",
        ),
        ("no digest", Box::new(|answer| drop(answer.headers.remove(1))), "internal_error"),
        (
            "request instead of response",
            Box::new(|answer| answer.parts[0].0 = kind(PartKind::RestRequest)),
            "service_failed.invalid_content_type",
        ),
        ("no message", Box::new(|answer| answer.parts.clear()), "missing_rest"),
        ("no signature", Box::new(|answer| drop(answer.parts.pop())), "missing_signature"),
        (
            "body changed",
            Box::new(|answer| answer.parts[1].1 = Bytes::from_static(b"answes")),
            "signature_verification.malformed_signature.invalid_hash_chain",
        ),
        (
            "signature is not XML",
            Box::new(move |answer| {
                let signature = place(PartKind::Signature)(answer);
                answer.parts[signature].1 = Bytes::from_static(b"nonsense");
            }),
            "signature_verification.invalid_xml",
        ),
        (
            "cut off",
            Box::new(|answer| answer.ending = format!("\r\n--{BOUNDARY}\r\n")),
            "service_failed.mime_parsing_failed",
        ),
        (
            "no message where only a fault may stand",
            Box::new(|answer| {
                answer.headers[0].1 = "text/xml".to_owned();
                answer.parts = vec![(String::new(), Bytes::from_static(
                    b"<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body/></e:Envelope>",
                ))];
                answer.ending.clear();
            }),
            "service_failed.missing_header",
        ),
    ];
    for (what, spoil, code) in cases {
        *impostor.spoil.lock().unwrap() = Some(spoil);
        let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
        assert_eq!(answer.error(), format!("server.clientproxy.{code}"), "{what}: {:?}", answer.body);
        assert_eq!(answer.status, 500);
    }
    // Of answers only the good one was logged.
    let logged = federation.consumer.log.entries.lock().unwrap();
    let answers = logged.iter().filter(|(entry, _)| entry.direction == gateway::ports::Direction::Response);
    assert_eq!(answers.count(), 1);
}

#[tokio::test]
async fn faults_of_all_shapes_are_handed_on() {
    let (federation, impostor, _stop) = start_impostor().await;
    let shapes: [(&str, Spoil); 4] = [
        (
            "alone",
            Box::new(|answer| {
                answer.headers[0].1 = "text/xml;charset=utf-8".to_owned();
                answer.parts = vec![(String::new(), fault())];
                answer.ending.clear();
            }),
        ),
        (
            "alone with status 500",
            Box::new(|answer| {
                answer.status = 500;
                answer.headers[0].1 = "text/xml;charset=utf-8".to_owned();
                answer.parts = vec![(String::new(), fault())];
                answer.ending.clear();
            }),
        ),
        ("only part", Box::new(|answer| answer.parts = vec![(kind(PartKind::Fault), fault())])),
        (
            "in the place of the signature",
            Box::new(|answer| {
                answer.parts.truncate(2);
                answer.parts.push((kind(PartKind::Fault), fault()));
            }),
        ),
    ];
    for (shape, spoil) in shapes {
        *impostor.spoil.lock().unwrap() = Some(spoil);
        let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
        assert_eq!(
            (answer.status, answer.error()),
            (500, "Server.ServerProxy.X"),
            "{shape}: {:?}",
            answer.body
        );
        assert_eq!(answer.body, "{\"type\":\"Server.ServerProxy.X\",\"message\":\"text\",\"detail\":\"d\"}");
    }
}

#[tokio::test]
async fn answers_to_other_requests_are_refused() {
    let (federation, impostor, _stop) = start_impostor().await;
    let changes: [fn(String) -> String; 6] = [
        |head| head.replace("x-road-client:CW/COM/1/client", "x-road-client:CW/COM/1/other"),
        |head| head.replace("x-road-id:CW-", "x-road-id:CX-"),
        |head| head.replace("/service/echo", "/service/other"),
        |head| head.replace("x-road-request-id:", "x-road-request-id:0"),
        |head| head.replace("x-road-request-hash:", "x-road-request-hash:A"),
        |head| {
            head.lines()
                .filter(|line| !line.starts_with("x-road-client"))
                .map(|line| format!("{line}\r\n"))
                .collect()
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        *impostor.head.lock().unwrap() = change;
        let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
        assert_eq!(answer.error(), "server.clientproxy.inconsistent_response", "change {number}");
    }
}
