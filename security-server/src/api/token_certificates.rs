//! `/token-certificates`: certificates of keys, from import to deletion (registry and administration §4.3).

use std::sync::Arc;

use administration::api::{ApiError, Call, Created, Json, NoContent, Octets, Path, delete, get, post, put};
use certs::certificate::{Certificate, CertificateUsage};
use certs::token::{CertificateStatus, Token, TokenCertificate, TokenKey};
use schemars::JsonSchema;
use serde::Deserialize;

use super::initialization::token_refusal;
use super::key_views::{TokenCertificateView, certificate_actions, certificate_view, is_named};
use super::tokens::blocking;
use super::{Office, Permission, ServerApi};
use crate::enrol::{self, EnrolError};
use crate::management::{ManagementError, Registration};
use crate::node::Control;

/// Where a server is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "SecurityServerAddress")]
struct Address {
    /// An IP address or a host name.
    #[schemars(length(min = 1, max = 255))]
    address: String,
}

pub(super) fn operations(api: ServerApi) -> ServerApi {
    let api = api
        .add(
            post("/token-certificates", "importCertificate")
                .summary("give a key its certificate")
                .permission_any(&[Permission::ImportAuthCert, Permission::ImportSignCert])
                .event("Import certificate from file")
                .takes_octets()
                .answers::<TokenCertificateView>(201)
                .refuses(404)
                .refuses(409),
            import,
        )
        .add(
            get("/token-certificates/{hash}", "getCertificate")
                .summary("a certificate")
                .permission(Permission::ViewKeys)
                .answers::<TokenCertificateView>(200)
                .refuses(404)
                .refuses(409),
            one,
        )
        .add(
            get("/token-certificates/{hash}/possible-actions", "getPossibleActionsForCertificate")
                .summary("what may be done with a certificate")
                .permission(Permission::ViewKeys)
                .answers::<Vec<String>>(200)
                .refuses(404)
                .refuses(409),
            actions,
        )
        .add(
            delete("/token-certificates/{hash}", "deleteCertificate")
                .summary("remove a certificate; its key stays")
                .permission_any(&[Permission::DeleteAuthCert, Permission::DeleteSignCert])
                .event("Delete certificate from configuration")
                .answers_nothing(204)
                .refuses(404)
                .refuses(409),
            remove,
        );
    let may_switch = [Permission::ActivateDisableAuthCert, Permission::ActivateDisableSignCert];
    api.add(
        put("/token-certificates/{hash}/activate", "activateCertificate")
            .summary("use a certificate")
            .permission_any(&may_switch)
            .event("Enable certificate")
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        activate,
    )
    .add(
        put("/token-certificates/{hash}/disable", "disableCertificate")
            .summary("do not use a certificate for now")
            .permission_any(&may_switch)
            .event("Disable certificate")
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        disable,
    )
    .add(
        put("/token-certificates/{hash}/register", "registerCertificate")
            .summary("ask the registry to register an authentication certificate")
            .permission(Permission::SendAuthCertRegReq)
            .event("Register authentication certificate")
            .takes::<Address>()
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        register,
    )
    .add(
        put("/token-certificates/{hash}/unregister", "unregisterAuthCertificate")
            .summary("ask the registry to forget an authentication certificate")
            .permission(Permission::SendAuthCertDelReq)
            .event("Unregister authentication certificate")
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        unregister,
    )
    .add(
        put("/token-certificates/{hash}/mark-for-deletion", "markAuthCertForDeletion")
            .summary(
                "take an authentication certificate for unregistered, where the registry cannot be asked",
            )
            .permission(Permission::SendAuthCertDelReq)
            .event("Skip unregistration of authentication certificate")
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        mark,
    )
}

/// A certificate on a token.
struct Found {
    token: Arc<dyn Token>,
    key: TokenKey,
    held: TokenCertificate,
}

