//! The configuration file of the role.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use certs::ca::Settings;
use certs::profile::Profile;
use serde::Deserialize;

/// Configuration of the pilot certification authority.
///
/// The names and validity periods matter at the first start only: later the folder says how the
/// authority was made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Address and port that OCSP, time-stamps and issuing are served on. Plain HTTP: what it serves is
    /// signed. Who can reach it can ask for the status of certificates and for time-stamps.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Folder of the authority; made at the first start. Who can write it can issue certificates once
    /// he has the PIN, and can hide that a certificate was revoked without it.
    pub folder: PathBuf,
    /// PIN of the authority's keys. Better in a file: see `pin-file`. Who has it and the folder is the
    /// authority.
    pub pin: Option<Secret>,
    /// File that holds the PIN, one line.
    pub pin_file: Option<PathBuf>,
    /// Instance identifier of the federation that is served.
    pub instance: String,
    /// Organization in the names of the authority's own certificates. Default: the instance and "pilot".
    pub organization: Option<String>,
    /// Class name of the certificate profile; the registry must name the same. Default: Ejbca, where a
    /// signing certificate has C = instance, O = member class, CN = member code.
    pub certificate_profile: Option<String>,
    /// Address of the OCSP responder as others reach it, such as `http://127.0.1.9:8888/ocsp`. Written
    /// into certificates. Default: none; the global configuration names it as well.
    pub ocsp_url: Option<String>,
    /// Days the authority's own certificates are valid. Default: 7300.
    pub authority_days: Option<u32>,
    /// Days an issued certificate is valid. Default: 730.
    pub certificate_days: Option<u32>,
    /// Token for `POST /sign` and `POST /revoke`, sent as `Authorization: Bearer TOKEN`; at least 16
    /// characters. Without it nobody can do either over HTTP. Who has it can become any member.
    pub operator_token: Option<Secret>,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8888))
}

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file itself.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// Not TOML, unknown keys, or missing ones.
    #[error("the configuration cannot be read: {0}")]
    File(#[from] toml::de::Error),
    /// All contradictions.
    #[error("the configuration is wrong: {}", .0.join("; "))]
    Wrong(Vec<String>),
    /// The file with the PIN.
    #[error("the PIN cannot be read from {0}")]
    PinFile(PathBuf, #[source] std::io::Error),
}

/// A text that is never printed and is wiped from memory.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret from elsewhere.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl Config {
    /// Reads and checks the text of a configuration file; all problems are told at once.
    ///
    /// # Errors
    /// [`ConfigError::File`], [`ConfigError::Wrong`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        let problems = config.problems();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Wrong(problems)) }
    }

    /// Reads and checks a configuration file. Paths in it are relative to the file.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(ConfigError::Unreadable)?;
        let mut config = Self::parse(&text)?;
        let beside = file.parent().unwrap_or(Path::new(""));
        config.folder = beside.join(&config.folder);
        config.pin_file = config.pin_file.map(|pin| beside.join(pin));
        Ok(config)
    }

    fn problems(&self) -> Vec<String> {
        let short = self.operator_token.as_ref().is_some_and(|token| token.text().len() < 16);
        let unknown =
            self.certificate_profile.as_ref().is_some_and(|name| Profile::from_class_name(name).is_none());
        let days = [self.authority_days, self.certificate_days].into_iter().flatten();
        [
            (self.pin.is_some() == self.pin_file.is_some(), "give either pin or pin-file"),
            (self.instance.is_empty(), "instance is empty"),
            (self.organization.as_ref().is_some_and(String::is_empty), "organization is empty"),
            (short, "operator-token is shorter than 16 characters"),
            (unknown, "certificate-profile is not a known class name"),
            (days.into_iter().any(|days| !(1..=36_500).contains(&days)), "days are between 1 and 36500"),
        ]
        .into_iter()
        .filter(|(wrong, _)| *wrong)
        .map(|(_, text)| text.to_owned())
        .collect()
    }

    /// The PIN, wherever it is.
    pub(super) fn read_pin(&self) -> Result<Secret, ConfigError> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(ConfigError::Wrong(problems));
        }
        match (&self.pin, &self.pin_file) {
            (_, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConfigError::PinFile(path.clone(), error))?;
                let text = zeroize::Zeroizing::new(text);
                Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
            }
            (Some(pin), None) => Ok(pin.clone()),
            (None, None) => Err(ConfigError::Wrong(vec!["give either pin or pin-file".to_owned()])),
        }
    }

    /// What an authority is made with.
    pub(super) fn settings(&self) -> Settings {
        let usual = Settings::for_instance(&self.instance);
        Settings {
            organization: self.organization.clone().unwrap_or(usual.organization),
            instance: usual.instance,
            certificate_profile: self.certificate_profile.clone().unwrap_or(usual.certificate_profile),
            ocsp_url: self.ocsp_url.clone(),
            authority_days: self.authority_days.unwrap_or(usual.authority_days),
            certificate_days: self.certificate_days.unwrap_or(usual.certificate_days),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_at_once() {
        #[track_caller]
        fn check(text: &str, expected: &[&str]) {
            match Config::parse(text) {
                Ok(_) => assert!(expected.is_empty(), "{text}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(!expected.is_empty(), "{error}");
                    for part in expected {
                        assert!(error.contains(part), "{error}");
                    }
                }
            }
        }
        check("folder='ca'\ninstance='CW'\npin='0123'", &[]);
        check("folder='ca'\ninstance='CW'\npin='0123'\npin-file='x'", &["either pin or pin-file"]);
        check(
            "folder='ca'\ninstance=''\noperator-token='short'",
            &["either pin", "instance", "16 characters"],
        );
        check("folder='ca'\ninstance='CW'\npin='0123'\ncolour='red'", &["unknown field `colour`"]);
        check("folder='ca'\ninstance='CW'\npin='0123'\ncertificate-days=0", &["days"]);
        check("folder='ca'\ninstance='CW'\npin='0123'\ncertificate-profile='X'", &["class name"]);
    }
}
