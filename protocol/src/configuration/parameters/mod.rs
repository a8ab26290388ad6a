//! Shared and private parameters as files, versions 2 to 6 (§6, §7).
//!
//! Reading refuses whatever the schema of the version refuses; writing gives what that schema takes.

pub mod private;
mod read;
pub mod shared;

/// The oldest version that is read and written.
pub const OLDEST_VERSION: u8 = 2;
/// The newest.
pub const NEWEST_VERSION: u8 = 6;

fn check_version(version: u8) -> Result<(), super::ConfigurationError> {
    if (OLDEST_VERSION..=NEWEST_VERSION).contains(&version) {
        Ok(())
    } else {
        Err(super::ConfigurationError::UnsupportedVersion(version.to_string()))
    }
}

#[cfg(test)]
mod tests;
