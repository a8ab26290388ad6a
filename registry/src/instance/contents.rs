//! The instance in memory: its records, and indexes over them.
//!
//! [`Instance::apply`] is the only way in, for what is read from the store as for what a command
//! changes; so what is in memory cannot differ from what is in the store.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use protocol::digest::DigestAlgorithm;
use protocol::id::{ClientId, MemberId, SecurityServerId};

use super::model::{
    AuthenticationCertificate, CertificationService, Client, ConfigurationKey, ConfigurationPart, Counters,
    GlobalGroup, GroupMember, IntermediateCa, Invitation, Member, MemberClass, OcspResponder, OwnAnchor,
    Parameters, Server, Subsystem, TimestampingService, TrustedAnchor,
};
use super::policy::Policy;
use super::record::{Edit, Record, RecordKey};
use crate::publish::SourceKind;
use crate::requests::Request;

/// A member with its subsystems by code.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberEntry {
    /// The member itself.
    pub member: Member,
    /// Its subsystems.
    pub subsystems: BTreeMap<String, Subsystem>,
}

/// A server with what is registered on it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerEntry {
    /// The server itself.
    pub server: Server,
    /// Its authentication certificates by number.
    pub certificates: BTreeMap<u32, AuthenticationCertificate>,
    /// Its clients, the owner not among them.
    pub clients: BTreeMap<ClientId, Client>,
}

/// A global group with its members.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupEntry {
    /// The group itself.
    pub group: GlobalGroup,
    /// Who is in it.
    pub members: BTreeMap<ClientId, GroupMember>,
}

/// Everything that a registry knows of its instance.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    pub(super) counters: Counters,
    pub(super) parameters: Parameters,
    pub(super) policy: Policy,
    pub(super) classes: BTreeMap<String, MemberClass>,
    pub(super) members: BTreeMap<MemberId, MemberEntry>,
    pub(super) servers: BTreeMap<SecurityServerId, ServerEntry>,
    pub(super) groups: BTreeMap<String, GroupEntry>,
    pub(super) services: BTreeMap<u32, CertificationService>,
    pub(super) intermediates: BTreeMap<u32, IntermediateCa>,
    pub(super) responders: BTreeMap<u32, OcspResponder>,
    pub(super) timestamping: BTreeMap<u32, TimestampingService>,
    pub(super) anchors: BTreeMap<String, TrustedAnchor>,
    pub(super) parts: BTreeMap<String, ConfigurationPart>,
    pub(super) keys: BTreeMap<String, ConfigurationKey>,
    pub(super) own_anchors: BTreeMap<SourceKind, OwnAnchor>,
    pub(super) requests: BTreeMap<u32, Request>,
    pub(super) invitations: BTreeMap<u32, Invitation>,

    server_by_number: HashMap<u32, SecurityServerId>,
    server_by_certificate: HashMap<Vec<u8>, u32>,
    servers_by_certificate_id: HashMap<u32, u32>,
    servers_by_client: HashMap<ClientId, BTreeSet<u32>>,
    servers_by_owner: HashMap<MemberId, BTreeSet<u32>>,
    groups_by_member: HashMap<ClientId, BTreeSet<String>>,
    members_by_class: HashMap<String, usize>,
    requests_by_server: HashMap<SecurityServerId, BTreeSet<u32>>,
    pending: BTreeSet<u32>,
}

/// A record that refers to something that is not there.
#[derive(Debug, thiserror::Error)]
#[error("the record {0} refers to something that is not there")]
pub(super) struct Dangling(String);

impl Instance {
    /// Settings of the instance.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The number of its last change.
    pub fn generation(&self) -> u64 {
        self.counters.generation
    }

    /// Member classes by code.
    pub fn classes(&self) -> &BTreeMap<String, MemberClass> {
        &self.classes
    }

    /// Members.
    pub fn members(&self) -> &BTreeMap<MemberId, MemberEntry> {
        &self.members
    }

    /// A member.
    pub fn member(&self, id: &MemberId) -> Option<&MemberEntry> {
        self.members.get(id)
    }

    /// A subsystem.
    pub fn subsystem(&self, id: &ClientId) -> Option<&Subsystem> {
        self.members.get(id.member())?.subsystems.get(id.subsystem()?)
    }

    /// Whether the member or subsystem exists.
    pub fn exists(&self, id: &ClientId) -> bool {
        match id.subsystem() {
            Some(_) => self.subsystem(id).is_some(),
            None => self.members.contains_key(id.member()),
        }
    }

    /// Security servers.
    pub fn servers(&self) -> &BTreeMap<SecurityServerId, ServerEntry> {
        &self.servers
    }

