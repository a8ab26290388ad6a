//! Sends recorded calls to running servers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use causeway::client::{Call, Tls, call};
use gateway::http::Outgoing;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;

use super::{Entry, Multipart};

/// Where the servers are, and the sessions they gave.
pub struct Player {
    tls: Tls,
    hosts: BTreeMap<String, Host>,
}

struct Host {
    address: SocketAddr,
    cookies: BTreeMap<String, String>,
}

/// What a server of ours answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Player {
    /// A player for hosts of the recording, each with the address of the server that stands for it.
    pub fn new<'a>(hosts: impl IntoIterator<Item = (&'a str, SocketAddr)>) -> Self {
        let host = |(name, address): (&str, _)| (name.to_owned(), Host { address, cookies: BTreeMap::new() });
        Self { tls: Tls::new(None, None).expect("TLS"), hosts: hosts.into_iter().map(host).collect() }
    }

    /// Whether calls to this host can be played.
    pub fn knows(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }

    /// Plays an entry as it was recorded.
    ///
    /// # Panics
    /// When its body was cut off, or no answer comes.
    pub async fn play(&mut self, entry: &Entry) -> Answer {
        let body =
            entry.request_body.clone().unwrap_or_else(|| panic!("line {}: the body is cut", entry.line));
        let content_type = entry.request_headers.get(header::CONTENT_TYPE).cloned();
        self.send(entry.host(), &entry.method, entry.target(), content_type, body.into()).await
    }

    /// Plays an entry with another target, for ids that differ from the recorded ones.
    pub async fn play_at(&mut self, entry: &Entry, target: &str) -> Answer {
        let body = entry.request_body.clone().unwrap_or_default();
        let content_type = entry.request_headers.get(header::CONTENT_TYPE).cloned();
        self.send(entry.host(), &entry.method, target, content_type, body.into()).await
    }

    /// Plays an entry whose body was cut off with these bytes.
    pub async fn play_with(&mut self, entry: &Entry, body: impl Into<Bytes>) -> Answer {
        let content_type = entry.request_headers.get(header::CONTENT_TYPE).cloned();
        self.send(entry.host(), &entry.method, entry.target(), content_type, body.into()).await
    }

    /// Plays an entry whose multipart body was cut off with this one.
    pub async fn play_multipart(&mut self, entry: &Entry, body: &Multipart) -> Answer {
        let content_type = HeaderValue::from_str(&body.content_type).expect("a header value");
        let content = body.body.clone().into();
        self.send(entry.host(), &entry.method, entry.target(), Some(content_type), content).await
    }

    /// Sends a call with the session of the host, and keeps the cookies of the answer.
    ///
    /// # Panics
    /// When the host is not known or does not answer.
    pub async fn send(
        &mut self,
        host: &str,
        method: &Method,
        target: &str,
        content_type: Option<HeaderValue>,
        body: Bytes,
    ) -> Answer {
        let server = self.hosts.get_mut(host).unwrap_or_else(|| panic!("no server stands for {host}"));
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        if !server.cookies.is_empty() {
            let cookies: Vec<_> =
                server.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.insert(header::COOKIE, cookies.join("; ").parse().expect("cookies"));
        }
        if let Some(token) = server.cookies.get("XSRF-TOKEN") {
            headers.insert("x-xsrf-token", token.parse().expect("a token"));
        }
        let url = format!("https://{}{target}", server.address);
        let timeout = Duration::from_secs(60);
        let body = if body.is_empty() { Outgoing::Empty } else { Outgoing::from(body) };
        let made = Call { method: method.clone(), url, headers, body, timeout };
        let answer = call(made, Some(&self.tls)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {host}{target}: {error}"));
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().ok().and_then(|text| text.split(';').next()?.split_once('='));
            if let Some((name, value)) = pair {
                server.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Answer { status: answer.status.as_u16(), headers: answer.headers, body: answer.body }
    }
}
