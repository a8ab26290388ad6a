//! `/certificate-authorities`: approved certification services, and the fields of their requests (registry
//! and administration §8; global configuration and trust §14.5).

use administration::api::{ApiError, Call, Json, Path, Query, get};
use certs::certificate::{Certificate, CertificateUsage};
use certs::profile::{Profile, RequestFor};
use protocol::configuration::{ApprovedCa, CaCertificate, CsrFormat};
use protocol::id::MemberId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::key_views::UsageView;
use super::lookups::cost;
use super::{Office, Permission, ServerApi};

/// A certification service, or an intermediate CA of one.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "CertificateAuthority")]
struct AuthorityView {
    name: String,
    subject_distinguished_name: String,
    issuer_distinguished_name: String,
    ocsp_response: &'static str,
    not_after: String,
    top_ca: bool,
    path: String,
    authentication_only: bool,
    certificate_profile_info: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_csr_format: Option<&'static str>,
    acme_capable: bool,
    ocsp_responders: Vec<ResponderView>,
}

/// An OCSP responder.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "OcspResponder")]
struct ResponderView {
    url: String,
    cost_type: &'static str,
}

/// A field of a certificate request.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "CsrSubjectFieldDescription")]
struct FieldView {
    id: String,
    label: String,
    default_value: String,
    read_only: bool,
    required: bool,
    localized: bool,
}

/// Which services are wanted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct AuthorityQuery {
    /// Only those that certify for this use.
    key_usage_type: Option<UsageView>,
    /// With the intermediate CAs.
    include_intermediate_cas: Option<bool>,
}

/// Whom a request is for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
struct FieldQuery {
    /// What the key is for.
    key_usage_type: UsageView,
    /// The member that a signing certificate is for.
    member_id: Option<String>,
}

pub(super) fn operations(api: ServerApi) -> ServerApi {
    api.add(
        get("/certificate-authorities", "getApprovedCertificateAuthorities")
            .summary("the approved certification services")
            .permission_any(&[
                Permission::GenerateAuthCertReq,
                Permission::GenerateSignCertReq,
                Permission::ViewApprovedCertificateAuthorities,
            ])
            .asks::<AuthorityQuery>()
            .answers::<Vec<AuthorityView>>(200)
            .refuses(409),
        list,
    )
    .add(
        get("/certificate-authorities/{name}/csr-subject-fields", "getSubjectFieldDescriptions")
            .summary("the fields of a certificate request")
            .permission_any(&[Permission::GenerateAuthCertReq, Permission::GenerateSignCertReq])
            .asks::<FieldQuery>()
            .answers::<Vec<FieldView>>(200)
            .refuses(404)
            .refuses(409),
        fields,
    )
}

async fn list(
    call: Call<Office>,
    Query(query): Query<AuthorityQuery>,
) -> Result<Json<Vec<AuthorityView>>, ApiError> {
    let snapshot = call.node().control()?.snapshot();
    let snapshot = snapshot.ok_or_else(|| ApiError::new(503, "global_conf_outdated"))?;
    let own = snapshot.configuration().own().ok_or_else(|| ApiError::new(503, "global_conf_outdated"))?;
    let for_signing = query.key_usage_type == Some(UsageView::Signing);
    let mut views = Vec::new();
    for ca in own.shared.approved_cas.iter().filter(|ca| !(for_signing && ca.authentication_only)) {
        views.extend(view(ca, &ca.top, &ca.name, true));
        if query.include_intermediate_cas.unwrap_or(false) {
            views.extend(ca.intermediates.iter().filter_map(|below| view(ca, below, &ca.name, false)));
        }
    }
    Ok(Json(views))
}

