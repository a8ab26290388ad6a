//! Identifiers in the bodies of requests: how they are written, and which characters they may have.

use quick_xml::escape::partial_escape;

use super::body::{Fields, malformed};
use crate::fault::{Fault, code};
use crate::id::{ClientId, IdError, MemberId, SecurityServerId};
use crate::soap::IDENTIFIERS_NAMESPACE;
use crate::xml::Element;

/// Longest component, characters.
const LONGEST: usize = 255;

/// The element of a server.
pub(super) fn write_server(name: &str, server: &SecurityServerId) -> String {
    let owner = server.owner();
    let parts = [
        ("xRoadInstance", owner.instance()),
        ("memberClass", owner.class()),
        ("memberCode", owner.code()),
        ("serverCode", server.code()),
    ];
    write(name, "SERVER", parts.into_iter())
}

/// The element of a member or subsystem.
pub(super) fn write_client(name: &str, client: &ClientId) -> String {
    let kind = if client.subsystem().is_some() { "SUBSYSTEM" } else { "MEMBER" };
    write(name, kind, client_parts(client))
}

/// The header block of a service without a version.
pub(super) fn write_service(provider: &ClientId, code: &str) -> String {
    write("service", "SERVICE", client_parts(provider).chain([("serviceCode", code)]))
}

fn client_parts(client: &ClientId) -> impl Iterator<Item = (&'static str, &str)> {
    let member = client.member();
    [
        ("xRoadInstance", Some(member.instance())),
        ("memberClass", Some(member.class())),
        ("memberCode", Some(member.code())),
        ("subsystemCode", client.subsystem()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

fn write<'a>(name: &str, kind: &str, parts: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    let mut text = format!("<xroad:{name} id:objectType=\"{kind}\">");
    for (name, value) in parts {
        text.push_str(&format!("<id:{name}>{}</id:{name}>", partial_escape(value)));
    }
    text.push_str(&format!("</xroad:{name}>"));
    text
}

/// Reads the element of a server.
pub(super) fn read_server(element: Element<'_>) -> Result<SecurityServerId, Fault> {
    if object_type(element) != Some("SERVER") {
        return Err(malformed("the object type of 'server' is not SERVER"));
    }
    let mut parts = Fields::of(element, IDENTIFIERS_NAMESPACE);
    let owner = read_member(&mut parts)?;
    let code = parts.text("serverCode")?;
    parts.end()?;
    component(&code)?;
    SecurityServerId::new(owner, &code).map_err(unfit)
}

/// Reads the element of a member or subsystem.
pub(super) fn read_client(element: Element<'_>) -> Result<ClientId, Fault> {
    let is_subsystem = match object_type(element) {
        Some("MEMBER") => false,
        Some("SUBSYSTEM") => true,
        _ => return Err(malformed("the object type of 'client' is neither MEMBER nor SUBSYSTEM")),
    };
    let mut parts = Fields::of(element, IDENTIFIERS_NAMESPACE);
    let member = read_member(&mut parts)?;
    let subsystem = parts.optional_text("subsystemCode")?;
    parts.end()?;
    if is_subsystem != subsystem.is_some() {
        return Err(malformed("object type and subsystem code of 'client' contradict each other"));
    }
    subsystem.as_deref().map_or(Ok(()), component)?;
    ClientId::new(member, subsystem.as_deref()).map_err(unfit)
}

fn read_member(parts: &mut Fields<'_>) -> Result<MemberId, Fault> {
    let instance = parts.text("xRoadInstance")?;
    let class = parts.text("memberClass")?;
    let code = parts.text("memberCode")?;
    for part in [&instance, &class, &code] {
        component(part)?;
    }
    MemberId::new(&instance, &class, &code).map_err(unfit)
}

fn object_type(element: Element<'_>) -> Option<&str> {
    element.attribute_in(IDENTIFIERS_NAMESPACE, "objectType")
}

/// One component, by the rule that holds also where not only the published characters are allowed (§1.3,
/// §3.8 step 7).
fn component(text: &str) -> Result<(), Fault> {
    let refused = |why: String| Err(Fault::new(code::INVALID_CLIENT_IDENTIFIER, why));
    let is_forbidden = |character: char| {
        character.is_control() || matches!(character, ':' | ';' | '%' | '/' | '\\' | '\u{feff}' | '\u{200b}')
    };
    match text.chars().count() {
        0 => refused("an identifier has an empty part".to_owned()),
        1..=LONGEST if text.chars().any(is_forbidden) => {
            refused("an identifier has a character that is not allowed in identifiers".to_owned())
        }
        1..=LONGEST => Ok(()),
        _ => refused(format!("an identifier has a part of more than {LONGEST} characters")),
    }
}

fn unfit(error: IdError) -> Fault {
    Fault::new(code::INVALID_CLIENT_IDENTIFIER, error.to_string())
}
