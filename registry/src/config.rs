//! The registry's configuration file.
//!
//! ```toml
//! [registry]
//! state = "state"
//! instance-file = "instance.toml"
//! address = "registry.example.org"
//!
//! [token]
//! pin-file = "pin"
//!
//! [listen]
//! http = "0.0.0.0:80"
//! https = "0.0.0.0:443"
//!
//! [publication]
//! period-seconds = 60
//! expiry-seconds = 600
//! ```
//!
//! Only `[registry]` must be there, and for a declared instance `[token]`. Paths are relative to the file.
//! Unknown keys stop the start, and all problems are told at once.
//!
//! Without `instance-file` the instance is administered: the registry starts with nothing, and waits for
//! its initialisation.

mod section;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use certs::key::KeyKind;

use crate::fields::{At, Problems, Reader, Table};
use crate::instance::Rules;
use crate::keys::KeySettings;
use crate::management::Settings;
use crate::pin::PinSource;
use crate::state::rules;

/// The manual of the file: an example with every key and what it means.
pub const MANUAL: &str = include_str!("config.manual.toml");

/// The oldest and the current version of the global configuration.
pub const VERSIONS: std::ops::RangeInclusive<u8> = 2..=6;
/// Longest file of configuration or of a PIN.
const LONGEST_FILE: u64 = 1 << 20;

/// What a registry runs on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of everything the registry keeps: store, signing keys, published files. Whoever can write
    /// here can publish any configuration once he also knows the PIN.
    pub state_folder: PathBuf,
    /// The declared state of the instance. Whoever can write it decides who is a member and which
    /// certification services are believed. None: the instance is administered.
    pub instance_file: Option<PathBuf>,
    /// Host under which clients reach the registry, with a port if that is not 80. It stands in anchors
    /// and in shared parameters. None: the address that HTTP listens on.
    pub address: Option<String>,
    /// Where the PIN of the signing keys comes from. An administered instance may do without: then
    /// somebody logs in after each start.
    pub pin: Option<PinSource>,
    /// Rules of administration; of no use to a declared instance.
    pub rules: Rules,
    /// The services for management requests; only of an administered instance.
    pub management_services: Settings,
    /// The interface for administrators; none: it is off.
    pub administration: Option<administration::settings::Settings>,
    /// HTTP, by default `0.0.0.0:80`. Old clients fetch over plain HTTP only (§5.2); integrity comes
    /// from the signature.
    pub http: SocketAddr,
    /// HTTPS, by default `0.0.0.0:443`; none: it is off.
    pub https: Option<SocketAddr>,
    /// The server certificate of HTTPS; none: a self-signed one is made and kept.
    pub tls: Option<TlsFiles>,
    /// How often the configuration is made anew, by default 60 s.
    pub period: Duration,
    /// How long what was published is valid, by default 600 s. Security servers stop that long after
    /// the registry does.
    pub expiry: Duration,
    /// The oldest published version, by default 2; clients that name no version get 2.
    pub minimum_version: u8,
    /// The kind of signing keys that are made, by default RSA of 3072 bits.
    pub key: KeyKind,
    /// How RSA signatures are padded, by default PKCS#1 v1.5.
    pub padding: Padding,
}

/// A certificate chain in PEM, leaf first, and its private key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFiles {
    /// The chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// How RSA signs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Padding {
    /// PKCS#1 v1.5
    #[default]
    Pkcs1,
    /// PSS
    Pss,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file has problems.
    #[error("the configuration file {} is refused: {problems}", path.display())]
    Problems {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Problems,
    },
}

impl Config {
    /// A configuration with all defaults, for a declared instance.
    pub fn new(state_folder: PathBuf, instance_file: PathBuf, pin: PinSource) -> Self {
        Self { instance_file: Some(instance_file), pin: Some(pin), ..Self::administered(state_folder) }
    }

    /// A configuration with all defaults, for an administered instance.
    pub fn administered(state_folder: PathBuf) -> Self {
        let anywhere = IpAddr::from([0, 0, 0, 0]);
        Self {
            state_folder,
            instance_file: None,
            address: None,
            pin: None,
            rules: Rules::default(),
            management_services: Settings::default(),
            administration: None,
            http: SocketAddr::new(anywhere, 80),
            https: Some(SocketAddr::new(anywhere, 443)),
            tls: None,
            period: Duration::from_secs(60),
            expiry: Duration::from_secs(600),
            minimum_version: *VERSIONS.start(),
            key: KeyKind::Rsa3072,
            padding: Padding::Pkcs1,
        }
    }

