//! Keys, tokens, certificates, OCSP, time-stamps, and a pilot certification authority.
//!
//! Bytes and the time come in as arguments; the only IO is the folder of a token or of the pilot CA,
//! and the device of a hardware token.

mod asn1;
pub mod ca;
pub mod certificate;
pub mod evidence;
mod files;
pub mod key;
pub mod management;
pub mod ocsp;
pub mod pem;
pub mod profile;
pub mod request;
pub mod self_signed;
pub mod timestamp;
pub mod token;
pub mod trust;
