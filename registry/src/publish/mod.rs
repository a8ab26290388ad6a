//! Signs and publishes the global configuration (global configuration and trust §10).
//!
//! `Rounds` makes everything anew once a period: the files of every version, and the two signed
//! directories that name them. A round takes the place of the one before as a whole.

mod address;
mod folder;
mod published;
mod round;
mod shelf;

pub use address::Address;
pub(crate) use folder::PublishedFolder;
pub(crate) use published::{Documents, Found, version};
pub use published::{Published, SourceKind};
pub use round::RoundError;
pub(crate) use round::{Edition, Rounds, sign, stamp};
pub(crate) use shelf::Shelf;
