//! `/ocsp-responders`, and those of certification services and intermediate CAs.

use administration::api::{ApiError, Call, Created, Form, Json, NoContent, Path, delete, get, patch, post};
use administration::views::CertificateDetails;
use protocol::configuration::CostType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::office::Office;
use super::permission::Permission;
use super::trust_uploads::{ResponderChangeForm, ResponderForm};
use super::{RegistryApi, certification_services, trust_uploads};
use crate::instance::{Authority, Desk, OcspResponder, Refusal, ResponderChange};

/// An OCSP responder.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "OcspResponder")]
pub struct ResponderView {
    /// Its number.
    pub id: u32,
    /// Where to ask.
    pub url: String,
    /// What it costs.
    pub cost_type: CostTypeView,
    /// Whether its certificate was given.
    pub has_certificate: bool,
}

/// What asking costs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "CostType")]
pub enum CostTypeView {
    /// Nothing.
    Free,
    /// Something.
    Paid,
    /// Nobody said.
    Undefined,
}

impl From<CostType> for CostTypeView {
    fn from(cost: CostType) -> Self {
        match cost {
            CostType::Free => Self::Free,
            CostType::Paid => Self::Paid,
            CostType::Undefined => Self::Undefined,
        }
    }
}

impl From<CostTypeView> for CostType {
    fn from(cost: CostTypeView) -> Self {
        match cost {
            CostTypeView::Free => Self::Free,
            CostTypeView::Paid => Self::Paid,
            CostTypeView::Undefined => Self::Undefined,
        }
    }
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{AddApprovedCa, EditApprovedCa, ViewApprovedCaDetails};
    api.add(
        get(
            "/certification-services/{certification_service_id}/ocsp-responders",
            "getCertificationServiceOcspResponders",
        )
        .permission(ViewApprovedCaDetails)
        .answers::<Vec<ResponderView>>(200)
        .refuses(404),
        list_of_service,
    )
    .add(
        post(
            "/certification-services/{certification_service_id}/ocsp-responders",
            "addCertificationServiceOcspResponder",
        )
        .permission(AddApprovedCa)
        .event("Add OCSP responder of certification service")
        .takes_form::<ResponderForm>()
        .answers::<ResponderView>(201)
        .refuses(404),
        add_to_service,
    )
    .add(
        get("/intermediate-cas/{intermediate_ca_id}/ocsp-responders", "getIntermediateCaOcspResponders")
            .permission(ViewApprovedCaDetails)
            .answers::<Vec<ResponderView>>(200)
            .refuses(404),
        list_of_intermediate,
    )
    .add(
        post("/intermediate-cas/{intermediate_ca_id}/ocsp-responders", "addIntermediateCaOcspResponder")
            .permission(AddApprovedCa)
            .event("Add OCSP responder of intermediate CA")
            .takes_form::<ResponderForm>()
            .answers::<ResponderView>(201)
            .refuses(404),
        add_to_intermediate,
    )
    .add(
        delete(
            "/intermediate-cas/{intermediate_ca_id}/ocsp-responders/{ocsp_responder_id}",
            "deleteIntermediateCaOcspResponder",
        )
        .permission(AddApprovedCa)
        .event("Delete OCSP responder")
        .answers_nothing(204)
        .refuses(404),
        remove_of_intermediate,
    )
    .add(
        get("/ocsp-responders/{ocsp_responder_id}", "getOcspResponder")
            .permission(ViewApprovedCaDetails)
            .answers::<ResponderView>(200)
            .refuses(404),
        one,
    )
    .add(
        patch("/ocsp-responders/{ocsp_responder_id}", "updateOcspResponder")
            .permission(EditApprovedCa)
            .event("Edit OCSP responder")
            .takes_form::<ResponderChangeForm>()
            .answers::<ResponderView>(200)
            .refuses(404),
        change,
    )
    .add(
        delete("/ocsp-responders/{ocsp_responder_id}", "deleteOcspResponder")
            .permission(EditApprovedCa)
            .event("Delete OCSP responder")
            .answers_nothing(204)
            .refuses(404),
        remove,
    )
    .add(
        get("/ocsp-responders/{ocsp_responder_id}/certificate", "getOcspRespondersCertificate")
            .permission(ViewApprovedCaDetails)
            .answers::<CertificateDetails>(200)
            .refuses(404),
        certificate,
    )
}

async fn list_of_service(
    call: Call<Office>,
    Path(id): Path<u32>,
) -> Result<Json<Vec<ResponderView>>, ApiError> {
    certification_services::look(&call, id)?;
    Ok(list(&call, Authority::Service(id)))
}

