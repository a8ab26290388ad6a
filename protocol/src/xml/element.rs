//! Looking at the tree.

use std::borrow::Cow;
use std::ops::Range;

use super::{Canonicalization, Content, Document, ElementData, canonical};

/// An element of a [`Document`].
#[derive(Clone, Copy, Debug)]
pub struct Element<'d> {
    document: &'d Document<'d>,
    index: usize,
}

/// An attribute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attribute<'d> {
    /// URI of its namespace; empty for an attribute without a prefix.
    pub namespace: &'d str,
    /// Name without the prefix.
    pub local: &'d str,
    /// Its value, normalized.
    pub value: &'d str,
}

/// A child of an element.
#[derive(Clone, Copy, Debug)]
pub enum Child<'d> {
    /// An element.
    Element(Element<'d>),
    /// Text, CDATA sections and references together.
    Text(&'d str),
    /// A comment.
    Comment(&'d str),
    /// A processing instruction.
    Instruction,
}

impl<'d> Element<'d> {
    pub(super) fn new(document: &'d Document<'d>, index: usize) -> Self {
        Self { document, index }
    }

    fn data(&self) -> Option<&'d ElementData<'d>> {
        self.document.element_data(self.index)
    }

    /// URI of the namespace; empty without one.
    pub fn namespace(&self) -> &'d str {
        self.data().map_or("", |data| self.document.uri(data.namespace))
    }

    /// Name without the prefix.
    pub fn local_name(&self) -> &'d str {
        self.data().map_or("", |data| data.local)
    }

    /// The prefix as written; empty without one.
    pub fn prefix(&self) -> &'d str {
        self.data().map_or("", |data| data.prefix)
    }

    /// Whether it has this expanded name.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local_name() == local && self.namespace() == namespace
    }

    /// The value of an attribute without a namespace.
    pub fn attribute(&self, local: &str) -> Option<&'d str> {
        self.attribute_in("", local)
    }

    /// The value of an attribute of a namespace.
    pub fn attribute_in(&self, namespace: &str, local: &str) -> Option<&'d str> {
        self.attributes()
            .find(|attribute| attribute.local == local && attribute.namespace == namespace)
            .map(|attribute| attribute.value)
    }

    /// All attributes, without namespace declarations, as written.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'d>> + use<'d> {
        let document = self.document;
        let attributes = self.data().map(|data| document.attributes_of(data)).unwrap_or_default();
        attributes.iter().map(move |attribute| Attribute {
            namespace: document.uri(attribute.namespace),
            local: attribute.local,
            value: &attribute.value,
        })
    }

    /// URI that a prefix stands for at this element, as in the value of `xsi:type`.
    pub fn resolve_prefix(&self, prefix: &str) -> Option<&'d str> {
        let mut at = Some(*self);
        while let Some(element) = at {
            let declarations = element.data().map(|data| self.document.declarations_of(data));
            let found = declarations.unwrap_or_default().iter().find(|found| found.prefix == prefix);
            if let Some(found) = found {
                return Some(&found.uri);
            }
            at = element.parent();
        }
        (prefix == "xml").then_some(super::XML_NAMESPACE)
    }

    /// The enclosing element.
    pub fn parent(&self) -> Option<Self> {
        let parent = self.document.node(self.index)?.parent?;
        Some(Self::new(self.document, parent))
    }

    /// All children in order.
    pub fn children(&self) -> Children<'d> {
        let end = self.data().map_or(0, |data| data.end);
        Children { document: self.document, next: self.index.saturating_add(1), end }
    }

    /// Child elements in order.
    pub fn elements(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        self.children().filter_map(|child| match child {
            Child::Element(element) => Some(element),
            _ => None,
        })
    }

    /// The first child element of this name.
    pub fn child(&self, namespace: &str, local: &str) -> Option<Self> {
        self.elements().find(|element| element.is(namespace, local))
    }

    /// This element and everything below it, in document order.
    pub fn descendants(&self) -> Descendants<'d> {
        let end = self.data().map_or(0, |data| data.end);
        Descendants { document: self.document, next: self.index, end }
    }

    /// The text that stands directly inside; comments and instructions are passed over.
    pub fn text(&self) -> Cow<'d, str> {
        let mut text = Cow::Borrowed("");
        for child in self.children() {
            match child {
                Child::Text(more) if text.is_empty() => text = Cow::Borrowed(more),
                Child::Text(more) => text.to_mut().push_str(more),
                _ => {}
            }
        }
        text
    }

    /// Octets of the start tag within the document.
    pub fn tag(&self) -> Range<usize> {
        self.data().map_or(0..0, |data| data.tag.clone())
    }

    /// The canonical form of the subtree, as a node set of its document: declarations in force around
    /// it count.
    pub fn canonicalize(&self, canonicalization: &Canonicalization) -> Vec<u8> {
        canonical::subtree(self.document, self.index, canonicalization)
    }
}

impl PartialEq for Element<'_> {
    /// Whether both are the same place of the same document.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.document, other.document) && self.index == other.index
    }
}

/// Children of an element.
#[derive(Clone, Debug)]
pub struct Children<'d> {
    document: &'d Document<'d>,
    next: usize,
    end: usize,
}

impl<'d> Iterator for Children<'d> {
    type Item = Child<'d>;

    fn next(&mut self) -> Option<Child<'d>> {
        if self.next >= self.end {
            return None;
        }
        let index = self.next;
        self.next = index.saturating_add(1);
        Some(match &self.document.node(index)?.content {
            Content::Element(data) => {
                self.next = data.end.max(self.next);
                Child::Element(Element::new(self.document, index))
            }
            Content::Text(text) => Child::Text(text),
            Content::Comment(text) => Child::Comment(text),
            Content::Instruction { .. } => Child::Instruction,
        })
    }
}

/// An element and the elements below it.
#[derive(Clone, Debug)]
pub struct Descendants<'d> {
    document: &'d Document<'d>,
    next: usize,
    end: usize,
}

impl<'d> Iterator for Descendants<'d> {
    type Item = Element<'d>;

    fn next(&mut self) -> Option<Element<'d>> {
        while self.next < self.end {
            let index = self.next;
            self.next = index.saturating_add(1);
            if self.document.element_data(index).is_some() {
                return Some(Element::new(self.document, index));
            }
        }
        None
    }
}
