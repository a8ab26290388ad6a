//! How SOAP messages travel over HTTP between information systems and their servers (§2.4, §2.8).

use super::fault::shown;
use crate::fault::{Fault, code};
use crate::mime::ContentType;

/// The content type of a plain message, whatever the other end wrote.
pub const PLAIN_CONTENT_TYPE: &str = "text/xml; charset=UTF-8";

/// How a message is carried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Carriage {
    /// The body is the message.
    Plain,
    /// The body is a `multipart/related`, with attachments or without.
    Related {
        /// What separates the parts.
        boundary: String,
    },
}

impl Carriage {
    /// By the content type of an information system.
    ///
    /// # Errors
    /// `invalid_content_type` unless it is `text/xml`, `application/xop+xml`, or `multipart/related` with
    /// a boundary.
    pub fn of(content_type: &str) -> Result<Self, Fault> {
        let essence = content_type.split(';').next().unwrap_or_default().trim_matches([' ', '\t']);
        if is_soap(content_type) {
            return Ok(Self::Plain);
        }
        if !essence.eq_ignore_ascii_case("multipart/related") {
            return Err(Fault::new(
                code::INVALID_CONTENT_TYPE,
                format!("content type '{}' is not that of a SOAP message", shown(essence)),
            ));
        }
        let content_type = ContentType::parse(content_type)?;
        Ok(Self::Related { boundary: content_type.boundary()?.to_owned() })
    }
}

/// Whether a content type is that of the message itself.
pub(crate) fn is_soap(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim_matches([' ', '\t']);
    ["text/xml", "application/xop+xml"].iter().any(|known| known.eq_ignore_ascii_case(essence))
}

/// The content type that the provider is sent: that of the client for a multipart message, one for all
/// plain ones.
///
/// # Errors
/// As [`Carriage::of`].
pub fn provider_content_type(client: &str) -> Result<String, Fault> {
    Ok(match Carriage::of(client)? {
        Carriage::Plain => PLAIN_CONTENT_TYPE.to_owned(),
        Carriage::Related { .. } => client.to_owned(),
    })
}

/// The content type that the client is answered: that of the provider for a multipart message, completed
/// by a character set as peers do, one for all plain ones.
///
/// # Errors
/// As [`Carriage::of`].
pub fn client_content_type(provider: &str) -> Result<String, Fault> {
    Ok(match Carriage::of(provider)? {
        Carriage::Plain => PLAIN_CONTENT_TYPE.to_owned(),
        Carriage::Related { .. } if ContentType::parse(provider)?.has_charset() => provider.to_owned(),
        Carriage::Related { .. } => format!("{provider};charset=utf-8"),
    })
}

/// Checks a `SOAPAction`: none, empty, or a URI in quotes, which may be empty too.
///
/// # Errors
/// `invalid_soap_action`.
pub fn check_action(action: Option<&str>) -> Result<(), Fault> {
    let Some(action) = action.filter(|action| !action.is_empty()) else { return Ok(()) };
    let uri = action.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match uri {
        Some(uri) if is_uri(uri) => Ok(()),
        _ => Err(Fault::new(code::INVALID_SOAP_ACTION, "SOAPAction is not a URI in quotes")),
    }
}

/// Whether the text is a URI or a relative reference by its characters and scheme (RFC 3986).
fn is_uri(text: &str) -> bool {
    let bytes = text.as_bytes();
    let are_characters = bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        byte => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(byte),
    });
    if !are_characters || bytes.iter().filter(|byte| **byte == b'#').count() > 1 {
        return false;
    }
    let end = bytes.iter().position(|byte| b":/?#".contains(byte));
    match end.and_then(|end| text.split_at_checked(end)) {
        Some((scheme, rest)) if rest.starts_with(':') => {
            rest.len() > 1
                && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        }
        _ => true,
    }
}
