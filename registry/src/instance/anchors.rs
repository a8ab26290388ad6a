//! Trusted anchors: the instances that this one is federated with (global configuration and trust §12.1).
//!
//! Trust is pairwise: the administrators of two registries give each other their external anchors. An
//! anchor is tried before it is trusted, so that it leads to what another instance may show and to nothing
//! else. A suspended federation keeps its anchor and is not published; each server forgets the partner in
//! its next round.

use std::time::Duration;

use bytes::Bytes;
use gateway::Clock;
use gateway::configuration::trial::Trial;
use gateway::configuration::{Contents, Federations};
use gateway::http::Fetcher;
use protocol::configuration::Anchor;

use super::model::TrustedAnchor;
use super::record::{Record, RecordKey};
use super::{Desk, Instance, Refusal};

/// Longest anchor file.
const LONGEST_FILE: usize = 1 << 20;

/// An anchor that leads to the external configuration of its instance.
#[derive(Clone, Debug)]
pub struct TriedAnchor {
    anchor: Anchor,
    file: Bytes,
}

impl TriedAnchor {
    /// Reads an anchor file, and downloads what it leads to.
    ///
    /// # Errors
    /// It is no anchor; nothing can be had with it, or the configuration has private parameters.
    pub async fn with(file: &[u8], clock: Clock) -> Result<Self, Refusal> {
        let tried = Self::untried(file)?;
        let trial = Trial {
            anchor: tried.anchor.clone(),
            contents: Contents::External,
            version: None,
            federations: Federations::None,
        };
        let fetcher = Fetcher::new(Duration::from_secs(10), Duration::from_secs(30));
        let downloaded = trial.download(&fetcher, clock).await;
        match downloaded.configuration.instance(&tried.anchor.instance) {
            Some(_) => Ok(tried),
            None => {
                let failures = downloaded.report.failures.iter();
                let told: Vec<String> = failures.map(|(place, error)| format!("{place}: {error}")).collect();
                Err(Refusal::AnchorNotVerified(told.join("; ")))
            }
        }
    }

    pub(super) fn untried(file: &[u8]) -> Result<Self, Refusal> {
        Ok(Self { anchor: read_anchor(file)?, file: Bytes::copy_from_slice(file) })
    }
}

/// Reads an anchor file, to be shown before it is trusted.
///
/// # Errors
/// It is no anchor.
pub fn read_anchor(file: &[u8]) -> Result<Anchor, Refusal> {
    if file.len() > LONGEST_FILE {
        return Err(Refusal::MalformedAnchor("it is too long".into()));
    }
    Anchor::parse(file).map_err(|error| Refusal::MalformedAnchor(error.to_string()))
}

impl TrustedAnchor {
    /// SHA-224 over the file, as people compare it.
    pub fn hash(&self) -> String {
        Anchor::shown_hash(&self.file)
    }
}

impl Instance {
    /// The trusted anchor with this hash, with or without colons, in any case.
    pub fn anchor_with_hash(&self, hash: &str) -> Option<&TrustedAnchor> {
        let plain = |text: &str| text.replace(':', "").to_ascii_uppercase();
        self.anchors.values().find(|anchor| plain(&anchor.hash()) == plain(hash))
    }
}

impl Desk {
    /// Trusts another instance, or takes another anchor of one that is trusted; a suspended federation
    /// stays suspended.
    ///
    /// # Errors
    /// The operator allows none; it is an anchor of this very instance.
    pub fn add_trusted_anchor(&self, tried: TriedAnchor) -> Result<TrustedAnchor, Refusal> {
        self.change(|draft| {
            if !draft.rules.trusted_anchors {
                return Err(Refusal::AnchorsNotAllowed);
            }
            let TriedAnchor { anchor, file } = tried;
            let instance = anchor.instance;
            if draft.instance.parameters.instance.as_ref() == Some(&instance) {
                return Err(Refusal::AnchorNotVerified("it is an anchor of this instance".into()));
            }
            let suspended = draft.instance.anchors.get(&instance).is_some_and(|known| known.suspended);
            let anchor = TrustedAnchor { instance, file, suspended, added: draft.now };
            draft.put(Record::Anchor(anchor.clone()));
            Ok(anchor)
        })
    }

    /// Ends the trust in another instance.
    ///
    /// # Errors
    /// There is no anchor with this hash.
    pub fn delete_trusted_anchor(&self, hash: &str) -> Result<TrustedAnchor, Refusal> {
        self.change(|draft| {
            let known = draft.instance.anchor_with_hash(hash);
            let known = known.ok_or_else(|| Refusal::AnchorNotFound(hash.to_owned()))?;
            draft.remove(RecordKey::Anchor(known.instance.clone()));
            Ok(known.clone())
        })
    }

    /// Suspends a federation, or takes it up again. It is published at once, and each server obeys with
    /// its next round.
    ///
    /// # Errors
    /// There is no anchor with this hash.
    pub fn suspend_federation(&self, hash: &str, suspended: bool) -> Result<TrustedAnchor, Refusal> {
        self.change(|draft| {
            let known = draft.instance.anchor_with_hash(hash);
            let known = known.ok_or_else(|| Refusal::AnchorNotFound(hash.to_owned()))?;
            let anchor = TrustedAnchor { suspended, ..known.clone() };
            if known.suspended != suspended {
                draft.put(Record::Anchor(anchor.clone()));
            }
            Ok(anchor)
        })
    }
}
