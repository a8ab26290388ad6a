//! Gateways of ours in the place of the recorded servers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::Certificate;
use gateway::http::{Fetcher, Outgoing, Service, bind, serve};
use gateway::ocsp::{OwnResponses, OwnSettings, PeerResponses, PeerSettings, Relay};
use gateway::ports::{
    BoxFuture, ConnectionType, ContainerError, ContainerQuery, LocalClient, LocalService, LogEntry, LogError,
    LogPosition, MessageLog, NamedContainer, NodeDirectory, ServiceEndpoint, ServiceTls, ServiceType,
};
use gateway::replays::Replays;
use gateway::snapshot::SnapshotCell;
use gateway::tls::{Identity, IdentityCell};
use gateway::{Clock, Gateway, GatewayParts, RunningGateway, Settings};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Request, Response};
use protocol::id::{ClientId, GlobalGroupId, SecurityServerId, ServiceId};
use protocol::message::path::PathGlob;
use protocol::time::UtcTime;
use security_server::signer::{BatchSigner, SigningKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::http::Message;
use super::message::{Received, Verdict};
use super::recorded::{Recorded, party};
use super::tls;

pub(super) const PEER_PORT: u16 = 25_500;
pub(super) const OCSP_PORT: u16 = 25_577;
const CLIENT_PORT: u16 = 28_080;
/// Longest wait for anything.
const LONGEST: Duration = Duration::from_secs(20);

/// The recorded servers as gateways of ours, connected with each other.
pub(super) struct Federation {
    consumer: Node,
    pub(super) provider: Provider,
}

/// The recorded provider's server as a gateway of ours, with a system behind it.
pub(super) struct Provider {
    node: Node,
    system: Arc<System>,
    snapshot: Arc<SnapshotCell>,
    at: UtcTime,
    _stop: watch::Sender<bool>,
}

pub(super) struct Node {
    ip: String,
    gateway: RunningGateway,
    _stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

pub(super) fn fresh_ip() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    format!("127.{}.{}.{}", 130 + process % 60, process / 60 % 250, NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Federation {
    pub(super) fn start(recorded: &Recorded, at: UtcTime) -> Result<Self, String> {
        let addresses = [fresh_ip(), fresh_ip()];
        let provider = Provider::start_at(recorded, at, &addresses)?;
        Ok(Self { consumer: Self::consumer(recorded, at, &addresses)?, provider })
    }

    /// The recorded consumer's server as a gateway of ours.
    pub(super) fn consumer(
        recorded: &Recorded,
        at: UtcTime,
        addresses: &[String; 2],
    ) -> Result<Node, String> {
        let directory = Directory {
            server: server("4321", "SS1")?,
            clients: vec![party("4321", Some("TestClient"))?, party("1234", Some("test-consumer"))?],
            services: Vec::new(),
            rights: Vec::new(),
        };
        let identities = ["ss1.AUTHENTICATION", "ss1.SIGNING"];
        Node::start(recorded, at, addresses, &addresses[0], identities, ".ec.cert.pem", directory)
    }

    /// Sends a recorded call of an information system to the consumer's server, byte for byte.
    pub(super) async fn call(&self, call: &Message) -> Result<Message, String> {
        self.consumer.call(call).await
    }

    pub(super) async fn stop(self) {
        self.consumer.stop().await;
        self.provider.stop().await;
    }
}

impl Node {
    /// Sends a recorded call of an information system, byte for byte.
    pub(super) async fn call(&self, call: &Message) -> Result<Message, String> {
        let text = |error: std::io::Error| error.to_string();
        let address: SocketAddr = format!("{}:{CLIENT_PORT}", self.ip).parse().map_err(|_| "address")?;
        let exchange = async {
            let mut stream = TcpStream::connect(address).await.map_err(text)?;
            stream.write_all(&call.raw).await.map_err(text)?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.map_err(text)?;
            Message::parse(&answer).ok_or_else(|| "no HTTP response".to_owned())
        };
        tokio::time::timeout(LONGEST, exchange).await.map_err(|_| "no answer in time")?
    }
}

impl Provider {
    pub(super) fn start(recorded: &Recorded, at: UtcTime) -> Result<Self, String> {
        let ip = fresh_ip();
        Self::start_at(recorded, at, &[ip.clone(), ip])
    }

    fn start_at(recorded: &Recorded, at: UtcTime, addresses: &[String; 2]) -> Result<Self, String> {
        let ip = &addresses[1];
        let system = Arc::new(System::default());
        let listener = bind(format!("{ip}:0").parse().map_err(|_| "address")?, false)
            .map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let (stop, stopped) = watch::channel(false);
        let service = Arc::clone(&system);
        let no_tls = None::<fn() -> Option<Arc<rustls::ServerConfig>>>;
        tokio::spawn(serve(listener, no_tls, move |_| Some(Arc::clone(&service)), stopped));

        let provider = party("1234", Some("TestService"))?;
        let client = party("4321", Some("TestClient"))?;
        let service = |code: &str, url: String| -> Result<LocalService, String> {
            Ok(LocalService {
                id: ServiceId::new(provider.clone(), code, None).map_err(|error| error.to_string())?,
                url,
                timeout: Duration::from_secs(10),
                tls: ServiceTls::Unchecked,
                disabled: None,
                service_type: ServiceType::Rest,
                description_url: None,
                endpoints: Vec::new(),
            })
        };
        let endpoint = |path: &str| ServiceEndpoint { method: "GET".to_owned(), path: path.to_owned() };
        let described = LocalService {
            service_type: ServiceType::OpenApi,
            description_url: Some(format!("http://{address}/v3/api-docs")),
            endpoints: vec![endpoint("/api/members"), endpoint("/api/members/*")],
            ..service("restapi", format!("http://{address}"))?
        };
        let plain = service("mock1", format!("http://{address}/integration/mock_1"))?;
        let soap = |code: &str| -> Result<Arc<LocalService>, String> {
            let id = ServiceId::new(provider.clone(), code, Some("v1")).map_err(|error| error.to_string())?;
            let url = format!("http://{address}/example-adapter/Endpoint");
            let description_url = Some(format!("{url}?wsdl"));
            let service_type = ServiceType::Soap;
            Ok(Arc::new(LocalService { id, service_type, description_url, ..service(code, url)? }))
        };
        let mut services = vec![Arc::new(described), Arc::new(plain)];
        let operations = ["helloService", "listPeople", "getRandom", "personDetails"];
        for code in operations {
            services.push(soap(code)?);
        }
        let right = |code: &str, method: Option<&'static str>, path: &str| Right {
            client: client.clone(),
            code: code.to_owned(),
            method,
            path: PathGlob::new(path),
        };
        let directory = Directory {
            server: server("1234", "SS0")?,
            clients: vec![provider.clone(), party("1234", None)?],
            services,
            rights: [right("mock1", None, "**"), right("restapi", Some("GET"), "/api/members")]
                .into_iter()
                .chain(operations.iter().map(|code| right(code, None, "**")))
                .collect(),
        };
        let identities = ["ss0.AUTHENTICATION", "ss0.SIGNING"];
        let node = Node::start(recorded, at, addresses, ip, identities, ".cert.pem", directory)?;
        let snapshot = Arc::new(SnapshotCell::new());
        snapshot.store(Arc::new(recorded.snapshot_at(at, &|_| String::new())));
        Ok(Self { node, system, snapshot, at, _stop: stop })
    }

    /// What the system behind it answers with; an empty 200 if nothing was recorded.
    pub(super) fn answers_with(&self, response: Option<&Message>) {
        *self.system.answer.lock().unwrap_or_else(PoisonError::into_inner) = response.cloned();
    }

    /// What the system behind it was called with last.
    pub(super) fn seen(&self) -> String {
        let seen = self.system.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().map_or_else(|| "nothing".to_owned(), Message::as_called)
    }

    /// Sends a message of the recorded consumer's server over TLS with its key, and judges the answer as
    /// that server would.
    pub(super) async fn deliver(&self, recorded: &Recorded, message: &Message, ec: bool) -> Verdict {
        let work = self.exchange(recorded, message, ec);
        let answer = match tokio::time::timeout(LONGEST, work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Verdict::Refused(error),
            Err(_) => return Verdict::Refused("no answer in time".to_owned()),
        };
        let Some(snapshot) = self.snapshot.load() else {
            return Verdict::Refused("no configuration".to_owned());
        };
        match (Received::request(message), Received::response(&answer)) {
            (_, Err(fault)) => Verdict::Refused(fault.code.to_string()),
            (Err(fault), Ok(_)) => Verdict::Refused(format!("answered, but {fault}")),
            (Ok(request), Ok(response)) => response.verify_as_answer(&request, &snapshot, self.at),
        }
    }

    async fn exchange(&self, recorded: &Recorded, message: &Message, ec: bool) -> Result<Message, String> {
        let end = if ec { ".ec.cert.pem" } else { "5E5.cert.pem" };
        let (key, certificate) = recorded.identity("ss1.AUTHENTICATION", end)?;
        let (_, expected) = recorded.identity("ss0.AUTHENTICATION", ".cert.pem")?;
        let identity = Identity::of_key(vec![certificate.der().clone()], key);
        let identity = identity.map_err(|error| error.to_string())?;
        let address: SocketAddr = format!("{}:{PEER_PORT}", self.node.ip).parse().map_err(|_| "address")?;
        let stream = tls::connect(address, &identity, &expected).await?;
        let mut builder = Request::builder().method("POST").uri("/");
        for (name, value) in &message.headers {
            builder = builder.header(name, value);
        }
        let body = Outgoing::from(message.body.clone());
        let request = builder.body(body).map_err(|error| error.to_string())?;
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(io).await.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(connection);
        let (head, body) =
            sender.send_request(request).await.map_err(|error| error.to_string())?.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        driver.abort();
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let start = format!("HTTP/1.1 {}", head.status.as_u16());
        Ok(Message { start, headers: headers.collect(), body, raw: Bytes::new() })
    }

    pub(super) async fn stop(self) {
        self.node.gateway.stop().await;
    }
}

fn server(owner: &str, code: &str) -> Result<SecurityServerId, String> {
    SecurityServerId::new(party(owner, None)?.member().clone(), code).map_err(|error| error.to_string())
}

impl Node {
    pub(super) async fn stop(self) {
        self.gateway.stop().await;
    }

    /// Starts a server with its recorded keys. `identities` are the beginnings of the file names of the
    /// authentication and the signing certificate, `end` their end.
    fn start(
        recorded: &Recorded,
        at: UtcTime,
        addresses: &[String; 2],
        ip: &str,
        identities: [&str; 2],
        end: &str,
        directory: Directory,
    ) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let clock = Clock::set_to(at);
        let snapshot = Arc::new(SnapshotCell::new());
        let address_of = |code: &str| addresses[usize::from(code == "SS0")].clone();
        snapshot.store(Arc::new(recorded.snapshot_at(at, &address_of)));
        let [authentication, signing] = identities;
        let (authentication_key, authentication) = recorded.identity(authentication, end)?;
        let (signing_key, signing) = recorded.identity(signing, end)?;
        // A client of the other member signs with the key that was recorded for it.
        let (other_key, other) = recorded.identity("ss0.SIGNING", ".cert.pem")?;
        let certificates = vec![authentication.clone(), signing.clone(), other.clone()];
        let (own, folder) = own_responses(recorded, &snapshot, clock, certificates)?;
        let signer = BatchSigner::new(Arc::clone(&snapshot), own.clone(), clock);
        let member = directory.server.owner().clone();
        let keys = vec![
            SigningKey {
                algorithm: signing_key.default_algorithm(),
                key: signing_key,
                certificate: signing,
                member,
            },
            SigningKey {
                algorithm: other_key.default_algorithm(),
                key: other_key,
                certificate: other,
                member: party("1234", None)?.member().clone(),
            },
        ];
        signer.set_keys(keys).map_err(text)?;
        let identity = IdentityCell::new(Arc::clone(&snapshot));
        let chain: Vec<Bytes> = vec![Certificate::der(&authentication).clone()];
        let authentication =
            Identity::of_key(chain, authentication_key).map_err(|error| error.to_string())?;
        identity.store(&authentication).map_err(|error| error.to_string())?;
        let address = |port: u16| -> Result<SocketAddr, String> {
            format!("{ip}:{port}").parse().map_err(|_| "address".to_owned())
        };
        let (stop, stopped) = watch::channel(false);
        let relay = bind(address(OCSP_PORT)?, false).map_err(text)?;
        tokio::spawn(Relay::new(own.clone(), clock).serve(relay, stopped));
        let settings = Settings {
            clients_http: Some(address(CLIENT_PORT)?),
            clients_https: None,
            messages: address(PEER_PORT)?,
            peer_port: PEER_PORT,
            ocsp_port: OCSP_PORT,
            workers: 1,
            ..Settings::default()
        };
        let parts = GatewayParts {
            settings,
            clock,
            snapshot,
            identity: Arc::new(identity),
            internal: None,
            signer: Arc::new(signer),
            log: Arc::new(Log::default()),
            directory: Arc::new(directory),
            own_ocsp: own,
            peer_ocsp: Arc::new(PeerResponses::new(PeerSettings::default())),
            replays: Arc::new(Replays::new(1000)),
        };
        let gateway = Gateway::start(parts).map_err(text)?;
        Ok(Self { ip: ip.to_owned(), gateway, _stop: stop, _folder: folder })
    }
}

/// The recorded OCSP responses of certificates that a node shows.
pub(super) fn own_responses(
    recorded: &Recorded,
    snapshot: &Arc<SnapshotCell>,
    clock: Clock,
    certificates: Vec<Certificate>,
) -> Result<(Arc<OwnResponses>, tempfile::TempDir), String> {
    let text = |error: std::io::Error| error.to_string();
    let folder = tempfile::tempdir().map_err(text)?;
    for certificate in &certificates {
        let response = recorded
            .response(certificate)
            .ok_or_else(|| format!("no OCSP response for {}", certificate.subject_name()))?;
        let name = format!("{}.ocsp", certificate.hashes().sha1.to_hex());
        std::fs::write(folder.path().join(name), response.der()).map_err(text)?;
    }
    let fetcher = Fetcher::new(Duration::from_secs(1), Duration::from_secs(1));
    let own = OwnResponses::new(OwnSettings::in_folder(folder.path()), fetcher, Arc::clone(snapshot), clock);
    own.set_certificates(certificates);
    Ok((Arc::new(own), folder))
}

/// Clients, services and rights as they were recorded.
struct Directory {
    server: SecurityServerId,
    clients: Vec<ClientId>,
    /// In the order in which they were told of.
    services: Vec<Arc<LocalService>>,
    rights: Vec<Right>,
}

struct Right {
    client: ClientId,
    code: String,
    method: Option<&'static str>,
    path: PathGlob,
}

impl NodeDirectory for Directory {
    fn server_id(&self) -> &SecurityServerId {
        &self.server
    }

    fn client(&self, id: &ClientId) -> Option<Arc<LocalClient>> {
        let connection_type = ConnectionType::Http;
        let client = || LocalClient { id: id.clone(), connection_type, certificates: Vec::new() };
        self.clients.contains(id).then(|| Arc::new(client()))
    }

    fn service(&self, id: &ServiceId) -> Option<Arc<LocalService>> {
        self.services.iter().find(|service| service.id == *id).cloned()
    }

    fn services(&self, provider: &ClientId) -> Vec<Arc<LocalService>> {
        self.services.iter().filter(|service| service.id.provider() == provider).cloned().collect()
    }

    fn has_some_right(
        &self,
        client: &ClientId,
        service: &ServiceId,
        _is_in_group: &dyn Fn(&GlobalGroupId) -> bool,
    ) -> bool {
        self.rights.iter().any(|right| right.client == *client && right.code == service.code())
    }

    fn is_allowed(
        &self,
        client: &ClientId,
        service: &ServiceId,
        method: &str,
        path: &str,
        _is_in_group: &dyn Fn(&GlobalGroupId) -> bool,
    ) -> bool {
        self.rights.iter().any(|right| {
            right.client == *client
                && right.code == service.code()
                && right.method.is_none_or(|allowed| allowed == method)
                && right.path.matches(path)
        })
    }
}

/// Counts, and keeps nothing: what is logged is judged elsewhere.
#[derive(Default)]
struct Log(AtomicU64);

impl MessageLog for Log {
    fn append(&self, _entry: LogEntry, _timestamp_now: bool) -> BoxFuture<'_, Result<LogPosition, LogError>> {
        Box::pin(async { Ok(LogPosition(self.0.fetch_add(1, Ordering::Relaxed))) })
    }

    fn containers<'a>(
        &'a self,
        _query: ContainerQuery<'a>,
    ) -> BoxFuture<'a, Result<Vec<NamedContainer>, ContainerError>> {
        Box::pin(async { Err(ContainerError::NotFound) })
    }
}

/// A provider's system that answers as recorded.
#[derive(Default)]
struct System {
    answer: Mutex<Option<Message>>,
    seen: Mutex<Option<Message>>,
}

impl Service for System {
    async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Outgoing> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let start = format!("{} {} HTTP/1.1", head.method, head.uri);
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let seen = Message { start, headers: headers.collect(), body, raw: Bytes::new() };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut response = Response::new(Outgoing::Empty);
        if let Some(answer) = answer {
            if let Ok(status) = answer.status().try_into() {
                *response.status_mut() = status;
            }
            if let Some(Ok(content_type)) = answer.header("content-type").map(str::parse) {
                response.headers_mut().insert("content-type", content_type);
            }
            *response.body_mut() = answer.body.into();
        }
        response
    }
}
