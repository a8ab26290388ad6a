//! Verifying an evidence container (§5.5).

use protocol::container::{Container, Parties};
use protocol::fault::{Fault, code};
use protocol::hash_chain::{self, CoveredPart, RequiredInput, Rules, Source};
use protocol::time::UtcTime;

use super::message::{ocsp_responses, path, signature_value, signing_certificate};
use super::report::{AttachmentReport, AttachmentVerdict, OcspReport, Report};
use crate::ocsp;
use crate::timestamp::{SignerId, TimestampToken};
use crate::trust::TrustStore;

/// Verifies a container and tells what it found.
///
/// Certificates and OCSP responses are checked at the time of the time-stamp, or at `at` if that is
/// given. Stricter than X-Road: an attachment that is there and is not what was signed, or that the
/// signature says nothing about, makes the container invalid.
pub fn verify_container(bytes: &[u8], trust: &TrustStore, at: Option<UtcTime>) -> Report {
    let mut report = Report::default();
    let Some(container) = report.step("container", Container::read(bytes)) else { return report };
    let signature = container.signature();
    report.other_entries = container.others().to_vec();
    report.signing_time = signature.signing_time();

    let parties = report.step("parties", Parties::read(container.message()));
    if let Some(parties) = &parties {
        report.client.clone_from(&parties.client);
        report.service.clone_from(&parties.service);
        report.message_id.clone_from(&parties.message_id);
        report.is_response = Some(parties.is_response);
        report.signer = parties.signer().ok().cloned();
    }
    let signer = report.signer.clone();
    report.step("signed message", refers_to_message(&container));

    if container.timestamp_hash_chain().is_some() {
        report.step("time-stamp hash chain", timestamp_chain(&container));
    }
    let stamped = report.step("time-stamp", timestamp(&container, trust));
    if let Some((time, subject)) = &stamped {
        report.timestamp = Some(*time);
        report.timestamper.clone_from(subject);
    }
    let at = at.or(report.timestamp);

    let covered = report.step("hash chain", signature_chain(&container));
    let certificate = report.step("signing certificate", signing_certificate(signature));
    report.signer_certificate = certificate.as_ref().map(|certificate| certificate.subject_name());
    let certificate = certificate.as_ref();
    report.step_with("signing member", certificate.zip(signer.as_ref()), |(certificate, signer)| {
        trust.member_of_signing_certificate(certificate, signer)
    });
    report.step_with("signature value", certificate, |certificate| signature_value(signature, certificate));
    report.step("references", signature.references().check_digests(&|name| container.part(name)));
    let path = report.step_with(
        "certificate path",
        certificate.zip(signer.as_ref()).zip(at),
        |((certificate, signer), at)| path(signature, certificate, signer, trust, Rules::Evidence, at),
    );
    let responses = ocsp_responses(signature);
    report.ocsp = responses
        .iter()
        .map(|response| OcspReport {
            produced_at: response.produced_at(),
            this_update: response.this_update(),
            status: response.status().name(),
        })
        .collect();
    report.step_with("certificate status", path.zip(at), |(path, at)| {
        ocsp::check_path(&path, &responses, trust, at)
    });

    report.attachments = attachments(&container, &covered.unwrap_or_default());
    let judged = judge(&report.attachments);
    report.step("attachments", judged);
    let count = report.attachments.iter().filter(|found| found.verdict == AttachmentVerdict::Matches).count();
    if !report.attachments.is_empty() {
        let all = report.attachments.len();
        report.detail(format!("{count} of {all} present"));
    }
    report
}

/// The signature covers the message itself or a chain result. Without this a signature over something
/// else would pass (§1.7).
fn refers_to_message(container: &Container<'_>) -> Result<(), Fault> {
    let references = container.signature().references();
    if references.is_over_message() || references.is_over_hash_chain() {
        Ok(())
    } else {
        Err(Fault::new(code::MALFORMED_SIGNATURE, "the signature refers to neither message nor hash chain"))
    }
}

