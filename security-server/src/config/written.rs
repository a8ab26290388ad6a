//! The configuration file as it is written. The comments are the operator's manual.
//!
//! Whoever can change the file can make the node trust another registry, call other systems, and open
//! services to strangers. Keep it writable by the operator alone.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// `[server]`: who this node is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Server {
    /// Identifier of the instance, such as `CW-TEST`. Must be the one that the anchor stands for. With
    /// `[administration]`, this and the next four may be left out; the server is then initialised over the
    /// administration interface.
    pub instance: Option<String>,
    /// Member class of the owner, such as `GOV`.
    pub class: Option<String>,
    /// Member code of the owner.
    pub member: Option<String>,
    /// Server code, unique among the servers of the owner.
    pub code: Option<String>,
    /// Folder of everything the node keeps: keys, global configuration, message log, node state. Back it
    /// up. Whoever reads it sees logged messages; keys in it are encrypted under the PIN.
    pub state: PathBuf,
    /// The configuration anchor, got from the registry on a way you trust. Whoever can replace it decides
    /// which registry, and with it which certification authorities, this node believes.
    pub anchor: Option<PathBuf>,
}

/// `[token]`: the PIN of the software token. Exactly one of the two, or with `[administration]` none: then an
/// administrator logs in to the token after each start. Whoever has the PIN and the state
/// folder can sign as every member of this node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Token {
    /// A file whose first line is the PIN. Only its owner may have access: `chmod 600`.
    pub pin_file: Option<PathBuf>,
    /// Name of an environment variable that holds the PIN.
    pub pin_variable: Option<String>,
}

/// `[[hardware-token]]`: a device with keys, reached through a PKCS#11 library. Exactly one of `slot`, `label`
/// and `serial`, and exactly one of the PINs. Whoever can change the library that is loaded runs code in
/// the node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HardwareToken {
    /// A name for people; letters, digits, `-` and `_`. The list of its keys and certificates lies in a
    /// folder of this name below the state folder.
    pub name: String,
    /// The library that the maker of the device delivers.
    pub library: PathBuf,
    /// Number of its slot.
    pub slot: Option<u64>,
    /// Label of the token.
    pub label: Option<String>,
    /// Serial number of the token.
    pub serial: Option<String>,
    /// A file whose first line is the user PIN. Only its owner may have access: `chmod 600`.
    pub pin_file: Option<PathBuf>,
    /// Name of an environment variable that holds the user PIN, which is then on no disk.
    pub pin_variable: Option<String>,
}

/// `[signing]`: what signatures of messages are made with. Peers verify all of it; a change takes effect at
/// the next start.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Signing {
    /// Digest of signatures: `SHA-256`, `SHA-384` or `SHA-512`. Default: the key decides; SHA-256 for
    /// P-256, SHA-384 for P-384, SHA-512 for all others.
    pub digest: Option<String>,
    /// How RSA keys sign: `PKCS1` (the default; RSASSA-PKCS1-v1_5) or `PSS` (RSASSA-PSS).
    pub rsa_scheme: Option<String>,
}

/// `[listen]`: addresses and ports.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Listen {
    /// Address of all ports. Default `0.0.0.0`.
    pub address: IpAddr,
    /// Address of the ports for information systems, when they have one of their own. These ports
    /// belong inside: whoever reaches the plain one can call as any client whose connection is `http`.
    pub client_address: Option<IpAddr>,
    /// Port for information systems over HTTP; 0 closes it. Default 8080.
    pub http: u16,
    /// Port for information systems over HTTPS; 0 closes it. Default 8443.
    pub https: u16,
    /// Port for messages of other security servers. Default 5500.
    pub messages: u16,
    /// Port where other security servers fetch OCSP responses. Default 5577.
    pub ocsp: u16,
    /// Port where load balancers ask whether the node is well; 0 (the default) closes it.
    pub health: u16,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: IpAddr::from([0, 0, 0, 0]),
            client_address: None,
            http: 8080,
            https: 8443,
            messages: 5500,
            ocsp: 5577,
            health: 0,
        }
    }
}

