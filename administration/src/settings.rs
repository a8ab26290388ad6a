//! `[administration]` of both servers' configuration files: as written, and checked.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[administration]`: the interface for administrators. It is off unless this section is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Written {
    /// Where it listens, HTTPS. Default: `0.0.0.0:4000`. Whoever reaches it can try passwords and keys; let
    /// only administrators' machines reach it.
    pub listen: Option<SocketAddr>,
    /// Certificate chain in PEM, leaf first. Default: a self-signed one, made at the first start and kept.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM. Whoever reads it can pose as this server to administrators.
    pub key: Option<PathBuf>,
    /// The file of users with hashes of their passwords and their roles, kept by `causeway user`. Without
    /// it only API keys let anybody in. Whoever writes it can become any administrator.
    pub users_file: Option<PathBuf>,
    /// Addresses that may use the interface, as `10.1.0.0/16`. Default: all.
    pub addresses: Option<Vec<String>>,
    /// Addresses that may administer API keys with user and password. Default: this machine.
    pub key_addresses: Option<Vec<String>>,
    /// Requests of one address within a second. Default: 20.
    pub requests_per_second: Option<u32>,
    /// Requests of one address within a minute. Default: 600.
    pub requests_per_minute: Option<u32>,
}

/// What the interface runs on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain and private key, PEM; none: self-signed, kept in `state_folder`.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where the self-signed certificate, the audit log and the like are kept.
    pub state_folder: PathBuf,
    /// The file of users.
    pub users_file: Option<PathBuf>,
    /// Who may ask.
    pub addresses: Vec<AddressRange>,
    /// Who may administer API keys with user and password.
    pub key_addresses: Vec<AddressRange>,
    /// Requests of one address within a second.
    pub requests_per_second: u32,
    /// Requests of one address within a minute.
    pub requests_per_minute: u32,
}

/// A range of addresses, such as `10.1.0.0/16`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AddressRange {
    base: IpAddr,
    bits: u8,
}

impl Written {
    /// Checks it. Relative paths are relative to `folder`, that of the configuration file.
    ///
    /// # Errors
    /// All problems, each a clause that names the key.
    pub fn check(&self, folder: &Path, state_folder: &Path) -> Result<Settings, Vec<String>> {
        let mut problems = Vec::new();
        let tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((folder.join(certificate), folder.join(key))),
            (None, None) => None,
            _ => {
                problems.push("[administration] certificate and key go together".to_owned());
                None
            }
        };
        let mut ranges = |name: &str, written: &Option<Vec<String>>, default: &[&str]| {
            let default = || default.iter().map(|range| (*range).to_owned()).collect();
            let all: Vec<String> = written.clone().unwrap_or_else(default);
            let read = |text: &String| match text.parse() {
                Ok(range) => Some(range),
                Err(BadRange) => {
                    problems.push(format!("[administration] {name}: {text} is no range of addresses"));
                    None
                }
            };
            all.iter().filter_map(read).collect::<Vec<AddressRange>>()
        };
        let addresses = ranges("addresses", &self.addresses, &["0.0.0.0/0", "::/0"]);
        let key_addresses = ranges("key-addresses", &self.key_addresses, &["127.0.0.0/8", "::1/128"]);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Settings {
            listen: self.listen.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 4000))),
            tls,
            state_folder: state_folder.to_owned(),
            users_file: self.users_file.as_ref().map(|file| folder.join(file)),
            addresses,
            key_addresses,
            requests_per_second: self.requests_per_second.unwrap_or(20),
            requests_per_minute: self.requests_per_minute.unwrap_or(600),
        })
    }
}

/// It is no range of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a range of addresses is written 10.1.0.0/16, or ::1")]
pub struct BadRange;

impl std::str::FromStr for AddressRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse::<u8>().map_err(|_| BadRange)?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| BadRange)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(BadRange) } else { Ok(Self { base, bits }) }
    }
}

impl AddressRange {
    /// Whether an address is in this range. An IPv4 address that came over an IPv6 socket counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let value = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
            IpAddr::V6(address) => u128::from(address),
        };
        let address = address.to_canonical();
        let differs = value(address) ^ value(self.base);
        address.is_ipv4() == self.base.is_ipv4()
            && differs.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
    }

    pub(crate) fn any_contains(ranges: &[Self], address: IpAddr) -> bool {
        ranges.iter().any(|range| range.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (range, address, expected) in [
            ("127.0.0.0/8", "127.9.9.9", true),
            ("127.0.0.0/8", "128.0.0.1", false),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "fe80::1", true),
            ("::1/128", "::1", true),
            ("::1", "::2", false),
        ] {
            let parsed: AddressRange = range.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), expected, "{range} {address}");
        }
        for bad in ["", "10.0.0.0/33", "::/129", "x", "10.0.0.0/", "10.0.0/8"] {
            assert_eq!(bad.parse::<AddressRange>(), Err(BadRange), "{bad}");
        }
    }
}
