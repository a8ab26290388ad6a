//! What requests do to the instance (§2.3).

use protocol::id::{ClientId, SecurityServerId};

use super::model::{Content, Request};
use crate::instance::draft::Draft;
use crate::instance::members::create_member;
use crate::instance::record::{Record, RecordKey};
use crate::instance::servers::{check_address, join_owners, leave_owners, register_client};
use crate::instance::{AuthenticationCertificate, Refusal, Server, ServerEntry, Subsystem};

/// Lets a request that was approved take effect.
pub(super) fn approve(draft: &mut Draft<'_>, request: &Request) -> Result<(), Refusal> {
    let server = &request.server;
    match &request.content {
        Content::CertificateRegistration { certificate, address } => {
            register_certificate(draft, server, certificate, address.as_deref())
        }
        Content::ClientRegistration { client, subsystem_name } => {
            let name = subsystem_name.as_deref().filter(|name| !name.is_empty());
            register(draft, server, client, name)
        }
        Content::OwnerChange { client } => change_owner(draft, server, client),
        _ => Err(Refusal::NotSupported(request.id)),
    }
}

fn register_certificate(
    draft: &mut Draft<'_>,
    id: &SecurityServerId,
    certificate: &[u8],
    address: Option<&str>,
) -> Result<(), Refusal> {
    let instance = draft.instance;
    if instance.server_of_certificate(certificate).is_some() {
        return Err(Refusal::CertificateRegistered);
    }
    if instance.member(id.owner()).is_none() {
        create_member(draft, id.owner(), id.owner().code())?;
    }
    let now = draft.now;
    let known = instance.server(id).map(|entry| entry.server.clone());
    let server = match known {
        Some(server) => Server { address: address.map(str::to_owned), changed: now, ..server },
        None => Server {
            number: draft.number(|counters| &mut counters.server),
            id: id.clone(),
            address: address.map(str::to_owned),
            class: None,
            maintenance: None,
            registered: now,
            changed: now,
        },
    };
    let (server_number, der) = (server.number, certificate.to_vec().into());
    draft.put(Record::Server(server));
    let id_of_certificate = draft.number(|counters| &mut counters.certificate);
    draft.put(Record::Certificate(AuthenticationCertificate {
        id: id_of_certificate,
        server: server_number,
        der,
        registered: now,
    }));
    join_owners(draft, id.owner());
    Ok(())
}

fn register(
    draft: &mut Draft<'_>,
    id: &SecurityServerId,
    client: &ClientId,
    name: Option<&str>,
) -> Result<(), Refusal> {
    let instance = draft.instance;
    let entry = instance.server(id).ok_or_else(|| Refusal::RegistrationServerNotFound(id.clone()))?;
    if entry.clients.contains_key(client) {
        return Err(Refusal::ClientAlreadyRegistered);
    }
    if instance.member(client.member()).is_none() {
        create_member(draft, client.member(), client.member().code())?;
    }
    if client.subsystem().is_some() {
        let subsystem = match instance.subsystem(client) {
            Some(known) => name
                .filter(|name| known.name.as_deref() != Some(*name))
                .map(|name| Subsystem { name: Some(name.to_owned()), ..known.clone() }),
            None => Some(Subsystem { id: client.clone(), name: name.map(str::to_owned), added: draft.now }),
        };
        if let Some(subsystem) = subsystem {
            draft.put(Record::Subsystem(subsystem));
        }
    }
    register_client(draft, entry.server.number, client.clone());
    Ok(())
}

/// The checks of an owner change, when it comes.
pub(super) fn check_owner_change(
    draft: &Draft<'_>,
    id: &SecurityServerId,
    owner: &ClientId,
) -> Result<(), Refusal> {
    let instance = draft.instance;
    let is_pending =
        |request: &&Request| request.server == *id && matches!(request.content, Content::OwnerChange { .. });
    if let Some(other) = instance.pending_requests().find(is_pending) {
        return Err(Refusal::RequestExists(Some(other.id)));
    }
    if owner.subsystem().is_some() {
        return Err(Refusal::OwnerMustBeMember);
    }
    let entry = instance.server(id).ok_or_else(|| Refusal::RequestServerNotFound(id.clone()))?;
    if owner.member() == id.owner() {
        return Err(Refusal::ClientAlreadyOwner);
    }
    if !entry.clients.contains_key(owner) {
        return Err(Refusal::OwnerMustBeClient);
    }
    if instance.server(&renamed(id, owner)).is_some() {
        return Err(Refusal::ServerCodeExists);
    }
    Ok(())
}

fn renamed(id: &SecurityServerId, owner: &ClientId) -> SecurityServerId {
    SecurityServerId::new(owner.member().clone(), id.code()).expect("the code is not blank")
}