    /// Reads a configuration file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = |error| ConfigError::File { path: path.to_owned(), error };
        let text = read_text(path).map_err(file)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
            .map_err(|problems| ConfigError::Problems { path: path.to_owned(), problems })
    }

    /// Reads the text of a configuration file that lies in `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Problems> {
        let reader = Reader::new(text);
        let document = reader.document();
        let mut root = reader.root(&document);
        let config = config(&mut root, folder);
        root.finish();
        reader.finish(config)
    }

    /// Where the signing keys are, and how they sign.
    pub(crate) fn keys(&self) -> KeySettings {
        KeySettings {
            folder: self.state_folder.join("keys"),
            kind: self.key,
            padding: self.padding,
            expiry: self.expiry,
        }
    }
}

fn config(root: &mut Table<'_, '_>, folder: &Path) -> Option<Config> {
    root.need("registry");
    let registry = root.table("registry").map(|mut table| {
        let state = table.needed_text("state");
        let instance = table.text("instance-file");
        let address = table.text("address");
        if let (None, Some(at)) = (&instance, &address) {
            let text = "is given at initialisation, since no instance-file declares the instance";
            table.problem_at(&at.place, text);
        }
        let named = address.is_some() || instance.is_none();
        let address = address.filter(|at| obeys(&table, at, self::address));
        table.finish();
        (state, instance, address, named)
    });
    let declared = registry.as_ref().is_none_or(|(_, instance, _, _)| instance.is_some());
    if declared {
        root.need("token");
    }
    let token = root.table("token");
    let needs_pin = declared || token.is_some();
    let pin = token.and_then(|table| pin(table, folder));
    let (state, instance, address, named) = registry?;
    let path = |at: At<String>| folder.join(at.value);
    // The defaults stand in `administered`; whatever is missing here was told.
    let complete = pin.is_some() || !needs_pin;
    let mut config = Config::administered(state.map(path).unwrap_or_default());
    config.instance_file = instance.map(path);
    config.address = address.map(|at| at.value);
    config.pin = pin;
    config.administration = section::read(root, declared, folder, &config.state_folder, &mut config.rules);
    if let Some(table) = root.table("management-services") {
        if declared {
            table.problem("is of no use to a declared instance: leave it or instance-file out");
        }
        config.management_services = Settings::read(table, folder);
    }

    listen(root, &mut config.http, &mut config.https);
    config.tls = tls(root, folder);
    publication(root, &mut config.period, &mut config.expiry, Some(&mut config.minimum_version));
    signing(root, &mut config.key, &mut config.padding);
    if !named && config.http.ip().is_unspecified() {
        root.problem(
            "[registry] address is missing: HTTP listens on every address, so say which one clients use",
        );
    }
    complete.then_some(config)
}

/// `[listen]`
pub(crate) fn listen(root: &mut Table<'_, '_>, http: &mut SocketAddr, https: &mut Option<SocketAddr>) {
    let Some(mut table) = root.table("listen") else { return };
    if let Some(at) = table.text("http") {
        set(http, socket(&table, &at));
    }
    if let Some(at) = table.text("https") {
        *https = if at.value == "off" { None } else { socket(&table, &at) };
    }
    table.finish();
}

/// `[tls]`
pub(crate) fn tls(root: &mut Table<'_, '_>, folder: &Path) -> Option<TlsFiles> {
    let mut table = root.table("tls")?;
    let (certificate, key) = (table.needed_text("certificate"), table.needed_text("key"));
    table.finish();
    let path = |at: At<String>| folder.join(at.value);
    certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate: path(certificate), key: path(key) })
}

