//! Sets a pilot federation up: folders, keys, certificates and the files of all roles.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use certs::ca::{CaError, PilotCa, Purpose, Settings};
use certs::certificate::CertificateUsage;
use certs::key::KeyKind;
use certs::profile::{Profile, RequestFor};
use certs::request::{self, RequestError};
use certs::token::{CertificateStatus, SoftwareToken, TokenError};
use protocol::id::{IdError, MemberId, SecurityServerId};
use protocol::time::UtcTime;

use super::federation::Options;
use super::files;
use super::folder::Folder;
use super::plan::{INSTANCE, NODES, Network, Node, port};

/// Why a federation could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The pilot authority.
    #[error("the pilot authority: {0}")]
    Authority(#[from] CaError),
    /// Keys of a node.
    #[error("keys of a node: {0}")]
    Token(#[from] TokenError),
    /// A certificate request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A name that cannot stand in a certificate or identifier.
    #[error("the plan has an unusable name: {0}")]
    Name(String),
}

impl From<IdError> for SetupError {
    fn from(error: IdError) -> Self {
        Self::Name(error.to_string())
    }
}

/// Writes everything, and last the mark that it is complete.
///
/// # Errors
/// [`SetupError`]
pub(super) fn write(folder: &Folder, options: &Options, network: Network) -> Result<(), SetupError> {
    let now = UtcTime::from(SystemTime::now());
    let authority = authority(folder, network, now)?;
    let registry = folder.role("registry");
    make(&registry)?;
    let address = choose_configuration_address(network);
    put(&registry.join("registry.toml"), &files::registry(network, &address, options.refresh_seconds))?;
    put_secret(&registry.join("pin"), &pin())?;
    put(&registry.join("address"), &address)?;
    for (name, certificate) in [
        ("ca.pem", authority.certificate()),
        ("ocsp.pem", authority.ocsp_certificate()),
        ("tsa.pem", authority.timestamp_certificate()),
    ] {
        put(&registry.join(name), &certificate.to_pem())?;
    }
    for node in &NODES {
        let authentication = enrol(folder, node, (options, network), &authority, now)?;
        put(&registry.join(format!("{}-authentication.pem", node.name)), &authentication)?;
    }
    put(&registry.join("instance.toml"), &files::instance(network, options.more_members))?;
    folder.complete(network).map_err(|error| SetupError::File(folder.path().to_owned(), error))
}

/// Makes the authority and its file.
fn authority(folder: &Folder, network: Network, now: UtcTime) -> Result<PilotCa, SetupError> {
    let own = folder.role("authority");
    make(&own)?;
    let pin = pin();
    put_secret(&own.join("pin"), &pin)?;
    put_secret(&own.join("operator-token"), &uuid::Uuid::new_v4().simple().to_string())?;
    let token = read(&own.join("operator-token"))?;
    put_secret(&own.join("ca.toml"), &files::authority(network, &token))?;
    let settings = Settings {
        ocsp_url: Some(format!("http://{}/ocsp", network.authority())),
        ..Settings::for_instance(INSTANCE)
    };
    Ok(PilotCa::create(&own.join("state"), &pin, &settings, now)?)
}

/// Makes a node's keys, has its certificates issued, and writes its file. Gives the authentication
/// certificate in PEM, for the registry.
fn enrol(
    folder: &Folder,
    node: &Node,
    (options, network): (&Options, Network),
    authority: &PilotCa,
    now: UtcTime,
) -> Result<String, SetupError> {
    let own = folder.role(node.name);
    make(&own)?;
    let pin = pin();
    put_secret(&own.join("pin"), &pin)?;
    put(&own.join("server.toml"), &files::server(node, network, options.refresh_seconds))?;
    let token = SoftwareToken::create(&own.join("state").join("token"), &pin)?;
    let member = MemberId::new(INSTANCE, node.member_class, node.member_code)?;
    let server = SecurityServerId::new(member.clone(), node.server_code)?;
    let requested = RequestFor {
        server: &server,
        member: &member,
        member_name: node.title,
        dns_name: "",
        country: INSTANCE,
    };
    let mut authentication = String::new();
    for (usage, purpose, name) in [
        (CertificateUsage::Authentication, Purpose::Authentication, "authentication"),
        (CertificateUsage::Signing, Purpose::Signing, "signing"),
    ] {
        let key = token.generate(KeyKind::P256, usage, name)?;
        let subject =
            Profile::Ejbca.subject(usage, &requested).map_err(|error| SetupError::Name(error.to_string()))?;
        let request = request::create(&key.key, &subject, usage)?;
        let certificate = authority.issue(&request, purpose, now)?;
        token.import_certificate(&certificate, now)?;
        token.set_status(&certificate, CertificateStatus::Registered)?;
        if usage == CertificateUsage::Authentication {
            authentication = certificate.to_pem();
        }
    }
    Ok(authentication)
}

/// Gives every node the anchor that the registry wrote at its start: what a registry hands out to a new
/// member on a trusted way.
///
/// # Errors
/// [`SetupError::File`]
pub(super) fn hand_out_anchor(folder: &Folder) -> Result<(), SetupError> {
    let anchor = registry::anchor_file(
        &folder.role("registry").join("state"),
        registry::publish::SourceKind::Internal,
    );
    for node in &NODES {
        let target = folder.role(node.name).join("anchor.xml");
        fs::copy(&anchor, &target).map_err(|error| SetupError::File(anchor.clone(), error))?;
    }
    Ok(())
}

/// Where the registry of a federation serves the configuration: host, and port if it is not 80.
pub(super) fn configuration_address(state: &Path) -> String {
    fs::read_to_string(state.join("registry").join("address")).unwrap_or_default()
}

/// Port 80 where it may be used and is free, another one where not.
fn choose_configuration_address(network: Network) -> String {
    let host = network.registry();
    let may = std::net::TcpListener::bind((host, port::CONFIGURATION)).is_ok();
    if may { host.to_string() } else { format!("{host}:{}", port::CONFIGURATION_OTHERWISE) }
}

/// A PIN that fulfils the usual policies.
fn pin() -> String {
    format!("Pilot-{}", uuid::Uuid::new_v4().simple())
}

fn make(folder: &Path) -> Result<(), SetupError> {
    fs::create_dir_all(folder).map_err(|error| SetupError::File(folder.to_owned(), error))
}

fn put(file: &Path, text: &str) -> Result<(), SetupError> {
    fs::write(file, text).map_err(|error| SetupError::File(file.to_owned(), error))
}

fn put_secret(file: &Path, text: &str) -> Result<(), SetupError> {
    let write = || {
        let mut file = fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(file)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|error| SetupError::File(file.to_owned(), error))
}

fn read(file: &Path) -> Result<String, SetupError> {
    fs::read_to_string(file).map_err(|error| SetupError::File(file.to_owned(), error))
}
