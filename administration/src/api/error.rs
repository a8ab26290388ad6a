//! Refusals as both servers tell them (registry and administration §6.2, §6.4).

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

/// Why a call is refused, with the HTTP status. Warnings are a refusal that the caller may overrule with
/// `ignore_warnings`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiError {
    status: StatusCode,
    error: Option<CodeWithDetails>,
    warnings: Vec<CodeWithDetails>,
}

/// The body of a refusal.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "ErrorInfo")]
pub struct ErrorInfo {
    /// The HTTP status.
    status: u16,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<CodeWithDetails>,
    /// What the caller should know and may overrule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<CodeWithDetails>,
}

/// A code with what it is about.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "CodeWithDetails")]
pub struct CodeWithDetails {
    /// The code.
    pub code: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<String>,
    /// By field of the body, the rules that it breaks.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub validation_errors: std::collections::BTreeMap<String, Vec<String>>,
}

impl CodeWithDetails {
    /// A code with what it is about.
    pub fn new(code: impl Into<String>, metadata: Vec<String>) -> Self {
        Self { code: code.into(), metadata, validation_errors: Default::default() }
    }
}

impl ApiError {
    /// A refusal with a code of the specification. A status that is none counts as 500.
    pub fn new(status: u16, code: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, error: Some(CodeWithDetails::new(code, Vec::new())), warnings: Vec::new() }
    }

    /// 400
    pub fn bad_request(code: impl Into<String>) -> Self {
        Self::new(400, code)
    }

    /// 403, the actor has no right to this.
    pub fn forbidden() -> Self {
        Self::new(403, "access_denied")
    }

    /// 404
    pub fn not_found(code: impl Into<String>) -> Self {
        Self::new(404, code)
    }

    /// 409
    pub fn conflict(code: impl Into<String>) -> Self {
        Self::new(409, code)
    }

    /// 500; the reason belongs into the log and not into the answer.
    pub fn internal() -> Self {
        Self::new(500, "internal_error")
    }

    /// 400 `validation_failure`: a field breaks a rule.
    pub fn validation(field: &str, rule: &str) -> Self {
        Self::bad_request("validation_failure").with_validation(field, rule)
    }

    /// 400 `warnings_detected`: goes through when it is asked again with `ignore_warnings`.
    pub fn warnings(warnings: Vec<CodeWithDetails>) -> Self {
        Self { warnings, ..Self::bad_request("warnings_detected") }
    }

    /// Adds a rule that a field breaks.
    #[must_use]
    pub fn with_validation(mut self, field: &str, rule: &str) -> Self {
        if let Some(error) = &mut self.error {
            error.validation_errors.entry(field.to_owned()).or_default().push(rule.to_owned());
        }
        self
    }

    /// Adds what it is about.
    #[must_use]
    pub fn with(mut self, metadata: impl Into<String>) -> Self {
        if let Some(error) = &mut self.error {
            error.metadata.push(metadata.into());
        }
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The code.
    pub fn code(&self) -> Option<&str> {
        self.error.as_ref().map(|error| error.code.as_str())
    }

    /// What the caller may overrule.
    pub fn warnings_told(&self) -> &[CodeWithDetails] {
        &self.warnings
    }

    /// What it is about.
    pub fn metadata(&self) -> &[String] {
        self.error.as_ref().map_or(&[], |error| &error.metadata)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorInfo {
            status: self.status.as_u16(),
            error: self.error.clone(),
            warnings: self.warnings.clone(),
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        // For the audit log.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_as_scripts_know_them() {
        let body = |error: ApiError| {
            let ApiError { status, error, warnings } = error;
            serde_json::to_string(&ErrorInfo { status: status.as_u16(), error, warnings }).unwrap()
        };
        assert_eq!(
            body(ApiError::not_found("service_client_not_found")),
            r#"{"status":404,"error":{"code":"service_client_not_found"}}"#
        );
        assert_eq!(
            body(ApiError::validation("memberName", "NotBlank")),
            r#"{"status":400,"error":{"code":"validation_failure","validation_errors":{"memberName":["NotBlank"]}}}"#
        );
        let warning = CodeWithDetails::new("unregistered_member", vec!["DEV:COM:1".into()]);
        assert_eq!(
            body(ApiError::warnings(vec![warning])),
            r#"{"status":400,"error":{"code":"warnings_detected"},"warnings":[{"code":"unregistered_member","metadata":["DEV:COM:1"]}]}"#
        );
    }
}