/// `[configuration]`: the global configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Configuration {
    /// Seconds between two downloads, 1 to 3600. Default 60. A revoked server is still served for up to
    /// this long.
    pub refresh_seconds: u64,
    /// Instances whose members may be called and may call, of those that the own registry is federated
    /// with; `["all"]`: all of them. Default: none. The registries of these instances decide who their
    /// members are and which certification authorities speak for them.
    pub federations: Vec<String>,
    /// PEM files with certificates that are believed for HTTPS to registries, besides the platform's
    /// authorities: of an authority, or of a registry itself. Default: none. Without HTTPS the
    /// configuration comes over HTTP; its integrity never depends on either.
    pub https_roots: Vec<PathBuf>,
    /// Whether the certificate of a registry is checked for HTTPS. Default true.
    pub https_check_certificate: bool,
    /// Whether that certificate must name the registry's host. Default true.
    pub https_check_name: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            refresh_seconds: 60,
            federations: Vec::new(),
            https_roots: Vec::new(),
            https_check_certificate: true,
            https_check_name: true,
        }
    }
}

/// `[data-plane]`: limits and times of exchanges.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DataPlane {
    /// Threads, 1 to 256. Default: as many as the machine has processors.
    pub workers: Option<usize>,
    /// Folder for bodies that do not fit into memory; they are never visible as files there. Default: the
    /// system's temporary folder. It needs room for all bodies in flight.
    pub spool: Option<PathBuf>,
    /// Seconds for a connection to another server or to a provider, TLS included. Default 30.
    pub connect_timeout_seconds: u64,
    /// Seconds that another server may be silent in the middle of a message. Default 60.
    pub peer_timeout_seconds: u64,
    /// Seconds to wait for another server to begin its answer; 0 (the default): as long as the service
    /// takes, whose own time-out is the provider's matter.
    pub response_timeout_seconds: u64,
    /// Seconds that running exchanges have to finish when the node stops. Default 30.
    pub stop_timeout_seconds: u64,
    /// Whether the connection of each client is enforced. Default true. False only behind a proxy that
    /// does it: whoever reaches the ports may then speak for every client of the node.
    pub verify_clients: bool,
    /// Port where other servers take messages. Default 5500; the same in the whole federation.
    pub peer_messages_port: u16,
    /// Port where other servers give OCSP responses. Default 5577; the same in the whole federation.
    pub peer_ocsp_port: u16,
    /// Cipher suites for connections between security servers by their IANA names, in the order of
    /// preference; a version of TLS without a suite is not spoken. Default: all of TLS 1.3, and those of
    /// TLS 1.2 with authenticated encryption.
    pub peer_cipher_suites: Option<Vec<String>>,
    /// Open connections that each port takes at most, 16 to 1000000. Default 8192. The system must allow the
    /// program as many open files, and as many again for connections that it makes. A server raises its own
    /// limit to the hard limit when it starts; `causeway doctor` says when that is too low.
    pub connections: u64,
    /// Open connections that one address may have to the port where other servers deliver messages. Default
    /// 1024. More than one server behind one address share it.
    pub connections_per_peer: u64,
    /// Whether servers that offer nothing but the CBC suites of TLS 1.2 are served, over OpenSSL. Default
    /// false; needs a program built with the feature `legacy-transport`. Whoever stands between two servers
    /// that both have this can bring them down to it.
    pub legacy_transport: bool,
    /// Signed messages of other servers that are remembered, so that none is carried out twice. Default
    /// 1000000, some 20 megabytes when full. What counts is the hour, or whatever the registry sets, in
    /// which a signed message is fresh: when more come, messages that took long on their way are refused.
    /// 0: nothing is remembered, and whoever can send a message can send it again.
    pub remembered_messages: u64,
    /// Security servers, `instance/class/member/server`, that may send the same signed message again.
    /// Default: none. Whoever controls one of them can have calls of its clients carried out again.
    pub replays_accepted_from: Vec<String>,
}

