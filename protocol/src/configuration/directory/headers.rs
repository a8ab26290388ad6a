//! Header lines of the directory's MIME parts.

use super::super::ConfigurationError;

/// Cuts a line off the front; the line comes without its end. None when nothing is left.
pub(super) fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let (line, rest) = match memchr::memchr(b'\n', bytes) {
        Some(at) => (bytes.get(..at)?, bytes.get(at + 1..)?),
        None => (bytes, &b""[..]),
    };
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest))
}

/// The headers of a part, names in lower case.
#[derive(Debug, Default)]
pub(super) struct Headers(Vec<(String, String)>);

impl Headers {
    /// Reads header lines up to the first empty line and gives what follows that.
    pub(super) fn read(mut bytes: &[u8]) -> Result<(Self, &[u8]), ConfigurationError> {
        let broken = |why| Err(ConfigurationError::Directory(why));
        let mut headers = Self::default();
        while let Some((line, rest)) = split_line(bytes) {
            bytes = rest;
            if line.is_empty() {
                break;
            }
            let Ok(line) = std::str::from_utf8(line) else { return broken("a header is not UTF-8") };
            if line.starts_with([' ', '\t']) {
                match headers.0.last_mut() {
                    Some((_, value)) => {
                        value.push(' ');
                        value.push_str(line.trim());
                    }
                    None => return broken("a continued line without a header"),
                }
                continue;
            }
            let Some((name, value)) = line.split_once(':') else { return broken("a header without colon") };
            let name = name.trim().to_ascii_lowercase();
            if headers.get(&name).is_some() {
                return broken("a header that occurs twice");
            }
            headers.0.push((name, value.trim().to_owned()));
        }
        Ok((headers, bytes))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// A header that is there and not blank.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&self, name: &'static str) -> Result<&str, ConfigurationError> {
        self.optional(name).ok_or(ConfigurationError::HeaderMissing(name))
    }

    /// A header that can have only one value.
    pub(super) fn fixed(&self, name: &'static str, expected: &str) -> Result<(), ConfigurationError> {
        if self.required(name)?.eq_ignore_ascii_case(expected) {
            Ok(())
        } else {
            Err(ConfigurationError::HeaderWrong(name))
        }
    }
}

/// The value before the first semicolon, and one parameter, which may stand in quotes of either kind.
pub(super) fn value_and_parameter<'a>(header: &'a str, parameter: &str) -> (&'a str, Option<&'a str>) {
    let mut pieces = header.split(';').map(str::trim);
    let value = pieces.next().unwrap_or_default();
    let found = pieces.find_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        name.trim().eq_ignore_ascii_case(parameter).then(|| unquoted(value.trim()))
    });
    (value, found.filter(|value| !value.trim().is_empty()))
}

fn unquoted(text: &str) -> &str {
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text)
}
