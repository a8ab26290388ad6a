//! From the file as written to the checked value.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use certs::key::{AlgorithmChoice, RsaScheme};
use gateway::configuration::Federations;
use gateway::http::HttpsTrust;
use gateway::tls::CipherSuites;
use protocol::digest::DigestAlgorithm;
use protocol::id::{MemberId, SecurityServerId};
use serde::de::DeserializeOwned;

use super::{
    Config, ConfigurationSettings, DataPlane, HardwareTokenConfig, Listen, PinSource, Problems, TokenSlot,
    administered, clients, evidence, written,
};

/// The checked value. `None`, or any value together with problems, means that the file is refused.
pub(super) fn check(text: &str, file: &Path, problems: &mut Problems) -> Option<Config> {
    let mut table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| problems.add(error.to_string().trim_end())).ok()?;
    // Each part is read by itself, so that one bad part does not hide the problems of the others.
    let server: Option<written::Server> = required(&mut table, "server", problems);
    let token: written::Token = part(&mut table, "token", problems);
    let hardware = table.remove("hardware-token");
    let signing: written::Signing = part(&mut table, "signing", problems);
    let listen: written::Listen = part(&mut table, "listen", problems);
    let configuration: written::Configuration = part(&mut table, "configuration", problems);
    let data_plane: written::DataPlane = part(&mut table, "data-plane", problems);
    let message_log: written::MessageLog = part(&mut table, "message-log", problems);
    let archive = table.contains_key("archive").then(|| part(&mut table, "archive", problems));
    let clients = table.remove("client");
    let is_administered = table.remove("administration").is_some();
    for key in table.keys() {
        problems.add(format_args!("{key}: there is no such part"));
    }

    let folder = file.parent().unwrap_or(Path::new(""));
    let clients = clients.map(|value| clients::check(value, folder, problems));
    let pin = if is_administered && token.pin_file.is_none() && token.pin_variable.is_none() {
        Some(PinSource::Administrator)
    } else {
        pin_source("[token]", token.pin_file, token.pin_variable, folder, problems)
    };
    let hardware_tokens =
        hardware.map(|value| check_hardware_tokens(value, folder, problems)).unwrap_or_default();
    let seconds = |key: &str, value: u64, range: RangeInclusive<u64>, problems: &mut Problems| {
        Duration::from_secs(within(key, value, range, problems))
    };
    let configuration = ConfigurationSettings {
        refresh: seconds(
            "[configuration] refresh-seconds",
            configuration.refresh_seconds,
            1..=3600,
            problems,
        ),
        federations: Federations::from_list(&configuration.federations.join(",")),
        https: https(&configuration, folder, problems),
    };
    let message_log = evidence::message_log(message_log, problems);
    let archive = archive.map(|written| evidence::archive(written, folder, problems));
    let signing = check_signing(&signing, problems);
    let listen = sockets(&listen, problems);
    let data_plane = check_data_plane(&data_plane, folder, problems);
    let server = server?;
    let state_folder = folder.join(&server.state);
    let id = if is_administered && !administered::is_named(&server) {
        let named = administered::Identity::read(&state_folder);
        problems.take("[server]", named)?.id().clone()
    } else {
        named(&server, problems)?
    };
    let anchor = match server.anchor {
        Some(anchor) => folder.join(anchor),
        None if is_administered => administered::anchor_file(&state_folder),
        None => {
            problems.add("[server] anchor is missing");
            return None;
        }
    };
    Some(Config {
        file: file.to_owned(),
        server: id,
        state_folder,
        anchor,
        pin: pin?,
        hardware_tokens,
        signing,
        listen,
        configuration,
        data_plane,
        message_log,
        archive,
        clients,
    })
}

/// The identifier that the file gives.
fn named(server: &written::Server, problems: &mut Problems) -> Option<SecurityServerId> {
    let mut part = |name: &str, value: &Option<String>| {
        if value.is_none() {
            problems.add(format_args!("[server] {name} is missing"));
        }
        value.clone()
    };
    let instance = part("instance", &server.instance);
    let class = part("class", &server.class);
    let member = part("member", &server.member);
    let code = part("code", &server.code);
    let (instance, class, member, code) = (instance?, class?, member?, code?);
    let owner = MemberId::new(&instance, &class, &member);
    let id = owner.and_then(|owner| SecurityServerId::new(owner, &code));
    problems.take("[server]", id)
}

