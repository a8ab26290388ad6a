//! `/certification-services`: approved certification services.

use administration::api::{ApiError, Call, Created, Form, Json, NoContent, Path, delete, get, patch, post};
use administration::views::CertificateDetails;
use certs::certificate::Certificate;
use protocol::configuration::CsrFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::office::Office;
use super::permission::Permission;
use super::trust_uploads::ServiceForm;
use super::{RegistryApi, trust_uploads};
use crate::instance::{CertificationService, CertificationSettings, Desk, Instance, Refusal};

/// A certification service in the list.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ApprovedCertificationServiceListItem")]
pub struct ServiceRow {
    /// Its number.
    pub id: u32,
    /// The common name in its certificate.
    pub name: String,
    /// First moment of its certificate's validity.
    pub not_before: String,
    /// Last moment of its certificate's validity.
    pub not_after: String,
}

/// A certification service.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ApprovedCertificationService")]
pub struct ServiceView {
    /// What the list shows.
    #[serde(flatten)]
    pub row: ServiceRow,
    /// Issuer of its certificate.
    pub issuer_distinguished_name: String,
    /// Subject of its certificate.
    pub subject_distinguished_name: String,
    /// Class name of the certificate profile.
    pub certificate_profile_info: String,
    /// Whether it issues authentication certificates only.
    pub tls_auth: bool,
    /// The form of certificate requests that is offered first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_csr_format: Option<CsrFormatView>,
    /// URL of the directory of its ACME server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme_server_directory_url: Option<String>,
    /// Addresses of its ACME server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme_server_ip_address: Option<String>,
    /// The ACME profile of authentication certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_certificate_profile_id: Option<String>,
    /// The ACME profile of signing certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_certificate_profile_id: Option<String>,
}

/// The form of certificate requests.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "CsrFormat")]
pub enum CsrFormatView {
    /// Text.
    Pem,
    /// Bytes.
    Der,
}

/// New settings of a certification service; what is not given stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "CertificationServiceSettings")]
pub struct ServiceSettings {
    /// Class name of the certificate profile.
    pub certificate_profile_info: Option<String>,
    /// `true` or `false`: whether it issues authentication certificates only. Without it: `false`.
    pub tls_auth: Option<Flag>,
    /// The form of certificate requests that is offered first.
    pub default_csr_format: Option<CsrFormatView>,
    /// URL of the directory of its ACME server.
    pub acme_server_directory_url: Option<String>,
    /// Addresses of its ACME server, with commas between.
    pub acme_server_ip_address: Option<String>,
    /// The ACME profile of authentication certificates.
    pub authentication_certificate_profile_id: Option<String>,
    /// The ACME profile of signing certificates.
    pub signing_certificate_profile_id: Option<String>,
}

/// A truth value as the interface takes it: as one, or as a text.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Flag {
    /// `true` or `false`
    Value(bool),
    /// `"true"`, in any letter case; every other text is false.
    Text(String),
}

impl Flag {
    /// What it says.
    pub fn is_set(&self) -> bool {
        match self {
            Self::Value(value) => *value,
            Self::Text(text) => text.eq_ignore_ascii_case("true"),
        }
    }
}

impl ServiceView {
    fn of(service: &CertificationService) -> Self {
        let settings = service.settings.clone();
        let details = Certificate::from_der(service.certificate.clone()).ok();
        let details = details.as_ref().map(CertificateDetails::from);
        let text = |part: fn(&CertificateDetails) -> &String| {
            details.as_ref().map(part).cloned().unwrap_or_default()
        };
        Self {
            row: ServiceRow {
                id: service.id,
                name: service.name.clone(),
                not_before: text(|details| &details.not_before),
                not_after: text(|details| &details.not_after),
            },
            issuer_distinguished_name: text(|details| &details.issuer_distinguished_name),
            subject_distinguished_name: text(|details| &details.subject_distinguished_name),
            certificate_profile_info: settings.profile,
            tls_auth: settings.authentication_only,
            default_csr_format: settings.csr_format.map(Into::into),
            acme_server_directory_url: settings.acme_directory,
            acme_server_ip_address: settings.acme_ip_addresses,
            authentication_certificate_profile_id: settings.acme_authentication_profile,
            signing_certificate_profile_id: settings.acme_signing_profile,
        }
    }
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{
        AddApprovedCa, DeleteApprovedCa, EditApprovedCa, ViewApprovedCaDetails, ViewApprovedCas,
    };
    api.add(
        get("/certification-services", "getCertificationServices")
            .permission(ViewApprovedCas)
            .answers::<Vec<ServiceRow>>(200),
        list,
    )
    .add(
        post("/certification-services", "addCertificationService")
            .permission(AddApprovedCa)
            .event("Add certification service")
            .takes_form::<ServiceForm>()
            .answers::<ServiceView>(201)
            .refuses(409),
        add,
    )
    .add(
        get("/certification-services/{certification_service_id}", "getCertificationService")
            .permission(ViewApprovedCaDetails)
            .answers::<ServiceView>(200)
            .refuses(404),
        one,
    )
    .add(
        patch("/certification-services/{certification_service_id}", "updateCertificationService")
            .permission(EditApprovedCa)
            .event("Edit certification service settings")
            .takes::<ServiceSettings>()
            .answers::<ServiceView>(200)
            .refuses(404),
        change,
    )
    .add(
        delete("/certification-services/{certification_service_id}", "deleteCertificationService")
            .permission(DeleteApprovedCa)
            .event("Delete certification service")
            .answers_nothing(204)
            .refuses(404),
        remove,
    )
    .add(
        get(
            "/certification-services/{certification_service_id}/certificate",
            "getCertificationServiceCertificate",
        )
        .permission(ViewApprovedCaDetails)
        .answers::<CertificateDetails>(200)
        .refuses(404),
        certificate,
    )
}

