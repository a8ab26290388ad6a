//! Endpoints made by hand, and access rights of one client (registry and administration §4.6, §4.7).
//!
//! Nothing is changed when something is refused.

use gateway::ports::ServiceType;
use protocol::time::UtcTime;

use super::differences::endpoint_name;
use super::error::DescriptionError;
use crate::state::{AccessRight, ClientSettings, Endpoint, ServiceKey, ServiceSettings, Subject, Term};

/// Adds an endpoint to a REST service.
///
/// # Errors
/// Without such a service, for a SOAP service, and when it has the endpoint or that is its base endpoint,
/// `*` and `**`, which every service has.
pub fn add_endpoint(
    client: &mut ClientSettings,
    code: &str,
    method: &str,
    path: &str,
) -> Result<(), DescriptionError> {
    let service = rest_service(client, code)?;
    let endpoint = by_hand(method, path);
    let is_base = endpoint.path == "**" && endpoint.method == "*";
    if is_base || find(service, &endpoint).is_some() {
        return Err(DescriptionError::EndpointExists(endpoint_name(&endpoint)));
    }
    service.endpoints.insert(endpoint);
    Ok(())
}

/// Removes an endpoint that was made by hand, with all rights to it.
///
/// # Errors
/// Without such a service or endpoint, and when the endpoint comes from a document.
pub fn remove_endpoint(
    client: &mut ClientSettings,
    code: &str,
    method: &str,
    path: &str,
) -> Result<(), DescriptionError> {
    let service = rest_service(client, code)?;
    let meant = by_hand(method, path);
    match find(service, &meant) {
        None => return Err(DescriptionError::EndpointNotFound(endpoint_name(&meant))),
        Some(found) if found.generated => {
            return Err(DescriptionError::EndpointGenerated(endpoint_name(&meant)));
        }
        Some(_) => service.endpoints.remove(&meant),
    };
    client.rights.retain(|right, _| {
        let is_of_endpoint = right.path.as_deref().unwrap_or("**") == meant.path
            && right.method.as_deref().unwrap_or("*") == meant.method;
        right.service_code != code || !is_of_endpoint
    });
    Ok(())
}

/// Gives a right, for good or until a time. A method `*` and a path `**` are the same as none.
///
/// # Errors
/// Without such a service or local group, when the right exists, and for a part of a SOAP service.
pub fn grant(
    client: &mut ClientSettings,
    right: AccessRight,
    until: Option<UtcTime>,
) -> Result<(), DescriptionError> {
    let right = plain(right);
    let code = &right.service_code;
    let mut services = client.services.iter().filter(|(key, _)| key.code == *code).peekable();
    if services.peek().is_none() {
        return Err(DescriptionError::ServiceNotFound(code.clone()));
    }
    let is_soap = services.any(|(_, service)| service.service_type == ServiceType::Soap);
    if is_soap && (right.method.is_some() || right.path.is_some()) {
        return Err(DescriptionError::NoEndpoints);
    }
    if let Subject::LocalGroup(group) = &right.subject
        && !client.groups.contains_key(group)
    {
        return Err(DescriptionError::GroupNotFound(group.clone()));
    }
    if client.rights.contains_key(&right) {
        return Err(DescriptionError::RightExists(right.to_string()));
    }
    client.rights.insert(right, Term { given: None, until });
    Ok(())
}

/// Takes a right away.
///
/// # Errors
/// [`DescriptionError::RightNotFound`].
pub fn revoke(client: &mut ClientSettings, right: AccessRight) -> Result<(), DescriptionError> {
    let right = plain(right);
    if client.rights.remove(&right).is_some() {
        Ok(())
    } else {
        Err(DescriptionError::RightNotFound(right.to_string()))
    }
}

fn plain(right: AccessRight) -> AccessRight {
    AccessRight {
        method: right.method.map(|method| method.to_ascii_uppercase()).filter(|method| method != "*"),
        path: right.path.filter(|path| path != "**"),
        ..right
    }
}

/// An endpoint that no document has.
fn by_hand(method: &str, path: &str) -> Endpoint {
    Endpoint { path: path.to_owned(), method: method.to_ascii_uppercase(), generated: false }
}

