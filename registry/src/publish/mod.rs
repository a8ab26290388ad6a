//! Signs and publishes the global configuration (global configuration and trust §10).

mod published;

pub(crate) use published::Found;
pub use published::{Published, SourceKind};
