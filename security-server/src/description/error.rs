//! Why a description is not taken, and what to think about first.

use std::fmt;

/// Why a description, or a change of one, is not taken. The details say what to look at.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DescriptionError {
    /// The document could not be fetched or is too large.
    #[error("the description cannot be read: {0}")]
    Unreachable(String),
    /// It is no WSDL 1.1 document.
    #[error("not a WSDL document: {0}")]
    Wsdl(String),
    /// A port's address is no `http` or `https` URL; all of them.
    #[error("not the URL of a service: {}", list(.0))]
    ServiceUrl(Vec<String>),
    /// Operation names and versions that cannot be service codes and versions.
    #[error("not usable as service codes or versions: {}", list(.0))]
    Identifier(Vec<String>),
    /// The program that was asked to judge the WSDL says that it is wrong.
    #[error("the validator refuses the WSDL: {}", list(.0))]
    Validator(Vec<String>),
    /// An OpenAPI version other than 3.0.x and 3.1.0, or Swagger 2.
    #[error("OpenAPI version {0} is not supported")]
    Version(String),
    /// It is no OpenAPI document, or two of its endpoints are the same.
    #[error("not an OpenAPI document: {0}")]
    OpenApi(String),
    /// A code of the built-in services.
    #[error("the service code is reserved: {0}")]
    Reserved(String),
    /// The client has this WSDL already.
    #[error("the client has this WSDL already: {0}")]
    WsdlExists(String),
    /// The client has a description with this URL already.
    #[error("the client has a description with this URL already: {0}")]
    UrlExists(String),
    /// Services of another description of the client: their full codes, and its URL.
    #[error("the client has these services already: {}", list(.0))]
    ServiceExists(Vec<String>),
    /// Another service of the client has this code.
    #[error("the client has a service with this code already: {0}")]
    CodeExists(String),
    /// The client has no such service.
    #[error("the client has no service {0}")]
    ServiceNotFound(String),
    /// The service has this endpoint already.
    #[error("the service has this endpoint already: {0}")]
    EndpointExists(String),
    /// The service has no such endpoint.
    #[error("the service has no endpoint {0}")]
    EndpointNotFound(String),
    /// Endpoints that come from the document go with it only.
    #[error("the endpoint comes from the document: {0}")]
    EndpointGenerated(String),
    /// SOAP services have no endpoints.
    #[error("a SOAP service has no methods and paths")]
    NoEndpoints,
    /// Whoever is meant has this right already.
    #[error("this access right exists already: {0}")]
    RightExists(String),
    /// There is no such right.
    #[error("there is no such access right: {0}")]
    RightNotFound(String),
    /// The client has no such local group.
    #[error("the client has no local group {0}")]
    GroupNotFound(String),
    /// The client has no such description.
    #[error("the client has no description with the URL {0}")]
    NotFound(String),
    /// Nothing is wrong, but somebody should have seen these first.
    #[error("{}", list(.0))]
    Warnings(Vec<Warning>),
}

impl DescriptionError {
    /// The stable code, as administration interfaces give it (registry and administration §4.5).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "description_download_failed",
            Self::Wsdl(_) => "invalid_wsdl",
            Self::ServiceUrl(_) => "invalid_service_url",
            Self::Identifier(_) => "invalid_wsdl_service_identifier",
            Self::Validator(_) => "wsdl_validation_failed",
            Self::Version(_) => "unsupported_openapi_version",
            Self::OpenApi(_) => "openapi_parsing_error",
            Self::Reserved(_) => "service_code_reserved",
            Self::WsdlExists(_) => "wsdl_exists",
            Self::UrlExists(_) => "url_already_exists",
            Self::ServiceExists(_) => "service_already_exists",
            Self::CodeExists(_) => "service_code_already_exists",
            Self::ServiceNotFound(_) => "service_not_found",
            Self::EndpointExists(_) => "endpoint_already_exists",
            Self::EndpointNotFound(_) => "endpoint_not_found",
            Self::EndpointGenerated(_) => "illegal_generated_endpoint_remove",
            Self::NoEndpoints => "wrong_type",
            Self::RightExists(_) => "duplicate_accessright",
            Self::RightNotFound(_) => "accessright_not_found",
            Self::GroupNotFound(_) => "local_group_not_found",
            Self::NotFound(_) => "service_description_not_found",
            Self::Warnings(_) => "warnings_detected",
        }
    }
}

/// Something that stops a change unless the operator says that he has seen it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// Which kind.
    pub kind: WarningKind,
    /// What it is about, one line each.
    pub details: Vec<String>,
}

/// The kinds of warnings.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WarningKind {
    /// The document has services that the client did not have.
    AddingServices,
    /// The document no longer has services that the client has.
    DeletingServices,
    /// The document has endpoints that the service did not have.
    AddingEndpoints,
    /// The document no longer has endpoints that the service has.
    DeletingEndpoints,
    /// The OpenAPI document has faults that do not hinder.
    OpenApiValidation,
    /// The program that was asked to judge the WSDL has something to say.
    WsdlValidation,
}

impl WarningKind {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::AddingServices => "adding_services",
            Self::DeletingServices => "deleting_services",
            Self::AddingEndpoints => "adding_endpoints",
            Self::DeletingEndpoints => "deleting_endpoints",
            Self::OpenApiValidation => "openapi_validation_warnings",
            Self::WsdlValidation => "wsdl_validation_warnings",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), list(&self.details))
    }
}

fn list<T: fmt::Display>(parts: &[T]) -> String {
    parts.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
