//! What a record says of its message: parties, ids, how the body is kept.

use gateway::ports::{Direction, Side};
use protocol::id::{ClientId, MemberId, ServiceId};

use super::format::Fields;

/// The length that stands for an absent text; the longest text is one octet shorter.
pub(super) const ABSENT: u16 = u16::MAX;
const DETAILS_VERSION: u8 = 1;
/// Of records with several attachments; the others stay as they were.
const WITH_ATTACHMENTS: u8 = 2;
const FLAG_REDUCED: u8 = 1;
const FLAG_RESULT: u8 = 2;
const FLAG_CHAIN: u8 = 4;
const FLAG_TRUNCATED: u8 = 8;

/// How a record keeps the body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyForm {
    /// The message had none.
    None = 0,
    /// In the record.
    Inline = 1,
    /// In a file of its own.
    OwnFile = 2,
    /// Only length and SHA-512.
    DigestOnly = 3,
    /// Left out by the body switches.
    SwitchedOff = 4,
}

impl BodyForm {
    fn from_number(number: u8) -> Option<Self> {
        [Self::None, Self::Inline, Self::OwnFile, Self::DigestOnly, Self::SwitchedOff]
            .into_iter()
            .find(|form| *form as u8 == number)
    }
}

/// One attachment of a message that had several.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AttachmentDetails {
    /// Octets as sent.
    pub length: u64,
    /// Octets that are kept, from the first: all of them, those up to the limit, or none.
    pub kept: u64,
    /// SHA-512, when only that is kept.
    pub digest: Option<[u8; 64]>,
}

/// What is known of a message without opening its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Details {
    /// The node's part.
    pub side: Side,
    /// Request or response.
    pub direction: Direction,
    /// The calling client.
    pub client: ClientId,
    /// The called service.
    pub service: ServiceId,
    /// `x-road-id`.
    pub message_id: String,
    /// `x-road-request-id`.
    pub request_id: String,
    /// How the body is kept; of several attachments, what is kept of them, one after the other.
    pub body: BodyForm,
    /// Length of the body, or of all attachments, as sent.
    pub body_length: u64,
    /// SHA-512 of the body, when only that is kept.
    pub body_digest: Option<[u8; 64]>,
    /// Each attachment, if there were several; empty otherwise.
    pub attachments: Vec<AttachmentDetails>,
    /// The body kept is only the first part of what was sent; of several, this holds for one.
    pub truncated: bool,
    /// The message was reduced to its protocol headers by the body switches.
    pub reduced: bool,
    /// The signature is over a hash chain result.
    pub has_result: bool,
    /// The message has a hash chain.
    pub has_chain: bool,
}

