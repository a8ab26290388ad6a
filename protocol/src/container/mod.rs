//! Evidence containers: one logged message with all that proves it (signatures and evidence §4).
//!
//! A container is a zip in the ASiC-E form. [`write_container`] and [`write_to`] make one;
//! [`Container::read`] works on octets, is bounded, and refuses what could be read in two ways.

mod parties;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use parties::Parties;
pub use read::{AttachmentEntry, Container, ContainerLimits};
pub use write::{
    Attachment, ContainerParts, ContainerTimestamp, WriteError, file_name, modification_time,
    write_container, write_to,
};

/// Content of the first entry, and the media type of the whole.
pub const MIME_TYPE: &str = "application/vnd.etsi.asic-e+zip";

/// What a container can lack (§5.6).
pub mod code {
    /// No media type, or no zip at all.
    pub const MIME_TYPE_NOT_FOUND: &str = "asic_mime_type_not_found";
    /// Another media type.
    pub const INVALID_MIME_TYPE: &str = "asic_invalid_mime_type";
    /// No message.
    pub const MESSAGE_NOT_FOUND: &str = "asic_message_not_found";
    /// No signature document.
    pub const SIGNATURE_NOT_FOUND: &str = "asic_signature_not_found";
    /// A chain result without its chain.
    pub const HASH_CHAIN_NOT_FOUND: &str = "asic_hash_chain_not_found";
    /// A chain without its result.
    pub const HASH_CHAIN_RESULT_NOT_FOUND: &str = "asic_hash_chain_result_not_found";
    /// An empty time-stamp.
    pub const TIMESTAMP_NOT_FOUND: &str = "asic_timestamp_not_found";
    /// An empty manifest.
    pub const MANIFEST_NOT_FOUND: &str = "asic_manifest_not_found";
}
