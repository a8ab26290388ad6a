//! Shared parameters: members, servers and trust services of an instance (§6).

use std::collections::HashMap;

use super::super::schema;
use super::super::writer::Writer;
use super::super::{
    ApprovedCa, CaCertificate, ConfigurationError, CostType, CsrFormat, SharedParameters, Source,
};
use super::{check_version, read};
use crate::id::ClientId;

/// Reads shared parameters by the schema of this version.
///
/// # Errors
/// `malformed_global_conf` for a version that is unknown and whatever the schema refuses: elements of
/// later versions, references to ids that do not exist, and so on.
pub fn parse(bytes: &[u8], version: u8) -> Result<SharedParameters, ConfigurationError> {
    let parameters = parse_for_evidence(bytes, version)?;
    if version > 2 && parameters.sources.is_empty() {
        return Err(ConfigurationError::Schema("'source' is missing in 'conf'".to_owned()));
    }
    Ok(parameters)
}

/// As [`parse`], for a copy that goes with evidence: it may have no sources. Whoever made it had no
/// address to tell, and nothing that is verified hangs on one.
///
/// # Errors
/// As [`parse`].
pub fn parse_for_evidence(bytes: &[u8], version: u8) -> Result<SharedParameters, ConfigurationError> {
    check_version(version)?;
    read::shared(bytes, version).map_err(ConfigurationError::Schema)
}

/// Shared parameters with another list of sources and otherwise as they came, to the byte: what a
/// configuration proxy serves in place of the registry (§13). Version 2 has no sources and stays as it
/// is.
///
/// # Errors
/// As [`parse`].
pub fn with_source(bytes: &[u8], version: u8, source: &Source) -> Result<Vec<u8>, ConfigurationError> {
    let before = parse(bytes, version)?;
    if version == 2 {
        return Ok(bytes.to_vec());
    }
    let misfit = || ConfigurationError::Schema("the sources cannot be found".to_owned());
    let range = {
        let document = schema::parse(bytes).map_err(ConfigurationError::Schema)?;
        let mut children = document.root().elements().skip_while(|child| !child.is("", "source"));
        let begin = children.next().ok_or_else(misfit)?.tag().start;
        let behind = children.find(|child| !child.is("", "source")).ok_or_else(misfit)?;
        begin..behind.tag().start
    };
    let mut writer = Writer::fragment();
    write_source(&mut writer, source);
    let (head, tail) = (bytes.get(..range.start), bytes.get(range.end..));
    let (Some(head), Some(tail)) = (head, tail) else { return Err(misfit()) };
    let after = [head, writer.finish().trim_ascii_end(), b"\n    ", tail].concat();
    // Whatever stood between the elements, nothing but the sources may be different now.
    let expected = SharedParameters { sources: vec![source.clone()], ..before };
    if parse(&after, version)? == expected { Ok(after) } else { Err(misfit()) }
}

/// Writes shared parameters in this version; what the version does not know is left out.
///
/// Of the certificate hashes of a server only those are written whose length fits the version: SHA-1 in
/// version 2, SHA-256 later (§6.5). So one value with both kinds serves all versions.
///
/// # Errors
/// For a version that is unknown; when version 3 or later has no source; when a server has an owner or
/// a client that is not among the members.
pub fn write(parameters: &SharedParameters, version: u8) -> Result<Vec<u8>, ConfigurationError> {
    check_version(version)?;
    let unwritable = |why: String| Err(ConfigurationError::Unwritable(why));
    let mut writer = Writer::document("conf");
    writer.text("instanceIdentifier", &parameters.instance);
    if version > 2 {
        if parameters.sources.is_empty() {
            return unwritable("no source".to_owned());
        }
        for source in &parameters.sources {
            write_source(&mut writer, source);
        }
    }
    for ca in &parameters.approved_cas {
        approved_ca(&mut writer, ca, version);
    }
    for service in &parameters.timestamping_services {
        writer.start("approvedTSA");
        writer.text("name", &service.name);
        writer.text("url", &service.url);
        writer.base64("cert", &service.certificate);
        cost(&mut writer, service.cost, version);
        writer.end();
    }
    let ids = members(&mut writer, parameters, version);
    for server in &parameters.servers {
        let owner = ClientId::from(server.id.owner().clone());
        let Some(id) = ids.get(&owner) else { return unwritable(format!("unknown owner of {}", server.id)) };
        writer.start("securityServer");
        writer.text("owner", id);
        writer.text("serverCode", server.id.code());
        if let Some(address) = &server.address {
            writer.text("address", address);
        }
        let length = if version == 2 { 20 } else { 32 };
        for hash in server.certificate_hashes.iter().filter(|hash| hash.len() == length) {
            writer.base64("authCertHash", hash);
        }
        for client in server.clients.iter().filter(|client| **client != owner) {
            let Some(id) = ids.get(client) else {
                return unwritable(format!("unknown client {client} of {}", server.id));
            };
            writer.text("client", id);
        }
        if let (5.., Some(message)) = (version, &server.maintenance) {
            writer.start("inMaintenanceMode");
            if !message.is_empty() {
                writer.text("message", message);
            }
            writer.end();
        }
        writer.end();
    }
    for group in &parameters.groups {
        writer.start("globalGroup");
        writer.text("groupCode", group.id.code());
        writer.text("description", &group.description);
        for member in &group.members {
            writer.client_id("groupMember", member);
        }
        writer.end();
    }
    writer.start("globalSettings");
    for (code, description) in &parameters.member_classes {
        member_class(&mut writer, code, description);
    }
    writer.text("ocspFreshnessSeconds", &parameters.ocsp_freshness_seconds.to_string());
    Ok(writer.finish())
}

