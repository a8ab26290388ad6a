//! Certificate requests: `/tokens/{id}/keys-with-csrs` and `/keys/{id}/csrs` (registry and administration
//! §4.11; global configuration and trust §14.5).

use std::collections::BTreeMap;
use std::sync::Arc;

use administration::api::{ApiError, Call, Download, Json, NoContent, Path, Query, delete, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certs::certificate::CertificateUsage;
use certs::key::KeyKind;
use certs::profile::{FieldError, Profile, RequestFor, Subject};
use certs::request;
use certs::token::TokenKey;
use protocol::id::MemberId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::initialization::token_refusal;
use super::key_views::{KeyView, UsageView, key_view};
use super::tokens::blocking;
use super::{Office, Permission, ServerApi, keys, tokens};
use crate::keyring::{KeptRequest, Keyring};
use crate::node::Control;

/// The form of a request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "CsrFormat")]
enum Format {
    /// Text.
    Pem,
    /// Octets.
    Der,
}

/// What is asked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "CsrGenerate")]
struct Wanted {
    /// What the key is for.
    key_usage_type: UsageView,
    /// Name of the certification service.
    ca_name: String,
    /// The form that the request is wanted in.
    csr_format: Format,
    /// The member that a signing certificate is for.
    member_id: Option<String>,
    /// By name of the field.
    subject_field_values: BTreeMap<String, String>,
}

/// A key to make, and the request for it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "KeyLabelWithCsrGenerate")]
struct WantedKey {
    /// The name of the key.
    key_label: Option<String>,
    /// The request.
    csr_generate_request: Wanted,
}

/// A key that was made with a request.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "KeyWithCertificateSigningRequestId")]
struct Made {
    /// The key.
    key: KeyView,
    /// The id of its request.
    csr_id: String,
}

/// In which form a request is wanted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
struct FormatQuery {
    /// `PEM` or `DER`; by default PEM.
    csr_format: Option<Format>,
}

pub(super) fn operations(api: ServerApi) -> ServerApi {
    api.add(
        post("/tokens/{id}/keys-with-csrs", "addKeyAndCsr")
            .summary("make a key and a certificate request for it")
            .permission_any(&[Permission::GenerateAuthCertReq, Permission::GenerateSignCertReq])
            .event("Generate key and CSR")
            .takes::<WantedKey>()
            .answers::<Made>(200)
            .refuses(404)
            .refuses(409),
        make_both,
    )
    .add(
        post("/keys/{id}/csrs", "generateCsr")
            .summary("make a certificate request for a key")
            .permission_any(&[Permission::GenerateAuthCertReq, Permission::GenerateSignCertReq])
            .event("Generate CSR")
            .takes::<Wanted>()
            .answers_file(200, "application/octet-stream")
            .refuses(404)
            .refuses(409),
        make,
    )
    .add(
        get("/keys/{id}/csrs/{csr}", "downloadCsr")
            .summary("a certificate request as a file")
            .permission_any(&[Permission::GenerateAuthCertReq, Permission::GenerateSignCertReq])
            .asks::<FormatQuery>()
            .answers_file(200, "application/octet-stream")
            .refuses(404)
            .refuses(409),
        download,
    )
    .add(
        delete("/keys/{id}/csrs/{csr}", "deleteCsr")
            .summary("forget a certificate request")
            .permission_any(&[Permission::DeleteAuthCert, Permission::DeleteSignCert])
            .event("Delete CSR")
            .answers_nothing(204)
            .refuses(404)
            .refuses(409),
        remove,
    )
}

/// A request that may be made.
struct Checked {
    usage: CertificateUsage,
    member: Option<MemberId>,
    profile: Profile,
    subject: Subject,
}

async fn make_both(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(wanted): Json<WantedKey>,
) -> Result<Json<Made>, ApiError> {
    let request = wanted.csr_generate_request;
    let label = wanted.key_label.unwrap_or_default().trim().to_owned();
    if label.chars().count() > 255 || label.chars().any(char::is_control) {
        return Err(ApiError::validation("keyLabel", "Size"));
    }
    note(&call, &request)?;
    call.fact("tokenId", &id);
    call.fact("keyLabel", &label);
    let (control, keyring) = (call.node().control()?, Arc::clone(call.node().keyring()));
    let (place, token) = tokens::find(&control, &id)?;
    let made = blocking(move || {
        let checked = check(&control, &request)?;
        if checked.usage == CertificateUsage::Authentication && place != 0 {
            let why = "keys of authentication are made on the software token";
            return Err(ApiError::conflict("action_not_possible").with(why));
        }
        let key =
            token.generate(KeyKind::P256, checked.usage, &label).map_err(|error| token_refusal(&error))?;
        let kept = match keep(&keyring, &key, &checked) {
            Ok(kept) => kept,
            Err(error) => {
                // A key without its request is of no use to whoever asked for both.
                if let Err(error) = token.remove_key(&key.id) {
                    tracing::warn!(%error, key = key.id, "a key without a request stays on the token");
                }
                return Err(error);
            }
        };
        let key = key_view(&control, &keyring, &key, token.is_active(), place == 0);
        Ok(Made { key, csr_id: kept.id })
    })
    .await?;
    call.fact("keyId", &made.key.id);
    call.fact("csrId", &made.csr_id);
    Ok(Json(made))
}

async fn make(
    call: Call<Office>,
    Path(id): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Result<Download, ApiError> {
    note(&call, &wanted)?;
    call.fact("keyId", &id);
    let (control, keyring) = (call.node().control()?, Arc::clone(call.node().keyring()));
    let format = wanted.csr_format;
    let kept = blocking(move || {
        let checked = check(&control, &wanted)?;
        let (_, token, key) = keys::find(&control, &id)?;
        if key.usage != checked.usage {
            return Err(ApiError::bad_request("wrong_key_usage"));
        }
        if !token.is_active() || !key.certificates.is_empty() {
            return Err(ApiError::conflict("action_not_possible"));
        }
        keep(&keyring, &key, &checked)
    })
    .await?;
    call.fact("csrId", &kept.id);
    file(&kept, format)
}

async fn download(
    call: Call<Office>,
    Path((id, csr)): Path<(String, String)>,
    Query(query): Query<FormatQuery>,
) -> Result<Download, ApiError> {
    let (control, keyring) = (call.node().control()?, Arc::clone(call.node().keyring()));
    let kept = blocking(move || {
        let (_, _, key) = keys::find(&control, &id)?;
        let mut requests = keyring.requests_of(&key.id).into_iter();
        let found = requests.find(|request| request.id.eq_ignore_ascii_case(&csr));
        found.ok_or_else(|| ApiError::not_found("csr_not_found").with(csr))
    })
    .await?;
    call.require(permission(kept.usage()))?;
    file(&kept, query.csr_format.unwrap_or(Format::Pem))
}

async fn remove(call: Call<Office>, Path((id, csr)): Path<(String, String)>) -> Result<NoContent, ApiError> {
    call.fact("keyId", &id);
    call.fact("csrId", &csr);
    let (control, keyring) = (call.node().control()?, Arc::clone(call.node().keyring()));
    blocking(move || {
        let (_, _, key) = keys::find(&control, &id)?;
        match keyring.remove(&key.id, &csr) {
            Ok(true) => Ok(NoContent),
            Ok(false) => Err(ApiError::not_found("csr_not_found").with(csr)),
            Err(error) => {
                tracing::error!(%error, "a certificate request cannot be removed");
                Err(ApiError::internal())
            }
        }
    })
    .await
}

fn permission(usage: CertificateUsage) -> Permission {
    match usage {
        CertificateUsage::Authentication => Permission::GenerateAuthCertReq,
        CertificateUsage::Signing => Permission::GenerateSignCertReq,
    }
}

/// Demands the permission for this kind of request, and notes what is asked for.
fn note(call: &Call<Office>, wanted: &Wanted) -> Result<(), ApiError> {
    let usage = CertificateUsage::from(wanted.key_usage_type);
    call.fact("keyUsage", wanted.key_usage_type);
    call.fact("certificationServiceName", &wanted.ca_name);
    call.fact("clientIdentifier", &wanted.member_id);
    call.require(permission(usage))
}

/// Whether this may be asked for: the certification service is approved, the member is served here, the
/// fields are those of the profile.
fn check(control: &Control, wanted: &Wanted) -> Result<Checked, ApiError> {
    let snapshot = control.snapshot().ok_or_else(|| ApiError::new(503, "global_conf_outdated"))?;
    let own = snapshot.configuration().own().ok_or_else(|| ApiError::new(503, "global_conf_outdated"))?;
    let approved = own.shared.approved_cas.iter().find(|ca| ca.name == wanted.ca_name);
    let approved = approved
        .ok_or_else(|| ApiError::bad_request("certificate_authority_not_found").with(&wanted.ca_name))?;
    let usage = CertificateUsage::from(wanted.key_usage_type);
    if usage == CertificateUsage::Signing && approved.authentication_only {
        return Err(ApiError::bad_request("certificate_authority_not_found").with(&wanted.ca_name));
    }
    let profile = Profile::from_class_name(&approved.certificate_profile)
        .ok_or_else(|| ApiError::new(500, "certificate_profile_instantiation_failure"))?;
    let member = match (usage, &wanted.member_id) {
        (CertificateUsage::Authentication, _) => None,
        (CertificateUsage::Signing, None) => return Err(ApiError::bad_request("missing_member_id")),
        (CertificateUsage::Signing, Some(id)) => Some(local_member(control, id)?),
    };
    let subject_member = member.as_ref().unwrap_or(control.server().owner());
    let name = own.shared.members.iter().find(|member| member.id == *subject_member);
    let of = RequestFor {
        server: control.server(),
        member: subject_member,
        member_name: name.map_or("", |member| member.name.as_str()),
        dns_name: "",
        country: "",
    };
    let subject = profile.subject_of(usage, &of, &wanted.subject_field_values).map_err(|error| {
        let refused = ApiError::bad_request("invalid_dn_parameter");
        match error {
            FieldError::Extra(name) => refused.with(name),
            FieldError::Missing(name) | FieldError::Fixed(name, _) => refused.with(name),
            FieldError::Unencodable(reason) => refused.with(reason),
        }
    })?;
    Ok(Checked { usage, member, profile, subject })
}

/// A member with a client on this server.
fn local_member(control: &Control, id: &str) -> Result<MemberId, ApiError> {
    let unknown = || ApiError::bad_request("client_not_found").with(id);
    let mut parts = id.split(':');
    let (Some(instance), Some(class), Some(code), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(unknown());
    };
    let member = MemberId::new(instance, class, code).map_err(|_| unknown())?;
    let local = control.state().load().map_err(|error| {
        tracing::error!(%error, "the server's own configuration cannot be read");
        ApiError::internal()
    })?;
    let is_client =
        member == *control.server().owner() || local.clients.keys().any(|client| *client.member() == member);
    if is_client { Ok(member) } else { Err(unknown()) }
}

/// Makes the request and keeps it.
fn keep(keyring: &Keyring, key: &TokenKey, checked: &Checked) -> Result<KeptRequest, ApiError> {
    let der = request::create(&key.key, &checked.subject, checked.usage).map_err(|error| {
        tracing::error!(%error, "a certificate request cannot be made");
        ApiError::new(500, "key_and_csr_creation_failed")
    })?;
    let digest = protocol::digest::DigestAlgorithm::Sha1.digest(&der).to_hex().to_uppercase();
    let kept = KeptRequest {
        id: digest,
        key: key.id.clone(),
        is_for_signing: checked.usage == CertificateUsage::Signing,
        member: checked.member.as_ref().map(|member| protocol::id::ClientId::from(member.clone()).encoded()),
        profile: checked.profile.class_name(),
        der: STANDARD.encode(&der),
    };
    keyring.add(kept.clone()).map_err(|error| {
        tracing::error!(%error, "a certificate request cannot be kept");
        ApiError::internal()
    })?;
    Ok(kept)
}

fn file(kept: &KeptRequest, format: Format) -> Result<Download, ApiError> {
    let der = STANDARD.decode(&kept.der).map_err(|_| ApiError::internal())?;
    let kind = if kept.is_for_signing { "sign" } else { "auth" };
    let (extension, content) = match format {
        Format::Pem => ("pem", request::to_pem(&der).into_bytes()),
        Format::Der => ("der", der),
    };
    let name = format!("{kind}_csr_{}.{extension}", kept.id);
    Ok(Download { name, content_type: "application/octet-stream", content: content.into() })
}