/// `[publication]`, with `minimum-version` where that is asked for.
pub(crate) fn publication(
    root: &mut Table<'_, '_>,
    period: &mut Duration,
    expiry: &mut Duration,
    minimum_version: Option<&mut u8>,
) {
    let Some(mut table) = root.table("publication") else { return };
    let seconds = |number: Option<u64>| number.map(Duration::from_secs);
    set(period, seconds(table.number("period-seconds", 1, 3600)));
    set(expiry, seconds(table.number("expiry-seconds", 1, 7 * 24 * 3600)));
    if let Some(minimum) = minimum_version {
        set(minimum, version(&mut table, "minimum-version"));
    }
    if *expiry < *period * 2 {
        let text = "expiry-seconds must be at least twice period-seconds, or what is published expires before \
                    it is replaced";
        table.problem(text);
    }
    table.finish();
}

/// A version of the configuration.
pub(crate) fn version(table: &mut Table<'_, '_>, key: &'static str) -> Option<u8> {
    let (oldest, newest) = VERSIONS.into_inner();
    table.number(key, oldest.into(), newest.into()).and_then(|version| u8::try_from(version).ok())
}

/// `[signing]`
pub(crate) fn signing(root: &mut Table<'_, '_>, key: &mut KeyKind, padding: &mut Padding) {
    let Some(mut table) = root.table("signing") else { return };
    if let Some(at) = table.text("key") {
        let kinds = KeyKind::ALL.map(KeyKind::name).join(", ");
        let kind = KeyKind::from_name(&at.value);
        set(key, kind.or_else(|| told(&table, &at, format!("must be one of {kinds}"))));
    }
    if let Some(at) = table.text("padding") {
        let named = match at.value.as_str() {
            "pkcs1" => Some(Padding::Pkcs1),
            "pss" => Some(Padding::Pss),
            _ => told(&table, &at, "must be pkcs1 or pss"),
        };
        set(padding, named);
    }
    table.finish();
}

pub(crate) fn pin(mut table: Table<'_, '_>, folder: &Path) -> Option<PinSource> {
    let (file, variable) = (table.text("pin-file"), table.text("pin-variable"));
    let source = match (file, variable) {
        (Some(file), None) => Some(PinSource::File(folder.join(file.value))),
        (None, Some(name)) if !name.value.is_empty() => Some(PinSource::Variable(name.value)),
        _ => {
            table.problem("give exactly one of pin-file and pin-variable");
            None
        }
    };
    table.finish();
    source
}

/// `host` or `host:port`; an IPv6 address with a port stands in brackets.
pub(crate) fn address(text: &str) -> Result<(), String> {
    if rules::host(text).is_ok() || text.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) => rules::host(host),
        _ => Err("must be a host name or an IP address, with a port if it is not 80".into()),
    }
}

fn socket(table: &Table<'_, '_>, at: &At<String>) -> Option<SocketAddr> {
    at.value
        .parse()
        .ok()
        .or_else(|| told(table, at, "must be an IP address with a port, such as 127.0.0.1:80"))
}

pub(crate) fn obeys(
    table: &Table<'_, '_>,
    at: &At<String>,
    rule: impl Fn(&str) -> Result<(), String>,
) -> bool {
    rule(&at.value).map_err(|text| told::<()>(table, at, text)).is_ok()
}

