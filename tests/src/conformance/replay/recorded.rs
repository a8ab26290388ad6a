//! Keys, certificates, OCSP responses and configuration of the recorded federation.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::key::PrivateKey;
use certs::ocsp::OcspResponse;
use gateway::snapshot::Snapshot;
use protocol::configuration::local::{LocalCopy, Purpose};
use protocol::configuration::{GlobalConfiguration, Instance};
use protocol::id::{ClientId, MemberId};
use protocol::time::UtcTime;

use super::http::Message;
use super::message::Received;

/// All that is known of the recorded federation.
pub(super) struct Recorded {
    configuration: GlobalConfiguration,
    keys: Vec<Arc<PrivateKey>>,
    certificates: Vec<(String, Certificate)>,
    responses: Vec<OcspResponse>,
}

pub(super) const INSTANCE: &str = "DEV";

/// A member or subsystem of the recorded instance.
pub(super) fn party(code: &str, subsystem: Option<&str>) -> Result<ClientId, String> {
    let member = MemberId::new(INSTANCE, "COM", code).map_err(|error| error.to_string())?;
    ClientId::new(member, subsystem).map_err(|error| error.to_string())
}

impl Recorded {
    pub(super) fn read(live: &Path) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let copy = live.join("globalconf-2/local-copy");
        let mut files = vec![("instance-identifier".to_owned(), read(&copy.join("instance-identifier"))?)];
        for entry in std::fs::read_dir(copy.join(INSTANCE)).map_err(text)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push((format!("{INSTANCE}/{name}"), read(&entry.path())?));
        }
        let loaded = LocalCopy::from_files(files).load(Purpose::Evidence);
        if let Some((file, problem)) = loaded.problems.first() {
            return Err(format!("{file}: {problem}"));
        }
        let (mut keys, mut certificates, mut responses) = (Vec::new(), Vec::new(), Vec::new());
        for entry in std::fs::read_dir(live.join("keys")).map_err(text)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let content = std::fs::read_to_string(entry.path()).map_err(text)?;
            if name.ends_with(".key.pem") {
                keys.extend(PrivateKey::from_pem(&content).ok().map(Arc::new));
            } else if name.ends_with(".cert.pem") {
                certificates
                    .extend(Certificate::from_pem(&content).ok().map(|certificate| (name, certificate)));
            }
        }
        for entry in std::fs::read_dir(live.join("ocsp")).map_err(text)?.flatten() {
            if entry.file_name().to_string_lossy().ends_with(".response.http") {
                let bytes = std::fs::read(entry.path()).map_err(text)?;
                responses.extend(responses_in(&bytes));
            }
        }
        for entry in std::fs::read_dir(live.join("exchanges")).map_err(text)?.flatten() {
            for file in ["server-request.http", "server-response.http"] {
                let message = Message::read(&entry.path().join(file));
                responses.extend(message.iter().flat_map(Received::ocsp_responses));
            }
        }
        Ok(Self { configuration: loaded.configuration, keys, certificates, responses })
    }

    /// The configuration as it was.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::new(Arc::new(self.configuration.clone()))
    }

    /// The configuration with other addresses, in force for an hour after `at`. The crafted messages
    /// were sent under a later copy with the same content.
    pub(super) fn snapshot_at(&self, at: UtcTime, address_of: &dyn Fn(&str) -> String) -> Snapshot {
        let mut configuration = self.configuration.clone();
        if let Some(instance) = configuration.instance(INSTANCE) {
            let mut shared = instance.shared.clone();
            for server in &mut shared.servers {
                server.address = Some(address_of(server.id.code()));
            }
            let expires = at.plus(std::time::Duration::from_secs(3600));
            let mut changed = Instance::new(shared, instance.version, expires);
            changed.private.clone_from(&instance.private);
            configuration.instances.insert(INSTANCE.to_owned(), Arc::new(changed));
        }
        Snapshot::new(Arc::new(configuration))
    }

    /// The certificate in a file whose name begins and ends so, with its key.
    pub(super) fn identity(&self, start: &str, end: &str) -> Result<(Arc<PrivateKey>, Certificate), String> {
        self.certificates
            .iter()
            .filter(|(name, _)| name.starts_with(start) && name.ends_with(end))
            .find_map(|(_, certificate)| {
                let key = self.keys.iter().find(|key| key.public_key() == certificate.public_key())?;
                Some((Arc::clone(key), certificate.clone()))
            })
            .ok_or_else(|| format!("no certificate with a key: {start}…{end}"))
    }

    /// The newest recorded response for a certificate.
    pub(super) fn response(&self, certificate: &Certificate) -> Option<&OcspResponse> {
        let (_, issuer) = self.certificates.iter().find(|(_, issuer)| certificate.is_issued_by(issuer))?;
        let id = certs::ocsp::certificate_id(certificate, issuer);
        self.responses
            .iter()
            .filter(|response| response.certificate_id() == id)
            .max_by_key(|response| response.this_update())
    }
}

fn read(path: &Path) -> Result<Bytes, String> {
    std::fs::read(path).map(Bytes::from).map_err(|error| format!("{}: {error}", path.display()))
}

/// The OCSP responses in one or more HTTP responses that follow each other.
fn responses_in(bytes: &[u8]) -> Vec<OcspResponse> {
    let starts: Vec<usize> = bytes
        .windows(9)
        .enumerate()
        .filter(|(_, window)| *window == b"HTTP/1.1 ")
        .map(|(at, _)| at)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let pieces = starts.iter().zip(ends).filter_map(|(start, end)| bytes.get(*start..end));
    pieces
        .filter_map(Message::parse)
        .flat_map(|message| {
            if message.header("content-type").is_some_and(|kind| kind.starts_with("multipart/")) {
                // Each part ends where the next boundary begins.
                let parts = message.body.windows(4).enumerate().filter(|(_, window)| *window == b"\r\n\r\n");
                parts
                    .filter_map(|(at, _)| {
                        let rest = message.body.get(at + 4..)?;
                        let end = rest.windows(4).position(|window| window == b"\r\n--")?;
                        Some(Bytes::copy_from_slice(rest.get(..end)?))
                    })
                    .collect()
            } else {
                vec![message.body]
            }
        })
        .filter_map(|der| OcspResponse::parse(der).ok())
        .collect()
}
