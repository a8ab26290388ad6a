//! What an operator decides about the configuration client.

use std::path::PathBuf;
use std::time::Duration;

use protocol::configuration::Anchor;

/// Settings of the configuration client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The anchor of the own instance, got on a way that is trusted.
    pub anchor: Anchor,
    /// Folder of the local copy.
    pub folder: PathBuf,
    /// Time between two rounds; a second at least. 60 s is usual.
    pub refresh: Duration,
    /// Which federated instances are known here.
    pub federations: Federations,
    /// What the anchor must lead to.
    pub contents: Contents,
    /// The version to ask for; none: the newest that there is (§5.3).
    pub version: Option<u8>,
}

impl Settings {
    /// The usual settings: an internal configuration every 60 s, no federated instance.
    pub fn new(anchor: Anchor, folder: PathBuf) -> Self {
        Self {
            anchor,
            folder,
            refresh: Duration::from_secs(60),
            federations: Federations::None,
            contents: Contents::Internal,
            version: None,
        }
    }
}

/// What an anchor leads to (§2.3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Contents {
    /// The configuration for servers of the instance: shared and private parameters.
    #[default]
    Internal,
    /// The configuration for other instances: shared parameters, and private ones never.
    External,
    /// Either of the two.
    Either,
}

/// Which of the instances that the own registry trusts are known here (§12.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Federations {
    /// No other instance, the default.
    #[default]
    None,
    /// All.
    All,
    /// These, letter case ignored.
    Only(Vec<String>),
}

impl Federations {
    /// Reads a list of names separated by commas; `none` among them wins over everything, then `all`.
    pub fn from_list(list: &str) -> Self {
        let names: Vec<String> = list.split(',').map(|name| name.trim().to_lowercase()).collect();
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        if has("none") {
            Self::None
        } else if has("all") {
            Self::All
        } else {
            match names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>() {
                names if names.is_empty() => Self::None,
                names => Self::Only(names),
            }
        }
    }

    /// Whether an instance may be known.
    pub fn allow(&self, instance: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(names) => {
                let instance = instance.to_lowercase();
                names.iter().any(|name| name.to_lowercase() == instance)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_federations() {
        for (list, allowed) in [
            ("", false),
            ("none", false),
            ("all", true),
            ("ee, FI", true),
            ("Fi,none", false),
            ("ee", false),
            ("ee,ALL", true),
            ("all,None", false),
        ] {
            assert_eq!(Federations::from_list(list).allow("fi"), allowed, "{list}");
        }
    }
}
