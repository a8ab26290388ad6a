//! Multipart bodies and their parts (RFC 2046), as both message protocols need them.

mod content_type;
mod gathered;
mod headers;
mod multipart;

pub use content_type::ContentType;
pub(crate) use gathered::Gathered;
pub use headers::PartHeaders;
pub(crate) use multipart::{Found, Multipart};
