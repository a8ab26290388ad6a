//! The key that information systems see on the HTTPS port, and that is shown to providers.
//!
//! It is made at the first start and certifies itself: information systems pin it. It proves nothing
//! towards other security servers, so it is not on the token; its file is for the owner alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::key::{KeyKind, PrivateKey};
use certs::self_signed::server_certificate;
use gateway::tls::Identity;
use protocol::time::UtcTime;

use super::StartError;
use crate::files;

/// The certificate file, for the operators of information systems.
pub const CERTIFICATE_FILE: &str = "internal.crt";
const KEY_FILE: &str = "internal.key";

/// The identity in `folder`, made new for this host name or address when there is none.
pub(super) fn load_or_create(folder: &Path, host: &str, now: UtcTime) -> Result<Identity, StartError> {
    let refused = |reason: String| StartError::InternalTls { folder: folder.to_owned(), reason };
    match load(folder) {
        Ok(Some(identity)) => return Ok(identity),
        Ok(None) => {}
        Err(reason) => return Err(refused(reason)),
    }
    create(folder, host, now).map_err(|error| refused(error.to_string()))?;
    match load(folder) {
        Ok(Some(identity)) => Ok(identity),
        Ok(None) => Err(refused("it was just written and is gone".to_owned())),
        Err(reason) => Err(refused(reason)),
    }
}

/// The identity in `folder`, when there is one.
///
/// # Errors
/// The reason, when the files are there and of no use.
pub fn load(folder: &Path) -> Result<Option<Identity>, String> {
    let text = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    let (Some(certificate), Some(key)) = (text(folder.join(CERTIFICATE_FILE))?, text(folder.join(KEY_FILE))?)
    else {
        return Ok(None);
    };
    let certificate = Certificate::from_pem(&certificate).map_err(|error| error.to_string())?;
    let key = PrivateKey::from_pem(&key).map_err(|error| error.to_string())?;
    let chain: Vec<Bytes> = vec![certificate.der().clone()];
    Identity::of_key(chain, Arc::new(key)).map(Some).map_err(|error| error.to_string())
}

/// A crash in between leaves a key without certificate, and the next start makes both anew.
fn create(folder: &Path, host: &str, now: UtcTime) -> io::Result<()> {
    let key = PrivateKey::generate(KeyKind::P256).map_err(io::Error::other)?;
    let serial = uuid::Uuid::new_v4().into_bytes();
    let certificate = server_certificate(&key, host, serial, now).map_err(io::Error::other)?;
    files::create_folder(folder)?;
    let pem = key.to_pem().ok_or_else(|| io::Error::other("the key cannot be written"))?;
    files::write(&folder.join(KEY_FILE), pem.as_bytes())?;
    files::write(&folder.join(CERTIFICATE_FILE), certificate.to_pem().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("internal");
        let now = crate::testkit::now();
        let first = load_or_create(&folder, "127.0.1.1", now).unwrap();
        let second = load_or_create(&folder, "127.0.1.1", now).unwrap();
        assert_eq!(first.chain(), second.chain());
        fs::write(folder.join(KEY_FILE), "rubbish").unwrap();
        assert!(matches!(load_or_create(&folder, "127.0.1.1", now), Err(StartError::InternalTls { .. })));
    }
}
