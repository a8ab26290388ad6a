//! What a verification of evidence found, for people and for programs.

use std::fmt;

use protocol::digest::Digest;
use protocol::fault::Fault;
use protocol::id::{ClientId, ServiceId};
use protocol::time::UtcTime;
use serde_json::{Value, json};

/// The result of one step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not; the container is not valid.
    Fails,
    /// It could not be looked at because an earlier step failed.
    NotReached,
}

/// One step of a verification.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// Why not: the code of §5.6 and a text.
    pub fault: Option<Fault>,
    /// What was found.
    pub detail: Option<String>,
}

/// How an attachment stands to the signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AttachmentVerdict {
    /// It is there and is what was signed.
    Matches,
    /// It was signed and is not in the container. Attachments of SOAP messages are not logged.
    Absent,
    /// It is there and is not what was signed.
    Differs,
    /// It is there, and the signature says nothing about it.
    NotSigned,
}

/// An attachment that the signature covers, or that is in the container.
#[derive(Clone, Debug)]
pub struct AttachmentReport {
    /// `/attachment1` and so on.
    pub name: String,
    /// How it stands to the signature.
    pub verdict: AttachmentVerdict,
    /// The signed digest, when it is known.
    pub digest: Option<Digest>,
}

/// An OCSP response in the signature.
#[derive(Clone, Debug)]
pub struct OcspReport {
    /// When it was made.
    pub produced_at: UtcTime,
    /// When the status was known to be right.
    pub this_update: UtcTime,
    /// What it says.
    pub status: &'static str,
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All steps in order.
    pub steps: Vec<Step>,
    /// Who signed.
    pub signer: Option<ClientId>,
    /// Subject of the signing certificate.
    pub signer_certificate: Option<String>,
    /// The calling client, as the message says.
    pub client: Option<ClientId>,
    /// The called service, as the message says.
    pub service: Option<ServiceId>,
    /// Whether the message is a response.
    pub is_response: Option<bool>,
    /// The message id.
    pub message_id: Option<String>,
    /// When the signer says that it signed.
    pub signing_time: Option<UtcTime>,
    /// When the time-stamp was made; certificates and OCSP were checked at this time.
    pub timestamp: Option<UtcTime>,
    /// Subject of the time-stamping authority's certificate.
    pub timestamper: Option<String>,
    /// OCSP responses.
    pub ocsp: Vec<OcspReport>,
    /// Attachments.
    pub attachments: Vec<AttachmentReport>,
    /// Entries of the container that evidence does not have and that nothing covers.
    pub other_entries: Vec<String>,
}

