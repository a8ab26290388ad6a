//! Global configuration from files, for commands that work offline.

use std::path::Path;
use std::sync::Arc;

use certs::trust::TrustStore;
use protocol::configuration::local::{LocalCopy, Purpose};

/// Whom a security server's local copy makes one believe, for evidence of the past.
///
/// # Errors
/// A clause that says what is wrong with it.
pub fn trust_of_folder(folder: &Path) -> Result<TrustStore, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    // The folder that a Causeway server keeps, or a copy in the layout of other products.
    let copy = gateway::configuration::read_local(folder).map_err(failed)?;
    trust_of(&copy, &folder.display().to_string())
}

/// Whom the zip of `/verificationconf` makes one believe.
///
/// # Errors
/// A clause that says what is wrong with it.
pub fn trust_of_zip(zip: &[u8]) -> Result<TrustStore, String> {
    let copy = LocalCopy::from_zip(zip).map_err(|error| format!("the configuration: {error}"))?;
    trust_of(&copy, "the configuration")
}

fn trust_of(copy: &LocalCopy, name: &str) -> Result<TrustStore, String> {
    let loaded = copy.load(Purpose::Evidence);
    if loaded.configuration.instances.is_empty() {
        let problems: Vec<String> =
            loaded.problems.iter().map(|(file, error)| format!("; {file}: {error}")).collect();
        return Err(format!(
            "{name} holds no usable global configuration (give the folder that has the file instance-identifier, or the zip of /verificationconf){}",
            problems.concat()
        ));
    }
    Ok(TrustStore::new(Arc::new(loaded.configuration)))
}
