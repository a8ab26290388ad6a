//! The lines of a blob, read strictly and written canonically (§3.5).

use bytes::Bytes;

use crate::fault::{Fault, code};
use crate::id::IdError;

/// Longest blob, bytes (§4.6).
pub(crate) const LIMIT: usize = 1024 * 1024;

/// Headers that never stand in a blob (§3.3), in lower case.
const SKIPPED: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// What is wrong with a REST message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RestError {
    /// Not UTF-8, a line end that is not CRLF, or the last line end missing.
    #[error("the message head is not in canonical form")]
    NotCanonical,
    /// Longer than a message head may be.
    #[error("the message head is longer than {LIMIT} bytes")]
    TooLong,
    /// A header line without a name or colon, or an empty line.
    #[error("malformed header line")]
    HeaderLine,
    /// A header that must not travel inside the message head.
    #[error("header '{0}' must not stand in a message head")]
    SkippedHeader(String),
    /// A header value with a line break, or bytes that are not text.
    #[error("header '{0}' has a value that cannot be carried")]
    HeaderValue(String),
    /// The method is none of those that can be carried.
    #[error("method '{0}' is not supported")]
    Method(String),
    /// The target is not `/r1/` with five identifiers, or no valid path.
    #[error("malformed request target: {0}")]
    Target(&'static str),
    /// An identifier in the path or in a header.
    #[error("malformed identifier in {place}: {error}")]
    Identifier {
        /// The header, or `request path`.
        place: &'static str,
        /// What is wrong with it.
        error: IdError,
    },
    /// No `X-Road-Client`.
    #[error("required header X-Road-Client is missing")]
    MissingClient,
    /// A header that occurs more than once although only one can count.
    #[error("header '{0}' occurs more than once")]
    DuplicateHeader(&'static str),
    /// A header that must be there or must not be empty.
    #[error("header '{0}' is missing or empty")]
    Missing(&'static str),
    /// The first line of a response is not a status.
    #[error("malformed status line")]
    Status,
}

impl RestError {
    /// The fault for a message that a peer sent.
    pub fn from_peer(&self) -> Fault {
        let code = match self {
            Self::MissingClient => code::INVALID_CLIENT_IDENTIFIER,
            _ => code::INTERNAL_ERROR,
        };
        Fault::new(code, self.to_string())
    }

    /// The fault for a request of an information system. Clients get 400 and `client.bad_request`, as
    /// the published protocol has it, where the reference product answers 500 (§0.2 D2).
    pub fn from_client(&self) -> Fault {
        match self {
            Self::MissingClient => {
                Fault::new("server.clientproxy.invalid_client_identifier", self.to_string())
            }
            _ => Fault::new("client.bad_request", self.to_string()),
        }
    }
}

/// Byte ranges of a header line inside the blob.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    name: (u32, u32),
    value: (u32, u32),
}

/// A blob cut into its two first lines and its header lines.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    bytes: Bytes,
    first: (u32, u32),
    second: (u32, u32),
    lines: Vec<Line>,
}

impl Blob {
    pub(super) fn parse(bytes: Bytes) -> Result<Self, RestError> {
        if bytes.len() > LIMIT {
            return Err(RestError::TooLong);
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| RestError::NotCanonical)?;
        if !text.ends_with("\r\n") {
            return Err(RestError::NotCanonical);
        }
        let mut at = 0;
        let mut next = || -> Option<Result<(u32, u32), RestError>> {
            let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
            let end = memchr::memchr(b'\r', rest.as_bytes())?;
            let line = rest.get(..end)?;
            if line.contains('\n') || rest.as_bytes().get(end + 1) != Some(&b'\n') {
                return Some(Err(RestError::NotCanonical));
            }
            let range = (at as u32, (at + end) as u32);
            at += end + 2;
            Some(Ok(range))
        };
        let first = next().ok_or(RestError::NotCanonical)??;
        let second = next().ok_or(RestError::NotCanonical)??;
        let mut lines = Vec::with_capacity(16);
        while let Some(line) = next() {
            let (start, end) = line?;
            let line = slice(text, (start, end));
            let colon = memchr::memchr(b':', line.as_bytes()).ok_or(RestError::HeaderLine)? as u32;
            if colon == 0 {
                return Err(RestError::HeaderLine);
            }
            let name = (start, start + colon);
            if is_skipped(slice(text, name)) {
                return Err(RestError::SkippedHeader(slice(text, name).to_owned()));
            }
            lines.push(Line { name, value: (start + colon + 1, end) });
        }
        Ok(Self { bytes, first, second, lines })
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(super) fn first(&self) -> &str {
        slice(self.text(), self.first)
    }

    pub(super) fn second(&self) -> &str {
        slice(self.text(), self.second)
    }

    pub(super) fn headers(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        let text = self.text();
        self.lines.iter().map(move |line| (slice(text, line.name), slice(text, line.value)))
    }

    /// The last value of a header, letter case of its name ignored: the last one counts (§3.3).
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.headers()
            .rev()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        // Checked once in `parse`; an empty string stands for the impossible.
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }
}

fn slice(text: &str, (start, end): (u32, u32)) -> &str {
    text.get(start as usize..end as usize).unwrap_or_default()
}

pub(super) fn is_skipped(name: &str) -> bool {
    SKIPPED.iter().any(|skipped| skipped.eq_ignore_ascii_case(name))
}

/// Appends a header line. `value` may be ISO-8859-1, as HTTP carries it, and is written as UTF-8.
pub(super) fn push_header(blob: &mut String, name: &str, value: &[u8]) -> Result<(), RestError> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
        return Err(RestError::HeaderLine);
    }
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(RestError::HeaderValue(name.to_owned()));
    }
    blob.push_str(name);
    blob.push(':');
    match std::str::from_utf8(value) {
        Ok(text) if text.is_ascii() => blob.push_str(text),
        _ => blob.extend(value.iter().map(|byte| char::from(*byte))),
    }
    blob.push_str("\r\n");
    if blob.len() > LIMIT { Err(RestError::TooLong) } else { Ok(()) }
}
