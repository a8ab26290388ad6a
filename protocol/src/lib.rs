//! What travels between Causeway nodes, and nothing that moves it.
//!
//! This crate knows identifiers, REST and SOAP messages, the framing between security servers, canonical
//! XML, signature documents, hash chains, evidence containers and global configuration. It opens no
//! socket and no file, reads no clock and no random source, and starts no thread: bytes and the time
//! come in as arguments. It follows the specifications of X-Road 7.8; `docs/divergences.md` lists
//! where it is stricter.

pub mod archive;
pub mod configuration;
pub mod container;
pub mod digest;
pub mod fault;
pub mod hash_chain;
pub mod id;
pub mod management;
pub mod message;
pub mod metadata;
pub mod mime;
pub mod signature;
pub mod soap;
pub mod time;
pub mod transport;
pub mod xml;