fn write_source(writer: &mut Writer, source: &Source) {
    writer.start("source");
    writer.text("address", &source.address);
    for certificate in &source.internal_verification_certs {
        writer.base64("internalVerificationCert", certificate);
    }
    for certificate in &source.external_verification_certs {
        writer.base64("externalVerificationCert", certificate);
    }
    writer.end();
}

fn approved_ca(writer: &mut Writer, ca: &ApprovedCa, version: u8) {
    writer.start("approvedCA");
    writer.text("name", &ca.name);
    writer.text("authenticationOnly", if ca.authentication_only { "true" } else { "false" });
    ca_certificate(writer, "topCA", &ca.top, version);
    for intermediate in &ca.intermediates {
        ca_certificate(writer, "intermediateCA", intermediate, version);
    }
    writer.text("certificateProfileInfo", &ca.certificate_profile);
    if let (6.., Some(format)) = (version, ca.default_csr_format) {
        let name = match format {
            CsrFormat::Pem => "PEM",
            CsrFormat::Der => "DER",
        };
        writer.text("defaultCsrFormat", name);
    }
    if let (3.., Some(acme)) = (version, &ca.acme) {
        writer.start("acmeServer");
        writer.text("directoryURL", &acme.directory);
        for (name, since, value) in [
            ("ipAddress", 3, &acme.ip_address),
            ("authenticationCertificateProfileId", 4, &acme.authentication_profile),
            ("signingCertificateProfileId", 4, &acme.signing_profile),
        ] {
            if let Some(value) = value.as_ref().filter(|_| version >= since) {
                writer.text(name, value);
            }
        }
        writer.end();
    }
    writer.end();
}

fn ca_certificate(writer: &mut Writer, name: &str, ca: &CaCertificate, version: u8) {
    writer.start(name);
    writer.base64("cert", &ca.certificate);
    for responder in &ca.ocsp {
        writer.start("ocsp");
        writer.text("url", &responder.url);
        if let Some(certificate) = &responder.certificate {
            writer.base64("cert", certificate);
        }
        cost(writer, responder.cost, version);
        writer.end();
    }
    writer.end();
}

fn cost(writer: &mut Writer, cost: CostType, version: u8) {
    if version >= 6 {
        let name = match cost {
            CostType::Free => "FREE",
            CostType::Paid => "PAID",
            CostType::Undefined => "UNDEFINED",
        };
        writer.text("costType", name);
    }
}

fn member_class(writer: &mut Writer, code: &str, description: &str) {
    writer.start("memberClass");
    writer.text("code", code);
    writer.text("description", description);
    writer.end();
}

/// Writes the members and gives the ids that stand for them and their subsystems.
fn members(writer: &mut Writer, parameters: &SharedParameters, version: u8) -> HashMap<ClientId, String> {
    let descriptions: HashMap<&str, &str> =
        parameters.member_classes.iter().map(|(code, text)| (code.as_str(), text.as_str())).collect();
    let mut ids = HashMap::new();
    for member in &parameters.members {
        let id = format!("id{}", ids.len());
        writer.start_with("member", &[("id", &id)]);
        let class = member.id.class();
        member_class(writer, class, descriptions.get(class).copied().unwrap_or_default());
        writer.text("memberCode", member.id.code());
        writer.text("name", &member.name);
        ids.insert(ClientId::from(member.id.clone()), id);
        for subsystem in &member.subsystems {
            let id = format!("id{}", ids.len());
            writer.start_with("subsystem", &[("id", &id)]);
            writer.text("subsystemCode", &subsystem.code);
            if let (5.., Some(name)) = (version, &subsystem.name) {
                writer.text("subsystemName", name);
            }
            writer.end();
            if let Ok(client) = ClientId::new(member.id.clone(), Some(&subsystem.code)) {
                ids.insert(client, id);
            }
        }
        writer.end();
    }
    ids
}
