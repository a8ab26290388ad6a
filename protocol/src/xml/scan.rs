//! Walking through a document from tag to tag, with the checks of the tree but without the tree.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::lexical::{
    attribute_value, is_name, is_space, is_text, next_attribute, normalize_lines, reference, split_name,
};
use super::{Limits, XML_NAMESPACE, XmlError};

const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// What comes next in the document.
#[derive(Debug)]
pub(crate) enum Token<'a> {
    /// A start tag, or an empty element, whose end follows as a token of its own.
    Start(Tag<'a>),
    /// The end of the innermost open element, and the position behind its tag.
    End(usize),
    /// Text of the innermost open element, or a part of it. CDATA sections are resolved, and references
    /// come as text of their own.
    Text(Cow<'a, str>),
}

/// A start tag.
#[derive(Clone, Debug)]
pub(crate) struct Tag<'a> {
    /// The prefix; empty without one.
    pub(crate) prefix: &'a str,
    /// The name without its prefix.
    pub(crate) local: &'a str,
    /// Octets of the tag within the text.
    pub(crate) octets: Range<usize>,
}

#[derive(Debug)]
struct Attribute<'a> {
    prefix: &'a str,
    local: &'a str,
    value: Cow<'a, str>,
}

#[derive(Debug)]
struct Declaration<'a> {
    prefix: &'a str,
    uri: Cow<'a, str>,
}

/// Reads a text that is known to hold XML in its own encoding: the encoding that the declaration names is
/// the caller's business.
///
/// What it lets pass is well-formed XML 1.0 with well-formed namespaces and without a DOCTYPE.
pub(crate) struct Scanner<'a, 'l> {
    text: &'a str,
    limits: &'l Limits,
    reader: Reader<&'a [u8]>,
    /// For each open element, how many declarations were in force around it.
    open: Vec<usize>,
    in_force: Vec<Declaration<'a>>,
    /// Of the last start tag.
    attributes: Vec<Attribute<'a>>,
    has_root: bool,
    /// An empty element was just given out, and its end comes next.
    ends: bool,
    /// Elements and texts so far.
    nodes: usize,
    offset: usize,
}

impl<'a, 'l> Scanner<'a, 'l> {
    /// # Errors
    /// A limit, or a character that XML does not know.
    pub(crate) fn new(text: &'a str, limits: &'l Limits) -> Result<Self, XmlError> {
        if text.len() > limits.octets {
            return Err(XmlError::Limit("octets"));
        }
        if !is_text(text) {
            return Err(XmlError::Malformed { offset: 0, reason: "character" });
        }
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        Ok(Self {
            text,
            limits,
            reader,
            open: Vec::with_capacity(16),
            in_force: Vec::with_capacity(8),
            attributes: Vec::with_capacity(8),
            has_root: false,
            ends: false,
            nodes: 0,
            offset: 0,
        })
    }

    /// The next token; none at the end of a complete document.
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, XmlError> {
        if std::mem::take(&mut self.ends) {
            self.end()?;
            return Ok(Some(Token::End(self.position())));
        }
        loop {
            self.offset = self.position();
            let event = self.reader.read_event().map_err(|_| self.malformed("markup"))?;
            let octets = self.offset..self.position();
            match event {
                Event::Start(tag) => {
                    let length = tag.name().into_inner().len();
                    return self.start(length, octets, false).map(Some);
                }
                Event::Empty(tag) => {
                    let length = tag.name().into_inner().len();
                    return self.start(length, octets, true).map(Some);
                }
                Event::End(_) => {
                    self.end()?;
                    return Ok(Some(Token::End(octets.end)));
                }
                Event::Text(text) => {
                    let text = text.into_inner();
                    if text.contains("]]>") {
                        return Err(self.malformed("end of a section"));
                    }
                    if !self.open.is_empty() {
                        return self.content(text).map(Some);
                    }
                    if !text.chars().all(is_space) {
                        return Err(self.malformed("text outside the root element"));
                    }
                }
                Event::CData(text) => return self.content(text.into_inner()).map(Some),
                Event::GeneralRef(name) => {
                    let character =
                        reference(&name.into_inner()).ok_or_else(|| self.malformed("unknown entity"))?;
                    // Not the text of a line: a line end that was escaped stays what it is.
                    self.content(Cow::Borrowed(""))?;
                    return Ok(Some(Token::Text(Cow::Owned(character.to_string()))));
                }
                Event::Comment(text) => {
                    let text = text.into_inner();
                    if text.contains("--") || text.ends_with('-') {
                        return Err(self.malformed("comment"));
                    }
                }
                Event::PI(instruction) => {
                    let content = instruction.into_inner();
                    let target = content.split(is_space).next().unwrap_or_default();
                    if !is_name(target) || target.eq_ignore_ascii_case("xml") {
                        return Err(self.malformed("processing instruction"));
                    }
                }
                Event::Decl(declaration) => {
                    if self.offset != 0 {
                        return Err(self.malformed("XML declaration"));
                    }
                    let version = declaration.version().map_err(|_| self.malformed("XML declaration"))?;
                    if version != "1.0" {
                        return Err(self.malformed("XML version"));
                    }
                }
                Event::DocType(_) => return Err(XmlError::Doctype),
                Event::Eof if !self.open.is_empty() => {
                    return Err(self.malformed("an element is not closed"));
                }
                Event::Eof if !self.has_root => return Err(self.malformed("no element")),
                Event::Eof => return Ok(None),
            }
        }
    }

