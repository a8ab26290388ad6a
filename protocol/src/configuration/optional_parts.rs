//! The optional parts that the field knows (§8). A part that cannot be read counts as absent.

use super::ConfigurationError;
use super::schema::{self, Children, Misfit};
use super::writer::Writer;
use crate::id::ClientId;

/// Seconds between fetches of OCSP responses when the part is absent.
pub const DEFAULT_FETCH_INTERVAL: u64 = 1200;
/// Shorter intervals are raised to this, seconds.
pub const LEAST_FETCH_INTERVAL: u64 = 60;

fn read<T>(
    bytes: &[u8],
    content: impl FnOnce(&mut Children<'_>) -> Result<T, Misfit>,
) -> Result<T, ConfigurationError> {
    let read = || {
        let document = schema::parse(bytes)?;
        let mut children = schema::root(&document, schema::XROAD, "conf")?.children()?;
        let value = content(&mut children)?;
        children.end()?;
        Ok(value)
    };
    read().map_err(ConfigurationError::OptionalPart)
}

/// `NEXTUPDATE`: whether the `nextUpdate` of OCSP responses is checked.
///
/// # Errors
/// `malformed_optional_parts_conf` unless the file has this one element.
pub fn parse_next_update(bytes: &[u8]) -> Result<bool, ConfigurationError> {
    read(bytes, |children| children.required("verifyNextUpdate")?.boolean())
}

/// The file of `NEXTUPDATE`.
pub fn write_next_update(verify: bool) -> Vec<u8> {
    let mut writer = Writer::document("conf");
    writer.text("verifyNextUpdate", if verify { "true" } else { "false" });
    writer.finish()
}

/// `FETCHINTERVAL`: seconds between fetches of OCSP responses, at least 60.
///
/// # Errors
/// `malformed_optional_parts_conf` unless the file has this one element.
pub fn parse_fetch_interval(bytes: &[u8]) -> Result<u64, ConfigurationError> {
    let interval = read(bytes, |children| children.required("ocspFetchInterval")?.number())?;
    Ok(interval.max(LEAST_FETCH_INTERVAL))
}

/// The file of `FETCHINTERVAL`.
pub fn write_fetch_interval(seconds: u64) -> Vec<u8> {
    let mut writer = Writer::document("conf");
    writer.text("ocspFetchInterval", &seconds.to_string());
    writer.finish()
}

/// `MONITORING`: who besides the owners may read all monitoring data; nobody when it is empty.
///
/// # Errors
/// `malformed_optional_parts_conf` unless the file follows its schema.
pub fn parse_monitoring(bytes: &[u8]) -> Result<Option<ClientId>, ConfigurationError> {
    read(bytes, |children| {
        let mut client = children.required("monitoringClient")?.children()?;
        let id = client.optional("monitoringClientId").map(schema::Node::client_id).transpose()?;
        client.end()?;
        Ok(id)
    })
}

/// The file of `MONITORING`.
pub fn write_monitoring(client: Option<&ClientId>) -> Vec<u8> {
    let mut writer = Writer::document("conf");
    writer.start("monitoringClient");
    if let Some(client) = client {
        writer.client_id("monitoringClientId", client);
    }
    writer.finish()
}
