//! The pilot certification authority with its OCSP responder and time-stamping authority.
//!
//! For pilots and tests: one root that signs everything, a responder and a time-stamp key below it. It
//! follows what X-Road servers expect (global configuration and trust §14, §16; signatures and evidence
//! §3). What it lacks of a real authority: intermediate CAs, revocation lists, hardware keys, and
//! people who look at requests. The only IO is its folder; the time comes in as an argument.

mod answers;
mod issue;
mod state;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::fault::Fault;
use protocol::time::UtcTime;
use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, CertificateError, CertificateUsage};
use crate::files::{create_folder, write_atomically};
use crate::key::{KeyError, KeyKind, PrivateKey};
use crate::ocsp::CertificateStatus;
use crate::profile;
use crate::request::{CertificateRequest, RequestError};
use crate::token::{SoftwareToken, TokenError};
use issue::{Template, usage};
use state::{Index, Revoked};

/// How far before now certificates start, so that a clock that is slightly behind takes them.
const BACKDATED: Duration = Duration::from_secs(60);
/// The last file that is written when an authority is made.
const SETTINGS: &str = "settings.json";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What an authority is made with; kept in its folder.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Organization in the names of its three certificates.
    pub organization: String,
    /// Instance identifier of the federation it serves; signing certificates name members of it.
    pub instance: String,
    /// Class name of the certificate profile (global configuration and trust §14.4).
    pub certificate_profile: String,
    /// Address of its OCSP responder, written into certificates.
    pub ocsp_url: Option<String>,
    /// Days its own three certificates are valid.
    pub authority_days: u32,
    /// Days an issued certificate is valid, at most as long as its own.
    pub certificate_days: u32,
}

impl Settings {
    /// Settings for a federation: twenty years for the authority, two for certificates, Ejbca profile.
    pub fn for_instance(instance: &str) -> Self {
        Self {
            organization: format!("{instance} pilot"),
            instance: instance.to_owned(),
            certificate_profile:
                "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider".to_owned(),
            ocsp_url: None,
            authority_days: 20 * 365,
            certificate_days: 2 * 365,
        }
    }
}

/// What a certificate is issued for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Mutual TLS between security servers.
    Authentication,
    /// Signatures of one member; the subject must name it as the profile says.
    Signing,
    /// TLS of an information system or of a web server.
    Tls,
}

impl Purpose {
    /// The purpose of this name: `auth`, `sign` or `tls`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auth" => Some(Self::Authentication),
            "sign" => Some(Self::Signing),
            "tls" => Some(Self::Tls),
            _ => None,
        }
    }
}

