//! The administration interface of a security server.
//!
//! Registry and administration §4 to §6, §8 and §9: the operations of X-Road's security server with the
//! status codes that it really gives, and beside them in the same manner what it lacks.
//!
//! One file a resource: how it looks, its operations, and handlers that translate. The [`Office`] is what
//! they work on; a handler gets at it only after the permission of its operation was checked.

mod anchor;
mod certificate_authorities;
mod csrs;
mod initialization;
mod key_views;
mod keys;
mod lookups;
mod office;
mod permission;
mod registration;
mod system;
mod token_certificates;
mod tokens;

use administration::api::Api;

pub use office::{NotRunning, Office};
pub use permission::{Permission, table as permission_table};

/// All operations of a security server.
pub type ServerApi = Api<Office, Permission>;

/// The operations, in the order of the document.
pub fn api() -> ServerApi {
    let parts = [
        initialization::operations,
        anchor::operations,
        system::operations,
        tokens::operations,
        keys::operations,
        csrs::operations,
        token_certificates::operations,
        certificate_authorities::operations,
        lookups::operations,
        registration::operations,
    ];
    let api = Api::new("Causeway security server administration");
    parts.into_iter().fold(api, |api, operations| operations(api))
}
