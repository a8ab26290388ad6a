//! Encrypting archives for their members: ordinary OpenPGP messages, encrypted and signed (signatures and
//! evidence §4.5). Decrypting one, with GnuPG or anything else, gives the zip.
//!
//! Keys are read from files, armoured or not, as `gpg --export` and `gpg --export-secret-keys` write them.
//! Whether a recipient's key belongs to the member is for the operator to know, who names the file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use pgp::composed::{
    ArmorOptions, Deserializable as _, EncryptionCaps, KeyType, MessageBuilder, SecretKeyParamsBuilder,
    SignedKeyDetails, SignedPublicKey, SignedSecretKey, SubkeyParamsBuilder,
};
use pgp::crypto::ecc_curve::ECCCurve;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::packet::{KeyFlags, PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::types::{KeyDetails, Password, SigningKey, Timestamp};
use protocol::id::MemberId;
use protocol::time::UtcTime;
use rand_core::OsRng;
use zeroize::Zeroizing;

/// Octets of a packet's part while the length is not known.
const PART: u32 = 1 << 16;
/// Largest key file.
const KEY_LIMIT: u64 = 1 << 20;

/// Why a key cannot be used, or an archive not be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum EncryptionError {
    /// A file.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: String,
        /// What went wrong.
        error: io::Error,
    },
    /// The file has no usable key.
    #[error("{path}: {reason}")]
    Key {
        /// Which file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// OpenPGP.
    #[error("the archive cannot be encrypted: {0}")]
    OpenPgp(String),
}

/// Whose archives are encrypted to which keys, and who signs them.
pub struct Encryption {
    signer: SignedSecretKey,
    own: Recipient,
    default: Vec<Recipient>,
    members: BTreeMap<MemberId, Vec<Recipient>>,
}

/// The key of somebody who can decrypt.
pub struct Recipient {
    key: SignedPublicKey,
    path: String,
}

