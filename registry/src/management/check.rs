//! The checks on a request, in the order of §3.8. The first that fails decides what the sender is told.

use certs::certificate::Certificate;
use certs::management::{
    check_authentication_certificate, check_signature, check_signing_certificate, member_of_certificate,
    read_certificate,
};
use protocol::fault::{Fault, code};
use protocol::id::{ClientId, MemberId};
use protocol::management::{Change, ManagementRequest, Received, RequestType, is_address};
use protocol::soap::SoapMessage;
use protocol::time::UtcTime;

use super::View;

/// Which of the two services a request came to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Port {
    /// The registration service, open to every server.
    Registration,
    /// The management service, open to the provider's server.
    Management,
}

impl Port {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Management => "management",
        }
    }

    /// The usual number of its port.
    pub(crate) const fn number(self) -> u16 {
        match self {
            Self::Registration => 4001,
            Self::Management => 4002,
        }
    }

    fn offers(self, kind: RequestType) -> bool {
        match self {
            Self::Registration => kind == RequestType::AuthCertReg,
            Self::Management => kind != RequestType::AuthCertReg,
        }
    }
}

/// A request that passed every check of the wire. Whether the registry's rules allow it is still open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checked(ManagementRequest);

impl Checked {
    /// What is asked for.
    pub fn request(&self) -> &ManagementRequest {
        &self.0
    }

    /// What is asked for, to be kept.
    pub fn into_request(self) -> ManagementRequest {
        self.0
    }

    /// Whether the sender only wants to know whether the request would be taken (step 12).
    pub fn is_dry_run(&self) -> bool {
        matches!(self.0.change, Change::AuthCertReg { dry_run: true, .. })
    }
}

/// Checks a request that came to a service.
///
/// # Errors
/// The codes of §3.8.
pub fn check(received: &Received, port: Port, view: &View, now: UtcTime) -> Result<Checked, Fault> {
    let kind = received.request_type();
    if !port.offers(kind) {
        return Err(invalid(&format!("the {} service does not offer {}", port.name(), kind.service_code())));
    }
    let request = match kind {
        RequestType::AuthCertReg => registration(received, view, now)?,
        kind if kind.is_signed() => signed(received, view, now)?,
        _ => unsigned(received, view)?,
    };
    Ok(Checked(request))
}

/// The numbers are those of the specification's list.
fn registration(received: &Received, view: &View, now: UtcTime) -> Result<ManagementRequest, Fault> {
    let (message, trust) = (received.message(), &view.trust);
    let octets = message.octets();
    let parts = received.registration()?; // 1
    let authentication = read_certificate(&parts.authentication_certificate)?;
    check_authentication_certificate(&authentication, trust, now)?; // 2
    check_signature(&authentication, &parts.possession, octets)?; // 3
    let owner = read_certificate(&parts.owner_certificate)?;
    check_signing_certificate(&owner, &parts.owner_ocsp, trust, now)?; // 4
    check_signature(&owner, &parts.consent, octets)?; // 5
    check_provider(message, view)?; // 6
    let request = ManagementRequest::of(message)?; // 7
    check_sender(message, &request, view)?; // 8
    let Change::AuthCertReg { address, certificate, .. } = &request.change else {
        return Err(invalid("the request registers no authentication certificate"));
    };
    if *certificate != parts.authentication_certificate {
        let text = "the certificate in the request is not the one that signed it"; // 9
        return Err(Fault::new(code::CERT_VALIDATION, text));
    }
    check_signer(&owner, request.server.owner(), view)?; // 10
    check_address(address.as_deref().unwrap_or_default())?; // 11
    Ok(request)
}