/// None only for bytes that are no certificate, which no registry of ours publishes.
fn view(ca: &ApprovedCa, one: &CaCertificate, name: &str, is_top: bool) -> Option<AuthorityView> {
    let certificate = Certificate::from_der(one.certificate.clone()).ok()?;
    let subject = certificate.subject().to_java_text();
    let issuer = certificate.issuer().to_java_text();
    let path = if is_top { subject.clone() } else { format!("{issuer}:{subject}") };
    let responder = |responder: &protocol::configuration::OcspResponder| ResponderView {
        url: responder.url.clone(),
        cost_type: cost(responder.cost),
    };
    Some(AuthorityView {
        name: if is_top { name.to_owned() } else { subject.clone() },
        subject_distinguished_name: subject,
        issuer_distinguished_name: issuer,
        ocsp_response: "OCSP_RESPONSE_UNKNOWN",
        not_after: certificate.not_after().to_string(),
        top_ca: is_top,
        path,
        authentication_only: ca.authentication_only,
        certificate_profile_info: ca.certificate_profile.clone(),
        default_csr_format: ca.default_csr_format.map(|format| match format {
            CsrFormat::Pem => "PEM",
            CsrFormat::Der => "DER",
        }),
        acme_capable: ca.acme.is_some(),
        ocsp_responders: one.ocsp.iter().map(responder).collect(),
    })
}

async fn fields(
    call: Call<Office>,
    Path(name): Path<String>,
    Query(query): Query<FieldQuery>,
) -> Result<Json<Vec<FieldView>>, ApiError> {
    let control = call.node().control()?;
    let usage = CertificateUsage::from(query.key_usage_type);
    call.require(match usage {
        CertificateUsage::Authentication => Permission::GenerateAuthCertReq,
        CertificateUsage::Signing => Permission::GenerateSignCertReq,
    })?;
    let snapshot = control.snapshot().ok_or_else(|| ApiError::new(503, "global_conf_outdated"))?;
    let own = snapshot.configuration().own().ok_or_else(|| ApiError::new(503, "global_conf_outdated"))?;
    let ca = own.shared.approved_cas.iter().find(|ca| ca.name == name);
    let ca = ca.ok_or_else(|| ApiError::not_found("certificate_authority_not_found").with(&name))?;
    let profile = Profile::from_class_name(&ca.certificate_profile)
        .ok_or_else(|| ApiError::new(500, "certificate_profile_instantiation_failure"))?;
    let owner = control.server().owner().clone();
    let member = match (usage, &query.member_id) {
        (CertificateUsage::Signing, Some(id)) => {
            let parts: Vec<&str> = id.split(':').collect();
            let [instance, class, code] = parts[..] else {
                return Err(ApiError::bad_request("client_not_found").with(id));
            };
            MemberId::new(instance, class, code)
                .map_err(|_| ApiError::bad_request("client_not_found").with(id))?
        }
        (CertificateUsage::Signing, None) => return Err(ApiError::bad_request("missing_member_id")),
        (CertificateUsage::Authentication, _) => owner,
    };
    let named = own.shared.members.iter().find(|one| one.id == member);
    let address = own.shared.servers.iter().find(|server| server.id == *control.server());
    let of = RequestFor {
        server: control.server(),
        member: &member,
        member_name: named.map_or("", |member| member.name.as_str()),
        dns_name: address.and_then(|server| server.address.as_deref()).unwrap_or(""),
        country: "",
    };
    let fields = profile.request_fields(usage, &of).into_iter();
    let view = |field: certs::profile::RequestField| FieldView {
        id: field.name.to_owned(),
        label: label(field.name).to_owned(),
        default_value: field.value,
        read_only: field.is_fixed,
        required: true,
        localized: false,
    };
    Ok(Json(fields.map(view).collect()))
}

fn label(field: &str) -> &str {
    match field {
        "C" => "Country Code (C)",
        "O" => "Organization Name (O)",
        "OU" => "Organizational Unit (OU)",
        "CN" => "Common Name (CN)",
        "SN" | "serialNumber" => "Serial Number",
        "businessCategory" => "Business Category",
        "subjectAltName" => "Subject Alternative Name (SAN)",
        other => other,
    }
}