fn rest_service<'c>(
    client: &'c mut ClientSettings,
    code: &str,
) -> Result<&'c mut ServiceSettings, DescriptionError> {
    let is_soap = client
        .services
        .iter()
        .any(|(key, service)| key.code == code && service.service_type == ServiceType::Soap);
    if is_soap {
        return Err(DescriptionError::NoEndpoints);
    }
    let key = ServiceKey { code: code.to_owned(), version: None };
    client.services.get_mut(&key).ok_or_else(|| DescriptionError::ServiceNotFound(code.to_owned()))
}

fn find<'s>(service: &'s ServiceSettings, endpoint: &Endpoint) -> Option<&'s Endpoint> {
    service.endpoints.iter().find(|found| (&found.path, &found.method) == (&endpoint.path, &endpoint.method))
}

#[cfg(test)]
mod tests {
    use protocol::id::ClientId;

    use super::*;
    use crate::description::catalogue::new_service;
    use crate::state::LocalGroup;

    fn sample() -> ClientSettings {
        let key = |code: &str| ServiceKey { code: code.into(), version: None };
        let mut api = new_service(ServiceType::OpenApi, "http://h/");
        api.endpoints = [Endpoint { path: "/a".into(), method: "GET".into(), generated: true }].into();
        ClientSettings {
            services: [(key("api"), api), (key("soap"), new_service(ServiceType::Soap, "http://h/"))].into(),
            groups: [("friends".into(), LocalGroup::default())].into(),
            ..ClientSettings::default()
        }
    }

    fn right(code: &str, method: &str, path: &str, subject: Subject) -> AccessRight {
        AccessRight {
            service_code: code.into(),
            method: Some(method.into()),
            path: Some(path.into()),
            subject,
        }
    }

    fn anna() -> Subject {
        Subject::Client(ClientId::parse_encoded("CW/GOV/1/anna").unwrap())
    }

    #[track_caller]
    fn check(outcome: Result<(), DescriptionError>, expected: &str) {
        assert_eq!(outcome.map_or_else(|error| error.code(), |()| "done"), expected);
    }

    #[test]
    fn endpoints() {
        let mut client = sample();
        check(add_endpoint(&mut client, "api", "post", "/b/*"), "done");
        check(add_endpoint(&mut client, "api", "POST", "/b/*"), "endpoint_already_exists");
        check(add_endpoint(&mut client, "api", "GET", "/a"), "endpoint_already_exists");
        check(add_endpoint(&mut client, "api", "*", "**"), "endpoint_already_exists");
        check(add_endpoint(&mut client, "soap", "GET", "/a"), "wrong_type");
        check(add_endpoint(&mut client, "none", "GET", "/a"), "service_not_found");
        check(grant(&mut client, right("api", "POST", "/b/*", anna()), None), "done");
        check(grant(&mut client, right("api", "*", "**", anna()), None), "done");
        check(remove_endpoint(&mut client, "api", "GET", "/a"), "illegal_generated_endpoint_remove");
        check(remove_endpoint(&mut client, "api", "GET", "/b/*"), "endpoint_not_found");
        check(remove_endpoint(&mut client, "api", "post", "/b/*"), "done");
        assert_eq!(client.rights.len(), 1, "the right to the endpoint is gone too");
    }

    #[test]
    fn rights() {
        let mut client = sample();
        check(grant(&mut client, right("api", "get", "/a", anna()), None), "done");
        check(grant(&mut client, right("api", "GET", "/a", anna()), None), "duplicate_accessright");
        check(grant(&mut client, right("soap", "*", "**", anna()), None), "done");
        check(grant(&mut client, right("soap", "GET", "**", anna()), None), "wrong_type");
        check(grant(&mut client, right("none", "*", "**", anna()), None), "service_not_found");
        check(
            grant(&mut client, right("api", "*", "**", Subject::LocalGroup("friends".into())), None),
            "done",
        );
        check(
            grant(&mut client, right("api", "*", "**", Subject::LocalGroup("foes".into())), None),
            "local_group_not_found",
        );
        check(revoke(&mut client, right("soap", "*", "**", anna())), "done");
        check(revoke(&mut client, right("soap", "*", "**", anna())), "accessright_not_found");
        check(revoke(&mut client, right("api", "get", "/a", anna())), "done");
        assert_eq!(client.rights.len(), 1);
    }
}
