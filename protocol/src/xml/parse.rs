//! From octets to the tree.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesStart, Event};

use super::lexical::{
    attribute_value, is_name, is_space, is_text, next_attribute, normalize_lines, reference, split_name,
};
use super::{
    AttributeData, Content, Declaration, Document, ElementData, Limits, Namespace, Node, XML_NAMESPACE,
    XmlError,
};

const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

pub(super) fn parse<'a>(octets: &'a [u8], limits: &Limits) -> Result<Document<'a>, XmlError> {
    if octets.len() > limits.octets {
        return Err(XmlError::Limit("octets"));
    }
    let text = std::str::from_utf8(octets).map_err(|_| XmlError::Encoding)?;
    let byte_order_mark = if text.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
    let text = text.get(byte_order_mark..).unwrap_or_default();
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut builder = Builder {
        text,
        byte_order_mark,
        limits,
        document: Document {
            // Room for a document with many short elements, so that few need to grow.
            nodes: Vec::with_capacity((octets.len() / 32).min(4096)),
            attributes: Vec::with_capacity((octets.len() / 64).min(4096)),
            declarations: Vec::with_capacity(8),
            root: usize::MAX,
        },
        open: Vec::new(),
        in_force: Vec::new(),
        offset: 0,
    };
    loop {
        builder.offset = position(&reader);
        let event = reader.read_event().map_err(|_| builder.malformed("markup"))?;
        let end = position(&reader);
        match event {
            Event::Start(tag) => builder.start(&tag, end, false)?,
            Event::Empty(tag) => builder.start(&tag, end, true)?,
            Event::End(tag) => {
                let name: &str = tag.name().into_inner();
                if !is_text(name) {
                    return Err(builder.malformed("name"));
                }
                builder.end()?;
            }
            Event::Text(text) => builder.text(text.into_inner(), true)?,
            Event::CData(text) => {
                if builder.open.is_empty() {
                    return Err(builder.malformed("text outside the root element"));
                }
                builder.text(text.into_inner(), false)?;
            }
            Event::GeneralRef(name) => {
                let name = name.into_inner();
                let character = reference(&name).ok_or_else(|| builder.malformed("unknown entity"))?;
                builder.character(character)?;
            }
            Event::Comment(text) => {
                let text = text.into_inner();
                if !is_text(&text) || text.contains("--") || text.ends_with('-') {
                    return Err(builder.malformed("comment"));
                }
                builder.push(Content::Comment(lines(text)))?;
            }
            Event::PI(instruction) => builder.instruction(instruction.into_inner())?,
            Event::Decl(declaration) => builder.declaration(&declaration)?,
            Event::DocType(_) => return Err(XmlError::Doctype),
            Event::Eof => break,
        }
    }
    if !builder.open.is_empty() {
        return Err(builder.malformed("an element is not closed"));
    }
    if builder.document.root == usize::MAX {
        return Err(builder.malformed("no element"));
    }
    Ok(builder.document)
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// Whether `]]>` occurs, which may not stand in text.
fn has_section_end(text: &str) -> bool {
    memchr::memchr(b']', text.as_bytes()).is_some() && text.contains("]]>")
}

/// Line ends of text that the tokenizer lends or owns.
fn lines(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => normalize_lines(text),
        Cow::Owned(text) => Cow::Owned(normalize_lines(&text).into_owned()),
    }
}

struct Builder<'a, 'l> {
    text: &'a str,
    byte_order_mark: usize,
    limits: &'l Limits,
    document: Document<'a>,
    /// Open elements: node index, and how many declarations were in force around them.
    open: Vec<(usize, usize)>,
    /// Indices of declarations in force, innermost last.
    in_force: Vec<usize>,
    offset: usize,
}

