//! Files of operators, answers of port 5577, and the message log on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use gateway::ocsp::multipart;
use gateway::ports::ServiceType;
use protocol::time::UtcTime;
use security_server::description::catalogue::{self, Source};
use security_server::description::{DescriptionError, Document};
use security_server::message_log::{Checkpoint, Filter, Reader};
use security_server::state::ClientSettings;

use crate::Target;

/// Targets of this module.
pub const TARGETS: &[(&str, Target)] = &[
    ("ocsp_multipart", ocsp_multipart),
    ("node_configuration", node_configuration),
    ("registry_configuration", registry_configuration),
    ("instance_file", instance_file),
    ("wsdl", wsdl),
    ("openapi", openapi),
    ("checkpoint", checkpoint),
    ("message_log", message_log),
];

fn ocsp_multipart(data: &[u8]) {
    let (kind, body) = data.split_at(data.iter().position(|octet| *octet == b'\n').map_or(0, |at| at + 1));
    let body = Bytes::copy_from_slice(body);
    let _ = multipart::read(&String::from_utf8_lossy(kind), &body);
    let start = data.iter().skip(2).take(70).take_while(|octet| octet.is_ascii_alphanumeric());
    let boundary: String = start.map(|octet| char::from(*octet)).collect();
    let kind = format!("multipart/related; boundary={boundary}");
    let Some(parts) = multipart::read(&kind, &Bytes::copy_from_slice(data)) else { return };
    let again = multipart::read(&kind, &multipart::write(&boundary, &parts));
    assert_eq!(again, Some(parts));
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

fn node_configuration(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Err(error) = security_server::config::Config::parse(text, Path::new("/nowhere/node.toml")) {
        let _ = error.to_string();
    }
}

fn registry_configuration(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Err(problems) = registry::Config::parse(text, Path::new("/nowhere")) {
        let _ = problems.to_string();
    }
}

const URL: &str = "http://h/folder/document";

/// What is read can be added to a client, and then says nothing new.
fn added(document: &Document) {
    let mut client = ClientSettings::default();
    let source = match document {
        Document::Wsdl(document) => Source::Wsdl { url: URL, document },
        Document::OpenApi(document) => Source::OpenApi { url: URL, document, code: "code" },
    };
    match catalogue::add(&mut client, source, true) {
        Ok(keys) => assert_eq!(keys.len(), client.services.len(), "each service once"),
        Err(DescriptionError::Reserved(_)) => return,
        Err(error) => panic!("{error}"),
    }
    let differences = catalogue::compare(&client, URL, document).expect("it was just added");
    assert!(differences.is_empty(), "{differences}");
    let before = client.clone();
    catalogue::refresh(&mut client, URL, None, document, true).expect("it was just added");
    assert_eq!(client, before);
}

fn wsdl(data: &[u8]) {
    match Document::parse(ServiceType::Soap, data, None, URL) {
        Ok(document) => added(&document),
        Err(error) => drop(error.to_string()),
    }
}

fn openapi(data: &[u8]) {
    for kind in ["application/json", "application/x-yaml"] {
        match Document::parse(ServiceType::OpenApi, data, Some(kind), URL) {
            Ok(document) => added(&document),
            Err(error) => drop(error.to_string()),
        }
    }
}

/// What can be published in one version of the configuration is published.
fn instance_file(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let now = UtcTime::from_millis(1_795_500_000_000);
    match registry::state::read(text, &files, now) {
        Err(problems) => drop(problems.to_string()),
        Ok(checked) => {
            let _ = (checked.state.node_classes(), checked.state.private_parameters("host"));
            for version in 2..=6 {
                let parameters = checked.state.shared_parameters(version, Vec::new());
                let _ = protocol::configuration::shared::write(&parameters, version);
            }
        }
    }
}

fn checkpoint(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(
            Checkpoint::parse(&checkpoint.note(None)).map(|again| again.body()).ok(),
            Some(checkpoint.body())
        );
    }
    let _ = Checkpoint::verify(text, "log", &[7; 32]);
}

/// A log whose one segment holds these octets.
fn message_log(data: &[u8]) {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("causeway-fuzz-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    });
    std::fs::write(folder.join("segment-0000000000.log"), data).expect("a file");
    let Ok(reader) = Reader::open(folder) else { return };
    for summary in reader.list(Filter::default()).take(100).flatten() {
        let _ = (reader.show(summary.sequence), reader.stamp(summary.sequence));
        let _ = reader.inclusion_proof(summary.sequence, reader.size());
    }
    let _ =
        (reader.verify(None), reader.consistency_proof(1, reader.size()), reader.show(0), reader.stamp(0));
    let _ = reader.checkpoint("log");
}
