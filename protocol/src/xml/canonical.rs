//! Canonical XML 1.0 and exclusive canonical XML 1.0, of whole documents and of subtrees.
//!
//! Node sets are subtrees only; that is all that signatures of the protocols use.

use super::{AttributeData, Content, Document, Element, ElementData};

/// Which canonical form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CanonicalizationMethod {
    /// Canonical XML 1.0 without comments.
    Inclusive,
    /// Canonical XML 1.0 with comments.
    InclusiveWithComments,
    /// Exclusive canonical XML 1.0 without comments.
    Exclusive,
    /// Exclusive canonical XML 1.0 with comments.
    ExclusiveWithComments,
}

impl CanonicalizationMethod {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Inclusive, Self::InclusiveWithComments, Self::Exclusive, Self::ExclusiveWithComments];

    /// The algorithm URI.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Inclusive => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
            Self::InclusiveWithComments => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
            Self::Exclusive => "http://www.w3.org/2001/10/xml-exc-c14n#",
            Self::ExclusiveWithComments => "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        }
    }

    /// The method of this URI.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.uri() == uri)
    }

    const fn is_exclusive(self) -> bool {
        matches!(self, Self::Exclusive | Self::ExclusiveWithComments)
    }

    const fn has_comments(self) -> bool {
        matches!(self, Self::InclusiveWithComments | Self::ExclusiveWithComments)
    }
}

/// A canonical form with its parameters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Canonicalization {
    /// The method.
    pub method: CanonicalizationMethod,
    /// `InclusiveNamespaces/@PrefixList` of the exclusive methods; the default namespace is `#default`.
    pub inclusive_prefixes: Vec<String>,
}

impl Canonicalization {
    /// Reads `ds:CanonicalizationMethod` or `ds:Transform`: an algorithm URI and, for the exclusive
    /// methods, an `InclusiveNamespaces` child. `None` for any other algorithm or content.
    pub fn from_element(element: &Element<'_>) -> Option<Self> {
        let method = CanonicalizationMethod::from_uri(element.attribute("Algorithm")?)?;
        let mut inclusive_prefixes = Vec::new();
        for child in element.elements() {
            if !method.is_exclusive()
                || !child.is(CanonicalizationMethod::Exclusive.uri(), "InclusiveNamespaces")
            {
                return None;
            }
            let list = child.attribute("PrefixList").unwrap_or_default();
            inclusive_prefixes.extend(list.split_ascii_whitespace().map(str::to_owned));
        }
        Some(Self { method, inclusive_prefixes })
    }
}

impl From<CanonicalizationMethod> for Canonicalization {
    fn from(method: CanonicalizationMethod) -> Self {
        Self { method, inclusive_prefixes: Vec::new() }
    }
}

pub(super) fn document(document: &Document<'_>, canonicalization: &Canonicalization) -> Vec<u8> {
    let mut writer = Writer::new(document, canonicalization);
    let mut index = 0;
    while let Some(node) = document.node(index) {
        match &node.content {
            Content::Element(data) => {
                writer.element(index, data, &[]);
                index = data.end.max(index + 1);
                continue;
            }
            content => {
                let before = writer.out.len();
                let is_after = index > document.root;
                if is_after {
                    writer.out.push(b'\n');
                }
                let line_feed = writer.out.len();
                writer.other(content);
                if writer.out.len() == line_feed {
                    writer.out.truncate(before);
                } else if !is_after {
                    writer.out.push(b'\n');
                }
            }
        }
        index += 1;
    }
    writer.out
}

pub(super) fn subtree(document: &Document<'_>, apex: usize, canonicalization: &Canonicalization) -> Vec<u8> {
    let mut writer = Writer::new(document, canonicalization);
    let Some(data) = document.element_data(apex) else { return Vec::new() };
    let mut ancestors = Vec::new();
    let mut at = document.node(apex).and_then(|node| node.parent);
    while let Some(index) = at {
        ancestors.extend(document.element_data(index));
        at = document.node(index).and_then(|node| node.parent);
    }
    // Declarations around the apex are in force; the innermost stands last.
    for ancestor in ancestors.iter().rev() {
        writer.in_force.extend(declarations(document, ancestor));
    }
    // Inclusive: attributes of the namespace `xml` come down to the apex, the nearest first.
    let mut inherited: Vec<&AttributeData<'_>> = Vec::new();
    if !canonicalization.method.is_exclusive() {
        for attribute in ancestors.iter().flat_map(|ancestor| document.attributes_of(ancestor)) {
            let is_named = |other: &&AttributeData<'_>| other.local == attribute.local;
            if attribute.prefix == "xml" && !inherited.iter().any(is_named) {
                inherited.push(attribute);
            }
        }
        let own = document.attributes_of(data);
        inherited.retain(|attribute| {
            !own.iter().any(|other| other.prefix == "xml" && other.local == attribute.local)
        });
    }
    writer.element(apex, data, &inherited);
    writer.out
}

fn declarations<'d>(
    document: &'d Document<'_>,
    data: &'d ElementData<'_>,
) -> impl Iterator<Item = (&'d str, &'d str)> {
    document.declarations_of(data).iter().map(|found| (found.prefix, &*found.uri))
}

struct Writer<'d> {
    document: &'d Document<'d>,
    method: CanonicalizationMethod,
    inclusive_prefixes: Vec<&'d str>,
    /// Prefix and URI of the declarations in force, innermost last.
    in_force: Vec<(&'d str, &'d str)>,
    /// What the open elements of the output declare, innermost last.
    rendered: Vec<(&'d str, &'d str)>,
    out: Vec<u8>,
}

