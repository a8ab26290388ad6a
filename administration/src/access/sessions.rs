//! Sessions of browsers (registry and administration §5.1).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::secret::{random_token, same};

/// A session that nobody used for so long is over.
pub(crate) const IDLE: Duration = Duration::from_secs(30 * 60);
/// And this long after the login in any case.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// More sessions than administrators can want; the one idle longest makes room.
const MOST: usize = 1000;

/// Who is logged in.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) user: String,
    xsrf: String,
    begun: Instant,
    used: Instant,
}

/// The secrets of a new session.
pub(crate) struct NewSession {
    /// For the cookie that scripts in a browser cannot read.
    pub(crate) id: String,
    /// For the cookie that must come back in a header.
    pub(crate) xsrf: String,
}

/// The sessions there are. They are not kept over a restart.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Session>>);

/// Why a session does not count.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum NoSession {
    /// There is none of this id, or it is over.
    Unknown,
    /// The header does not repeat the cookie: the request may come from another site.
    Forged,
}

impl Sessions {
    /// A new session. Its id is always new, so nobody can have set it before the login.
    pub(crate) fn begin(&self, user: &str, now: Instant) -> Option<NewSession> {
        let new = NewSession { id: random_token()?, xsrf: random_token()? };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.is_alive(now));
        if sessions.len() >= MOST {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone());
            oldest.and_then(|id| sessions.remove(&id));
        }
        let session = Session { user: user.to_owned(), xsrf: new.xsrf.clone(), begun: now, used: now };
        sessions.insert(new.id.clone(), session);
        Some(new)
    }

    /// The session of an id, which is used now, unless this is only a look.
    pub(crate) fn find(
        &self,
        id: &str,
        xsrf: Option<&str>,
        now: Instant,
        is_use: bool,
    ) -> Result<Session, NoSession> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get_mut(id).filter(|session| session.is_alive(now));
        let session = session.ok_or(NoSession::Unknown)?;
        if !xsrf.is_some_and(|xsrf| same(xsrf.as_bytes(), session.xsrf.as_bytes())) {
            return Err(NoSession::Forged);
        }
        if is_use {
            session.used = now;
        }
        Ok(session.clone())
    }

    /// Ends a session.
    pub(crate) fn end(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Session {
    fn is_alive(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE && now.duration_since(self.begun) < LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_by_idleness_and_by_age() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let new = sessions.begin("mai", start).unwrap();
        let find = |after, xsrf: &str, is_use| {
            sessions.find(&new.id, Some(xsrf), start + after, is_use).map(|session| session.user)
        };
        let minute = Duration::from_secs(60);
        assert_eq!(find(minute, &new.xsrf, false), Ok("mai".to_owned()));
        assert_eq!(find(minute, "other", true), Err(NoSession::Forged));
        assert_eq!(sessions.find(&new.id, None, start, true).map(drop), Err(NoSession::Forged));
        assert_eq!(find(minute * 29, &new.xsrf, true), Ok("mai".to_owned()));
        assert_eq!(find(minute * 58, &new.xsrf, false), Ok("mai".to_owned()));
        // The last one was a look only.
        assert_eq!(find(minute * 60, &new.xsrf, true), Err(NoSession::Unknown));
        let new = sessions.begin("mai", start).unwrap();
        for half_hours in 1..24 {
            let at = start + minute * 29 * half_hours;
            assert!(sessions.find(&new.id, Some(&new.xsrf), at, true).is_ok(), "{half_hours}");
        }
        let late = sessions.find(&new.id, Some(&new.xsrf), start + LONGEST, true);
        assert_eq!(late.map(drop), Err(NoSession::Unknown));
    }
}
