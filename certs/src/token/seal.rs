//! The token's own key: how a PIN opens it, and how it seals private keys.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::TokenError;

/// 64 MiB and one pass, some 40 ms on one core, as RFC 9106 §4 goes about it: first as much memory as can be
/// afforded, then passes as the time allows. A PIN is short; the memory is what makes guessing dear. A
/// server that comes back after a crash waits for this, see docs/decisions/0009.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 1;
const LANES: u32 = 1;

/// A file that asks for more than this is not believed: it would be a way to fill our memory.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 64;

const WRAP_CONTEXT: &str = "causeway software token, own key";
const KEY_CONTEXT: &str = "causeway software token, private key ";
const SECRET_LENGTH: usize = 32;

/// The token's own key under the key that the PIN becomes by Argon2id, and with which parameters.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wrapped {
    derivation: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    sealed: String,
}

/// The token's own key.
pub(super) struct TokenSecret(Zeroizing<[u8; SECRET_LENGTH]>);

impl TokenSecret {
    /// A new one, with its wrapping under a PIN.
    pub(super) fn generate(pin: &str) -> Result<(Self, Wrapped), TokenError> {
        let secret = Self(Zeroizing::new(random()?));
        let wrapped = secret.wrap(pin)?;
        Ok((secret, wrapped))
    }

    pub(super) fn wrap(&self, pin: &str) -> Result<Wrapped, TokenError> {
        let salt: [u8; 16] = random()?;
        let key = derive(pin, &salt, (MEMORY_KIB, PASSES, LANES)).ok_or(TokenError::UnusablePin)?;
        Ok(Wrapped {
            derivation: "argon2id".to_owned(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: STANDARD.encode(salt),
            sealed: STANDARD.encode(seal(&key, WRAP_CONTEXT, self.0.as_slice())?),
        })
    }

    /// Opens the wrapping. That the PIN is wrong shows in the authentication of the ciphertext, which a
    /// damaged file fails as well; the two cannot be told apart.
    pub(super) fn unwrap(wrapped: &Wrapped, pin: &str) -> Result<Self, TokenError> {
        let (salt, sealed) = (STANDARD.decode(&wrapped.salt), STANDARD.decode(&wrapped.sealed));
        let (Ok(salt), Ok(sealed)) = (salt, sealed) else { return Err(TokenError::WrongPin) };
        let believable = wrapped.derivation == "argon2id"
            && wrapped.memory_kib <= MOST_MEMORY_KIB
            && wrapped.passes <= MOST_PASSES
            && wrapped.lanes <= 16;
        let parameters = (wrapped.memory_kib, wrapped.passes, wrapped.lanes);
        let key = believable.then(|| derive(pin, &salt, parameters)).flatten().ok_or(TokenError::WrongPin)?;
        let secret = open(&key, WRAP_CONTEXT, &sealed).ok_or(TokenError::WrongPin)?;
        let mut own = Zeroizing::new([0; SECRET_LENGTH]);
        if secret.len() != own.len() {
            return Err(TokenError::WrongPin);
        }
        own.copy_from_slice(&secret);
        Ok(Self(own))
    }

    /// Seals a private key for the file of this key id.
    pub(super) fn seal(&self, id: &str, pkcs8: &[u8]) -> Result<Vec<u8>, TokenError> {
        seal(&self.0, &format!("{KEY_CONTEXT}{id}"), pkcs8)
    }

    /// Opens the file of this key id.
    pub(super) fn open(&self, id: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        open(&self.0, &format!("{KEY_CONTEXT}{id}"), sealed)
    }
}

/// A new key id: 20 random octets in hexadecimal, as X-Road makes them.
pub(super) fn random_id() -> Result<String, TokenError> {
    Ok(protocol::digest::hex(&random::<20>()?))
}

fn random<const N: usize>() -> Result<[u8; N], TokenError> {
    let mut octets = [0; N];
    SystemRandom::new().fill(&mut octets).map_err(|_| TokenError::Sealing)?;
    Ok(octets)
}

fn derive(pin: &str, salt: &[u8], (memory, passes, lanes): (u32, u32, u32)) -> Option<Zeroizing<[u8; 32]>> {
    if pin.is_empty() || pin.len() > 1000 {
        return None;
    }
    let parameters = Params::new(memory, passes, lanes, Some(SECRET_LENGTH)).ok()?;
    let mut key = Zeroizing::new([0; SECRET_LENGTH]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(pin.as_bytes(), salt, key.as_mut_slice())
        .ok()?;
    Some(key)
}

/// Nonce, ciphertext and tag after one another.
fn seal(key: &[u8; SECRET_LENGTH], context: &str, plain: &[u8]) -> Result<Vec<u8>, TokenError> {
    // The nonce is random: a token seals a few keys in its life, far from where 96 bits repeat.
    let nonce: [u8; NONCE_LEN] = random()?;
    let mut sealed = Zeroizing::new(plain.to_vec());
    let tag = cipher(key)
        .and_then(|cipher| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            cipher.seal_in_place_separate_tag(nonce, Aad::from(context.as_bytes()), &mut sealed).ok()
        })
        .ok_or(TokenError::Sealing)?;
    Ok([&nonce, sealed.as_slice(), tag.as_ref()].concat())
}

fn open(key: &[u8; SECRET_LENGTH], context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut plain = Zeroizing::new(ciphertext.to_vec());
    let length = cipher(key)?.open_in_place(nonce, Aad::from(context.as_bytes()), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

fn cipher(key: &[u8; SECRET_LENGTH]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).ok()
}
