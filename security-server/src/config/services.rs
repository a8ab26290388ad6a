//! Declared services and access rights, checked.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use gateway::ports::{ServiceTls, ServiceType};
use protocol::id::{ClientId, GlobalGroupId, IdError, decode_segment};

use super::{Problems, written};
use crate::description::{collide, is_reserved, is_usable};
use crate::state::{AccessRight, ClientSettings, Endpoint, ServiceKey, ServiceSettings, Subject, Term};

/// Seconds that a provider may take for each read.
pub(super) const TIMEOUTS: RangeInclusive<u64> = 1..=86_400;

/// Checks one `[[client.service]]` and adds it to its client.
pub(super) fn add(
    client: &str,
    service: &written::Service,
    settings: &mut ClientSettings,
    problems: &mut Problems,
) {
    let key = format!("{client}: service {}", service.code);
    let checked = check(&key, service, !settings.certificates.is_empty(), problems);
    let is_soap = checked.service_type == ServiceType::Soap;
    let name = ServiceKey { code: service.code.clone(), version: service.version.clone() };
    check_name(&key, &name, checked.service_type, settings, problems);
    settings.services.insert(name, checked);
    for allow in &service.allow {
        let right = right(&service.code, allow, is_soap, settings);
        settings
            .rights
            .extend(problems.take(&format!("{key}: allow"), right).map(|right| (right, Term::default())));
    }
}

/// Whether the client may have a service of this name beside those it has.
fn check_name(
    key: &str,
    name: &ServiceKey,
    kind: ServiceType,
    settings: &ClientSettings,
    problems: &mut Problems,
) {
    for part in [Some(&name.code), name.version.as_ref()].into_iter().flatten() {
        if !is_usable(part) {
            problems.add(format_args!("{key}: '{part}' is not usable as a code or version"));
        }
    }
    if is_reserved(&name.code) {
        problems.add(format_args!("{key}: the code is reserved"));
    }
    if name.version.is_some() && kind != ServiceType::Soap {
        problems.add(format_args!("{key}: only SOAP services have a version"));
    }
    let is_twin = |(other, service): (&ServiceKey, &ServiceSettings)| {
        collide((name, kind), (other, service.service_type))
    };
    if settings.services.iter().any(is_twin) {
        problems.add(format_args!("{key}: the service is declared twice"));
    }
}

fn check(
    key: &str,
    service: &written::Service,
    has_certificates: bool,
    problems: &mut Problems,
) -> ServiceSettings {
    let service_type = match service.service_type.as_str() {
        "rest" => ServiceType::Rest,
        "openapi" => ServiceType::OpenApi,
        "soap" => ServiceType::Soap,
        other => {
            problems.add(format_args!("{key}: type must be rest, openapi or soap, not {other}"));
            ServiceType::Rest
        }
    };
    check_url(&format!("{key}: url"), &service.url, problems);
    if service_type != ServiceType::Soap && service.url.contains(['?', '#']) {
        problems.add(format_args!("{key}: url must have no query and no fragment"));
    }
    match &service.description {
        Some(_) if service_type == ServiceType::Rest => {
            problems.add(format_args!(
                "{key}: a plain REST service has no description; write type = \"openapi\""
            ));
        }
        Some(url) => check_url(&format!("{key}: description"), url, problems),
        None if service_type == ServiceType::OpenApi => {
            problems.add(format_args!("{key}: an OpenAPI service needs the URL of its description"));
        }
        None => {}
    }
    if !TIMEOUTS.contains(&service.timeout_seconds) {
        problems.add(format_args!("{key}: timeout-seconds must be 1 to 86400"));
    }
    let tls = check_tls(key, &service.tls, problems);
    if service.url.starts_with("https://") && tls == ServiceTls::Pinned && !has_certificates {
        problems.add(format_args!("{key}: tls is pinned, so the client needs the provider's certificate"));
    }
    if service_type == ServiceType::Soap && !service.endpoints.is_empty() {
        problems.add(format_args!("{key}: SOAP services have no endpoints"));
    }
    ServiceSettings {
        url: service.url.clone(),
        timeout: Duration::from_secs(service.timeout_seconds),
        tls,
        disabled: service.disabled.clone(),
        service_type,
        description: service.description.clone(),
        title: None,
        endpoints: endpoints(key, &service.endpoints, problems),
    }
}

pub(super) fn endpoints(
    key: &str,
    written: &[written::Endpoint],
    problems: &mut Problems,
) -> BTreeSet<Endpoint> {
    let mut endpoints = BTreeSet::new();
    for endpoint in written {
        let method = endpoint.method.to_ascii_uppercase();
        let (path, name) = (endpoint.path.clone(), format!("{method} {}", endpoint.path));
        if !endpoints.insert(Endpoint { path, method, generated: false }) {
            problems.add(format_args!("{key}: endpoint {name} is declared twice"));
        }
    }
    endpoints
}

pub(super) fn check_tls(key: &str, text: &str, problems: &mut Problems) -> ServiceTls {
    match text {
        "pinned" => ServiceTls::Pinned,
        "verified" => ServiceTls::Verified,
        "unchecked" => ServiceTls::Unchecked,
        other => {
            problems.add(format_args!("{key}: tls must be pinned, verified or unchecked, not {other}"));
            ServiceTls::Pinned
        }
    }
}

pub(super) fn check_url(key: &str, url: &str, problems: &mut Problems) {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let is_host = |first: char| first.is_ascii_alphanumeric() || first == '[';
    if !host.is_some_and(|host| host.starts_with(is_host)) || url.contains(' ') {
        problems.add(format_args!("{key} must be http://host… or https://host…, not {url}"));
    }
}

pub(super) fn right(
    code: &str,
    allow: &written::Allow,
    is_soap: bool,
    settings: &ClientSettings,
) -> Result<AccessRight, String> {
    let right = AccessRight {
        service_code: code.to_owned(),
        method: Some(allow.method.to_ascii_uppercase()).filter(|method| method != "*"),
        path: Some(allow.path.clone()).filter(|path| path != "**"),
        subject: subject(allow, settings)?,
    };
    if is_soap && (right.method.is_some() || right.path.is_some()) {
        return Err("a SOAP service has no methods and paths".to_owned());
    }
    Ok(right)
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
