//! Global configuration: the folder `globalconf` and the configuration among the recordings.

mod copies;
mod directories;
mod downloads;
mod recorded;

use std::path::Path;

use base64::Engine as _;
use gateway::configuration::verify_directory;
use protocol::configuration::{
    ConfigurationError, Directory, Instance, SharedParameters, SignedDirectory, shared,
};
use protocol::time::UtcTime;
use serde_json::Value;

use super::{Cases, read};

/// All cases.
pub fn cases(vectors: &Path) -> Cases {
    let folder = vectors.join("globalconf");
    let mut cases = Cases::default();
    let expected: Value = serde_json::from_slice(&read(&folder.join("expected.json"))).unwrap_or_default();
    directories::signed_unit(&folder, &expected, &mut cases);
    directories::signed_central(&folder, &expected, &mut cases);
    downloads::rotation(&folder, &mut cases);
    copies::anchors(&folder, &mut cases);
    copies::caches(&folder, &mut cases);
    copies::source_locations(&folder, &mut cases);
    copies::optional(&folder, &mut cases);
    directories::worked(&folder.join("worked"), &mut cases);
    recorded::recorded(&vectors.join("live"), &mut cases);
    cases.skip("certificate-subjects.json", "an area of its own, see subjects");
    cases
}

fn time(text: &str) -> UtcTime {
    text.parse().unwrap_or(UtcTime::from_millis(0))
}

fn certificate(path: &Path) -> Vec<u8> {
    let text = String::from_utf8(read(path)).unwrap_or_default();
    let body = text.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
    let body: String = body.take_while(|line| !line.starts_with("-----END")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap_or_default()
}

fn verify(document: &[u8], certificates: &[Vec<u8>], now: UtcTime) -> Result<Directory, ConfigurationError> {
    SignedDirectory::parse(document)?.verify(certificates, &verify_directory, now)
}

fn code<T>(result: &Result<T, ConfigurationError>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    }
}

fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// What is read can be written in the same version and reads the same again.
fn round_trip(name: &str, instance: &Instance, cases: &mut Cases) {
    let again = shared::write(&instance.shared, instance.version)
        .and_then(|bytes| shared::parse(&bytes, instance.version));
    let same = again
        .as_ref()
        .is_ok_and(|again| normal(again, instance.version) == normal(&instance.shared, instance.version));
    cases.case(
        format!("{name}, written and read"),
        "same",
        if same { "same".to_owned() } else { format!("{:?}", again.err()) },
    );
}

/// What the writer settles: the owner is a client of its server whether the file says so or not, and
/// certificate hashes have the length of the version.
fn normal(parameters: &SharedParameters, version: u8) -> SharedParameters {
    let mut parameters = parameters.clone();
    for server in &mut parameters.servers {
        let owner = server.id.owner().clone().into();
        server.clients.retain(|client| *client != owner);
        server.certificate_hashes.retain(|hash| hash.len() == if version == 2 { 20 } else { 32 });
    }
    parameters
}