/// The last value that a list of declarations gives to a prefix.
fn value<'d>(scope: &[(&'d str, &'d str)], prefix: &str) -> Option<&'d str> {
    scope.iter().rev().find(|(declared, _)| *declared == prefix).map(|(_, uri)| *uri)
}

impl<'d> Writer<'d> {
    fn new(document: &'d Document<'d>, canonicalization: &'d Canonicalization) -> Self {
        let prefixes = canonicalization.inclusive_prefixes.iter();
        Self {
            document,
            method: canonicalization.method,
            inclusive_prefixes: prefixes
                .map(|prefix| if prefix == "#default" { "" } else { prefix.as_str() })
                .collect(),
            in_force: Vec::new(),
            rendered: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Writes an element and everything in it. The depth of the tree is bounded by its parser.
    fn element(&mut self, index: usize, data: &'d ElementData<'d>, inherited: &[&'d AttributeData<'d>]) {
        let (in_force, rendered) = (self.in_force.len(), self.rendered.len());
        let document = self.document;
        self.in_force.extend(declarations(document, data));

        self.out.push(b'<');
        self.name(data.prefix, data.local);
        let mut attributes: Vec<&AttributeData<'_>> =
            document.attributes_of(data).iter().chain(inherited.iter().copied()).collect();
        self.declarations(data, &attributes);
        attributes.sort_by_key(|attribute| (document.uri(attribute.namespace), attribute.local));
        for attribute in attributes {
            self.out.push(b' ');
            self.name(attribute.prefix, attribute.local);
            self.out.extend_from_slice(b"=\"");
            escape_attribute(&mut self.out, &attribute.value);
            self.out.push(b'"');
        }
        self.out.push(b'>');

        let mut child = index + 1;
        while child < data.end {
            match document.node(child).map(|node| &node.content) {
                Some(Content::Element(below)) => {
                    self.element(child, below, &[]);
                    child = below.end.max(child + 1);
                    continue;
                }
                Some(content) => self.other(content),
                None => break,
            }
            child += 1;
        }

        self.out.extend_from_slice(b"</");
        self.name(data.prefix, data.local);
        self.out.push(b'>');
        self.in_force.truncate(in_force);
        self.rendered.truncate(rendered);
    }

    /// Writes the namespace declarations that an element needs.
    fn declarations(&mut self, data: &ElementData<'_>, attributes: &[&AttributeData<'d>]) {
        let mut prefixes: Vec<&'d str> = Vec::new();
        if self.method.is_exclusive() {
            // What is visibly used, and what the list says to treat as if it were.
            let element_prefix = self.document_prefix(data.prefix);
            prefixes.extend(element_prefix);
            prefixes
                .extend(attributes.iter().map(|attribute| attribute.prefix).filter(|used| !used.is_empty()));
            let listed = self.inclusive_prefixes.iter().copied();
            prefixes.extend(listed.filter(|prefix| value(&self.in_force, prefix).is_some()));
        } else {
            prefixes.extend(self.in_force.iter().map(|(prefix, _)| *prefix));
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        for prefix in prefixes {
            let uri = value(&self.in_force, prefix).unwrap_or_default();
            let is_needed = match prefix {
                "xml" => false,
                "" => value(&self.rendered, "").unwrap_or_default() != uri,
                _ => value(&self.rendered, prefix) != Some(uri),
            };
            if !is_needed {
                continue;
            }
            self.out.extend_from_slice(b" xmlns");
            if !prefix.is_empty() {
                self.out.push(b':');
                self.out.extend_from_slice(prefix.as_bytes());
            }
            self.out.extend_from_slice(b"=\"");
            escape_attribute(&mut self.out, uri);
            self.out.push(b'"');
            self.rendered.push((prefix, uri));
        }
    }

    /// The prefix of an element as a string that lives as long as the document.
    fn document_prefix(&self, prefix: &str) -> Option<&'d str> {
        if prefix.is_empty() {
            return Some("");
        }
        self.in_force.iter().map(|(declared, _)| *declared).find(|declared| *declared == prefix)
    }

    fn other(&mut self, content: &Content<'_>) {
        match content {
            Content::Text(text) => escape_text(&mut self.out, text),
            Content::Comment(text) if self.method.has_comments() => {
                self.out.extend_from_slice(b"<!--");
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"-->");
            }
            Content::Comment(_) | Content::Element(_) => {}
            Content::Instruction { target, data } => {
                self.out.extend_from_slice(b"<?");
                self.out.extend_from_slice(target.as_bytes());
                if !data.is_empty() {
                    self.out.push(b' ');
                    self.out.extend_from_slice(data.as_bytes());
                }
                self.out.extend_from_slice(b"?>");
            }
        }
    }

    fn name(&mut self, prefix: &str, local: &str) {
        if !prefix.is_empty() {
            self.out.extend_from_slice(prefix.as_bytes());
            self.out.push(b':');
        }
        self.out.extend_from_slice(local.as_bytes());
    }
}

fn escape_text(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |octet| match octet {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

fn escape_attribute(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |octet| match octet {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'"' => Some(b"&quot;"),
        b'\t' => Some(b"&#x9;"),
        b'\n' => Some(b"&#xA;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

/// Copies runs of octets that need nothing; base64 values are copied whole.
fn escape(out: &mut Vec<u8>, text: &str, replacement: impl Fn(u8) -> Option<&'static [u8]>) {
    let mut rest = text.as_bytes();
    while let Some(position) = rest.iter().position(|octet| replacement(*octet).is_some()) {
        let (plain, special) = rest.split_at(position);
        out.extend_from_slice(plain);
        let Some((first, after)) = special.split_first() else { return };
        out.extend_from_slice(replacement(*first).unwrap_or_default());
        rest = after;
    }
    out.extend_from_slice(rest);
}
