//! OpenAPI 3.0 and 3.1, as far as a security server needs it (registry and administration §4.5).
//!
//! The first server is the service's URL; every path and method is an endpoint. References are not
//! followed, and schemas are not looked at.

mod address;
mod faults;
mod tree;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::error::{DescriptionError, Warning, WarningKind};
use crate::state::Endpoint;

/// The members of a path that are HTTP methods.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Most endpoints of one document.
const MOST_ENDPOINTS: usize = 10_000;

/// How a document is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML, of which JSON is a part.
    Yaml,
}

impl Format {
    /// The format of a document by its media type, and where that says nothing, by the path of its URL
    /// (messages and transport §6.3).
    pub fn of(content_type: Option<&str>, url: &str) -> Self {
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let is_json = content_type.contains("application/json")
            || (content_type != "application/x-yaml" && path.to_ascii_lowercase().ends_with(".json"));
        if is_json { Self::Json } else { Self::Yaml }
    }
}

/// What an OpenAPI document says about a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenApi {
    /// The version of OpenAPI, such as `3.0.2`.
    pub version: String,
    /// What the document calls the service.
    pub title: Option<String>,
    /// The first server, resolved against the URL of the document. As written when it has variables (`{…}`);
    /// then it cannot be called until somebody gives a real one.
    pub base_url: String,
    /// One for each path and method; a parameter of a path is a star.
    pub endpoints: BTreeSet<Endpoint>,
    /// Faults that do not hinder; at most one warning.
    pub warnings: Vec<Warning>,
}

impl OpenApi {
    /// Reads a document that was fetched from `url`.
    ///
    /// # Errors
    /// [`DescriptionError::Version`] for other versions, [`DescriptionError::OpenApi`] for what is no such
    /// document, has a key twice, or has an endpoint twice.
    pub fn parse(octets: &[u8], format: Format, url: &str) -> Result<Self, DescriptionError> {
        let document = tree::read(octets, format).map_err(DescriptionError::OpenApi)?;
        let version = version(&document)?;
        let Some(Value::Object(paths)) = document.get("paths") else {
            // Version 3.1 allows documents without paths; they describe no service.
            return Err(invalid("it has no paths"));
        };
        let (base_url, address_fault) = base_url(&document, url)?;
        let mut faults = faults::find(&document, paths);
        faults.extend(address_fault);
        let warning = Warning { kind: WarningKind::OpenApiValidation, details: faults };
        Ok(Self {
            version,
            title: document.pointer("/info/title").and_then(Value::as_str).map(str::to_owned),
            base_url,
            endpoints: endpoints(paths)?,
            warnings: if warning.details.is_empty() { Vec::new() } else { vec![warning] },
        })
    }
}

fn invalid(reason: impl Into<String>) -> DescriptionError {
    DescriptionError::OpenApi(reason.into())
}

/// The version, when it is one that is understood: 3.0 with any patch, and 3.1.0 alone.
fn version(document: &Value) -> Result<String, DescriptionError> {
    let Some(version) = document.get("openapi") else {
        return Err(match document.get("swagger") {
            Some(version) => DescriptionError::Version(text(version)),
            None => invalid("it does not say which version of OpenAPI it follows"),
        });
    };
    let version = text(version);
    let patch = version.strip_prefix("3.0.");
    let is_known = version == "3.1.0"
        || patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|digit| digit.is_ascii_digit()));
    if is_known { Ok(version) } else { Err(DescriptionError::Version(version)) }
}

/// A scalar as it was most likely written.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The URL of the service, and what is wrong with it.
fn base_url(document: &Value, url: &str) -> Result<(String, Option<String>), DescriptionError> {
    // Without servers, version 3.0 and 3.1 both say that there is one with the URL `/`.
    let server = match document.get("servers") {
        None | Some(Value::Null) => None,
        Some(Value::Array(servers)) => servers.first(),
        Some(_) => return Err(invalid("servers is not a list")),
    };
    let address = match server {
        None => "/",
        Some(server) => {
            server.get("url").and_then(Value::as_str).ok_or_else(|| invalid("the first server has no URL"))?
        }
    };
    if address.contains('{') {
        return Ok((address.to_owned(), undefined_variable(server, address)));
    }
    let resolved = address::resolve(url, address)
        .ok_or_else(|| invalid(format!("'{address}' is not the URL of a service")))?;
    Ok((resolved, None))
}

fn undefined_variable(server: Option<&Value>, address: &str) -> Option<String> {
    let variables = server.and_then(|server| server.get("variables"));
    let is_undefined =
        |name: &&str| variables.and_then(|variables| variables.get(*name)?.get("default")).is_none();
    let name = parameters(address).into_iter().find(is_undefined)?;
    Some(format!("servers: the variable {name} has no default"))
}

/// The names in braces.
fn parameters(text: &str) -> Vec<&str> {
    let after_braces = text.split('{').skip(1);
    after_braces.filter_map(|part| part.split_once('}')).map(|(name, _)| name).collect()
}

fn endpoints(paths: &Map<String, Value>) -> Result<BTreeSet<Endpoint>, DescriptionError> {
    let mut endpoints = BTreeSet::new();
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        let Value::Object(item) = item else { return Err(invalid(format!("the path {path} is not a map"))) };
        for method in METHODS.iter().filter(|method| item.contains_key(**method)) {
            let endpoint =
                Endpoint { path: pattern(path), method: method.to_ascii_uppercase(), generated: true };
            // Two paths that differ in the names of their parameters only are one endpoint.
            if endpoints.contains(&endpoint) {
                let Endpoint { path, method, .. } = endpoint;
                return Err(invalid(format!("the endpoint {method} {path} is there twice")));
            }
            endpoints.insert(endpoint);
            if endpoints.len() > MOST_ENDPOINTS {
                return Err(invalid(format!("it has more than {MOST_ENDPOINTS} endpoints")));
            }
        }
    }
    Ok(endpoints)
}

/// A path with a star in place of each parameter.
fn pattern(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else { break };
        pattern.push_str(before);
        pattern.push('*');
        rest = after;
    }
    pattern + rest
}

#[cfg(test)]
mod tests;