pub(crate) fn told<T>(table: &Table<'_, '_>, at: &At<String>, text: impl Into<String>) -> Option<T> {
    table.problem_at(&at.place, text);
    None
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(LONGEST_FILE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::Place;

    const LEAST: &str = "[registry]\nstate = 's'\ninstance-file = 'i.toml'\naddress = 'r.example'\n[token]\npin-file = 'pin'\n";

    #[test]
    fn defaults() {
        let config = Config::parse(LEAST, Path::new("/etc/causeway")).unwrap();
        assert_eq!(config.instance_file.as_deref(), Some(Path::new("/etc/causeway/i.toml")));
        assert_eq!((config.period.as_secs(), config.expiry.as_secs(), config.minimum_version), (60, 600, 2));
        assert_eq!(config.https, Some("0.0.0.0:443".parse().unwrap()));
        assert_eq!(config.pin, Some(PinSource::File("/etc/causeway/pin".into())));
    }

    #[test]
    fn an_administered_instance() {
        let text = "[registry]\nstate = 's'\n[administration]\nauto-approve-clients = true\n";
        let config = Config::parse(text, Path::new("/etc")).unwrap();
        assert_eq!((config.instance_file, config.pin), (None, None));
        assert!(config.rules.approve_clients && config.rules.strict_identifiers);
        assert_eq!(config.management_services, Settings::default());
        let text = "[registry]\nstate = 's'\n[management-services]\nregistration = '127.0.1.1:4001'\n\
                    management = 'off'\ncertificates = ['ss0.pem']\nnetworks = ['10.0.0.0/8']\n";
        let services = Config::parse(text, Path::new("/etc")).unwrap().management_services;
        assert_eq!(services.registration, Place::At("127.0.1.1:4001".parse().unwrap()));
        assert_eq!((services.management, services.requests_per_minute), (Place::Off, 10));
        assert_eq!(services.certificates, [PathBuf::from("/etc/ss0.pem")]);
        assert!(services.networks[0].contains("10.1.2.3".parse().unwrap()));
    }

    #[track_caller]
    fn refused(text: &str, expected: &[&str]) {
        let problems = Config::parse(text, Path::new("")).expect_err("a problem").0;
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.to_string().contains(expected), "{problem} has no {expected:?}");
        }
    }

    #[test]
    fn problems() {
        refused("", &["`registry` is missing", "`token` is missing"]);
        let administered = "[registry]\nstate = 's'\n";
        let named = format!("{administered}address = 'r.example'\n");
        refused(&named, &["registry.address: is given at initialisation"]);
        refused(&format!("{LEAST}[administration]\nsecond-person = true\n"), &["of no use to a declared"]);
        let both = "[administration]\nsecond-person = true\nauto-approve-clients = true\n";
        refused(&format!("{administered}{both}"), &["two persons cannot decide what a rule approves"]);
        refused(&format!("{administered}[token]\n"), &["exactly one of pin-file"]);
        refused(&format!("{LEAST}[management-services]\n"), &["of no use to a declared"]);
        let services = "[management-services]\nregistration = 'here'\nnetworks = ['10.0.0.0/99']\n";
        refused(
            &format!("{administered}{services}requests-per-minute = 0\nport = 1\n"),
            &[
                "management-services.registration: must be an IP address with a port",
                "management-services.networks[0]: must be an IP address",
                "must be from 1 to 100000",
                "management-services.port: is not known",
            ],
        );
        refused(&LEAST.replace("address = 'r.example'\n", ""), &["address is missing"]);
        refused(&LEAST.replace("r.example", "http://r.example"), &["registry.address: must be a host name"]);
        refused(&LEAST.replace("pin-file", "pin"), &["exactly one of pin-file", "token.pin: is not known"]);
        refused(
            &format!(
                "{LEAST}[listen]\nhttp = ':80'\nhttps = 'on'\n[publication]\nperiod-seconds = 0\nminimum-version = 7\n\
                 [signing]\nkey = 'RSA-1024'\npadding = 'oaep'\n[tls]\nkey = 'k'\n[log]\n"
            ),
            &[
                "line 8, listen.http",
                "line 9, listen.https",
                "line 11, publication.period-seconds",
                "minimum-version: must be from 2 to 6",
                "signing.key: must be one of P-256",
                "pkcs1 or pss",
                "`certificate` is missing",
                "log: is not known here",
            ],
        );
        refused(
            &format!("{LEAST}[publication]\nperiod-seconds = 10\nexpiry-seconds = 15\n"),
            &["at least twice"],
        );
    }

    #[test]
    fn addresses() {
        for good in ["r.example", "r.example:8088", "127.0.1.1:80", "::1", "[::1]:80"] {
            assert_eq!(address(good), Ok(()), "{good}");
        }
        for bad in ["", "r.example:", "r.example:0", "r.example:http", "http://r", "r/x:80"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_manual_is_a_file_that_can_be_used() {
        let config = Config::parse(MANUAL, Path::new("/etc/causeway")).expect("the manual's example");
        let usual = Config::administered(config.state_folder.clone());
        assert!(config.instance_file.is_some() && config.pin.is_some());
        assert_eq!(config.rules, usual.rules);
        assert_eq!(config.management_services, usual.management_services);
        assert_eq!((config.http, config.https), (usual.http, usual.https));
        assert_eq!((config.period, config.expiry), (usual.period, usual.expiry));
        assert_eq!((config.minimum_version, config.key), (usual.minimum_version, usual.key));
        assert_eq!(config.padding, usual.padding);
    }
}
