//! Names, characters, references and line ends of XML 1.0.

use std::borrow::Cow;

/// Whether XML 1.0 knows the character at all (production 2).
pub(super) fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether all characters are characters of XML. In UTF-8 only control characters and U+FFFE and U+FFFF can
/// be wrong, so most texts need one look at their octets.
pub(super) fn is_text(text: &str) -> bool {
    let octets = text.as_bytes();
    let is_control = |octet: u8| octet < 0x20 && !matches!(octet, b'\t' | b'\n' | b'\r');
    // Summing up in place of stopping early lets the compiler look at many octets at once.
    !octets.iter().fold(false, |found, octet| found | is_control(*octet))
        && (memchr::memchr(0xEF, octets).is_none() || text.chars().all(is_character))
}

pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_name_start(character: char) -> bool {
    matches!(character,
        'A'..='Z' | 'a'..='z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// Whether `text` is a name without a colon.
pub(super) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(is_name_start)
        && characters.all(|character| {
            is_name_start(character)
                || matches!(character,
                    '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
        })
}

/// Prefix, which may be empty, and local part of a qualified name.
pub(super) fn split_name(name: &str) -> Option<(&str, &str)> {
    match name.split_once(':') {
        None => is_name(name).then_some(("", name)),
        Some((prefix, local)) => (is_name(prefix) && is_name(local)).then_some((prefix, local)),
    }
}

/// Line ends become line feeds (XML 1.0 §2.11).
pub(super) fn normalize_lines(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// What `&name;` stands for: a predefined entity or a character reference.
pub(super) fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => {}
    }
    let digits = name.strip_prefix('#')?;
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    if !digits.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None; // a sign would otherwise pass
    }
    let character = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    is_character(character).then_some(character)
}

/// The value of an attribute: references replaced, white space made spaces (XML 1.0 §3.3.3 for CDATA).
pub(super) fn attribute_value(raw: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'<', raw.as_bytes()).is_some() || !is_text(raw) {
        return None;
    }
    if !raw.bytes().any(|octet| matches!(octet, b'&' | b'\t' | b'\n' | b'\r')) {
        return Some(Cow::Borrowed(raw));
    }
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(character) = rest.chars().next() {
        let mut after = rest.get(character.len_utf8()..)?;
        match character {
            '&' => {
                let (name, behind) = after.split_once(';')?;
                value.push(reference(name)?);
                after = behind;
            }
            '\r' => {
                after = after.strip_prefix('\n').unwrap_or(after);
                value.push(' ');
            }
            '\t' | '\n' => value.push(' '),
            other => value.push(other),
        }
        rest = after;
    }
    Some(Cow::Owned(value))
}

/// Takes the next `name="value"` off the inside of a start tag. `Ok(None)` at its end.
pub(crate) fn next_attribute<'a>(rest: &mut &'a str) -> Result<Option<(&'a str, &'a str)>, &'static str> {
    let trimmed = rest.trim_start_matches(is_space);
    if trimmed.is_empty() {
        return Ok(None);
    }
    if trimmed.len() == rest.len() {
        return Err("no white space before an attribute");
    }
    let (name, after) = trimmed.split_once('=').ok_or("an attribute has no value")?;
    let after = after.trim_start_matches(is_space);
    let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\'')).ok_or("no quote")?;
    let (value, behind) =
        after.get(1..).and_then(|inside| inside.split_once(quote)).ok_or("no closing quote")?;
    *rest = behind;
    Ok(Some((name.trim_end_matches(is_space), value)))
}

/// Decodes base64 in which white space may stand anywhere. `None` when anything else is wrong.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    if text.bytes().any(|octet| octet.is_ascii_whitespace()) {
        let dense: Vec<u8> = text.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
        engine.decode(dense).ok()
    } else {
        engine.decode(text).ok()
    }
}
