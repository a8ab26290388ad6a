//! The key that signs checkpoints of the message log.
//!
//! It is Ed25519, which the formats of transparency logs ask for and the token does not have, so it lies
//! beside the token in a file for the owner alone. It proves which node made a checkpoint; records are
//! evidence without it.

use std::fs;
use std::io;
use std::path::Path;

use protocol::id::SecurityServerId;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use zeroize::Zeroizing;

use crate::files;
use crate::message_log::LogKey;

const FILE: &str = "checkpoint.key";

/// The name of the node's log in checkpoints: without spaces and plus signs, which end a name there.
pub(super) fn origin(server: &SecurityServerId) -> String {
    format!("causeway/{}", server.encoded().replace('+', "%2B"))
}

/// The key in `folder`, made new when there is none.
pub(super) fn load_or_create(folder: &Path, server: &SecurityServerId) -> io::Result<LogKey> {
    let path = folder.join(FILE);
    let pkcs8 = match fs::read(&path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .map_err(|_| io::Error::other("no random octets"))?;
            let made = Zeroizing::new(made.as_ref().to_vec());
            files::create_folder(folder)?;
            files::write(&path, &made)?;
            made
        }
        Err(error) => return Err(error),
    };
    LogKey::from_pkcs8(&origin(server), &pkcs8).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::server;

    #[test]
    fn is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let key = || load_or_create(folder.path(), &server()).unwrap();
        let (first, second) = (key(), key());
        assert_eq!(first.public_key(), second.public_key());
        assert_eq!(first.name(), "causeway/CW/GOV/1001/ss1");
        fs::write(folder.path().join(FILE), "rubbish").unwrap();
        assert!(load_or_create(folder.path(), &server()).is_err());
    }
}
