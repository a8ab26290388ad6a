//! The services that a node itself has for each of its clients, over SOAP (messages and transport §6.2).

use protocol::fault::{Fault, code};
use protocol::id::{ClientId, ServiceId};
use protocol::metadata::soap::{self, WsdlQuery};
use protocol::mime::PartHeaders;
use protocol::soap::{Carriage, PLAIN_CONTENT_TYPE, RelatedEncoder, SoapMessage};
use uuid::Uuid;

use super::built_in::{BuiltIn, Told};
use super::request::Call;
use crate::exchange::kinds::SoapRequest;
use crate::exchange::refusal::Refusal;
use crate::ports::{LocalService, ServiceType};

impl BuiltIn {
    /// The built-in service of this code; the version does not count.
    pub(super) fn of_soap(code: &str) -> Option<Self> {
        match code {
            "listMethods" => Some(Self::ListMethods),
            "allowedMethods" => Some(Self::AllowedMethods),
            "getWsdl" => Some(Self::GetWsdl),
            _ => None,
        }
    }
}

/// # Errors
/// `invalid_content_type`, `invalid_client_identifier`, and for a WSDL `invalid_request`,
/// `unknown_service`, `service_type`, `internal_error`, `invalid_xml` and what went wrong while it was
/// fetched.
pub(super) async fn answer(service: BuiltIn, request: &SoapRequest, call: &Call) -> Result<Told, Refusal> {
    if Carriage::of(&request.content_type)? != Carriage::Plain {
        let text = "a built-in service takes no message with attachments";
        return Err(Fault::new(code::INVALID_CONTENT_TYPE, text).into());
    }
    let request = &request.message;
    request.check_client_type()?;
    match service {
        BuiltIn::ListMethods => list(request, call, |_| true),
        BuiltIn::AllowedMethods => {
            let directory = &call.node().directory;
            let is_in_group = call.group_membership();
            let client = request.client();
            list(request, call, |service| directory.has_some_right(client, &service.id, &is_in_group))
        }
        BuiltIn::GetWsdl => wsdl(request, call).await,
        BuiltIn::GetOpenApi => Err(Fault::new(code::UNKNOWN_SERVICE, "there is no such service").into()),
    }
}

/// The SOAP services of the provider that are to be told of.
fn list(request: &SoapMessage, call: &Call, told: impl Fn(&LocalService) -> bool) -> Result<Told, Refusal> {
    let services = call.node().directory.services(request.service().provider());
    let services: Vec<&ServiceId> = services
        .iter()
        .filter(|service| service.service_type == ServiceType::Soap && told(service))
        .map(|service| &service.id)
        .collect();
    let answer = soap::service_list(request, &services)?;
    Ok(Told { content_type: PLAIN_CONTENT_TYPE.to_owned(), body: answer.octets().clone() })
}

/// The WSDL of the service that the body names, as an attachment.
async fn wsdl(request: &SoapMessage, call: &Call) -> Result<Told, Refusal> {
    let query = soap::wsdl_query(request)?;
    let WsdlQuery { code: named, version } = &query;
    let id = ServiceId::new(request.service().provider().clone(), named, version.as_deref());
    let service = id.ok().and_then(|id| call.node().directory.service(&id)).ok_or_else(|| {
        let version = version.as_deref().map_or(String::new(), |version| format!(" of version '{version}'"));
        Fault::new(code::UNKNOWN_SERVICE, format!("there is no service '{named}'{version}"))
    })?;
    if service.service_type != ServiceType::Soap {
        let name = service.service_type.name();
        let text = format!("service '{named}' is of type {name} and has no WSDL");
        return Err(Fault::new(code::SERVICE_TYPE, text).into());
    }
    let fetched = call.fetch_description(&service).await?;
    let masked = soap::without_addresses(&fetched.body)?;
    let answer = soap::wsdl_answer(request, &query)?;

    let boundary = format!("xroad{}", Uuid::new_v4().simple());
    let mut related = RelatedEncoder::new(&boundary);
    let attachment = PartHeaders::new("text/xml")?
        .with("Content-ID", &format!("<wsdl={}@x-road.eu>", Uuid::new_v4()))?
        .with("Content-Transfer-Encoding", "binary")?;
    let mut body = related.part(&PartHeaders::new(PLAIN_CONTENT_TYPE)?);
    body.extend_from_slice(answer.octets());
    body.extend_from_slice(&related.part(&attachment));
    related.check(&masked)?;
    body.extend_from_slice(&masked);
    body.extend_from_slice(&related.end());
    Ok(Told {
        content_type: format!("multipart/related; type=\"text/xml\"; charset=UTF-8; boundary={boundary}"),
        body: body.into(),
    })
}

/// Refuses to talk of the server's state to anybody but its owner and the one who monitors the instance
/// (§6.4). Others do not even learn what is known of it.
///
/// # Errors
/// `access_denied`.
pub(super) fn check_monitoring(call: &Call) -> Result<(), Fault> {
    let (client, service) = (call.request.client(), call.request.service());
    let owner = ClientId::from(call.node().directory.server_id().owner().clone());
    if service.code() != "getSecurityServerMetrics" || *service.provider() != owner || *client == owner {
        return Ok(());
    }
    let own = call.snapshot.configuration().own();
    if own.is_some_and(|own| own.monitoring_client.as_ref() == Some(client)) {
        return Ok(());
    }
    Err(Fault::new(code::ACCESS_DENIED, format!("no access to service '{service}'")))
}
