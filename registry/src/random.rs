//! The one place of the registry that asks for randomness.

use ring::rand::{SecureRandom as _, SystemRandom};

/// The system gives no randomness.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the system gives no randomness")]
pub struct NoRandomness;

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A MIME boundary: 20 letters and digits.
pub(crate) fn boundary() -> Result<String, NoRandomness> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied().map_or('0', char::from);
    Ok(bytes::<20>()?.into_iter().map(letter).collect())
}
