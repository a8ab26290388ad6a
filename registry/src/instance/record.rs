//! Records of the store: one for each thing of an instance, under a name that says what it is.
//!
//! Names are `KIND/KEY` with the parts of the key percent-encoded; values are JSON. A change of an
//! instance is a list of [`Edit`]s, which becomes one batch of the store and is then made in memory.

use administration::store::Batch;
use protocol::id::{ClientId, MemberId, encode_segment};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::model::{
    AuthenticationCertificate, CertificationService, Client, ConfigurationKey, ConfigurationPart, Counters,
    GlobalGroup, GroupMember, IntermediateCa, Invitation, Member, MemberClass, OcspResponder, OwnAnchor,
    Parameters, Server, Subsystem, TimestampingService, TrustedAnchor,
};
use super::policy::Policy;
use super::stored;
use crate::publish::SourceKind;
use crate::requests::Request;

/// A record with its content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    Counters(Counters),
    Parameters(Parameters),
    Policy(Policy),
    Class(MemberClass),
    Member(Member),
    Subsystem(Subsystem),
    Server(Server),
    Certificate(AuthenticationCertificate),
    Client(Client),
    Group(GlobalGroup),
    GroupMember(GroupMember),
    Service(CertificationService),
    Intermediate(IntermediateCa),
    Responder(OcspResponder),
    Timestamping(TimestampingService),
    Anchor(TrustedAnchor),
    Part(ConfigurationPart),
    Key(ConfigurationKey),
    OwnAnchor(OwnAnchor),
    Request(Box<Request>),
    Invitation(Invitation),
}

/// Which record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RecordKey {
    Counters,
    Parameters,
    Policy,
    Class(String),
    Member(MemberId),
    Subsystem(ClientId),
    Server(u32),
    Certificate(u32),
    Client(u32, ClientId),
    Group(String),
    GroupMember(String, ClientId),
    Service(u32),
    Intermediate(u32),
    Responder(u32),
    Timestamping(u32),
    Anchor(String),
    Part(String),
    Key(String),
    OwnAnchor(SourceKind),
    Request(u32),
    Invitation(u32),
}

/// A step of a change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// Adds a record or replaces it.
    Put(Record),
    /// Removes a record.
    Remove(RecordKey),
}

/// Prefixes of names, in the order in which records are read: what a record refers to comes before it.
pub(crate) const KINDS: [&str; 21] = [
    "counters",
    "parameters",
    "policy",
    "class/",
    "member/",
    "subsystem/",
    "server/",
    "certificate/",
    "client/",
    "group/",
    "group-member/",
    "service/",
    "intermediate/",
    "responder/",
    "timestamping/",
    "anchor/",
    "part/",
    "key/",
    "own-anchor/",
    "request/",
    "invitation/",
];

impl Record {
    /// Its name.
    pub(crate) fn key(&self) -> RecordKey {
        match self {
            Self::Counters(_) => RecordKey::Counters,
            Self::Parameters(_) => RecordKey::Parameters,
            Self::Policy(_) => RecordKey::Policy,
            Self::Class(class) => RecordKey::Class(class.code.clone()),
            Self::Member(member) => RecordKey::Member(member.id.clone()),
            Self::Subsystem(subsystem) => RecordKey::Subsystem(subsystem.id.clone()),
            Self::Server(server) => RecordKey::Server(server.number),
            Self::Certificate(certificate) => RecordKey::Certificate(certificate.id),
            Self::Client(client) => RecordKey::Client(client.server, client.id.clone()),
            Self::Group(group) => RecordKey::Group(group.code.clone()),
            Self::GroupMember(member) => RecordKey::GroupMember(member.group.clone(), member.id.clone()),
            Self::Service(service) => RecordKey::Service(service.id),
            Self::Intermediate(authority) => RecordKey::Intermediate(authority.id),
            Self::Responder(responder) => RecordKey::Responder(responder.id),
            Self::Timestamping(service) => RecordKey::Timestamping(service.id),
            Self::Anchor(anchor) => RecordKey::Anchor(anchor.instance.clone()),
            Self::Part(part) => RecordKey::Part(part.identifier.clone()),
            Self::Key(key) => RecordKey::Key(key.id.clone()),
            Self::OwnAnchor(anchor) => RecordKey::OwnAnchor(anchor.source),
            Self::Request(request) => RecordKey::Request(request.id),
            Self::Invitation(invitation) => RecordKey::Invitation(invitation.id),
        }
    }

