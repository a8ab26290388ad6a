//! Signatures, hash chains, time-stamps and containers (`vectors/xroad/evidence`, `messages/hashchain`
//! and the containers of `live`).

mod archives;
mod chains;
mod containers;
mod signatures;
mod stamps;
mod worked;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use certs::trust::TrustStore;
use protocol::configuration::local::{LocalCopy, Purpose};
use protocol::configuration::{GlobalConfiguration, Instance};
use protocol::fault::Fault;
use protocol::id::{ClientId, MemberId};
use protocol::time::UtcTime;

use super::{Case, Cases};

/// Every stated verdict about evidence.
pub fn cases(vectors: &Path) -> Cases {
    let folder = Folder(vectors.to_path_buf());
    let mut all = Cases::default();
    all.cases.extend(containers::cases(&folder));
    all.cases.extend(signatures::cases(&folder));
    all.cases.extend(stamps::cases(&folder));
    all.cases.extend(chains::cases(&folder));
    all.cases.extend(worked::cases(&folder));
    all.cases.extend(archives::cases(&folder));
    all
}

/// The verdict about something that should hold.
const VALID: &str = "VALID";

/// The folder of the vectors.
struct Folder(PathBuf);

impl Folder {
    /// The octets of a file. A file that is missing is empty, and the case then disagrees.
    fn read(&self, name: &str) -> Bytes {
        std::fs::read(self.0.join(name)).map(Bytes::from).unwrap_or_default()
    }

    /// Names of the files in a folder, sorted.
    fn list(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(name)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The global configuration in a folder; its expiry does not count.
    fn configuration(&self, name: &str) -> GlobalConfiguration {
        let mut files =
            vec![("instance-identifier".to_owned(), self.read(&format!("{name}/instance-identifier")))];
        for instance in self.list(name) {
            for file in self.list(&format!("{name}/{instance}")) {
                let path = format!("{instance}/{file}");
                files.push((path.clone(), self.read(&format!("{name}/{path}"))));
            }
        }
        LocalCopy::from_files(files).load(Purpose::Evidence).configuration
    }

    fn trust(&self, name: &str) -> TrustStore {
        TrustStore::new(Arc::new(self.configuration(name)))
    }
}

/// The same configuration with another certificate profile for all CAs.
fn with_profile(mut configuration: GlobalConfiguration, class: &str) -> GlobalConfiguration {
    for instance in configuration.instances.values_mut() {
        let mut shared = instance.shared.clone();
        for ca in &mut shared.approved_cas {
            ca.certificate_profile = format!("ee.ria.xroad.common.certificateprofile.impl.{class}");
        }
        *instance = Arc::new(Instance::new(shared, instance.version, instance.expires()));
    }
    configuration
}

/// The verdict of a check as the vectors write it.
fn verdict<T>(result: Result<T, Fault>) -> String {
    match result {
        Ok(_) => VALID.to_owned(),
        Err(fault) => fault.code.into_owned(),
    }
}

/// Whether two things are the same, as a verdict.
fn same<T: PartialEq + ?Sized>(left: &T, right: &T) -> &'static str {
    if left == right { VALID } else { "differs" }
}

/// A member as a client.
fn member(instance: &str, class: &str, code: &str) -> Option<ClientId> {
    MemberId::new(instance, class, code).ok().map(ClientId::from)
}

fn time(text: &str) -> UtcTime {
    text.parse().unwrap_or(UtcTime::from_seconds(0))
}

fn or_none<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}
