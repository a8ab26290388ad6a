//! The file of a configuration proxy; its manual is `config.manual.toml`.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use certs::key::KeyKind;
use gateway::configuration::Federations;
use gateway::http::HttpsTrust;

use crate::config::{self, ConfigError, Padding, TlsFiles, VERSIONS};
use crate::fields::{At, Problems, Reader, Table};
use crate::keys::KeySettings;
use crate::pin::PinSource;

/// The manual of the file: an example with every key and what it means.
pub const MANUAL: &str = include_str!("config.manual.toml");

/// What a configuration proxy runs on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of everything that the proxy keeps.
    pub state_folder: PathBuf,
    /// Host under which clients reach it, with a port if that is not 80; none: where HTTP listens.
    pub address: Option<String>,
    /// Where the PIN of the signing keys comes from.
    pub pin: PinSource,
    /// HTTP.
    pub http: SocketAddr,
    /// HTTPS; none: it is off.
    pub https: Option<SocketAddr>,
    /// The server certificate of HTTPS; none: a self-signed one.
    pub tls: Option<TlsFiles>,
    /// Time between two rounds.
    pub period: Duration,
    /// How long what was signed is valid.
    pub expiry: Duration,
    /// The kind of signing keys.
    pub key: KeyKind,
    /// How RSA signs.
    pub padding: Padding,
    /// What is mirrored, at least one.
    pub mirrors: Vec<MirrorConfig>,
}

/// One configuration that is mirrored.
#[derive(Clone, Debug)]
pub struct MirrorConfig {
    /// Its name in addresses.
    pub name: String,
    /// The anchor of its source.
    pub anchor: PathBuf,
    /// The oldest mirrored version.
    pub minimum_version: u8,
    /// Which federated instances are mirrored along.
    pub federations: Federations,
    /// What is demanded of the source over HTTPS.
    pub https: HttpsTrust,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// All problems at once.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = |error| ConfigError::File { path: path.to_owned(), error };
        let text = config::read_text(path).map_err(file)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
            .map_err(|problems| ConfigError::Problems { path: path.to_owned(), problems })
    }

    /// Reads the text of a configuration file that lies in `folder`.
    ///
    /// # Errors
    /// All problems at once.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Problems> {
        let reader = Reader::new(text);
        let document = reader.document();
        let mut root = reader.root(&document);
        let config = read(&mut root, folder);
        root.finish();
        reader.finish(config)
    }

    /// The folder of what a mirror keeps.
    pub fn mirror_folder(&self, name: &str) -> PathBuf {
        self.state_folder.join("mirrors").join(name)
    }

    /// The anchor that a mirror issues.
    pub fn anchor_file(&self, name: &str) -> PathBuf {
        self.mirror_folder(name).join("anchor.xml")
    }

    /// Where the signing keys of a mirror are, and how they sign.
    pub fn keys(&self, name: &str) -> KeySettings {
        self.keys_in(self.mirror_folder(name).join("keys"))
    }

    /// Where the key of the HTTPS port is.
    pub(super) fn tls_keys(&self) -> KeySettings {
        self.keys_in(self.state_folder.join("tls"))
    }

    fn keys_in(&self, folder: PathBuf) -> KeySettings {
        KeySettings { folder, kind: self.key, padding: self.padding, expiry: self.expiry }
    }
}

fn read(root: &mut Table<'_, '_>, folder: &Path) -> Option<Config> {
    root.need("proxy");
    root.need("token");
    let proxy = root.table("proxy").map(|mut table| {
        let state = table.needed_text("state");
        let address = table.text("address");
        let named = address.is_some();
        let address = address.filter(|at| config::obeys(&table, at, config::address));
        table.finish();
        (state, address, named)
    });
    let pin = root.table("token").and_then(|table| config::pin(table, folder));
    let anywhere = IpAddr::from([0, 0, 0, 0]);
    let (mut http, mut https) = (SocketAddr::new(anywhere, 80), Some(SocketAddr::new(anywhere, 443)));
    config::listen(root, &mut http, &mut https);
    let tls = config::tls(root, folder);
    let (mut period, mut expiry) = (Duration::from_secs(60), Duration::from_secs(600));
    config::publication(root, &mut period, &mut expiry, None);
    let (mut key, mut padding) = (KeyKind::Rsa3072, Padding::Pkcs1);
    config::signing(root, &mut key, &mut padding);
    let mirrors = mirrors(root, folder);
    let (state, address, named) = proxy?;
    if !named && http.ip().is_unspecified() {
        root.problem(
            "[proxy] address is missing: HTTP listens on every address, so say which one clients use",
        );
    }
    Some(Config {
        state_folder: folder.join(state?.value),
        address: address.map(|at| at.value),
        pin: pin?,
        http,
        https,
        tls,
        period,
        expiry,
        key,
        padding,
        mirrors,
    })
}

