//! Adding a request: the checks of each type, and for those that need no approval the effect (§2.2,
//! §2.3).

use protocol::id::{ClientId, SecurityServerId};

use super::effects::{self, rename_comment};
use super::model::{Content, Origin, Request, Status};
use super::{Decision, decide};
use crate::instance::draft::Draft;
use crate::instance::record::{Record, RecordKey};
use crate::instance::{Actor, Desk, Refusal, Rules, servers};

impl Desk {
    /// Adds a management request. One that waits for approval may be approved at once, by rule or
    /// because the other origin said the same.
    ///
    /// `comments` is what whoever adds it remarks. The certificate, address and client of `content` are
    /// checked here; that a server's request is signed by whom it should be is for the management
    /// services to check before.
    ///
    /// # Errors
    /// Those of the request's type (§2.3); nothing has changed then.
    pub fn add_request(
        &self,
        actor: &Actor,
        server: &SecurityServerId,
        content: Content,
        comments: Option<&str>,
    ) -> Result<Request, Refusal> {
        self.change(|draft| {
            servers::check_server_id(server)?;
            if server.owner().instance()
                != draft.instance.parameters().instance.as_deref().unwrap_or_default()
            {
                return Err(Refusal::ChangedServerNotFound(server.clone()));
            }
            let comments = comments.filter(|text| !text.trim().is_empty()).map(str::to_owned);
            let request = new(draft, actor, server, content, comments);
            add(draft, actor, request)
        })
    }
}

/// A request without a status yet.
fn new(
    draft: &mut Draft<'_>,
    actor: &Actor,
    server: &SecurityServerId,
    content: Content,
    comments: Option<String>,
) -> Request {
    let origin = match actor {
        Actor::Person(_) => Origin::Center,
        Actor::SecurityServer => Origin::SecurityServer,
    };
    Request {
        id: draft.number(|counters| &mut counters.request),
        content,
        origin,
        server: server.clone(),
        status: None,
        twin: None,
        comments,
        created: draft.now,
        changed: draft.now,
        added_by: actor.person().map(str::to_owned),
        first_approval: None,
        decided_by: None,
    }
}

/// Keeps a deletion that the registry itself makes; its effect is the caller's.
pub(crate) fn record_deletion(
    draft: &mut Draft<'_>,
    actor: &Actor,
    server: &SecurityServerId,
    content: Content,
    comments: Option<String>,
) {
    let request = new(draft, actor, server, content, comments);
    draft.put(Record::Request(Box::new(request)));
}

/// A registration of a client that the registry makes and approves itself, where one person may.
pub(crate) fn register(
    draft: &mut Draft<'_>,
    actor: &Actor,
    server: &SecurityServerId,
    client: &ClientId,
) -> Result<Request, Refusal> {
    let content = Content::ClientRegistration { client: client.clone(), subsystem_name: None };
    let request = new(draft, actor, server, content, None);
    let request = add(draft, actor, request)?;
    if !request.is_pending() || draft.rules.second_person {
        return Ok(request);
    }
    match decide::approve(draft, actor, request)? {
        Decision::Approved(request) | Decision::FirstApproval(request) => Ok(request),
    }
}

