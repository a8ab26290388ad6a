//! A federation for a test, and short ways to call through it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bytes::Bytes;
use causeway::client::{Answer, Call, Tls, call};
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
        Self::start_in(folder(), network).await
    }

    pub(crate) async fn start_in(folder: tempfile::TempDir, network: u8) -> Self {
        let mut options = Options::new(folder.path().join("state"), Network([127, 0, network]));
        options.program = Some(PathBuf::from(env!("CARGO_BIN_EXE_causeway")));
        options.refresh_seconds = 1;
        let federation = Federation::start(&options).await.unwrap_or_else(|error| panic!("{error}"));
        Self { federation, _folder: folder }
    }

    /// Changes a file of a role as an operator would. Every text that is replaced must be there.
    pub(crate) fn edit(&self, role: &str, file: &str, changes: &[(&str, &str)]) {
        let file = self.federation.role_folder(role).join(file);
        let mut text = std::fs::read_to_string(&file).expect("a file of the role");
        for (from, to) in changes {
            assert!(text.contains(from), "{} has no {from:?}:\n{text}", file.display());
            text = text.replacen(from, to, 1);
        }
        std::fs::write(&file, text).expect("written");
    }

    /// Stops a role and starts it again, cleanly.
    pub(crate) async fn restart(&mut self, role: &str) {
        self.federation.stop_one(role).await;
        self.federation.start_again(role).await.unwrap_or_else(|error| panic!("{role}: {error}"));
    }

    /// Edits the file of a server and restarts the server with it.
    pub(crate) async fn reconfigure(&mut self, server: &str, changes: &[(&str, &str)]) {
        self.edit(server, "server.toml", changes);
        self.restart(server).await;
    }

    /// The status and the code of a call over a node's HTTPS interface as the node's consumer.
    pub(crate) async fn get_tls(&self, from: usize, target: &str, tls: &Tls) -> (u16, String) {
        let url = format!("https://{}:8443/r1/{target}", NODES[from].host(self.federation.network()));
        let mut headers = HeaderMap::new();
        headers.insert("x-road-client", HeaderValue::from_str(&NODES[from].consumer_id()).expect("ASCII"));
        let timeout = Duration::from_secs(60);
        let made = Call { method: Method::GET, url, headers, body: Outgoing::Empty, timeout };
        let answer = call(made, Some(tls)).await.unwrap_or_else(|error| panic!("{target}: {error}"));
        (answer.status.as_u16(), code(&answer))
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

    /// A call that must succeed.
    pub(crate) async fn succeed(&self, from: usize, target: &str, when: &str) {
        let answer = self.get(from, target).await;
        assert_eq!(answer.status, 200, "{when}: {}", String::from_utf8_lossy(&answer.body));
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

/// A folder that goes when it is dropped.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("causeway-test-").tempdir().expect("a temporary folder")
}

/// The program with these arguments, run to its end.
pub(crate) fn causeway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway")).args(arguments).output().expect("the program runs")
}

/// What the program printed, and its exit status.
pub(crate) fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
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
