//! Reading chain documents against their schema (§2.1).

use crate::digest::{Digest, DigestAlgorithm};
use crate::fault::{Fault, code};
use crate::xml::{Canonicalization, Child, Document, Element, Limits, XMLDSIG_NAMESPACE, decode_base64};

use super::{NAMESPACE, plain};

/// Bounds of one chain document: far above a batch of a million messages with a thousand parts.
const LIMITS: Limits = Limits { octets: 1 << 20, depth: 8, nodes: 20_000, attributes: 16 };

/// A chain result: where its chain starts, and what the chain must come to.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct ChainResult {
    pub(super) uri: String,
    pub(super) digest: Digest,
}

/// A chain document.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Chain {
    pub(super) default_method: DigestAlgorithm,
    pub(super) steps: Vec<Step>,
}

/// A step: some values under a name.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Step {
    pub(super) id: String,
    pub(super) values: Vec<Value>,
}

/// One value of a step.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Value {
    pub(super) kind: ValueKind,
    /// Its own digest method, else the one of the document.
    pub(super) method: DigestAlgorithm,
}

#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum ValueKind {
    /// A digest.
    Hash(Digest),
    /// Another step.
    Step(String),
    /// A part, with the digest that the chain claims for it.
    Data { uri: String, transforms: Vec<Canonicalization>, digest: Digest },
}

fn malformed(reason: &str) -> Fault {
    Fault::new(code::MALFORMED_HASH_CHAIN, reason)
}

impl ChainResult {
    pub(super) fn parse(octets: &[u8]) -> Result<Self, Fault> {
        plain::chain_result(octets).map_or_else(|| Self::parse_any(octets), Ok)
    }

    /// Reads any XML of this meaning.
    pub(super) fn parse_any(octets: &[u8]) -> Result<Self, Fault> {
        let document = parse(octets)?;
        let root = document.root();
        if !root.is(NAMESPACE, "HashChainResult") {
            return Err(malformed("the document is not a hash chain result"));
        }
        let [uri] = attributes(&root, ["URI"])?;
        let mut content = Content::of(&root)?;
        let method = content.take(XMLDSIG_NAMESPACE, "DigestMethod");
        let value = content.need(XMLDSIG_NAMESPACE, "DigestValue")?;
        content.end()?;
        let method = method.ok_or_else(|| malformed("the hash chain result names no digest method"))?;
        Ok(Self { uri: required(uri)?, digest: digest(digest_method(&method)?, &value)? })
    }
}

impl Chain {
    pub(super) fn parse(octets: &[u8]) -> Result<Self, Fault> {
        plain::chain(octets).map_or_else(|| Self::parse_any(octets), Ok)
    }

    /// Reads any XML of this meaning.
    pub(super) fn parse_any(octets: &[u8]) -> Result<Self, Fault> {
        let document = parse(octets)?;
        let root = document.root();
        if !root.is(NAMESPACE, "HashChain") {
            return Err(malformed("the document is not a hash chain"));
        }
        attributes(&root, [])?;
        let mut content = Content::of(&root)?;
        // The schema makes it optional; without it the digest of a step would hang on a guess.
        let default = content.need(NAMESPACE, "DefaultDigestMethod")?;
        let default_method = digest_method(&default)?;
        let mut steps: Vec<Step> = Vec::new();
        while let Some(element) = content.take(NAMESPACE, "HashStep") {
            let [id] = attributes(&element, ["id"])?;
            let id = id.unwrap_or_default().to_owned();
            if !id.is_empty() && steps.iter().any(|step| step.id == id) {
                return Err(malformed("two hash steps have one id"));
            }
            let values = Content::of(&element)?.rest().map(|value| Value::read(&value, default_method));
            steps.push(Step { id, values: values.collect::<Result<_, _>>()? });
        }
        content.end()?;
        Ok(Self { default_method, steps })
    }
}

