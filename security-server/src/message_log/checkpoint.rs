//! Checkpoints: one short text that commits to every record so far.
//!
//! The form is that of C2SP `tlog-checkpoint`, a *signed note*: origin, number of records and root in
//! base64, each on a line; an empty line; then any number of signature lines. A checkpoint without a
//! signature still lets an auditor compare two of them; one with it binds the owner of the key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::merkle::{Hash, digest};

/// Size and root of the log at some moment, under the log's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The log's name: one line that no other log has.
    pub origin: String,
    /// Number of records.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

/// The key that signs checkpoints.
pub struct LogKey {
    name: String,
    pair: Ed25519KeyPair,
}

/// Why a text is no checkpoint, or a key no log key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// The text does not have the form of a checkpoint.
    #[error("not a checkpoint")]
    Malformed,
    /// No signature line is by this key.
    #[error("the checkpoint is not signed with the log's key")]
    NotSigned,
    /// A signature line claims this key and is wrong.
    #[error("the checkpoint's signature is wrong")]
    BadSignature,
    /// The name is empty, or has a space or a plus sign; or the key is not Ed25519 in PKCS#8.
    #[error("not a log key")]
    BadKey,
}

impl Checkpoint {
    /// The text without signatures: what is signed.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The whole note: body, empty line, and a signature line if there is a key.
    pub fn note(&self, key: Option<&LogKey>) -> String {
        let mut note = self.body();
        let signature = key.map(|key| key.sign_line(&note)).unwrap_or_default();
        note.push('\n');
        note.push_str(&signature);
        note
    }

    /// Reads a note; its signatures are not looked at.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn parse(note: &str) -> Result<Self, CheckpointError> {
        let (body, _) = split(note)?;
        let mut lines = body.lines();
        let mut line = || lines.next().ok_or(CheckpointError::Malformed);
        let (origin, size, root) = (line()?, line()?, line()?);
        let canonical =
            size.bytes().all(|byte| byte.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        match (size.parse(), root) {
            (Ok(size), Some(root)) if canonical && !origin.is_empty() => {
                Ok(Self { origin: origin.to_owned(), size, root })
            }
            _ => Err(CheckpointError::Malformed),
        }
    }

    /// Reads a note that must be signed with the key of this name and these 32 octets.
    ///
    /// # Errors
    /// Any of [`CheckpointError`] but `BadKey`.
    pub fn verify(note: &str, name: &str, public_key: &[u8]) -> Result<Self, CheckpointError> {
        let (body, signatures) = split(note)?;
        for line in signatures.lines() {
            let fields = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' '));
            let (signer, value) = fields.ok_or(CheckpointError::Malformed)?;
            let value = STANDARD.decode(value).map_err(|_| CheckpointError::Malformed)?;
            let (id, signature) = value.split_at_checked(4).ok_or(CheckpointError::Malformed)?;
            if signer == name && id == key_id(name, public_key) {
                return match UnparsedPublicKey::new(&ED25519, public_key).verify(body.as_bytes(), signature) {
                    Ok(()) => Self::parse(note),
                    Err(_) => Err(CheckpointError::BadSignature),
                };
            }
        }
        Err(CheckpointError::NotSigned)
    }
}

/// Body with its last line feed, and signature lines.
fn split(note: &str) -> Result<(&str, &str), CheckpointError> {
    let at = note.rfind("\n\n").ok_or(CheckpointError::Malformed)?;
    note.split_at_checked(at + 1)
        .and_then(|(body, rest)| Some((body, rest.strip_prefix('\n')?)))
        .ok_or(CheckpointError::Malformed)
}

/// First four octets of `SHA-256(name ‖ LF ‖ 0x01 ‖ key)`.
fn key_id(name: &str, public_key: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = digest(&[name.as_bytes(), b"\n\x01", public_key]);
    [a, b, c, d]
}

impl LogKey {
    /// A key from its PKCS#8 form, with the name that stands in signature lines.
    ///
    /// # Errors
    /// [`CheckpointError::BadKey`].
    pub fn from_pkcs8(name: &str, pkcs8: &[u8]) -> Result<Self, CheckpointError> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
            return Err(CheckpointError::BadKey);
        }
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| CheckpointError::BadKey)?;
        Ok(Self { name: name.to_owned(), pair })
    }

    /// The name in signature lines.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 32 octets of the public key.
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn sign_line(&self, body: &str) -> String {
        let mut value = key_id(&self.name, self.public_key()).to_vec();
        value.extend_from_slice(self.pair.sign(body.as_bytes()).as_ref());
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LogKey {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        LogKey::from_pkcs8("example.org/log", pkcs8.as_ref()).unwrap()
    }

    #[test]
    fn notes() {
        let key = key();
        let checkpoint = Checkpoint { origin: "example.org/log".into(), size: 12, root: [7; 32] };
        let plain = checkpoint.note(None);
        assert_eq!(plain, "example.org/log\n12\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n");
        assert_eq!(Checkpoint::parse(&plain), Ok(checkpoint.clone()));
        let verify = |note: &str| Checkpoint::verify(note, key.name(), key.public_key());
        assert_eq!(verify(&plain), Err(CheckpointError::NotSigned));
        let signed = checkpoint.note(Some(&key));
        assert_eq!(verify(&signed), Ok(checkpoint.clone()));
        assert_eq!(Checkpoint::parse(&signed), Ok(checkpoint));
        assert_eq!(verify(&signed.replace("\n12\n", "\n13\n")), Err(CheckpointError::BadSignature));
        assert_eq!(Checkpoint::verify(&signed, "other", key.public_key()), Err(CheckpointError::NotSigned));
    }

    #[test]
    fn bad_notes() {
        for note in [
            "",
            "\n\n",
            "a\n1\n\n",
            "a\n01\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n",
            "a\n1\nBwc=\n\n",
        ] {
            assert_eq!(Checkpoint::parse(note), Err(CheckpointError::Malformed), "{note:?}");
        }
        assert_eq!(LogKey::from_pkcs8("a b", &[]).err(), Some(CheckpointError::BadKey));
        assert_eq!(LogKey::from_pkcs8("a", &[1, 2]).err(), Some(CheckpointError::BadKey));
    }
}
