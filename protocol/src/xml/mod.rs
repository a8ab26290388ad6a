//! XML of the protocols: a bounded, namespace-aware tree, and canonical XML.
//!
//! The tree keeps what canonical XML needs: prefixes, declarations, comments and instructions. A
//! document with a DOCTYPE is refused, so there are no entities but the predefined ones and character
//! references. Only UTF-8 is read.
//!
//! quick-xml finds the tokens; names, characters, attributes, nesting and namespaces are checked here,
//! since a verifier must not accept what another parser reads differently.

mod canonical;
mod element;
mod lexical;
mod parse;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

pub use canonical::{Canonicalization, CanonicalizationMethod};
pub use element::{Attribute, Child, Children, Descendants, Element};
pub use lexical::decode_base64;
pub(crate) use lexical::next_attribute;
pub(crate) use scan::{Scanner, Tag, Token};

/// Namespace of the prefix `xml`.
pub const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// Namespace of XML signatures.
pub const XMLDSIG_NAMESPACE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Namespace of XAdES 1.3.2.
pub const XADES_NAMESPACE: &str = "http://uri.etsi.org/01903/v1.3.2#";

/// How much a document may ask for. What exceeds a limit is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of the document.
    pub octets: usize,
    /// Elements inside each other.
    pub depth: usize,
    /// Elements, texts, comments and instructions together.
    pub nodes: usize,
    /// Attributes and declarations of one element, and declarations in force at one place.
    pub attributes: usize,
}

impl Default for Limits {
    /// For documents that stand in memory anyway: 16 MiB, 64 levels, 1 000 000 nodes.
    fn default() -> Self {
        Self { octets: 16 << 20, depth: 64, nodes: 1_000_000, attributes: 256 }
    }
}

/// Why octets are not a document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum XmlError {
    /// The octets are not UTF-8, or the declaration names another encoding.
    #[error("the document is not UTF-8")]
    Encoding,
    /// A DOCTYPE; it is refused because entities can make a small document large or another.
    #[error("the document has a DOCTYPE")]
    Doctype,
    /// A limit of [`Limits`].
    #[error("the document has too many {0}")]
    Limit(&'static str),
    /// Not well-formed, or its namespaces are not.
    #[error("not well-formed near octet {offset}: {reason}")]
    Malformed {
        /// Octets before the place.
        offset: usize,
        /// The rule.
        reason: &'static str,
    },
}

/// A parsed document. Nodes stand in document order; a subtree is a range of them.
#[derive(Debug)]
pub struct Document<'a> {
    nodes: Vec<Node<'a>>,
    attributes: Vec<AttributeData<'a>>,
    declarations: Vec<Declaration<'a>>,
    root: usize,
}

impl<'a> Document<'a> {
    /// Reads a document.
    ///
    /// # Errors
    /// See [`XmlError`].
    pub fn parse(octets: &'a [u8], limits: &Limits) -> Result<Self, XmlError> {
        parse::parse(octets, limits)
    }

    /// The outermost element.
    pub fn root(&self) -> Element<'_> {
        Element::new(self, self.root)
    }

    /// The canonical form of the whole document.
    pub fn canonicalize(&self, canonicalization: &Canonicalization) -> Vec<u8> {
        canonical::document(self, canonicalization)
    }

    /// The first element whose attribute `Id` has this value.
    pub fn element_with_id(&self, id: &str) -> Option<Element<'_>> {
        self.root().descendants().find(|element| element.attribute("Id") == Some(id))
    }

    fn node(&self, index: usize) -> Option<&Node<'a>> {
        self.nodes.get(index)
    }
}

#[derive(Debug)]
struct Node<'a> {
    /// Index of the enclosing element; none for the root and what stands beside it.
    parent: Option<usize>,
    content: Content<'a>,
}

#[derive(Debug)]
enum Content<'a> {
    Element(ElementData<'a>),
    Text(Cow<'a, str>),
    Comment(Cow<'a, str>),
    Instruction { target: &'a str, data: Cow<'a, str> },
}

#[derive(Debug)]
struct ElementData<'a> {
    prefix: &'a str,
    local: &'a str,
    namespace: Namespace,
    attributes: Range<usize>,
    declarations: Range<usize>,
    /// Index of the node after the last descendant.
    end: usize,
    /// Octets of the start tag.
    tag: Range<usize>,
}

/// Where the URI of a namespace stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Namespace {
    None,
    Xml,
    Declared(usize),
}

#[derive(Debug)]
struct AttributeData<'a> {
    prefix: &'a str,
    local: &'a str,
    namespace: Namespace,
    value: Cow<'a, str>,
}

#[derive(Debug)]
struct Declaration<'a> {
    /// Empty for the default namespace.
    prefix: &'a str,
    /// Empty when the default namespace is taken away.
    uri: Cow<'a, str>,
}

impl<'a> Document<'a> {
    fn uri(&self, namespace: Namespace) -> &str {
        match namespace {
            Namespace::None => "",
            Namespace::Xml => XML_NAMESPACE,
            Namespace::Declared(index) => self.declarations.get(index).map_or("", |found| &found.uri),
        }
    }

    fn element_data(&self, index: usize) -> Option<&ElementData<'a>> {
        match &self.nodes.get(index)?.content {
            Content::Element(data) => Some(data),
            _ => None,
        }
    }

    fn attributes_of(&self, data: &ElementData<'_>) -> &[AttributeData<'a>] {
        self.attributes.get(data.attributes.clone()).unwrap_or_default()
    }

    fn declarations_of(&self, data: &ElementData<'_>) -> &[Declaration<'a>] {
        self.declarations.get(data.declarations.clone()).unwrap_or_default()
    }
}