/// Attachments are compared afterwards, so that one that is absent does not end the chain.
fn source(container: &Container<'_>, name: &str) -> Source {
    if name.starts_with(hash_chain::ATTACHMENT) {
        return Source::Unresolved;
    }
    match container.part(name).and_then(|part| part.octets().cloned()) {
        Some(octets) => Source::Octets(octets),
        None => Source::Unresolved,
    }
}

fn timestamp_chain(container: &Container<'_>) -> Result<(), Fault> {
    let Some((result, _)) = container.timestamp_hash_chain() else { return Ok(()) };
    let required = [RequiredInput { name: hash_chain::SIGNATURES, part: None }];
    hash_chain::verify(result, &|name| source(container, name), &required, Rules::Evidence)
        .map(drop)
        .map_err(|fault| Fault::new(code::MALFORMED_SIGNATURE, format!("time-stamp: {fault}")))
}

/// The time, and the subject of who stamped it.
fn timestamp(container: &Container<'_>, trust: &TrustStore) -> Result<(UtcTime, Option<String>), Fault> {
    let token = TimestampToken::parse(container.timestamp().clone())?;
    let time = token.check(container.stamped(), trust)?;
    let subject = trust
        .timestamping_authorities()
        .iter()
        .map(|authority| &authority.certificate)
        .find(|certificate| match token.signer() {
            SignerId::IssuerAndSerial(issuer, serial) => {
                certificate.issuer() == issuer && certificate.serial() == &serial[..]
            }
            SignerId::KeyId(id) => certificate.subject_key_id().is_some_and(|own| own == &id[..]),
        })
        .map(|certificate| certificate.subject_name());
    Ok((time, subject))
}

/// What the chain of the signature covers; nothing if the signature is not over one.
fn signature_chain(container: &Container<'_>) -> Result<Vec<CoveredPart>, Fault> {
    if !container.signature().references().is_over_hash_chain() {
        return Ok(Vec::new());
    }
    let Some((result, _)) = container.hash_chain() else {
        return Err(Fault::new(code::MALFORMED_SIGNATURE, "the hash chain of the signature is missing"));
    };
    let required = [RequiredInput { name: hash_chain::MESSAGE, part: None }];
    hash_chain::verify(result, &|name| source(container, name), &required, Rules::Evidence)
        .map_err(|fault| fault.within(code::MALFORMED_SIGNATURE))
}

/// Every attachment that is signed or there. Direct references were compared by the step before.
fn attachments(container: &Container<'_>, covered: &[CoveredPart]) -> Vec<AttachmentReport> {
    let mut reports: Vec<AttachmentReport> = covered
        .iter()
        .filter(|part| !part.is_verified)
        .map(|part| {
            let verdict = match container.attachment(&part.name) {
                None => AttachmentVerdict::Absent,
                Some(found) => match container.attachment_digest(found, part.digest.algorithm()) {
                    Ok(digest) if digest == part.digest => AttachmentVerdict::Matches,
                    _ => AttachmentVerdict::Differs,
                },
            };
            AttachmentReport { name: part.name.clone(), verdict, digest: Some(part.digest) }
        })
        .collect();
    for attachment in container.attachments() {
        let name = format!("/{}", attachment.name);
        if reports.iter().any(|report| report.name == name) {
            continue;
        }
        let number = name.strip_prefix(hash_chain::ATTACHMENT).and_then(|number| number.parse().ok());
        let is_signed =
            number.is_some_and(|number| container.signature().references().is_over_attachment(number));
        let verdict = if is_signed { AttachmentVerdict::Matches } else { AttachmentVerdict::NotSigned };
        reports.push(AttachmentReport { name, verdict, digest: None });
    }
    reports
}

fn judge(attachments: &[AttachmentReport]) -> Result<(), Fault> {
    for attachment in attachments {
        let text = match attachment.verdict {
            AttachmentVerdict::Matches | AttachmentVerdict::Absent => continue,
            AttachmentVerdict::Differs => "is not what was signed",
            AttachmentVerdict::NotSigned => "is not covered by the signature",
        };
        let text = format!("{} {text}", attachment.name.escape_debug());
        return Err(Fault::new(code::INVALID_HASH_CHAIN_REF, text).within(code::MALFORMED_SIGNATURE));
    }
    Ok(())
}
