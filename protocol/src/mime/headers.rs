//! The headers of one part.

use crate::fault::{Fault, code};

/// Content type and further headers of a part, in their order. The text is ISO-8859-1.
///
/// No value holds a line break or another control character, so what is written is what was read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PartHeaders {
    content_type: Option<String>,
    other: Vec<(String, String)>,
}

impl PartHeaders {
    /// A part of this type without further headers.
    ///
    /// # Errors
    /// `mime_parsing_failed` for text that a header cannot hold.
    pub fn new(content_type: &str) -> Result<Self, Fault> {
        let mut headers = Self::default();
        headers.add("content-type", content_type)?;
        Ok(headers)
    }

    /// The same with one more header.
    ///
    /// # Errors
    /// `mime_parsing_failed` for text that a header cannot hold.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self, Fault> {
        self.add(name, value)?;
        Ok(self)
    }

    /// The content type with its parameters, as written.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Everything but the content type, in order. No name stands there twice.
    pub fn other(&self) -> impl Iterator<Item = (&str, &str)> {
        self.other.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A header by name, letter case ignored.
    pub fn get(&self, name: &str) -> Option<&str> {
        if name.eq_ignore_ascii_case("content-type") {
            return self.content_type();
        }
        self.other().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Appends the header lines and the empty line behind them. `separator` stands between the name and
    /// the value of the content type.
    pub(crate) fn write(&self, separator: &str, out: &mut Vec<u8>) {
        let mut line = |pieces: &[&str]| {
            // Latin-1 in, Latin-1 out; nothing else can have come in.
            let octets = pieces.iter().flat_map(|piece| piece.chars());
            out.extend(octets.map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')));
            out.extend_from_slice(b"\r\n");
        };
        line(&["content-type", separator, self.content_type().unwrap_or_default()]);
        for (name, value) in self.other() {
            line(&[name, ": ", value]);
        }
        line(&[]);
    }

    /// Takes one more header. Of a name that comes twice the last value counts, as peers have it, but two
    /// content types are refused: they would be read differently by different readers.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        let broken = |why: &str| Err(Fault::new(code::MIME_PARSING_FAILED, why));
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        // A line that begins with dashes would be taken for a boundary by some reader.
        if !is_name || name.starts_with("--") {
            return broken("part header with a name that is none");
        }
        let is_value = |character: char| {
            character == '\t' || (' '..='\u{ff}').contains(&character) && character != '\u{7f}'
        };
        if !value.chars().all(is_value) {
            return broken("control character in a part header");
        }
        if name.eq_ignore_ascii_case("content-type") {
            if self.content_type.replace(value.to_owned()).is_some() {
                return broken("part with two content types");
            }
            return Ok(());
        }
        match self.other.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            Some((_, old)) => value.clone_into(old),
            None => self.other.push((name.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// A folded line continues the header that came last.
    pub(super) fn fold(&mut self, name: &str, more: &str) -> Result<(), Fault> {
        let value = format!("{} {more}", self.get(name).unwrap_or_default());
        if name.eq_ignore_ascii_case("content-type") {
            self.content_type = None;
        }
        self.add(name, &value)
    }
}
