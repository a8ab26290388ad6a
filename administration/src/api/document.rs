//! The OpenAPI document of an interface, made from its table.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::BASE;
use super::error::ErrorInfo;
use super::operation::{Content, MakeSchema, Operation};
use crate::access::Permission;

/// Refusals that every operation may give.
const REFUSALS: [(u16, &str); 8] = [
    (400, "the request is wrong, or there are warnings"),
    (401, "nobody is logged in"),
    (403, "the permission is missing"),
    (408, "the body did not come in time"),
    (413, "the body is too large"),
    (429, "too many requests"),
    (500, "the server failed"),
    (503, "the server cannot do this now"),
];

/// OpenAPI 3.0.3, which most tools read.
pub(super) fn document<P: Permission>(title: &str, version: &str, operations: &[Operation<P>]) -> Value {
    let mut schemas = SchemaSettings::openapi3().into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let described = describe(operation, &mut schemas);
        let method = operation.method.as_str().to_ascii_lowercase();
        paths.entry(operation.path).or_default().insert(method, described);
    }
    json!({
        "openapi": "3.0.3",
        "info": {"title": title, "version": version, "license": {"name": "MIT OR Apache-2.0"}},
        "servers": [{"url": BASE}],
        "security": [{"apiKey": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "apiKey": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "X-Road-ApiKey token=<key>",
                },
            },
        },
    })
}

fn describe<P: Permission>(operation: &Operation<P>, schemas: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = operation
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    for query in &operation.queries {
        parameters.extend(query_parameters(*query, schemas));
    }
    let mut responses = Map::new();
    for (status, content) in &operation.answers {
        responses.insert(status.to_string(), answer(*content, schemas));
    }
    let error = serde_json::to_value(schemas.subschema_for::<ErrorInfo>()).unwrap_or_default();
    let refusal = |why: &str| json!({"description": why, "content": {"application/json": {"schema": error}}});
    for (status, why) in REFUSALS {
        responses.entry(status.to_string()).or_insert_with(|| refusal(why));
    }
    for status in &operation.statuses {
        responses.entry(status.to_string()).or_insert_with(|| refusal("refused"));
    }
    let permissions: Vec<&str> = operation.permissions.iter().map(|one| one.name()).collect();
    let tag = operation.path.split('/').nth(1).unwrap_or_default();
    let mut described = json!({
        "operationId": operation.id,
        "tags": [tag],
        "responses": responses,
        "x-permissions": permissions,
    });
    if !operation.summary.is_empty() {
        described["summary"] = operation.summary.into();
    }
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some((content_type, schema)) = operation.request {
        let schema = schema.map_or_else(binary, |make| value(make, schemas));
        described["requestBody"] = json!({"required": true, "content": {content_type: {"schema": schema}}});
    }
    described
}

fn answer(content: Option<Content>, schemas: &mut SchemaGenerator) -> Value {
    match content {
        None => json!({"description": "done"}),
        Some((content_type, schema)) => {
            let schema = schema.map_or_else(binary, |make| value(make, schemas));
            json!({"description": "done", "content": {content_type: {"schema": schema}}})
        }
    }
}

fn binary() -> Value {
    json!({"type": "string", "format": "binary"})
}

fn value(make: MakeSchema, schemas: &mut SchemaGenerator) -> Value {
    serde_json::to_value(make(schemas)).unwrap_or_default()
}

/// The fields of the query's type, each a parameter of its own.
fn query_parameters(make: MakeSchema, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let schema = value(make, schemas);
    let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()).map(str::to_owned);
    // The type itself is not referred to from anywhere else.
    let own = name.and_then(|name| schemas.definitions_mut().remove(&name)).unwrap_or(schema);
    let required: Vec<&str> =
        own["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = own["properties"].as_object().into_iter().flatten();
    fields
        .map(|(name, schema)| {
            let required = required.contains(&name.as_str());
            json!({"name": name, "in": "query", "required": required, "schema": schema})
        })
        .collect()
}
