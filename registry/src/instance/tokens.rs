//! The token of the registry: where the private parts of its signing keys are.
//!
//! The software token is made at initialisation. Nobody is logged in to it after a start, unless the
//! operator's file gives the PIN. While nobody is, what is published stays and nothing new is signed.

use std::sync::{PoisonError, RwLock};

use certs::certificate::{Certificate, CertificateUsage};
use certs::key::{KeyKind, SignatureForm};
use certs::self_signed;
use certs::token::{SoftwareToken, TokenError, check_pin_policy};
use protocol::time::UtcTime;

use super::model::ConfigurationKey;
use super::{Refusal, Rules};
use crate::keys::{KeySettings, KeysError, Signed};
use crate::publish::SourceKind;

/// The id of the software token.
pub const SOFTWARE_TOKEN: &str = "0";

/// The tokens of a registry.
pub struct Tokens {
    settings: KeySettings,
    /// The software token, while somebody is logged in.
    software: RwLock<Option<SoftwareToken>>,
}

impl Tokens {
    /// The software token in the folder of the settings, made or not. Nobody is logged in.
    pub(super) fn new(settings: KeySettings) -> Self {
        Self { settings, software: RwLock::new(None) }
    }

    pub(super) fn settings(&self) -> &KeySettings {
        &self.settings
    }

    /// Whether there is a software token.
    pub fn is_initialised(&self) -> bool {
        SoftwareToken::exists(&self.settings.folder)
    }

    /// Whether somebody is logged in to the software token.
    pub fn is_active(&self) -> bool {
        self.software.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Makes the software token. Nobody is logged in then.
    pub(super) fn create(&self, pin: &str, rules: &Rules) -> Result<(), Refusal> {
        check_pin(pin, rules)?;
        SoftwareToken::create(&self.settings.folder, pin).map(drop).map_err(|error| match error {
            TokenError::UnusablePin | TokenError::WeakPin => Refusal::WeakPin,
            other => Refusal::TokenNotMade(other.to_string()),
        })
    }

    pub(super) fn login(&self, token: &str, pin: &str) -> Result<(), Refusal> {
        self.find(token)?;
        if self.is_active() {
            return Err(Refusal::TokenAction);
        }
        // Deriving a key from the PIN takes its time, and signing must not wait for it.
        let opened = SoftwareToken::open(&self.settings.folder, pin).map_err(refusal)?;
        *self.software.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Ok(())
    }

    pub(super) fn logout(&self, token: &str) -> Result<(), Refusal> {
        self.find(token)?;
        let mut software = self.software.write().unwrap_or_else(PoisonError::into_inner);
        software.take().map(drop).ok_or(Refusal::TokenAction)
    }

    pub(super) fn change_pin(&self, token: &str, old: &str, new: &str, rules: &Rules) -> Result<(), Refusal> {
        self.find(token)?;
        check_pin(new, rules)?;
        let software = self.software.read().unwrap_or_else(PoisonError::into_inner);
        let software = software.as_ref().ok_or(Refusal::TokenAction)?;
        software.change_pin(old, new).map_err(refusal)
    }

    pub(super) fn find(&self, token: &str) -> Result<(), Refusal> {
        if token == SOFTWARE_TOKEN && self.is_initialised() {
            return Ok(());
        }
        Err(Refusal::TokenNotFound(token.to_owned()))
    }

    /// A new key with its container, in the token and not yet of the instance.
    pub(super) fn generate(
        &self,
        source: SourceKind,
        label: &str,
        now: UtcTime,
    ) -> Result<(String, Certificate), Refusal> {
        let software = self.software.read().unwrap_or_else(PoisonError::into_inner);
        let software = software.as_ref().ok_or(Refusal::TokenAction)?;
        let told = |error: &dyn std::fmt::Display| Refusal::KeyNotMade(error.to_string());
        let usage = CertificateUsage::Signing;
        let made = software.generate(self.settings.kind, usage, label).map_err(|error| told(&error))?;
        let name = format!("{}SigningKey", source.name());
        let certificate = self_signed::key_container(&made.key, &name).map_err(|error| told(&error))?;
        software.import_certificate(&certificate, now).map_err(|error| told(&error))?;
        Ok((made.id, certificate))
    }

    /// Removes a key that the instance does not name any more.
    pub(super) fn discard(&self, id: &str) {
        let software = self.software.read().unwrap_or_else(PoisonError::into_inner);
        let Some(software) = software.as_ref() else { return };
        if let Err(error) = software.remove_key(id) {
            // Nobody uses it; it is only there.
            tracing::warn!(%error, id, "a key stays in the token without use");
        }
    }

    /// Signs with a key.
    pub(super) fn sign(&self, key: &ConfigurationKey, octets: &[u8]) -> Result<Signed, KeysError> {
        let software = self.software.read().unwrap_or_else(PoisonError::into_inner);
        let held = software.as_ref().and_then(|software| software.key(&key.id));
        let held = held.ok_or_else(|| KeysError::NoSuchKey { kind: key.source, id: key.id.clone() })?;
        let algorithm = self.settings.algorithm(held.key.kind());
        let value = held.key.sign(algorithm, octets, SignatureForm::Der)?;
        Ok(Signed { algorithm, certificate: key.certificate.to_vec(), value })
    }
}

impl ConfigurationKey {
    /// What kind of key it is; none only if the store was tampered with.
    pub fn kind(&self) -> Option<KeyKind> {
        let certificate = Certificate::from_der(self.certificate.clone()).ok()?;
        KeyKind::of_public_key(certificate.public_key())
    }
}

fn check_pin(pin: &str, rules: &Rules) -> Result<(), Refusal> {
    if rules.pin_policy && check_pin_policy(pin).is_err() {
        return Err(if pin.is_ascii() { Refusal::WeakPin } else { Refusal::PinCharacters });
    }
    Ok(())
}

fn refusal(error: TokenError) -> Refusal {
    match error {
        TokenError::WrongPin => Refusal::WrongPin,
        TokenError::UnusablePin | TokenError::WeakPin => Refusal::WeakPin,
        other => Refusal::TokenFailed(other.to_string()),
    }
}
