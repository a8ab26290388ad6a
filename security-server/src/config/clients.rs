//! Declared clients, services and access rights, checked.

use std::collections::btree_map::Entry;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::Certificate;
use gateway::ports::{ConnectionType, ServiceTls};
use protocol::id::{ClientId, GlobalGroupId, IdError, decode_segment};

use super::check::one_line;
use super::{Problems, written};
use crate::state::{
    AccessRight, ClientSettings, LocalConfiguration, LocalGroup, ServiceKey, ServiceSettings, Subject,
};

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
            checked.members.extend(member);
        }
        if group.code.trim().is_empty() {
            problems.add(format_args!("{name}: a group has no code"));
        } else if settings.groups.insert(group.code.clone(), checked).is_some() {
            problems.add(format_args!("{key}: the group is declared twice"));
        }
    }
    for service in &client.services {
        let key = format!("{name}: service {}", service.code);
        let checked = check_service(&key, service, !settings.certificates.is_empty(), problems);
        let name = ServiceKey { code: service.code.clone(), version: None };
        if settings.services.insert(name, checked).is_some() {
            problems.add(format_args!("{key}: the service is declared twice"));
        }
        for allow in &service.allow {
            let right = subject(allow, &settings).map(|subject| AccessRight {
                service_code: service.code.clone(),
                method: Some(allow.method.to_ascii_uppercase()).filter(|method| method != "*"),
                path: Some(allow.path.clone()).filter(|path| path != "**"),
                subject,
            });
            settings.rights.extend(problems.take(&format!("{key}: allow"), right));
        }
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

fn check_service(
    key: &str,
    service: &written::Service,
    has_certificates: bool,
    problems: &mut Problems,
) -> ServiceSettings {
    if decode_segment(&protocol::id::encode_segment(&service.code)).is_err() {
        problems.add(format_args!("{key}: the code is not usable in a path"));
    }
    let is_https = service.url.starts_with("https://");
    let host = service.url.strip_prefix("http://").or_else(|| service.url.strip_prefix("https://"));
    if !host.is_some_and(|host| host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '['))
    {
        problems.add(format_args!("{key}: url must be http://host… or https://host…, not {}", service.url));
    } else if service.url.contains(['?', '#', ' ']) {
        problems.add(format_args!("{key}: url must have no query and no fragment"));
    }
    if !(1..=86_400).contains(&service.timeout_seconds) {
        problems.add(format_args!("{key}: timeout-seconds must be 1 to 86400"));
    }
    let tls = match service.tls.as_str() {
        "pinned" => ServiceTls::Pinned,
        "verified" => ServiceTls::Verified,
        "unchecked" => ServiceTls::Unchecked,
        other => {
            problems.add(format_args!("{key}: tls must be pinned, verified or unchecked, not {other}"));
            ServiceTls::Pinned
        }
    };
    if is_https && tls == ServiceTls::Pinned && !has_certificates {
        problems.add(format_args!("{key}: tls is pinned, so the client needs the provider's certificate"));
    }
    ServiceSettings {
        url: service.url.clone(),
        timeout: Duration::from_secs(service.timeout_seconds),
        tls,
        disabled: service.disabled.clone(),
        rest: true,
    }
}

fn subject(allow: &written::Allow, settings: &ClientSettings) -> Result<Subject, String> {
    let text = |error: IdError| error.to_string();
    match (&allow.client, &allow.global_group, &allow.local_group) {
        (Some(client), None, None) => ClientId::parse_encoded(client).map(Subject::Client).map_err(text),
        (None, Some(group), None) => {
            let (instance, code) = group.split_once('/').ok_or("write a global group as instance/code")?;
            let instance = decode_segment(instance).map_err(text)?;
            let code = decode_segment(code).map_err(text)?;
            GlobalGroupId::new(&instance, &code).map(Subject::GlobalGroup).map_err(text)
        }
        (None, None, Some(code)) if settings.groups.contains_key(code) => {
            Ok(Subject::LocalGroup(code.clone()))
        }
        (None, None, Some(code)) => Err(format!("the client has no group {code}")),
        _ => Err("give exactly one of client, global-group and local-group".to_owned()),
    }
}
