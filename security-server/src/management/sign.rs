//! Signatures of requests.

use std::sync::Arc;

use bytes::Bytes;
use certs::key::{PrivateKey, SignatureForm};
use protocol::digest::DigestAlgorithm;
use protocol::management::{PartSignature, algorithm_name};
use protocol::signature::SignatureAlgorithm;

use super::ManagementError;

/// Signs octets with SHA-512; the key decides the rest (§3.5). A device lets one wait, so this does not
/// happen on a thread that others need.
pub(super) async fn sign(key: &Arc<PrivateKey>, octets: &Bytes) -> Result<PartSignature, ManagementError> {
    let algorithm = SignatureAlgorithm::new(key.default_algorithm().scheme, DigestAlgorithm::Sha512);
    let name = algorithm_name(algorithm)
        .ok_or_else(|| ManagementError::Signing("the key signs with an algorithm without a name".into()))?;
    let (key, octets) = (Arc::clone(key), octets.clone());
    let signed = tokio::task::spawn_blocking(move || key.sign(algorithm, &octets, SignatureForm::Der)).await;
    match signed {
        Ok(Ok(value)) => Ok(PartSignature { algorithm: name.to_owned(), value: value.into() }),
        Ok(Err(error)) => Err(ManagementError::Signing(error.to_string())),
        Err(error) => Err(ManagementError::Signing(error.to_string())),
    }
}

/// A boundary as X-Road makes them: 30 random letters behind a word.
pub(super) fn boundary() -> String {
    const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let random = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
    let letter = |byte: &u8| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied().map_or('x', char::from);
    std::iter::once("xroad".to_owned()).chain([random.iter().take(30).map(letter).collect()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_differ() {
        let (one, other) = (boundary(), boundary());
        assert!(one.starts_with("xroad") && one.len() == 35 && one != other);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphabetic()));
    }
}
