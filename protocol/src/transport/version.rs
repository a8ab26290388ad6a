//! The version that a consumer's server states, and the least version that we take (§4.4.1).

use std::cmp::Ordering;
use std::str::FromStr;

use super::head::PROXY_VERSION;
use crate::fault::{Fault, code};

/// A semantic version 2.0.0. Build metadata is read and forgotten.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProxyVersion {
    numbers: [u64; 3],
    pre_release: Vec<Identifier>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Identifier {
    Number(u64),
    Text(String),
}

/// The text is not a semantic version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a semantic version")]
pub struct VersionError;

impl FromStr for ProxyVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text.len() > 256 {
            return Err(VersionError);
        }
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return Err(VersionError);
        }
        let (core, pre_release) =
            text.split_once('-').map_or((text, None), |(core, rest)| (core, Some(rest)));
        let mut numbers = core.split('.').map(number);
        let mut next = || numbers.next().flatten().ok_or(VersionError);
        let version = [next()?, next()?, next()?];
        if numbers.next().is_some() {
            return Err(VersionError);
        }
        let pre_release = pre_release.map_or(Ok(Vec::new()), |text| {
            text.split('.')
                .map(|part| match (is_identifier(part), part.bytes().all(|byte| byte.is_ascii_digit())) {
                    (true, true) => number(part).map(Identifier::Number).ok_or(VersionError),
                    (true, false) => Ok(Identifier::Text(part.to_owned())),
                    (false, _) => Err(VersionError),
                })
                .collect()
        })?;
        Ok(Self { numbers: version, pre_release })
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

impl Ord for ProxyVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let release = |version: &Self| version.pre_release.is_empty();
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| release(self).cmp(&release(other)))
            .then_with(|| self.pre_release.cmp(&other.pre_release))
    }
}

impl PartialOrd for ProxyVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Identifier {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.cmp(other),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
        }
    }
}

impl PartialOrd for Identifier {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Checks the stated version against the least that is taken. Without a minimum anything passes, even
/// no version at all.
///
/// # Errors
/// `client_proxy_version_not_supported` below the minimum; `internal_error` when there is a minimum and
/// the version is missing or not a semantic version.
pub fn check_proxy_version(stated: Option<&str>, minimum: Option<&ProxyVersion>) -> Result<(), Fault> {
    let Some(minimum) = minimum else { return Ok(()) };
    let unreadable =
        || Fault::new(code::INTERNAL_ERROR, format!("{PROXY_VERSION} is missing or not a version"));
    let stated: ProxyVersion = stated.and_then(|text| text.parse().ok()).ok_or_else(unreadable)?;
    if stated < *minimum {
        return Err(Fault::new(
            code::CLIENT_PROXY_VERSION_NOT_SUPPORTED,
            "the client's security server is older than this server allows",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_strict() {
        for text in ["7.8.0", "0.0.0", "7.8.0-beta", "7.8.0-rc.1+build.05", "1.0.0-x-y-z.--"] {
            assert!(text.parse::<ProxyVersion>().is_ok(), "{text}");
        }
        for text in
            ["", "7.8", "v7.8.0", "7.08.0", "7.8.0.1", "7.8.0-", "7.8.0-01", "7.8.0+", " 7.8.0", "7.8.x"]
        {
            assert_eq!(text.parse::<ProxyVersion>(), Err(VersionError), "{text}");
        }
    }

    #[test]
    fn the_minimum_counts() {
        let minimum: ProxyVersion = "7.6.0".parse().expect("a version");
        let check = |stated| check_proxy_version(stated, Some(&minimum)).err().map(|fault| fault.code);
        for stated in ["7.6.0", "7.6.0+1", "7.10.0", "8.0.0-alpha"] {
            assert_eq!(check(Some(stated)), None, "{stated}");
        }
        for stated in ["7.5.9", "7.6.0-beta", "6.99.99"] {
            assert_eq!(
                check(Some(stated)).as_deref(),
                Some("client_proxy_version_not_supported"),
                "{stated}"
            );
        }
        assert_eq!(check(None).as_deref(), Some("internal_error"));
        assert_eq!(check(Some("seven")).as_deref(), Some("internal_error"));
        assert_eq!(check_proxy_version(None, None), Ok(()));
    }
}
