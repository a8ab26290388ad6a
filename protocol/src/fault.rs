//! Faults: what one side tells the other when an exchange fails.
//!
//! Messages and transport §2.9, §4.7, §7. A code is `origin[.group]*.leaf`; it is opaque text to
//! whoever receives it.

use std::borrow::Cow;
use std::fmt;

/// Who sets a code: the first words of it (§7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The client information system sent something bad (SOAP only).
    Client,
    /// The consumer's security server.
    ClientProxy,
    /// The provider's security server.
    ServerProxy,
}

impl Origin {
    /// The prefix without its trailing dot.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::ClientProxy => "server.clientproxy",
            Self::ServerProxy => "server.serverproxy",
        }
    }
}

/// A fault as it travels.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Fault {
    /// The code, with all prefixes it has so far.
    pub code: Cow<'static, str>,
    /// Free text for people; no secrets, internal addresses or stack traces.
    pub text: String,
    /// An id that stands in the log of the node that made the fault, or what a peer's fault carried.
    pub detail: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl Fault {
    /// A fault with a leaf code and its text, not yet given an origin or detail.
    pub fn new(code: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into(), detail: None }
    }

    /// Puts `group` before the code, unless the code starts with it already (§7.1).
    #[must_use]
    pub fn within(mut self, group: &str) -> Self {
        let starts =
            self.code.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if !starts {
            self.code = format!("{group}.{}", self.code).into();
        }
        self
    }

    /// Puts the origin before the code.
    #[must_use]
    pub fn from_origin(self, origin: Origin) -> Self {
        self.within(origin.prefix())
    }

    /// Sets the detail, unless there is one.
    #[must_use]
    pub fn with_detail(mut self, detail: impl FnOnce() -> String) -> Self {
        self.detail.get_or_insert_with(detail);
        self
    }
}

/// Leaf codes and groups (§7.2), each where the specification says it is raised.
pub mod code {
    macro_rules! codes {
        ($($name:ident = $text:literal;)*) => {
            $(#[doc = concat!("`", $text, "`")] pub const $name: &str = $text;)*
        };
    }
    codes! {
        ACCESS_DENIED = "access_denied";
        BAD_REQUEST = "bad_request";
        CANNOT_CREATE_CERT_PATH = "cannot_create_cert_path";
        CANNOT_CREATE_SIGNATURE = "cannot_create_signature";
        CERT_VALIDATION = "cert_validation";
        CLIENT_PROXY_VERSION_NOT_SUPPORTED = "client_proxy_version_not_supported";
        DATABASE_ERROR = "database_error";
        DUPLICATE_HEADER_FIELD = "duplicate_header_field";
        GLOBAL_CONF_OUTDATED = "global_conf_outdated";
        HASHCHAIN_UNUSED_INPUTS = "hashchain_unused_inputs";
        HTTP_ERROR = "http_error";
        INCONSISTENT_HEADERS = "inconsistent_headers";
        INCONSISTENT_RESPONSE = "inconsistent_response";
        INCORRECT_CERTIFICATE = "incorrect_certificate";
        INCORRECT_VALIDATION_INFO = "incorrect_validation_info";
        INTERNAL_ERROR = "internal_error";
        INVALID_BODY = "invalid_body";
        INVALID_CERT_PATH = "invalid_cert_path";
        INVALID_CLIENT_IDENTIFIER = "invalid_client_identifier";
        INVALID_CONTENT_TYPE = "invalid_content_type";
        INVALID_HASH_CHAIN = "invalid_hash_chain";
        INVALID_HASH_CHAIN_REF = "invalid_hash_chain_ref";
        INVALID_HTTP_METHOD = "invalid_http_method";
        INVALID_MESSAGE = "invalid_message";
        INVALID_PROTOCOL_VERSION = "invalid_protocol_version";
        INVALID_REFERENCE = "invalid_reference";
        INVALID_REQUEST = "invalid_request";
        INVALID_SECURITY_SERVER = "invalid_security_server";
        INVALID_SIGNATURE_VALUE = "invalid_signature_value";
        INVALID_SOAP = "invalid_soap";
        INVALID_SOAP_ACTION = "invalid_soap_action";
        INVALID_XML = "invalid_xml";
        IO_ERROR = "io_error";
        LOGGING_FAILED = "logging_failed";
        MAINTENANCE_MODE = "maintenance_mode";
        MALFORMED_HASH_CHAIN = "malformed_hash_chain";
        MALFORMED_SIGNATURE = "malformed_signature";
        MIME_PARSING_FAILED = "mime_parsing_failed";
        MISSING_BODY = "missing_body";
        MISSING_HEADER = "missing_header";
        MISSING_HEADER_FIELD = "missing_header_field";
        MISSING_REST = "missing_rest";
        MISSING_SIGNATURE = "missing_signature";
        MISSING_SOAP = "missing_soap";
        NETWORK_ERROR = "network_error";
        SERVICE_DISABLED = "service_disabled";
        SERVICE_FAILED = "service_failed";
        SERVICE_MISSING_URL = "service_missing_url";
        SERVICE_TYPE = "service_type";
        SIGNATURE_VERIFICATION = "signature_verification";
        SSL_AUTHENTICATION_FAILED = "ssl_authentication_failed";
        TIMESTAMPING_FAILED = "timestamping_failed";
        UNKNOWN_HOST = "unknown_host";
        UNKNOWN_MEMBER = "unknown_member";
        UNKNOWN_SERVICE = "unknown_service";
    }
    /// Node class policy forbids the exchange; Causeway's own leaf below `access_denied`'s meaning,
    /// since no code of the catalogue fits (docs/divergences.md).
    pub const NODE_CLASS_POLICY: &str = "node_class_policy";
    /// The same signed message was taken before. A code of Causeway's own: X-Road does not notice
    /// replays (docs/divergences.md).
    pub const REPLAYED_MESSAGE: &str = "replayed_message";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_added_once() {
        let fault = Fault::new(code::INVALID_HASH_CHAIN, "x").within(code::MALFORMED_SIGNATURE);
        assert_eq!(fault.code, "malformed_signature.invalid_hash_chain");
        let fault = fault.within(code::MALFORMED_SIGNATURE).within(code::SIGNATURE_VERIFICATION);
        assert_eq!(
            fault.from_origin(Origin::ServerProxy).code,
            "server.serverproxy.signature_verification.malformed_signature.invalid_hash_chain"
        );
    }
}
