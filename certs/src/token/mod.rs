//! Tokens: where private keys lie, with their certificates.
//!
//! Global configuration and trust §18; signatures and evidence §7.1 and §7.2. There are two kinds: the
//! [`SoftwareToken`], a folder with encrypted keys, and, with the Cargo feature `pkcs11`, the
//! [`HardwareToken`], a device whose keys never leave it. Both keep the list of keys and the certificates
//! in a folder of their own, so certificates and their status are there while a device is not.

#[cfg(feature = "pkcs11")]
mod hardware;
mod index;
mod seal;
mod shelf;
mod software;

use std::path::PathBuf;
use std::sync::Arc;

use protocol::time::UtcTime;

#[cfg(feature = "pkcs11")]
pub use hardware::{HardwareToken, HardwareTokenSettings, SlotChoice};
pub use index::CertificateStatus;
pub use software::SoftwareToken;

use crate::certificate::{Certificate, CertificateUsage};
use crate::key::{KeyError, KeyKind, PrivateKey};

/// A place of keys and certificates.
pub trait Token: Send + Sync {
    /// A name for people.
    fn name(&self) -> String;

    /// Whether its keys can sign now. A device that was lost is looked for here, which may take as long
    /// as the device does.
    fn is_active(&self) -> bool;

    /// All keys with their certificates, also while the token is not active.
    fn keys(&self) -> Vec<TokenKey>;

    /// Generates a key.
    ///
    /// # Errors
    /// No randomness, a kind that the token does not know, or it cannot be written.
    fn generate(&self, kind: KeyKind, usage: CertificateUsage, name: &str) -> Result<TokenKey, TokenError>;

    /// Removes a key with its certificates. There is no way back.
    ///
    /// # Errors
    /// No such key, or the token cannot be written.
    fn remove_key(&self, id: &str) -> Result<(), TokenError>;

    /// Imports a certificate: its key must be on the token and be for the same use, and it must not have
    /// expired. It starts active, `registered` when it signs and `saved` when it authenticates. The path
    /// to an approved CA and the member it names are for the caller to check, who has the trust store.
    ///
    /// # Errors
    /// A rule that does not hold, or the folder cannot be written.
    fn import_certificate(&self, certificate: &Certificate, at: UtcTime) -> Result<TokenKey, TokenError>;

    /// Sets the status of a certificate.
    ///
    /// # Errors
    /// No such certificate, or the folder cannot be written.
    fn set_status(&self, certificate: &Certificate, status: CertificateStatus) -> Result<(), TokenError>;

    /// Switches a certificate on or off.
    ///
    /// # Errors
    /// No such certificate, or the folder cannot be written.
    fn set_active(&self, certificate: &Certificate, active: bool) -> Result<(), TokenError>;

    /// Removes a certificate; its key stays.
    ///
    /// # Errors
    /// No such certificate, or the folder cannot be written.
    fn remove_certificate(&self, certificate: &Certificate) -> Result<(), TokenError>;
}

/// A key of a token with its certificates, as it was when it was asked for.
#[derive(Clone)]
pub struct TokenKey {
    /// 40 hexadecimal digits.
    pub id: String,
    /// Shown to people.
    pub name: String,
    /// What it is for; set when it was made.
    pub usage: CertificateUsage,
    /// The key itself.
    pub key: Arc<PrivateKey>,
    /// Its certificates in the order of import.
    pub certificates: Vec<TokenCertificate>,
}

/// A certificate of a key.
#[derive(Clone, Debug)]
pub struct TokenCertificate {
    /// The certificate.
    pub certificate: Certificate,
    /// Where it stands in its life.
    pub status: CertificateStatus,
    /// The operator's switch.
    pub active: bool,
}

/// Why the token did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The PIN does not open the token.
    #[error("the PIN is wrong")]
    WrongPin,
    /// A PIN that is empty or longer than 1000 bytes.
    #[error("a PIN has between 1 and 1000 bytes")]
    UnusablePin,
    /// The PIN is weaker than [`check_pin_policy`] demands.
    #[error("a PIN has at least 10 printable ASCII characters of three kinds: lower, upper, digit, other")]
    WeakPin,
    /// There is a token in the folder already.
    #[error("the folder holds a token already")]
    Exists,
    /// The token is closed; its PIN opens it.
    #[error("the token is not logged in")]
    NotActive,
    /// There is no token in the folder.
    #[error("the folder holds no token")]
    NotInitialized,
    /// A file of the token is not what the token wrote.
    #[error("{0} is damaged")]
    Damaged(PathBuf),
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// No key of the token belongs to the certificate, or no key has this id.
    #[error("the token has no such key")]
    KeyNotFound,
    /// The key is on the token already.
    #[error("the token has this key already")]
    KeyExists,
    /// The certificate is on the token already.
    #[error("the token has this certificate already")]
    CertificateExists,
    /// The certificate is not on the token.
    #[error("the token has no such certificate")]
    CertificateNotFound,
    /// The certificate is for signing and for authentication, for neither, or not for what its key is.
    #[error("the certificate is not for what its key is for")]
    WrongUsage,
    /// The certificate has expired.
    #[error("the certificate has expired")]
    Expired,
    /// Making or reading a key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no randomness, or encryption failed.
    #[error("encryption failed")]
    Sealing,
    /// The device does not do what was asked; also while it is not there.
    #[error("{token}: {reason}")]
    Device {
        /// Its name.
        token: String,
        /// What it said.
        reason: String,
    },
}

impl TokenError {
    /// The code by which X-Road's administration interface calls it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongPin => "token_pin_incorrect",
            Self::UnusablePin | Self::WeakPin => "token_pin_policy_failure",
            Self::Exists => "token_already_initialized",
            Self::NotInitialized => "token_not_initialized",
            Self::KeyNotFound => "key_not_found",
            Self::CertificateExists => "cert_exists",
            Self::CertificateNotFound => "cert_not_found",
            Self::WrongUsage => "wrong_cert_usage",
            Self::Expired => "cert_import_failed",
            Self::NotActive | Self::Device { .. } => "token_not_active",
            Self::Damaged(_) | Self::File { .. } | Self::KeyExists | Self::Key(_) | Self::Sealing => {
                "internal_error"
            }
        }
    }
}

/// The PIN policy that some countries demand (signatures and evidence §7.1): at least 10 printable ASCII
/// characters of at least three of the kinds lower case, upper case, digit, other.
pub fn check_pin_policy(pin: &str) -> Result<(), TokenError> {
    let kinds: [fn(&u8) -> bool; 4] =
        [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit, |letter| {
            !letter.is_ascii_alphanumeric()
        }];
    let printable = pin.bytes().all(|letter| (32..=126).contains(&letter));
    let present = kinds.iter().filter(|kind| pin.bytes().any(|letter| kind(&letter))).count();
    if pin.len() >= 10 && printable && present >= 3 { Ok(()) } else { Err(TokenError::WeakPin) }
}

#[cfg(test)]
mod tests;