fn add(draft: &mut Draft<'_>, actor: &Actor, mut request: Request) -> Result<Request, Refusal> {
    let server = request.server.clone();
    match request.content.clone() {
        Content::CertificateRegistration { certificate, address } => {
            return registration_of_certificate(draft, actor, request, &certificate, address.as_deref());
        }
        Content::ClientRegistration { client, subsystem_name } => {
            return registration_of_client(draft, actor, request, &client, subsystem_name);
        }
        Content::OwnerChange { client } => {
            effects::check_owner_change(draft, &server, &client)?;
            request.status = Some(Status::Waiting);
            return admit(draft, actor, request);
        }
        Content::CertificateDeletion { certificate } => delete_certificate(draft, &server, &certificate)?,
        Content::ClientDeletion { client } => delete_client(draft, &server, &client)?,
        Content::ClientDisable { client } => effects::enable(draft, &server, &client, false)?,
        Content::ClientEnable { client } => effects::enable(draft, &server, &client, true)?,
        Content::ClientRename { client, subsystem_name } => {
            let before = effects::rename(draft, &server, &client, &subsystem_name)?;
            request.comments = rename_comment(before.as_deref(), Some(&subsystem_name), request.comments);
        }
        Content::AddressChange { address } => {
            let before = effects::change_address(draft, &server, &address)?;
            let remark = request.comments.map(|comments| format!(" {comments}")).unwrap_or_default();
            request.comments = Some(format!("Changing from '{}'.{remark}", before.unwrap_or_default()));
        }
        Content::MaintenanceModeEnable { message } => {
            effects::enter_maintenance(draft, &server, message.as_deref())?;
            request.comments = request.comments.or(message);
        }
        Content::MaintenanceModeDisable => effects::leave_maintenance(draft, &server)?,
    }
    if !matches!(request.content, Content::CertificateDeletion { .. } | Content::ClientDeletion { .. }) {
        request.status = Some(Status::Approved);
    }
    draft.put(Record::Request(Box::new(request.clone())));
    Ok(request)
}

fn registration_of_certificate(
    draft: &mut Draft<'_>,
    actor: &Actor,
    mut request: Request,
    certificate: &[u8],
    address: Option<&str>,
) -> Result<Request, Refusal> {
    let instance = draft.instance;
    if request.origin == Origin::Center && instance.member(request.server.owner()).is_none() {
        return Err(Refusal::OwnerNotFound);
    }
    servers::check_certificate(draft, certificate).map_err(Refusal::InvalidAuthenticationCertificate)?;
    if let Some(address) = address {
        servers::check_address(address).map_err(|()| Refusal::InvalidServerAddress(address.to_owned()))?;
    }
    if instance.server_of_certificate(certificate).is_some() {
        return Err(Refusal::CertificateRegistered);
    }
    let same = |other: &&Request| {
        matches!(&other.content, Content::CertificateRegistration { certificate: known, .. }
            if *known == certificate)
    };
    match instance.pending_requests().find(same) {
        Some(other) if other.server != request.server => return Err(Refusal::CertificateRegistered),
        Some(other) => pair(draft, &mut request, other)?,
        None => request.status = Some(Status::Waiting),
    }
    admit(draft, actor, request)
}

fn registration_of_client(
    draft: &mut Draft<'_>,
    actor: &Actor,
    mut request: Request,
    client: &ClientId,
    subsystem_name: Option<String>,
) -> Result<Request, Refusal> {
    let instance = draft.instance;
    if *client == ClientId::from(request.server.owner().clone()) {
        return Err(Refusal::CannotRegisterOwner);
    }
    if request.origin == Origin::Center {
        if instance.server(&request.server).is_none() {
            return Err(Refusal::RequestServerNotFound(request.server));
        }
        if instance.member(client.member()).is_none() {
            return Err(Refusal::ClientMemberNotFound(client.clone()));
        }
    }
    if instance.server(&request.server).is_some_and(|entry| entry.clients.contains_key(client)) {
        return Err(Refusal::ClientAlreadyRegistered);
    }
    if client.subsystem().is_some() {
        let before = instance.subsystem(client).and_then(|known| known.name.clone());
        request.comments = rename_comment(before.as_deref(), subsystem_name.as_deref(), request.comments);
    }
    let same = |other: &&Request| {
        other.server == request.server
            && matches!(&other.content, Content::ClientRegistration { client: known, .. } if known == client)
    };
    match instance.pending_requests().find(same) {
        Some(other) => {
            if subsystem_name.is_none() {
                let name = other.content.subsystem_name().map(str::to_owned);
                let client = client.clone();
                request.content = Content::ClientRegistration { client, subsystem_name: name };
            }
            pair(draft, &mut request, other)?;
        }
        None => request.status = Some(Status::Waiting),
    }
    admit(draft, actor, request)
}

