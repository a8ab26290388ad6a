//! The descriptions of one client: added, compared, read again, switched, removed.
//!
//! Nothing is changed when something is refused. What people should see before it happens is a warning,
//! which refuses too unless they say that they have seen it.

use std::collections::BTreeSet;
use std::time::Duration;

use gateway::ports::{ServiceTls, ServiceType};

use super::differences::Differences;
use super::document::Document;
use super::error::{DescriptionError, Warning};
use super::names::{collide, full_code, is_reserved, is_usable};
use super::wsdl::is_http;
use crate::state::{ClientSettings, Endpoint, ServiceKey, ServiceSettings};

/// The notice of services that are new: the operator switches them on.
pub const NEW: &str = "Out of order";
/// Time for each read of services that are new.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// What is to be added to a client.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// All services of a WSDL.
    Wsdl {
        /// Where it was fetched.
        url: &'a str,
        /// What it says.
        document: &'a super::Wsdl,
    },
    /// A REST service with an OpenAPI document.
    OpenApi {
        /// Where the document was fetched.
        url: &'a str,
        /// What it says.
        document: &'a super::OpenApi,
        /// The service code.
        code: &'a str,
    },
    /// A plain REST service.
    Rest {
        /// Where the service is.
        url: &'a str,
        /// The service code.
        code: &'a str,
    },
}

/// One description of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Summary {
    /// Its kind.
    pub service_type: ServiceType,
    /// Where the document is; of a plain REST service, where the service is.
    pub url: String,
    /// Its services.
    pub services: Vec<ServiceKey>,
}

/// All descriptions of a client, in the order of their first services.
pub fn list(client: &ClientSettings) -> Vec<Summary> {
    let mut found: Vec<Summary> = Vec::new();
    for (key, service) in &client.services {
        let url = service.source();
        match found.iter_mut().find(|summary| summary.url == url) {
            Some(summary) => summary.services.push(key.clone()),
            None => found.push(Summary {
                service_type: service.service_type,
                url: url.to_owned(),
                services: vec![key.clone()],
            }),
        }
    }
    found
}

/// Adds a description; its services are switched off, and nobody has a right to them.
///
/// # Errors
/// See [`DescriptionError`]; [`DescriptionError::Warnings`] unless `ignore_warnings`.
pub fn add(
    client: &mut ClientSettings,
    source: Source<'_>,
    ignore_warnings: bool,
) -> Result<Vec<ServiceKey>, DescriptionError> {
    let (services, warnings) = source.services();
    let url = source.url();
    if client.services.values().any(|service| service.source() == url) {
        let url = url.to_owned();
        return Err(match source {
            Source::Wsdl { .. } => DescriptionError::WsdlExists(url),
            _ => DescriptionError::UrlExists(url),
        });
    }
    check_codes(client, &services)?;
    if matches!(source, Source::Rest { .. }) && (!is_http(url) || url.contains(['?', '#'])) {
        return Err(DescriptionError::ServiceUrl(vec![url.to_owned()]));
    }
    stop_for(warnings, ignore_warnings)?;
    let keys = services.iter().map(|(key, _)| key.clone()).collect();
    client.services.extend(services);
    Ok(keys)
}

/// What reading `document` into the description `url` would change.
///
/// # Errors
/// [`DescriptionError::NotFound`].
pub fn compare(
    client: &ClientSettings,
    url: &str,
    document: &Document,
) -> Result<Differences, DescriptionError> {
    let old = services_of(client, url)?;
    Ok(Differences::between(&old, &document.services(url, &code_of(&old))))
}