fn find(control: &Control, hash: &str) -> Result<Found, ApiError> {
    for token in control.tokens() {
        for key in token.keys() {
            let held = key.certificates.iter().find(|held| is_named(&held.certificate, hash)).cloned();
            if let Some(held) = held {
                return Ok(Found { token: Arc::clone(token), key, held });
            }
        }
    }
    Err(ApiError::not_found("certificate_not_found").with(hash))
}

async fn found(call: &Call<Office>, hash: String) -> Result<(Arc<Control>, Found), ApiError> {
    call.fact("certHash", &hash);
    call.fact("certHashAlgorithm", "SHA-256");
    let control = call.node().control()?;
    blocking(move || find(&control, &hash).map(|found| (control, found))).await
}

async fn import(
    call: Call<Office>,
    Octets(bytes): Octets,
) -> Result<Created<TokenCertificateView>, ApiError> {
    let certificate = Certificate::from_pem_or_der(&bytes).map_err(|error| {
        tracing::debug!(%error, "an uploaded certificate is none");
        ApiError::bad_request("invalid_cert")
    })?;
    call.fact("certHash", certificate.hashes().sha256.to_hex().to_uppercase());
    call.fact("certHashAlgorithm", "SHA-256");
    call.require(match certificate.usage() {
        Some(CertificateUsage::Authentication) => Permission::ImportAuthCert,
        Some(CertificateUsage::Signing) => Permission::ImportSignCert,
        None => return Err(ApiError::conflict("wrong_cert_usage")),
    })?;
    let control = call.node().control()?;
    blocking(move || {
        let snapshot = control.snapshot().ok_or_else(|| ApiError::new(503, "global_conf_outdated"))?;
        let local = control.state().load().map_err(|error| {
            tracing::error!(%error, "the server's own configuration cannot be read");
            ApiError::internal()
        })?;
        let holder = control
            .tokens()
            .iter()
            .find(|token| token.keys().iter().any(|key| key.key.public_key() == certificate.public_key()));
        let token = holder.ok_or_else(|| ApiError::conflict("key_not_found"))?;
        let now = control.clock().now();
        let is_client = |member: &protocol::id::MemberId| {
            member == control.server().owner() || local.clients.keys().any(|client| client.member() == member)
        };
        let (trust, server) = (snapshot.trust(), control.server());
        enrol::import(token.as_ref(), &certificate, trust, server, &is_client, now)
            .map_err(|error| refusal(&error))?;
        // As X-Road does: authentication waits until somebody activates it.
        if certificate.usage() == Some(CertificateUsage::Authentication) {
            token.set_active(&certificate, false).map_err(|error| token_refusal(&error))?;
        }
        control.keys_changed();
        let hash = certificate.hashes().sha256.to_hex();
        Ok(Created(certificate_view(&control, &find(&control, &hash)?.held)))
    })
    .await
}

fn refusal(error: &EnrolError) -> ApiError {
    match error {
        EnrolError::Token(error) => match error {
            certs::token::TokenError::CertificateExists => ApiError::conflict("cert_exists"),
            certs::token::TokenError::WrongUsage => ApiError::conflict("wrong_cert_usage"),
            certs::token::TokenError::KeyNotFound => ApiError::conflict("key_not_found"),
            certs::token::TokenError::Expired => ApiError::conflict("cert_import_failed").with("expired"),
            error => token_refusal(error),
        },
        EnrolError::Untrusted(reason) => ApiError::conflict("cert_import_failed").with(reason),
        EnrolError::ForeignMember(member) => {
            ApiError::conflict("client_not_found").with(member.to_string().replace('/', ":"))
        }
        EnrolError::Request(_) | EnrolError::Subject(_) | EnrolError::UnsuitableKey => ApiError::internal(),
    }
}

async fn one(call: Call<Office>, Path(hash): Path<String>) -> Result<Json<TokenCertificateView>, ApiError> {
    let (control, found) = found(&call, hash).await?;
    Ok(Json(certificate_view(&control, &found.held)))
}

async fn actions(call: Call<Office>, Path(hash): Path<String>) -> Result<Json<Vec<&'static str>>, ApiError> {
    let (_, found) = found(&call, hash).await?;
    Ok(Json(certificate_actions(&found.held)))
}

