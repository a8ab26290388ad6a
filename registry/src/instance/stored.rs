//! How values without a form of their own stand in a record: identifiers percent-encoded, bytes in
//! base64, times in milliseconds.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

macro_rules! as_text {
    ($module:ident, $type:ty, $write:expr, $read:expr) => {
        pub(crate) mod $module {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(value: &$type, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&($write)(value))
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                let text = String::deserialize(from)?;
                ($read)(text.as_str()).map_err(D::Error::custom)
            }
        }
    };
}

macro_rules! as_optional_text {
    ($module:ident, $type:ty, $write:expr, $read:expr) => {
        pub(crate) mod $module {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(value: &Option<$type>, to: S) -> Result<S::Ok, S::Error> {
                match value {
                    Some(value) => to.serialize_some(&($write)(value)),
                    None => to.serialize_none(),
                }
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<$type>, D::Error> {
                let text = Option::<String>::deserialize(from)?;
                text.map(|text| ($read)(text.as_str())).transpose().map_err(D::Error::custom)
            }
        }
    };
}

use ::bytes::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::configuration::{CostType, CsrFormat, NodeClass};
use protocol::id::{ClientId, IdError, MemberId, SecurityServerId};
use protocol::time::UtcTime;

pub(crate) fn read_member(text: &str) -> Result<MemberId, IdError> {
    let client = ClientId::parse_encoded(text)?;
    match client.subsystem() {
        None => Ok(client.member().clone()),
        Some(_) => Err(IdError::WrongNumberOfParts),
    }
}

pub(crate) fn write_member(id: &MemberId) -> String {
    ClientId::from(id.clone()).encoded()
}

pub(crate) fn read_cost(text: &str) -> Result<CostType, String> {
    match text {
        "FREE" => Ok(CostType::Free),
        "PAID" => Ok(CostType::Paid),
        "UNDEFINED" => Ok(CostType::Undefined),
        _ => Err(format!("{text} is no cost type")),
    }
}

pub(crate) fn write_cost(cost: &CostType) -> String {
    let name = match cost {
        CostType::Free => "FREE",
        CostType::Paid => "PAID",
        CostType::Undefined => "UNDEFINED",
    };
    name.to_owned()
}

fn read_format(text: &str) -> Result<CsrFormat, String> {
    match text {
        "PEM" => Ok(CsrFormat::Pem),
        "DER" => Ok(CsrFormat::Der),
        _ => Err(format!("{text} is no form of requests")),
    }
}

fn write_format(format: &CsrFormat) -> String {
    let name = match format {
        CsrFormat::Pem => "PEM",
        CsrFormat::Der => "DER",
    };
    name.to_owned()
}

fn read_class(text: &str) -> Result<NodeClass, String> {
    NodeClass::from_name(text).ok_or_else(|| format!("{text} is no node class"))
}

fn read_bytes(text: &str) -> Result<Bytes, base64::DecodeError> {
    STANDARD.decode(text).map(Bytes::from)
}

as_text!(member, MemberId, write_member, read_member);
as_text!(client, ClientId, ClientId::encoded, ClientId::parse_encoded);
as_text!(server, SecurityServerId, SecurityServerId::encoded, SecurityServerId::parse_encoded);
as_text!(bytes, Bytes, |bytes: &Bytes| STANDARD.encode(bytes), read_bytes);
as_text!(cost, CostType, write_cost, read_cost);
as_optional_text!(optional_client, ClientId, ClientId::encoded, ClientId::parse_encoded);
as_optional_text!(optional_bytes, Bytes, |bytes: &Bytes| STANDARD.encode(bytes), read_bytes);
as_optional_text!(optional_format, CsrFormat, write_format, read_format);
as_optional_text!(optional_class, NodeClass, |class: &NodeClass| class.name().to_owned(), read_class);

pub(crate) mod time {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &UtcTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(time.millis())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<UtcTime, D::Error> {
        i64::deserialize(from).map(UtcTime::from_millis)
    }
}
