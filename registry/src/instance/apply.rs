//! How an edit of a record changes the instance in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::contents::{GroupEntry, Instance, MemberEntry, ServerEntry, digest};
use super::model::{Member, Server};
use super::record::{Edit, Record, RecordKey};
use crate::requests::Request;

/// A record that refers to something that is not there.
#[derive(Debug, thiserror::Error)]
#[error("the record {0} refers to something that is not there")]
pub(super) struct Dangling(String);

impl Instance {
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
