//! Users, from a file that the operator keeps.
//!
//! The file is TOML, one table a user:
//!
//! ```toml
//! [user.mai]
//! password = "$argon2id$v=19$m=19456,t=2,p=1$…"
//! roles = ["XROAD_SECURITY_OFFICER"]
//! ```
//!
//! It is read again when it changes, so users come and go without a restart. A file that does not read
//! lets nobody in. Whoever can write it can become any administrator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::SystemTime;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

use super::role::Role;

/// Longest file of users.
const LONGEST: u64 = 4 << 20;
/// Longest password that is looked at, octets.
pub(crate) const LONGEST_PASSWORD: usize = 1024;

/// One user.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    /// Argon2id in the form of the PHC.
    password: String,
    /// What he may do.
    pub(crate) roles: Vec<Role>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    user: BTreeMap<String, User>,
}

/// Why a file of users cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// It cannot be read or written.
    #[error("cannot use the file of users {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It says something that is not understood.
    #[error("the file of users {} is refused: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The name cannot be a user's.
    #[error("a name of a user has 1 to 255 letters, digits, '.', '_', '@' and '-'")]
    Name,
    /// The password is too short or too long.
    #[error("a password has 8 to 1024 octets")]
    Password,
}

/// The users of a file.
pub(crate) struct Users {
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    read: Option<(SystemTime, u64)>,
    users: BTreeMap<String, User>,
    complaint: Option<String>,
}

impl Users {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, kept: Mutex::default() }
    }

    /// The user of a name, by what the file says now.
    pub(crate) fn get(&self, name: &str) -> Option<User> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = std::fs::metadata(&self.path).and_then(|data| Ok((data.modified()?, data.len())));
        if stamp.as_ref().ok() != kept.read.as_ref() || stamp.is_err() {
            kept.read = stamp.ok();
            let (users, complaint) = match read(&self.path) {
                Ok(written) => (written.user, None),
                Err(error) => (BTreeMap::new(), Some(error.to_string())),
            };
            if let Some(text) = complaint.as_ref().filter(|text| kept.complaint.as_ref() != Some(*text)) {
                tracing::error!("{text}; nobody can log in with a password");
            }
            (kept.users, kept.complaint) = (users, complaint);
        }
        kept.users.get(name).cloned()
    }
}

impl User {
    /// Whether this is the password. Takes some tens of milliseconds of a processor.
    pub(crate) fn has_password(&self, password: &str) -> bool {
        // A crafted hash could ask for any amount of work; ours never asks for more than this.
        let Ok(hash) = PasswordHash::new(&self.password) else { return false };
        let bounded = Params::try_from(&hash)
            .is_ok_and(|asked| asked.m_cost() <= 1 << 20 && asked.t_cost() <= 64 && asked.p_cost() <= 16);
        bounded && hasher().verify_password(password.as_bytes(), &hash).is_ok()
    }
}

/// Spends as long as for a user that there is, so that names cannot be found out by the clock.
pub(crate) fn pretend(password: &str) {
    let mut out = [0; 32];
    let _ = hasher().hash_password_into(password.as_bytes(), b"nobody-has-this-salt", &mut out);
}

/// 19 MiB and two passes, as the OWASP password cheat sheet asks for; a login is rarer than it is guessed.
fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

fn read(path: &Path) -> Result<Written, UsersError> {
    use std::io::Read as _;
    let told = |error| UsersError::File { path: path.to_owned(), error };
    let mut text = String::new();
    std::fs::File::open(path).map_err(told)?.take(LONGEST).read_to_string(&mut text).map_err(told)?;
    toml::from_str(&text)
        .map_err(|error| UsersError::Content { path: path.to_owned(), problem: error.message().to_owned() })
}

/// Adds a user to the file, or gives him another password and other roles. Makes the file if there is none.
///
/// # Errors
/// Those of the file, and of a name or password that cannot be.
pub fn set_user(path: &Path, name: &str, password: &str, roles: &[Role]) -> Result<(), UsersError> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
    if name.is_empty() || name.len() > 255 || !name.chars().all(letters) {
        return Err(UsersError::Name);
    }
    if !(8..=LONGEST_PASSWORD).contains(&password.len()) {
        return Err(UsersError::Password);
    }
    set_user_unchecked(path, name, password, roles)
}

/// As [`set_user`] without rules for the password: for pilots, whose passwords are known to everybody.
///
/// # Errors
/// Those of the file.
pub fn set_user_unchecked(path: &Path, name: &str, password: &str, roles: &[Role]) -> Result<(), UsersError> {
    let salt = SaltString::generate(&mut OsRng);
    let problem = |problem: String| UsersError::Content { path: path.to_owned(), problem };
    let hash = hasher()
        .hash_password(password.as_bytes(), &salt)
        .map_err(|error| problem(error.to_string()))?
        .to_string();
    change(path, |users| {
        users.insert(name.to_owned(), User { password: hash, roles: roles.to_vec() });
    })
}

/// Removes a user; whether there was one.
///
/// # Errors
/// Those of the file.
pub fn remove_user(path: &Path, name: &str) -> Result<bool, UsersError> {
    let mut was_there = false;
    change(path, |users| was_there = users.remove(name).is_some())?;
    Ok(was_there)
}

/// The users of a file with their roles.
///
/// # Errors
/// Those of the file.
pub fn list_users(path: &Path) -> Result<Vec<(String, Vec<Role>)>, UsersError> {
    Ok(read(path)?.user.into_iter().map(|(name, user)| (name, user.roles)).collect())
}

fn change(path: &Path, change: impl FnOnce(&mut BTreeMap<String, User>)) -> Result<(), UsersError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let told = |error| UsersError::File { path: path.to_owned(), error };
    let mut written = match read(path) {
        Err(UsersError::File { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
            Written::default()
        }
        read => read?,
    };
    change(&mut written.user);
    let text = toml::to_string(&written)
        .map_err(|error| UsersError::Content { path: path.to_owned(), problem: error.to_string() })?;
    // Beside it and over it, so that a crash leaves the old users or the new ones.
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new);
    let mut file = file.map_err(told)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(told)?;
    std::fs::rename(&new, path).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_change_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        let users = Users::new(path.clone());
        assert!(users.get("mai").is_none());
        set_user(&path, "mai", "a long secret", &[Role::Observer]).unwrap();
        let mai = users.get("mai").unwrap();
        assert_eq!(mai.roles, [Role::Observer]);
        assert!(mai.has_password("a long secret"));
        assert!(!mai.has_password("a long secre"));
        assert!(matches!(set_user(&path, "m/i", "a long secret", &[]), Err(UsersError::Name)));
        assert!(matches!(set_user(&path, "mi", "short", &[]), Err(UsersError::Password)));
        assert!(remove_user(&path, "mai").unwrap());
        assert!(users.get("mai").is_none());
        std::fs::write(&path, "[user.x]\npasword = 1").unwrap();
        assert!(users.get("x").is_none());
    }
}