    /// Its fields.
    pub(crate) fn fields(&self) -> Value {
        let value = match self {
            Self::Counters(value) => serde_json::to_value(value),
            Self::Parameters(value) => serde_json::to_value(value),
            Self::Policy(value) => serde_json::to_value(value),
            Self::Class(value) => serde_json::to_value(value),
            Self::Member(value) => serde_json::to_value(value),
            Self::Subsystem(value) => serde_json::to_value(value),
            Self::Server(value) => serde_json::to_value(value),
            Self::Certificate(value) => serde_json::to_value(value),
            Self::Client(value) => serde_json::to_value(value),
            Self::Group(value) => serde_json::to_value(value),
            Self::GroupMember(value) => serde_json::to_value(value),
            Self::Service(value) => serde_json::to_value(value),
            Self::Intermediate(value) => serde_json::to_value(value),
            Self::Responder(value) => serde_json::to_value(value),
            Self::Timestamping(value) => serde_json::to_value(value),
            Self::Anchor(value) => serde_json::to_value(value),
            Self::Part(value) => serde_json::to_value(value),
            Self::Key(value) => serde_json::to_value(value),
            Self::OwnAnchor(value) => serde_json::to_value(value),
            Self::Request(value) => serde_json::to_value(value),
            Self::Invitation(value) => serde_json::to_value(value),
        };
        value.expect("records are of texts and numbers")
    }

    /// Reads a record of a kind.
    pub(super) fn read(kind: &str, value: &[u8]) -> Result<Self, serde_json::Error> {
        fn from<T: DeserializeOwned>(
            value: &[u8],
            make: impl FnOnce(T) -> Record,
        ) -> Result<Record, serde_json::Error> {
            serde_json::from_slice(value).map(make)
        }
        match kind {
            "counters" => from(value, Self::Counters),
            "parameters" => from(value, Self::Parameters),
            "policy" => from(value, Self::Policy),
            "class/" => from(value, Self::Class),
            "member/" => from(value, Self::Member),
            "subsystem/" => from(value, Self::Subsystem),
            "server/" => from(value, Self::Server),
            "certificate/" => from(value, Self::Certificate),
            "client/" => from(value, Self::Client),
            "group/" => from(value, Self::Group),
            "group-member/" => from(value, Self::GroupMember),
            "service/" => from(value, Self::Service),
            "intermediate/" => from(value, Self::Intermediate),
            "responder/" => from(value, Self::Responder),
            "timestamping/" => from(value, Self::Timestamping),
            "anchor/" => from(value, Self::Anchor),
            "part/" => from(value, Self::Part),
            "key/" => from(value, Self::Key),
            "own-anchor/" => from(value, Self::OwnAnchor),
            "request/" => from(value, |request| Self::Request(Box::new(request))),
            "invitation/" => from(value, Self::Invitation),
            _ => Err(serde::de::Error::custom(format!("{kind} is no kind of record"))),
        }
    }
}

impl RecordKey {
    /// The name in the store. Numbers have leading zeros, so that the order of names is theirs.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Counters => "counters".to_owned(),
            Self::Parameters => "parameters".to_owned(),
            Self::Policy => "policy".to_owned(),
            Self::Class(code) => format!("class/{}", encode_segment(code)),
            Self::Member(id) => format!("member/{}", stored::write_member(id)),
            Self::Subsystem(id) => format!("subsystem/{}", id.encoded()),
            Self::Server(number) => format!("server/{number:010}"),
            Self::Certificate(id) => format!("certificate/{id:010}"),
            Self::Client(server, id) => format!("client/{server:010}/{}", id.encoded()),
            Self::Group(code) => format!("group/{}", encode_segment(code)),
            Self::GroupMember(code, id) => format!("group-member/{}/{}", encode_segment(code), id.encoded()),
            Self::Service(id) => format!("service/{id:010}"),
            Self::Intermediate(id) => format!("intermediate/{id:010}"),
            Self::Responder(id) => format!("responder/{id:010}"),
            Self::Timestamping(id) => format!("timestamping/{id:010}"),
            Self::Anchor(instance) => format!("anchor/{}", encode_segment(instance)),
            Self::Part(identifier) => format!("part/{}", encode_segment(identifier)),
            Self::Key(id) => format!("key/{}", encode_segment(id)),
            Self::OwnAnchor(source) => format!("own-anchor/{}", source.name()),
            Self::Request(id) => format!("request/{id:010}"),
            Self::Invitation(id) => format!("invitation/{id:010}"),
        }
    }
}

/// All edits as one batch.
pub(super) fn batch(edits: &[Edit]) -> Batch {
    let mut batch = Batch::default();
    for edit in edits {
        match edit {
            Edit::Put(record) => batch.put(record.key().name(), record.fields().to_string()),
            Edit::Remove(key) => batch.remove(key.name()),
        }
    }
    batch
}
