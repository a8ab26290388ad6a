//! Global configuration: who is a member, which server serves whom, and whom to believe.
//!
//! Global configuration and trust. This module holds the data; its parts read and write the formats.

pub mod anchor;
mod model;

pub use model::{
    ApprovedCa, CaCertificate, CertificateHashes, ClassPolicy, CostType, GlobalConfiguration, GlobalGroup,
    Instance, Member, NodeClass, NodeClasses, OcspResponder, PairTerms, PrivateParameters, RegisteredServer,
    SharedParameters, Source, Subsystem, TimestampingService, TlsFloor,
};
