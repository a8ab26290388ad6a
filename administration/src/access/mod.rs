//! Who asks, and whether he may ask at all (registry and administration §5, §6.5).
//!
//! Users come from a file ([`users`]), API keys from the store, sessions live in memory. What somebody may
//! do is decided by the operation table (`api`), by the roles found out here.

mod keys;
mod role;
mod secret;
mod sessions;
mod throttle;
mod users;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

pub(crate) use keys::{ApiKey, ApiKeys, ApiKeysError};
pub use role::{Permission, Role, UnknownRole};
pub(crate) use sessions::NewSession;
use sessions::{NoSession, Sessions};
use throttle::{Failures, RateLimit};
use users::{LONGEST_PASSWORD, Users};
pub use users::{UsersError, list_users, remove_user, set_user, set_user_unchecked};

use crate::settings::{AddressRange, Settings};
use crate::store::{Store, StoreError};

/// The cookie of the session.
pub(crate) const SESSION_COOKIE: &str = "JSESSIONID";
/// The cookie that must come back in [`XSRF_HEADER`].
pub(crate) const XSRF_COOKIE: &str = "XSRF-TOKEN";
pub(crate) const XSRF_HEADER: &str = "x-xsrf-token";

/// Passwords that are looked at at a time. Each takes 19 MiB and some tens of milliseconds.
const PASSWORDS_AT_ONCE: usize = 2;
/// Calls that may wait for that.
const PASSWORDS_WAITING: usize = 32;

/// An administrator who has proved who he is.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The user, or `api-key-<id>`.
    pub name: String,
    /// His roles at this moment.
    pub roles: BTreeSet<Role>,
    /// How he proved it.
    pub means: Means,
}

/// How an administrator proved who he is. The names are those of the audit log (§10).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Means {
    /// A session that began with a login.
    Session,
    /// An API key.
    ApiKey,
    /// User and password with the request.
    Basic,
}

impl Means {
    /// As the audit log writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "Session",
            Self::ApiKey => "ApiKey",
            Self::Basic => "HttpBasicPam",
        }
    }
}

/// Why somebody is not let in.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("log in, or send an API key")]
    NotKnown,
    #[error("the header X-XSRF-TOKEN must repeat the cookie XSRF-TOKEN")]
    Forged,
    #[error("this address may not ask")]
    Address,
    #[error("too many requests; wait a moment")]
    TooMany,
}

/// Keeps users, sessions and keys.
pub struct Access {
    users: Option<Users>,
    sessions: Sessions,
    pub(crate) keys: ApiKeys,
    rate: RateLimit,
    failures: Failures,
    passwords: Semaphore,
    waiting: Semaphore,
    addresses: Vec<AddressRange>,
    key_addresses: Vec<AddressRange>,
}