/// Why the authority did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The request is malformed or its signature does not verify.
    #[error("the certificate request is refused: {0}")]
    Request(#[from] RequestError),
    /// The subject of a signing certificate names no member of the instance.
    #[error("the subject names no member: {0}")]
    Subject(Fault),
    /// Nothing was issued with this serial number.
    #[error("no certificate of this serial number was issued")]
    UnknownSerial,
    /// The folder holds an authority already, or something else.
    #[error("there is something in the folder already")]
    Exists,
    /// A file of the folder does not belong to the others.
    #[error("the folder of the authority is damaged: {0}")]
    Damaged(String),
    /// The keys: wrong PIN, or damaged.
    #[error("the keys cannot be opened")]
    Token(#[from] TokenError),
    /// A key does not work.
    #[error("a key failed")]
    Key(#[from] KeyError),
    /// A certificate does not parse.
    #[error("a certificate is damaged")]
    Certificate(#[from] CertificateError),
    /// The folder.
    #[error("the folder of the authority failed")]
    Io(#[from] io::Error),
}

/// A key with its certificate.
struct Signer {
    key: Arc<PrivateKey>,
    certificate: Certificate,
}

/// A certification authority, an OCSP responder and a time-stamping authority in one folder.
pub struct PilotCa {
    settings: Settings,
    root: Signer,
    responder: Signer,
    timestamper: Signer,
    index: Mutex<Index>,
}

impl PilotCa {
    /// Whether there is an authority in the folder.
    pub fn exists(folder: &Path) -> bool {
        folder.join(SETTINGS).exists()
    }

    /// Makes an authority in a folder that is empty or does not exist yet; its keys are on P-256.
    ///
    /// Everything is made in a folder beside it and then renamed, so a crash leaves no half of one.
    ///
    /// # Errors
    /// [`CaError::Exists`], and whatever the keys and the folder can fail with.
    pub fn create(folder: &Path, pin: &str, settings: &Settings, now: UtcTime) -> Result<Self, CaError> {
        if folder.exists() && fs::read_dir(folder)?.next().is_some() {
            return Err(CaError::Exists);
        }
        let mut beside = folder.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        if beside.exists() {
            fs::remove_dir_all(&beside)?;
        }
        create_folder(&beside)?;
        let token = SoftwareToken::create(&beside.join("keys"), pin)?;
        let mut index = Index::open(&beside)?;
        let not_before = now.minus(BACKDATED);
        let not_after = now.plus(DAY * settings.authority_days);
        let key = |name| token.generate(KeyKind::P256, CertificateUsage::Signing, name).map(|made| made.key);

        let root_key = key("ca")?;
        let root_name = issue::name(&settings.organization, "Root CA");
        let root = Template {
            serial: &state::random_serial()?,
            issuer: &root_name,
            subject: &root_name,
            not_before,
            not_after,
            public_key: root_key.public_key(),
            is_authority: true,
            key_usage: usage::CERTIFICATE_SIGN | usage::CRL_SIGN,
            extended: None,
            names: &[],
            ocsp_url: None,
            is_responder: false,
        };
        let root_certificate = Certificate::from_der(issue::certificate(&root, &root_key)?)?;
        write_atomically(&beside.join("ca.pem"), root_certificate.to_pem().as_bytes())?;

        let below = [
            ("ocsp.pem", "OCSP responder", issue::OCSP_SIGNING),
            ("tsa.pem", "Time-stamping authority", issue::TIME_STAMPING),
        ];
        for (file, common_name, purpose) in below {
            let is_responder = purpose == issue::OCSP_SIGNING;
            let key = key(file)?;
            let template = Template {
                serial: &state::random_serial()?,
                subject: &issue::name(&settings.organization, common_name),
                public_key: key.public_key(),
                is_authority: false,
                key_usage: usage::DIGITAL_SIGNATURE | if is_responder { 0 } else { usage::NON_REPUDIATION },
                extended: Some((!is_responder, &[purpose])),
                ocsp_url: settings.ocsp_url.as_deref().filter(|_| !is_responder),
                is_responder,
                ..root
            };
            let certificate = Certificate::from_der(issue::certificate(&template, &root_key)?)?;
            index.add(&certificate)?;
            write_atomically(&beside.join(file), certificate.to_pem().as_bytes())?;
        }
        let text = serde_json::to_vec_pretty(settings).map_err(io::Error::from)?;
        write_atomically(&beside.join(SETTINGS), &text)?;
        drop(token);
        fs::rename(&beside, folder)?;
        Self::open(folder, pin)
    }

    /// Opens the authority in a folder.
    ///
    /// # Errors
    /// A wrong PIN, or files that are missing or do not fit together.
    pub fn open(folder: &Path, pin: &str) -> Result<Self, CaError> {
        let settings = serde_json::from_slice(&fs::read(folder.join(SETTINGS))?)
            .map_err(|error| CaError::Damaged(format!("{SETTINGS}: {error}")))?;
        let token = SoftwareToken::open(&folder.join("keys"), pin)?;
        let signer = |file: &str| -> Result<Signer, CaError> {
            let certificate = Certificate::from_pem(&fs::read_to_string(folder.join(file))?)?;
            let key = token
                .key_of(&certificate)
                .ok_or_else(|| CaError::Damaged(format!("there is no key for {file}")))?;
            Ok(Signer { key: key.key, certificate })
        };
        Ok(Self {
            settings,
            root: signer("ca.pem")?,
            responder: signer("ocsp.pem")?,
            timestamper: signer("tsa.pem")?,
            index: Mutex::new(Index::open(folder)?),
        })
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The root certificate: what a registry approves as a certification service.
    pub fn certificate(&self) -> &Certificate {
        &self.root.certificate
    }

    /// The certificate of the OCSP responder.
    pub fn ocsp_certificate(&self) -> &Certificate {
        &self.responder.certificate
    }

    /// The certificate of the time-stamping authority.
    pub fn timestamp_certificate(&self) -> &Certificate {
        &self.timestamper.certificate
    }

    /// Issues a certificate for a request in PEM or DER. The subject and the DNS names are taken over, and
    /// nothing else that the request may ask for.
    ///
    /// # Errors
    /// [`CaError::Request`], [`CaError::Subject`], and failures of the key and the folder.
    pub fn issue(&self, request: &[u8], purpose: Purpose, now: UtcTime) -> Result<Certificate, CaError> {
        let request = CertificateRequest::from_pem_or_der(request)?;
        let (key_usage, extended): (u8, Option<(bool, &[_])>) = match purpose {
            Purpose::Authentication => (
                usage::DIGITAL_SIGNATURE | usage::KEY_ENCIPHERMENT | usage::DATA_ENCIPHERMENT,
                Some((false, &[issue::CLIENT_AUTH, issue::SERVER_AUTH])),
            ),
            Purpose::Signing => (usage::NON_REPUDIATION, None),
            Purpose::Tls => {
                (usage::DIGITAL_SIGNATURE, Some((false, &[issue::SERVER_AUTH, issue::CLIENT_AUTH])))
            }
        };
        let root = &self.root.certificate;
        let not_after = now.plus(DAY * self.settings.certificate_days).min(root.not_after());
        let template = Template {
            serial: &state::random_serial()?,
            issuer: root.subject_der(),
            subject: request.subject.der(),
            not_before: now.minus(BACKDATED).max(root.not_before()),
            not_after,
            public_key: &request.public_key,
            is_authority: false,
            key_usage,
            extended,
            names: &request.dns_names,
            ocsp_url: self.settings.ocsp_url.as_deref(),
            is_responder: false,
        };
        let certificate = Certificate::from_der(issue::certificate(&template, &self.root.key)?)?;
        if purpose == Purpose::Signing {
            profile::member_of(&self.settings.certificate_profile, &certificate, &self.settings.instance)
                .and_then(|member| {
                    if member.instance() == self.settings.instance {
                        Ok(())
                    } else {
                        Err(Fault::new(
                            protocol::fault::code::INCORRECT_CERTIFICATE,
                            format!("{member} is of another instance"),
                        ))
                    }
                })
                .map_err(CaError::Subject)?;
        }
        self.index().add(&certificate)?;
        Ok(certificate)
    }

    /// Revokes a certificate by the octets of its serial number, with a CRLReason; 0 is *unspecified*.
    ///
    /// # Errors
    /// [`CaError::UnknownSerial`], and failures of the folder.
    pub fn revoke(&self, serial: &[u8], reason: u8, now: UtcTime) -> Result<(), CaError> {
        if self.index().revoke(serial, Revoked::new(now, reason))? {
            Ok(())
        } else {
            Err(CaError::UnknownSerial)
        }
    }

    /// The status of a certificate by the octets of its serial number.
    pub fn status(&self, serial: &[u8]) -> CertificateStatus {
        match self.index().get(serial) {
            None => CertificateStatus::Unknown,
            Some(entry) => match entry.revoked {
                None => CertificateStatus::Good,
                // CRLReason unspecified is not written (RFC 5280 §5.3.1).
                Some(revoked) => CertificateStatus::Revoked(
                    revoked.at(),
                    Some(revoked.reason).filter(|reason| *reason != 0),
                ),
            },
        }
    }

    /// All certificates it issued, in no order, with their status.
    pub fn issued(&self) -> Vec<(Certificate, CertificateStatus)> {
        let certificates: Vec<Certificate> =
            self.index().certificates().map(|entry| entry.certificate.clone()).collect();
        certificates
            .into_iter()
            .map(|certificate| {
                let status = self.status(certificate.serial());
                (certificate, status)
            })
            .collect()
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