impl Default for DataPlane {
    fn default() -> Self {
        Self {
            workers: None,
            spool: None,
            connect_timeout_seconds: 30,
            peer_timeout_seconds: 60,
            response_timeout_seconds: 0,
            stop_timeout_seconds: 30,
            verify_clients: true,
            peer_messages_port: 5500,
            peer_ocsp_port: 5577,
            peer_cipher_suites: None,
            connections: 8192,
            connections_per_peer: 1024,
            legacy_transport: false,
            remembered_messages: 1_000_000,
            replays_accepted_from: Vec::new(),
        }
    }
}

/// `[message-log]`: evidence of all exchanges.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct MessageLog {
    /// Whether bodies are kept. Default true. Without them a container proves that an exchange took place
    /// and what its digest was; the text must then come from elsewhere.
    pub bodies: bool,
    /// Subsystems whose services, offered by this node, are treated the other way: their bodies are left
    /// out when `bodies` is true, and kept when it is false. Identifiers
    /// `instance/class/member/subsystem`.
    pub body_exceptions_local: Vec<String>,
    /// The same for services of other nodes that are called from here.
    pub body_exceptions_remote: Vec<String>,
    /// Largest body in megabytes that is kept, 0 to 1024. Default 10; see `larger_bodies`.
    pub body_limit_megabytes: u64,
    /// What happens to larger bodies: `digest` (the default: length and digest are kept, and the signature
    /// covers the body all the same), `refuse` (the message does not pass) or `truncate` (the first octets
    /// are kept; the container's attachment then differs from what was signed).
    pub larger_bodies: String,
    /// Megabytes at which a segment file is sealed, 1 to 4096. Default 64.
    pub segment_megabytes: u64,
    /// Megabytes that must stay free on the disk. Default 256. Below it no message passes until there is
    /// room again.
    pub free_space_floor_megabytes: u64,
    /// Megabytes that the whole log may have; 0 (the default): as many as the disk has. At the limit no
    /// message passes.
    pub size_limit_megabytes: u64,
    /// Whether every message is time-stamped before its exchange goes on. Default false: signatures are
    /// time-stamped together, once in the period that the registry sets. True costs a request to the
    /// time-stamping service for each message, and its failure refuses the message.
    pub timestamp_immediately: bool,
    /// Seconds that time-stamping may keep failing before messages are refused; 0: for ever. Default 14400.
    /// Records without a time-stamp prove what was said but not when.
    pub acceptable_timestamp_failure_seconds: u64,
    /// URLs of the time-stamping services to use, in the order of preference. Default: all that the
    /// registry has approved, in its order. One that is not approved is never asked.
    pub timestamping_services: Vec<String>,
    /// Seconds from a failure of time-stamping to the next try, 1 to 3600. Default 60.
    pub timestamp_retry_seconds: u64,
}

impl Default for MessageLog {
    fn default() -> Self {
        Self {
            bodies: true,
            body_exceptions_local: Vec::new(),
            body_exceptions_remote: Vec::new(),
            body_limit_megabytes: 10,
            larger_bodies: "digest".to_owned(),
            segment_megabytes: 64,
            free_space_floor_megabytes: 256,
            size_limit_megabytes: 0,
            timestamp_immediately: false,
            acceptable_timestamp_failure_seconds: 14_400,
            timestamping_services: Vec::new(),
            timestamp_retry_seconds: 60,
        }
    }
}

