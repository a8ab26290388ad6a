//! Signed documents and verification data for information systems (messages and transport §5.4).

use std::io::{self, Cursor, Write as _};

use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode, Uri};
use protocol::configuration::parameters::shared;
use protocol::fault::Fault;
use protocol::id::{ClientId, MemberId};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::consumer::identify;
use crate::http::Outgoing;
use crate::http::server::Connection;
use crate::node::Node;
use crate::ports::{ContainerError, ContainerQuery, Direction, NamedContainer};

/// Longest part of a file name that comes from a message id (§5.4).
const NAME_LIMIT: usize = 226;

/// Why a request gets a plain text instead of a file.
pub(super) struct Refused(StatusCode, String);

/// `GET /asic`
pub(super) async fn containers(node: &Node, connection: &Connection, uri: &Uri) -> Response<Outgoing> {
    match find(node, connection, uri.query().unwrap_or_default()).await {
        Ok(response) => response,
        Err(Refused(status, text)) => plain(status, text),
    }
}

async fn find(node: &Node, connection: &Connection, query: &str) -> Result<Response<Outgoing>, Refused> {
    let bad = |text: &str| Refused(StatusCode::BAD_REQUEST, text.to_owned());
    let parameters = Parameters::parse(query)?;
    let required = |name: &'static str| {
        let value = parameters.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| bad(&format!("missing query parameter {name}")))
    };
    let member = MemberId::new(required("xRoadInstance")?, required("memberClass")?, required("memberCode")?)
        .map_err(|error| bad(&error.to_string()))?;
    let subsystem = parameters.get("subsystemCode").filter(|code| !code.is_empty());
    let owner = ClientId::new(member, subsystem).map_err(|error| bad(&error.to_string()))?;
    let message_id = required("queryId")?;
    let direction = match (parameters.has("requestOnly"), parameters.has("responseOnly")) {
        (true, true) => return Err(bad("requestOnly and responseOnly exclude each other")),
        (true, false) => Some(Direction::Request),
        (false, true) => Some(Direction::Response),
        (false, false) => None,
    };
    let unique = parameters.has("unique");
    if unique && direction.is_none() {
        return Err(bad("unique needs requestOnly or responseOnly"));
    }
    identify(node, &owner, connection)
        .map_err(|fault: Fault| Refused(StatusCode::UNAUTHORIZED, fault.text))?;
    let query = ContainerQuery { owner: &owner, message_id, direction, force: parameters.has("force") };
    let mut found = node.log.containers(query).await.map_err(|error| match error {
        ContainerError::NotFound => Refused(StatusCode::NOT_FOUND, error.to_string()),
        ContainerError::NotTimestamped => Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        ContainerError::Log(error) => {
            tracing::error!(%error, "containers cannot be read from the message log");
            Refused(StatusCode::INTERNAL_SERVER_ERROR, "the message log failed".to_owned())
        }
    })?;
    if unique {
        return match (found.pop(), found.is_empty()) {
            (None, _) => Err(Refused(StatusCode::NOT_FOUND, ContainerError::NotFound.to_string())),
            (Some(only), true) => Ok(file("application/vnd.etsi.asic-e+zip", &only.name, only.bytes.into())),
            (Some(_), false) => {
                let text = "several documents have this message id".to_owned();
                Err(Refused(StatusCode::INTERNAL_SERVER_ERROR, text))
            }
        };
    }
    let suffix = match direction {
        None => "",
        Some(Direction::Request) => "-request",
        Some(Direction::Response) => "-response",
    };
    let name: String = form_encoded(message_id).chars().take(NAME_LIMIT).collect();
    let bytes = stored(&found).map_err(|error| {
        tracing::error!(%error, "containers cannot be put together");
        Refused(StatusCode::INTERNAL_SERVER_ERROR, "the documents cannot be put together".to_owned())
    })?;
    Ok(file("application/zip", &format!("{name}{suffix}.zip"), Outgoing::from(bytes::Bytes::from(bytes))))
}

/// `GET /verificationconf`
pub(super) fn verification_configuration(node: &Node) -> Response<Outgoing> {
    let Some(snapshot) = node.snapshot.load() else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "there is no global configuration".to_owned());
    };
    let configuration = snapshot.configuration();
    let mut instances: Vec<_> = configuration.instances.values().collect();
    instances.sort_by(|one, other| one.identifier.cmp(&other.identifier));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    let mut add = |name: &str, bytes: &[u8]| -> zip::result::ZipResult<()> {
        zip.start_file(format!("verificationconf/{name}"), options)?;
        Ok(zip.write_all(bytes)?)
    };
    let write = || {
        for instance in instances {
            let folder = form_encoded(&instance.identifier);
            // The registry's own bytes: whoever gets them can compare them with what it published.
            let parameters = match &instance.shared_file {
                Some(file) => file.clone(),
                None => shared::write(&instance.shared, instance.version).map_err(io::Error::other)?.into(),
            };
            add(&format!("{folder}/shared-params.xml"), &parameters)?;
            let metadata = format!("{{\"configurationVersion\":\"{}\"}}", instance.version);
            add(&format!("{folder}/shared-params.xml.metadata"), metadata.as_bytes())?;
        }
        add("instance-identifier", configuration.own_instance.as_bytes())
    };
    match write().and_then(|()| zip.finish()) {
        Ok(zip) => {
            let mut response = Response::new(Outgoing::from(bytes::Bytes::from(zip.into_inner())));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
            headers.insert(
                header::CONTENT_DISPOSITION,
                HeaderValue::from_static("filename=\"verificationconf.zip\""),
            );
            response
        }
        Err(error) => {
            tracing::error!(%error, "verification data cannot be put together");
            let text = "verification data cannot be put together".to_owned();
            plain(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

/// Containers in a zip, uncompressed.
fn stored(containers: &[NamedContainer]) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for container in containers {
        zip.start_file(container.name.as_str(), options)?;
        zip.write_all(&container.bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

fn file(content_type: &'static str, name: &str, body: Outgoing) -> Response<Outgoing> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let name: String = name.chars().filter(|character| !matches!(character, '"' | '\\')).collect();
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

fn plain(status: StatusCode, text: String) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::from(text));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// The parameters of a query, the first of each name.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(query: &str) -> Result<Self, Refused> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((form_decoded(name)?, form_decoded(value)?))
        });
        decoded.collect::<Option<_>>().map(Self).ok_or_else(|| {
            Refused(StatusCode::BAD_REQUEST, "the query is not correctly percent-encoded".to_owned())
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// The last parameter of this name, letter case ignored.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

fn form_decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8().ok().map(|text| text.into_owned())
}

/// As HTML forms encode: letters, digits and `*-._` stay, a space becomes a plus.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            byte => {
                encoded.push('%');
                encoded.push_str(&protocol::digest::hex(&[byte]).to_ascii_uppercase());
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let parameters = Parameters::parse("a=1+2&b=%C3%A4&unique&c=&a=3").ok().unwrap();
        assert_eq!(parameters.get("a"), Some("1 2"));
        assert_eq!(parameters.get("b"), Some("\u{e4}"));
        assert!(parameters.has("unique") && parameters.has("c") && !parameters.has("d"));
        assert!(Parameters::parse("a=%ff").is_err());
    }

    #[test]
    fn file_names_are_form_encoded() {
        assert_eq!(form_encoded("CW-1*_.x y/\u{e4}"), "CW-1*_.x+y%2F%C3%A4");
    }
}