async fn list_of_intermediate(
    call: Call<Office>,
    Path(id): Path<u32>,
) -> Result<Json<Vec<ResponderView>>, ApiError> {
    let exists = call.node().look(|instance| instance.intermediate_cas().contains_key(&id));
    if !exists {
        return Err(Refusal::IntermediateCaNotFound(id).into());
    }
    Ok(list(&call, Authority::Intermediate(id)))
}

fn list(call: &Call<Office>, authority: Authority) -> Json<Vec<ResponderView>> {
    Json(call.node().look(|instance| instance.responders_of(authority).map(ResponderView::from).collect()))
}

async fn add_to_service(
    call: Call<Office>,
    Path(id): Path<u32>,
    form: Form,
) -> Result<Created<ResponderView>, ApiError> {
    call.fact("caId", id);
    add(&call, Authority::Service(id), form).await
}

async fn add_to_intermediate(
    call: Call<Office>,
    Path(id): Path<u32>,
    form: Form,
) -> Result<Created<ResponderView>, ApiError> {
    call.fact("intermediateCaId", id);
    add(&call, Authority::Intermediate(id), form).await
}

async fn add(
    call: &Call<Office>,
    authority: Authority,
    mut form: Form,
) -> Result<Created<ResponderView>, ApiError> {
    let url = form.required("url")?;
    let cost: CostTypeView = form.parsed("cost_type")?;
    let certificate = trust_uploads::optional_certificate(&mut form)?;
    let add = move |desk: &Desk| desk.add_responder(authority, &url, certificate.as_deref(), cost.into());
    let responder = call.node().command(add).await?;
    facts(call, &responder);
    Ok(Created(ResponderView::from(&responder)))
}

/// A responder that must exist.
fn look(call: &Call<Office>, id: u32) -> Result<OcspResponder, ApiError> {
    let found = call.node().look(|instance| instance.responders().get(&id).cloned());
    Ok(found.ok_or(Refusal::ResponderNotFound(id))?)
}

async fn one(call: Call<Office>, Path(id): Path<u32>) -> Result<Json<ResponderView>, ApiError> {
    Ok(Json(ResponderView::from(&look(&call, id)?)))
}

async fn change(
    call: Call<Office>,
    Path(id): Path<u32>,
    mut form: Form,
) -> Result<Json<ResponderView>, ApiError> {
    call.fact("ocspId", id);
    let change = ResponderChange {
        url: form.text("url"),
        certificate: trust_uploads::optional_certificate(&mut form)?.map(|content| content.to_vec()),
        cost: form.optional::<CostTypeView>("cost_type")?.map(Into::into),
    };
    let responder = call.node().command(move |desk| desk.change_responder(id, change)).await?;
    facts(&call, &responder);
    Ok(Json(ResponderView::from(&responder)))
}

async fn remove(call: Call<Office>, Path(id): Path<u32>) -> Result<NoContent, ApiError> {
    call.fact("ocspId", id);
    call.node().command(move |desk| desk.delete_responder(None, id)).await?;
    Ok(NoContent)
}

async fn remove_of_intermediate(
    call: Call<Office>,
    Path((authority, id)): Path<(u32, u32)>,
) -> Result<NoContent, ApiError> {
    call.fact("intermediateCaId", authority);
    call.fact("ocspId", id);
    let authority = Authority::Intermediate(authority);
    call.node().command(move |desk| desk.delete_responder(Some(authority), id)).await?;
    Ok(NoContent)
}

async fn certificate(call: Call<Office>, Path(id): Path<u32>) -> Result<Json<CertificateDetails>, ApiError> {
    let responder = look(&call, id)?;
    let details = responder.certificate.as_deref().and_then(super::certificate);
    Ok(Json(details.ok_or(Refusal::ResponderNotFound(id))?))
}

fn facts(call: &Call<Office>, responder: &OcspResponder) {
    call.fact("ocspId", responder.id);
    call.fact("ocspUrl", &responder.url);
    call.fact("ocspCostType", CostTypeView::from(responder.cost));
    if let Some(certificate) = &responder.certificate {
        call.fact_hash("ocspCertHash", certificate);
    }
}

impl From<&OcspResponder> for ResponderView {
    fn from(responder: &OcspResponder) -> Self {
        Self {
            id: responder.id,
            url: responder.url.clone(),
            cost_type: responder.cost.into(),
            has_certificate: responder.certificate.is_some(),
        }
    }
}
