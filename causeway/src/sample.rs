//! A small information system to call: what stands behind a security server in the pilot federation.
//!
//! It has no part in the protocol. Besides two toy registers it offers what tests and benchmarks need:
//! an echo, bodies of any size, slow answers, answers that break off, and SOAP.

mod soap;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::http::body::Piece;
use gateway::http::{Outgoing, Service, collect, serve};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Largest body that `/echo` takes; larger ones are for `/sink`.
const ECHO_LIMIT: usize = 16 * 1024 * 1024;
/// Bytes of a piece of `/bytes/N`.
const PIECE: usize = 64 * 1024;

/// Registered vehicles: plate, owner's personal code, make.
const VEHICLES: [(&str, &str, &str); 3] = [
    ("29A-123.45", "079200001234", "VinFast VF 8"),
    ("30K-678.90", "001085004321", "Toyota Vios"),
    ("43C-555.55", "048190009876", "Hyundai Porter"),
];

/// Persons: personal code, name, province.
const PERSONS: [(&str, &str, &str); 3] = [
    ("079200001234", "Nguyễn Thị An", "Thành phố Hồ Chí Minh"),
    ("001085004321", "Trần Văn Bình", "Hà Nội"),
    ("048190009876", "Lê Minh Châu", "Đà Nẵng"),
];

/// Serves on a listener until `stop` turns true.
pub async fn serve_on(listener: TcpListener, stop: watch::Receiver<bool>) {
    let system = Arc::new(System);
    serve(
        listener,
        None::<fn() -> Option<Arc<rustls::ServerConfig>>>,
        move |_| Some(Arc::clone(&system)),
        stop,
    )
    .await;
}

struct System;

impl Service for System {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        answer(request).await.unwrap_or_else(|never| match never {})
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Outgoing>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut segments = path.trim_matches('/').splitn(2, '/');
    let (first, rest) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    Ok(match (request.method(), first) {
        (&Method::GET | &Method::HEAD, "vehicles") => look_up(rest, &VEHICLES, ["plate", "owner", "make"]),
        (&Method::GET | &Method::HEAD, "persons") => look_up(rest, &PERSONS, ["code", "name", "province"]),
        (&Method::GET, "bytes") => bytes(rest),
        (&Method::GET, "slow") => {
            tokio::time::sleep(Duration::from_millis(rest.parse().unwrap_or(0))).await;
            json(StatusCode::OK, serde_json::json!({ "waited": rest }))
        }
        (&Method::GET, "broken") => broken(),
        (&Method::POST, "soap") => soap::answer(request).await,
        (_, "echo") => echo(request).await,
        (_, "sink") => sink(request).await,
        _ => json(StatusCode::NOT_FOUND, serde_json::json!({ "error": "no such resource" })),
    })
}

fn json(status: StatusCode, value: serde_json::Value) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn look_up(key: &str, table: &[(&str, &str, &str)], names: [&str; 3]) -> Response<Outgoing> {
    let entry = |(a, b, c): &(&str, &str, &str)| serde_json::json!({ names[0]: a, names[1]: b, names[2]: c });
    let key = percent_decode(key);
    if key.is_empty() {
        return json(StatusCode::OK, table.iter().map(entry).collect());
    }
    match table.iter().find(|(candidate, ..)| *candidate == key) {
        Some(found) => json(StatusCode::OK, entry(found)),
        None => json(StatusCode::NOT_FOUND, serde_json::json!({ "error": "not registered", names[0]: key })),
    }
}

fn percent_decode(text: &str) -> String {
    protocol::id::decode_segment(text).unwrap_or_else(|_| text.to_owned())
}

/// `/bytes/N`: N bytes, at most 8 GiB, streamed.
fn bytes(count: &str) -> Response<Outgoing> {
    let Ok(count) = count.parse::<u64>() else {
        return json(StatusCode::BAD_REQUEST, serde_json::json!({ "error": "how many bytes?" }));
    };
    let count = count.min(8 << 30);
    if count <= PIECE as u64 {
        return octets(Outgoing::from(Bytes::from(vec![b'x'; usize::try_from(count).unwrap_or(PIECE)])));
    }
    let (sender, body) = Outgoing::channel(4);
    tokio::spawn(async move {
        let piece = Bytes::from(vec![b'x'; PIECE]);
        let mut left = count;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            if sender.send(Piece::Data(piece.slice(..length))).await.is_err() {
                return;
            }
            left -= length as u64;
        }
        let _ = sender.send(Piece::End).await;
    });
    octets(body)
}

fn octets(body: Outgoing) -> Response<Outgoing> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/octet-stream"));
    response
}

/// `/broken`: an answer that breaks off in the middle of its body.
fn broken() -> Response<Outgoing> {
    let (sender, body) = Outgoing::channel(1);
    tokio::spawn(async move {
        let _ = sender.send(Piece::Data(Bytes::from_static(b"the first half, and then"))).await;
    });
    octets(body)
}

async fn echo(request: Request<Incoming>) -> Response<Outgoing> {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    match collect(request.into_body(), ECHO_LIMIT).await {
        Ok(body) => {
            let mut response = octets(Outgoing::from(body));
            if let Some(kind) = kind {
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            response
        }
        Err(error) => json(StatusCode::PAYLOAD_TOO_LARGE, serde_json::json!({ "error": error.to_string() })),
    }
}

async fn sink(request: Request<Incoming>) -> Response<Outgoing> {
    let mut body = request.into_body();
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => count += frame.data_ref().map_or(0, Bytes::len),
            Err(error) => {
                return json(StatusCode::BAD_REQUEST, serde_json::json!({ "error": error.to_string() }));
            }
        }
    }
    json(StatusCode::OK, serde_json::json!({ "bytes": count }))
}