fn signed(received: &Received, view: &View, now: UtcTime) -> Result<ManagementRequest, Fault> {
    let message = received.message();
    let parts = received.signed()?;
    let signer = read_certificate(&parts.certificate)?;
    check_signature(&signer, &parts.signature, message.octets())?;
    check_signing_certificate(&signer, &parts.ocsp, &view.trust, now)?;
    let request = ManagementRequest::of(message)?; // 7
    check_sender(message, &request, view)?; // 8
    let owner = request.server.owner();
    match &request.change {
        Change::ClientReg { client, subsystem_name } => {
            check_signer(&signer, client.member(), view)?;
            check_instance(client.member(), view)?;
            if subsystem_name.is_some() && client.subsystem().is_none() {
                return Err(invalid("only a subsystem has a name"));
            }
        }
        Change::ClientRename { client, subsystem_name } => {
            check_signer(&signer, client.member(), view)?;
            check_instance(client.member(), view)?;
            if client.subsystem().is_none() || subsystem_name.trim().is_empty() {
                return Err(invalid("only a subsystem has a name, and the name is not empty"));
            }
        }
        Change::ClientDisable { client }
        | Change::ClientEnable { client }
        | Change::OwnerChange { client } => {
            check_signer(&signer, client.member(), view)?;
            check_instance(client.member(), view)?;
        }
        Change::AddressChange { address } => {
            check_address(address)?;
            check_signer(&signer, owner, view)?;
        }
        // X-Road lets any member sign these three. Whoever may send requests to the management service
        // could then move another member's server to an address of his own.
        Change::MaintenanceModeEnable { .. } | Change::MaintenanceModeDisable => {
            check_signer(&signer, owner, view)?;
        }
        Change::AuthCertReg { .. } | Change::AuthCertDeletion { .. } | Change::ClientDeletion { .. } => {
            return Err(invalid("the request is of another kind than its service"));
        }
    }
    Ok(request)
}

fn unsigned(received: &Received, view: &View) -> Result<ManagementRequest, Fault> {
    received.unsigned()?;
    let request = ManagementRequest::of(received.message())?; // 7
    check_sender(received.message(), &request, view)?; // 8
    if let Some(client) = request.change.client() {
        check_instance(client.member(), view)?;
    }
    Ok(request)
}

/// Step 6.
fn check_provider(message: &SoapMessage, view: &View) -> Result<(), Fault> {
    let advice = "contact the administrator of the registry";
    if *message.service().provider() != view.provider {
        let provider = message.service().provider();
        return Err(invalid(&format!("{provider} does not offer the management services; {advice}")));
    }
    if message.client().instance() != own_instance(view) {
        return Err(invalid(&format!("the sender is of another instance; {advice}")));
    }
    Ok(())
}

/// Step 8. That the server is of this instance is checked for registrations in step 6, and nowhere by
/// X-Road for the other requests.
fn check_sender(message: &SoapMessage, request: &ManagementRequest, view: &View) -> Result<(), Fault> {
    let owner = request.server.owner();
    if *message.client() != ClientId::from(owner.clone()) {
        let sender = message.client();
        return Err(invalid(&format!("{sender} is not the owner of the server {}", request.server)));
    }
    check_instance(owner, view)
}

fn check_instance(member: &MemberId, view: &View) -> Result<(), Fault> {
    if member.instance() == own_instance(view) {
        return Ok(());
    }
    Err(invalid(&format!("{member} is of another instance")))
}

/// Step 10, and what stands in its place for the other signed requests.
fn check_signer(certificate: &Certificate, expected: &MemberId, view: &View) -> Result<(), Fault> {
    let member = member_of_certificate(certificate, &view.trust)?;
    if member == *expected {
        return Ok(());
    }
    Err(invalid(&format!("the request is signed by {member}, not by {expected}")))
}

/// Step 11.
fn check_address(address: &str) -> Result<(), Fault> {
    if is_address(address) {
        return Ok(());
    }
    Err(invalid("the address of the server is neither an IP address nor a domain name"))
}

fn own_instance(view: &View) -> &str {
    &view.trust.configuration().own_instance
}

fn invalid(why: &str) -> Fault {
    Fault::new(code::INVALID_REQUEST, why)
}