/// Takes over what `document` says now. The settings of services that stay, endpoints made by hand, and
/// access rights to what stays are kept; rights to what goes go with it. `new_url` is where the document
/// was fetched, when that is another place than before.
///
/// # Errors
/// See [`DescriptionError`]; [`DescriptionError::Warnings`] with every difference unless `ignore_warnings`.
pub fn refresh(
    client: &mut ClientSettings,
    url: &str,
    new_url: Option<&str>,
    document: &Document,
    ignore_warnings: bool,
) -> Result<Differences, DescriptionError> {
    let old = services_of(client, url)?;
    let new_url = new_url.unwrap_or(url);
    let wanted = document.services(new_url, &code_of(&old));
    if old.iter().any(|(_, service)| service.service_type != document.service_type()) {
        return Err(DescriptionError::NotFound(url.to_owned()));
    }
    let mut changed = client.clone();
    changed.services.retain(|_, service| service.source() != url);
    if changed.services.values().any(|service| service.source() == new_url) {
        return Err(DescriptionError::UrlExists(new_url.to_owned()));
    }
    check_codes(&changed, &wanted)?;
    let differences = Differences::between(&old, &wanted);
    let mut warnings = differences.warnings();
    warnings.extend(document.warnings().iter().cloned());
    stop_for(warnings, ignore_warnings)?;

    // New services are switched off when all others are.
    let notice = old.iter().map(|(_, service)| service.disabled.clone()).reduce(|one, other| one.and(other));
    for (key, described) in wanted {
        let kept = old.iter().find(|(old, _)| *old == key);
        let service = match kept {
            Some((_, kept)) => refreshed(kept, described),
            None => ServiceSettings { disabled: notice.clone().flatten(), ..described },
        };
        changed.services.insert(key, service);
    }
    if let Some(mut description) = changed.descriptions.remove(url) {
        // Whoever keeps it says when that is.
        description.refreshed = None;
        changed.descriptions.insert(new_url.to_owned(), description);
    }
    forget_rights(&mut changed, &old);
    *client = changed;
    Ok(differences)
}

fn refreshed(kept: &ServiceSettings, described: ServiceSettings) -> ServiceSettings {
    let is_new = |endpoint: &Endpoint| {
        described.endpoints.iter().any(|new| (&new.path, &new.method) == (&endpoint.path, &endpoint.method))
    };
    let by_hand = kept.endpoints.iter().filter(|endpoint| !endpoint.generated && !is_new(endpoint));
    ServiceSettings {
        title: described.title.clone(),
        description: described.description.clone(),
        endpoints: described.endpoints.iter().chain(by_hand).cloned().collect(),
        ..kept.clone()
    }
}

/// Drops rights to services and generated endpoints that are gone.
fn forget_rights(client: &mut ClientSettings, old: &[(ServiceKey, ServiceSettings)]) {
    let services = &client.services;
    client.rights.retain(|right, _| {
        let code = &right.service_code;
        if !old.iter().any(|(key, _)| key.code == *code) {
            return true;
        }
        let mut now =
            services.iter().filter(|(key, _)| key.code == *code).map(|(_, service)| service).peekable();
        let of_right = |endpoint: &Endpoint| {
            right.path.as_ref() == Some(&endpoint.path)
                && right.method.as_deref().unwrap_or("*") == endpoint.method
        };
        let had = old.iter().filter(|(key, _)| key.code == *code);
        let was_endpoint = had.flat_map(|(_, service)| &service.endpoints).any(of_right);
        now.peek().is_some() && (!was_endpoint || now.flat_map(|service| &service.endpoints).any(of_right))
    });
}

/// Switches all services of a description off, with a notice for callers, or on.
///
/// # Errors
/// [`DescriptionError::NotFound`]; [`DescriptionError::ServiceUrl`] when a service has no address yet that
/// could be called.
pub fn switch(client: &mut ClientSettings, url: &str, notice: Option<&str>) -> Result<(), DescriptionError> {
    let services = services_of(client, url)?;
    let bad: BTreeSet<_> =
        services.into_iter().map(|(_, service)| service.url).filter(|url| !is_http(url)).collect();
    if notice.is_none() && !bad.is_empty() {
        return Err(DescriptionError::ServiceUrl(bad.into_iter().collect()));
    }
    for service in client.services.values_mut().filter(|service| service.source() == url) {
        service.disabled = notice.map(str::to_owned);
    }
    Ok(())
}

