//! Faults of an OpenAPI document that hinder nobody from calling the service, but show that something was
//! not meant as it is written.

use serde_json::{Map, Value};

use super::{METHODS, parameters};

/// Most faults that are told.
const MOST: usize = 50;

/// All faults, in the order of the document.
pub(super) fn find(document: &Value, paths: &Map<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    for member in ["title", "version"] {
        if document.get("info").and_then(|info| info.get(member)).is_none_or(Value::is_null) {
            faults.push(format!("info: {member} is missing"));
        }
    }
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        if !path.starts_with('/') {
            faults.push(format!("paths: {path} does not begin with a slash"));
        }
        if path.matches('{').count() != parameters(path).len() {
            faults.push(format!("paths: a brace of {path} is not closed"));
        }
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                of_operation(document, &format!("{method} {path}"), path, item, operation, &mut faults);
            }
        }
        if faults.len() >= MOST {
            faults.truncate(MOST);
            break;
        }
    }
    faults
}

fn of_operation(
    document: &Value,
    name: &str,
    path: &str,
    item: &Value,
    operation: &Value,
    faults: &mut Vec<String>,
) {
    if !operation.is_object() {
        return faults.push(format!("{name}: it is not a map"));
    }
    // Version 3.1 does without responses, and so do callers.
    let is_old = document.get("openapi").and_then(Value::as_str).is_some_and(|text| text.starts_with("3.0."));
    if is_old && operation.get("responses").is_none() {
        faults.push(format!("{name}: it has no responses"));
    }
    for parameter in parameters(path) {
        let is_declared = [item, operation].iter().any(|place| declares(document, place, parameter));
        if !is_declared {
            faults.push(format!("{name}: the parameter {parameter} of the path is not declared"));
        }
    }
}

/// Whether the parameters of a path or operation have one of the path with this name. What stands behind
/// a reference into another document is taken on trust.
fn declares(document: &Value, place: &Value, name: &str) -> bool {
    let Some(Value::Array(declared)) = place.get("parameters") else { return false };
    declared.iter().any(|parameter| {
        let reference = parameter.get("$ref").and_then(Value::as_str);
        let parameter = match reference {
            Some(reference) => match reference.strip_prefix('#').and_then(|place| document.pointer(place)) {
                Some(parameter) => parameter,
                None => return !reference.starts_with('#'),
            },
            None => parameter,
        };
        let member = |key: &str| parameter.get(key).and_then(Value::as_str);
        member("in") == Some("path") && member("name") == Some(name)
    })
}
