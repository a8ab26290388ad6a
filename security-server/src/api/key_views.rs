//! How tokens, keys and certificates look.

use administration::views::CertificateDetails;
use certs::certificate::{Certificate, CertificateUsage};
use certs::key::KeyKind;
use certs::token::{CertificateStatus, Token, TokenCertificate, TokenKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::keyring::{KeptRequest, Keyring};
use crate::node::{Control, member};

/// A token.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Token")]
pub(super) struct TokenView {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    keys: Vec<KeyView>,
    status: &'static str,
    logged_in: bool,
    available: bool,
    saved_to_configuration: bool,
    read_only: bool,
    possible_actions: Vec<&'static str>,
}

/// A key.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Key")]
pub(super) struct KeyView {
    pub(super) id: String,
    name: String,
    label: String,
    certificates: Vec<TokenCertificateView>,
    certificate_signing_requests: Vec<RequestView>,
    usage: UsageView,
    available: bool,
    saved_to_configuration: bool,
    possible_actions: Vec<&'static str>,
    key_algorithm: &'static str,
}

/// A certificate request.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "TokenCertificateSigningRequest")]
pub(super) struct RequestView {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_id: Option<String>,
    certificate_profile: String,
    possible_actions: Vec<&'static str>,
}

/// A certificate on a token.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "TokenCertificate")]
pub(super) struct TokenCertificateView {
    ocsp_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_id: Option<String>,
    active: bool,
    saved_to_configuration: bool,
    renewed_cert_hash: &'static str,
    renewal_error: &'static str,
    ocsp_verify_before_activation_error: &'static str,
    certificate_details: CertificateDetails,
    status: &'static str,
    possible_actions: Vec<&'static str>,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "KeyUsageType")]
pub(super) enum UsageView {
    /// Mutual TLS between security servers.
    Authentication,
    /// Signatures of messages.
    Signing,
}

impl From<CertificateUsage> for UsageView {
    fn from(usage: CertificateUsage) -> Self {
        match usage {
            CertificateUsage::Authentication => Self::Authentication,
            CertificateUsage::Signing => Self::Signing,
        }
    }
}

impl From<UsageView> for CertificateUsage {
    fn from(usage: UsageView) -> Self {
        match usage {
            UsageView::Authentication => Self::Authentication,
            UsageView::Signing => Self::Signing,
        }
    }
}

/// The id by which the interface calls a token: its place.
pub(super) fn token_id(place: usize) -> String {
    place.to_string()
}

pub(super) fn token_view(control: &Control, keyring: &Keyring, place: usize, token: &dyn Token) -> TokenView {
    let (id, is_software, is_active) = (token_id(place), place == 0, token.is_active());
    let keys = token.keys();
    let keys = keys.iter().map(|key| key_view(control, keyring, key, is_active, is_software)).collect();
    let mut possible_actions = Vec::new();
    if is_active {
        possible_actions.extend(["GENERATE_KEY", "LOGOUT"]);
        if is_software {
            possible_actions.push("TOKEN_CHANGE_PIN");
        }
    } else {
        possible_actions.push("LOGIN");
    }
    possible_actions.push("EDIT_FRIENDLY_NAME");
    let default = if is_software { "softToken-0".to_owned() } else { token.name() };
    TokenView {
        name: keyring.name_of(&id).unwrap_or(default),
        id,
        kind: if is_software { "SOFTWARE" } else { "HARDWARE" },
        keys,
        status: "OK",
        logged_in: is_active,
        available: is_software || is_active,
        saved_to_configuration: true,
        read_only: false,
        possible_actions,
    }
}

pub(super) fn key_view(
    control: &Control,
    keyring: &Keyring,
    key: &TokenKey,
    is_active: bool,
    is_software: bool,
) -> KeyView {
    let mut possible_actions = vec!["EDIT_FRIENDLY_NAME"];
    let is_signing = key.usage == CertificateUsage::Signing;
    if is_active && (is_signing || is_software) {
        possible_actions.push("DELETE");
    }
    if is_active && key.certificates.is_empty() {
        match (is_signing, is_software) {
            (true, _) => possible_actions.push("GENERATE_SIGN_CSR"),
            (false, true) => possible_actions.push("GENERATE_AUTH_CSR"),
            (false, false) => {}
        }
    }
    KeyView {
        id: key.id.to_uppercase(),
        name: key.name.clone(),
        label: key.name.clone(),
        certificates: key.certificates.iter().map(|held| certificate_view(control, held)).collect(),
        certificate_signing_requests: keyring.requests_of(&key.id).iter().map(request_view).collect(),
        usage: key.usage.into(),
        available: is_active,
        saved_to_configuration: true,
        possible_actions,
        key_algorithm: match key.key.kind() {
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => "EC",
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => "RSA",
        },
    }
}

fn request_view(request: &KeptRequest) -> RequestView {
    RequestView {
        id: request.id.clone(),
        owner_id: request.member().map(|member| member.to_string().replace('/', ":")),
        certificate_profile: request.profile.clone(),
        possible_actions: vec!["DELETE"],
    }
}

pub(super) fn certificate_view(control: &Control, held: &TokenCertificate) -> TokenCertificateView {
    let certificate = &held.certificate;
    let owner = control.snapshot().filter(|_| certificate.usage() == Some(CertificateUsage::Signing));
    let owner = owner.and_then(|snapshot| member(certificate, snapshot.trust(), control.server()).ok());
    TokenCertificateView {
        ocsp_status: ocsp_status(control, held),
        owner_id: owner.map(|member| member.to_string().replace('/', ":")),
        active: held.active,
        saved_to_configuration: true,
        renewed_cert_hash: "",
        renewal_error: "",
        ocsp_verify_before_activation_error: "",
        certificate_details: CertificateDetails::from(certificate),
        status: status_name(held.status),
        possible_actions: certificate_actions(held),
    }
}

fn ocsp_status(control: &Control, held: &TokenCertificate) -> &'static str {
    if !held.active {
        return "DISABLED";
    }
    let now = control.clock().now();
    if now > held.certificate.not_after() {
        return "EXPIRED";
    }
    control.ocsp().standing(&held.certificate, now).name()
}

fn status_name(status: CertificateStatus) -> &'static str {
    match status {
        CertificateStatus::Saved => "SAVED",
        CertificateStatus::RegistrationInProgress => "REGISTRATION_IN_PROGRESS",
        CertificateStatus::Registered => "REGISTERED",
        CertificateStatus::DeletionInProgress => "DELETION_IN_PROGRESS",
        CertificateStatus::GlobalError => "GLOBAL_ERROR",
    }
}

/// What may be done with a certificate (§4.3).
pub(super) fn certificate_actions(held: &TokenCertificate) -> Vec<&'static str> {
    let mut actions = vec![if held.active { "DISABLE" } else { "ACTIVATE" }];
    let is_authentication = held.certificate.usage() == Some(CertificateUsage::Authentication);
    let may_be_unregistered = is_authentication
        && matches!(held.status, CertificateStatus::Registered | CertificateStatus::RegistrationInProgress);
    if may_be_unregistered {
        actions.push("UNREGISTER");
    } else {
        actions.push("DELETE");
    }
    if is_authentication && held.status == CertificateStatus::Saved {
        actions.push("REGISTER");
    }
    actions
}

/// Whether a hash from a path names this certificate.
pub(super) fn is_named(certificate: &Certificate, hash: &str) -> bool {
    certificate.hashes().sha256.to_hex().eq_ignore_ascii_case(hash)
}
