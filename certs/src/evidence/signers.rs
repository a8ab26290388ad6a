//! Who signed a moment ago, and what its signatures look like.
//!
//! The next signature of a signer shows the same certificate with the same OCSP responses, so its path need
//! not be built again; and it has the same form, so it need not be parsed again. Its value, its references
//! and its hash chain are verified like any other's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use protocol::configuration::GlobalConfiguration;
use protocol::id::MemberId;
use protocol::signature::{SignatureDocument, Template};
use protocol::time::UtcTime;

use super::memory::{LONGEST, Verified};
use crate::certificate::Certificate;
use crate::trust::TrustStore;

/// Members that are remembered; when there are more, all are forgotten.
const MOST_MEMBERS: usize = 1024;

/// Certificates of one member that sign at the same time and are remembered.
const MOST_CERTIFICATES: usize = 4;

/// Signers by member.
#[derive(Default)]
pub(super) struct Signers {
    members: Mutex<HashMap<MemberId, Vec<Arc<Known>>>>,
}

/// A certificate with the OCSP responses by which it was found good.
pub(super) struct Known {
    /// What it was verified against. Held weakly: an address is not used again while it is held.
    configuration: Weak<GlobalConfiguration>,
    /// None for documents of a form that cannot be one; it keeps us from trying again and again.
    template: Option<Template>,
    pub(super) certificate: Certificate,
    pub(super) status_of: UtcTime,
    pub(super) from: UtcTime,
    pub(super) until: UtcTime,
}

impl Known {
    fn holds(&self, trust: &TrustStore, at: UtcTime) -> bool {
        std::ptr::eq(self.configuration.as_ptr(), trust.configuration())
            && self.from <= at
            && at <= self.until
    }
}

impl Signers {
    /// The document, read by its likeness to one of this member whose signer was found good, by this
    /// configuration and for this time.
    pub(super) fn read(
        &self,
        octets: &bytes::Bytes,
        member: &MemberId,
        trust: &TrustStore,
        at: UtcTime,
    ) -> Option<(SignatureDocument, Arc<Known>)> {
        let known: Vec<Arc<Known>> = {
            let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.get(member)?.iter().filter(|known| known.holds(trust, at)).cloned().collect()
        };
        known.into_iter().find_map(|known| {
            let document = known.template.as_ref()?.read(octets)?;
            Some((document, known))
        })
    }

    /// Remembers the signer of a document that verified.
    pub(super) fn remember(
        &self,
        document: &SignatureDocument,
        certificate: Certificate,
        verified: &Verified,
        trust: &TrustStore,
        at: UtcTime,
    ) {
        let member = &verified.signer;
        {
            let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            if members.len() >= MOST_MEMBERS && !members.contains_key(member) {
                members.clear();
            }
            let known = members.entry(member.clone()).or_default();
            known.retain(|known| known.holds(trust, at));
            let is_hopeless = |known: &Arc<Known>| known.template.is_none();
            if known.iter().any(is_hopeless) || known.len() >= MOST_CERTIFICATES {
                return;
            }
        }
        let known = Arc::new(Known {
            configuration: Arc::downgrade(&trust.shared_configuration()),
            template: Template::of(document),
            certificate,
            status_of: verified.status_of,
            from: verified.from,
            until: verified.until.min(at.plus(LONGEST)),
        });
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.entry(member.clone()).or_default().push(known);
    }
}