impl Value {
    fn read(element: &Element<'_>, default_method: DigestAlgorithm) -> Result<Self, Fault> {
        if element.namespace() != NAMESPACE {
            return Err(malformed("a hash step holds a foreign element"));
        }
        let mut content = Content::of(element)?;
        let method = match content.take(XMLDSIG_NAMESPACE, "DigestMethod") {
            Some(method) => digest_method(&method)?,
            None => default_method,
        };
        let kind = match element.local_name() {
            "HashValue" => {
                attributes(element, [])?;
                read_transforms(&mut content)?;
                ValueKind::Hash(digest(method, &content.need(XMLDSIG_NAMESPACE, "DigestValue")?)?)
            }
            "StepRef" => {
                let [uri] = attributes(element, ["URI"])?;
                ValueKind::Step(required(uri)?)
            }
            "DataRef" => {
                let [uri] = attributes(element, ["URI"])?;
                let transforms = read_transforms(&mut content)?;
                let value = content.need(XMLDSIG_NAMESPACE, "DigestValue")?;
                ValueKind::Data { uri: required(uri)?, transforms, digest: digest(method, &value)? }
            }
            _ => return Err(malformed("a hash step holds an unknown element")),
        };
        content.end()?;
        Ok(Self { kind, method })
    }
}

fn parse(octets: &[u8]) -> Result<Document<'_>, Fault> {
    Document::parse(octets, &LIMITS).map_err(|error| malformed(&error.to_string()))
}

fn required(attribute: Option<&str>) -> Result<String, Fault> {
    attribute.map(str::to_owned).ok_or_else(|| malformed("an attribute is missing"))
}

/// The values of the attributes that an element may have; any other is refused, those about the
/// schema itself excepted.
fn attributes<'d, const N: usize>(
    element: &Element<'d>,
    names: [&str; N],
) -> Result<[Option<&'d str>; N], Fault> {
    let is_known = |attribute: crate::xml::Attribute<'_>| {
        attribute.namespace == "http://www.w3.org/2001/XMLSchema-instance"
            || attribute.namespace.is_empty() && names.contains(&attribute.local)
    };
    if !element.attributes().all(is_known) {
        return Err(malformed("an element has an unknown attribute"));
    }
    Ok(names.map(|name| element.attribute(name)))
}

fn digest_method(element: &Element<'_>) -> Result<DigestAlgorithm, Fault> {
    element
        .attribute("Algorithm")
        .and_then(DigestAlgorithm::from_uri)
        .ok_or_else(|| malformed("unknown digest method"))
}

fn digest(method: DigestAlgorithm, value: &Element<'_>) -> Result<Digest, Fault> {
    decode_base64(&value.text())
        .and_then(|octets| Digest::new(method, &octets))
        .ok_or_else(|| malformed("a digest value is not a digest"))
}

fn read_transforms(content: &mut Content<'_>) -> Result<Vec<Canonicalization>, Fault> {
    let Some(element) = content.take(XMLDSIG_NAMESPACE, "Transforms") else { return Ok(Vec::new()) };
    let read = |transform: Element<'_>| {
        let is_transform = transform.is(XMLDSIG_NAMESPACE, "Transform");
        Canonicalization::from_element(&transform)
            .filter(|_| is_transform)
            .ok_or_else(|| malformed("unknown transform"))
    };
    element.elements().map(read).collect()
}

/// Child elements in order; between them only white space and comments.
struct Content<'d> {
    elements: std::iter::Peekable<std::vec::IntoIter<Element<'d>>>,
}

impl<'d> Content<'d> {
    fn of(element: &Element<'d>) -> Result<Self, Fault> {
        let mut elements = Vec::new();
        for child in element.children() {
            match child {
                Child::Element(child) => elements.push(child),
                Child::Text(text) if !text.trim().is_empty() => {
                    return Err(malformed("text stands among elements"));
                }
                Child::Text(_) | Child::Comment(_) | Child::Instruction => {}
            }
        }
        Ok(Self { elements: elements.into_iter().peekable() })
    }

    fn take(&mut self, namespace: &str, local: &str) -> Option<Element<'d>> {
        self.elements.next_if(|element| element.is(namespace, local))
    }

    fn need(&mut self, namespace: &str, local: &str) -> Result<Element<'d>, Fault> {
        self.take(namespace, local).ok_or_else(|| malformed(&format!("{local} is missing")))
    }

    fn rest(self) -> impl Iterator<Item = Element<'d>> {
        self.elements
    }

    fn end(mut self) -> Result<(), Fault> {
        match self.elements.next() {
            None => Ok(()),
            Some(_) => Err(malformed("an element stands where none may")),
        }
    }
}
