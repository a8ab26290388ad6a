//! Archives: linking information (§4.4) and, for the recorded one, the containers too.

use std::io::Cursor;

use certs::evidence::verify_container;
use protocol::archive::{Archive, ArchiveError, ArchiveLimits};

use super::{Case, Folder, VALID};

/// Last digest of the first archive of the reference's own tests.
const FIRST: &str = "9011ab557706b5050584d6888af7b390e5350f4edad296bd7a582aa51732aac7f49a4ec44dd361027945ade0de8b8cf607fb7b7d11f17b0560d44b965c358eaa";

pub(super) fn cases(folder: &Folder) -> Vec<Case> {
    let mut cases = Vec::new();
    for (file, expected) in [
        ("message-archive-0.zip", FIRST),
        ("mlog-WITH_LINKINGINFO.zip", "624334053a96e0e1209d342514b5d890aeaeee8f0659da69688a3eeac0304856"),
        ("mlog-WITH_INVALID_LINKINGINFO.zip", "the chain breaks"),
    ] {
        let name = format!("evidence/archive/{file}");
        let got = match chain(&folder.read(&name), None) {
            Err(ArchiveError::Broken(_)) => "the chain breaks".to_owned(),
            other => other.unwrap_or_else(|error| error.to_string()),
        };
        cases.push(Case::new(name, expected, got));
    }
    let name = "live/evidence/mlog-20261124031330-20261124031337-baa82b08a7038de9.zip";
    let bytes = folder.read(name);
    let last = "baa82b08a7038de9cc0664ba6fa2ff250d477fef418c21bf88b48b6b2548e91fc4e556ad92e382b0ec2121e41bd43ac94c313ea14742dce9df5121886cf8f6d9";
    let before = "31ddf68f8e39eb6e3f237fd07b069dd5425c7dd8d001962968717f1bade512cec7b75e75b7f127aaeae4e7749e0b6c6e12e081728e0aefd38fe00e4936a34cf9";
    let got = chain(&bytes, Some(before)).unwrap_or_else(|error| error.to_string());
    cases.push(Case::new(name, last, got));
    for other in [None, Some(last)] {
        let got = match chain(&bytes, other) {
            Err(ArchiveError::OtherPrevious { .. }) => "another archive before it".to_owned(),
            other => other.unwrap_or_else(|error| error.to_string()),
        };
        cases.push(Case::new(format!("{name} after {other:?}"), "another archive before it", got));
    }
    cases.extend(containers(folder, name, &bytes));
    cases
}

fn chain(bytes: &[u8], previous: Option<&str>) -> Result<String, ArchiveError> {
    let mut archive = Archive::open(Cursor::new(bytes), ArchiveLimits::default())?;
    archive.continues(previous)?;
    archive.verify()
}

fn containers(folder: &Folder, name: &str, bytes: &[u8]) -> Vec<Case> {
    let Ok(mut archive) = Archive::open(Cursor::new(bytes), ArchiveLimits::default()) else {
        return vec![Case::new(name, "an archive", "unreadable")];
    };
    let trust = folder.trust("live/globalconf-2/local-copy");
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    let mut cases = vec![Case::new(format!("{name}, containers"), "14", names.len().to_string())];
    for (place, container) in names.into_iter().enumerate() {
        let octets = archive.container(place, 1 << 20).unwrap_or_default();
        let report = verify_container(&octets, &trust, None);
        // Logged as UTF-8 by X-Road, but sent and signed as ISO-8859-1: the evidence is spoilt for good.
        let is_spoilt = container.starts_with("2ca871a8-2d8c-4826-82d3-a99d148824c1-");
        let fault = match report.steps.iter().find(|step| step.name == "references") {
            Some(step) if is_spoilt => step.fault.as_ref(),
            _ => report.fault(),
        };
        let got = fault.map_or_else(|| VALID.to_owned(), |fault| fault.code.to_string());
        let expected = if is_spoilt { "invalid_signature_value" } else { VALID };
        cases.push(Case::new(format!("{name}: {container}"), expected, got));
    }
    cases
}
