//! The service on port 5577: this node's responses for peers (messages and transport §4.3).
//!
//! It is open to everybody, so it gives only what goes out with every message anyway, and it never
//! asks a responder.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::OwnResponses;
use super::multipart::{MANY, content_type, write};
use crate::clock::Clock;
use crate::http::{Connections, Limits, Outgoing, Service, serve_within};

/// Longest query that is read.
const LONGEST_QUERY: usize = 4096;

/// Answers what peers ask on port 5577.
pub struct Relay {
    own: Arc<OwnResponses>,
    clock: Clock,
}

impl Relay {
    /// A relay for these responses.
    pub fn new(own: Arc<OwnResponses>, clock: Clock) -> Self {
        Self { own, clock }
    }

    /// Serves until `stop`.
    pub async fn serve(self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let relay = Arc::new(self);
        // Answers are short and come from memory: nobody needs many connections at a time.
        let limits = Limits { connections: 1024, per_address: 64, ..Limits::default() };
        let no_tls = None::<fn() -> Option<Arc<rustls::ServerConfig>>>;
        serve_within(listener, Connections::new(limits), no_tls, move |_| Some(Arc::clone(&relay)), stop)
            .await;
    }

    fn answer(&self, query: &str) -> Result<Vec<Bytes>, String> {
        let hashes = asked(query)?;
        let now = self.clock.now();
        hashes
            .iter()
            .map(|hash| {
                self.own.by_hash(hash, now).ok_or_else(|| {
                    // The hash comes from a stranger; what was not found is not repeated to him.
                    "no OCSP response for one of the certificates".to_owned()
                })
            })
            .collect()
    }
}

/// The hashes that are asked for: the values of `cert`, or of `cert_hash` if there is no `cert`.
fn asked(query: &str) -> Result<Vec<&str>, String> {
    if query.len() > LONGEST_QUERY {
        return Err("the query is too long".to_owned());
    }
    let values = |wanted: &str| -> Vec<&str> {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
            .collect()
    };
    let mut hashes = values("cert");
    if hashes.is_empty() {
        hashes = values("cert_hash");
    }
    match hashes.len() {
        0 => Err("no certificate hash was given".to_owned()),
        1..=MANY => Ok(hashes),
        _ => Err(format!("more than {MANY} certificate hashes were given")),
    }
}

impl Service for Relay {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let answer = match *request.method() {
            Method::HEAD => return Response::new(Outgoing::Empty),
            Method::GET => self.answer(request.uri().query().unwrap_or_default()),
            _ => Err("only GET and HEAD are answered".to_owned()),
        };
        match answer {
            Ok(responses) => {
                let boundary = format!("causeway{}", uuid::Uuid::new_v4().simple());
                let mut response = Response::new(write(&boundary, &responses).into());
                if let Ok(kind) = HeaderValue::try_from(content_type(&boundary)) {
                    response.headers_mut().insert(CONTENT_TYPE, kind);
                }
                response
            }
            Err(text) => {
                let mut response = Response::new(text.into());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
                response
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        #[track_caller]
        fn check(query: &str, expected: Option<&[&str]>) {
            assert_eq!(asked(query).ok().as_deref(), expected, "{query}");
        }
        check("cert=a&cert=b&cert_hash=c", Some(&["a", "b"]));
        check("cert_hash=c&x=y", Some(&["c"]));
        check("", None);
        check("cert", None);
        check(&"cert=a&".repeat(17), None);
        check(&format!("cert={}", "a".repeat(5000)), None);
    }
}