fn mirrors(root: &mut Table<'_, '_>, folder: &Path) -> Vec<MirrorConfig> {
    root.need("mirror");
    let mut seen = HashSet::new();
    let mut mirrors = Vec::new();
    for mut table in root.tables("mirror") {
        let name = table.needed_text("name").filter(|at| config::obeys(&table, at, mirror_name));
        let anchor = table.needed_text("anchor");
        let minimum_version = config::version(&mut table, "minimum-version").unwrap_or(*VERSIONS.start());
        let federations: Vec<String> = table.texts("federations").into_iter().map(|at| at.value).collect();
        let mut https = HttpsTrust::default();
        for file in table.texts("https-roots") {
            match HttpsTrust::read_roots(&folder.join(&file.value)) {
                Ok(roots) => https.roots.extend(roots),
                Err(problem) => table.problem_at(&file.place, problem),
            }
        }
        https.check_certificate = table.boolean("https-check-certificate").unwrap_or(true);
        https.check_name = table.boolean("https-check-name").unwrap_or(true);
        if let Some(At { value, place }) = &name
            && !seen.insert(value.clone())
        {
            table.problem_at(place, "stands here a second time");
        }
        table.finish();
        if let (Some(name), Some(anchor)) = (name, anchor) {
            mirrors.push(MirrorConfig {
                name: name.value,
                anchor: folder.join(anchor.value),
                minimum_version,
                federations: Federations::from_list(&federations.join(",")),
                https,
            });
        }
    }
    mirrors
}

/// A name that is a plain step of a path.
fn mirror_name(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err("must be of letters, digits, - and _, 64 at most".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_is_a_file_that_can_be_used() {
        let config = Config::parse(MANUAL, Path::new("/etc/causeway")).expect("the manual's example");
        assert_eq!(config.mirrors.len(), 1);
        let mirror = &config.mirrors[0];
        assert_eq!((mirror.name.as_str(), mirror.minimum_version), ("NAME", 2));
        assert_eq!(mirror.https, HttpsTrust::default());
        assert_eq!(config.anchor_file("NAME"), Path::new("/etc/causeway/state/mirrors/NAME/anchor.xml"));
        assert_eq!((config.period.as_secs(), config.expiry.as_secs()), (60, 600));
    }

    #[test]
    fn problems() {
        const LEAST: &str = "[proxy]\nstate = 's'\naddress = 'p.example'\n[token]\npin-file = 'pin'\n";
        let mirror = |name: &str| format!("[[mirror]]\nname = '{name}'\nanchor = 'a.xml'\n");
        for (text, expected) in [
            (String::new(), vec!["`proxy` is missing", "`token` is missing", "`mirror` is missing"]),
            (LEAST.to_owned(), vec!["`mirror` is missing"]),
            (format!("{LEAST}{}", mirror("a/b")), vec!["letters, digits"]),
            (format!("{LEAST}{}{}", mirror("a"), mirror("a")), vec!["a second time"]),
            (
                format!("{LEAST}{}minimum-version = 1\nhttps-roots = ['none.pem']\nx = 1\n", mirror("a")),
                vec!["from 2 to 6", "No such file", "is not known here"],
            ),
        ] {
            let problems = Config::parse(&text, Path::new("/nowhere")).expect_err("a problem").0;
            assert_eq!(problems.len(), expected.len(), "{text}: {problems:#?}");
            for (problem, expected) in problems.iter().zip(expected) {
                assert!(problem.to_string().contains(expected), "{problem} has no {expected:?}");
            }
        }
    }
}
