//! What the operations work on.

use std::sync::Arc;

use administration::api::ApiError;
use bytes::Bytes;
use tokio::sync::watch;

use super::configuration_sources::PartView;
use crate::instance::{Desk, Instance, Refusal};
use crate::management::ManagementTls;
use crate::publish::{Published, SourceKind};

/// The desk of the registry with what stands around it.
#[derive(Clone)]
pub struct Office {
    pub(super) desk: Arc<Desk>,
    pub(super) management_tls: Option<Arc<ManagementTls>>,
    pub(super) published: watch::Receiver<Arc<Published>>,
}

impl Office {
    /// An office around a desk.
    pub(crate) fn new(
        desk: Arc<Desk>,
        management_tls: Option<Arc<ManagementTls>>,
        published: watch::Receiver<Arc<Published>>,
    ) -> Self {
        Self { desk, management_tls, published }
    }

    /// Looks at the instance. For looks that are over at once; the others are [`Office::search`].
    pub(super) fn look<T>(&self, look: impl FnOnce(&Instance) -> T) -> T {
        look(&self.desk.look())
    }

    /// Looks through a list, on a thread that may take its time.
    pub(super) async fn search<T: Send + 'static>(
        &self,
        search: impl FnOnce(&Instance) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let desk = Arc::clone(&self.desk);
        apart(move || search(&desk.look())).await
    }

    /// Gives a command to the desk, on a thread that may wait for the disk.
    pub(super) async fn command<T: Send + 'static>(
        &self,
        command: impl FnOnce(&Desk) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, ApiError> {
        let desk = Arc::clone(&self.desk);
        apart(move || command(&desk).map_err(ApiError::from)).await
    }
}

impl Office {
    /// Does what takes its time, on a thread of its own.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Desk) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let desk = Arc::clone(&self.desk);
        apart(move || work(&desk)).await
    }
}

async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "an operation ended badly");
            Err(ApiError::internal())
        }
    }
}

impl Office {
    /// The parts of a source: those that can be uploaded, uploaded or not, and those that are made.
    pub(super) fn parts(&self, source: SourceKind) -> Vec<PartView> {
        let mut parts = Vec::new();
        if source == SourceKind::Internal {
            let known = self.desk.known_parts();
            self.look(|instance| {
                parts.extend(known.into_iter().map(|(content_identifier, file_name)| {
                    let uploaded = instance.parts().get(&content_identifier);
                    PartView {
                        content_identifier,
                        file_name: Some(file_name),
                        optional: true,
                        file_updated_at: uploaded.map(|part| part.uploaded.to_string()),
                        version: 0,
                    }
                }));
            });
        }
        let published = Arc::clone(&self.published.borrow());
        let made = published.made.map(|made| made.to_string());
        let optional: Vec<String> = parts.iter().map(|part| part.content_identifier.clone()).collect();
        let listed =
            published.listed(source).filter(|(_, id, _, _)| !optional.iter().any(|known| known == id));
        parts.extend(listed.map(|(version, identifier, name, _)| PartView {
            content_identifier: identifier.to_owned(),
            file_name: Some(name.to_owned()),
            optional: false,
            file_updated_at: made.clone(),
            version: version.into(),
        }));
        parts
    }

    /// The file of a part: an uploaded one under version 0, one that is made under its version.
    pub(super) fn part(&self, source: SourceKind, identifier: &str, version: u32) -> Option<(String, Bytes)> {
        if version == 0 {
            return self.look(|instance| {
                let part = instance.parts().get(identifier)?;
                Some((part.file_name.clone(), part.content.clone()))
            });
        }
        let published = Arc::clone(&self.published.borrow());
        let mut listed = published.listed(source);
        let found = listed.find(|(of, known, _, _)| u32::from(*of) == version && *known == identifier);
        found.map(|(_, _, name, bytes)| (name.to_owned(), bytes.clone()))
    }
}
