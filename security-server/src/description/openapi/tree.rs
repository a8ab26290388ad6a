//! JSON and YAML as one kind of tree, in which no key is there twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::Format;
use crate::description::wsdl::LARGEST;

/// Maps and lists inside one another.
const DEPTH: usize = 100;
const NODES: usize = 250_000;

/// Reads a document; the error is the reason.
pub(super) fn read(octets: &[u8], format: Format) -> Result<Value, String> {
    if octets.len() > LARGEST {
        return Err("it is too large".to_owned());
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let text = std::str::from_utf8(octets).map_err(|_| "it is not UTF-8".to_owned())?;
    let value = match format {
        Format::Json => {
            let mut reader = serde_json::Deserializer::from_str(text);
            let mut nodes = NODES;
            let value = Tree { depth: DEPTH, nodes: &mut nodes }.deserialize(&mut reader);
            value.and_then(|value| reader.end().map(|()| value)).map_err(|error| error.to_string())?
        }
        Format::Yaml => yaml(text)?,
    };
    if value.is_object() { Ok(value) } else { Err("it is not a map".to_owned()) }
}

fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH,
            max_nodes: NODES,
            max_documents: 1,
            max_anchors: 1000,
            max_aliases: 10_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: NODES },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    let mut nodes = NODES;
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| {
        Tree { depth: DEPTH, nodes: &mut nodes }.deserialize(reader)
    })
    .map_err(|error| error.to_string())
}

/// Builds a [`Value`], counting nodes, and refuses a key that is there twice: two readers could
/// otherwise see two documents.
struct Tree<'n> {
    depth: usize,
    nodes: &'n mut usize,
}

impl Tree<'_> {
    fn inner<E: Error>(&mut self) -> Result<Tree<'_>, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("it is too deep"))?;
        Ok(Tree { depth, nodes: self.nodes })
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        *self.nodes = self.nodes.checked_sub(1).ok_or_else(|| D::Error::custom("it has too many parts"))?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(value.to_string().into())
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(value.to_string().into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(String::from_utf8_lossy(value).into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut parts: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(part) = parts.next_element_seed(self.inner()?)? {
            list.push(part);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut parts: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = parts.next_key::<String>()? {
            let value = parts.next_value_seed(self.inner()?)?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key '{key}' is there twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
