//! The instance in memory: its records, and indexes over them.
//!
//! `Instance::apply` is the only way in (`apply`), for what is read from the store as for what a command
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

    pub(super) server_by_number: HashMap<u32, SecurityServerId>,
    pub(super) server_by_certificate: HashMap<Vec<u8>, u32>,
    pub(super) servers_by_certificate_id: HashMap<u32, u32>,
    pub(super) servers_by_client: HashMap<ClientId, BTreeSet<u32>>,
    pub(super) servers_by_owner: HashMap<MemberId, BTreeSet<u32>>,
    pub(super) groups_by_member: HashMap<ClientId, BTreeSet<String>>,
    pub(super) members_by_class: HashMap<String, usize>,
    pub(super) requests_by_server: HashMap<SecurityServerId, BTreeSet<u32>>,
    pub(super) pending: BTreeSet<u32>,
}

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
}

pub(super) fn digest(der: &[u8]) -> Vec<u8> {
    DigestAlgorithm::Sha256.digest(der).bytes().to_vec()
}