impl Encryption {
    /// Reads the secret key that signs; if the file is missing, a key is made for this name. Archives for
    /// which there is no other key are encrypted to it.
    ///
    /// # Errors
    /// The file cannot be read or written, others may read it, or its key cannot sign without a
    /// passphrase.
    pub fn open(signing_key: &Path, name: &str, now: UtcTime) -> Result<Self, EncryptionError> {
        let signer = match fs::metadata(signing_key) {
            Ok(state) if state.permissions().mode() & 0o077 != 0 => {
                return Err(refused(signing_key, "others than its owner may read it: chmod 600"));
            }
            Ok(_) => {
                let bytes = Zeroizing::new(read(signing_key)?);
                let (key, _) = SignedSecretKey::from_reader_single(&bytes[..])
                    .map_err(|error| refused(signing_key, format!("no OpenPGP secret key: {error}")))?;
                key
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(signing_key, name)?,
            Err(error) => return Err(file_error(signing_key)(error)),
        };
        signer.verify_bindings().map_err(|error| refused(signing_key, error))?;
        let part = signing_part(&signer, now)
            .ok_or_else(|| refused(signing_key, "it has no key that may sign now"))?;
        part.sign(&Password::empty(), HashAlgorithm::Sha256, &[0; 32])
            .map_err(|_| refused(signing_key, "it cannot sign; it must not have a passphrase"))?;
        let own = Recipient { key: signer.to_public_key(), path: signing_key.display().to_string() };
        Ok(Self { signer, own, default: Vec::new(), members: BTreeMap::new() })
    }

    /// Adds a key for archives of members that have none of their own.
    pub fn add_default(&mut self, recipient: Recipient) {
        self.default.push(recipient);
    }

    /// Adds a key for archives of this member.
    pub fn add_member(&mut self, member: MemberId, recipient: Recipient) {
        self.members.entry(member).or_default().push(recipient);
    }

    /// The public key that archives are signed with, armoured.
    pub fn public_key(&self) -> String {
        self.own.key.to_armored_string(ArmorOptions::default()).unwrap_or_default()
    }

    /// Encrypts for a member, or, without one, for nobody in particular. The message is of the form that
    /// GnuPG 2 reads: AES-256 with integrity protection, signed over SHA-256, not compressed.
    ///
    /// # Errors
    /// No key of a recipient can be used now, or reading or writing fails.
    pub fn encrypt(
        &self,
        member: Option<&MemberId>,
        (name, from): (&str, impl Read),
        to: impl Write,
        now: UtcTime,
    ) -> Result<(), EncryptionError> {
        let openpgp = |error: pgp::errors::Error| EncryptionError::OpenPgp(error.to_string());
        let signer = signing_part(&self.signer, now)
            .ok_or_else(|| EncryptionError::OpenPgp("the signing key has expired".to_owned()))?;
        let mut message =
            MessageBuilder::from_reader(name.to_owned(), from).seipd_v1(OsRng, SymmetricKeyAlgorithm::AES256);
        message.partial_chunk_size(PART).map_err(openpgp)?;
        for recipient in self.recipients(member) {
            match recipient.part(now)? {
                Part::Subkey(key) => message.encrypt_to_key(OsRng, key).map_err(openpgp)?,
                Part::Primary(key) => message.encrypt_to_key(OsRng, key).map_err(openpgp)?,
            };
        }
        message.sign(signer, Password::empty(), HashAlgorithm::Sha256);
        message.to_writer(OsRng, to).map_err(openpgp)
    }

    /// The member's keys, else the default keys, else the own key.
    fn recipients(&self, member: Option<&MemberId>) -> &[Recipient] {
        if let Some(keys) = member.and_then(|member| self.members.get(member)) {
            return keys;
        }
        if self.default.is_empty() { std::slice::from_ref(&self.own) } else { &self.default }
    }
}

/// The part of a key that is encrypted to.
enum Part<'k> {
    Primary(&'k PublicKey),
    Subkey(&'k PublicSubkey),
}

impl Recipient {
    /// Reads a public key.
    ///
    /// # Errors
    /// The file cannot be read, or has no key that may be encrypted to now.
    pub fn open(path: &Path, now: UtcTime) -> Result<Self, EncryptionError> {
        let bytes = read(path)?;
        let (key, _) = SignedPublicKey::from_reader_single(&bytes[..])
            .map_err(|error| refused(path, format!("no OpenPGP public key: {error}")))?;
        key.verify_bindings().map_err(|error| refused(path, error))?;
        let recipient = Self { key, path: path.display().to_string() };
        recipient.part(now).map(drop)?;
        Ok(recipient)
    }

    fn part(&self, now: UtcTime) -> Result<Part<'_>, EncryptionError> {
        let may_encrypt = |flags: &KeyFlags| flags.encrypt_storage() || flags.encrypt_comms();
        let primary = &self.key.primary_key;
        let flags = primary_flags(&self.key.details, primary.created_at(), now);
        let subkeys = self.key.public_subkeys.iter().rev();
        let subkey = subkeys.filter(|subkey| subkey.key.algorithm().can_encrypt()).find(|subkey| {
            subkey_flags(&subkey.signatures, &subkey.key, now).as_ref().is_some_and(may_encrypt)
        });
        match (flags, subkey) {
            (None, _) => Err(self.refused("the key is revoked or has expired")),
            (Some(_), Some(subkey)) => Ok(Part::Subkey(&subkey.key)),
            (Some(flags), None) if primary.algorithm().can_encrypt() && may_encrypt(&flags) => {
                Ok(Part::Primary(primary))
            }
            (Some(_), None) => Err(self.refused("the key has no part that may be encrypted to now")),
        }
    }

    fn refused(&self, reason: &str) -> EncryptionError {
        EncryptionError::Key { path: self.path.clone(), reason: reason.to_owned() }
    }
}

/// The newest signing part that may be used now; of a key without subkeys, the key itself.
fn signing_part(key: &SignedSecretKey, now: UtcTime) -> Option<&dyn SigningKey> {
    let primary = primary_flags(&key.details, key.primary_key.created_at(), now)?;
    let subkey =
        key.secret_subkeys.iter().rev().find(|subkey| {
            subkey_flags(&subkey.signatures, &subkey.key, now).is_some_and(|flags| flags.sign())
        });
    match subkey {
        Some(subkey) => Some(&subkey.key),
        None => primary.sign().then_some(&key.primary_key as &dyn SigningKey),
    }
}

/// What a primary key may be used for; none if it is revoked or has expired.
fn primary_flags(details: &SignedKeyDetails, created: Timestamp, now: UtcTime) -> Option<KeyFlags> {
    if !details.revocation_signatures.is_empty() {
        return None;
    }
    let certifications = details.users.iter().flat_map(|user| &user.signatures);
    let newest = certifications
        .chain(&details.direct_signatures)
        .filter(|signature| signature.typ() != Some(SignatureType::CertRevocation))
        .max_by_key(|signature| signature.created())?;
    is_current(newest, created, now).then(|| newest.key_flags())
}

fn subkey_flags(signatures: &[Signature], key: &impl KeyDetails, now: UtcTime) -> Option<KeyFlags> {
    if signatures.iter().any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation)) {
        return None;
    }
    let newest = signatures.iter().max_by_key(|signature| signature.created())?;
    is_current(newest, key.created_at(), now).then(|| newest.key_flags())
}

fn is_current(signature: &Signature, created: Timestamp, now: UtcTime) -> bool {
    let life = signature.key_expiration_time().map_or(0, |life| i64::from(life.as_secs()));
    life == 0 || now.millis() / 1000 < i64::from(created.as_secs()) + life
}

