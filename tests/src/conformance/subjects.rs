//! Decoding subjects to members (global configuration and trust §14.5).

use std::path::Path;

use certs::certificate::DistinguishedName;
use certs::certificate::name::attribute;
use certs::profile::Profile;
use serde::Deserialize;

use super::{Case, Cases, Skipped};

const FILE: &str = "globalconf/certificate-subjects.json";

#[derive(Deserialize)]
struct Stated {
    cases: Vec<StatedCase>,
}

#[derive(Deserialize)]
struct StatedCase {
    profile: String,
    instance_parameter: Option<String>,
    subject: String,
    expect: Option<String>,
}

/// One case for each subject of the vectors: the member it names, or `refused`.
pub fn cases(vectors: &Path) -> Cases {
    let stated = std::fs::read(vectors.join(FILE)).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let Some(Stated { cases }) = stated else {
        let skipped = Skipped { name: FILE.to_owned(), reason: "the file is not there".to_owned() };
        return Cases { cases: Vec::new(), skipped: vec![skipped] };
    };
    let cases = cases.into_iter().map(|stated| {
        let got = member(&stated).unwrap_or_else(|| "refused".to_owned());
        let name = format!("{FILE}: {} {}", stated.profile, stated.subject);
        Case::new(name, stated.expect.unwrap_or_else(|| "refused".to_owned()), got)
    });
    Cases { cases: cases.collect(), skipped: Vec::new() }
}

fn member(stated: &StatedCase) -> Option<String> {
    let profile = Profile::ALL.into_iter().find(|profile| profile.short_name() == stated.profile)?;
    let instance = stated.instance_parameter.as_deref().unwrap_or("INSTANCE");
    let member = profile.member(&name(&stated.subject)?, instance).ok()?;
    Some(member.to_string())
}

fn name(text: &str) -> Option<DistinguishedName> {
    let pairs: Option<Vec<_>> = text
        .split(", ")
        .map(|pair| {
            let (kind, value) = pair.split_once('=')?;
            let kind = match kind.to_ascii_uppercase().as_str() {
                "C" => attribute::COUNTRY,
                "O" => attribute::ORGANIZATION,
                "OU" => attribute::ORGANIZATIONAL_UNIT,
                "CN" => attribute::COMMON_NAME,
                "ST" => attribute::STATE,
                "SERIALNUMBER" => attribute::SERIAL_NUMBER,
                "2.5.4.97" => attribute::ORGANIZATION_IDENTIFIER,
                _ => return None,
            };
            Some((kind, value))
        })
        .collect();
    DistinguishedName::build(pairs?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_agree() {
        let Some(vectors) = crate::conformance::vectors() else {
            eprintln!("NOT RUN: the vectors are not there");
            return;
        };
        let found = cases(&vectors);
        for case in &found.cases {
            assert!(case.agrees(), "{case:?}");
        }
        assert_eq!(found.cases.len(), 23, "{:?}", found.skipped);
    }
}