async fn activate(call: Call<Office>, Path(hash): Path<String>) -> Result<NoContent, ApiError> {
    switch(&call, hash, true).await
}

async fn disable(call: Call<Office>, Path(hash): Path<String>) -> Result<NoContent, ApiError> {
    switch(&call, hash, false).await
}

async fn switch(call: &Call<Office>, hash: String, active: bool) -> Result<NoContent, ApiError> {
    let (control, found) = found(call, hash).await?;
    call.require(match found.key.usage {
        CertificateUsage::Authentication => Permission::ActivateDisableAuthCert,
        CertificateUsage::Signing => Permission::ActivateDisableSignCert,
    })?;
    blocking(move || {
        let set = found.token.set_active(&found.held.certificate, active);
        set.map_err(|error| token_refusal(&error))?;
        control.keys_changed();
        Ok(NoContent)
    })
    .await
}

async fn remove(call: Call<Office>, Path(hash): Path<String>) -> Result<NoContent, ApiError> {
    let (control, found) = found(&call, hash).await?;
    call.require(match found.key.usage {
        CertificateUsage::Authentication => Permission::DeleteAuthCert,
        CertificateUsage::Signing => Permission::DeleteSignCert,
    })?;
    possible(&found, "DELETE")?;
    blocking(move || {
        found.token.remove_certificate(&found.held.certificate).map_err(|error| token_refusal(&error))?;
        control.keys_changed();
        Ok(NoContent)
    })
    .await
}

async fn register(
    call: Call<Office>,
    Path(hash): Path<String>,
    Json(address): Json<Address>,
) -> Result<NoContent, ApiError> {
    call.fact("address", &address.address);
    let (control, found) = found(&call, hash).await?;
    possible(&found, "REGISTER")?;
    let registration = Registration {
        key: Arc::clone(&found.key.key),
        certificate: found.held.certificate.clone(),
        address: address.address,
        dry_run: false,
    };
    let id = control.management().register_auth_certificate(&registration).await;
    let id = id.map_err(|error| management_refusal(&error))?;
    call.fact("managementRequestId", id);
    set_status(control, found, CertificateStatus::RegistrationInProgress).await
}

async fn unregister(call: Call<Office>, Path(hash): Path<String>) -> Result<NoContent, ApiError> {
    let (control, found) = found(&call, hash).await?;
    possible(&found, "UNREGISTER")?;
    let id = control.management().delete_auth_certificate(&found.held.certificate).await;
    let id = id.map_err(|error| management_refusal(&error))?;
    call.fact("managementRequestId", id);
    set_status(control, found, CertificateStatus::DeletionInProgress).await
}

async fn mark(call: Call<Office>, Path(hash): Path<String>) -> Result<NoContent, ApiError> {
    let (control, found) = found(&call, hash).await?;
    possible(&found, "UNREGISTER")?;
    set_status(control, found, CertificateStatus::DeletionInProgress).await
}

async fn set_status(
    control: Arc<Control>,
    found: Found,
    status: CertificateStatus,
) -> Result<NoContent, ApiError> {
    blocking(move || {
        let set = found.token.set_status(&found.held.certificate, status);
        set.map_err(|error| token_refusal(&error))?;
        control.keys_changed();
        Ok(NoContent)
    })
    .await
}

fn possible(found: &Found, action: &str) -> Result<(), ApiError> {
    if certificate_actions(&found.held).contains(&action) {
        Ok(())
    } else {
        Err(ApiError::conflict("action_not_possible"))
    }
}

/// What the registry, or the way to it, said to a management request.
pub(super) fn management_refusal(error: &ManagementError) -> ApiError {
    tracing::warn!(%error, "a management request was not taken");
    let code = match error {
        ManagementError::Refused(fault) => fault.code.to_string(),
        _ => "management_request_sending_failed".to_owned(),
    };
    ApiError::new(500, code).with(error.to_string())
}
