//! Management requests: what security servers ask of their registry (registry and administration §3).
//!
//! A [`ManagementRequest`] is what is asked. It travels as a SOAP message ([`ManagementRequest::to_soap`],
//! [`ManagementRequest::of`]), and most kinds travel in a multipart with signatures and certificates
//! beside it ([`Received`], [`RegistrationParts`], [`SignedParts`]). The answer is the request itself with
//! a number in it ([`accept`], [`check_answer`]).
//!
//! Who may ask for what is decided by the registry; signatures are verified by `certs`.

mod address;
mod algorithm;
mod body;
mod envelope;
mod identifier;
mod parts;
mod reply;
#[cfg(test)]
mod tests;

use crate::id::{ClientId, SecurityServerId};

pub use address::is_address;
pub use algorithm::{AlgorithmNameError, algorithm_name, algorithm_of};
pub use parts::{
    PartSignature, Received, RegistrationParts, SIGNATURE_ALGORITHM, SignedParts, content_type, soap_only,
};
pub use reply::{accept, check_answer};

/// A request of a security server to its registry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManagementRequest {
    /// The server that the request is about.
    pub server: SecurityServerId,
    /// What is to change there.
    pub change: Change,
}

/// What a security server asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// The server gets one more authentication certificate; the first one makes the server.
    AuthCertReg {
        /// Where the server is; the registry demands it, the schema does not.
        address: Option<String>,
        /// The certificate, DER.
        certificate: Vec<u8>,
        /// Whether the request is only to be checked.
        dry_run: bool,
    },
    /// The server loses an authentication certificate.
    AuthCertDeletion {
        /// The certificate, DER.
        certificate: Vec<u8>,
    },
    /// The server gets a client.
    ClientReg {
        /// The client.
        client: ClientId,
        /// The name of a subsystem.
        subsystem_name: Option<String>,
    },
    /// The server loses a client.
    ClientDeletion {
        /// The client.
        client: ClientId,
    },
    /// A client stops for a while.
    ClientDisable {
        /// The client.
        client: ClientId,
    },
    /// A client that had stopped goes on.
    ClientEnable {
        /// The client.
        client: ClientId,
    },
    /// A subsystem gets another name.
    ClientRename {
        /// The subsystem.
        client: ClientId,
        /// Its new name.
        subsystem_name: String,
    },
    /// The server gets another owner.
    OwnerChange {
        /// The new owner.
        client: ClientId,
    },
    /// The server is somewhere else.
    AddressChange {
        /// Where it is now.
        address: String,
    },
    /// The server takes no messages for a while.
    MaintenanceModeEnable {
        /// What clients are told.
        message: Option<String>,
    },
    /// The server takes messages again.
    MaintenanceModeDisable,
}

/// The kinds of requests; each is a service with a code of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RequestType {
    /// [`Change::AuthCertReg`]
    AuthCertReg,
    /// [`Change::AuthCertDeletion`]
    AuthCertDeletion,
    /// [`Change::ClientReg`]
    ClientReg,
    /// [`Change::ClientDeletion`]
    ClientDeletion,
    /// [`Change::ClientDisable`]
    ClientDisable,
    /// [`Change::ClientEnable`]
    ClientEnable,
    /// [`Change::ClientRename`]
    ClientRename,
    /// [`Change::OwnerChange`]
    OwnerChange,
    /// [`Change::AddressChange`]
    AddressChange,
    /// [`Change::MaintenanceModeEnable`]
    MaintenanceModeEnable,
    /// [`Change::MaintenanceModeDisable`]
    MaintenanceModeDisable,
}

impl Change {
    /// Its kind.
    pub const fn request_type(&self) -> RequestType {
        match self {
            Self::AuthCertReg { .. } => RequestType::AuthCertReg,
            Self::AuthCertDeletion { .. } => RequestType::AuthCertDeletion,
            Self::ClientReg { .. } => RequestType::ClientReg,
            Self::ClientDeletion { .. } => RequestType::ClientDeletion,
            Self::ClientDisable { .. } => RequestType::ClientDisable,
            Self::ClientEnable { .. } => RequestType::ClientEnable,
            Self::ClientRename { .. } => RequestType::ClientRename,
            Self::OwnerChange { .. } => RequestType::OwnerChange,
            Self::AddressChange { .. } => RequestType::AddressChange,
            Self::MaintenanceModeEnable { .. } => RequestType::MaintenanceModeEnable,
            Self::MaintenanceModeDisable => RequestType::MaintenanceModeDisable,
        }
    }

    /// The client that it is about, if it is about one.
    pub const fn client(&self) -> Option<&ClientId> {
        match self {
            Self::ClientReg { client, .. }
            | Self::ClientDeletion { client }
            | Self::ClientDisable { client }
            | Self::ClientEnable { client }
            | Self::ClientRename { client, .. }
            | Self::OwnerChange { client } => Some(client),
            Self::AuthCertReg { .. }
            | Self::AuthCertDeletion { .. }
            | Self::AddressChange { .. }
            | Self::MaintenanceModeEnable { .. }
            | Self::MaintenanceModeDisable => None,
        }
    }
}

impl RequestType {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::AuthCertReg,
        Self::AuthCertDeletion,
        Self::ClientReg,
        Self::ClientDeletion,
        Self::ClientDisable,
        Self::ClientEnable,
        Self::ClientRename,
        Self::OwnerChange,
        Self::AddressChange,
        Self::MaintenanceModeEnable,
        Self::MaintenanceModeDisable,
    ];

    /// The code of its service, which is also the name of the element in the body.
    pub const fn service_code(self) -> &'static str {
        match self {
            Self::AuthCertReg => "authCertReg",
            Self::AuthCertDeletion => "authCertDeletion",
            Self::ClientReg => "clientReg",
            Self::ClientDeletion => "clientDeletion",
            Self::ClientDisable => "clientDisable",
            Self::ClientEnable => "clientEnable",
            Self::ClientRename => "clientRename",
            Self::OwnerChange => "ownerChange",
            Self::AddressChange => "addressChange",
            Self::MaintenanceModeEnable => "maintenanceModeEnable",
            Self::MaintenanceModeDisable => "maintenanceModeDisable",
        }
    }

    /// The kind whose service has this code; the case of letters does not count (§3.2).
    pub fn from_service_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.service_code().eq_ignore_ascii_case(code))
    }

    /// Whether the request carries a signature of its own beside that of the message (§3.6, §3.7).
    pub const fn is_signed(self) -> bool {
        !matches!(self, Self::AuthCertDeletion | Self::ClientDeletion)
    }
}
