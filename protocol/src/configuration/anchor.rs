//! The configuration anchor: where a configuration is found and which keys sign it (§2).

use crate::time::UtcTime;

/// An anchor.
#[derive(Clone, Debug, PartialEq)]
pub struct Anchor {
    /// When it was made; shown to people, compared nowhere.
    pub generated_at: Option<UtcTime>,
    /// The instance it stands for.
    pub instance: String,
    /// Publishing locations, at least one.
    pub sources: Vec<AnchorSource>,
}

/// A publishing location.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorSource {
    /// Where the signed directory is.
    pub download_url: String,
    /// DER certificates whose keys may sign it.
    pub verification_certs: Vec<Vec<u8>>,
}
