//! Service descriptions: what a client offers, as documents of its systems tell it.
//!
//! Follows §4.5 to §4.7 of the specification of registry and administration, and §5.7 of messages and
//! transport. Documents come from outside: they are bounded in size, depth and number of nodes, and
//! nothing that they name is fetched.

pub mod catalogue;
mod differences;
mod document;
mod error;
mod fetch;
mod names;
mod openapi;
pub mod rights;
mod wsdl;

pub use differences::Differences;
pub use document::Document;
pub use error::{DescriptionError, Warning, WarningKind};
pub use fetch::{Fetched, fetch, read_copy, validate};
pub use names::{RESERVED, collide, full_code, is_reserved, is_same_code, is_usable};
pub use openapi::{Format, OpenApi};
pub use wsdl::{Wsdl, WsdlService};
