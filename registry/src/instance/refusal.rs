//! Why a change was not made: one variant for each error code of the administration interface.
//!
//! The codes and statuses are those of a running X-Road 7.8 registry (registry and administration §1,
//! §2, §6). What X-Road has no code for has one of ours, named in docs/divergences.md.

use administration::store::StoreError;
use protocol::id::{ClientId, MemberId, SecurityServerId};
use protocol::time::UtcTime;

use super::identifiers::{Fault, Field, Rule};
use crate::keys::KeysError;
use crate::state::kept::StateError;

/// A change that was not made. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the code that each variant stands for says what it means")]
pub enum Refusal {
    #[error("the instance is declared in a file; change the file")]
    DeclaredInFile,
    #[error("the registry is not initialised: it has no instance identifier")]
    NotInitialised,
    #[error("the registry is initialised already")]
    AlreadyInitialised,
    #[error("initialisation takes what is not there yet, and only that: {}", .0.join(", "))]
    InvalidInitialisation(Vec<&'static str>),
    #[error("the instance has something already, or is another one")]
    NotEmpty,
    #[error("the PIN is weaker than the policy demands")]
    WeakPin,
    #[error("the software token cannot be made: {0}")]
    TokenNotMade(String),

    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Validation(Vec<Fault>),
    #[error("{0:?} is no URL")]
    InvalidUrl(String),
    #[error("{0:?} is no list of IP addresses")]
    InvalidIpAddress(String),
    #[error("this is no certificate: {0}")]
    InvalidCertificate(String),

    #[error("there is a member class {0} already")]
    MemberClassExists(String),
    #[error("there is no member class {0}")]
    MemberClassNotFound(String),
    #[error("members of class {0} exist")]
    MemberClassInUse(String),
    #[error("there is a member {0} already")]
    MemberExists(MemberId),
    #[error("there is no member {0}")]
    MemberNotFound(MemberId),
    #[error("the member {0} owns a server, or a subsystem of it is registered on one")]
    MemberInUse(MemberId),
    #[error("the member {0} is not a client of the server")]
    MemberNotRegistered(ClientId),
    #[error("there is a subsystem {0} already")]
    SubsystemExists(ClientId),
    #[error("there is no subsystem {0}")]
    SubsystemNotFound(ClientId),
    #[error("the subsystem {0} is registered on a server")]
    SubsystemRegistered(ClientId),
    #[error("the subsystem {0} is not a client of the server")]
    SubsystemNotRegistered(ClientId),
    #[error("the subsystem {0} is a client of a server already")]
    SubsystemAlreadyRegistered(ClientId),

    #[error("there is no security server {0}")]
    ServerNotFound(SecurityServerId),
    #[error("the server has no authentication certificate {0}")]
    CertificateNotFound(u32),

    #[error("there is a global group {0} already")]
    GroupExists(String),
    #[error("there is no global group {0}")]
    GroupNotFound(String),
    #[error("the registry itself keeps the group of server owners; it cannot be deleted")]
    OwnersGroupStays,
    #[error("the registry itself adds owners of servers to their group")]
    OwnersGroupAdds,
    #[error("the registry itself takes owners of servers from their group")]
    OwnersGroupRemoves,
    #[error("{0} is not in the group")]
    GroupMemberNotFound(ClientId),

    #[error("no provider of the management services is set")]
    ProviderNotSet,
    #[error("{0:?} is no subsystem")]
    InvalidProvider(String),

    #[error("there is no certification service {0}")]
    CertificationServiceNotFound(u32),
    #[error("there is no intermediate CA {0}")]
    IntermediateCaNotFound(u32),
    #[error("there is no OCSP responder {0}")]
    ResponderNotFound(u32),
    #[error("there is no time-stamping service {0}")]
    TimestampingNotFound(u32),
    #[error("{0:?} is no known certificate profile")]
    ProfileNotFound(String),
    #[error("this certificate is one of an approved certification service already")]
    AuthorityExists,
    #[error("there is a time-stamping service at {0} already")]
    TimestampingExists(String),

    #[error("this is no configuration anchor: {0}")]
    MalformedAnchor(String),
    #[error("no configuration can be had with this anchor: {0}")]
    AnchorNotVerified(String),
    #[error("there is no trusted anchor {0}")]
    AnchorNotFound(String),
    #[error("this registry trusts no other instances")]
    AnchorsNotAllowed,
    #[error("there is no configuration part {0}")]
    PartNotFound(String),
    #[error("{0} is no part that can be uploaded")]
    UnknownPart(String),
    #[error("the part is refused: {0}")]
    InvalidPart(String),

    #[error("there is no token {0}")]
    TokenNotFound(String),
    #[error("the token does not allow that now")]
    TokenAction,
    #[error("the PIN is wrong")]
    WrongPin,
    #[error("the token cannot be opened: {0}")]
    TokenFailed(String),
    #[error("the PIN has characters that are not allowed")]
    PinCharacters,
    #[error("there is no signing key {0}")]
    KeyNotFound(String),
    #[error("the key does not allow that now")]
    KeyAction,
    #[error("clients may not know the key before {0}")]
    KeyTooYoung(UtcTime),
    #[error("the source has no signing keys")]
    NoSigningKeys,
    #[error("no key was made: {0}")]
    KeyNotMade(String),

    #[error("there is no management request {0}")]
    RequestNotFound(u32),
    #[error("a request for the same is pending{}", .0.map(|id| format!(": {id}")).unwrap_or_default())]
    RequestExists(Option<u32>),
    #[error("the certificate is registered already")]
    CertificateRegistered,
    #[error("the authentication certificate is not valid here: {0}")]
    InvalidAuthenticationCertificate(&'static str),
    #[error("the certificate is neither registered on the server nor waiting to be")]
    UnknownAuthenticationCertificate,
    #[error("the request {0} is not pending")]
    NotApprovable(u32),
    #[error("the request {0} is not pending")]
    NotRevocable(u32),
    #[error("the request {0} is of a type that is not decided")]
    NotSupported(u32),
    #[error("the owner of the server is not a member")]
    OwnerNotFound,
    #[error("the owner of a server is its client without being registered")]
    CannotRegisterOwner,
    #[error("the member of the client is not known: {0}")]
    ClientMemberNotFound(ClientId),
    #[error("the server is not known: {0}")]
    RequestServerNotFound(SecurityServerId),
    #[error("a change of a server that does not exist: {0}")]
    ChangedServerNotFound(SecurityServerId),
    #[error("{0} is not known, so nothing can be registered for it")]
    RegistrationServerNotFound(SecurityServerId),
    #[error("the client is not registered on the server, and was not asked to be")]
    RegistrationNotFound,
    #[error("the client is registered on the server already")]
    ClientAlreadyRegistered,
    #[error("the new owner is not a member")]
    OwnerMustBeMember,
    #[error("the new owner is not a client of the server")]
    OwnerMustBeClient,
    #[error("the new owner owns the server already")]
    ClientAlreadyOwner,
    #[error("the new owner has a server of that code")]
    ServerCodeExists,
    #[error("the new owner is not known: {0}")]
    NewOwnerNotFound(ClientId),
    #[error("{0:?} is no address of a server")]
    InvalidServerAddress(String),
    #[error("the name of a subsystem is missing")]
    InvalidSubsystemName,
    #[error("only subsystems can be renamed")]
    OnlySubsystemsAreRenamed,
    #[error("{client} is not a client of {server}")]
    ServerClientNotFound { server: Box<SecurityServerId>, client: Box<ClientId> },
    #[error("the provider of the management services cannot be disabled: {0}")]
    ProviderStaysEnabled(ClientId),
    #[error("{server} serves the provider of the management services, {provider}")]
    ProviderStaysUp { provider: Box<ClientId>, server: Box<SecurityServerId> },
    #[error("{0} is in maintenance mode already")]
    AlreadyInMaintenance(SecurityServerId),
    #[error("{0} is not in maintenance mode")]
    NotInMaintenance(SecurityServerId),
    #[error("{0} has decided already; the second decision is another person's")]
    SecondPerson(String),

    #[error("the registry has stopped")]
    Stopped,
    #[error("there is no such invitation, or it is not good any more")]
    InvitationNotFound,
    #[error("the invitation was used or taken back already")]
    InvitationUsed,

    #[error("the change could not be kept")]
    Store(#[from] StoreError),
    #[error("what is kept cannot be read again after a failure")]
    Unreadable(#[source] Box<StateError>),
    #[error("a signing key failed")]
    Keys(#[source] Box<KeysError>),
}

impl Refusal {
    /// Something that was given breaks a rule.
    pub(crate) fn fault(field: Field, rule: Rule) -> Self {
        Self::Validation(vec![Fault { field, rule }])
    }

    /// The error code.
    pub fn code(&self) -> &'static str {
        self.code_and_status().0
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.code_and_status().1
    }

    /// The values that stand with the code, in their order.
    pub fn metadata(&self) -> Vec<String> {
        let translated = |key: &str, value: &str| vec![format!("tr.{key}"), value.to_owned()];
        match self {
            Self::MemberClassExists(code) | Self::GroupExists(code) => vec![code.clone()],
            Self::MemberClassNotFound(code) | Self::MemberClassInUse(code) => translated("code", code),
            Self::MemberExists(id) => vec![id.to_string()],
            Self::SubsystemExists(id) => vec![id.to_string()],
            Self::InvalidInitialisation(reasons) => {
                reasons.iter().map(|reason| (*reason).to_owned()).collect()
            }
            Self::InvalidProvider(text) => vec![text.clone()],
            Self::ServerNotFound(id)
            | Self::RequestServerNotFound(id)
            | Self::ChangedServerNotFound(id)
            | Self::AlreadyInMaintenance(id)
            | Self::NotInMaintenance(id) => vec![server(id)],
            Self::RequestExists(Some(id)) | Self::NotApprovable(id) => vec![id.to_string()],
            Self::ClientMemberNotFound(id) | Self::NewOwnerNotFound(id) | Self::ProviderStaysEnabled(id) => {
                vec![client(id)]
            }
            Self::ServerClientNotFound { server: id, client: asked } => vec![server(id), client(asked)],
            Self::ProviderStaysUp { provider, server: id } => vec![client(provider), server(id)],
            Self::AnchorNotFound(hash) => vec![hash.clone()],
            Self::AnchorNotVerified(reason) | Self::InvalidPart(reason) => vec![reason.clone()],
            Self::KeyTooYoung(from) => vec![from.to_seconds_text()],
            Self::SecondPerson(name) => vec![name.clone()],
            _ => Vec::new(),
        }
    }

    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::DeclaredInFile => ("declared_in_file", 409),
            Self::NotInitialised => ("instance_identifier_not_set", 409),
            Self::AlreadyInitialised => ("init_already_initialized", 409),
            Self::InvalidInitialisation(_) => ("init_invalid_params", 400),
            Self::NotEmpty => ("instance_not_empty", 409),
            Self::WeakPin => ("init_signer_pin_policy_failed", 400),
            Self::TokenNotMade(_) => ("init_software_token_failed", 409),

            Self::Validation(_) => ("validation_failure", 400),
            Self::InvalidUrl(_) => ("invalid_url", 400),
            Self::InvalidIpAddress(_) => ("invalid_ip_address", 400),
            Self::InvalidCertificate(_) => ("invalid_certificate", 400),

            Self::MemberClassExists(_) => ("member_class_exists", 409),
            Self::MemberClassNotFound(_) => ("member_class_not_found", 404),
            Self::MemberClassInUse(_) => ("member_class_is_in_use", 409),
            Self::MemberExists(_) => ("member_exists", 409),
            Self::MemberNotFound(_) => ("member_not_found", 404),
            Self::MemberInUse(_) => ("member_in_use", 409),
            Self::MemberNotRegistered(_) => ("member_not_registered_to_security_server", 404),
            Self::SubsystemExists(_) => ("subsystem_exists", 409),
            Self::SubsystemNotFound(_) => ("subsystem_not_found", 404),
            Self::SubsystemRegistered(_) => ("subsystem_registered_and_cannot_be_deleted", 400),
            Self::SubsystemNotRegistered(_) => ("subsystem_not_registered_to_security_server", 404),
            Self::SubsystemAlreadyRegistered(_) => ("subsystem_already_registered_to_security_server", 400),

            Self::ServerNotFound(_) => ("security_server_not_found", 404),
            Self::CertificateNotFound(_) => ("ss_auth_certificate_not_found", 404),

            Self::GroupExists(_) => ("global_group_exists", 409),
            Self::GroupNotFound(_) => ("global_group_not_found", 404),
            Self::OwnersGroupStays => ("owners_global_group_cannot_be_deleted", 400),
            Self::OwnersGroupAdds => ("cannot_add_member_to_owners_group", 400),
            Self::OwnersGroupRemoves => ("owners_global_group_member_cannot_be_deleted", 400),
            Self::GroupMemberNotFound(_) => ("member_not_found", 404),

            Self::ProviderNotSet => ("management_service_provider_not_set", 400),
            Self::InvalidProvider(_) => ("invalid_service_provider_id", 400),

            Self::CertificationServiceNotFound(_) => ("certification_service_not_found", 404),
            Self::IntermediateCaNotFound(_) => ("intermediate_ca_not_found", 404),
            Self::ResponderNotFound(_) => ("ocsp_responder_not_found", 404),
            Self::TimestampingNotFound(_) => ("timestamping_authority_not_found", 404),
            Self::ProfileNotFound(_) => ("certificate_profile_info_class_not_found", 400),
            Self::AuthorityExists => ("certification_authority_exists", 409),
            Self::TimestampingExists(_) => ("timestamping_authority_exists", 409),

            Self::MalformedAnchor(_) => ("malformed_anchor", 400),
            Self::AnchorNotVerified(_) => ("trusted_anchor_verification_failed", 400),
            Self::AnchorNotFound(_) => ("trusted_anchor_not_found", 404),
            Self::AnchorsNotAllowed => ("trusted_anchors_not_allowed", 409),
            Self::PartNotFound(_) => ("configuration_part_file_not_found", 404),
            Self::UnknownPart(_) => ("unknown_configuration_part", 400),
            Self::InvalidPart(_) => ("configuration_part_validation_failed", 400),

            Self::TokenNotFound(_) => ("token_not_found", 404),
            Self::TokenAction => ("token_action_not_possible", 400),
            Self::WrongPin => ("token_incorrect_pin", 400),
            Self::TokenFailed(_) => ("token_activation_failed", 500),
            Self::PinCharacters => ("token_invalid_characters", 400),
            Self::KeyNotFound(_) => ("signing_key_not_found", 404),
            Self::KeyAction => ("signing_key_action_not_possible", 400),
            Self::KeyTooYoung(_) => ("signing_key_not_yet_distributed", 409),
            Self::NoSigningKeys => ("no_configuration_signing_keys_configured", 409),
            Self::KeyNotMade(_) => ("key_generation_failed", 500),

            Self::RequestNotFound(_) => ("management_request_not_found", 404),
            Self::RequestExists(_) => ("management_request_exists", 409),
            Self::CertificateRegistered => ("management_request_security_server_exists", 409),
            Self::InvalidAuthenticationCertificate(_) => ("management_request_invalid_auth_certificate", 400),
            Self::UnknownAuthenticationCertificate => ("management_request_invalid_auth_certificate", 409),
            Self::NotApprovable(_) => ("management_request_invalid_state_for_approval", 400),
            Self::NotRevocable(_) => ("management_request_invalid_state", 400),
            Self::NotSupported(_) => ("management_request_not_supported", 409),
            Self::OwnerNotFound => ("management_request_server_owner_not_found", 404),
            Self::CannotRegisterOwner => ("management_request_cannot_register_owner", 400),
            Self::ClientMemberNotFound(_) | Self::NewOwnerNotFound(_) => {
                ("management_request_member_not_found", 409)
            }
            Self::RequestServerNotFound(_) => ("management_request_server_not_found", 409),
            Self::ChangedServerNotFound(_) => ("management_request_server_not_found", 404),
            Self::RegistrationServerNotFound(_) => ("management_request_server_not_found", 400),
            Self::RegistrationNotFound => ("management_request_client_registration_not_found", 404),
            Self::ClientAlreadyRegistered => ("management_request_client_already_registered", 409),
            Self::OwnerMustBeMember => ("management_request_owner_must_be_member", 400),
            Self::OwnerMustBeClient => ("management_request_owner_must_be_client", 400),
            Self::ClientAlreadyOwner => ("management_request_client_already_owner", 400),
            Self::ServerCodeExists => ("management_request_server_code_exists", 409),
            Self::InvalidServerAddress(_) => ("management_request_invalid_server_address", 400),
            Self::InvalidSubsystemName => ("management_request_invalid_subsystem_name", 400),
            Self::OnlySubsystemsAreRenamed => ("management_request_only_subsystem_rename_allowed", 400),
            Self::ServerClientNotFound { .. } => ("management_request_server_client_not_found", 409),
            Self::ProviderStaysEnabled(_) => ("mr_forbidden_disable_management_service_client", 409),
            Self::ProviderStaysUp { .. } => {
                ("mr_forbidden_enable_maintenance_mode_for_management_service", 409)
            }
            Self::AlreadyInMaintenance(_) => ("management_request_server_already_in_maintenance_mode", 409),
            Self::NotInMaintenance(_) => ("management_request_server_not_in_maintenance_mode", 409),
            Self::SecondPerson(_) => ("management_request_second_person_required", 409),

            Self::Stopped => ("registry_stopped", 503),
            Self::InvitationNotFound => ("invitation_not_found", 404),
            Self::InvitationUsed => ("invitation_used", 409),

            Self::Store(_) | Self::Unreadable(_) | Self::Keys(_) => ("internal_error", 500),
        }
    }
}

/// With the type before it, as the interface names identifiers in metadata.
fn server(id: &SecurityServerId) -> String {
    format!("SERVER:{id}")
}

fn client(id: &ClientId) -> String {
    let kind = if id.subsystem().is_some() { "SUBSYSTEM" } else { "MEMBER" };
    format!("{kind}:{id}")
}
