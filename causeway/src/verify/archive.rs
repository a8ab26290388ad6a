//! Archives and zips of containers, and what was found in them.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use certs::evidence::{Report, verify_container};
use certs::trust::TrustStore;
use protocol::archive::{Archive, ArchiveError, ArchiveLimits, LINKING_INFORMATION};
use protocol::time::UtcTime;
use serde_json::{Value, json};
use zip::ZipArchive;

use super::LIMIT;

/// What a file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// One container, or something that is judged as one.
    Container,
    /// A zip that has containers and nothing else.
    Bundle,
    /// A zip with linking information.
    Archive,
}

/// A file with what was found in it.
pub(super) struct Judged {
    pub(super) file: String,
    pub(super) found: Found,
}

/// What was found.
pub(super) enum Found {
    Container(Box<Report>),
    Bundle(Vec<(String, Report)>),
    Archive(FoundArchive),
}

/// What was found in an archive.
pub(super) struct FoundArchive {
    /// The digest that it continues, as it says itself.
    continues: Option<String>,
    /// Whether that was compared with what it had to be.
    is_compared: bool,
    /// Why the chain does not hold.
    problem: Option<ArchiveError>,
    /// The last digest, when the chain holds.
    pub(super) last: Option<String>,
    containers: usize,
    reports: Vec<(String, Report)>,
}

/// What a file is, by the names in it. What is no zip is taken for a container, which tells what is wrong.
pub(super) fn kind(file: &Path) -> Result<Kind, String> {
    let opened = File::open(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let Ok(zip) = ZipArchive::new(BufReader::new(opened)) else { return Ok(Kind::Container) };
    let mut names = zip.file_names().filter_map(Result::ok).peekable();
    if names.peek().is_none() {
        return Ok(Kind::Container);
    }
    let (mut is_archive, mut only_containers) = (false, true);
    for name in names {
        is_archive |= name == LINKING_INFORMATION;
        only_containers &= name.ends_with(".asice");
    }
    Ok(match (is_archive, only_containers) {
        (true, _) => Kind::Archive,
        (false, true) => Kind::Bundle,
        (false, false) => Kind::Container,
    })
}

/// Checks an archive: that it continues `previous` (`-`: that it begins a chain; none: not compared), its
/// chain, and, with `trust`, each container.
pub(super) fn verify_archive(
    file: &Path,
    previous: Option<&str>,
    trust: Option<&TrustStore>,
    at: Option<UtcTime>,
) -> Result<FoundArchive, String> {
    let opened = File::open(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let mut found = FoundArchive {
        continues: None,
        is_compared: previous.is_some(),
        problem: None,
        last: None,
        containers: 0,
        reports: Vec::new(),
    };
    let mut archive = match Archive::open(BufReader::new(opened), ArchiveLimits::default()) {
        Ok(archive) => archive,
        Err(problem) => {
            found.problem = Some(problem);
            return Ok(found);
        }
    };
    found.continues = archive.linking().previous.as_ref().map(|link| link.digest.clone());
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    found.containers = names.len();
    let continues = previous.map_or(Ok(()), |digest| archive.continues((digest != "-").then_some(digest)));
    match continues.and_then(|()| archive.verify()) {
        Ok(last) => found.last = Some(last),
        Err(problem) => found.problem = Some(problem),
    }
    if let Some(trust) = trust {
        for (place, name) in names.into_iter().enumerate() {
            let octets = archive.container(place, LIMIT).map_err(|error| format!("{name}: {error}"))?;
            found.reports.push((name, verify_container(&octets, trust, at)));
        }
    }
    Ok(found)
}

/// Judges all containers of a zip.
pub(super) fn verify_bundle(
    file: &Path,
    trust: &TrustStore,
    at: Option<UtcTime>,
) -> Result<Vec<(String, Report)>, String> {
    let failed = |error: &dyn fmt::Display| format!("cannot read {}: {error}", file.display());
    let opened = File::open(file).map_err(|error| failed(&error))?;
    let mut zip = ZipArchive::new(BufReader::new(opened)).map_err(|error| failed(&error))?;
    let mut reports = Vec::new();
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(|error| failed(&error))?;
        let name = entry.name().map_err(|error| failed(&error))?.into_owned();
        let mut octets = Vec::new();
        entry.take(LIMIT).read_to_end(&mut octets).map_err(|error| failed(&error))?;
        if octets.len() as u64 == LIMIT {
            return Err(format!("{name} is longer than {LIMIT} bytes"));
        }
        reports.push((name, verify_container(&octets, trust, at)));
    }
    Ok(reports)
}

impl Judged {
    /// Whether everything in the file is valid.
    pub(super) fn is_valid(&self) -> bool {
        match &self.found {
            Found::Container(report) => report.is_valid(),
            Found::Bundle(reports) => reports.iter().all(|(_, report)| report.is_valid()),
            Found::Archive(found) => {
                found.problem.is_none() && found.reports.iter().all(|(_, report)| report.is_valid())
            }
        }
    }

    /// What was found, for programs. One container gives its own report and nothing around it.
    pub(super) fn to_json(&self) -> Value {
        let all = |reports: &[(String, Report)]| -> Vec<Value> {
            reports.iter().map(|(name, report)| json!({"name": name, "report": report.to_json()})).collect()
        };
        match &self.found {
            Found::Container(report) => report.to_json(),
            Found::Bundle(reports) => {
                json!({"file": self.file, "valid": self.is_valid(), "containers": all(reports)})
            }
            Found::Archive(found) => json!({
                "file": self.file,
                "valid": self.is_valid(),
                "previousDigest": found.continues,
                "previousDigestCompared": found.is_compared,
                "lastDigest": found.last,
                "problem": found.problem.as_ref().map(ToString::to_string),
                "containers": all(&found.reports),
            }),
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reports = match &self.found {
            Found::Container(report) => return write!(f, "{report}"),
            Found::Bundle(reports) => reports,
            Found::Archive(found) => {
                archive_lines(found, f)?;
                &found.reports
            }
        };
        for (name, report) in reports {
            let name = name.escape_debug();
            if report.is_valid() {
                let time = report.timestamp.map(|time| time.to_string()).unwrap_or_default();
                writeln!(f, "  ok   {name}: VALID, time-stamp {time}")?;
            } else {
                write!(f, "  FAIL {name}: {report}")?;
            }
        }
        let valid = reports.iter().filter(|(_, report)| report.is_valid()).count();
        if !reports.is_empty() {
            writeln!(f, "  {valid} of {} containers are valid", reports.len())?;
        }
        writeln!(f, "{}", if self.is_valid() { "VALID" } else { "NOT VALID" })
    }
}

fn archive_lines(found: &FoundArchive, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match &found.problem {
        None => writeln!(f, "  ok   linking information of {} containers", found.containers)?,
        Some(problem) => writeln!(f, "  FAIL linking information: {problem}")?,
    }
    match (&found.continues, found.is_compared) {
        (None, _) => writeln!(f, "  the archive begins a chain")?,
        (Some(digest), true) => writeln!(f, "  continues {digest}")?,
        (Some(digest), false) => {
            writeln!(f, "  says that it continues {digest}, which was not compared (--previous)")?;
        }
    }
    match &found.last {
        Some(last) => writeln!(f, "  last digest: {last}"),
        None => Ok(()),
    }
}
