//! Writes the XML of configuration files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;

use super::schema::{IDENTIFIERS, XROAD};
use crate::id::ClientId;

/// Text that grows element by element. Names are ours, so only values are escaped.
#[derive(Debug)]
pub(super) struct Writer {
    out: String,
    open: Vec<String>,
    has_children: bool,
}

impl Writer {
    /// Begins a document with the namespaces that all files declare.
    pub(super) fn document(root: &str) -> Self {
        let root = format!("ns3:{root}");
        let mut writer = Self::bare();
        let namespaces = [("xmlns:ns2", IDENTIFIERS), ("xmlns:ns3", XROAD)];
        writer.start_with(&root, &namespaces);
        writer
    }

    /// Begins a document without a root.
    pub(super) fn bare() -> Self {
        Self {
            out: "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n".to_owned(),
            open: Vec::new(),
            has_children: true,
        }
    }

    /// Begins something that will stand in another document.
    pub(super) fn fragment() -> Self {
        Self { out: String::new(), open: Vec::new(), has_children: true }
    }

    pub(super) fn start(&mut self, name: &str) {
        self.start_with(name, &[]);
    }

    pub(super) fn start_with(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.begin(name, attributes);
        self.open.push(name.to_owned());
        self.has_children = false;
    }

    /// An element with text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.begin(name, &[]);
        self.out.push_str(&escape(text.chars().filter(|character| is_xml(*character)).collect::<String>()));
        self.close(name);
    }

    /// An element with nothing but attributes.
    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.begin(name, attributes);
        self.out.truncate(self.out.len().saturating_sub(1));
        self.out.push_str("/>\n");
        self.has_children = true;
    }

    pub(super) fn base64(&mut self, name: &str, bytes: &[u8]) {
        self.text(name, &STANDARD.encode(bytes));
    }

    pub(super) fn client_id(&mut self, name: &str, client: &ClientId) {
        let kind = if client.subsystem().is_some() { "SUBSYSTEM" } else { "MEMBER" };
        self.start_with(name, &[("ns2:objectType", kind)]);
        self.text("ns2:xRoadInstance", client.instance());
        self.text("ns2:memberClass", client.member().class());
        self.text("ns2:memberCode", client.member().code());
        if let Some(subsystem) = client.subsystem() {
            self.text("ns2:subsystemCode", subsystem);
        }
        self.end();
    }

    /// Ends the element that was started last.
    pub(super) fn end(&mut self) {
        let Some(name) = self.open.pop() else { return };
        if self.has_children {
            self.indent();
        }
        self.close(&name);
    }

    /// Ends everything.
    pub(super) fn finish(mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self.end();
        }
        self.out.into_bytes()
    }

    fn begin(&mut self, name: &str, attributes: &[(&str, &str)]) {
        if !self.has_children {
            self.out.push('\n');
        }
        self.has_children = true;
        self.indent();
        self.out.push('<');
        self.out.push_str(name);
        for (name, value) in attributes {
            let value: String = value.chars().filter(|character| is_xml(*character)).collect();
            let value = escape(value).replace('\n', "&#10;").replace('\t', "&#9;").replace('\r', "&#13;");
            self.out.push_str(&format!(" {name}=\"{value}\""));
        }
        self.out.push('>');
    }

    fn close(&mut self, name: &str) {
        self.out.push_str(&format!("</{name}>\n"));
        self.has_children = true;
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n("    ", self.open.len()));
    }
}

/// Whether XML 1.0 can carry the character.
fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}