    /// URI of the namespace of the element whose start tag was given out last; empty without one.
    pub(crate) fn namespace(&self, tag: &Tag<'_>) -> &str {
        self.resolve(tag.prefix).unwrap_or_default()
    }

    /// An attribute of the last start tag. An empty namespace means an attribute without prefix.
    pub(crate) fn attribute(&self, namespace: &str, local: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|found| found.local == local && self.attribute_namespace(found) == namespace)
            .map(|found| &*found.value)
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn malformed(&self, reason: &'static str) -> XmlError {
        XmlError::Malformed { offset: self.offset, reason }
    }

    fn count(&mut self) -> Result<(), XmlError> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > self.limits.nodes { Err(XmlError::Limit("nodes")) } else { Ok(()) }
    }

    fn content(&mut self, text: Cow<'a, str>) -> Result<Token<'a>, XmlError> {
        if self.open.is_empty() {
            return Err(self.malformed("text outside the root element"));
        }
        self.count()?;
        Ok(Token::Text(match text {
            Cow::Borrowed(text) => normalize_lines(text),
            Cow::Owned(text) => Cow::Owned(normalize_lines(&text).into_owned()),
        }))
    }

    fn start(
        &mut self,
        name_length: usize,
        octets: Range<usize>,
        is_empty: bool,
    ) -> Result<Token<'a>, XmlError> {
        if self.open.is_empty() && std::mem::replace(&mut self.has_root, true) {
            return Err(self.malformed("a second root element"));
        }
        if self.open.len() >= self.limits.depth {
            return Err(XmlError::Limit("levels"));
        }
        self.count()?;
        let inside = self
            .text
            .get(octets.clone())
            .and_then(|tag| tag.strip_prefix('<')?.strip_suffix('>'))
            .map(|tag| if is_empty { tag.strip_suffix('/').unwrap_or(tag) } else { tag })
            .ok_or_else(|| self.malformed("tag"))?;
        let (name, rest) = inside.split_at_checked(name_length).ok_or_else(|| self.malformed("name"))?;
        let (prefix, local) = split_name(name).ok_or_else(|| self.malformed("name"))?;
        let outer = self.in_force.len();
        self.read_attributes(rest, outer)?;
        if self.in_force.len() > self.limits.attributes {
            return Err(XmlError::Limit("declarations"));
        }
        if prefix == "xmlns" || self.resolve(prefix).is_none() && !prefix.is_empty() {
            return Err(self.malformed("unknown prefix"));
        }
        self.check_attributes()?;
        self.open.push(outer);
        self.ends = is_empty;
        Ok(Token::Start(Tag { prefix, local, octets }))
    }

    fn read_attributes(&mut self, mut rest: &'a str, outer: usize) -> Result<(), XmlError> {
        self.attributes.clear();
        let mut count = 0;
        while let Some((name, raw)) = next_attribute(&mut rest).map_err(|reason| self.malformed(reason))? {
            count += 1;
            if count > self.limits.attributes {
                return Err(XmlError::Limit("attributes"));
            }
            let (prefix, local) = split_name(name).ok_or_else(|| self.malformed("attribute name"))?;
            let value = attribute_value(raw).ok_or_else(|| self.malformed("attribute value"))?;
            match (prefix, local) {
                ("", "xmlns") => self.declare("", value, outer)?,
                ("xmlns", prefix) => self.declare(prefix, value, outer)?,
                _ => self.attributes.push(Attribute { prefix, local, value }),
            }
        }
        Ok(())
    }

    fn declare(&mut self, prefix: &'a str, uri: Cow<'a, str>, outer: usize) -> Result<(), XmlError> {
        let is_right = match prefix {
            "xmlns" => false,
            "xml" => uri == XML_NAMESPACE,
            "" => uri != XML_NAMESPACE && uri != XMLNS_NAMESPACE,
            _ => !uri.is_empty() && uri != XML_NAMESPACE && uri != XMLNS_NAMESPACE,
        };
        let own = self.in_force.get(outer..).unwrap_or_default();
        if !is_right || own.iter().any(|other| other.prefix == prefix) {
            return Err(self.malformed("namespace declaration"));
        }
        self.in_force.push(Declaration { prefix, uri });
        Ok(())
    }

    fn resolve(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML_NAMESPACE);
        }
        self.in_force.iter().rev().find(|found| found.prefix == prefix).map(|found| &*found.uri)
    }

    fn attribute_namespace(&self, attribute: &Attribute<'_>) -> &str {
        if attribute.prefix.is_empty() {
            return "";
        }
        self.resolve(attribute.prefix).unwrap_or_default()
    }

    /// Refuses attributes with an unknown prefix, and the same name twice.
    fn check_attributes(&self) -> Result<(), XmlError> {
        for (position, attribute) in self.attributes.iter().enumerate() {
            if !attribute.prefix.is_empty() && self.resolve(attribute.prefix).is_none() {
                return Err(self.malformed("unknown prefix"));
            }
            let same = |other: &Attribute<'_>| {
                other.local == attribute.local
                    && (other.prefix == attribute.prefix
                        || self.attribute_namespace(other) == self.attribute_namespace(attribute))
            };
            if self.attributes.iter().take(position).any(same) {
                return Err(self.malformed("an attribute twice"));
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), XmlError> {
        let outer = self.open.pop().ok_or_else(|| self.malformed("end tag"))?;
        self.in_force.truncate(outer);
        Ok(())
    }
}
