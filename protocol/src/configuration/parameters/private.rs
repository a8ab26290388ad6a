//! Private parameters: what only the servers of the own instance need (§7).

use super::super::schema::{self, Misfit, Node};
use super::super::writer::Writer;
use super::super::{Anchor, ConfigurationError, PrivateParameters};
use super::check_version;

/// Reads private parameters by the schema of this version.
///
/// # Errors
/// `malformed_global_conf` for a version that is unknown and whatever the schema refuses.
pub fn parse(bytes: &[u8], version: u8) -> Result<PrivateParameters, ConfigurationError> {
    check_version(version)?;
    read(bytes, version).map_err(ConfigurationError::Schema)
}

fn read(bytes: &[u8], version: u8) -> Result<PrivateParameters, Misfit> {
    let document = schema::parse(bytes)?;
    let mut children = schema::root(&document, schema::XROAD, "conf")?.children()?;
    let instance = children.required("instanceIdentifier")?.text()?.into_owned();
    let anchors = children
        .many("configurationAnchor")
        .map(|anchor| Anchor::from_children(anchor.children()?))
        .collect::<Result<_, _>>()?;
    let mut service = children.required("managementService")?.children()?;
    let registration_address = service.required("authCertRegServiceAddress")?.text()?.into_owned();
    let registration_certificate =
        service.optional("authCertRegServiceCert").map(Node::base64).transpose()?;
    let management_service_provider = service.required("managementRequestServiceProviderId")?.client_id()?;
    service.end()?;
    let timestamping_interval_seconds = children.required("timeStampingIntervalSeconds")?.number()?;
    if version == 2 {
        children.end()?; // later versions may be followed by anything
    }
    Ok(PrivateParameters {
        instance,
        anchors,
        registration_address,
        registration_certificate,
        management_service_provider,
        timestamping_interval_seconds,
    })
}

/// Writes private parameters; all versions look alike.
///
/// # Errors
/// For a version that is unknown.
pub fn write(parameters: &PrivateParameters, version: u8) -> Result<Vec<u8>, ConfigurationError> {
    check_version(version)?;
    let mut writer = Writer::document("conf");
    writer.text("instanceIdentifier", &parameters.instance);
    for anchor in &parameters.anchors {
        writer.start("configurationAnchor");
        anchor.write_children(&mut writer);
        writer.end();
    }
    writer.start("managementService");
    writer.text("authCertRegServiceAddress", &parameters.registration_address);
    if let Some(certificate) = &parameters.registration_certificate {
        writer.base64("authCertRegServiceCert", certificate);
    }
    writer.client_id("managementRequestServiceProviderId", &parameters.management_service_provider);
    writer.end();
    writer.text("timeStampingIntervalSeconds", &parameters.timestamping_interval_seconds.to_string());
    Ok(writer.finish())
}
