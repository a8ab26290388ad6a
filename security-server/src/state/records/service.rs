//! Records of services, of the documents that describe them, and of the numbers of their endpoints.

use std::time::Duration;

use gateway::ports::{ServiceTls, ServiceType};
use protocol::time::UtcTime;
use serde::{Deserialize, Serialize};

use crate::state::{Description, Endpoint, EndpointKey, Number, ServiceKey, ServiceSettings};

#[derive(Deserialize, Serialize)]
pub(in crate::state) struct ServiceRecord {
    pub(in crate::state) client: String,
    pub(in crate::state) code: String,
    pub(in crate::state) version: Option<String>,
    url: String,
    timeout_millis: u64,
    tls: StoredTls,
    disabled: Option<String>,
    // Records of the first version had no type: all their services were plain REST.
    #[serde(default)]
    service_type: StoredType,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    endpoints: Vec<StoredEndpoint>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum StoredType {
    Soap,
    #[default]
    Rest,
    Openapi,
}

#[derive(Deserialize, Serialize)]
struct StoredEndpoint {
    method: String,
    path: String,
    generated: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum StoredTls {
    Pinned,
    Verified,
    Unchecked,
}

/// What is known of one description.
#[derive(Deserialize, Serialize)]
pub(in crate::state) struct DescriptionRecord {
    pub(in crate::state) client: String,
    pub(in crate::state) url: String,
    number: Option<Number>,
    /// Milliseconds since 1970.
    refreshed: Option<i64>,
    notice: Option<String>,
}

/// The numbers of the endpoints of one service code.
#[derive(Deserialize, Serialize)]
pub(in crate::state) struct NumbersRecord {
    pub(in crate::state) client: String,
    pub(in crate::state) code: String,
    pub(in crate::state) numbers: Vec<NumberRecord>,
}

#[derive(Deserialize, Serialize)]
pub(in crate::state) struct NumberRecord {
    method: String,
    path: String,
    number: Number,
}

impl From<ServiceRecord> for ServiceSettings {
    fn from(record: ServiceRecord) -> Self {
        Self {
            url: record.url,
            timeout: Duration::from_millis(record.timeout_millis),
            tls: match record.tls {
                StoredTls::Pinned => ServiceTls::Pinned,
                StoredTls::Verified => ServiceTls::Verified,
                StoredTls::Unchecked => ServiceTls::Unchecked,
            },
            disabled: record.disabled,
            service_type: match record.service_type {
                StoredType::Soap => ServiceType::Soap,
                StoredType::Rest => ServiceType::Rest,
                StoredType::Openapi => ServiceType::OpenApi,
            },
            description: record.description,
            title: record.title,
            endpoints: record
                .endpoints
                .into_iter()
                .map(|StoredEndpoint { method, path, generated }| Endpoint { path, method, generated })
                .collect(),
        }
    }
}

impl ServiceRecord {
    pub(super) fn of(client: &str, service: &ServiceKey, settings: &ServiceSettings) -> Self {
        Self {
            client: client.to_owned(),
            code: service.code.clone(),
            version: service.version.clone(),
            url: settings.url.clone(),
            timeout_millis: u64::try_from(settings.timeout.as_millis()).unwrap_or(u64::MAX),
            tls: match settings.tls {
                ServiceTls::Pinned => StoredTls::Pinned,
                ServiceTls::Verified => StoredTls::Verified,
                ServiceTls::Unchecked => StoredTls::Unchecked,
            },
            disabled: settings.disabled.clone(),
            service_type: match settings.service_type {
                ServiceType::Soap => StoredType::Soap,
                ServiceType::Rest => StoredType::Rest,
                ServiceType::OpenApi => StoredType::Openapi,
            },
            description: settings.description.clone(),
            title: settings.title.clone(),
            endpoints: settings
                .endpoints
                .iter()
                .cloned()
                .map(|Endpoint { path, method, generated }| StoredEndpoint { method, path, generated })
                .collect(),
        }
    }
}

impl From<DescriptionRecord> for Description {
    fn from(record: DescriptionRecord) -> Self {
        Self {
            number: record.number,
            refreshed: record.refreshed.map(UtcTime::from_millis),
            notice: record.notice,
        }
    }
}

impl DescriptionRecord {
    pub(super) fn of(client: &str, url: &str, description: &Description) -> Self {
        Self {
            client: client.to_owned(),
            url: url.to_owned(),
            number: description.number,
            refreshed: description.refreshed.map(UtcTime::millis),
            notice: description.notice.clone(),
        }
    }
}

impl NumberRecord {
    pub(in crate::state) fn read(self, code: &str) -> (EndpointKey, Number) {
        let key = EndpointKey { code: code.to_owned(), path: self.path, method: self.method };
        (key, self.number)
    }

    pub(super) fn of(key: &EndpointKey, number: Number) -> Self {
        Self { method: key.method.clone(), path: key.path.clone(), number }
    }
}
