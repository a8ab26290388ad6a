//! Evidence containers: one logged message with all that proves it (signatures and evidence §4).
//!
//! A container is a zip in the ASiC-E form. [`write_container`] and [`write_to`] make one;
//! reading works on octets, is bounded, and refuses what could be read in two ways.

mod write;

pub use write::{
    Attachment, ContainerParts, ContainerTimestamp, WriteError, file_name, write_container, write_to,
};

/// Content of the first entry, and the media type of the whole.
pub const MIME_TYPE: &str = "application/vnd.etsi.asic-e+zip";
