//! Declared descriptions, checked: the copies of their documents become services.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::ports::{ServiceTls, ServiceType};
use protocol::id::ClientId;

use super::check::one_line;
use super::services::{TIMEOUTS, check_tls, check_url, endpoints, right};
use super::{Problems, written};
use crate::description::catalogue::{self, Source};
use crate::description::{Document, full_code, read_copy};
use crate::state::{ClientSettings, ServiceKey, Term};

/// A description as the file declares it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Declared {
    /// Whose it is.
    pub client: ClientId,
    /// Its kind.
    pub service_type: ServiceType,
    /// Where the document is.
    pub url: String,
    /// The copy of the document.
    pub copy: PathBuf,
    /// The code of an OpenAPI service; empty for a WSDL.
    pub code: String,
}

/// All that a file says about descriptions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Declarations {
    /// The folder of the node's state.
    pub state_folder: PathBuf,
    /// Whether the file declares clients, and so decides about their services.
    pub decides: bool,
    /// In the order of the file.
    pub descriptions: Vec<Declared>,
}

/// What the text of a file declares; the error is the reason.
pub(super) fn declared(text: &str, file: &Path) -> Result<Declarations, String> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut table: toml::Table = text.parse().map_err(|error| one_line(&error))?;
    let state = table.get("server").and_then(|server| server.get("state")).and_then(toml::Value::as_str);
    let state_folder = folder.join(state.ok_or("[server] state is missing")?);
    let clients = table.remove("client");
    let decides = clients.is_some();
    let clients: Vec<written::Client> = match clients {
        Some(clients) => clients.try_into().map_err(|error| format!("client: {}", one_line(&error)))?,
        None => Vec::new(),
    };
    let mut descriptions = Vec::new();
    for client in clients {
        let id = ClientId::parse_encoded(&client.id)
            .map_err(|error| format!("[[client]] {}: {error}", client.id))?;
        for description in client.descriptions {
            descriptions.push(Declared {
                client: id.clone(),
                service_type: service_type(&description.service_type)?,
                url: description.url,
                copy: folder.join(description.file),
                code: description.code.unwrap_or_default(),
            });
        }
    }
    Ok(Declarations { state_folder, decides, descriptions })
}

fn service_type(text: &str) -> Result<ServiceType, String> {
    match text {
        "wsdl" => Ok(ServiceType::Soap),
        "openapi" => Ok(ServiceType::OpenApi),
        other => Err(format!("type must be wsdl or openapi, not {other}")),
    }
}

/// Checks one `[[client.description]]` and adds its services to its client.
pub(super) fn add(
    client: &str,
    description: &written::Description,
    folder: &Path,
    settings: &mut ClientSettings,
    problems: &mut Problems,
) {
    let key = format!("{client}: description {}", description.url);
    check_url(&format!("{key}: url"), &description.url, problems);
    let document = service_type(&description.service_type)
        .and_then(|service_type| read_copy(service_type, &folder.join(&description.file), &description.url));
    let Some(document) = problems.take(&key, document) else { return };
    let code = description.code.as_deref();
    let source = match (&document, code) {
        (Document::Wsdl(document), None) => Ok(Source::Wsdl { url: &description.url, document }),
        (Document::Wsdl(_), Some(_)) => Err("a WSDL brings the codes of its services"),
        (Document::OpenApi(document), Some(code)) => {
            Ok(Source::OpenApi { url: &description.url, document, code })
        }
        (Document::OpenApi(_), None) => Err("an OpenAPI service needs a code"),
    };
    // Warnings were seen when the copy was accepted.
    let keys = source
        .map_err(str::to_owned)
        .and_then(|source| catalogue::add(settings, source, true).map_err(|error| error.to_string()));
    let Some(keys) = problems.take(&key, keys) else { return };
    configure(&key, description, &keys, settings, problems);
    for service in &description.services {
        of_service(&key, service, &keys, settings, problems);
    }
    check_addresses(&key, &keys, settings, problems);
}

/// What the file says about all services of a description.
fn configure(
    key: &str,
    description: &written::Description,
    keys: &[ServiceKey],
    settings: &mut ClientSettings,
    problems: &mut Problems,
) {
    if !TIMEOUTS.contains(&description.timeout_seconds) {
        problems.add(format_args!("{key}: timeout-seconds must be 1 to 86400"));
    }
    let tls = check_tls(key, &description.tls, problems);
    for name in keys {
        if let Some(service) = settings.services.get_mut(name) {
            service.timeout = Duration::from_secs(description.timeout_seconds);
            service.tls = tls;
            service.disabled = description.disabled.clone();
            if let Some(url) = &description.service_url {
                service.url.clone_from(url);
            }
        }
        grant(key, &name.code, &description.allow, settings, problems);
    }
}

fn of_service(
    key: &str,
    service: &written::DescribedService,
    keys: &[ServiceKey],
    settings: &mut ClientSettings,
    problems: &mut Problems,
) {
    let meant = |name: &&ServiceKey| {
        name.code == service.code && (service.version.is_none() || service.version == name.version)
    };
    let key = format!("{key}: service {}", service.code);
    let names: Vec<_> = keys.iter().filter(meant).collect();
    if names.is_empty() {
        return problems.add(format_args!("{key}: the document has no such service"));
    }
    if service.timeout_seconds.is_some_and(|seconds| !TIMEOUTS.contains(&seconds)) {
        problems.add(format_args!("{key}: timeout-seconds must be 1 to 86400"));
    }
    let by_hand = endpoints(&key, &service.endpoints, problems);
    for name in names {
        let Some(settings) = settings.services.get_mut(name) else { continue };
        settings.url = service.url.clone().unwrap_or_else(|| settings.url.clone());
        settings.timeout = service.timeout_seconds.map_or(settings.timeout, Duration::from_secs);
        settings.disabled = service.disabled.clone().or_else(|| settings.disabled.clone());
        if settings.service_type == ServiceType::Soap && !by_hand.is_empty() {
            problems.add(format_args!("{key}: SOAP services have no endpoints"));
        }
        for endpoint in &by_hand {
            let twin = settings
                .endpoints
                .iter()
                .any(|known| (&known.path, &known.method) == (&endpoint.path, &endpoint.method));
            if twin {
                let (method, path) = (&endpoint.method, &endpoint.path);
                problems.add(format_args!("{key}: the document has the endpoint {method} {path} already"));
            }
        }
        settings.endpoints.extend(by_hand.iter().cloned());
    }
    grant(&key, &service.code, &service.allow, settings, problems);
}

fn grant(
    key: &str,
    code: &str,
    allowed: &[written::Allow],
    settings: &mut ClientSettings,
    problems: &mut Problems,
) {
    let is_soap = settings
        .services
        .iter()
        .any(|(name, service)| name.code == code && service.service_type == ServiceType::Soap);
    for allow in allowed {
        let right = right(code, allow, is_soap, settings);
        settings
            .rights
            .extend(problems.take(&format!("{key}: allow"), right).map(|right| (right, Term::default())));
    }
}

/// What services must have before they can be called.
fn check_addresses(key: &str, keys: &[ServiceKey], settings: &ClientSettings, problems: &mut Problems) {
    for name in keys {
        let Some(service) = settings.services.get(name) else { continue };
        let key = format!("{key}: service {}", full_code(name));
        check_url(&format!("{key}: its url"), &service.url, problems);
        let is_pinned = service.url.starts_with("https://") && service.tls == ServiceTls::Pinned;
        if is_pinned && settings.certificates.is_empty() {
            problems
                .add(format_args!("{key}: tls is pinned, so the client needs the provider's certificate"));
        }
    }
}
