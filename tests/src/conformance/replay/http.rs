//! HTTP messages as files.

use std::path::Path;

use bytes::Bytes;

use super::super::http::Recorded;

/// A recorded message: start line, headers in order, body without its transfer coding.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) start: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// The bytes of the file.
    pub(super) raw: Bytes,
}

impl Message {
    /// Reads a file; none if it is missing or no HTTP message.
    pub(super) fn read(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read(path).ok()?)
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let Recorded { first_line, headers, body } = Recorded::parse(bytes)?;
        Some(Self { start: first_line, headers, body: body.into(), raw: Bytes::copy_from_slice(bytes) })
    }

    /// The last value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().rev().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// Method, target, body digest, and the headers that a server takes over from the message.
    pub(super) fn as_called(&self) -> String {
        let hop =
            ["host", "connection", "user-agent", "accept-encoding", "content-length", "transfer-encoding"];
        let mut headers: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| !hop.iter().any(|hop| hop.eq_ignore_ascii_case(name)))
            .map(|(name, value)| format!("{}:{value}", name.to_ascii_lowercase()))
            .collect();
        headers.sort();
        let start = self.start.trim_end_matches(" HTTP/1.1");
        format!("{start} {} {} bytes {}", headers.join(" "), self.body.len(), short_digest(&self.body))
    }

    /// The code of a SOAP fault, if the body is one.
    pub(super) fn fault_code(&self) -> Option<&str> {
        let body = std::str::from_utf8(&self.body).ok()?;
        body.split("<faultcode>").nth(1)?.split("</faultcode>").next()
    }

    /// Status and error code, or status and body, as a client tells answers apart.
    pub(super) fn as_answered(&self) -> String {
        match self.header("x-road-error").or_else(|| self.fault_code()) {
            Some(code) => format!("{} {code}", self.status()),
            None => format!("{} {} bytes {}", self.status(), self.body.len(), short_digest(&self.body)),
        }
    }
}

fn short_digest(bytes: &[u8]) -> String {
    protocol::digest::DigestAlgorithm::Sha256.digest(bytes).to_hex().chars().take(16).collect()
}
