//! The header blocks (§2.2).

use std::sync::Arc;

use super::{IDENTIFIERS_NAMESPACE, REPRESENTATION_NAMESPACE, SECURITY_TOKEN_NAMESPACE, XROAD_NAMESPACE};
use crate::fault::{Fault, code};
use crate::id::{ClientId, IdError, MemberId, SecurityServerId, ServiceId};
use crate::xml::decode_base64;

/// What the header says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) client: ClientId,
    /// Whether the object type of the client fits its parts.
    pub(super) client_type_fits: bool,
    pub(super) service: ServiceId,
    pub(super) security_server: Option<SecurityServerId>,
    pub(super) id: Arc<str>,
    pub(super) user_id: Option<Arc<str>>,
    pub(super) issue: Option<Arc<str>>,
    pub(super) represented_party: Option<RepresentedParty>,
    pub(super) protocol_version: Arc<str>,
    pub(super) request_hash: Option<RequestHash>,
}

/// In whose place a client calls.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RepresentedParty {
    /// The class of the party.
    pub class: Option<String>,
    /// The code of the party. The schema demands it, peers do not.
    pub code: Option<String>,
}

/// The hash of a request inside a response (§2.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestHash {
    /// What `algorithmId` says. Peers do not look at it, and releases differ in what they write.
    pub algorithm: Option<String>,
    /// The text, in base64.
    pub value: String,
}

impl RequestHash {
    /// The octets of the hash; none when the text is not base64.
    pub fn octets(&self) -> Option<Vec<u8>> {
        decode_base64(&self.value)
    }
}

/// The header blocks that mean something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Block {
    Client,
    Service,
    SecurityServer,
    Id,
    UserId,
    Issue,
    RepresentedParty,
    ProtocolVersion,
    RequestHash,
    SecurityToken,
}

impl Block {
    pub(super) fn of(namespace: &str, local: &str) -> Option<Self> {
        Some(match (namespace, local) {
            (XROAD_NAMESPACE, "client") => Self::Client,
            (XROAD_NAMESPACE, "service") => Self::Service,
            (XROAD_NAMESPACE, "securityServer") => Self::SecurityServer,
            (XROAD_NAMESPACE, "id") => Self::Id,
            (XROAD_NAMESPACE, "userId") => Self::UserId,
            (XROAD_NAMESPACE, "issue") => Self::Issue,
            (REPRESENTATION_NAMESPACE, "representedParty") => Self::RepresentedParty,
            (XROAD_NAMESPACE, "protocolVersion") => Self::ProtocolVersion,
            (XROAD_NAMESPACE, "requestHash") => Self::RequestHash,
            (SECURITY_TOKEN_NAMESPACE, "securityToken") => Self::SecurityToken,
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Service => "service",
            Self::SecurityServer => "securityServer",
            Self::Id => "id",
            Self::UserId => "userId",
            Self::Issue => "issue",
            Self::RepresentedParty => "representedParty",
            Self::ProtocolVersion => "protocolVersion",
            Self::RequestHash => "requestHash",
            Self::SecurityToken => "securityToken",
        }
    }

    /// The values of `objectType` that the block may have; none for blocks that are no identifiers.
    fn object_types(self) -> &'static [&'static str] {
        match self {
            Self::Client => &["MEMBER", "SUBSYSTEM"],
            Self::Service => &["SERVICE"],
            Self::SecurityServer => &["SERVER"],
            _ => &[],
        }
    }
}

/// The children that identifiers and parties have.
const PARTS: [(&str, &str); 10] = [
    (IDENTIFIERS_NAMESPACE, "xRoadInstance"),
    (IDENTIFIERS_NAMESPACE, "memberClass"),
    (IDENTIFIERS_NAMESPACE, "memberCode"),
    (IDENTIFIERS_NAMESPACE, "subsystemCode"),
    (IDENTIFIERS_NAMESPACE, "groupCode"),
    (IDENTIFIERS_NAMESPACE, "serviceCode"),
    (IDENTIFIERS_NAMESPACE, "serviceVersion"),
    (IDENTIFIERS_NAMESPACE, "serverCode"),
    (REPRESENTATION_NAMESPACE, "partyClass"),
    (REPRESENTATION_NAMESPACE, "partyCode"),
];
const INSTANCE: usize = 0;
const CLASS: usize = 1;
const MEMBER: usize = 2;
const SUBSYSTEM: usize = 3;
const SERVICE: usize = 5;
const VERSION: usize = 6;
const SERVER: usize = 7;
const PARTY_CLASS: usize = 8;
const PARTY_CODE: usize = 9;

/// Collects the blocks as they pass by.
#[derive(Debug, Default)]
pub(super) struct Collector {
    seen: u16,
    object_type: String,
    parts: [Option<String>; PARTS.len()],
    algorithm: Option<String>,
    client: Option<(ClientId, bool)>,
    service: Option<ServiceId>,
    security_server: Option<SecurityServerId>,
    id: Option<String>,
    user_id: Option<String>,
    issue: Option<String>,
    represented_party: Option<RepresentedParty>,
    protocol_version: Option<String>,
    request_hash: Option<RequestHash>,
}

