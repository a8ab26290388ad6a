//! What the data plane needs from the node around it.
//!
//! Each trait says what it must promise; the security server keeps the promise. All of them are used
//! from the workers of the data plane, so nothing in an implementation may block a thread for longer
//! than a signature takes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::digest::Digest;
use protocol::fault::Fault;
use protocol::id::{ClientId, MemberId, SecurityServerId, ServiceId};
use protocol::time::UtcTime;
use protocol::transport::MessageType;

/// A future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Signs messages with the keys of the node's members.
///
/// Promise: what arrives while a signature is being made goes into the next one together (batch
/// signature). The result refers to exactly the parts that were given, in that order, and holds a
/// good OCSP response that is fresh at the time of signing.
pub trait Signer: Send + Sync {
    /// Signs one message of `member`. `parts` are the SHA-512 digests of `/message.xml` and, after it,
    /// of `/attachment1`, `/attachment2` and so on.
    ///
    /// # Errors
    /// `unknown_member` when the node has no key of the member, `cannot_create_signature` when a key
    /// is there but no usable certificate, fresh OCSP response or working key.
    fn sign<'a>(&'a self, member: &'a MemberId, parts: Vec<Digest>) -> BoxFuture<'a, Result<Signed, Fault>>;

    /// Whether [`Signer::sign`] would find a usable key and certificate now.
    fn can_sign(&self, member: &MemberId) -> Result<(), Fault>;
}

/// A signature over one message. Messages of one batch share the first two by pointer.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The signature document, `signatures.xml`.
    pub document: Bytes,
    /// `sig-hashchainresult.xml`, when the signature is over a hash chain.
    pub hash_chain_result: Option<Bytes>,
    /// `sig-hashchain.xml` of this message, present together with the result.
    pub hash_chain: Option<Bytes>,
}

/// Which part the node plays in an exchange.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// The node of the calling information system.
    Consumer,
    /// The node of the service.
    Provider,
}

/// Which of the two messages of an exchange.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// From consumer to provider.
    Request,
    /// Back.
    Response,
}

/// One message with its evidence, as it is logged (signatures and evidence §6).
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// When the message was logged.
    pub time: UtcTime,
    /// The node's part.
    pub side: Side,
    /// Request or response.
    pub direction: Direction,
    /// The calling client.
    pub client: ClientId,
    /// The called service.
    pub service: ServiceId,
    /// The message protocol, which decides how a reduced message looks.
    pub protocol: MessageType,
    /// The message id, `x-road-id`.
    pub message_id: String,
    /// The id of the exchange, `x-road-request-id`.
    pub request_id: String,
    /// Octets of `/message.xml`.
    pub message: Bytes,
    /// `/attachment1`, `/attachment2` and so on; of a REST message its body, if it had one.
    pub attachments: Vec<LoggedBody>,
    /// The signature with its hash chain.
    pub signed: Signed,
}

impl LogEntry {
    /// Whose record it is (§6.2): the client on the consumer's side, else the service's provider.
    pub fn owner(&self) -> &ClientId {
        match self.side {
            Side::Consumer => &self.client,
            Side::Provider => self.service.provider(),
        }
    }
}

/// What the log gets of a body or of an attachment.
#[derive(Clone, Debug)]
pub enum LoggedBody {
    /// All octets, in memory.
    Memory(Bytes),
    /// All octets, in an anonymous file that other attachments of the message may share. The log reads
    /// with `read_at`.
    File {
        /// The file.
        file: Arc<std::fs::File>,
        /// Where the octets begin.
        at: u64,
        /// How many they are.
        length: u64,
    },
    /// Too large to be stored: length and digest. The signature's hash chain still covers it, and the
    /// container is exported without it.
    DigestOnly {
        /// Octets.
        length: u64,
        /// Their SHA-512.
        digest: Digest,
    },
}

/// Where a message stands in the log.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LogPosition(pub u64);

/// Why a message could not be logged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// There is no room. Traffic stops; the log tries again by itself.
    #[error("the message log has no room: {0}")]
    Full(String),
    /// Time-stamping has been failing for longer than is acceptable.
    #[error("time-stamping has been failing since {0}")]
    TimestampingOverdue(UtcTime),
    /// No time-stamping service is configured.
    #[error("no time-stamping service is configured")]
    NoTimestampingService,
    /// A synchronous time-stamp was demanded and could not be had.
    #[error("the message could not be time-stamped: {0}")]
    Timestamp(String),
    /// The disk or the log itself.
    #[error("the message log is unavailable: {0}")]
    Unavailable(String),
}

/// Keeps messages and their evidence.
///
/// Promise: when `append` returns a position, the record survives a crash and a loss of power.
pub trait MessageLog: Send + Sync {
    /// Makes one message durable. With `timestamp_now` it is also time-stamped before this returns.
    fn append(&self, entry: LogEntry, timestamp_now: bool) -> BoxFuture<'_, Result<LogPosition, LogError>>;

    /// The evidence containers of a message id that belong to `owner`, oldest first: file name and
    /// container. `force` time-stamps at once what is not time-stamped yet.
    fn containers<'a>(
        &'a self,
        query: ContainerQuery<'a>,
    ) -> BoxFuture<'a, Result<Vec<NamedContainer>, ContainerError>>;
}

