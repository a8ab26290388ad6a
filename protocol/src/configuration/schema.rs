//! Configuration files read element by element in the order of their schema.
//!
//! The schemas are sequences, so reading and validating are one walk: [`Children`] hands out the
//! children by name, in order and in the right number, and whoever asks for them says what the schema
//! says.

use std::borrow::Cow;
use std::iter::Peekable;
use std::vec::IntoIter;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::id::{ClientId, MemberId};
use crate::xml::{self, Child, Document, Limits};

/// Namespace of the roots.
pub(super) const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
/// Namespace of identifiers.
pub(super) const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What one file of configuration may ask for: a hundred thousand members, and little depth.
const LIMITS: Limits = Limits { octets: 64 << 20, depth: 32, nodes: 8_000_000, attributes: 64 };

/// What does not fit the schema; becomes the text of a [`super::ConfigurationError`].
pub(super) type Misfit = String;

/// Reads a document.
pub(super) fn parse(bytes: &[u8]) -> Result<Document<'_>, Misfit> {
    Document::parse(bytes, &LIMITS).map_err(|error| error.to_string())
}

/// The root, which must have this name.
pub(super) fn root<'d>(document: &'d Document<'d>, space: &str, name: &str) -> Result<Node<'d>, Misfit> {
    let root = document.root();
    if root.is(space, name) { Ok(Node(root)) } else { Err(format!("the root element is not '{name}'")) }
}

/// An element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'d>(xml::Element<'d>);

impl<'d> Node<'d> {
    pub(super) fn name(self) -> &'d str {
        self.0.local_name()
    }

    /// The content of an element that has only text and no attributes.
    pub(super) fn text(self) -> Result<Cow<'d, str>, Misfit> {
        self.allow_attributes(&[])?;
        match self.0.elements().next() {
            Some(child) => Err(format!("element '{}' in '{}'", child.local_name(), self.name())),
            None => Ok(self.0.text()),
        }
    }

    /// The same without white space around it.
    pub(super) fn token(self) -> Result<String, Misfit> {
        Ok(self.text()?.trim().to_owned())
    }

    /// The same, decoded; white space may stand anywhere.
    pub(super) fn base64(self) -> Result<Vec<u8>, Misfit> {
        let text: String = self.text()?.split_ascii_whitespace().collect();
        decode_base64(&text).ok_or_else(|| format!("'{}' is not base64", self.name()))
    }

    pub(super) fn boolean(self) -> Result<bool, Misfit> {
        match self.text()?.trim() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(format!("'{}' is not true or false", self.name())),
        }
    }

    /// A number that is not negative; what is too large for the type counts as its largest value.
    pub(super) fn number(self) -> Result<u64, Misfit> {
        let text = self.token()?;
        let digits = text.strip_prefix('+').unwrap_or(&text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("'{}' is not a number", self.name()));
        }
        Ok(digits.parse().unwrap_or(u64::MAX))
    }

    pub(super) fn attribute(self, space: &str, name: &str) -> Option<&'d str> {
        self.0.attribute_in(space, name)
    }

    fn allow_attributes(self, allowed: &[(&str, &str)]) -> Result<(), Misfit> {
        let mut foreign = self.0.attributes().filter(|attribute| {
            attribute.namespace != SCHEMA_INSTANCE
                && !allowed.contains(&(attribute.namespace, attribute.local))
        });
        match foreign.next() {
            Some(attribute) => Err(format!("attribute '{}' in '{}'", attribute.local, self.name())),
            None => Ok(()),
        }
    }

    /// The children of an element that has nothing else; they have no namespace.
    pub(super) fn children(self) -> Result<Children<'d>, Misfit> {
        self.children_in("", &[])
    }

    /// The children of an element with these attributes at most; they have this namespace.
    pub(super) fn children_in(
        self,
        space: &'static str,
        attributes: &[(&str, &str)],
    ) -> Result<Children<'d>, Misfit> {
        self.allow_attributes(attributes)?;
        let mut elements = Vec::new();
        for child in self.0.children() {
            match child {
                Child::Element(element) => elements.push(element),
                Child::Text(text) if !text.trim().is_empty() => {
                    return Err(format!("text in '{}'", self.name()));
                }
                Child::Text(_) | Child::Comment(_) | Child::Instruction => {}
            }
        }
        Ok(Children { parent: self.name(), space, rest: elements.into_iter().peekable() })
    }

    /// A member or subsystem identifier.
    pub(super) fn client_id(self) -> Result<ClientId, Misfit> {
        let mut parts = self.children_in(IDENTIFIERS, &[(IDENTIFIERS, "objectType")])?;
        let instance = parts.required("xRoadInstance")?.text()?;
        let class = parts.required("memberClass")?.text()?;
        let code = parts.required("memberCode")?.text()?;
        let subsystem = parts.optional("subsystemCode").map(Self::text).transpose()?;
        parts.end()?;
        match (self.attribute(IDENTIFIERS, "objectType"), &subsystem) {
            // The schema does not tie the type to the parts, and X-Road goes by the parts.
            (Some("MEMBER"), _) | (Some("SUBSYSTEM"), Some(_)) => {}
            _ => return Err(format!("'{}' has no fitting object type", self.name())),
        }
        MemberId::new(&instance, &class, &code)
            .and_then(|member| ClientId::new(member, subsystem.as_deref()))
            .map_err(|error| error.to_string())
    }
}

/// The children of an element that were not handed out yet.
#[derive(Debug)]
pub(super) struct Children<'d> {
    parent: &'d str,
    space: &'static str,
    rest: Peekable<IntoIter<xml::Element<'d>>>,
}

impl<'d> Children<'d> {
    /// The next child if it has this name.
    pub(super) fn optional(&mut self, name: &str) -> Option<Node<'d>> {
        let space = self.space;
        self.rest.next_if(|element| element.is(space, name)).map(Node)
    }

    pub(super) fn required(&mut self, name: &str) -> Result<Node<'d>, Misfit> {
        self.optional(name).ok_or_else(|| format!("'{name}' is missing in '{}'", self.parent))
    }

    /// All next children of this name.
    pub(super) fn many(&mut self, name: &str) -> impl Iterator<Item = Node<'d>> {
        std::iter::from_fn(move || self.optional(name))
    }

    /// Says that nothing may follow.
    pub(super) fn end(mut self) -> Result<(), Misfit> {
        match self.rest.next() {
            Some(child) => {
                Err(format!("element '{}' may not stand here in '{}'", child.local_name(), self.parent))
            }
            None => Ok(()),
        }
    }
}

/// Decodes base64 with or without padding.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    ENGINE.decode(text).ok()
}

/// The DER of a certificate that was published as DER or as PEM text (§6.4). What is neither comes
/// back as it is: whoever needs the certificate will refuse it.
pub(super) fn certificate_der(bytes: Vec<u8>) -> Vec<u8> {
    let inner = std::str::from_utf8(&bytes).ok().and_then(|text| {
        let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
        let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
        decode_base64(&body.split_ascii_whitespace().collect::<String>())
    });
    inner.unwrap_or(bytes)
}
