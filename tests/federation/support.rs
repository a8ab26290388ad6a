//! A federation for a test, and short ways to call through it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use causeway::client::{Answer, Call, call};
use causeway::up::plan::{NODES, Network};
use causeway::up::{Federation, Options};
use gateway::http::Outgoing;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// A federation in a folder that goes when it is dropped. Tests run side by side, so each names a network
/// of its own.
pub(crate) struct Pilot {
    pub(crate) federation: Federation,
    _folder: tempfile::TempDir,
}

impl Pilot {
    pub(crate) async fn start(network: u8) -> Self {
        let folder = tempfile::Builder::new().prefix("causeway-test-").tempdir().expect("a temporary folder");
        let mut options = Options::new(folder.path().join("state"), Network([127, 0, network]));
        options.program = Some(PathBuf::from(env!("CARGO_BIN_EXE_causeway")));
        options.refresh_seconds = 1;
        let federation = Federation::start(&options).await.unwrap_or_else(|error| panic!("{error}"));
        Self { federation, _folder: folder }
    }

    pub(crate) fn clients(&self, node: usize) -> SocketAddr {
        NODES[node].clients(self.federation.network())
    }

    /// GETs a target below `/r1/` as the consumer of a node.
    pub(crate) async fn get(&self, from: usize, target: &str) -> Answer {
        self.send(from, Method::GET, &format!("/r1/{target}"), &[], Bytes::new()).await
    }

    /// Sends a request to a node's interface for information systems, as the node's consumer.
    pub(crate) async fn send(
        &self,
        from: usize,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Answer {
        let mut map = HeaderMap::new();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-road-client")) {
            let client = HeaderValue::from_str(&NODES[from].consumer_id()).expect("ASCII");
            map.insert("x-road-client", client);
        }
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header name");
            if !value.is_empty() {
                map.append(name, HeaderValue::from_str(value).expect("a header value"));
            }
        }
        let url = format!("http://{}{path}", self.clients(from));
        let timeout = Duration::from_secs(60);
        call(Call { method, url, headers: map, body: Outgoing::from(body), timeout }, None)
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Repeats a call until it is answered as wanted.
    pub(crate) async fn until(
        &self,
        from: usize,
        target: &str,
        span: Duration,
        wanted: impl Fn(&Answer) -> bool,
    ) {
        let end = Instant::now() + span;
        loop {
            let answer = self.get(from, target).await;
            if wanted(&answer) {
                return;
            }
            assert!(Instant::now() < end, "{target}: still {} {}", answer.status, code(&answer));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The code of a refusal, as the header has it; the body must say the same, with an id.
pub(crate) fn code(answer: &Answer) -> String {
    let header = answer.header("x-road-error").to_owned();
    if !header.is_empty() {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("a JSON body");
        assert_eq!(body["type"], header.as_str());
        assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        assert!(body["detail"].as_str().is_some_and(|id| id.len() >= 32), "{body}");
    }
    header
}

pub(crate) fn persons(path: &str) -> String {
    format!("{}{path}", NODES[1].service_id().expect("the data centre offers a service"))
}

pub(crate) fn test_service(node: usize, path: &str) -> String {
    format!("{}{path}", NODES[node].test_service_id().expect("a provider"))
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(test);
}
