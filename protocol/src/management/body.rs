//! The bodies of requests, by their schema: which elements, how often, in which order (§3.3).
//!
//! What the schema does not know is refused. A later element may change what a request means, as
//! `dryRun` did, so a reader that passes over it would do what nobody asked for.

use std::iter::Peekable;

use quick_xml::escape::partial_escape;

use super::identifier::{read_client, read_server, write_client, write_server};
use super::{Change, ManagementRequest, RequestType};
use crate::fault::{Fault, code};
use crate::soap::{ENVELOPE_NAMESPACE, SoapMessage, XROAD_NAMESPACE};
use crate::xml::{Document, Element, Limits, decode_base64};

/// More than any request has; the size of a request is limited where it is received.
const LIMITS: Limits = Limits { octets: 1 << 20, depth: 16, nodes: 4096, attributes: 64 };

/// The one element of the body.
pub(super) fn write(request: &ManagementRequest) -> String {
    let name = request.change.request_type().service_code();
    let mut children = write_server("server", &request.server);
    let mut text = |name: &str, value: &str| {
        children.push_str(&format!("<xroad:{name}>{}</xroad:{name}>", escaped(value)));
    };
    match &request.change {
        Change::AuthCertReg { address, certificate, dry_run } => {
            if let Some(address) = address {
                text("address", address);
            }
            text("authCert", &base64(certificate));
            text("dryRun", if *dry_run { "true" } else { "false" });
        }
        Change::AuthCertDeletion { certificate } => text("authCert", &base64(certificate)),
        Change::ClientReg { client, subsystem_name } => {
            children.push_str(&write_client("client", client));
            if let Some(subsystem) = subsystem_name {
                children.push_str(&named(subsystem));
            }
        }
        Change::ClientRename { client, subsystem_name } => {
            children.push_str(&write_client("client", client));
            children.push_str(&named(subsystem_name));
        }
        Change::ClientDeletion { client }
        | Change::ClientDisable { client }
        | Change::ClientEnable { client }
        | Change::OwnerChange { client } => children.push_str(&write_client("client", client)),
        Change::AddressChange { address } => text("address", address),
        Change::MaintenanceModeEnable { message } => {
            if let Some(message) = message {
                text("message", message);
            }
        }
        Change::MaintenanceModeDisable => {}
    }
    format!("<xroad:{name}>{children}</xroad:{name}>")
}

fn named(subsystem: &str) -> String {
    format!("<xroad:subsystemName>{}</xroad:subsystemName>", escaped(subsystem))
}

/// A carriage return that stands there as it is would be read as a line feed.
fn escaped(text: &str) -> String {
    partial_escape(text).replace('\r', "&#13;")
}

