//! The administration interface of the registry.
//!
//! Registry and administration §5 to §7, §9 and §10: the operations of X-Road's central server with the
//! status codes that it really gives, and beside them in the same manner what it lacks: node classes
//! and their policy, suspension of a federation, the question whether a call would be allowed, pending
//! changes, invitations, the audit log.
//!
//! One file a resource: how it looks, its operations, and handlers that translate. The domain
//! (`instance`, `requests`) decides and knows nothing of this. A handler gets at the instance only after
//! the permission of its operation was checked.

pub mod alerts;
pub mod call_checks;
pub mod changes;
pub mod clients;
mod errors;
pub mod global_groups;
pub mod group_members;
pub mod ids;
pub mod initialization;
mod lines;
pub mod list;
pub mod management_certificate;
pub mod management_request_views;
pub mod management_requests;
pub mod management_services;
pub mod member_classes;
pub mod members;
pub mod node_classes;
mod office;
mod permission;
pub mod security_servers;
mod serve;
pub mod subsystems;
pub mod system;

pub mod certification_services;
pub mod intermediate_cas;
pub mod invitations;
pub mod ocsp_responders;
pub mod timestamping_services;
mod trust_uploads;

pub mod configuration_sources;
pub mod signing_keys;
pub mod tokens;
pub mod trusted_anchors;

use administration::api::{Api, Call};
use administration::views::CertificateDetails;
use certs::certificate::Certificate;

pub use office::Office;
pub use permission::Permission;
pub(crate) use serve::Opened;
pub use serve::ServeError;

use crate::instance::Actor;

/// All operations of the registry.
pub type RegistryApi = Api<Office, Permission>;

/// The operations, in the order of the document.
pub fn api() -> RegistryApi {
    let api = Api::new("Causeway registry administration");
    let parts = [
        initialization::operations,
        system::operations,
        member_classes::operations,
        members::operations,
        subsystems::operations,
        clients::operations,
        security_servers::operations,
        global_groups::operations,
        group_members::operations,
        management_requests::operations,
        management_services::operations,
        management_certificate::operations,
        certification_services::operations,
        intermediate_cas::operations,
        ocsp_responders::operations,
        timestamping_services::operations,
        tokens::operations,
        configuration_sources::operations,
        signing_keys::operations,
        trusted_anchors::operations,
        node_classes::operations,
        call_checks::operations,
        invitations::operations,
        alerts::operations,
    ];
    parts.into_iter().fold(api, |api, operations| operations(api))
}

/// A certificate as it is shown; none only for bytes that are none, which nothing keeps.
fn certificate(der: &[u8]) -> Option<CertificateDetails> {
    Certificate::from_der(der.to_vec()).ok().as_ref().map(CertificateDetails::from)
}

/// Who makes the call, as the domain knows people.
fn actor(call: &Call<Office>) -> Actor {
    Actor::Person(call.user())
}
