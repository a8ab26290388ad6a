//! Security servers, their certificates and their clients (registry and administration §1.4).
//!
//! A server comes into being when the registration of its first certificate is approved (`requests`).
//! What the registry takes away leaves a management request of origin CENTER behind, so that the
//! history of a server is in its requests.

use certs::certificate::Certificate;
use protocol::id::{ClientId, MemberId, SecurityServerId};

use super::draft::Draft;
use super::identifiers::{Field, Rule};
use super::model::{AuthenticationCertificate, Client, GroupMember, OWNERS_GROUP, Server};
use super::record::{Record, RecordKey};
use super::{Actor, Desk, Refusal, ServerEntry, identifiers};
use crate::requests::{self, Content};
use crate::state::rules;

impl Desk {
    /// Gives a server another address.
    ///
    /// # Errors
    /// It does not exist; the address is neither a host name nor an IP address.
    pub fn set_server_address(&self, id: &SecurityServerId, address: &str) -> Result<Server, Refusal> {
        self.change(|draft| {
            check_address(address).map_err(|()| Refusal::fault(Field::Address, Rule::Form))?;
            let server = draft.server(id)?.server.clone();
            let server = Server { address: Some(address.to_owned()), changed: draft.now, ..server };
            draft.put(Record::Server(server.clone()));
            Ok(server)
        })
    }

    /// Deletes a server. Each of its clients and certificates gets a deletion request; an owner without
    /// another server leaves the group of owners.
    ///
    /// # Errors
    /// It does not exist.
    pub fn delete_server(&self, actor: &Actor, id: &SecurityServerId) -> Result<(), Refusal> {
        self.change(|draft| {
            let entry = draft.server(id)?;
            let comment = format!("SERVER:{id} deletion");
            for client in entry.clients.keys() {
                let content = Content::ClientDeletion { client: client.clone() };
                requests::record_deletion(draft, actor, id, content, Some(comment.clone()));
                draft.remove(RecordKey::Client(entry.server.number, client.clone()));
            }
            for certificate in entry.certificates.values() {
                let content = Content::CertificateDeletion { certificate: certificate.der.clone() };
                requests::record_deletion(draft, actor, id, content, Some(comment.clone()));
                draft.remove(RecordKey::Certificate(certificate.id));
            }
            draft.remove(RecordKey::Server(entry.server.number));
            if draft.instance.servers_of_owner(id.owner()).count() == 1 {
                leave_owners(draft, id.owner());
            }
            Ok(())
        })
    }

    /// Deletes an authentication certificate of a server, which makes a deletion request.
    ///
    /// # Errors
    /// The server or the certificate does not exist.
    pub fn delete_certificate(
        &self,
        actor: &Actor,
        server: &SecurityServerId,
        certificate: u32,
    ) -> Result<AuthenticationCertificate, Refusal> {
        self.change(|draft| {
            let entry = draft.server(server)?;
            let known = entry.certificates.get(&certificate);
            let known = known.ok_or(Refusal::CertificateNotFound(certificate))?.clone();
            let content = Content::CertificateDeletion { certificate: known.der.clone() };
            requests::record_deletion(draft, actor, server, content, None);
            draft.remove(RecordKey::Certificate(certificate));
            Ok(known)
        })
    }

    /// Takes a client from a server, which makes a deletion request.
    ///
    /// # Errors
    /// The server does not exist; the client is not registered on it.
    pub fn unregister_client(
        &self,
        actor: &Actor,
        server: &SecurityServerId,
        client: &ClientId,
    ) -> Result<(), Refusal> {
        self.change(|draft| {
            let entry = draft.server(server)?;
            if !entry.clients.contains_key(client) {
                return Err(match client.subsystem() {
                    Some(_) => Refusal::SubsystemNotRegistered(client.clone()),
                    None => Refusal::MemberNotRegistered(client.clone()),
                });
            }
            let content = Content::ClientDeletion { client: client.clone() };
            requests::record_deletion(draft, actor, server, content, None);
            draft.remove(RecordKey::Client(entry.server.number, client.clone()));
            Ok(())
        })
    }
}

impl<'a> Draft<'a> {
    /// A server that must exist.
    pub(crate) fn server(&self, id: &SecurityServerId) -> Result<&'a ServerEntry, Refusal> {
        self.instance.server(id).ok_or_else(|| Refusal::ServerNotFound(id.clone()))
    }
}

/// A host name, also an internationalised one, or an IP address.
pub(crate) fn check_address(address: &str) -> Result<(), ()> {
    if rules::host(address).is_ok() {
        return Ok(());
    }
    // Names in other scripts are converted by whoever looks them up; here their letters are enough.
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let international = !address.is_ascii() && address.chars().count() <= 253;
    if international && address.split('.').all(label) { Ok(()) } else { Err(()) }
}

/// Reads an authentication certificate and checks that an approved CA issued it and that it is valid
/// now. Its OCSP status is for its users to check.
pub(crate) fn check_certificate(draft: &Draft<'_>, der: &[u8]) -> Result<Certificate, &'static str> {
    let certificate = Certificate::from_der(der.to_vec()).map_err(|_| "it cannot be read")?;
    if !certificate.is_authentication() {
        return Err("it is not for authentication");
    }
    let services = draft.instance.services.values().map(|service| &service.certificate);
    let intermediates = draft.instance.intermediates.values().map(|authority| &authority.certificate);
    let issued = services.chain(intermediates).any(|der| {
        Certificate::from_der(der.clone()).is_ok_and(|authority| certificate.is_issued_by(&authority))
    });
    if !issued {
        return Err("no approved certification service issued it");
    }
    if !certificate.is_valid_at(draft.now) {
        return Err("it is not valid now");
    }
    Ok(certificate)
}

/// A client of a server.
pub(crate) fn register_client(draft: &mut Draft<'_>, server: u32, id: ClientId) {
    let client = Client { server, id, enabled: true, registered: draft.now };
    draft.put(Record::Client(client));
}

/// The owner of a server is in the group of owners.
pub(crate) fn join_owners(draft: &mut Draft<'_>, owner: &MemberId) {
    let code = &draft.instance.parameters.owners_group;
    let id = ClientId::from(owner.clone());
    let Some(group) = draft.instance.groups.get(code) else { return };
    if group.members.contains_key(&id) {
        return;
    }
    let (group, added) = (code.clone(), draft.now);
    let number = draft.number(|counters| &mut counters.group_member);
    draft.put(Record::GroupMember(GroupMember { group, number, id, added }));
}

/// A member without a server is not in the group of owners.
pub(crate) fn leave_owners(draft: &mut Draft<'_>, owner: &MemberId) {
    let code = draft.instance.parameters.owners_group.clone();
    draft.remove(RecordKey::GroupMember(code, owner.clone().into()));
}

/// The parts of a server's identifier in a request, by the looser rule: what the certificate says of the
/// owner was decided by the CA.
pub(crate) fn check_server_id(id: &SecurityServerId) -> Result<(), Refusal> {
    identifiers::part(Field::MemberClass, id.owner().class(), false)?;
    identifiers::part(Field::MemberCode, id.owner().code(), false)?;
    identifiers::part(Field::ServerCode, id.code(), false)
}

/// Whether this is the group that the registry keeps.
pub(crate) fn is_owners_group(draft: &Draft<'_>, code: &str) -> bool {
    let own = &draft.instance.parameters.owners_group;
    code.eq_ignore_ascii_case(own) || code.eq_ignore_ascii_case(OWNERS_GROUP)
}