impl Details {
    /// Whose record it is: the client on the consumer's side, else the service's provider.
    pub fn owner(&self) -> &ClientId {
        match self.side {
            Side::Consumer => &self.client,
            Side::Provider => self.service.provider(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let flag = |set, flag| if set { flag } else { 0 };
        let flags = flag(self.reduced, FLAG_REDUCED)
            | flag(self.has_result, FLAG_RESULT)
            | flag(self.has_chain, FLAG_CHAIN)
            | flag(self.truncated, FLAG_TRUNCATED);
        let mut to = Vec::with_capacity(256);
        to.push(if self.attachments.is_empty() { DETAILS_VERSION } else { WITH_ATTACHMENTS });
        to.push(match self.side {
            Side::Consumer => 0,
            Side::Provider => 1,
        });
        to.push(match self.direction {
            Direction::Request => 0,
            Direction::Response => 1,
        });
        to.push(self.body as u8);
        to.push(flags);
        to.extend_from_slice(&self.body_length.to_le_bytes());
        put_digest(&mut to, self.body_digest.as_ref());
        put_client(&mut to, &self.client);
        put_service(&mut to, &self.service);
        put_text(&mut to, Some(&self.message_id));
        put_text(&mut to, Some(&self.request_id));
        if !self.attachments.is_empty() {
            to.extend_from_slice(&u32::try_from(self.attachments.len()).unwrap_or(u32::MAX).to_le_bytes());
            for attachment in &self.attachments {
                to.extend_from_slice(&attachment.length.to_le_bytes());
                to.extend_from_slice(&attachment.kept.to_le_bytes());
                put_digest(&mut to, attachment.digest.as_ref());
            }
        }
        to
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let version = fields.u8()?;
        if version != DETAILS_VERSION && version != WITH_ATTACHMENTS {
            return None;
        }
        let side = match fields.u8()? {
            0 => Side::Consumer,
            1 => Side::Provider,
            _ => return None,
        };
        let direction = match fields.u8()? {
            0 => Direction::Request,
            1 => Direction::Response,
            _ => return None,
        };
        let body = BodyForm::from_number(fields.u8()?)?;
        let flags = fields.u8()?;
        let body_length = fields.u64()?;
        let body_digest = optional_digest(&mut fields)?;
        let client = client(&mut fields)?;
        let service = service(&mut fields)?;
        let message_id = text(&mut fields)??.to_owned();
        let request_id = text(&mut fields)??.to_owned();
        let mut attachments = Vec::new();
        if version == WITH_ATTACHMENTS {
            for _ in 0..fields.u32()? {
                attachments.push(AttachmentDetails {
                    length: fields.u64()?,
                    kept: fields.u64()?,
                    digest: optional_digest(&mut fields)?,
                });
            }
        }
        fields.0.is_empty().then_some(Self {
            side,
            direction,
            client,
            service,
            message_id,
            request_id,
            body,
            body_length,
            body_digest,
            attachments,
            truncated: flags & FLAG_TRUNCATED != 0,
            reduced: flags & FLAG_REDUCED != 0,
            has_result: flags & FLAG_RESULT != 0,
            has_chain: flags & FLAG_CHAIN != 0,
        })
    }
}

fn put_digest(to: &mut Vec<u8>, digest: Option<&[u8; 64]>) {
    let digest = digest.map_or(&[][..], |digest| digest);
    to.push(digest.len() as u8);
    to.extend_from_slice(digest);
}

/// Outer `None`: malformed. Inner `None`: absent.
fn optional_digest(fields: &mut Fields<'_>) -> Option<Option<[u8; 64]>> {
    match fields.u8()? {
        0 => Some(None),
        64 => fields.array().map(Some),
        _ => None,
    }
}

fn put_text(to: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => to.extend_from_slice(&ABSENT.to_le_bytes()),
        Some(text) => {
            // Identifiers come from message heads and are far shorter; `Prepared::new` checks.
            to.extend_from_slice(&(text.len() as u16).to_le_bytes());
            to.extend_from_slice(text.as_bytes());
        }
    }
}

/// Outer `None`: malformed. Inner `None`: absent.
fn text<'a>(fields: &mut Fields<'a>) -> Option<Option<&'a str>> {
    match fields.u16()? {
        ABSENT => Some(None),
        length => Some(Some(str::from_utf8(fields.take(usize::from(length))?).ok()?)),
    }
}

fn put_client(to: &mut Vec<u8>, client: &ClientId) {
    let member = client.member();
    for part in [member.instance(), member.class(), member.code()] {
        put_text(to, Some(part));
    }
    put_text(to, client.subsystem());
}

fn client(fields: &mut Fields<'_>) -> Option<ClientId> {
    let member = MemberId::new(text(fields)??, text(fields)??, text(fields)??).ok()?;
    ClientId::new(member, text(fields)?).ok()
}

fn put_service(to: &mut Vec<u8>, service: &ServiceId) {
    put_client(to, service.provider());
    put_text(to, Some(service.code()));
    put_text(to, service.version());
}

fn service(fields: &mut Fields<'_>) -> Option<ServiceId> {
    let provider = client(fields)?;
    ServiceId::new(provider, text(fields)??, text(fields)?).ok()
}

/// A client as it stands in records and among the names of an index.
pub(super) fn client_name(id: &ClientId) -> Vec<u8> {
    let mut name = Vec::with_capacity(64);
    put_client(&mut name, id);
    name
}

/// A service as it stands in records and among the names of an index.
pub(super) fn service_name(id: &ServiceId) -> Vec<u8> {
    let mut name = Vec::with_capacity(80);
    put_service(&mut name, id);
    name
}

/// The service of a name in an index.
pub(super) fn service_of_name(name: &[u8]) -> Option<ServiceId> {
    let mut fields = Fields(name);
    service(&mut fields).filter(|_| fields.0.is_empty())
}

/// The flags of an index entry: 1 provider's side, 2 response.
pub(super) fn index_flags(details: &Details) -> u8 {
    u8::from(details.side == Side::Provider) | (u8::from(details.direction == Direction::Response) << 1)
}
