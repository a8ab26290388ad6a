//! `token.json`: what is on a token.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::seal::Wrapped;
use crate::certificate::CertificateUsage;

pub(super) const VERSION: u32 = 1;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    pub(super) version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wrapped: Option<Wrapped>, // of a software token
    pub(super) keys: Vec<ListedKey>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListedKey {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) usage: Usage,
    pub(super) public_key: String, // SubjectPublicKeyInfo in base64
    pub(super) certificates: Vec<ListedCertificate>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListedCertificate {
    pub(super) sha256: String, // of the DER, in hexadecimal; names the file
    pub(super) status: CertificateStatus,
    pub(super) active: bool,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Usage {
    Authentication,
    Signing,
}

/// Where a certificate stands in its life (signatures and evidence §7.2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum CertificateStatus {
    /// Imported, and the registry does not know it.
    #[serde(rename = "saved")]
    Saved,
    /// The registration request was sent.
    #[serde(rename = "registration in progress")]
    RegistrationInProgress,
    /// In use: a signing certificate from import on, an authentication certificate from when the global
    /// configuration has it for this server.
    #[serde(rename = "registered")]
    Registered,
    /// The deletion request was sent.
    #[serde(rename = "deletion in progress")]
    DeletionInProgress,
    /// Was registered and is no longer in the global configuration.
    #[serde(rename = "global error")]
    GlobalError,
}

impl CertificateStatus {
    /// The word for it, as X-Road writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::RegistrationInProgress => "registration in progress",
            Self::Registered => "registered",
            Self::DeletionInProgress => "deletion in progress",
            Self::GlobalError => "global error",
        }
    }
}

impl fmt::Display for CertificateStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<CertificateUsage> for Usage {
    fn from(usage: CertificateUsage) -> Self {
        match usage {
            CertificateUsage::Authentication => Self::Authentication,
            CertificateUsage::Signing => Self::Signing,
        }
    }
}

impl From<Usage> for CertificateUsage {
    fn from(usage: Usage) -> Self {
        match usage {
            Usage::Authentication => Self::Authentication,
            Usage::Signing => Self::Signing,
        }
    }
}

impl Index {
    /// Ids become file names, so anything but hexadecimal digits is refused.
    pub(super) fn from_json(json: &[u8]) -> Option<Self> {
        let index: Self = serde_json::from_slice(json).ok()?;
        let hexadecimal = |text: &str, length| {
            text.len() == length && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        };
        let named = index.keys.iter().all(|key| {
            hexadecimal(&key.id, 40) && key.certificates.iter().all(|listed| hexadecimal(&listed.sha256, 64))
        });
        (index.version == VERSION && named).then_some(index)
    }

    pub(super) fn to_json(&self) -> Option<Vec<u8>> {
        serde_json::to_vec_pretty(self).ok()
    }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
