//! One device: login, and a session for every key in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::error::{Error, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use protocol::signature::SignatureAlgorithm;

use super::library::{Access, Library};
use super::objects::{self, Found};
use super::{HardwareTokenSettings, SlotChoice};
use crate::key::{DeviceKey, KeyError, KeyKind};
use crate::token::TokenError;

/// Why a device does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeviceError {
    /// It refused the PIN, now or before.
    #[error("the PIN was refused; it is not tried again until the node is started again")]
    Pin,
    /// It has locked the PIN.
    #[error("the PIN is locked")]
    Locked,
    /// It, or its library, answered with an error.
    #[error("{0}")]
    Library(#[from] Error),
    /// What else is wrong.
    #[error("{0}")]
    Told(String),
}

impl DeviceError {
    pub(super) fn of_token(self, token: &str) -> TokenError {
        match self {
            Self::Pin => TokenError::WrongPin,
            other => TokenError::Device { token: token.to_owned(), reason: other.to_string() },
        }
    }
}

/// A device, there or not.
pub(super) struct Device {
    settings: HardwareTokenSettings,
    /// Keeps the login: it ends with the last session.
    login: Mutex<Option<Open>>,
    pin_refused: AtomicBool,
}

/// A session of a certain run of the library.
struct Open {
    session: Option<Session>,
    generation: u64,
}

impl Open {
    fn of(&self, access: &Access<'_>) -> Option<&Session> {
        self.session.as_ref().filter(|_| self.generation == access.generation())
    }

    /// Lets go of a session. One of an earlier run of the library must not be closed: its number may be
    /// that of a session of this run.
    fn drop_in(mut self, access: &Access<'_>) {
        if self.generation != access.generation()
            && let Some(session) = self.session.take()
        {
            std::mem::forget(session);
        }
    }
}

impl Device {
    pub(super) fn new(settings: HardwareTokenSettings) -> Self {
        Self { settings, login: Mutex::default(), pin_refused: AtomicBool::new(false) }
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Whether it can sign now; looks for it when it was lost.
    pub(super) fn is_active(&self) -> bool {
        match self.log_in() {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(token = self.name(), %error, "the token is not active");
                false
            }
        }
    }

    /// Logs in unless that was done.
    pub(super) fn log_in(&self) -> Result<(), DeviceError> {
        self.with_restart(|access| self.keep_login(access))
    }

    pub(super) fn list_keys(&self) -> Result<Vec<Found>, DeviceError> {
        self.with_restart(|access| objects::list(&self.open_session(access)?))
    }

    pub(super) fn generate(&self, kind: KeyKind, id: &[u8], label: &str) -> Result<Vec<u8>, DeviceError> {
        self.log_in()?;
        let library = self.library()?;
        // Not tried twice: the first try may have made a key.
        let access = library.access();
        objects::generate(&self.open_session(&access)?, kind, id, label)
    }

    pub(super) fn remove_key(&self, id: &[u8]) -> Result<(), DeviceError> {
        self.with_restart(|access| objects::remove(&self.open_session(access)?, id))
    }

    fn library(&self) -> Result<Arc<Library>, DeviceError> {
        Ok(Library::load(&self.settings.library)?)
    }

    /// Does something with the device. When that fails, the library is started anew, unless that was done
    /// just now, and it is done again.
    fn with_restart<T>(
        &self,
        action: impl Fn(&Access<'_>) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let library = self.library()?;
        let first = action(&library.access());
        match first {
            Err(DeviceError::Library(_) | DeviceError::Told(_)) if library.restart()? => {
                tracing::debug!(token = self.name(), "the library was started anew");
                action(&library.access())
            }
            other => other,
        }
    }

    /// A session in which the user is logged in.
    fn open_session(&self, access: &Access<'_>) -> Result<Session, DeviceError> {
        self.keep_login(access)?;
        let slot = self.slot(access)?;
        Ok(access.context().open_rw_session(slot)?)
    }

    fn keep_login(&self, access: &Access<'_>) -> Result<(), DeviceError> {
        let mut login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        let state = login
            .as_ref()
            .and_then(|open| open.of(access))
            .map(|session| session.get_session_info().map(|info| info.session_state()));
        let slot = self.slot(access)?;
        if let Some(Ok(SessionState::RwUser | SessionState::RoUser)) = state {
            return Ok(());
        }
        if let Some(open) = login.take() {
            open.drop_in(access);
        }
        if self.pin_refused.load(Ordering::Relaxed) {
            return Err(DeviceError::Pin);
        }
        if access.context().get_token_info(slot)?.user_pin_locked() {
            return Err(DeviceError::Locked);
        }
        let session = access.context().open_rw_session(slot)?;
        let pin = AuthPin::new(self.settings.pin.as_str().into());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(Error::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange | RvError::PinExpired,
                _,
            )) => {
                self.pin_refused.store(true, Ordering::Relaxed);
                return Err(DeviceError::Pin);
            }
            Err(Error::Pkcs11(RvError::PinLocked, _)) => return Err(DeviceError::Locked),
            Err(error) => return Err(error.into()),
        }
        tracing::info!(token = self.name(), "logged in to the token");
        *login = Some(Open { session: Some(session), generation: access.generation() });
        Ok(())
    }

    /// The slot with the token; this asks the device, so it shows whether the token is there.
    fn slot(&self, access: &Access<'_>) -> Result<Slot, DeviceError> {
        let context = access.context();
        for slot in context.get_slots_with_token()? {
            let Ok(info) = context.get_token_info(slot) else { continue };
            let is_it = match &self.settings.slot {
                SlotChoice::Number(number) => slot.id() == *number,
                SlotChoice::Label(label) => info.label().trim_end() == label,
                SlotChoice::Serial(serial) => info.serial_number().trim_end() == serial,
            };
            if is_it && info.token_initialized() {
                return Ok(slot);
            }
        }
        Err(DeviceError::Told("the token is not there".to_owned()))
    }
}

/// A key of a device, with a session of its own while it is in use.
pub(super) struct OnDevice {
    device: Arc<Device>,
    id: Vec<u8>,
    kind: KeyKind,
    open: Mutex<Option<(Open, ObjectHandle)>>,
}

impl OnDevice {
    pub(super) fn new(device: Arc<Device>, id: Vec<u8>, kind: KeyKind) -> Self {
        Self { device, id, kind, open: Mutex::default() }
    }

    fn sign(
        &self,
        access: &Access<'_>,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
    ) -> Result<Vec<u8>, DeviceError> {
        let unusable = || DeviceError::Told("the device cannot sign with this algorithm".to_owned());
        let (mechanism, input) = objects::mechanism(algorithm, self.kind, digest).ok_or_else(unusable)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((session, key)) =
            open.as_ref().and_then(|(open, key)| open.of(access).map(|session| (session, *key)))
            && let Ok(signature) = session.sign(&mechanism, key, &input)
        {
            return Ok(signature);
        }
        if let Some((stale, _)) = open.take() {
            stale.drop_in(access);
        }
        let session = self.device.open_session(access)?;
        let key = objects::find_private(&session, &self.id)?;
        let signature = session.sign(&mechanism, key, &input)?;
        *open = Some((Open { session: Some(session), generation: access.generation() }, key));
        Ok(signature)
    }
}

impl DeviceKey for OnDevice {
    fn sign_digest(&self, algorithm: SignatureAlgorithm, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signed = self.device.with_restart(|access| self.sign(access, algorithm, digest));
        signed.map_err(|error| KeyError::Device(format!("{}: {error}", self.device.name())))
    }
}
