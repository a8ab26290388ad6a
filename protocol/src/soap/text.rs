//! From the octets of a message to its text: SOAP messages may come in any encoding that XML can name
//! (§2.1).

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::invalid;
use crate::fault::Fault;
use crate::xml::next_attribute;

/// The text of a message in UTF-8, without a byte order mark.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Text {
    /// A slice of the message itself, unless it was converted.
    pub(super) octets: Bytes,
    /// Octets of the byte order mark before it, when it is a slice of the message.
    pub(super) mark: usize,
    /// Whether the message is in another encoding than UTF-8.
    pub(super) is_converted: bool,
}

/// Longest XML declaration that is looked at, octets.
const DECLARATION_LIMIT: usize = 512;

/// Finds the encoding by byte order mark and XML declaration, as XML 1.0 appendix F has it. What the
/// content type says does not count.
pub(super) fn decode(octets: &Bytes) -> Result<Text, Fault> {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    let (encoding, has_mark) = match &**octets {
        [0xEF, 0xBB, 0xBF, ..] => (Some(UTF_8), true),
        [0xFE, 0xFF, ..] => (Some(UTF_16BE), true),
        [0xFF, 0xFE, ..] => (Some(UTF_16LE), true),
        [0, b'<', ..] => (Some(UTF_16BE), false),
        [b'<', 0, ..] => (Some(UTF_16LE), false),
        _ => (None, false),
    };
    let Some(encoding) = encoding else {
        let start =
            String::from_utf8_lossy(octets.get(..octets.len().min(DECLARATION_LIMIT)).unwrap_or_default());
        return match declared(&start)? {
            None => utf8(octets.clone(), 0),
            Some(name) => named(octets, &name),
        };
    };
    if encoding == UTF_8 {
        let text = utf8(octets.slice(MARK.len()..), MARK.len())?;
        return check_declared(&text, &["utf-8", "utf8"]).map(|()| text);
    }
    let without_mark = octets.get(if has_mark { 2 } else { 0 }..).unwrap_or_default();
    let text = convert(without_mark, encoding)?;
    check_declared(&text, &["utf-16", "utf-16le", "utf-16be"]).map(|()| text)
}

fn utf8(octets: Bytes, mark: usize) -> Result<Text, Fault> {
    std::str::from_utf8(&octets).map_err(|_| invalid("the message is not UTF-8"))?;
    Ok(Text { octets, mark, is_converted: false })
}

fn named(octets: &Bytes, name: &str) -> Result<Text, Fault> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "utf-8" | "utf8" => utf8(octets.clone(), 0),
        // ASCII is UTF-8 as it stands.
        "us-ascii" | "ascii" if octets.is_ascii() => utf8(octets.clone(), 0),
        "us-ascii" | "ascii" => Err(invalid("the message is not US-ASCII")),
        // The browsers' tables, which encoding_rs follows, read this as Windows-1252.
        "iso-8859-1" | "latin1" | "iso_8859-1" => {
            let text = octets.iter().map(|octet| char::from(*octet)).collect::<String>();
            Ok(Text { octets: text.into(), mark: 0, is_converted: true })
        }
        _ => match Encoding::for_label_no_replacement(name.as_bytes()) {
            Some(encoding) if encoding.is_ascii_compatible() => convert(octets, encoding),
            _ => Err(invalid("the message names an encoding that is not known or not its own")),
        },
    }
}

fn convert(octets: &[u8], encoding: &'static Encoding) -> Result<Text, Fault> {
    let text = encoding
        .decode_without_bom_handling_and_without_replacement(octets)
        .ok_or_else(|| invalid("the message is not in the encoding that it names"))?;
    let octets = match text {
        Cow::Borrowed(text) => Bytes::copy_from_slice(text.as_bytes()),
        Cow::Owned(text) => text.into(),
    };
    Ok(Text { octets, mark: 0, is_converted: true })
}

/// A declaration that contradicts the octets is refused: two readers would believe two things.
fn check_declared(text: &Text, names: &[&str]) -> Result<(), Fault> {
    let start = text.octets.get(..text.octets.len().min(DECLARATION_LIMIT)).unwrap_or_default();
    match declared(&String::from_utf8_lossy(start))? {
        Some(name) if !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) => {
            Err(invalid("the message names another encoding than its own"))
        }
        _ => Ok(()),
    }
}

/// The encoding that the XML declaration names, if there is a declaration and it names one.
fn declared(start: &str) -> Result<Option<String>, Fault> {
    let Some(rest) = start.strip_prefix("<?xml").filter(|rest| rest.starts_with([' ', '\t', '\r', '\n']))
    else {
        return Ok(None);
    };
    let broken = |_: &str| invalid("the XML declaration is malformed");
    let (mut rest, _) = rest.split_once("?>").ok_or("no end").map_err(broken)?;
    let mut encoding = None;
    while let Some((name, value)) = next_attribute(&mut rest).map_err(broken)? {
        if name == "encoding" && encoding.replace(value.to_owned()).is_some() {
            return Err(broken("twice"));
        }
    }
    Ok(encoding)
}

/// Octets of the XML declaration at the beginning of a text; none without one.
pub(super) fn declaration_length(text: &[u8]) -> usize {
    let has_one =
        text.strip_prefix(b"<?xml").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_whitespace));
    if !has_one {
        return 0;
    }
    memchr::memmem::find(text, b"?>").map_or(0, |at| at.saturating_add(2))
}