impl Report {
    /// Whether every step holds. A report without steps is not valid.
    pub fn is_valid(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|step| step.verdict == Verdict::Holds)
    }

    /// The first fault.
    pub fn fault(&self) -> Option<&Fault> {
        self.steps.iter().find_map(|step| step.fault.as_ref())
    }

    /// Adds a step.
    pub(super) fn step<T>(&mut self, name: &'static str, result: Result<T, Fault>) -> Option<T> {
        let (verdict, fault, value) = match result {
            Ok(value) => (Verdict::Holds, None, Some(value)),
            Err(fault) => (Verdict::Fails, Some(fault), None),
        };
        self.steps.push(Step { name, verdict, fault, detail: None });
        value
    }

    /// Adds a step that needs what an earlier one gives; without it the step is not reached.
    pub(super) fn step_with<A, T>(
        &mut self,
        name: &'static str,
        needed: Option<A>,
        run: impl FnOnce(A) -> Result<T, Fault>,
    ) -> Option<T> {
        match needed {
            Some(needed) => self.step(name, run(needed)),
            None => {
                self.steps.push(Step { name, verdict: Verdict::NotReached, fault: None, detail: None });
                None
            }
        }
    }

    /// Says what the last step found.
    pub(super) fn detail(&mut self, detail: impl Into<String>) {
        if let Some(step) = self.steps.last_mut() {
            step.detail = Some(detail.into());
        }
    }

    /// The report for programs.
    pub fn to_json(&self) -> Value {
        let text = |value: &Option<String>| value.clone();
        let steps = self.steps.iter().map(|step| {
            json!({
                "name": step.name,
                "verdict": step.verdict.word(),
                "code": step.fault.as_ref().map(|fault| fault.code.clone()),
                "reason": step.fault.as_ref().map(|fault| fault.text.clone()),
                "detail": text(&step.detail),
            })
        });
        let attachments = self.attachments.iter().map(|attachment| {
            json!({
                "name": attachment.name,
                "verdict": attachment.verdict.word(),
                "digestAlgorithm": attachment.digest.map(|digest| digest.algorithm().name()),
                "digest": attachment.digest.map(|digest| digest.to_base64()),
            })
        });
        let ocsp = self.ocsp.iter().map(|response| {
            json!({
                "status": response.status,
                "producedAt": response.produced_at.to_string(),
                "thisUpdate": response.this_update.to_string(),
            })
        });
        json!({
            "valid": self.is_valid(),
            "code": self.fault().map(|fault| fault.code.clone()),
            "reason": self.fault().map(|fault| fault.text.clone()),
            "steps": steps.collect::<Vec<_>>(),
            "signer": self.signer.as_ref().map(ToString::to_string),
            "signerCertificate": text(&self.signer_certificate),
            "client": self.client.as_ref().map(ToString::to_string),
            "service": self.service.as_ref().map(ToString::to_string),
            "direction": self.is_response.map(|is_response| if is_response { "response" } else { "request" }),
            "messageId": text(&self.message_id),
            "signingTime": self.signing_time.map(|time| time.to_string()),
            "timestamp": self.timestamp.map(|time| time.to_string()),
            "timestamper": text(&self.timestamper),
            "ocspResponses": ocsp.collect::<Vec<_>>(),
            "attachments": attachments.collect::<Vec<_>>(),
            "otherEntries": self.other_entries,
        })
    }
}

impl Verdict {
    /// The word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::NotReached => "notReached",
        }
    }
}

impl AttachmentVerdict {
    /// The word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Matches => "matches",
            Self::Absent => "absent",
            Self::Differs => "differs",
            Self::NotSigned => "notSigned",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.is_valid() { "VALID" } else { "NOT VALID" })?;
        for step in &self.steps {
            let mark = match step.verdict {
                Verdict::Holds => "ok  ",
                Verdict::Fails => "FAIL",
                Verdict::NotReached => "-   ",
            };
            write!(f, "  {mark} {}", step.name)?;
            if let Some(fault) = &step.fault {
                write!(f, ": {fault}")?;
            }
            if let Some(detail) = &step.detail {
                write!(f, " ({detail})")?;
            }
            writeln!(f)?;
        }
        let mut line = |name: &str, value: Option<String>| match value {
            Some(value) => writeln!(f, "  {name}: {value}"),
            None => Ok(()),
        };
        line("message id", self.message_id.clone())?;
        line("client", self.client.as_ref().map(ToString::to_string))?;
        line("service", self.service.as_ref().map(ToString::to_string))?;
        line("signer", self.signer.as_ref().map(ToString::to_string))?;
        line("certificate", self.signer_certificate.clone())?;
        line("signing time", self.signing_time.map(|time| time.to_string()))?;
        line("time-stamp", self.timestamp.map(|time| time.to_string()))?;
        line("time-stamped by", self.timestamper.clone())?;
        for response in &self.ocsp {
            let status = response.status;
            line("OCSP", Some(format!("{status}, this update {}", response.this_update)))?;
        }
        for attachment in &self.attachments {
            line("attachment", Some(format!("{} {}", attachment.name, attachment.verdict.word())))?;
        }
        for entry in &self.other_entries {
            line("not covered by anything", Some(entry.escape_debug().to_string()))?;
        }
        Ok(())
    }
}
