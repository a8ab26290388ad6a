//! A registry with its administration interface, in a folder of its own, and clients of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use administration::access::Role;
use bytes::Bytes;
use causeway::client::{Call, Tls, call};
pub(crate) use causeway_tests::scenario::Answer;
use causeway_tests::scenario::{Multipart, Player};
use gateway::Clock;
use gateway::http::{Outgoing, collect};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use registry::{Config, Registry, Running};

/// The roles of the user of the recorded scenario.
const ROLES: [Role; 3] = [Role::SecurityOfficer, Role::RegistrationOfficer, Role::SystemAdministrator];

/// A registry that nobody has initialised.
pub(crate) struct Office {
    pub(crate) registry: Running,
    pub(crate) administration: SocketAddr,
    tls: Tls,
    _folder: tempfile::TempDir,
}

impl Office {
    /// Starts one whose instance is declared in a file.
    pub(crate) async fn declared(instance: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("instance.toml"), instance).expect("written");
        // Any variable that is always there will do as a PIN.
        let text = "[registry]\nstate = \"state\"\ninstance-file = \"instance.toml\"\naddress = \"cs\"\n\
            [token]\npin-variable = \"CARGO_PKG_NAME\"\n[signing]\nkey = \"P-256\"\n\
            [publication]\nperiod-seconds = 3600\nexpiry-seconds = 7200\nminimum-version = 6\n\
            [listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"off\"\n";
        Self::run(folder, text, "").await
    }

    /// Starts one with a user `xrd`, password `secret`, of all roles, as the recorded scenario has it.
    pub(crate) async fn start() -> Self {
        Self::with_rules("").await
    }

    /// The same with rules of administration.
    pub(crate) async fn with_rules(rules: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "[registry]\nstate = \"state\"\n\
            [listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n\
            [signing]\nkey = \"RSA-2048\"\n\
            [management-services]\nregistration = \"127.0.0.1:0\"\nmanagement = \"127.0.0.1:0\"\n";
        Self::run(folder, text, rules).await
    }

    async fn run(folder: tempfile::TempDir, text: &str, rules: &str) -> Self {
        let text = format!(
            "{text}[administration]\nlisten = \"127.0.0.1:0\"\nusers-file = \"users.toml\"\n\
             requests-per-second = 10000\nrequests-per-minute = 100000\n{rules}"
        );
        let users = folder.path().join("users.toml");
        administration::access::set_user_unchecked(&users, "xrd", "secret", &ROLES).expect("a user");
        let config = Config::parse(&text, folder.path()).unwrap_or_else(|problems| panic!("{problems}"));
        let registry =
            Registry::start(config, Clock::system()).await.unwrap_or_else(|error| panic!("{error}"));
        let administration = registry.administration().expect("the interface");
        let tls = Tls::new(None, None).expect("TLS");
        Self { registry, administration, tls, _folder: folder }
    }

    /// A player for which this registry stands for the recorded central server.
    pub(crate) fn player(&self) -> Player {
        Player::new([("cs", self.administration)])
    }

    /// An API key of an officer who may do everything that people may.
    pub(crate) async fn officer(&self) -> String {
        self.api_key(&ROLES).await
    }

    /// Sends a form.
    pub(crate) async fn upload(&self, key: &str, path: &str, form: &Multipart) -> Answer {
        let mut headers = headers(Some(key));
        headers.insert(header::CONTENT_TYPE, form.content_type.parse().expect("a header value"));
        self.send(&Method::POST, path, headers, Some(&form.body)).await
    }

    /// Initialises the instance `DEV`, logs in to the token and makes the signing keys.
    pub(crate) async fn initialise(&self) {
        self.initialise_as("DEV", "cs").await;
    }

    /// The same for another instance at another address.
    pub(crate) async fn initialise_as(&self, instance: &str, address: &str) {
        let key = self.api_key(&ROLES).await;
        let post = async |method: Method, path: &str, body: &str| {
            let answer = self.ask(Some(&key), &method, path, Some(body)).await;
            assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        };
        let settings = serde_json::json!({
            "software_token_pin": "Secret1234",
            "instance_identifier": instance,
            "central_server_address": address,
        });
        post(Method::POST, "/initialization", &settings.to_string()).await;
        post(Method::PUT, "/tokens/0/login", r#"{"password":"Secret1234"}"#).await;
        for source in ["INTERNAL", "EXTERNAL"] {
            let path = format!("/configuration-sources/{source}/signing-keys");
            post(Method::POST, &path, r#"{"key_label":"key","token_id":0}"#).await;
        }
    }

    /// A new API key with these roles, made with user and password.
    pub(crate) async fn api_key(&self, roles: &[Role]) -> String {
        let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
        // Who gives roles away has them: the user gets those of the key.
        let users = self._folder.path().join("users.toml");
        let all: Vec<Role> = Role::ALL.to_vec();
        administration::access::set_user_unchecked(&users, "giver", "secret", &all).expect("a user");
        let body = serde_json::to_string(&names).expect("JSON");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // giver:secret
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic Z2l2ZXI6c2VjcmV0"));
        let answer = self.send(&Method::POST, "/api-keys", headers, Some(body.as_bytes())).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["key"].as_str().expect("a key").to_owned()
    }

    /// Asks with an API key, or as a stranger.
    pub(crate) async fn ask(
        &self,
        key: Option<&str>,
        method: &Method,
        path: &str,
        body: Option<&str>,
    ) -> Answer {
        self.send(method, path, headers(key), body.map(str::as_bytes)).await
    }

    async fn send(&self, method: &Method, path: &str, headers: HeaderMap, body: Option<&[u8]>) -> Answer {
        let url = format!("https://{}/api/v1{path}", self.administration);
        let body = body.map_or(Outgoing::Empty, |body| Outgoing::from(Bytes::copy_from_slice(body)));
        let made = Call { method: method.clone(), url, headers, body, timeout: Duration::from_secs(60) };
        let answer =
            call(made, Some(&self.tls)).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        Answer { status: answer.status.as_u16(), headers: answer.headers, body: answer.body }
    }

    /// A client with one connection that stays.
    pub(crate) async fn client(&self, key: &str) -> Client {
        let stream = tokio::net::TcpStream::connect(self.administration).await.expect("connected");
        stream.set_nodelay(true).expect("set");
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("a name");
        let stream = tokio_rustls::TlsConnector::from(Arc::clone(self.tls.config()))
            .connect(name, stream)
            .await
            .expect("TLS");
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        Client { sender, headers: headers(Some(key)) }
    }
}

/// A connection that stays.
pub(crate) struct Client {
    sender: SendRequest<Outgoing>,
    headers: HeaderMap,
}

impl Client {
    /// Asks.
    pub(crate) async fn ask(&mut self, method: &Method, path: &str, body: Option<&str>) -> Answer {
        let body =
            body.map_or(Outgoing::Empty, |body| Outgoing::from(Bytes::copy_from_slice(body.as_bytes())));
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = format!("/api/v1{path}").parse().expect("a path");
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("cs"));
        self.sender.ready().await.expect("the connection stays");
        let (head, body) = self.sender.send_request(request).await.expect("an answer").into_parts();
        let body = collect(body, 1 << 24).await.expect("a body");
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }
}

fn headers(key: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = key {
        let value = format!("X-Road-ApiKey token={key}").parse().expect("a header value");
        headers.insert(header::AUTHORIZATION, value);
    }
    headers
}