async fn list(call: Call<Office>) -> Result<Json<Vec<ServiceRow>>, ApiError> {
    let rows = |instance: &Instance| {
        instance.certification_services().values().map(|service| ServiceView::of(service).row).collect()
    };
    Ok(Json(call.node().look(rows)))
}

async fn add(call: Call<Office>, mut form: Form) -> Result<Created<ServiceView>, ApiError> {
    let certificate = trust_uploads::certificate(&mut form)?;
    let flag = form.text("tls_auth").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let settings = CertificationSettings {
        profile: form.required("certificate_profile_info")?,
        authentication_only: flag,
        csr_format: Some(form.parsed::<CsrFormatView>("default_csr_format")?.into()),
        acme_directory: form.text("acme_server_directory_url"),
        acme_ip_addresses: form.text("acme_server_ip_address"),
        acme_authentication_profile: form.text("authentication_certificate_profile_id"),
        acme_signing_profile: form.text("signing_certificate_profile_id"),
    };
    let add = move |desk: &Desk| desk.add_certification_service(&certificate, settings);
    let service = call.node().command(add).await?;
    facts(&call, &service);
    Ok(Created(ServiceView::of(&service)))
}

/// A service that must exist.
pub(super) fn look(call: &Call<Office>, id: u32) -> Result<CertificationService, ApiError> {
    let found = call.node().look(|instance| instance.certification_services().get(&id).cloned());
    Ok(found.ok_or(Refusal::CertificationServiceNotFound(id))?)
}

async fn one(call: Call<Office>, Path(id): Path<u32>) -> Result<Json<ServiceView>, ApiError> {
    Ok(Json(ServiceView::of(&look(&call, id)?)))
}

async fn change(
    call: Call<Office>,
    Path(id): Path<u32>,
    Json(body): Json<ServiceSettings>,
) -> Result<Json<ServiceView>, ApiError> {
    call.fact("caId", id);
    let apply = move |settings: &mut CertificationSettings| {
        let take = |new: Option<String>, old: &mut Option<String>| *old = new.or(old.take());
        if let Some(profile) = body.certificate_profile_info {
            settings.profile = profile;
        }
        // As X-Road has it: what is not said is false here.
        settings.authentication_only = body.tls_auth.is_some_and(|flag| flag.is_set());
        settings.csr_format = body.default_csr_format.map(Into::into).or(settings.csr_format);
        take(body.acme_server_directory_url, &mut settings.acme_directory);
        take(body.acme_server_ip_address, &mut settings.acme_ip_addresses);
        take(body.authentication_certificate_profile_id, &mut settings.acme_authentication_profile);
        take(body.signing_certificate_profile_id, &mut settings.acme_signing_profile);
    };
    let service = call.node().command(move |desk| desk.change_certification_service(id, apply)).await?;
    facts(&call, &service);
    Ok(Json(ServiceView::of(&service)))
}

async fn remove(call: Call<Office>, Path(id): Path<u32>) -> Result<NoContent, ApiError> {
    call.fact("caId", id);
    call.node().command(move |desk| desk.delete_certification_service(id)).await?;
    Ok(NoContent)
}

async fn certificate(call: Call<Office>, Path(id): Path<u32>) -> Result<Json<CertificateDetails>, ApiError> {
    let service = look(&call, id)?;
    Ok(Json(super::certificate(&service.certificate).ok_or(Refusal::CertificationServiceNotFound(id))?))
}

fn facts(call: &Call<Office>, service: &CertificationService) {
    let settings = &service.settings;
    call.fact("caId", service.id);
    call.fact_hash("caCertHash", &service.certificate);
    call.fact("authenticationOnly", settings.authentication_only);
    call.fact("certificateProfileInfo", &settings.profile);
    call.fact("acmeDirectoryUrl", &settings.acme_directory);
    call.fact("acmeIpAddresses", &settings.acme_ip_addresses);
    call.fact("authCertProfileId", &settings.acme_authentication_profile);
    call.fact("signCertProfileId", &settings.acme_signing_profile);
}

impl From<CsrFormat> for CsrFormatView {
    fn from(format: CsrFormat) -> Self {
        match format {
            CsrFormat::Pem => Self::Pem,
            CsrFormat::Der => Self::Der,
        }
    }
}

impl From<CsrFormatView> for CsrFormat {
    fn from(format: CsrFormatView) -> Self {
        match format {
            CsrFormatView::Pem => Self::Pem,
            CsrFormatView::Der => Self::Der,
        }
    }
}