    /// A security server.
    pub fn server(&self, id: &SecurityServerId) -> Option<&ServerEntry> {
        self.servers.get(id)
    }

    /// The server with this number.
    pub fn server_numbered(&self, number: u32) -> Option<&ServerEntry> {
        self.servers.get(self.server_by_number.get(&number)?)
    }

    /// The server that an authentication certificate is registered to, and the certificate's number.
    pub fn server_of_certificate(&self, der: &[u8]) -> Option<(&ServerEntry, u32)> {
        let server = self.server_numbered(*self.server_by_certificate.get(&digest(der))?)?;
        let certificate = server.certificates.values().find(|certificate| certificate.der == der)?;
        Some((server, certificate.id))
    }

    /// The servers that the member or subsystem is registered on as a client, its own ones not counted.
    pub fn servers_of_client(&self, id: &ClientId) -> impl Iterator<Item = &ServerEntry> {
        let numbers = self.servers_by_client.get(id).into_iter().flatten();
        numbers.filter_map(|number| self.server_numbered(*number))
    }

    /// The servers that a member owns.
    pub fn servers_of_owner(&self, owner: &MemberId) -> impl Iterator<Item = &ServerEntry> {
        let numbers = self.servers_by_owner.get(owner).into_iter().flatten();
        numbers.filter_map(|number| self.server_numbered(*number))
    }

    /// Global groups by code.
    pub fn groups(&self) -> &BTreeMap<String, GroupEntry> {
        &self.groups
    }

    /// The global groups that a member or subsystem is in.
    pub fn groups_of(&self, id: &ClientId) -> impl Iterator<Item = &GroupEntry> {
        let codes = self.groups_by_member.get(id).into_iter().flatten();
        codes.filter_map(|code| self.groups.get(code))
    }

    /// How many members a class has.
    pub fn members_in_class(&self, code: &str) -> usize {
        self.members_by_class.get(code).copied().unwrap_or(0)
    }

    /// Certification services by number.
    pub fn certification_services(&self) -> &BTreeMap<u32, CertificationService> {
        &self.services
    }

    /// Intermediate CAs by number.
    pub fn intermediate_cas(&self) -> &BTreeMap<u32, IntermediateCa> {
        &self.intermediates
    }

    /// OCSP responders by number.
    pub fn responders(&self) -> &BTreeMap<u32, OcspResponder> {
        &self.responders
    }

    /// Time-stamping services by number.
    pub fn timestamping_services(&self) -> &BTreeMap<u32, TimestampingService> {
        &self.timestamping
    }

    /// Trusted anchors by instance.
    pub fn anchors(&self) -> &BTreeMap<String, TrustedAnchor> {
        &self.anchors
    }

    /// Configuration parts by identifier.
    pub fn parts(&self) -> &BTreeMap<String, ConfigurationPart> {
        &self.parts
    }

    /// Signing keys by id.
    pub fn signing_keys(&self) -> &BTreeMap<String, ConfigurationKey> {
        &self.keys
    }

    /// Management requests by number.
    pub fn requests(&self) -> &BTreeMap<u32, Request> {
        &self.requests
    }

    /// Invitations by number.
    pub fn invitations(&self) -> &BTreeMap<u32, Invitation> {
        &self.invitations
    }

    /// Management requests that wait to be decided.
    pub fn pending_requests(&self) -> impl Iterator<Item = &Request> {
        self.pending.iter().filter_map(|id| self.requests.get(id))
    }

    /// Management requests about a server, in the order in which they came.
    pub fn requests_of_server(&self, id: &SecurityServerId) -> impl DoubleEndedIterator<Item = &Request> {
        let ids = self.requests_by_server.get(id).into_iter().flatten();
        ids.filter_map(|id| self.requests.get(id))
    }

    /// Makes an edit. One that refers to something that is not there is told and not made.
    pub(super) fn apply(&mut self, edit: Edit) -> Result<(), Dangling> {
        match edit {
            Edit::Put(record) => {
                let key = record.key();
                self.put(record).ok_or_else(|| Dangling(key.name()))
            }
            Edit::Remove(key) => {
                self.remove(&key);
                Ok(())
            }
        }
    }