fn change_owner(draft: &mut Draft<'_>, id: &SecurityServerId, owner: &ClientId) -> Result<(), Refusal> {
    let instance = draft.instance;
    let entry = instance.server(id).ok_or_else(|| Refusal::RequestServerNotFound(id.clone()))?;
    if instance.member(owner.member()).is_none() {
        return Err(Refusal::NewOwnerNotFound(owner.clone()));
    }
    let new_id = renamed(id, owner);
    // It may have become so since the request came.
    if instance.server(&new_id).is_some() {
        return Err(Refusal::ServerCodeExists);
    }
    let number = entry.server.number;
    draft.put(Record::Server(Server { id: new_id, changed: draft.now, ..entry.server.clone() }));
    register_client(draft, number, id.owner().clone().into());
    draft.remove(RecordKey::Client(number, owner.clone()));
    if instance.servers_of_owner(id.owner()).count() == 1 {
        leave_owners(draft, id.owner());
    }
    join_owners(draft, owner.member());
    Ok(())
}

pub(super) fn enable(
    draft: &mut Draft<'_>,
    id: &SecurityServerId,
    client: &ClientId,
    enabled: bool,
) -> Result<(), Refusal> {
    let known = draft.instance.server(id).and_then(|entry| entry.clients.get(client));
    let not_found =
        || Refusal::ServerClientNotFound { server: Box::new(id.clone()), client: Box::new(client.clone()) };
    let mut known = known.ok_or_else(not_found)?.clone();
    if !enabled && draft.instance.parameters().provider.as_ref() == Some(client) {
        return Err(Refusal::ProviderStaysEnabled(client.clone()));
    }
    known.enabled = enabled;
    draft.put(Record::Client(known));
    Ok(())
}

/// Gives the name before.
pub(super) fn rename(
    draft: &mut Draft<'_>,
    id: &SecurityServerId,
    client: &ClientId,
    name: &str,
) -> Result<Option<String>, Refusal> {
    if client.subsystem().is_none() {
        return Err(Refusal::OnlySubsystemsAreRenamed);
    }
    if name.trim().is_empty() {
        return Err(Refusal::InvalidSubsystemName);
    }
    let not_found =
        || Refusal::ServerClientNotFound { server: Box::new(id.clone()), client: Box::new(client.clone()) };
    let registered = draft.instance.server(id).is_some_and(|entry| entry.clients.contains_key(client));
    let known = draft.instance.subsystem(client).filter(|_| registered).ok_or_else(not_found)?;
    let before = known.name.clone();
    draft.put(Record::Subsystem(Subsystem { name: Some(name.to_owned()), ..known.clone() }));
    Ok(before)
}

/// Tells of a new name where there was another one.
pub(super) fn rename_comment(
    before: Option<&str>,
    after: Option<&str>,
    comments: Option<String>,
) -> Option<String> {
    let before = before.filter(|name| !name.is_empty());
    let after = after.filter(|name| !name.is_empty());
    match before.zip(after) {
        Some((before, after)) if before != after => {
            let remark = comments.map(|comments| format!(" {comments}")).unwrap_or_default();
            Some(format!("Changing subsystem name from '{before}' to '{after}'.{remark}"))
        }
        _ => comments,
    }
}

/// Gives the address before.
pub(super) fn change_address(
    draft: &mut Draft<'_>,
    id: &SecurityServerId,
    address: &str,
) -> Result<Option<String>, Refusal> {
    check_address(address).map_err(|()| Refusal::InvalidServerAddress(address.to_owned()))?;
    let server = changed_server(draft, id)?.server.clone();
    let before = server.address.clone();
    draft.put(Record::Server(Server { address: Some(address.to_owned()), changed: draft.now, ..server }));
    Ok(before)
}

pub(super) fn enter_maintenance(
    draft: &mut Draft<'_>,
    id: &SecurityServerId,
    message: Option<&str>,
) -> Result<(), Refusal> {
    if let Some(provider) = &draft.instance.parameters().provider {
        let serves = |entry: &ServerEntry| {
            entry.clients.contains_key(provider)
                || (provider.subsystem().is_none() && provider.member() == id.owner())
        };
        if draft.instance.server(id).is_some_and(serves) {
            return Err(Refusal::ProviderStaysUp {
                provider: Box::new(provider.clone()),
                server: Box::new(id.clone()),
            });
        }
    }
    let server = changed_server(draft, id)?.server.clone();
    if server.maintenance.is_some() {
        return Err(Refusal::AlreadyInMaintenance(id.clone()));
    }
    let maintenance = Some(message.unwrap_or_default().to_owned());
    draft.put(Record::Server(Server { maintenance, changed: draft.now, ..server }));
    Ok(())
}

pub(super) fn leave_maintenance(draft: &mut Draft<'_>, id: &SecurityServerId) -> Result<(), Refusal> {
    let server = changed_server(draft, id)?.server.clone();
    if server.maintenance.is_none() {
        return Err(Refusal::NotInMaintenance(id.clone()));
    }
    draft.put(Record::Server(Server { maintenance: None, changed: draft.now, ..server }));
    Ok(())
}

fn changed_server<'a>(draft: &Draft<'a>, id: &SecurityServerId) -> Result<&'a ServerEntry, Refusal> {
    draft.instance.server(id).ok_or_else(|| Refusal::ChangedServerNotFound(id.clone()))
}
