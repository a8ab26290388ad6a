//! Serves the published configuration (global configuration and trust §3.1).
//!
//! Everything is in memory and read-only. What a stranger can use up is bounded: connections in all and
//! for one address, and the time for the head of a request (by the listener).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gateway::http::server::Connection;
use gateway::http::{Outgoing, Service};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::watch;

use crate::publish::{Documents, Found};

/// Most open connections.
const MOST_CONNECTIONS: usize = 4096;
/// Most open connections of one address.
const MOST_OF_ONE: usize = 256;

/// Counts connections, so that nobody can hold them all.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The service of one connection.
pub(crate) struct Publication<D> {
    published: watch::Receiver<Arc<D>>,
    connections: Arc<Connections>,
    address: IpAddr,
}

impl<D: Documents> Publication<D> {
    /// The service for a connection, unless there are too many.
    pub(crate) fn accept(
        connection: &Connection,
        published: &watch::Receiver<Arc<D>>,
        connections: &Arc<Connections>,
    ) -> Option<Arc<Self>> {
        let address = connection.remote.ip();
        if !connections.enter(address) {
            tracing::warn!(%address, "too many connections, one more refused");
            return None;
        }
        let (published, connections) = (published.clone(), Arc::clone(connections));
        Some(Arc::new(Self { published, connections, address }))
    }
}

impl<D> Drop for Publication<D> {
    fn drop(&mut self) {
        self.connections.leave(self.address);
    }
}

impl Connections {
    fn enter(&self, address: IpAddr) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= MOST_CONNECTIONS || of_one >= MOST_OF_ONE {
            return false;
        }
        open.all += 1;
        open.by_address.insert(address, of_one + 1);
        true
    }

    fn leave(&self, address: IpAddr) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        match open.by_address.get(&address).copied() {
            Some(of_one) if of_one > 1 => drop(open.by_address.insert(address, of_one - 1)),
            _ => drop(open.by_address.remove(&address)),
        }
    }
}

impl<D: Documents> Service for Publication<D> {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let published = Arc::clone(&self.published.borrow());
        answer(published.as_ref(), request.method(), request.uri())
    }
}

/// The answer to a request; its body is never read.
fn answer(published: &dyn Documents, method: &Method, uri: &http::Uri) -> Response<Outgoing> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, method, "only GET and HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match published.find(uri.path(), uri.query()) {
        // The header that matters to clients is inside, as the first line of the directory.
        Some(Found::Directory(bytes)) => {
            with(StatusCode::OK, method, "application/octet-stream", bytes.clone())
        }
        Some(Found::Part(bytes)) => with(StatusCode::OK, method, "text/xml", bytes.clone()),
        None => plain(StatusCode::NOT_FOUND, method, "not found\n"),
    }
}

fn plain(status: StatusCode, method: &Method, text: &'static str) -> Response<Outgoing> {
    with(status, method, "text/plain", Bytes::from_static(text.as_bytes()))
}

fn with(status: StatusCode, method: &Method, content_type: &'static str, body: Bytes) -> Response<Outgoing> {
    let length = HeaderValue::from(body.len());
    let body = if method == Method::HEAD { Outgoing::Empty } else { body.into() };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:01 GMT"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{Published, SourceKind};

    #[test]
    fn answers() {
        let mut published = Published::default();
        published.directories.insert((SourceKind::Internal, 2), Bytes::from_static(b"directory"));
        published.parts.insert("/V2/1/shared-params.xml".into(), Bytes::from_static(b"part"));
        for (method, uri, status, length) in [
            ("GET", "/internalconf", 200, "9"),
            ("HEAD", "/internalconf?version=2", 200, "9"),
            ("GET", "http://r.example/V2/1/shared-params.xml", 200, "4"),
            ("GET", "/internalconf?version=7", 404, "10"),
            ("GET", "/", 404, "10"),
            ("POST", "/internalconf", 405, "18"),
            ("OPTIONS", "*", 405, "18"),
        ] {
            let response = answer(&published, &method.parse().unwrap(), &uri.parse().unwrap());
            assert_eq!(response.status().as_u16(), status, "{method} {uri}");
            assert_eq!(response.headers()[CONTENT_LENGTH], length, "{method} {uri}");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
        }
    }

    #[test]
    fn connections_are_bounded() {
        let connections = Connections::default();
        let address = |number: usize| IpAddr::from(u128::try_from(number).unwrap().to_be_bytes());
        for _ in 0..MOST_OF_ONE {
            assert!(connections.enter(address(0)));
        }
        assert!(!connections.enter(address(0)));
        connections.leave(address(0));
        assert!(connections.enter(address(0)));
        for number in MOST_OF_ONE..MOST_CONNECTIONS {
            assert!(connections.enter(address(number)));
        }
        assert!(!connections.enter(address(1)));
        for _ in 0..MOST_OF_ONE {
            connections.leave(address(0));
        }
        assert_eq!(connections.open.lock().unwrap().by_address.len(), MOST_CONNECTIONS - MOST_OF_ONE);
    }
}
