//! The records of the store: one JSON value for a client, a service, a description, a local group, the
//! numbers of the endpoints of one service code, and all access rights to one service code.

mod client;
mod right;
mod service;

use std::collections::BTreeMap;

use protocol::id::{ClientId, encode_segment};

pub(super) use client::{ClientRecord, GroupRecord};
pub(super) use right::{RightRecord, RightsRecord};
pub(super) use service::{DescriptionRecord, NumberRecord, NumbersRecord, ServiceRecord};

use super::{ClientSettings, LocalConfiguration, ServiceKey};

/// The beginnings of the keys of all kinds of records.
pub(super) const KINDS: [&str; 6] =
    ["client/", "service/", "description/", "endpoints/", "group/", "rights/"];

pub(super) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// All records of a configuration by key.
pub(super) fn encode(configuration: &LocalConfiguration) -> serde_json::Result<Records> {
    let mut records = Records::new();
    for (id, settings) in &configuration.clients {
        records.append(&mut encode_client(id, settings)?);
    }
    Ok(records)
}

/// All records of one client by key.
pub(super) fn encode_client(id: &ClientId, settings: &ClientSettings) -> serde_json::Result<Records> {
    let mut records = Records::new();
    let mut put = |key: String, value: serde_json::Result<Vec<u8>>| {
        records.insert(key.into_bytes(), value?);
        Ok::<(), serde_json::Error>(())
    };
    let client = id.encoded();
    put(format!("client/{client}"), serde_json::to_vec(&ClientRecord::of(&client, settings)))?;
    for (service, settings) in &settings.services {
        let key = format!("service/{client}/{}", encode_service(service));
        put(key, serde_json::to_vec(&ServiceRecord::of(&client, service, settings)))?;
    }
    for (url, description) in &settings.descriptions {
        let key = format!("description/{client}/{}", encode_segment(url));
        put(key, serde_json::to_vec(&DescriptionRecord::of(&client, url, description)))?;
    }
    let mut by_code: BTreeMap<&str, Vec<NumberRecord>> = BTreeMap::new();
    for (key, number) in &settings.numbers {
        by_code.entry(&key.code).or_default().push(NumberRecord::of(key, *number));
    }
    for (code, numbers) in by_code {
        let record = NumbersRecord { client: client.clone(), code: code.to_owned(), numbers };
        put(format!("endpoints/{client}/{}", encode_segment(code)), serde_json::to_vec(&record))?;
    }
    for (code, group) in &settings.groups {
        let key = format!("group/{client}/{}", encode_segment(code));
        put(key, serde_json::to_vec(&GroupRecord::of(&client, code, group)))?;
    }
    let mut by_code: BTreeMap<&str, Vec<RightRecord>> = BTreeMap::new();
    for (right, term) in &settings.rights {
        by_code.entry(&right.service_code).or_default().push(RightRecord::of(right, term));
    }
    for (code, rights) in by_code {
        let record = RightsRecord { client: client.clone(), code: code.to_owned(), rights };
        put(format!("rights/{client}/{}", encode_segment(code)), serde_json::to_vec(&record))?;
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
