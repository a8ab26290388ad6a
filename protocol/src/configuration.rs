//! Global configuration: who is a member, which server serves whom, and whom to believe.
//!
//! Global configuration and trust. This module holds the data; its parts read and write the formats.

pub mod anchor;
mod cost;
pub mod directory;
mod error;
pub mod local;
mod model;
pub mod node_classes;
pub mod optional_parts;
pub mod parameters;
mod schema;
mod writer;

pub use anchor::{Anchor, AnchorSource};
pub use cost::CostPreference;
pub use directory::{Directory, Part, SignedDirectory};
pub use error::ConfigurationError;
pub use local::{CopyState, LocalCopy, Purpose};
pub use model::{
    AcmeServer, ApprovedCa, CaCertificate, CertificateHashes, ClassPolicy, CostType, CsrFormat,
    GlobalConfiguration, GlobalGroup, Instance, Member, NodeClass, NodeClasses, OcspResponder, PairTerms,
    PrivateParameters, RegisteredServer, SharedParameters, Source, Subsystem, TimestampingService, TlsFloor,
};
pub use parameters::{private, shared};
