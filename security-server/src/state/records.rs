//! The records of the store: one JSON value for a client, a service, a local group, and all access
//! rights to one service code.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gateway::ports::{ConnectionType, ServiceTls, ServiceType};
use protocol::id::{ClientId, GlobalGroupId, encode_segment};
use serde::{Deserialize, Serialize};

use super::{
    AccessRight, ClientSettings, Endpoint, LocalConfiguration, ServiceKey, ServiceSettings, Subject,
};

#[derive(Deserialize, Serialize)]
pub(super) struct ClientRecord {
    client: String,
    connection_type: String,
    certificates: Vec<String>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct ServiceRecord {
    pub(super) client: String,
    pub(super) code: String,
    pub(super) version: Option<String>,
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

#[derive(Deserialize, Serialize)]
pub(super) struct GroupRecord {
    pub(super) client: String,
    pub(super) code: String,
    pub(super) description: String,
    pub(super) members: Vec<String>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct RightsRecord {
    pub(super) client: String,
    pub(super) code: String,
    pub(super) rights: Vec<RightRecord>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct RightRecord {
    method: Option<String>,
    path: Option<String>,
    subject: StoredSubject,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum StoredSubject {
    Client(String),
    GlobalGroup(String, String),
    LocalGroup(String),
}

/// The names by which X-Road stores connection types (§5.2).
fn connection_name(kind: ConnectionType) -> &'static str {
    match kind {
        ConnectionType::Http => "NOSSL",
        ConnectionType::HttpsNoAuth => "SSLNOAUTH",
        ConnectionType::Https => "SSLAUTH",
    }
}

impl ClientRecord {
    pub(super) fn read(self) -> Result<(ClientId, ClientSettings), String> {
        let id = ClientId::parse_encoded(&self.client).map_err(|error| error.to_string())?;
        let kinds = [ConnectionType::Http, ConnectionType::HttpsNoAuth, ConnectionType::Https];
        let connection_type = kinds
            .into_iter()
            .find(|kind| connection_name(*kind) == self.connection_type)
            .ok_or_else(|| format!("unknown connection type {}", self.connection_type))?;
        let certificates: Result<Vec<Bytes>, _> =
            self.certificates.iter().map(|der| STANDARD.decode(der).map(Bytes::from)).collect();
        let certificates = certificates.map_err(|error| error.to_string())?;
        Ok((id, ClientSettings { connection_type, certificates, ..ClientSettings::default() }))
    }
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

impl RightRecord {
    pub(super) fn read(self, code: &str) -> Result<AccessRight, String> {
        let subject = match self.subject {
            StoredSubject::Client(id) => ClientId::parse_encoded(&id).map(Subject::Client),
            StoredSubject::GlobalGroup(instance, code) => {
                GlobalGroupId::new(&instance, &code).map(Subject::GlobalGroup)
            }
            StoredSubject::LocalGroup(code) => Ok(Subject::LocalGroup(code)),
        };
        let subject = subject.map_err(|error| error.to_string())?;
        Ok(AccessRight { service_code: code.to_owned(), method: self.method, path: self.path, subject })
    }

    fn of(right: &AccessRight) -> Self {
        let subject = match &right.subject {
            Subject::Client(id) => StoredSubject::Client(id.encoded()),
            Subject::GlobalGroup(id) => {
                StoredSubject::GlobalGroup(id.instance().to_owned(), id.code().to_owned())
            }
            Subject::LocalGroup(code) => StoredSubject::LocalGroup(code.clone()),
        };
        Self { method: right.method.clone(), path: right.path.clone(), subject }
    }
}

/// All records of a configuration by key.
pub(super) fn encode(configuration: &LocalConfiguration) -> serde_json::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut records = BTreeMap::new();
    let mut put = |key: String, value: serde_json::Result<Vec<u8>>| {
        records.insert(key.into_bytes(), value?);
        Ok::<(), serde_json::Error>(())
    };
    for (id, settings) in &configuration.clients {
        let client = id.encoded();
        let record = ClientRecord {
            client: client.clone(),
            connection_type: connection_name(settings.connection_type).to_owned(),
            certificates: settings.certificates.iter().map(|der| STANDARD.encode(der)).collect(),
        };
        put(format!("client/{client}"), serde_json::to_vec(&record))?;
        for (service, settings) in &settings.services {
            let key = format!("service/{client}/{}", encode_service(service));
            put(key, serde_json::to_vec(&service_record(&client, service, settings)))?;
        }
        for (code, group) in &settings.groups {
            let record = GroupRecord {
                client: client.clone(),
                code: code.clone(),
                description: group.description.clone(),
                members: group.members.iter().map(ClientId::encoded).collect(),
            };
            put(format!("group/{client}/{}", encode_segment(code)), serde_json::to_vec(&record))?;
        }
        let mut by_code: BTreeMap<&str, Vec<RightRecord>> = BTreeMap::new();
        for right in &settings.rights {
            by_code.entry(&right.service_code).or_default().push(RightRecord::of(right));
        }
        for (code, rights) in by_code {
            let record = RightsRecord { client: client.clone(), code: code.to_owned(), rights };
            put(format!("rights/{client}/{}", encode_segment(code)), serde_json::to_vec(&record))?;
        }
    }
    Ok(records)
}

/// The code, and after a slash the version. An empty version is kept apart from none by the slash.
fn encode_service(service: &ServiceKey) -> String {
    let code = encode_segment(&service.code);
    match &service.version {
        Some(version) => format!("{code}/{}", encode_segment(version)),
        None => code,
    }
}

fn service_record(client: &str, service: &ServiceKey, settings: &ServiceSettings) -> ServiceRecord {
    ServiceRecord {
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
