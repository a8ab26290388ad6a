//! Content types with their parameters.

use crate::fault::{Fault, code};

/// A media type and its boundary, as far as the transport needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContentType {
    essence: String,
    boundary: Option<String>,
    has_charset: bool,
}

/// Longest boundary (RFC 2046 §5.1.1).
const BOUNDARY_LIMIT: usize = 70;

impl ContentType {
    /// Reads a `Content-Type` value.
    ///
    /// # Errors
    /// `invalid_content_type` when it has no type, a broken parameter, or two boundaries.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let refused = || Fault::new(code::INVALID_CONTENT_TYPE, "malformed content type");
        let (essence, mut rest) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim_matches([' ', '\t']).to_ascii_lowercase();
        if !essence.contains('/') {
            return Err(refused());
        }
        let (mut boundary, mut has_charset) = (None, false);
        while !rest.trim_matches([' ', '\t', ';']).is_empty() {
            let (name, after) = rest.split_once('=').ok_or_else(refused)?;
            let (value, after) = value(after.trim_start()).ok_or_else(refused)?;
            let name = name.trim_matches([' ', '\t', ';']);
            if name.eq_ignore_ascii_case("boundary") && boundary.replace(value).is_some() {
                return Err(Fault::new(code::INVALID_CONTENT_TYPE, "content type with two boundaries"));
            }
            has_charset |= name.eq_ignore_ascii_case("charset");
            rest = after;
        }
        Ok(Self { essence, boundary, has_charset })
    }

    /// Type and subtype in lower case.
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// Whether a character set is named.
    pub fn has_charset(&self) -> bool {
        self.has_charset
    }

    /// The boundary of a multipart type.
    ///
    /// # Errors
    /// `invalid_content_type` when there is none, or one that RFC 2046 does not allow.
    pub fn boundary(&self) -> Result<&str, Fault> {
        let refused = |why: &str| Err(Fault::new(code::INVALID_CONTENT_TYPE, why));
        let Some(boundary) = &self.boundary else { return refused("multipart without boundary") };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
        if boundary.is_empty()
            || boundary.len() > BOUNDARY_LIMIT
            || boundary.ends_with(' ')
            || !boundary.bytes().all(allowed)
        {
            return refused("multipart boundary is not valid");
        }
        Ok(boundary)
    }
}

/// Takes a parameter value, quoted or not, and what follows its semicolon.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return Some((value.trim_end().to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                let rest = quoted.get(at + 1..)?.trim_start();
                return match rest.strip_prefix(';') {
                    Some(rest) => Some((value, rest)),
                    None => rest.is_empty().then_some((value, "")),
                };
            }
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}
