//! Service descriptions: what a client offers, as documents of its systems tell it.
//!
//! Follows §4.5 to §4.7 of the specification of registry and administration, and §5.7 of messages and
//! transport.

mod names;

pub use names::{RESERVED, is_reserved, is_same_code, is_usable};
