//! Instances for tests: a pilot CA with OCSP responder and time-stamping authority, members, servers
//! and keys, and the global configuration that names them.
//!
//! Identifiers are written `CLASS/CODE` for members and `CLASS/CODE/SUBSYSTEM` for subsystems; the
//! instance is added. Everything is made at one moment, [`TestInstance::now`], so tests choose the time.
//! What cannot be made is a broken test, so everything here panics instead of returning errors.

mod credentials;
mod instance;

pub use credentials::{Credentials, TestKey, write_token};
pub use instance::{TestInstance, TestServer, federation};

use protocol::time::UtcTime;

/// The moment most tests play at.
pub fn noon() -> UtcTime {
    time("2026-11-24T12:00:00Z")
}

/// A moment written as RFC 3339.
#[track_caller]
pub fn time(text: &str) -> UtcTime {
    text.parse().expect("a moment")
}

#[cfg(test)]
mod tests;
