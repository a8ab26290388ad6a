//! Uploaded files: which names they may have, and the forms of trust services.

use administration::api::{ApiError, Form, Upload};
use bytes::Bytes;
use schemars::JsonSchema;

use super::certification_services::CsrFormatView;
use super::ocsp_responders::CostTypeView;

/// Extensions of certificate files (registry and administration §1.7).
const CERTIFICATES: &[&str] = &["der", "crt", "pem", "cer"];

/// A form with a certificate file.
#[derive(JsonSchema)]
#[schemars(rename = "CertificateFile")]
#[expect(dead_code, reason = "it describes the form to readers of the document")]
pub(super) struct CertificateForm {
    /// DER or PEM, named with the extension der, crt, pem or cer.
    #[schemars(extend("format" = "binary"))]
    certificate: String,
}

/// A form with an XML file.
#[derive(JsonSchema)]
#[schemars(rename = "TrustedAnchorFile")]
#[expect(dead_code, reason = "it describes the form to readers of the document")]
pub(super) struct AnchorForm {
    /// An anchor, named with the extension xml.
    #[schemars(extend("format" = "binary"))]
    anchor: String,
}

/// A certification service.
#[derive(JsonSchema)]
#[schemars(rename = "CertificationServiceFileAndSettings")]
#[expect(dead_code, reason = "it describes the form to readers of the document")]
pub(super) struct ServiceForm {
    /// Certificate of its top CA, DER or PEM.
    #[schemars(extend("format" = "binary"))]
    certificate: String,
    /// Class name of the certificate profile.
    certificate_profile_info: String,
    /// `true`: it issues authentication certificates only.
    tls_auth: Option<String>,
    /// The form of certificate requests that is offered first.
    default_csr_format: CsrFormatView,
    /// URL of the directory of its ACME server.
    acme_server_directory_url: Option<String>,
    /// Addresses of its ACME server, with commas between.
    acme_server_ip_address: Option<String>,
    /// The ACME profile of authentication certificates.
    authentication_certificate_profile_id: Option<String>,
    /// The ACME profile of signing certificates.
    signing_certificate_profile_id: Option<String>,
}

/// An OCSP responder.
#[derive(JsonSchema)]
#[schemars(rename = "OcspResponderAdd")]
#[expect(dead_code, reason = "it describes the form to readers of the document")]
pub(super) struct ResponderForm {
    /// Where to ask.
    url: String,
    /// What it costs.
    cost_type: CostTypeView,
    /// The certificate that signs its answers, DER or PEM.
    #[schemars(extend("format" = "binary"))]
    certificate: Option<String>,
}

/// What of an OCSP responder changes.
#[derive(JsonSchema)]
#[schemars(rename = "OcspResponderChange")]
#[expect(dead_code, reason = "it describes the form to readers of the document")]
pub(super) struct ResponderChangeForm {
    /// Where to ask.
    url: Option<String>,
    /// What it costs.
    cost_type: Option<CostTypeView>,
    /// The certificate that signs its answers, DER or PEM.
    #[schemars(extend("format" = "binary"))]
    certificate: Option<String>,
}

/// A time-stamping service.
#[derive(JsonSchema)]
#[schemars(rename = "TimestampingServiceAdd")]
#[expect(dead_code, reason = "it describes the form to readers of the document")]
pub(super) struct TimestampingForm {
    /// Where to ask.
    url: String,
    /// What it costs.
    cost_type: CostTypeView,
    /// Its certificate, DER or PEM.
    #[schemars(extend("format" = "binary"))]
    certificate: String,
}

/// What of a time-stamping service changes.
#[derive(JsonSchema)]
#[schemars(rename = "TimestampingServiceChange")]
#[expect(dead_code, reason = "it describes the form to readers of the document")]
pub(super) struct TimestampingChangeForm {
    /// Where to ask.
    url: String,
    /// What it costs.
    cost_type: CostTypeView,
    /// Its certificate, DER or PEM; without one it stays.
    #[schemars(extend("format" = "binary"))]
    certificate: Option<String>,
}

/// A part of the configuration.
#[derive(JsonSchema)]
#[schemars(rename = "ConfigurationPartUpload")]
#[expect(dead_code, reason = "it describes the form to readers of the document")]
pub(super) struct PartForm {
    /// What it is.
    content_identifier: String,
    /// The part, named with the extension xml.
    #[schemars(extend("format" = "binary"))]
    file: String,
}

/// The certificate of a form that must have one.
///
/// # Errors
/// 400 when it is not there, or its name or content is not a certificate file's.
pub(super) fn certificate(form: &mut Form) -> Result<Bytes, ApiError> {
    optional_certificate(form)?.ok_or_else(|| ApiError::validation("certificate", "NotNull"))
}

/// The certificate of a form that may have one; an empty file is none.
///
/// # Errors
/// 400 when its name or content is not a certificate file's.
pub(super) fn optional_certificate(form: &mut Form) -> Result<Option<Bytes>, ApiError> {
    let Some(upload) = form.file("certificate") else { return Ok(None) };
    if upload.content.is_empty() {
        return Ok(None);
    }
    extension(&upload, CERTIFICATES)?;
    Ok(Some(upload.content))
}

/// An XML file of a form.
///
/// # Errors
/// 400 when it is not there, or its name is not one of an XML file.
pub(super) fn xml(form: &mut Form, field: &str) -> Result<Upload, ApiError> {
    let upload = form.file(field).ok_or_else(|| ApiError::validation(field, "NotNull"))?;
    extension(&upload, &["xml"])?;
    Ok(upload)
}

/// Checks the extension: one, and of those that are allowed.
fn extension(upload: &Upload, allowed: &[&str]) -> Result<(), ApiError> {
    let (name, extension) = upload.name.rsplit_once('.').unwrap_or((&upload.name, ""));
    if name.contains('.') {
        return Err(ApiError::bad_request("double_file_extension"));
    }
    if allowed.contains(&extension) {
        return Ok(());
    }
    Err(ApiError::bad_request("invalid_file_extension").with(extension).with(allowed.join(", ")))
}
