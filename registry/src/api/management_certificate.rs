//! The certificate of the management services: `/management-services-configuration/certificate` and what
//! belongs to it. Security servers know the registration service by this very certificate.

use std::sync::Arc;

use administration::api::{ApiError, Call, Download, Form, Json, get, post};
use administration::views::CertificateDetails;
use bytes::Bytes;
use certs::certificate::{Certificate, DistinguishedName};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::RegistryApi;
use super::office::Office;
use super::permission::Permission;
use super::trust_uploads::CertificateForm;
use crate::instance::Refusal;
use crate::management::{ManagementTls, ManagementTlsError};

/// Whom a certificate is asked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "DistinguishedName")]
pub struct SubjectName {
    /// Such as `C=FI, O=Example, CN=cs.example`.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{
        DownloadManagementServiceTlsCert, GenerateManagementServiceTlsCsr,
        GenerateManagementServiceTlsKeyCert, UploadManagementServiceTlsCert, ViewManagementServiceTlsCert,
    };
    api.add(
        get("/management-services-configuration/certificate", "getCertificate")
            .permission(ViewManagementServiceTlsCert)
            .answers::<CertificateDetails>(200)
            .refuses(409),
        show,
    )
    .add(
        get("/management-services-configuration/download-certificate", "downloadCertificate")
            .permission(DownloadManagementServiceTlsCert)
            .answers_file(200, "application/gzip")
            .refuses(409),
        download,
    )
    .add(
        post("/management-services-configuration/certificate", "generateKeyAndCertificate")
            .permission(GenerateManagementServiceTlsKeyCert)
            .event("Generate management service TLS key and self-sign certificate")
            .answers_nothing(201)
            .refuses(409),
        renew,
    )
    .add(
        post("/management-services-configuration/generate-csr", "generateCertificateRequest")
            .permission(GenerateManagementServiceTlsCsr)
            .event("Generate management service TLS certificate signing request")
            .takes::<SubjectName>()
            .answers_file(200, "application/octet-stream")
            .refuses(409),
        request,
    )
    .add(
        post("/management-services-configuration/upload-certificate", "uploadCertificate")
            .permission(UploadManagementServiceTlsCert)
            .event("Upload management service TLS certificate")
            .takes_form::<CertificateForm>()
            .answers::<CertificateDetails>(200)
            .refuses(409),
        upload,
    )
}

/// Key and certificate of the services; an instance that is declared in a file has none here.
fn own(call: &Call<Office>) -> Result<Arc<ManagementTls>, ApiError> {
    Ok(call.node().management_tls.clone().ok_or(Refusal::DeclaredInFile)?)
}

async fn show(call: Call<Office>) -> Result<Json<CertificateDetails>, ApiError> {
    Ok(Json(CertificateDetails::from(own(&call)?.current().certificate())))
}

async fn download(call: Call<Office>) -> Result<Download, ApiError> {
    let current = own(&call)?.current();
    let certificate = current.certificate();
    let pem = certificate.to_pem();
    let files = [("management-service.pem", pem.as_bytes()), ("management-service.cer", certificate.der())];
    let content = tar_gz(&files).map_err(|_| ApiError::internal())?;
    let name = "management-service.tar.gz".to_owned();
    Ok(Download { name, content_type: "application/gzip", content })
}

async fn renew(call: Call<Office>) -> Result<(StatusCode, ()), ApiError> {
    let own = own(&call)?;
    let certificate = call
        .node()
        .work(move |desk| {
            let host = desk.host().ok_or(Refusal::NotInitialised)?;
            own.renew(&host, desk.clock().now()).map_err(failed)
        })
        .await?;
    call.fact_hash("certHash", certificate.der());
    Ok((StatusCode::CREATED, ()))
}

async fn request(call: Call<Office>, Json(body): Json<SubjectName>) -> Result<Download, ApiError> {
    call.fact("subjectName", &body.name);
    let name = DistinguishedName::from_text(&body.name);
    let name = name.map_err(|_| ApiError::bad_request("invalid_distinguished_name"))?;
    let own = own(&call)?;
    let der = call.node().work(move |_| own.request(name).map_err(failed)).await?;
    let pem = certs::pem::encode("CERTIFICATE REQUEST", &der);
    let day: String = call.node().desk.clock().now().to_compact_text().chars().take(8).collect();
    let name = format!("management_service_tls_cert_request_{day}.p10");
    Ok(Download { name, content_type: "application/octet-stream", content: pem.into() })
}

async fn upload(call: Call<Office>, mut form: Form) -> Result<Json<CertificateDetails>, ApiError> {
    let file = form.file("certificate").ok_or_else(|| ApiError::validation("certificate", "NotNull"))?;
    call.fact("certFileName", &file.name);
    let certificate = Certificate::from_pem_or_der(&file.content);
    let certificate =
        certificate.map_err(|_| ApiError::bad_request("cannot_convert_bytes_to_certificate"))?;
    call.fact_hash("certHash", certificate.der());
    let own = own(&call)?;
    if *own.current().certificate() == certificate {
        return Err(ApiError::bad_request("certificate_already_exists"));
    }
    let certificate = call.node().work(move |_| own.replace_certificate(certificate).map_err(failed)).await?;
    Ok(Json(CertificateDetails::from(&certificate)))
}

fn failed(error: ManagementTlsError) -> ApiError {
    match error {
        ManagementTlsError::OtherKey => ApiError::bad_request("key_not_found"),
        ManagementTlsError::Request(_) => ApiError::bad_request("csr_generation_failed"),
        other => {
            tracing::error!(error = %other, "the certificate of the management services");
            ApiError::internal()
        }
    }
}

/// A gzipped tape archive of files.
fn tar_gz(files: &[(&str, &[u8])]) -> std::io::Result<Bytes> {
    let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut archive = tar::Builder::new(packed);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *content)?;
    }
    Ok(archive.into_inner()?.finish()?.into())
}
