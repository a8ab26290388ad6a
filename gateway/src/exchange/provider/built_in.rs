//! The services that a node itself has for each of its clients (messages and transport §6.2, §6.3).
//!
//! Calling them needs no access right. All other checks are those of ordinary services, and what they
//! answer is signed and logged like any message.

use std::sync::Arc;

use bytes::Bytes;
use protocol::fault::{Fault, code};
use protocol::metadata::openapi::{self, Format};
use protocol::metadata::services::{RestService, rest_list};

use super::built_in_soap;
use super::request::Call;
use crate::exchange::documents::Parameters;
use crate::exchange::kinds::RequestMessage;
use crate::exchange::refusal::Refusal;
use crate::ports::{LocalService, ServiceType};

/// A built-in service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BuiltIn {
    ListMethods,
    AllowedMethods,
    GetOpenApi,
    GetWsdl,
}

/// What a built-in service answers, as a provider's system would over HTTP.
pub(super) struct Told {
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

impl BuiltIn {
    /// The built-in service that a request calls. With another method than `GET` it calls an ordinary
    /// service of that name, which there is not.
    pub(super) fn called_by(request: &RequestMessage) -> Option<Self> {
        let request = match request {
            RequestMessage::Rest(request) if request.method() == "GET" => request,
            RequestMessage::Rest(_) => return None,
            RequestMessage::Soap(request) => return Self::of_soap(request.message.service().code()),
        };
        match request.service().code() {
            "listMethods" => Some(Self::ListMethods),
            "allowedMethods" => Some(Self::AllowedMethods),
            "getOpenAPI" => Some(Self::GetOpenApi),
            _ => None,
        }
    }

    /// # Errors
    /// Those of §6.2 and §6.3.
    pub(super) async fn answer(self, call: &Call) -> Result<Told, Refusal> {
        if let RequestMessage::Soap(request) = &call.request {
            return built_in_soap::answer(self, request, call).await;
        }
        match self {
            Self::ListMethods => Ok(list(call, |_, _| true)),
            Self::AllowedMethods => {
                let directory = &call.node().directory;
                let (client, is_in_group) = (call.request.client(), call.group_membership());
                Ok(list(call, |service, endpoint| match endpoint {
                    None => directory.has_some_right(client, &service.id, &is_in_group),
                    // The pattern's text is matched like a path.
                    Some((method, path)) => {
                        directory.is_allowed(client, &service.id, method, path, &is_in_group)
                    }
                }))
            }
            Self::GetOpenApi => description(call).await,
            Self::GetWsdl => Err(Fault::new(code::UNKNOWN_SERVICE, "there is no such service").into()),
        }
    }
}

/// The REST services of the provider, and those of their endpoints, that are to be told of.
fn list(call: &Call, told: impl Fn(&LocalService, Option<(&str, &str)>) -> bool) -> Told {
    let services = call.node().directory.services(call.request.service().provider());
    let services: Vec<RestService<'_>> = services
        .iter()
        .filter(|service| service.service_type.is_rest() && told(service, None))
        .map(|service| RestService {
            id: &service.id,
            service_type: service.service_type.name(),
            endpoints: service
                .endpoints
                .iter()
                .map(|endpoint| (endpoint.method.as_str(), endpoint.path.as_str()))
                .filter(|endpoint| told(service, Some(*endpoint)))
                .collect(),
        })
        .collect();
    Told { content_type: "application/json".to_owned(), body: rest_list(&services).into() }
}

/// The OpenAPI description of the service that the query names.
async fn description(call: &Call) -> Result<Told, Refusal> {
    let query = call.request.query().unwrap_or_default();
    let parameters = Parameters::parse(query).ok();
    let named = parameters.as_ref().and_then(|parameters| parameters.last("serviceCode"));
    let named = named.filter(|named| !named.is_empty()).ok_or_else(|| {
        Fault::new(code::INVALID_REQUEST, "the query parameter serviceCode names no service")
    })?;
    let refused = |text: String| Fault::new(code::INTERNAL_ERROR, text);
    let service = described(call, named).ok_or_else(|| refused(format!("there is no service '{named}'")))?;
    if service.service_type != ServiceType::OpenApi {
        let name = service.service_type.name();
        return Err(refused(format!("Invalid service type: {name}")).into());
    }
    // Clients in use know both texts by their beginning.
    let unread = "Failed reading service description from the provider's system";
    let fetched = call
        .fetch_description(&service)
        .await
        .map_err(|refusal| refusal.with_code(code::INTERNAL_ERROR).with_text(unread))?;
    let format = Format::of(fetched.content_type.as_deref(), &fetched.path);
    let masked = openapi::without_servers(&fetched.body, format).map_err(|error| {
        let text = format!("the description of service '{named}' cannot be handed out");
        Refusal::because(code::INTERNAL_ERROR, &text, error)
    })?;
    Ok(Told {
        content_type: fetched.content_type.unwrap_or_else(|| "text/plain".to_owned()),
        body: masked.into(),
    })
}

fn described(call: &Call, named: &str) -> Option<Arc<LocalService>> {
    let services = call.node().directory.services(call.request.service().provider());
    services.into_iter().find(|service| service.id.code() == named && service.service_type.is_rest())
}
