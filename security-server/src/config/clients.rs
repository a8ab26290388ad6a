//! Declared clients and their groups, checked.

use std::collections::btree_map::Entry;
use std::path::Path;

use bytes::Bytes;
use certs::certificate::Certificate;
use gateway::ports::ConnectionType;
use protocol::id::ClientId;

use super::check::one_line;
use super::{Problems, descriptions, services, written};
use crate::state::{ClientSettings, LocalConfiguration, LocalGroup};

/// Checks `[[client]]`. What has problems is left out of the result.
pub(super) fn check(value: toml::Value, folder: &Path, problems: &mut Problems) -> LocalConfiguration {
    let mut configuration = LocalConfiguration::default();
    let toml::Value::Array(clients) = value else {
        problems.add("client: write each client below a line [[client]]");
        return configuration;
    };
    for (index, client) in clients.into_iter().enumerate() {
        let id = client.get("id").and_then(toml::Value::as_str).map(str::to_owned);
        let name = id.map_or_else(|| format!("[[client]] {}", index + 1), |id| format!("[[client]] {id}"));
        let read = client.try_into::<written::Client>().map_err(|error| one_line(&error));
        let Some(client) = problems.take(&name, read) else { continue };
        let Some(id) = problems.take(&name, ClientId::parse_encoded(&client.id)) else { continue };
        let settings = settings(&name, &client, folder, problems);
        match configuration.clients.entry(id) {
            Entry::Vacant(place) => drop(place.insert(settings)),
            Entry::Occupied(_) => problems.add(format_args!("{name}: the client is declared twice")),
        }
    }
    configuration
}

fn settings(name: &str, client: &written::Client, folder: &Path, problems: &mut Problems) -> ClientSettings {
    let mut settings = ClientSettings {
        connection_type: match client.connection.as_str() {
            "http" => ConnectionType::Http,
            "https-no-auth" => ConnectionType::HttpsNoAuth,
            "https" => ConnectionType::Https,
            other => {
                let known = "http, https-no-auth or https";
                problems.add(format_args!("{name}: connection must be {known}, not {other}"));
                ConnectionType::Https
            }
        },
        ..ClientSettings::default()
    };
    for path in &client.certificates {
        let path = folder.join(path);
        let key = format!("{name}: certificate {}", path.display());
        settings.certificates.extend(problems.take(&key, certificate(&path)));
    }
    for group in &client.groups {
        let key = format!("{name}: group {}", group.code);
        let mut checked = LocalGroup { description: group.description.clone(), ..LocalGroup::default() };
        for member in &group.members {
            let member = problems.take(&format!("{key}: member {member}"), ClientId::parse_encoded(member));
            checked.members.extend(member.map(|member| (member, None)));
        }
        if group.code.trim().is_empty() {
            problems.add(format_args!("{name}: a group has no code"));
        } else if settings.groups.insert(group.code.clone(), checked).is_some() {
            problems.add(format_args!("{key}: the group is declared twice"));
        }
    }
    for service in &client.services {
        services::add(name, service, &mut settings, problems);
    }
    for description in &client.descriptions {
        descriptions::add(name, description, folder, &mut settings, problems);
    }
    settings
}

fn certificate(path: &Path) -> Result<Bytes, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let certificate = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("-----BEGIN") => Certificate::from_pem(text),
        _ => Certificate::from_der(bytes),
    };
    certificate.map(|certificate| certificate.der().clone()).map_err(|error| error.to_string())
}