/// `[archive]`: archives of the message log. Without this part nothing is archived and nothing removed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Archive {
    /// Folder of the archives. Default `archive`. Archives may be taken away from it; the file
    /// `archiving.json` must stay: with it the chain of archives is lost, and everything is archived
    /// again.
    pub folder: PathBuf,
    /// Seconds between two runs, 60 to 604800. Default 21600. What has no time-stamp yet waits.
    pub interval_seconds: u64,
    /// Which records share a chain of archives: `none` (the default: all), `member`, `subsystem`.
    pub grouping: String,
    /// Megabytes of containers after which an archive is ended, 1 to 4096. Default 32.
    pub max_file_megabytes: u64,
    /// A command that the shell runs after each run, to take the archives away; it finds the folder in the
    /// variable `CAUSEWAY_ARCHIVES`. Its failure is logged. Whoever can write the command acts as the
    /// node.
    pub transfer_command: Option<String>,
    /// Days that archived records stay in the message log, 1 to 36500; 0: for ever. Default 30. After that
    /// whole segments are removed from the front of the log, and only the archives have what was in them.
    pub keep_days: u64,
    /// Whether archives are encrypted with OpenPGP. Default false. Containers that a client downloads of
    /// its own messages are not.
    pub encrypt: bool,
    /// The OpenPGP secret key, without passphrase, that signs archives: a file as
    /// `gpg --export-secret-keys` writes it. Default `archive-key.asc` in the state folder, which is made
    /// at the first start.
    pub signing_key: Option<PathBuf>,
    /// OpenPGP public keys for archives of members that have none of their own, and for `grouping = "none"`.
    /// Default: the signing key's own.
    pub default_keys: Vec<PathBuf>,
    /// OpenPGP public keys of members, with `grouping` `member` or `subsystem`. Whoever has the secret key
    /// reads all messages of the member.
    #[serde(rename = "member-key")]
    pub member_keys: Vec<MemberKey>,
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("archive"),
            interval_seconds: 21_600,
            grouping: "none".to_owned(),
            max_file_megabytes: 32,
            transfer_command: None,
            keep_days: 30,
            encrypt: false,
            signing_key: None,
            default_keys: Vec::new(),
            member_keys: Vec::new(),
        }
    }
}

/// `[[archive.member-key]]`: to which key the archives of a member are encrypted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MemberKey {
    /// The member, `instance/class/member`.
    pub member: String,
    /// File with its public key. A member may have several.
    pub file: PathBuf,
}

/// `[[client]]`: a member or subsystem that is registered at this node. As soon as the file has one, the
/// file decides: what it does not name is removed at the next start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Client {
    /// Its identifier, `instance/class/member` or `instance/class/member/subsystem`; characters that are
    /// not allowed in a URL stand percent-encoded.
    pub id: String,
    /// How its information systems must connect: `https` (the default; TLS with one of `certificates`),
    /// `https-no-auth` (TLS, anybody) or `http` (anything). With the last two, whoever reaches the port can
    /// call as this client.
    #[serde(default = "https")]
    pub connection: String,
    /// Files with certificates of its information systems, PEM or DER: as callers, and as providers of its
    /// services with `tls = "pinned"`.
    #[serde(default)]
    pub certificates: Vec<PathBuf>,
    /// Groups for its access rights.
    #[serde(default, rename = "group")]
    pub groups: Vec<Group>,
    /// Its services, one by one.
    #[serde(default, rename = "service")]
    pub services: Vec<Service>,
    /// Its services as WSDL and OpenAPI documents describe them.
    #[serde(default, rename = "description")]
    pub descriptions: Vec<Description>,
}

fn https() -> String {
    "https".to_owned()
}

/// `[[client.group]]`: a local group.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Group {
    /// Its code, unique within the client.
    pub code: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Identifiers of clients. A member does not stand for its subsystems.
    #[serde(default)]
    pub members: Vec<String>,
}

/// `[[client.service]]`: a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Service {
    /// Its code, unique within the client; SOAP services may share one when their versions differ.
    pub code: String,
    /// `rest` (the default), `openapi` (REST with an OpenAPI document) or `soap`.
    #[serde(default = "rest", rename = "type")]
    pub service_type: String,
    /// The version, of a SOAP service only.
    pub version: Option<String>,
    /// Where the provider's system is, `http://…` or `https://…`. The path of a REST call is put after it.
    pub url: String,
    /// URL of the OpenAPI document or of the WSDL, for members that ask what the service offers. It is
    /// fetched when somebody asks, with the certificate check of `tls`.
    pub description: Option<String>,
    /// Seconds allowed for each read, 1 to 86400. Default 60.
    #[serde(default = "minute")]
    pub timeout_seconds: u64,
    /// How the provider's certificate is checked when the URL is `https`: `pinned` (the default; one of the
    /// client's `certificates`), `verified` (a root of the platform and the host name) or `unchecked`: then
    /// whoever stands between reads and changes what passes.
    #[serde(default = "pinned")]
    pub tls: String,
    /// Switches the service off; the text is told to callers.
    pub disabled: Option<String>,
    /// Parts of a REST service that are told to members who ask.
    #[serde(default, rename = "endpoint")]
    pub endpoints: Vec<Endpoint>,
    /// Who may call it. Nobody else may.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

