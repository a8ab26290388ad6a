//! A document of either kind, and the services it makes.

use gateway::ports::ServiceType;

use super::catalogue::new_service;
use super::error::{DescriptionError, Warning};
use super::openapi::{Format, OpenApi};
use super::wsdl::Wsdl;
use crate::state::{ServiceKey, ServiceSettings};

/// What a document says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Document {
    /// A WSDL.
    Wsdl(Wsdl),
    /// An OpenAPI document.
    OpenApi(OpenApi),
}

impl Document {
    /// Reads a document of this kind that was fetched from `url`, where it had this media type.
    ///
    /// # Errors
    /// See [`DescriptionError`]; plain REST services have no document.
    pub fn parse(
        service_type: ServiceType,
        octets: &[u8],
        content_type: Option<&str>,
        url: &str,
    ) -> Result<Self, DescriptionError> {
        match service_type {
            ServiceType::Soap => Wsdl::parse(octets).map(Self::Wsdl),
            ServiceType::OpenApi => {
                OpenApi::parse(octets, Format::of(content_type, url), url).map(Self::OpenApi)
            }
            ServiceType::Rest => {
                Err(DescriptionError::Unreachable("a plain REST service has no description".to_owned()))
            }
        }
    }

    /// Reads a copy of such a document; the name of the file says how it is written.
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn parse_copy(
        service_type: ServiceType,
        octets: &[u8],
        file: &str,
        url: &str,
    ) -> Result<Self, DescriptionError> {
        match service_type {
            ServiceType::OpenApi => OpenApi::parse(octets, Format::of(None, file), url).map(Self::OpenApi),
            other => Self::parse(other, octets, None, url),
        }
    }

    /// Which kind it is.
    pub fn service_type(&self) -> ServiceType {
        match self {
            Self::Wsdl(_) => ServiceType::Soap,
            Self::OpenApi(_) => ServiceType::OpenApi,
        }
    }

    /// What is wrong with it and does not hinder.
    pub fn warnings(&self) -> &[Warning] {
        match self {
            Self::Wsdl(_) => &[],
            Self::OpenApi(document) => &document.warnings,
        }
    }

    /// Its services as new ones; `code` is that of an OpenAPI service.
    pub fn services(&self, url: &str, code: &str) -> Vec<(ServiceKey, ServiceSettings)> {
        match self {
            Self::Wsdl(document) => of_wsdl(document, url),
            Self::OpenApi(document) => of_open_api(document, url, code),
        }
    }
}

pub(super) fn of_wsdl(document: &Wsdl, url: &str) -> Vec<(ServiceKey, ServiceSettings)> {
    let service = |service: &super::WsdlService| ServiceSettings {
        description: Some(url.to_owned()),
        title: service.title.clone(),
        ..new_service(ServiceType::Soap, &service.url)
    };
    document.services.iter().map(|found| (found.key.clone(), service(found))).collect()
}

pub(super) fn of_open_api(document: &OpenApi, url: &str, code: &str) -> Vec<(ServiceKey, ServiceSettings)> {
    let service = ServiceSettings {
        description: Some(url.to_owned()),
        title: document.title.clone(),
        endpoints: document.endpoints.clone(),
        ..new_service(ServiceType::OpenApi, &document.base_url)
    };
    vec![(ServiceKey { code: code.to_owned(), version: None }, service)]
}
