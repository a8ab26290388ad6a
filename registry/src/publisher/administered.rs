//! What is published of an administered instance: what the desk has, once there is all that it takes.

use std::sync::Arc;

use super::Anchors;
use crate::instance::{Desk, Missing};
use crate::management::ManagementTls;
use crate::publish::{Address, Edition, SourceKind};
use crate::state::InstanceState;

/// An administered instance at work.
pub(crate) struct AdministeredWork {
    anchors: Anchors,
    /// Its certificate is published, so that servers know the registration service.
    tls: Arc<ManagementTls>,
    current: Option<Current>,
    /// What was missing last, so that it is told once.
    missing: Vec<Missing>,
}

/// What the last round was made from.
struct Current {
    generation: u64,
    state: InstanceState,
    address: Address,
    expiry: std::time::Duration,
}

impl AdministeredWork {
    pub(crate) fn new(anchors: Anchors, tls: Arc<ManagementTls>) -> Self {
        Self { anchors, tls, current: None, missing: Vec::new() }
    }

    /// What to publish; none while something is missing.
    pub(super) fn edition(&mut self, desk: &Desk) -> Option<Edition<'_>> {
        let missing = desk.missing();
        if missing != self.missing {
            for missing in &missing {
                tracing::warn!("nothing new is published: {missing}");
            }
            self.missing.clone_from(&missing);
        }
        if !missing.is_empty() {
            return None;
        }
        let certificate = self.tls.current().certificate().der().to_vec();
        let look = desk.look();
        let is_current = self.current.as_ref().is_some_and(|current| {
            current.generation == look.generation()
                && current.state.management.registration_certificate.as_ref() == Some(&certificate)
        });
        if !is_current {
            let address = desk.address(look.parameters());
            let state = look.state(&address, Some(certificate))?;
            let (generation, expiry) = (look.generation(), desk.expiry(look.parameters()));
            self.current = Some(Current { generation, state, address, expiry });
        }
        drop(look);
        let Current { generation, state, address, expiry } = self.current.as_ref()?;
        Some(Edition { generation: *generation, state, address, expiry: *expiry })
    }

    /// Writes the anchors anew if they changed.
    pub(super) fn refresh_anchors(&self, desk: &Desk) {
        for kind in SourceKind::ALL {
            let file = desk.look().own_anchor(kind).map(|anchor| anchor.file.clone());
            if let Some(file) = file
                && let Err(error) = self.anchors.write_file(kind, &file)
            {
                tracing::error!(%error, "cannot write the anchors");
            }
        }
    }
}
