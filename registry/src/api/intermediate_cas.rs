//! `/intermediate-cas`, and those of a certification service.

use administration::api::{ApiError, Call, Created, Form, Json, NoContent, Path, delete, get, post};
use administration::views::CertificateDetails;
use schemars::JsonSchema;
use serde::Serialize;

use super::office::Office;
use super::permission::Permission;
use super::trust_uploads::CertificateForm;
use super::{RegistryApi, certification_services, trust_uploads};
use crate::instance::{Instance, IntermediateCa, Refusal};

/// An intermediate CA.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "CertificateAuthority")]
pub struct AuthorityView {
    /// Its number.
    pub id: u32,
    /// Its certificate.
    pub ca_certificate: CertificateDetails,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{AddApprovedCa, ViewApprovedCaDetails};
    api.add(
        get(
            "/certification-services/{certification_service_id}/intermediate-cas",
            "getCertificationServiceIntermediateCas",
        )
        .permission(ViewApprovedCaDetails)
        .answers::<Vec<AuthorityView>>(200)
        .refuses(404),
        list,
    )
    .add(
        post(
            "/certification-services/{certification_service_id}/intermediate-cas",
            "addCertificationServiceIntermediateCa",
        )
        .permission(AddApprovedCa)
        .event("Add intermediate CA")
        .takes_form::<CertificateForm>()
        .answers::<AuthorityView>(201)
        .refuses(404)
        .refuses(409),
        add,
    )
    .add(
        get("/intermediate-cas/{intermediate_ca_id}", "getIntermediateCa")
            .permission(ViewApprovedCaDetails)
            .answers::<AuthorityView>(200)
            .refuses(404),
        one,
    )
    .add(
        delete("/intermediate-cas/{intermediate_ca_id}", "deleteIntermediateCa")
            .permission(AddApprovedCa)
            .event("Delete intermediate CA")
            .answers_nothing(204)
            .refuses(404),
        remove,
    )
}

async fn list(call: Call<Office>, Path(id): Path<u32>) -> Result<Json<Vec<AuthorityView>>, ApiError> {
    certification_services::look(&call, id)?;
    let all = |instance: &Instance| instance.intermediates_of(id).filter_map(AuthorityView::of).collect();
    Ok(Json(call.node().look(all)))
}

async fn add(
    call: Call<Office>,
    Path(id): Path<u32>,
    mut form: Form,
) -> Result<Created<AuthorityView>, ApiError> {
    call.fact("caId", id);
    let certificate = trust_uploads::certificate(&mut form)?;
    let authority = call.node().command(move |desk| desk.add_intermediate_ca(id, &certificate)).await?;
    call.fact("intermediateCaId", authority.id);
    call.fact_hash("intermediateCaCertHash", &authority.certificate);
    Ok(Created(AuthorityView::of(&authority).ok_or(Refusal::IntermediateCaNotFound(authority.id))?))
}

async fn one(call: Call<Office>, Path(id): Path<u32>) -> Result<Json<AuthorityView>, ApiError> {
    let found = call.node().look(|instance| AuthorityView::of(instance.intermediate_cas().get(&id)?));
    Ok(Json(found.ok_or(Refusal::IntermediateCaNotFound(id))?))
}

async fn remove(call: Call<Office>, Path(id): Path<u32>) -> Result<NoContent, ApiError> {
    call.fact("intermediateCaId", id);
    call.node().command(move |desk| desk.delete_intermediate_ca(id)).await?;
    Ok(NoContent)
}

impl AuthorityView {
    fn of(authority: &IntermediateCa) -> Option<Self> {
        Some(Self { id: authority.id, ca_certificate: super::certificate(&authority.certificate)? })
    }
}