impl Collector {
    /// A block begins. `attribute` finds one of its attributes by namespace and name.
    pub(super) fn begin<'a>(
        &mut self,
        block: Block,
        attribute: impl Fn(&str, &str) -> Option<&'a str>,
    ) -> Result<(), Fault> {
        let mark = 1 << (block as u16);
        if self.seen & mark != 0 {
            return Err(duplicate(block.name()));
        }
        self.seen |= mark;
        self.parts = Default::default();
        self.algorithm = attribute("", "algorithmId").map(str::to_owned);
        let types = block.object_types();
        if !types.is_empty() {
            let found = attribute(IDENTIFIERS_NAMESPACE, "objectType");
            match found.filter(|found| types.contains(found)) {
                Some(found) => found.clone_into(&mut self.object_type),
                None => {
                    let why = format!("object type of '{}' is missing or not allowed there", block.name());
                    return Err(Fault::new(code::INVALID_XML, why));
                }
            }
        }
        Ok(())
    }

    /// Which part of an identifier or party an element inside a block is.
    pub(super) fn part(namespace: &str, local: &str) -> Option<usize> {
        PARTS.iter().position(|part| *part == (namespace, local))
    }

    /// A part is complete.
    pub(super) fn end_part(&mut self, part: usize, text: String) -> Result<(), Fault> {
        match self.parts.get_mut(part) {
            Some(Some(_)) => Err(duplicate(PARTS.get(part).map_or("part", |(_, name)| name))),
            Some(empty) => {
                *empty = Some(text);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A block is complete; `text` is what stood directly in it.
    pub(super) fn end(&mut self, block: Block, text: String) -> Result<(), Fault> {
        match block {
            Block::Client => {
                let client = self.client_id(block)?;
                let fits = (self.object_type == "SUBSYSTEM") == client.subsystem().is_some();
                self.client = Some((client, fits));
            }
            Block::Service => {
                let provider = self.client_id(block)?;
                let code = self.required(block, SERVICE)?;
                let service = ServiceId::new(provider, &code, self.parts[VERSION].as_deref());
                self.service = Some(service.map_err(|error| malformed(block, error))?);
            }
            Block::SecurityServer => {
                let code = self.required(block, SERVER)?;
                let server = SecurityServerId::new(self.member_id(block)?, &code);
                self.security_server = Some(server.map_err(|error| malformed(block, error))?);
            }
            Block::Id => self.id = Some(text),
            Block::UserId => self.user_id = Some(text),
            Block::Issue => self.issue = Some(text),
            Block::RepresentedParty => {
                self.represented_party = Some(RepresentedParty {
                    class: self.parts[PARTY_CLASS].take(),
                    code: self.parts[PARTY_CODE].take(),
                });
            }
            Block::ProtocolVersion => {
                if !text.starts_with("4.") {
                    return Err(Fault::new(
                        code::INVALID_PROTOCOL_VERSION,
                        format!("protocol version is not 4.x but '{}'", super::fault::shown(&text)),
                    ));
                }
                self.protocol_version = Some(text);
            }
            Block::RequestHash => {
                self.request_hash = Some(RequestHash { algorithm: self.algorithm.take(), value: text });
            }
            Block::SecurityToken => {}
        }
        Ok(())
    }

    /// The whole header. What is missing is found in the order of §2.2.
    pub(super) fn finish(self) -> Result<Header, Fault> {
        let missing = |block: Block| {
            Fault::new(code::MISSING_HEADER_FIELD, format!("header block '{}' is missing", block.name()))
        };
        let protocol_version = self.protocol_version.ok_or_else(|| missing(Block::ProtocolVersion))?;
        let (client, client_type_fits) = self.client.ok_or_else(|| missing(Block::Client))?;
        let id = self.id.ok_or_else(|| missing(Block::Id))?;
        let service = self.service.ok_or_else(|| missing(Block::Service))?;
        Ok(Header {
            client,
            client_type_fits,
            service,
            security_server: self.security_server,
            id: id.into(),
            user_id: self.user_id.map(Into::into),
            issue: self.issue.map(Into::into),
            represented_party: self.represented_party,
            protocol_version: protocol_version.into(),
            request_hash: self.request_hash,
        })
    }

    fn required(&mut self, block: Block, part: usize) -> Result<String, Fault> {
        self.parts
            .get_mut(part)
            .and_then(Option::take)
            .ok_or_else(|| malformed(block, IdError::WrongNumberOfParts))
    }

    fn member_id(&mut self, block: Block) -> Result<MemberId, Fault> {
        let (instance, class) = (self.required(block, INSTANCE)?, self.required(block, CLASS)?);
        let code = self.required(block, MEMBER)?;
        MemberId::new(&instance, &class, &code).map_err(|error| malformed(block, error))
    }

    fn client_id(&mut self, block: Block) -> Result<ClientId, Fault> {
        let member = self.member_id(block)?;
        ClientId::new(member, self.parts[SUBSYSTEM].as_deref()).map_err(|error| malformed(block, error))
    }
}

fn duplicate(name: &str) -> Fault {
    Fault::new(code::DUPLICATE_HEADER_FIELD, format!("'{name}' stands twice in the header"))
}

fn malformed(block: Block, error: IdError) -> Fault {
    Fault::new(code::INVALID_XML, format!("malformed identifier in header block '{}': {error}", block.name()))
}
