//! The token of the registry, and the keys in it that sign configuration.
//!
//! Global configuration and trust §11; registry and administration §1.8. Which key is whose and which is
//! active is a record of the instance; the private parts are in a software token that is made at
//! initialisation. Nobody is logged in to it after a start unless the operator's file gives the PIN.
//! While nobody is, what is published stays, and nothing new is signed.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use certs::token::{SoftwareToken, TokenError, check_pin_policy};

use super::{Refusal, Rules};

/// The id of the software token.
pub const SOFTWARE_TOKEN: &str = "0";

/// The tokens of a registry.
pub struct Tokens {
    folder: PathBuf,
    /// The software token, while somebody is logged in.
    software: RwLock<Option<SoftwareToken>>,
}

impl Tokens {
    /// The software token in a folder, made or not. Nobody is logged in.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, software: RwLock::new(None) }
    }

    /// The folder of the software token.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether there is a software token.
    pub fn is_initialised(&self) -> bool {
        SoftwareToken::exists(&self.folder)
    }

    /// Whether somebody is logged in to the software token.
    pub fn is_active(&self) -> bool {
        self.software.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Makes the software token. Nobody is logged in then.
    pub(super) fn create(&self, pin: &str, rules: &Rules) -> Result<(), Refusal> {
        if rules.pin_policy && check_pin_policy(pin).is_err() {
            return Err(if pin.is_ascii() { Refusal::WeakPin } else { Refusal::PinCharacters });
        }
        SoftwareToken::create(&self.folder, pin).map(drop).map_err(|error| match error {
            TokenError::UnusablePin | TokenError::WeakPin => Refusal::WeakPin,
            other => Refusal::TokenNotMade(other.to_string()),
        })
    }

    /// Logs in to a token.
    ///
    /// # Errors
    /// There is no such token, or somebody is logged in already; the PIN is wrong.
    pub fn login(&self, token: &str, pin: &str) -> Result<(), Refusal> {
        if token != SOFTWARE_TOKEN || !self.is_initialised() {
            return Err(Refusal::TokenNotFound(token.to_owned()));
        }
        if self.is_active() {
            return Err(Refusal::TokenAction);
        }
        // Deriving a key from the PIN takes its time, and signing must not wait for it.
        let opened = SoftwareToken::open(&self.folder, pin).map_err(|error| match error {
            TokenError::WrongPin | TokenError::UnusablePin => Refusal::WrongPin,
            other => Refusal::TokenFailed(other.to_string()),
        })?;
        *self.software.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Ok(())
    }

    /// Logs out of a token: its keys leave the memory.
    ///
    /// # Errors
    /// There is no such token, or nobody is logged in.
    pub fn logout(&self, token: &str) -> Result<(), Refusal> {
        if token != SOFTWARE_TOKEN || !self.is_initialised() {
            return Err(Refusal::TokenNotFound(token.to_owned()));
        }
        let mut software = self.software.write().unwrap_or_else(PoisonError::into_inner);
        software.take().map(drop).ok_or(Refusal::TokenAction)
    }
}