    fn put(&mut self, record: Record) -> Option<()> {
        match record {
            Record::Counters(counters) => self.counters = counters,
            Record::Parameters(parameters) => self.parameters = parameters,
            Record::Policy(policy) => self.policy = policy,
            Record::Class(class) => drop(self.classes.insert(class.code.clone(), class)),
            Record::Member(member) => self.put_member(member),
            Record::Subsystem(subsystem) => {
                let member = self.members.get_mut(subsystem.id.member())?;
                member.subsystems.insert(subsystem.id.subsystem()?.to_owned(), subsystem);
            }
            Record::Server(server) => self.put_server(server),
            Record::Certificate(certificate) => {
                let id = self.server_by_number.get(&certificate.server)?;
                let server = self.servers.get_mut(id)?;
                self.server_by_certificate.insert(digest(&certificate.der), certificate.server);
                self.servers_by_certificate_id.insert(certificate.id, certificate.server);
                server.certificates.insert(certificate.id, certificate);
            }
            Record::Client(client) => {
                let id = self.server_by_number.get(&client.server)?;
                let server = self.servers.get_mut(id)?;
                self.servers_by_client.entry(client.id.clone()).or_default().insert(client.server);
                server.clients.insert(client.id.clone(), client);
            }
            Record::Group(group) => match self.groups.get_mut(&group.code) {
                Some(entry) => entry.group = group,
                None => {
                    let code = group.code.clone();
                    self.groups.insert(code, GroupEntry { group, members: BTreeMap::new() });
                }
            },
            Record::GroupMember(member) => {
                let group = self.groups.get_mut(&member.group)?;
                self.groups_by_member.entry(member.id.clone()).or_default().insert(member.group.clone());
                group.members.insert(member.id.clone(), member);
            }
            Record::Service(service) => drop(self.services.insert(service.id, service)),
            Record::Intermediate(authority) => {
                self.services.get(&authority.service)?;
                self.intermediates.insert(authority.id, authority);
            }
            Record::Responder(responder) => drop(self.responders.insert(responder.id, responder)),
            Record::Timestamping(service) => drop(self.timestamping.insert(service.id, service)),
            Record::Anchor(anchor) => drop(self.anchors.insert(anchor.instance.clone(), anchor)),
            Record::Part(part) => drop(self.parts.insert(part.identifier.clone(), part)),
            Record::Key(key) => drop(self.keys.insert(key.id.clone(), key)),
            Record::OwnAnchor(anchor) => drop(self.own_anchors.insert(anchor.source, anchor)),
            Record::Request(request) => self.put_request(*request),
            Record::Invitation(invitation) => drop(self.invitations.insert(invitation.id, invitation)),
        }
        Some(())
    }

    fn put_member(&mut self, member: Member) {
        match self.members.get_mut(&member.id) {
            Some(entry) => entry.member = member,
            None => {
                *self.members_by_class.entry(member.id.class().to_owned()).or_default() += 1;
                let id = member.id.clone();
                self.members.insert(id, MemberEntry { member, subsystems: BTreeMap::new() });
            }
        }
    }

    /// A server keeps its number and with it what is registered on it, also under a new owner.
    fn put_server(&mut self, server: Server) {
        let mut entry = match self.server_by_number.insert(server.number, server.id.clone()) {
            Some(before) => self.servers.remove(&before),
            None => None,
        };
        if let Some(before) = &entry {
            unlink(&mut self.servers_by_owner, before.server.id.owner(), &server.number);
        }
        self.servers_by_owner.entry(server.id.owner().clone()).or_default().insert(server.number);
        let id = server.id.clone();
        let entry = match entry.take() {
            Some(before) => ServerEntry { server, ..before },
            None => ServerEntry { server, certificates: BTreeMap::new(), clients: BTreeMap::new() },
        };
        self.servers.insert(id, entry);
    }

    fn put_request(&mut self, request: Request) {
        if request.is_pending() {
            self.pending.insert(request.id);
        } else {
            self.pending.remove(&request.id);
        }
        // The server of a request never changes.
        self.requests_by_server.entry(request.server.clone()).or_default().insert(request.id);
        self.requests.insert(request.id, request);
    }

