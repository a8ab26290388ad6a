//! What is kept of the attachments of a message (signatures and evidence §6.3).
//!
//! The body of a REST message is its one attachment. Of several attachments the octets that are kept
//! stand one after the other, and the details of the record say where each ends.

use std::sync::Arc;

use gateway::ports::{LogError, LoggedBody};

use super::MessageLog;
use super::bodies::Source;
use super::details::{AttachmentDetails, BodyForm, Details};
use super::record::KeptBody;
use super::switches::Oversize;

/// What is to be kept of one attachment.
struct Kept {
    length: u64,
    octets: Option<(Source, u64)>,
    digest: Option<[u8; 64]>,
}

impl MessageLog {
    /// Keeps the attachments of a message, as far as the settings say, and fills in the details. With
    /// `logged` false nothing is kept.
    pub(super) async fn keep_attachments(
        &self,
        attachments: &[LoggedBody],
        logged: bool,
        details: &mut Details,
    ) -> Result<KeptBody, LogError> {
        if attachments.is_empty() {
            return Ok(KeptBody::None);
        }
        let logged = logged && self.bodies.limit > 0;
        let mut decided = Vec::with_capacity(attachments.len());
        for attachment in attachments {
            decided.push(self.decide(attachment, logged).await?);
        }
        details.body_length = decided.iter().map(|kept| kept.length).sum();
        details.truncated =
            decided.iter().any(|kept| kept.octets.as_ref().is_some_and(|(_, octets)| *octets < kept.length));
        match decided.as_slice() {
            [one] => details.body_digest = one.digest,
            several => {
                details.attachments = several
                    .iter()
                    .map(|kept| AttachmentDetails {
                        length: kept.length,
                        kept: kept.octets.as_ref().map_or(0, |(_, octets)| *octets),
                        digest: kept.digest,
                    })
                    .collect();
            }
        }
        let sources: Vec<_> = decided.into_iter().filter_map(|kept| kept.octets).collect();
        if sources.is_empty() {
            details.body = if logged { BodyForm::DigestOnly } else { BodyForm::SwitchedOff };
            return Ok(KeptBody::None);
        }
        let kept = self.copier.keep(sources).await?;
        details.body = match kept {
            KeptBody::OwnFile { .. } => BodyForm::OwnFile,
            KeptBody::Inline(_) | KeptBody::None => BodyForm::Inline,
        };
        Ok(kept)
    }

    async fn decide(&self, attachment: &LoggedBody, logged: bool) -> Result<Kept, LogError> {
        let source = match attachment {
            LoggedBody::Memory(bytes) => Source::Memory(bytes.clone()),
            LoggedBody::File { file, at, length } => {
                Source::File { file: Arc::clone(file), at: *at, length: *length }
            }
            LoggedBody::DigestOnly { length, .. }
                if logged && *length > self.bodies.limit && self.bodies.oversize == Oversize::Refuse =>
            {
                return Err(self.refused(*length));
            }
            LoggedBody::DigestOnly { length, digest } => {
                let digest = digest.bytes().try_into().ok().filter(|_| logged);
                return Ok(Kept { length: *length, octets: None, digest });
            }
        };
        let length = source.length();
        if !logged {
            return Ok(Kept { length, octets: None, digest: None });
        }
        if length <= self.bodies.limit {
            return Ok(Kept { length, octets: Some((source, length)), digest: None });
        }
        match self.bodies.oversize {
            Oversize::Refuse => Err(self.refused(length)),
            Oversize::Truncate => {
                Ok(Kept { length, octets: Some((source, self.bodies.limit)), digest: None })
            }
            Oversize::DigestOnly => {
                let digest = Some(self.copier.digest(source).await?);
                Ok(Kept { length, octets: None, digest })
            }
        }
    }

    fn refused(&self, length: u64) -> LogError {
        let limit = self.bodies.limit;
        LogError::Unavailable(format!("the body has {length} bytes, {limit} are logged at most"))
    }
}
