//! `/management-services-configuration`: who offers the management services, and the certificate of
//! the registration service; the latter is `management_certificate`.

use administration::api::{ApiError, Call, Json, get, patch, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{client_of, server_of};
use super::office::Office;
use super::permission::Permission;
use super::{RegistryApi, actor, security_servers};
use crate::instance::Instance;

/// Who offers the management services, and where they are.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ManagementServicesConfiguration")]
pub struct ManagementServices {
    /// The provider, such as `SUBSYSTEM:DEV:COM:1234:MANAGEMENT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_provider_id: Option<String>,
    /// Name of the provider's member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_provider_name: Option<String>,
    /// The servers that the provider is registered on, such as `SERVER:DEV:COM:1234:SS0`, with `; ` between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_server_id: Option<String>,
    /// Code of the group of all owners of servers.
    pub security_server_owners_global_group_code: String,
    /// URL at which the provider's server calls the registry.
    pub services_address: String,
    /// URL of the services' description.
    pub wsdl_address: String,
}

/// A new provider.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ServiceProviderId")]
pub struct ServiceProviderId {
    /// Identifier of a subsystem.
    #[schemars(length(min = 1, max = 1279))]
    pub service_provider_id: String,
}

/// Where the provider is registered.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "RegisterServiceProviderRequest")]
pub struct RegisterProvider {
    /// Identifier of a security server.
    #[schemars(length(min = 1, max = 1279))]
    pub security_server_id: String,
}

pub(super) fn operations(api: RegistryApi) -> RegistryApi {
    api.add(
        get("/management-services-configuration", "getManagementServicesConfiguration")
            .permission(Permission::ViewSystemSettings)
            .answers::<ManagementServices>(200),
        show,
    )
    .add(
        patch("/management-services-configuration", "updateManagementServicesConfiguration")
            .permission(Permission::ViewSystemSettings)
            .event("Edit provider of management services")
            .takes::<ServiceProviderId>()
            .answers::<ManagementServices>(200)
            .refuses(404),
        set_provider,
    )
    .add(
        post("/management-services-configuration/register-provider", "registerServiceProvider")
            .permission(Permission::RegisterServiceProvider)
            .event("Register management service provider as security server client")
            .takes::<RegisterProvider>()
            .answers::<ManagementServices>(200)
            .refuses(404)
            .refuses(409),
        register,
    )
}

async fn show(call: Call<Office>) -> Result<Json<ManagementServices>, ApiError> {
    Ok(Json(call.node().look(ManagementServices::of)))
}

async fn set_provider(
    call: Call<Office>,
    Json(body): Json<ServiceProviderId>,
) -> Result<Json<ManagementServices>, ApiError> {
    let text = body.service_provider_id;
    call.fact("serviceProviderIdentifier", &text);
    if text.matches(':').count() != 3 {
        return Err(ApiError::bad_request("invalid_service_provider_id").with(text));
    }
    let id = client_of(&text)?;
    let provider = call.node().command(move |desk| desk.set_provider(&id)).await?;
    call.fact("serviceProviderName", provider.name);
    show(call).await
}

async fn register(
    call: Call<Office>,
    Json(body): Json<RegisterProvider>,
) -> Result<Json<ManagementServices>, ApiError> {
    let server = server_of(&body.security_server_id)?;
    security_servers::facts(&call, &server);
    let provider = call.node().look(|instance| instance.provider().id);
    call.fact("clientIdentifier", provider.map(|id| id.joined()));
    let actor = actor(&call);
    call.node().command(move |desk| desk.register_provider(&actor, &server)).await?;
    show(call).await
}

impl ManagementServices {
    fn of(instance: &Instance) -> Self {
        let parameters = instance.parameters();
        let address = parameters.address.as_deref().filter(|address| !address.is_empty());
        let at = |form: fn(&str) -> String| address.map(form).unwrap_or_default();
        let provider = instance.provider();
        let servers: Vec<String> =
            provider.servers.iter().map(|id| format!("SERVER:{}", id.joined())).collect();
        Self {
            security_server_id: provider.id.as_ref().map(|_| servers.join("; ")),
            service_provider_id: provider.id.map(|id| format!("SUBSYSTEM:{}", id.joined())),
            service_provider_name: provider.name,
            security_server_owners_global_group_code: parameters.owners_group.clone(),
            services_address: at(|address| format!("https://{address}:4002/managementservice/manage/")),
            wsdl_address: at(|address| format!("http://{address}/managementservices.wsdl")),
        }
    }
}