impl<'a> Builder<'a, '_> {
    fn malformed(&self, reason: &'static str) -> XmlError {
        XmlError::Malformed { offset: self.offset.saturating_add(self.byte_order_mark), reason }
    }

    fn push(&mut self, content: Content<'a>) -> Result<usize, XmlError> {
        if self.document.nodes.len() >= self.limits.nodes {
            return Err(XmlError::Limit("nodes"));
        }
        let parent = self.open.last().map(|(index, _)| *index);
        self.document.nodes.push(Node { parent, content });
        Ok(self.document.nodes.len() - 1)
    }

    fn start(&mut self, tag: &BytesStart<'_>, end: usize, is_empty: bool) -> Result<(), XmlError> {
        if self.open.is_empty() && self.document.root != usize::MAX {
            return Err(self.malformed("a second root element"));
        }
        if self.open.len() >= self.limits.depth {
            return Err(XmlError::Limit("levels"));
        }
        // The tag is taken from the text again, so that names and values live as long as the text.
        let range = self.offset..end;
        let inside = self
            .text
            .get(range.clone())
            .and_then(|tag| tag.strip_prefix('<')?.strip_suffix('>'))
            .map(|tag| if is_empty { tag.strip_suffix('/').unwrap_or(tag) } else { tag })
            .ok_or_else(|| self.malformed("tag"))?;
        let name_length = tag.name().into_inner().len();
        let (name, mut rest) = inside.split_at_checked(name_length).ok_or_else(|| self.malformed("name"))?;
        let (prefix, local) = split_name(name).ok_or_else(|| self.malformed("name"))?;

        let outer = self.in_force.len();
        let first_attribute = self.document.attributes.len();
        let first_declaration = self.document.declarations.len();
        let mut count = 0;
        while let Some((name, raw)) = next_attribute(&mut rest).map_err(|reason| self.malformed(reason))? {
            count += 1;
            if count > self.limits.attributes {
                return Err(XmlError::Limit("attributes"));
            }
            let (prefix, local) = split_name(name).ok_or_else(|| self.malformed("attribute name"))?;
            let value = attribute_value(raw).ok_or_else(|| self.malformed("attribute value"))?;
            match (prefix, local) {
                ("", "xmlns") => self.declare("", value, first_declaration)?,
                ("xmlns", prefix) => self.declare(prefix, value, first_declaration)?,
                _ => self.document.attributes.push(AttributeData {
                    prefix,
                    local,
                    namespace: Namespace::None,
                    value,
                }),
            }
        }
        if self.in_force.len() > self.limits.attributes {
            return Err(XmlError::Limit("declarations"));
        }
        let namespace = self.resolve(prefix)?;
        self.resolve_attributes(first_attribute)?;

        let index = self.push(Content::Element(ElementData {
            prefix,
            local,
            namespace,
            attributes: first_attribute..self.document.attributes.len(),
            declarations: first_declaration..self.document.declarations.len(),
            end: 0,
            tag: self.byte_order_mark + range.start..self.byte_order_mark + range.end,
        }))?;
        if self.open.is_empty() {
            self.document.root = index;
        }
        self.open.push((index, outer));
        if is_empty { self.end() } else { Ok(()) }
    }

    fn declare(&mut self, prefix: &'a str, uri: Cow<'a, str>, first: usize) -> Result<(), XmlError> {
        let is_right = match prefix {
            "xmlns" => false,
            "xml" => uri == XML_NAMESPACE,
            "" => uri != XML_NAMESPACE && uri != XMLNS_NAMESPACE,
            _ => !uri.is_empty() && uri != XML_NAMESPACE && uri != XMLNS_NAMESPACE,
        };
        let own = self.document.declarations.get(first..).unwrap_or_default();
        if !is_right || own.iter().any(|other| other.prefix == prefix) {
            return Err(self.malformed("namespace declaration"));
        }
        self.in_force.push(self.document.declarations.len());
        self.document.declarations.push(Declaration { prefix, uri });
        Ok(())
    }

    fn resolve(&self, prefix: &str) -> Result<Namespace, XmlError> {
        if prefix == "xml" {
            return Ok(Namespace::Xml);
        }
        let found = self.in_force.iter().rev().find_map(|index| {
            self.document
                .declarations
                .get(*index)
                .filter(|found| found.prefix == prefix)
                .map(|found| (index, found))
        });
        match found {
            Some((_, declaration)) if declaration.uri.is_empty() => Ok(Namespace::None),
            Some((index, _)) => Ok(Namespace::Declared(*index)),
            None if prefix.is_empty() => Ok(Namespace::None),
            None => Err(self.malformed("unknown prefix")),
        }
    }

    /// Finds the namespaces of an element's attributes, and refuses the same name twice.
    fn resolve_attributes(&mut self, first: usize) -> Result<(), XmlError> {
        for index in first..self.document.attributes.len() {
            let Some(prefix) = self.document.attributes.get(index).map(|attribute| attribute.prefix) else {
                continue;
            };
            let namespace = if prefix.is_empty() { Namespace::None } else { self.resolve(prefix)? };
            if let Some(attribute) = self.document.attributes.get_mut(index) {
                attribute.namespace = namespace;
            }
        }
        let own = self.document.attributes.get(first..).unwrap_or_default();
        for (position, attribute) in own.iter().enumerate() {
            let same = |other: &AttributeData<'_>| {
                other.local == attribute.local
                    && self.document.uri(other.namespace) == self.document.uri(attribute.namespace)
            };
            if own.iter().take(position).any(same) {
                return Err(self.malformed("an attribute twice"));
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), XmlError> {
        let (index, outer) = self.open.pop().ok_or_else(|| self.malformed("end tag"))?;
        self.in_force.truncate(outer);
        let after = self.document.nodes.len();
        if let Some(Node { content: Content::Element(data), .. }) = self.document.nodes.get_mut(index) {
            data.end = after;
        }
        Ok(())
    }

    fn text(&mut self, text: Cow<'a, str>, is_markup: bool) -> Result<(), XmlError> {
        if !is_text(&text) || is_markup && has_section_end(&text) {
            return Err(self.malformed("character"));
        }
        if self.open.is_empty() {
            return if text.chars().all(is_space) {
                Ok(())
            } else {
                Err(self.malformed("text outside the root element"))
            };
        }
        let text = lines(text);
        if text.is_empty() {
            return Ok(());
        }
        match self.last_text() {
            Some(last) => last.to_mut().push_str(&text),
            None => drop(self.push(Content::Text(text))?),
        }
        Ok(())
    }

    fn character(&mut self, character: char) -> Result<(), XmlError> {
        if self.open.is_empty() {
            return Err(self.malformed("text outside the root element"));
        }
        match self.last_text() {
            Some(last) => last.to_mut().push(character),
            None => drop(self.push(Content::Text(Cow::Owned(character.to_string())))?),
        }
        Ok(())
    }

    /// The text that stands directly before: text, CDATA and references make one node together.
    fn last_text(&mut self) -> Option<&mut Cow<'a, str>> {
        let parent = self.open.last().map(|(index, _)| *index);
        match self.document.nodes.last_mut() {
            Some(Node { parent: of, content: Content::Text(text) }) if *of == parent => Some(text),
            _ => None,
        }
    }

    fn instruction(&mut self, content: Cow<'_, str>) -> Result<(), XmlError> {
        // Taken from the text again, for the same reason as tags.
        let rest = self.text.get(self.offset..).and_then(|text| text.strip_prefix("<?"));
        let content = rest.and_then(|text| text.get(..content.len())).unwrap_or_default();
        let (target, data) = content.split_once(is_space).unwrap_or((content, ""));
        if !is_name(target) || target.eq_ignore_ascii_case("xml") || !is_text(data) {
            return Err(self.malformed("processing instruction"));
        }
        let data = normalize_lines(data.trim_start_matches(is_space));
        self.push(Content::Instruction { target, data }).map(drop)
    }

    fn declaration(&mut self, declaration: &BytesDecl<'_>) -> Result<(), XmlError> {
        if self.offset != 0 {
            return Err(self.malformed("XML declaration"));
        }
        if declaration.version().map_err(|_| self.malformed("XML declaration"))? != "1.0" {
            return Err(self.malformed("XML version"));
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii") => {
                Ok(())
            }
            Some(_) => Err(XmlError::Encoding),
        }
    }
}
