//! The request: target, parties and headers.

use bytes::Bytes;

use super::blob::{Blob, RestError, is_skipped, push_header};
use crate::id::{ClientId, SecurityServerId, ServiceId, decode_segment};

const METHODS: [&str; 8] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// Headers of which a client may send at most one: two would let two readers believe two things.
const SINGLE: [&str; 6] = [
    "x-road-client",
    "x-road-id",
    "x-road-userid",
    "x-road-issue",
    "x-road-security-server",
    "x-road-represented-party",
];

/// A REST request: canonical blob and what it says.
#[derive(Clone, Debug)]
pub struct RestRequest {
    blob: Blob,
    client: ClientId,
    service: ServiceId,
    security_server: Option<SecurityServerId>,
    path_from: usize,
    path_to: usize,
}

impl RestRequest {
    /// Builds the request that a consumer's server signs from the HTTP request of a client (§3.2 to
    /// §3.5). `target` is the raw path with query; `headers` stand in arrival order; `request_id` is
    /// the UUID that the server made; `new_id` makes a message id when the client gave none.
    ///
    /// # Errors
    /// Everything that §3.2 and §3.3 let a server refuse, and a repeated header that names a party,
    /// id or target, which the reference product settles by taking the last.
    pub fn from_client<'a>(
        method: &str,
        target: &str,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        request_id: &str,
        new_id: impl FnOnce() -> String,
    ) -> Result<Self, RestError> {
        let mut blob = String::with_capacity(512);
        blob.push_str(method);
        blob.push_str("\r\n");
        blob.push_str(target);
        blob.push_str("\r\n");
        let mut seen = [false; SINGLE.len()];
        for (name, value) in headers {
            let ours = ["x-road-request-id", "x-road-request-hash"]
                .iter()
                .any(|ours| ours.eq_ignore_ascii_case(name));
            if ours || is_skipped(name) {
                continue;
            }
            if let Some(place) = SINGLE.iter().position(|single| single.eq_ignore_ascii_case(name)) {
                if std::mem::replace(&mut seen[place], true) {
                    return Err(RestError::DuplicateHeader(SINGLE[place]));
                }
                if place == 1 && value.is_empty() {
                    return Err(RestError::Missing("x-road-id"));
                }
            }
            push_header(&mut blob, name, value)?;
        }
        push_header(&mut blob, "x-road-request-id", request_id.as_bytes())?;
        if !seen[1] {
            push_header(&mut blob, "x-road-id", new_id().as_bytes())?;
        }
        Self::parse(blob.into())
    }

    /// Reads a blob as a peer sent it. Only the canonical form is taken: the request hash is computed
    /// over it by both ends (§3.5, §3.7).
    pub fn parse(blob: Bytes) -> Result<Self, RestError> {
        let blob = Blob::parse(blob)?;
        if !METHODS.contains(&blob.first()) {
            return Err(RestError::Method(blob.first().chars().take(20).collect()));
        }
        let target = blob.second();
        check_target(target)?;
        let path_to = memchr::memchr(b'?', target.as_bytes()).unwrap_or(target.len());
        let path = &target[..path_to];
        let rest = path.strip_prefix("/r1/").ok_or(RestError::Target("it does not begin with /r1/"))?;
        let end = rest.match_indices('/').nth(4).map_or(rest.len(), |(at, _)| at);
        let path_from = path.len() - rest.len() + end;
        let at = |place| move |error| RestError::Identifier { place, error };
        let service = ServiceId::parse_encoded(&rest[..end]).map_err(at("the request path"))?;
        let client = blob.last("x-road-client").ok_or(RestError::MissingClient)?;
        let client = ClientId::parse_encoded(client).map_err(at("X-Road-Client"))?;
        let security_server = blob
            .last("x-road-security-server")
            .map(SecurityServerId::parse_encoded)
            .transpose()
            .map_err(at("X-Road-Security-Server"))?;
        if let Some(party) = blob.last("x-road-represented-party") {
            if party.split('/').count() > 2 {
                return Err(at("X-Road-Represented-Party")(crate::id::IdError::WrongNumberOfParts));
            }
            for segment in party.split('/') {
                decode_segment(segment).map_err(at("X-Road-Represented-Party"))?;
            }
        }
        Ok(Self { client, service, security_server, path_from, path_to, blob })
    }

    /// The octets of `/message.xml`.
    pub fn blob(&self) -> &Bytes {
        self.blob.bytes()
    }

    /// The HTTP method.
    pub fn method(&self) -> &str {
        self.blob.first()
    }

    /// Raw path and query.
    pub fn target(&self) -> &str {
        self.blob.second()
    }

    /// What follows the service code: empty, or raw and beginning with a slash.
    pub fn service_path(&self) -> &str {
        self.target().get(self.path_from..self.path_to).unwrap_or_default()
    }

    /// The raw query, if there is one; it may be empty.
    pub fn query(&self) -> Option<&str> {
        self.target().get(self.path_to..).and_then(|rest| rest.strip_prefix('?'))
    }

    /// All header lines in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.blob.headers()
    }

    /// Who calls.
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// What is called.
    pub fn service(&self) -> &ServiceId {
        &self.service
    }

    /// The message id; empty only in messages of careless peers.
    pub fn id(&self) -> &str {
        self.blob.last("x-road-id").unwrap_or_default()
    }

    /// The id that the consumer's server gave the exchange.
    pub fn request_id(&self) -> Option<&str> {
        self.blob.last("x-road-request-id")
    }

    /// The one server that the client wants the request to go to.
    pub fn security_server(&self) -> Option<&SecurityServerId> {
        self.security_server.as_ref()
    }

    /// Whether a body part of the request is passed on to the provider (§3.9).
    pub fn forwards_body(&self) -> bool {
        matches!(self.method(), "POST" | "PUT" | "PATCH")
    }
}

/// Refuses what a URI reference cannot hold (§3.2) and paths that different readers resolve
/// differently: a fragment, an authority, dot segments in disguise, encoded NUL, empty segments that are
/// not the last.
fn check_target(target: &str) -> Result<(), RestError> {
    let refuse = |why| Err(RestError::Target(why));
    if !target.starts_with('/') || target.starts_with("//") {
        return refuse("it is not a path");
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    for (text, extra) in [(path, &b"/"[..]), (query.unwrap_or_default(), &b"/?[]"[..])] {
        let bytes = text.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            let fine = match byte {
                b'%' => {
                    bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
                }
                byte => {
                    byte.is_ascii_alphanumeric()
                        || b"-._~!$&'()*+,;=:@".contains(byte)
                        || extra.contains(byte)
                }
            };
            if !fine {
                return refuse("it has a character that must be percent-encoded, or a broken escape");
            }
        }
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return refuse("it has an empty path segment");
        }
        let plain = segment.split(';').next().unwrap_or_default();
        if plain != segment || plain.contains('%') {
            let decoded = plain.replace("%2e", ".").replace("%2E", ".");
            if decoded == "." || decoded == ".." {
                return refuse("it has a disguised dot segment");
            }
        }
        if segment.contains("%00") {
            return refuse("it has an encoded NUL");
        }
    }
    Ok(())
}
