//! Time-stamp tokens (§3.3) and OCSP responses (§5.4).

use certs::certificate::Certificate;
use certs::ocsp::{self, OcspResponse};
use certs::timestamp::TimestampToken;
use certs::trust::TrustStore;
use protocol::container::Container;

use super::{Case, Folder, VALID, or_none, time, verdict};

pub(super) fn cases(folder: &Folder) -> Vec<Case> {
    let mut cases = tokens(folder);
    cases.extend(decoded(folder));
    let name = "evidence/ocsp/test.ocsp";
    cases.push(Case::new(name, VALID, verdict(OcspResponse::parse(folder.read(name)))));
    cases
}

fn tokens(folder: &Folder) -> Vec<Case> {
    let name = "evidence/timestamps/valid.tst";
    let data = folder.read("evidence/timestamps/stamped-data");
    let mut changed = data.to_vec();
    if let Some(first) = changed.first_mut() {
        *first ^= 1;
    }
    let approved = folder.trust("evidence/globalconf/good_v3_EE");
    let foreign = folder.trust("evidence/worked-example/globalconf");
    let check = |data: &[u8], trust: &TrustStore| {
        let checked = TimestampToken::parse(folder.read(name)).and_then(|token| token.check(data, trust));
        match checked {
            Ok(time) => time.to_string(),
            Err(fault) => fault.code.into_owned(),
        }
    };
    let response = folder.read("evidence/timestamps/tsp.response");
    let token = content_info(&response).map(|token| TimestampToken::parse(token.to_vec()));
    vec![
        Case::new(name, "2012-11-29T13:10:04Z", check(&data, &approved)),
        Case::new(format!("{name}, foreign TSA"), "mlog.tsp_certificate_not_found", check(&data, &foreign)),
        Case::new(format!("{name}, changed data"), "malformed_signature", check(&changed, &approved)),
        Case::new(
            "evidence/timestamps/tsp.response",
            "2014-05-06T08:28:49Z",
            or_none(token.and_then(Result::ok).map(|token| token.time())),
        ),
    ]
}

/// The token in a `TimeStampResp`: what stands behind the status.
fn content_info(response: &[u8]) -> Option<&[u8]> {
    let inside = response.get(4..)?; // SEQUENCE with two octets of length
    let status = usize::from(*inside.get(1)?); // a short SEQUENCE
    inside.get(2 + status..)
}

/// Tokens and responses that were taken out of containers.
fn decoded(folder: &Folder) -> Vec<Case> {
    let trust = folder.trust("evidence/globalconf/good2_v3");
    let mut cases = Vec::new();
    for (name, at) in [
        ("valid-signed-message", "2024-12-05T13:16:35Z"),
        ("valid-batch-ts", "2024-12-05T07:34:14Z"),
        ("valid-non-batch-rest", "2024-07-11T12:51:12Z"),
    ] {
        let bytes = folder.read(&format!("evidence/containers/{name}.asice"));
        let file = format!("evidence/timestamps/{name}.tst");
        let Ok(container) = Container::read(&bytes) else {
            cases.push(Case::new(file, at, "no container"));
            continue;
        };
        let token = TimestampToken::parse(folder.read(&file));
        let got = match token.and_then(|token| token.check(container.stamped(), &trust)) {
            Ok(time) => time.to_string(),
            Err(fault) => fault.code.into_owned(),
        };
        cases.push(Case::new(file, at, got));

        let file = format!("evidence/ocsp/{name}-1.der");
        let certificate = Certificate::from_der(container.signature().certificate().clone()).ok();
        let issuer = certificate.as_ref().and_then(|certificate| trust.issuer_of(certificate, None));
        let got = match (&certificate, issuer) {
            (Some(certificate), Some(issuer)) => {
                verdict(OcspResponse::parse(folder.read(&file)).and_then(|response| {
                    ocsp::check(&response, certificate, issuer.certificate(), &trust, time(at))
                }))
            }
            _ => "no issuer".to_owned(),
        };
        cases.push(Case::new(file, VALID, got));
    }
    cases
}