impl Access {
    /// Opens what is kept in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(settings: &Settings, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let keys = ApiKeys::open(store).map_err(|error| match error {
            ApiKeysError::Store(error) => error,
            error => StoreError::Failed(error.to_string()),
        })?;
        Ok(Self {
            users: settings.users_file.clone().map(Users::new),
            sessions: Sessions::default(),
            keys,
            rate: RateLimit::new(settings.requests_per_second, settings.requests_per_minute),
            failures: Failures::default(),
            passwords: Semaphore::new(PASSWORDS_AT_ONCE),
            waiting: Semaphore::new(PASSWORDS_WAITING),
            addresses: settings.addresses.clone(),
            key_addresses: settings.key_addresses.clone(),
        })
    }

    /// Whether a call from this address is looked at now.
    pub(crate) fn admits(&self, address: IpAddr) -> Result<(), Denied> {
        if !AddressRange::any_contains(&self.addresses, address) {
            return Err(Denied::Address);
        }
        if !self.rate.admits(address, Instant::now()) {
            return Err(Denied::TooMany);
        }
        Ok(())
    }

    /// Finds out who asks. With `is_look`, a session does not count as used.
    pub(crate) fn identify(&self, headers: &HeaderMap, is_look: bool) -> Result<Actor, Denied> {
        if let Some(key) = api_key(headers) {
            let key = self.keys.find(&key).ok_or(Denied::NotKnown)?;
            return Ok(Actor { name: format!("api-key-{}", key.id), roles: key.roles, means: Means::ApiKey });
        }
        let id = cookie(headers, SESSION_COOKIE).ok_or(Denied::NotKnown)?;
        let xsrf = headers.get(XSRF_HEADER).and_then(|value| value.to_str().ok());
        match self.sessions.find(id, xsrf, Instant::now(), !is_look) {
            Ok(session) => {
                // By what the file says now: who was removed is out, and lost roles are lost at once.
                let user = self.users.as_ref().and_then(|users| users.get(&session.user));
                let roles = user.ok_or(Denied::NotKnown)?.roles.into_iter().collect();
                Ok(Actor { name: session.user, roles, means: Means::Session })
            }
            Err(NoSession::Unknown) => Err(Denied::NotKnown),
            Err(NoSession::Forged) => Err(Denied::Forged),
        }
    }

    /// The user of HTTP Basic, for the addresses that may administer API keys.
    pub(crate) async fn identify_basic(&self, headers: &HeaderMap, from: IpAddr) -> Result<Actor, Denied> {
        let (user, password) = basic(headers).ok_or(Denied::NotKnown)?;
        if !AddressRange::any_contains(&self.key_addresses, from) {
            return Err(Denied::Address);
        }
        let roles = self.check_password(&user, &password, from).await?;
        Ok(Actor { name: user, roles, means: Means::Basic })
    }

    /// Begins a session.
    pub(crate) async fn log_in(
        &self,
        user: &str,
        password: &Zeroizing<String>,
        from: IpAddr,
    ) -> Result<NewSession, Denied> {
        self.check_password(user, password, from).await?;
        self.sessions.begin(user, Instant::now()).ok_or(Denied::NotKnown)
    }

    /// Ends the session of these headers, if there is one and they prove that they belong to it; gives whose
    /// it was.
    pub(crate) fn log_out(&self, headers: &HeaderMap) -> Result<Actor, Denied> {
        let actor = self.identify(headers, true)?;
        if let Some(id) = cookie(headers, SESSION_COOKIE) {
            self.sessions.end(id);
        }
        Ok(actor)
    }

    async fn check_password(
        &self,
        user: &str,
        password: &Zeroizing<String>,
        from: IpAddr,
    ) -> Result<BTreeSet<Role>, Denied> {
        let users = self.users.as_ref().ok_or(Denied::NotKnown)?;
        if password.len() > LONGEST_PASSWORD || user.len() > 255 {
            return Err(Denied::NotKnown);
        }
        if self.failures.wait(from, user, Instant::now()).is_some() {
            return Err(Denied::TooMany);
        }
        // Counted before it is known to be wrong, so that many tries at once do not slip through.
        self.failures.failed(from, user, Instant::now());
        let Ok(_place) = self.waiting.try_acquire() else { return Err(Denied::TooMany) };
        let turn = tokio::time::timeout(Duration::from_secs(10), self.passwords.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Denied::TooMany) };
        let found = users.get(user);
        let password = password.clone();
        let checked = tokio::task::spawn_blocking(move || match found {
            Some(user) => user.has_password(&password).then_some(user.roles),
            None => {
                users::pretend(&password);
                None
            }
        });
        let roles = checked.await.ok().flatten().ok_or(Denied::NotKnown)?;
        self.failures.succeeded(from, user);
        Ok(roles.into_iter().collect())
    }
}

/// `Authorization: X-Road-ApiKey token=<key>`, scheme and `token=` in any case.
fn api_key(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.trim().split_once(' ')?;
    let (name, key) = rest.trim().split_once('=')?;
    let is_key = scheme.eq_ignore_ascii_case("X-Road-ApiKey") && name.trim().eq_ignore_ascii_case("token");
    is_key.then(|| Zeroizing::new(key.trim().to_owned()))
}

fn basic(headers: &HeaderMap) -> Option<(String, Zeroizing<String>)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let text = Zeroizing::new(String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?);
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), Zeroizing::new(password.to_owned())))
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}