fn base64(octets: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

impl ManagementRequest {
    /// Reads what a message asks for. Its service says what kind of request it is.
    ///
    /// # Errors
    /// `invalid_request` when there is no such service, or the body does not fit the schema of its kind;
    /// `invalid_client_identifier` for characters that no identifier may have (§3.8 step 7).
    pub fn of(message: &SoapMessage) -> Result<Self, Fault> {
        let kind = request_type(message)?;
        let document = Document::parse(message.text(), &LIMITS)
            .map_err(|error| Fault::new(code::INVALID_REQUEST, error.to_string()))?;
        let body = document.root().child(ENVELOPE_NAMESPACE, "Body");
        let wrapper = body.and_then(|body| body.elements().next());
        let wrapper = wrapper.ok_or_else(|| malformed("there is none"))?;
        let named = wrapper.namespace() == XROAD_NAMESPACE
            && wrapper.local_name().eq_ignore_ascii_case(kind.service_code());
        if !named {
            return Err(malformed("its element is not the one of the service"));
        }
        let mut fields = Fields::of(wrapper, XROAD_NAMESPACE);
        let server = read_server(fields.required("server")?)?;
        let change = read(kind, &mut fields)?;
        fields.end()?;
        Ok(Self { server, change })
    }
}

/// What kind of request a message is, by its service.
///
/// # Errors
/// `invalid_request` when there is no such service.
pub(super) fn request_type(message: &SoapMessage) -> Result<RequestType, Fault> {
    RequestType::from_service_code(message.service().code())
        .ok_or_else(|| Fault::new(code::INVALID_REQUEST, "there is no management service of this code"))
}

/// What stands behind the server.
fn read(kind: RequestType, fields: &mut Fields<'_>) -> Result<Change, Fault> {
    let client = |fields: &mut Fields<'_>| read_client(fields.required("client")?);
    Ok(match kind {
        RequestType::AuthCertReg => Change::AuthCertReg {
            address: fields.optional_text("address")?,
            certificate: certificate(fields)?,
            dry_run: fields.optional_text("dryRun")?.as_deref().map_or(Ok(false), boolean)?,
        },
        RequestType::AuthCertDeletion => Change::AuthCertDeletion { certificate: certificate(fields)? },
        RequestType::ClientReg => Change::ClientReg {
            client: client(fields)?,
            subsystem_name: fields.optional_text("subsystemName")?,
        },
        RequestType::ClientDeletion => Change::ClientDeletion { client: client(fields)? },
        RequestType::ClientDisable => Change::ClientDisable { client: client(fields)? },
        RequestType::ClientEnable => Change::ClientEnable { client: client(fields)? },
        RequestType::ClientRename => {
            Change::ClientRename { client: client(fields)?, subsystem_name: fields.text("subsystemName")? }
        }
        RequestType::OwnerChange => Change::OwnerChange { client: client(fields)? },
        RequestType::AddressChange => Change::AddressChange { address: fields.text("address")? },
        RequestType::MaintenanceModeEnable => {
            Change::MaintenanceModeEnable { message: fields.optional_text("message")? }
        }
        RequestType::MaintenanceModeDisable => Change::MaintenanceModeDisable,
    })
}

fn certificate(fields: &mut Fields<'_>) -> Result<Vec<u8>, Fault> {
    decode_base64(&fields.text("authCert")?).ok_or_else(|| malformed("'authCert' is not base64"))
}

fn boolean(text: &str) -> Result<bool, Fault> {
    match text.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(malformed("'dryRun' is neither true nor false")),
    }
}

pub(super) fn malformed(why: &str) -> Fault {
    Fault::new(code::INVALID_REQUEST, format!("the body of the request is not as its schema has it: {why}"))
}

/// The children of an element in their order.
pub(super) struct Fields<'d> {
    namespace: &'static str,
    children: Peekable<Box<dyn Iterator<Item = Element<'d>> + 'd>>,
}

impl<'d> Fields<'d> {
    pub(super) fn of(element: Element<'d>, namespace: &'static str) -> Self {
        let children: Box<dyn Iterator<Item = Element<'d>> + 'd> = Box::new(element.elements());
        Self { namespace, children: children.peekable() }
    }

    /// The next child, if it has this name.
    pub(super) fn optional(&mut self, name: &str) -> Option<Element<'d>> {
        let namespace = self.namespace;
        self.children.next_if(|child| child.is(namespace, name))
    }

    pub(super) fn required(&mut self, name: &str) -> Result<Element<'d>, Fault> {
        self.optional(name).ok_or_else(|| malformed(&format!("'{name}' is missing or not in its place")))
    }

    /// The text of the next child, which has this name.
    pub(super) fn text(&mut self, name: &str) -> Result<String, Fault> {
        text(self.required(name)?)
    }

    pub(super) fn optional_text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        self.optional(name).map(text).transpose()
    }

    /// # Errors
    /// When there is a child that nobody asked for.
    pub(super) fn end(mut self) -> Result<(), Fault> {
        match self.children.next() {
            None => Ok(()),
            Some(_) => Err(malformed("an element that is not known there, or not in its place")),
        }
    }
}

/// The text of an element that holds nothing else.
pub(super) fn text(element: Element<'_>) -> Result<String, Fault> {
    match element.elements().next() {
        None => Ok(element.text().into_owned()),
        Some(_) => Err(malformed(&format!("'{}' holds an element", element.local_name()))),
    }
}