/// `[[client.service.endpoint]]`: a part of a REST service. It opens nothing by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Endpoint {
    /// HTTP method; default `*`, every one.
    #[serde(default = "any_method")]
    pub method: String,
    /// Path pattern as in `allow`.
    pub path: String,
}

fn rest() -> String {
    "rest".to_owned()
}

fn minute() -> u64 {
    60
}

fn pinned() -> String {
    "pinned".to_owned()
}

/// `[[client.description]]`: a WSDL or OpenAPI document, whose services are those of the client.
///
/// The node reads a copy of the document beside this file, so that nothing changes unseen: `causeway service
/// refresh` fetches the document, shows what is different, and with `--accept` replaces the copy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Description {
    /// `wsdl` or `openapi`.
    #[serde(rename = "type")]
    pub service_type: String,
    /// Where the document is, `http://…` or `https://…`; also for members that ask what is offered.
    pub url: String,
    /// The copy. JSON when its name ends with `.json`.
    pub file: PathBuf,
    /// The service code of an OpenAPI service. A WSDL brings the codes of its services.
    pub code: Option<String>,
    /// Where all its services are. Default: where the document says.
    pub service_url: Option<String>,
    /// Seconds allowed for each read, 1 to 86400. Default 60.
    #[serde(default = "minute")]
    pub timeout_seconds: u64,
    /// How the provider's certificate is checked, as in `[[client.service]]`.
    #[serde(default = "pinned")]
    pub tls: String,
    /// Switches all its services off; the text is told to callers.
    pub disabled: Option<String>,
    /// Who may call all its services.
    #[serde(default)]
    pub allow: Vec<Allow>,
    /// More about single services.
    #[serde(default, rename = "service")]
    pub services: Vec<DescribedService>,
}

/// `[[client.description.service]]`: what is special about one service of a description.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DescribedService {
    /// Its code, as in the document.
    pub code: String,
    /// Its version. Default: every version.
    pub version: Option<String>,
    /// Where it is.
    pub url: Option<String>,
    /// Seconds allowed for each read, 1 to 86400.
    pub timeout_seconds: Option<u64>,
    /// Switches it off; the text is told to callers.
    pub disabled: Option<String>,
    /// Parts of an OpenAPI service that its document does not tell.
    #[serde(default, rename = "endpoint")]
    pub endpoints: Vec<Endpoint>,
    /// Who may call it, besides those who may call all services of the description. Access rights are given to
    /// codes, so they reach all versions.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

/// `[[client.service.allow]]`: an access right. Exactly one of the first three.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Allow {
    /// Identifier of a client. A member does not stand for its subsystems.
    pub client: Option<String>,
    /// A group of a global configuration, `instance/code`.
    pub global_group: Option<String>,
    /// Code of a local group of this client.
    pub local_group: Option<String>,
    /// HTTP method; default `*`, every one. SOAP services are given whole.
    #[serde(default = "any_method")]
    pub method: String,
    /// Path pattern after the service code: `*` stands for anything but a slash, `**` for anything.
    /// Default `**`, every path.
    #[serde(default = "any_path")]
    pub path: String,
}

fn any_method() -> String {
    "*".to_owned()
}

fn any_path() -> String {
    "**".to_owned()
}

/// `[administration]`: the interface for administrators, HTTPS, off unless this part is there. Its keys:
/// `listen` (default `0.0.0.0:4000`), `certificate` and `key` (PEM; default: self-signed, kept in the state
/// folder), `users-file` (users with hashes of passwords and roles; whoever can write it can become any
/// administrator), `addresses` (who may use it, as `["10.1.0.0/16"]`; default all), `key-addresses` (who may
/// administer API keys with user and password; default this machine), `requests-per-second` (20) and
/// `requests-per-minute` (600) of one address.
pub use administration::settings::Written as Administration;