fn https(configuration: &written::Configuration, folder: &Path, problems: &mut Problems) -> HttpsTrust {
    let roots = configuration.https_roots.iter().filter_map(|file| {
        let key = format!("[configuration] https-roots {}", file.display());
        problems.take(&key, HttpsTrust::read_roots(&folder.join(file)))
    });
    HttpsTrust {
        roots: roots.flatten().collect(),
        platform: true,
        check_certificate: configuration.https_check_certificate,
        check_name: configuration.https_check_name,
    }
}

fn required<T: DeserializeOwned>(table: &mut toml::Table, name: &str, problems: &mut Problems) -> Option<T> {
    match table.remove(name) {
        Some(value) => {
            problems.take(&format!("[{name}]"), value.try_into().map_err(|error| one_line(&error)))
        }
        None => {
            problems.add(format_args!("[{name}] is missing"));
            None
        }
    }
}

fn part<T: DeserializeOwned + Default>(table: &mut toml::Table, name: &str, problems: &mut Problems) -> T {
    if table.contains_key(name) { required(table, name, problems).unwrap_or_default() } else { T::default() }
}

/// The parser's message without its line breaks.
pub(super) fn one_line(error: &toml::de::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn within(key: &str, value: u64, range: RangeInclusive<u64>, problems: &mut Problems) -> u64 {
    if !range.contains(&value) {
        problems.add(format_args!("{key} must be {} to {}, not {value}", range.start(), range.end()));
    }
    value.clamp(*range.start(), *range.end())
}

fn sockets(listen: &written::Listen, problems: &mut Problems) -> Listen {
    for (key, port) in [("messages", listen.messages), ("ocsp", listen.ocsp)] {
        if port == 0 {
            problems.add(format_args!("[listen] {key} must be a port, other servers need it"));
        }
    }
    let clients = listen.client_address.unwrap_or(listen.address);
    let open = |address, port: u16| (port != 0).then(|| SocketAddr::new(address, port));
    let sockets = Listen {
        http: open(clients, listen.http),
        https: open(clients, listen.https),
        messages: SocketAddr::new(listen.address, listen.messages),
        ocsp: SocketAddr::new(listen.address, listen.ocsp),
        health: open(clients, listen.health),
    };
    let all = [
        ("http", sockets.http),
        ("https", sockets.https),
        ("messages", Some(sockets.messages)),
        ("ocsp", Some(sockets.ocsp)),
        ("health", sockets.health),
    ];
    for (index, (key, socket)) in all.iter().enumerate() {
        let twin = all.iter().take(index).find(|(_, other)| socket.is_some() && other == socket);
        if let Some((other, _)) = twin {
            problems.add(format_args!("[listen] {key} and {other} have the same address and port"));
        }
    }
    sockets
}

fn pin_source(
    part: &str,
    file: Option<PathBuf>,
    variable: Option<String>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<PinSource> {
    match (file, variable) {
        (Some(file), None) => Some(PinSource::File(folder.join(file))),
        (None, Some(name)) if !name.is_empty() => Some(PinSource::Variable(name)),
        _ => {
            problems.add(format_args!("{part}: give exactly one of pin-file and pin-variable"));
            None
        }
    }
}

fn check_hardware_tokens(
    value: toml::Value,
    folder: &Path,
    problems: &mut Problems,
) -> Vec<HardwareTokenConfig> {
    let written: Result<Vec<written::HardwareToken>, _> = value.try_into();
    let written = problems.take("[[hardware-token]]", written.map_err(|error| one_line(&error)));
    if !cfg!(feature = "pkcs11") {
        problems.add("[[hardware-token]]: this program was built without the feature pkcs11");
    }
    let mut tokens: Vec<HardwareTokenConfig> = Vec::new();
    for token in written.unwrap_or_default() {
        let part = format!("[[hardware-token]] {}", token.name);
        let is_usable = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        if token.name.is_empty() || !token.name.chars().all(is_usable) {
            problems.add(format_args!("{part}: a name has letters, digits, - and _"));
        }
        if tokens.iter().any(|other| other.name == token.name) {
            problems.add(format_args!("{part}: there are two of this name"));
        }
        let slot = match (token.slot, token.label, token.serial) {
            (Some(number), None, None) => Some(TokenSlot::Number(number)),
            (None, Some(label), None) => Some(TokenSlot::Label(label)),
            (None, None, Some(serial)) => Some(TokenSlot::Serial(serial)),
            _ => {
                problems.add(format_args!("{part}: give exactly one of slot, label and serial"));
                None
            }
        };
        let pin = pin_source(&part, token.pin_file, token.pin_variable, folder, problems);
        if let (Some(slot), Some(pin)) = (slot, pin) {
            let library = folder.join(token.library);
            tokens.push(HardwareTokenConfig { name: token.name, library, slot, pin });
        }
    }
    tokens
}

fn check_signing(written: &written::Signing, problems: &mut Problems) -> AlgorithmChoice {
    let digest = written.digest.as_ref().and_then(|name| {
        let digest = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512]
            .into_iter()
            .find(|digest| digest.name() == name);
        if digest.is_none() {
            problems.add(format_args!("[signing] digest must be SHA-256, SHA-384 or SHA-512, not {name:?}"));
        }
        digest
    });
    let rsa = match written.rsa_scheme.as_deref() {
        None | Some("PKCS1") => RsaScheme::Pkcs1,
        Some("PSS") => RsaScheme::Pss,
        Some(other) => {
            problems.add(format_args!("[signing] rsa-scheme must be PKCS1 or PSS, not {other:?}"));
            RsaScheme::default()
        }
    };
    AlgorithmChoice { digest, rsa }
}

fn check_data_plane(written: &written::DataPlane, folder: &Path, problems: &mut Problems) -> DataPlane {
    let mut seconds = |key: &str, value: u64| {
        Duration::from_secs(within(&format!("[data-plane] {key}"), value, 1..=86_400, problems))
    };
    let connect_timeout = seconds("connect-timeout-seconds", written.connect_timeout_seconds);
    let peer_timeout = seconds("peer-timeout-seconds", written.peer_timeout_seconds);
    let stop_timeout = seconds("stop-timeout-seconds", written.stop_timeout_seconds);
    let workers =
        written.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    if !(1..=256).contains(&workers) {
        problems.add(format_args!("[data-plane] workers must be 1 to 256, not {workers}"));
    }
    if written.legacy_transport && !cfg!(feature = "legacy-transport") {
        problems.add(
            "[data-plane] legacy-transport: this program was built without the feature legacy-transport",
        );
    }
    let suites = written.peer_cipher_suites.as_ref().and_then(|names| {
        let suites = CipherSuites::from_names(names.iter().map(String::as_str));
        problems.take("[data-plane] peer-cipher-suites", suites)
    });
    let connections = within("[data-plane] connections", written.connections, 16..=1_000_000, problems);
    let key = "[data-plane] connections-per-peer";
    let per_peer = within(key, written.connections_per_peer, 1..=1_000_000, problems);
    let remembered =
        within("[data-plane] remembered-messages", written.remembered_messages, 0..=100_000_000, problems);
    let mut replays_accepted_from = Vec::new();
    for server in &written.replays_accepted_from {
        let key = format!("[data-plane] replays-accepted-from: {server}");
        replays_accepted_from.extend(problems.take(&key, SecurityServerId::parse_encoded(server)));
    }
    DataPlane {
        workers,
        spool_folder: written.spool.as_ref().map_or_else(std::env::temp_dir, |spool| folder.join(spool)),
        connect_timeout,
        peer_timeout,
        response_timeout: (written.response_timeout_seconds > 0)
            .then(|| Duration::from_secs(written.response_timeout_seconds)),
        stop_timeout,
        verify_clients: written.verify_clients,
        peer_ports: (written.peer_messages_port, written.peer_ocsp_port),
        peer_cipher_suites: suites.unwrap_or_default(),
        connections: (
            usize::try_from(connections).unwrap_or(usize::MAX),
            usize::try_from(per_peer).unwrap_or(usize::MAX),
        ),
        legacy_transport: written.legacy_transport,
        remembered_messages: usize::try_from(remembered).unwrap_or(usize::MAX),
        replays_accepted_from,
    }
}