/// What `/asic` asks for (messages and transport §5.4).
#[derive(Clone, Copy, Debug)]
pub struct ContainerQuery<'a> {
    /// The owner of the records.
    pub owner: &'a ClientId,
    /// The message id.
    pub message_id: &'a str,
    /// Only requests or only responses.
    pub direction: Option<Direction>,
    /// Time-stamp now what is not.
    pub force: bool,
}

/// A container and its file name.
#[derive(Clone, Debug)]
pub struct NamedContainer {
    /// `<id>-request-<seq>.asice`
    pub name: String,
    /// The zip.
    pub bytes: Bytes,
}

/// Why no container is given.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ContainerError {
    /// Nothing matches.
    #[error("no signed documents found")]
    NotFound,
    /// The record waits for its time-stamp.
    #[error("the message signature has not been time-stamped yet")]
    NotTimestamped,
    /// The log failed.
    #[error("{0}")]
    Log(#[from] LogError),
}

/// How an information system must connect (messages and transport §5.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ConnectionType {
    /// Anything, plain HTTP included.
    #[default]
    Http,
    /// TLS, no certificate asked.
    HttpsNoAuth,
    /// TLS with a certificate that is registered for the client.
    Https,
}

/// A client that is registered at this node.
#[derive(Clone, Debug)]
pub struct LocalClient {
    /// Its identifier.
    pub id: ClientId,
    /// How its information systems must connect.
    pub connection_type: ConnectionType,
    /// DER certificates of its information systems: as clients on 8443 and as providers.
    pub certificates: Vec<Bytes>,
}

/// A service of one of this node's clients.
#[derive(Clone, Debug)]
pub struct LocalService {
    /// Its identifier.
    pub id: ServiceId,
    /// Where the provider's system is; `http` or `https`.
    pub url: String,
    /// Time allowed for each read.
    pub timeout: Duration,
    /// How the provider's TLS certificate is checked, when the URL is `https`.
    pub tls: ServiceTls,
    /// Set when switched off: the operator's notice.
    pub disabled: Option<String>,
    /// What it speaks, and how it is described.
    pub service_type: ServiceType,
    /// Where the WSDL or OpenAPI document that describes it is fetched, with the TLS rules of the service;
    /// none when there is no document.
    pub description_url: Option<String>,
    /// Its endpoints but the base endpoint (`*`, `**`), which every service has; in the order of path and
    /// method. Always empty for SOAP.
    pub endpoints: Vec<ServiceEndpoint>,
}

/// What a service speaks, and how it is described (messages and transport §5.7).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ServiceType {
    /// SOAP, one service of a WSDL for each operation and version.
    Soap,
    /// REST, with a base URL and nothing else.
    #[default]
    Rest,
    /// REST, with an OpenAPI document.
    OpenApi,
}

impl ServiceType {
    /// Whether REST calls reach it. The others are reached by SOAP calls alone.
    pub fn is_rest(self) -> bool {
        self != Self::Soap
    }

    /// Its name in answers of the metadata services (§6.3) and in monitoring data: `WSDL`, `REST`, `OPENAPI`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Soap => "WSDL",
            Self::Rest => "REST",
            Self::OpenApi => "OPENAPI",
        }
    }
}

/// A part of a REST service that can be given to clients by itself.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServiceEndpoint {
    /// The HTTP method in capitals; `*`: every one.
    pub method: String,
    /// The path pattern; `**`: every path.
    pub path: String,
}

/// How a provider's TLS certificate is checked.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ServiceTls {
    /// Byte-equal to one of the certificates registered for the owning client.
    #[default]
    Pinned,
    /// Path to a root of the platform, and host name.
    Verified,
    /// Not at all.
    Unchecked,
}

/// Who may call what at this node, and where services are.
pub trait NodeDirectory: Send + Sync {
    /// This security server.
    fn server_id(&self) -> &SecurityServerId;

    /// A client registered here with status *registered*.
    fn client(&self, id: &ClientId) -> Option<Arc<LocalClient>>;

    /// A service of a client of this node, its version compared exactly.
    fn service(&self, id: &ServiceId) -> Option<Arc<LocalService>>;

    /// All services of a client that is registered here, switched-off ones too, in the order of their
    /// identifiers. The built-in ones are not among them.
    fn services(&self, provider: &ClientId) -> Vec<Arc<LocalService>>;

    /// Whether `client` has any right at all to `service`, be it to one endpoint only.
    fn has_some_right(
        &self,
        client: &ClientId,
        service: &ServiceId,
        is_in_group: &dyn Fn(&protocol::id::GlobalGroupId) -> bool,
    ) -> bool;

    /// Whether `client` has a right that covers this method and path (§5.6). `is_in_group` answers
    /// membership in global groups by the configuration snapshot of the exchange.
    fn is_allowed(
        &self,
        client: &ClientId,
        service: &ServiceId,
        method: &str,
        path: &str,
        is_in_group: &dyn Fn(&protocol::id::GlobalGroupId) -> bool,
    ) -> bool;
}
