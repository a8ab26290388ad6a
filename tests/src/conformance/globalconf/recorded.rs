//! Directories, parts and copies of a running federation.

use std::path::Path;

use gateway::configuration::read_local;
use protocol::configuration::directory::{assemble, content};
use protocol::configuration::local::Purpose;
use protocol::configuration::{Anchor, Directory, Instance, LocalCopy, SignedDirectory, shared};

use super::super::http::Recorded;
use super::super::{Cases, read};
use super::downloads::downloaded;
use super::{code, round_trip, time, verify};

/// Directories and parts of a running central server, read, and written again byte for byte.
pub(super) fn recorded(folder: &Path, cases: &mut Cases) {
    if !folder.is_dir() {
        return cases.skip("live", "the recordings are not here");
    }
    let anchor = |name: &str| Anchor::parse(&read(&folder.join("globalconf").join(name)));
    let certificates = |name: &str| -> Vec<Vec<u8>> {
        anchor(name)
            .iter()
            .flat_map(|anchor| &anchor.sources)
            .flat_map(|source| source.verification_certs.clone())
            .collect()
    };
    for (tree, now, versions) in [
        ("globalconf", "2026-11-24T03:10:00Z", 2..=6),
        ("globalconf-2", "2026-11-24T03:16:00Z", 2..=6),
        ("globalconf-extra-part", "2026-11-24T03:35:00Z", 6..=6),
    ] {
        for (kind, anchor) in
            [("internalconf", "anchor-INTERNAL.xml"), ("externalconf", "anchor-EXTERNAL.xml")]
        {
            for version in versions.clone() {
                let file = folder.join(tree).join(format!("{kind}.v{version}"));
                let Ok(document) = std::fs::read(&file) else { continue };
                let name = format!("live/{tree}/{kind}.v{version}");
                let set = certificates(anchor);
                let directory = verify(&document, &set, time(now));
                cases.case(&name, "accepted", code(&directory));
                let Ok(directory) = directory else { continue };
                cases.case(format!("{name}, version"), version, directory.version);
                if tree != "globalconf-extra-part" {
                    let same = written_again(&document, &directory, &set);
                    cases.case(format!("{name}, written again"), true, same);
                }
                for part in &directory.parts {
                    if part.is("CAUSEWAY-NODE-CLASSES") {
                        cases.skip(format!("{name}, {}", part.location), "a placeholder, not by our schema");
                        continue;
                    }
                    let bytes =
                        read(&folder.join(tree).join("parts").join(part.location.trim_start_matches('/')));
                    cases.case(
                        format!("{name}, {}", part.location),
                        "accepted",
                        code(&directory.check_part(part, &bytes)),
                    );
                    if part.is("SHARED-PARAMETERS")
                        && let Ok(parameters) = shared::parse(&bytes, directory.version)
                    {
                        let instance = Instance::new(parameters, directory.version, directory.expires);
                        round_trip(&format!("{name}, {}", part.location), &instance, cases);
                    }
                }
            }
        }
    }
    for kind in ["internalconf", "externalconf"] {
        let folder = folder.join("globalconf");
        let same = read(&folder.join(format!("{kind}.default"))) == read(&folder.join(format!("{kind}.v2")));
        cases.case(format!("live/globalconf/{kind} without version is version 2"), true, same);
    }
    for name in ["anchor-INTERNAL.xml", "anchor-EXTERNAL.xml"] {
        cases.case(format!("live/globalconf/{name}"), "accepted", code(&anchor(name)));
    }

    let now = time("2026-11-24T03:20:00Z");
    let copy =
        read_local(&folder.join("globalconf-2/local-copy")).unwrap_or_default().load(Purpose::Running(now));
    cases.case(
        "live/globalconf-2/local-copy",
        true,
        copy.problems.is_empty() && copy.configuration.is_current(now),
    );
    let ended = copy.configuration.is_current(time("2026-11-24T03:24:00Z"));
    cases.case("live/globalconf-2/local-copy, after its end", false, ended);
    let response =
        Recorded::parse(&read(&folder.join("exchanges/meta-11-verificationconf/client-response.http")));
    let copy = response.and_then(|response| LocalCopy::from_zip(&response.body).ok()).unwrap_or_default();
    let loaded = copy.load(Purpose::Evidence);
    let own =
        loaded.configuration.own().map_or(String::new(), |own| format!("{} {}", own.identifier, own.version));
    cases.case("live/exchanges/meta-11-verificationconf", "DEV 6", own);
    downloaded(folder, cases);
}

fn written_again(document: &[u8], directory: &Directory, certificates: &[Vec<u8>]) -> bool {
    let Ok(signed) = SignedDirectory::parse(document) else { return false };
    let text = String::from_utf8_lossy(document);
    let outer =
        text.lines().next().and_then(|line| line.rsplit_once("boundary=")).map_or("", |(_, outer)| outer);
    let octets = content(directory.expires, directory.version, &directory.parts, signed.inner_boundary());
    let algorithm = signed.certificate_hash().algorithm();
    let certificate = certificates.iter().find(|one| algorithm.digest(one) == *signed.certificate_hash());
    let again = certificate.and_then(|certificate| {
        assemble(
            &octets,
            signed.inner_boundary(),
            outer,
            signed.algorithm(),
            certificate,
            signed.signature_value(),
        )
    });
    again.as_deref() == Some(document)
}