    fn remove(&mut self, key: &RecordKey) {
        match key {
            // There is one of each, and it is only ever replaced.
            RecordKey::Counters | RecordKey::Parameters | RecordKey::Policy => {}
            RecordKey::Class(code) => drop(self.classes.remove(code)),
            RecordKey::Member(id) => {
                if self.members.remove(id).is_some()
                    && let Some(count) = self.members_by_class.get_mut(id.class())
                {
                    *count = count.saturating_sub(1);
                }
            }
            RecordKey::Subsystem(id) => {
                if let Some(member) = self.members.get_mut(id.member())
                    && let Some(code) = id.subsystem()
                {
                    member.subsystems.remove(code);
                }
            }
            RecordKey::Server(number) => {
                if let Some(id) = self.server_by_number.remove(number) {
                    unlink(&mut self.servers_by_owner, id.owner(), number);
                    self.servers.remove(&id);
                }
            }
            RecordKey::Certificate(id) => self.remove_certificate(*id),
            RecordKey::Client(number, id) => {
                unlink(&mut self.servers_by_client, id, number);
                if let Some(server) = self.server_by_number.get(number)
                    && let Some(server) = self.servers.get_mut(server)
                {
                    server.clients.remove(id);
                }
            }
            RecordKey::Group(code) => drop(self.groups.remove(code)),
            RecordKey::GroupMember(code, id) => {
                unlink(&mut self.groups_by_member, id, code);
                if let Some(group) = self.groups.get_mut(code) {
                    group.members.remove(id);
                }
            }
            RecordKey::Service(id) => drop(self.services.remove(id)),
            RecordKey::Intermediate(id) => drop(self.intermediates.remove(id)),
            RecordKey::Responder(id) => drop(self.responders.remove(id)),
            RecordKey::Timestamping(id) => drop(self.timestamping.remove(id)),
            RecordKey::Anchor(instance) => drop(self.anchors.remove(instance)),
            RecordKey::Part(identifier) => drop(self.parts.remove(identifier)),
            RecordKey::Key(id) => drop(self.keys.remove(id)),
            RecordKey::OwnAnchor(source) => drop(self.own_anchors.remove(source)),
            RecordKey::Invitation(id) => drop(self.invitations.remove(id)),
            RecordKey::Request(id) => {
                self.pending.remove(id);
                if let Some(request) = self.requests.remove(id) {
                    unlink(&mut self.requests_by_server, &request.server, id);
                }
            }
        }
    }

    fn remove_certificate(&mut self, id: u32) {
        let Some(number) = self.servers_by_certificate_id.remove(&id) else { return };
        if let Some(server) = self.server_by_number.get(&number)
            && let Some(server) = self.servers.get_mut(server)
            && let Some(certificate) = server.certificates.remove(&id)
        {
            self.server_by_certificate.remove(&digest(&certificate.der));
        }
    }

    /// The record that is there now under a key.
    pub(crate) fn record(&self, key: &RecordKey) -> Option<Record> {
        Some(match key {
            RecordKey::Counters => Record::Counters(self.counters.clone()),
            RecordKey::Parameters => Record::Parameters(self.parameters.clone()),
            RecordKey::Policy => Record::Policy(self.policy.clone()),
            RecordKey::Class(code) => Record::Class(self.classes.get(code)?.clone()),
            RecordKey::Member(id) => Record::Member(self.members.get(id)?.member.clone()),
            RecordKey::Subsystem(id) => Record::Subsystem(self.subsystem(id)?.clone()),
            RecordKey::Server(number) => Record::Server(self.server_numbered(*number)?.server.clone()),
            RecordKey::Certificate(id) => {
                let server = self.server_numbered(*self.servers_by_certificate_id.get(id)?)?;
                Record::Certificate(server.certificates.get(id)?.clone())
            }
            RecordKey::Client(number, id) => {
                Record::Client(self.server_numbered(*number)?.clients.get(id)?.clone())
            }
            RecordKey::Group(code) => Record::Group(self.groups.get(code)?.group.clone()),
            RecordKey::GroupMember(code, id) => {
                Record::GroupMember(self.groups.get(code)?.members.get(id)?.clone())
            }
            RecordKey::Service(id) => Record::Service(self.services.get(id)?.clone()),
            RecordKey::Intermediate(id) => Record::Intermediate(self.intermediates.get(id)?.clone()),
            RecordKey::Responder(id) => Record::Responder(self.responders.get(id)?.clone()),
            RecordKey::Timestamping(id) => Record::Timestamping(self.timestamping.get(id)?.clone()),
            RecordKey::Anchor(instance) => Record::Anchor(self.anchors.get(instance)?.clone()),
            RecordKey::Part(identifier) => Record::Part(self.parts.get(identifier)?.clone()),
            RecordKey::Key(id) => Record::Key(self.keys.get(id)?.clone()),
            RecordKey::OwnAnchor(source) => Record::OwnAnchor(self.own_anchors.get(source)?.clone()),
            RecordKey::Request(id) => Record::Request(Box::new(self.requests.get(id)?.clone())),
            RecordKey::Invitation(id) => Record::Invitation(self.invitations.get(id)?.clone()),
        })
    }
}

/// Takes a value out of the set of a key, and the set away when it is empty.
fn unlink<K, V>(index: &mut HashMap<K, BTreeSet<V>>, key: &K, value: &V)
where
    K: Eq + std::hash::Hash,
    V: Ord,
{
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}

fn digest(der: &[u8]) -> Vec<u8> {
    DigestAlgorithm::Sha256.digest(der).bytes().to_vec()
}