/// Makes a key for signing and for decrypting, in the form that GnuPG 2.2 reads.
fn make(path: &Path, name: &str) -> Result<SignedSecretKey, EncryptionError> {
    let failed = |error: &dyn std::fmt::Display| EncryptionError::OpenPgp(error.to_string());
    let encrypting = SubkeyParamsBuilder::default()
        .key_type(KeyType::ECDH(ECCCurve::Curve25519Legacy))
        .can_encrypt(EncryptionCaps::All)
        .build()
        .map_err(|error| failed(&error))?;
    let parameters = SecretKeyParamsBuilder::default()
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(true)
        .can_encrypt(EncryptionCaps::None)
        .primary_user_id(name.to_owned())
        .subkeys(vec![encrypting])
        .build()
        .map_err(|error| failed(&error))?;
    let key = parameters.generate(OsRng).map_err(|error| failed(&error))?;
    let text = Zeroizing::new(key.to_armored_bytes(ArmorOptions::default()).map_err(|error| failed(&error))?);
    let file = fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
        .map_err(file_error(path))?;
    Ok(key)
}

fn read(path: &Path) -> Result<Vec<u8>, EncryptionError> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(KEY_LIMIT).read_to_end(&mut bytes))
        .map_err(file_error(path))?;
    Ok(bytes)
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> EncryptionError {
    let path = path.display().to_string();
    move |error| EncryptionError::Io { path, error }
}

fn refused(path: &Path, reason: impl ToString) -> EncryptionError {
    EncryptionError::Key { path: path.display().to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use pgp::composed::Message;

    use super::*;

    fn now() -> UtcTime {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        UtcTime::from_seconds(now.as_secs() as i64)
    }

    /// A recipient, with the secret key.
    fn recipient(folder: &Path, name: &str) -> (Recipient, SignedSecretKey) {
        let secret = make(&folder.join(name), name).unwrap();
        let public = folder.join(format!("{name}.pub"));
        let key = secret.to_public_key();
        fs::write(&public, key.to_armored_string(ArmorOptions::default()).unwrap()).unwrap();
        (Recipient::open(&public, now()).unwrap(), secret)
    }

    /// Decrypts and checks the signature.
    fn open(encrypted: &[u8], key: &SignedSecretKey, signer: &SignedPublicKey) -> Option<Vec<u8>> {
        let message = Message::from_bytes(encrypted).ok()?;
        let mut message = message.decrypt(&Password::empty(), key).ok()?;
        let plain = message.as_data_vec().ok()?;
        message.verify(signer).ok()?;
        Some(plain)
    }

    #[test]
    fn each_member_reads_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("signer.asc");
        let mut encryption = Encryption::open(&file, "CW/GOV/1/ss1", now()).unwrap();
        // The second time it is read rather than made.
        let again = Encryption::open(&file, "other", now()).unwrap();
        assert_eq!(again.public_key(), encryption.public_key());
        let own = again.signer;
        let signer = own.to_public_key();
        let member = |code| MemberId::new("CW", "GOV", code).unwrap();
        let (first, first_key) = recipient(folder.path(), "first");
        let (default, default_key) = recipient(folder.path(), "default");
        let octets: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        let encrypt = |encryption: &Encryption, member: Option<&MemberId>| {
            let mut encrypted = Vec::new();
            encryption.encrypt(member, ("a.zip", &octets[..]), &mut encrypted, now()).unwrap();
            encrypted
        };
        let of_nobody = encrypt(&encryption, Some(&member("1")));
        assert_eq!(open(&of_nobody, &own, &signer).as_ref(), Some(&octets));
        encryption.add_member(member("1"), first);
        encryption.add_default(default);
        let of_first = encrypt(&encryption, Some(&member("1")));
        assert_eq!(open(&of_first, &first_key, &signer).as_ref(), Some(&octets));
        assert!(open(&of_first, &default_key, &signer).is_none(), "another's key");
        assert!(open(&of_first, &first_key, &default_key.to_public_key()).is_none(), "another's signature");
        for member in [Some(member("2")), None] {
            let of_others = encrypt(&encryption, member.as_ref());
            assert_eq!(open(&of_others, &default_key, &signer).as_ref(), Some(&octets));
        }
        let mut changed = of_first.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        assert!(open(&changed, &first_key, &signer).is_none(), "changed");
    }

    #[test]
    fn keys_that_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("signer.asc");
        let key = make(&file, "signer").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Encryption::open(&file, "signer", now()), Err(EncryptionError::Key { .. })));
        let public = folder.path().join("public");
        fs::write(&public, "no key").unwrap();
        assert!(matches!(Recipient::open(&public, now()), Err(EncryptionError::Key { .. })));
        let missing = folder.path().join("missing");
        assert!(matches!(Recipient::open(&missing, now()), Err(EncryptionError::Io { .. })));
        let mut locked = key.clone();
        locked.primary_key.set_password(OsRng, &"secret".into()).unwrap();
        let file = folder.path().join("locked.asc");
        fs::write(&file, locked.to_armored_bytes(ArmorOptions::default()).unwrap()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(Encryption::open(&file, "signer", now()), Err(EncryptionError::Key { .. })));
    }
}
