//! `/timestamping-services`: approved time-stamping services.

use administration::api::{ApiError, Call, Created, Form, Json, NoContent, Path, delete, get, patch, post};
use administration::views::CertificateDetails;
use schemars::JsonSchema;
use serde::Serialize;

use super::ocsp_responders::CostTypeView;
use super::office::Office;
use super::permission::Permission;
use super::trust_uploads::{TimestampingChangeForm, TimestampingForm};
use super::{RegistryApi, trust_uploads};
use crate::instance::{Desk, Instance, Refusal, TimestampingService};

/// A time-stamping service.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "TimestampingService")]
pub struct TimestampingView {
    /// Its number.
    pub id: u32,
    /// Where to ask.
    pub url: String,
    /// What it costs.
    pub cost_type: CostTypeView,
    /// Its certificate.
    pub certificate: CertificateDetails,
    /// How often servers ask for a time-stamp, in seconds.
    pub timestamping_interval: u64,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    use Permission::{AddApprovedTsa, DeleteApprovedTsa, EditApprovedTsa, ViewApprovedTsas};
    api.add(
        get("/timestamping-services", "getTimestampingServices")
            .permission(ViewApprovedTsas)
            .answers::<Vec<TimestampingView>>(200),
        list,
    )
    .add(
        post("/timestamping-services", "addTimestampingService")
            .permission(AddApprovedTsa)
            .event("Add timestamping service")
            .takes_form::<TimestampingForm>()
            .answers::<TimestampingView>(201)
            .refuses(409),
        add,
    )
    .add(
        get("/timestamping-services/{timestamping_service_id}", "getTimestampingService")
            .permission(ViewApprovedTsas)
            .answers::<TimestampingView>(200)
            .refuses(404),
        one,
    )
    .add(
        patch("/timestamping-services/{timestamping_service_id}", "updateTimestampingService")
            .permission(EditApprovedTsa)
            .event("Edit timestamping service")
            .takes_form::<TimestampingChangeForm>()
            .answers::<TimestampingView>(200)
            .refuses(404)
            .refuses(409),
        change,
    )
    .add(
        delete("/timestamping-services/{timestamping_service_id}", "deleteTimestampingService")
            .permission(DeleteApprovedTsa)
            .event("Delete timestamping service")
            .answers_nothing(204)
            .refuses(404),
        remove,
    )
}

async fn list(call: Call<Office>) -> Result<Json<Vec<TimestampingView>>, ApiError> {
    let all = |instance: &Instance| {
        let services = instance.timestamping_services().values();
        services.filter_map(|service| TimestampingView::of(instance, service)).collect()
    };
    Ok(Json(call.node().look(all)))
}

async fn add(call: Call<Office>, mut form: Form) -> Result<Created<TimestampingView>, ApiError> {
    let url = form.required("url")?;
    let cost: CostTypeView = form.parsed("cost_type")?;
    let certificate = trust_uploads::certificate(&mut form)?;
    let add = move |desk: &Desk| desk.add_timestamping_service(&url, &certificate, cost.into());
    let service = call.node().command(add).await?;
    facts(&call, &service);
    view(&call, service.id).map(Created)
}

/// A service that must exist.
fn view(call: &Call<Office>, id: u32) -> Result<TimestampingView, ApiError> {
    let found = call
        .node()
        .look(|instance| TimestampingView::of(instance, instance.timestamping_services().get(&id)?));
    Ok(found.ok_or(Refusal::TimestampingNotFound(id))?)
}

async fn one(call: Call<Office>, Path(id): Path<u32>) -> Result<Json<TimestampingView>, ApiError> {
    view(&call, id).map(Json)
}

async fn change(
    call: Call<Office>,
    Path(id): Path<u32>,
    mut form: Form,
) -> Result<Json<TimestampingView>, ApiError> {
    call.fact("tsaId", id);
    let url = form.required("url")?;
    let cost: CostTypeView = form.parsed("cost_type")?;
    let certificate = trust_uploads::optional_certificate(&mut form)?;
    let change =
        move |desk: &Desk| desk.change_timestamping_service(id, &url, certificate.as_deref(), cost.into());
    let service = call.node().command(change).await?;
    facts(&call, &service);
    view(&call, id).map(Json)
}

async fn remove(call: Call<Office>, Path(id): Path<u32>) -> Result<NoContent, ApiError> {
    call.fact("tsaId", id);
    let known = call.node().look(|instance| {
        instance.timestamping_services().get(&id).map(|known| (known.name.clone(), known.url.clone()))
    });
    if let Some((name, url)) = known {
        call.fact("tsaName", name);
        call.fact("tsaUrl", url);
    }
    call.node().command(move |desk| desk.delete_timestamping_service(id)).await?;
    Ok(NoContent)
}

fn facts(call: &Call<Office>, service: &TimestampingService) {
    call.fact("tsaId", service.id);
    call.fact("tsaName", &service.name);
    call.fact("tsaUrl", &service.url);
    call.fact("tsaCostType", CostTypeView::from(service.cost));
    call.fact_hash("tsaCertHash", &service.certificate);
}

impl TimestampingView {
    fn of(instance: &Instance, service: &TimestampingService) -> Option<Self> {
        Some(Self {
            id: service.id,
            url: service.url.clone(),
            cost_type: service.cost.into(),
            certificate: super::certificate(&service.certificate)?,
            timestamping_interval: instance.parameters().timestamping_interval_seconds,
        })
    }
}