/// Makes twins of a request and one of the other origin.
fn pair(draft: &mut Draft<'_>, request: &mut Request, other: &Request) -> Result<(), Refusal> {
    // A third one that says the same has nothing to add.
    if other.origin == request.origin || other.twin.is_some() {
        return Err(Refusal::RequestExists(Some(other.id)));
    }
    request.status = Some(Status::SubmittedForApproval);
    request.twin = Some(other.id);
    let (status, twin) = (request.status, Some(request.id));
    let other = Request { status, twin, changed: draft.now, ..other.clone() };
    draft.put(Record::Request(Box::new(other)));
    Ok(())
}

/// Keeps a request, and approves it where a rule says so (§2.2).
fn admit(draft: &mut Draft<'_>, actor: &Actor, request: Request) -> Result<Request, Refusal> {
    draft.put(Record::Request(Box::new(request.clone())));
    if !approves_itself(draft, &request) {
        return Ok(request);
    }
    effects::approve(draft, &request)?;
    Ok(decide::close(draft, request, Status::Approved, actor))
}

fn approves_itself(draft: &Draft<'_>, request: &Request) -> bool {
    let (instance, rules): (_, &Rules) = (draft.instance, draft.rules);
    if rules.second_person {
        return false;
    }
    let from_server = request.origin == Origin::SecurityServer;
    let matched = request.status == Some(Status::SubmittedForApproval);
    match &request.content {
        Content::CertificateRegistration { .. } => {
            (rules.approve_certificates || matched)
                && from_server
                && instance.member(request.server.owner()).is_some()
        }
        Content::ClientRegistration { client, .. } => {
            (rules.approve_clients || matched)
                && from_server
                && instance.server(&request.server).is_some()
                && instance.member(client.member()).is_some()
        }
        Content::OwnerChange { client } => {
            rules.approve_owner_changes && instance.member(client.member()).is_some()
        }
        _ => false,
    }
}

/// Takes a certificate away, or revokes its registration that waits.
fn delete_certificate(draft: &mut Draft<'_>, server: &SecurityServerId, der: &[u8]) -> Result<(), Refusal> {
    if let Some((entry, certificate)) = draft.instance.server_of_certificate(der) {
        if entry.server.id != *server {
            return Err(Refusal::ServerNotFound(server.clone()));
        }
        draft.remove(RecordKey::Certificate(certificate));
        return Ok(());
    }
    let waiting = draft.instance.pending_requests().find(|request| {
        request.server == *server
            && matches!(&request.content, Content::CertificateRegistration { certificate, .. }
                if *certificate == der)
    });
    revoke_registration(draft, waiting).ok_or(Refusal::UnknownAuthenticationCertificate)
}

/// Takes a client away, or revokes its registration that waits; a declined one leaves nothing to do.
fn delete_client(draft: &mut Draft<'_>, server: &SecurityServerId, client: &ClientId) -> Result<(), Refusal> {
    let instance = draft.instance;
    if let Some(entry) = instance.server(server)
        && entry.clients.contains_key(client)
    {
        draft.remove(RecordKey::Client(entry.server.number, client.clone()));
        return Ok(());
    }
    let of_client = |request: &&Request| matches!(&request.content, Content::ClientRegistration { client: known, .. } if known == client);
    let mut asked = instance.requests_of_server(server).filter(of_client);
    let waiting = instance.requests_of_server(server).filter(of_client).find(|request| request.is_pending());
    match revoke_registration(draft, waiting) {
        Some(()) => Ok(()),
        None if asked.any(|request| request.status == Some(Status::Declined)) => Ok(()),
        None => Err(Refusal::RegistrationNotFound),
    }
}

/// Only one that waits is taken back: what both origins want is for the registry to decide.
fn revoke_registration(draft: &mut Draft<'_>, waiting: Option<&Request>) -> Option<()> {
    let request = waiting.filter(|request| request.status == Some(Status::Waiting))?;
    let request = Request { status: Some(Status::Revoked), changed: draft.now, ..request.clone() };
    draft.put(Record::Request(Box::new(request)));
    Some(())
}