/// Changes where and how one service is reached; none leaves a setting as it is. `full` is its code, and after
/// a dot its version.
///
/// # Errors
/// [`DescriptionError::ServiceNotFound`], [`DescriptionError::ServiceUrl`].
pub fn set(
    client: &mut ClientSettings,
    full: &str,
    url: Option<&str>,
    timeout: Option<Duration>,
    tls: Option<ServiceTls>,
) -> Result<(), DescriptionError> {
    let is_taken = |url: &str| {
        let mut others = client.services.iter().filter(|(key, _)| full_code(key) != full);
        others.any(|(_, service)| service.source() == url)
    };
    // The URL of a plain REST service is also that of its description.
    let taken = url.filter(|url| is_taken(url)).map(str::to_owned);
    let service = client.services.iter_mut().find(|(key, _)| full_code(key) == full);
    let (_, service) = service.ok_or_else(|| DescriptionError::ServiceNotFound(full.to_owned()))?;
    if let Some(url) = url {
        let has_query = service.service_type != ServiceType::Soap && url.contains(['?', '#']);
        if !is_http(url) || has_query {
            return Err(DescriptionError::ServiceUrl(vec![url.to_owned()]));
        }
        if let Some(url) = taken.filter(|_| service.description.is_none()) {
            return Err(DescriptionError::UrlExists(url));
        }
        let old = std::mem::replace(&mut service.url, url.to_owned());
        if service.description.is_none()
            && let Some(description) = client.descriptions.remove(&old)
        {
            client.descriptions.insert(url.to_owned(), description);
        }
    }
    service.timeout = timeout.unwrap_or(service.timeout);
    service.tls = tls.unwrap_or(service.tls);
    Ok(())
}

/// Removes a description with its services and all rights to them.
///
/// # Errors
/// [`DescriptionError::NotFound`].
pub fn remove(client: &mut ClientSettings, url: &str) -> Result<(), DescriptionError> {
    let old = services_of(client, url)?;
    client.services.retain(|_, service| service.source() != url);
    forget_rights(client, &old);
    Ok(())
}

type Services = Vec<(ServiceKey, ServiceSettings)>;

fn services_of(client: &ClientSettings, url: &str) -> Result<Services, DescriptionError> {
    let services = client.services.iter().filter(|(_, service)| service.source() == url);
    let services: Services = services.map(|(key, service)| (key.clone(), service.clone())).collect();
    if services.is_empty() { Err(DescriptionError::NotFound(url.to_owned())) } else { Ok(services) }
}

/// The code of the one service of an OpenAPI description.
fn code_of(services: &[(ServiceKey, ServiceSettings)]) -> String {
    services.first().map(|(key, _)| key.code.clone()).unwrap_or_default()
}

fn stop_for(warnings: Vec<Warning>, ignore: bool) -> Result<(), DescriptionError> {
    if ignore || warnings.is_empty() { Ok(()) } else { Err(DescriptionError::Warnings(warnings)) }
}

fn check_codes(
    client: &ClientSettings,
    new: &[(ServiceKey, ServiceSettings)],
) -> Result<(), DescriptionError> {
    let mut taken = Vec::new();
    for (key, service) in new {
        if is_reserved(&key.code) {
            return Err(DescriptionError::Reserved(key.code.clone()));
        }
        if !is_usable(&key.code) {
            return Err(DescriptionError::Identifier(vec![key.code.clone()]));
        }
        let kind = service.service_type;
        let twin =
            client.services.iter().find(|(other, found)| collide((key, kind), (other, found.service_type)));
        match twin {
            Some((_, found)) if kind == ServiceType::Soap => {
                taken.extend([full_code(key), found.source().to_owned()]);
            }
            Some(_) => return Err(DescriptionError::CodeExists(key.code.clone())),
            None => {}
        }
    }
    if taken.is_empty() { Ok(()) } else { Err(DescriptionError::ServiceExists(taken)) }
}

impl<'a> Source<'a> {
    fn url(self) -> &'a str {
        let (Self::Wsdl { url, .. } | Self::OpenApi { url, .. } | Self::Rest { url, .. }) = self;
        url
    }

    fn services(self) -> (Services, Vec<Warning>) {
        match self {
            Self::Wsdl { url, document } => (super::document::of_wsdl(document, url), Vec::new()),
            Self::OpenApi { url, document, code } => {
                (super::document::of_open_api(document, url, code), document.warnings.clone())
            }
            Self::Rest { url, code } => {
                let key = ServiceKey { code: code.to_owned(), version: None };
                (vec![(key, new_service(ServiceType::Rest, url))], Vec::new())
            }
        }
    }
}

/// The settings of a service that nobody has touched.
pub(super) fn new_service(service_type: ServiceType, url: &str) -> ServiceSettings {
    ServiceSettings {
        url: url.to_owned(),
        timeout: TIMEOUT,
        tls: ServiceTls::Pinned,
        disabled: Some(NEW.to_owned()),
        service_type,
        description: None,
        title: None,
        endpoints: BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests;
