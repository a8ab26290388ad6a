//! `GET /wsdl`: the description of a SOAP service, as clients of older servers ask for it.
//!
//! X-Road 7.8 refuses it; the servers before answered by calling `getWsdl` in the name of their owner, and
//! so does this one. It is an exchange like any other: signed, verified and logged on both sides.

use std::sync::Arc;

use hyper::Response;
use hyper::header::{self, HeaderValue};
use protocol::fault::{Fault, Origin, code};
use protocol::id::{ClientId, MemberId, ServiceId};
use protocol::metadata::soap;
use uuid::Uuid;

use super::consumer;
use super::documents::Parameters;
use super::refusal::Refusal;
use super::summary::Summary;
use crate::http::Outgoing;
use crate::http::server::Connection;
use crate::node::Worker;

/// Calls `getWsdl` of the provider that the query names. Whoever asks must connect as the owner's
/// information systems have to.
///
/// # Errors
/// `client.invalid_request` for a query that names no service; what an exchange can end with.
pub(super) async fn answer(
    worker: &Arc<Worker>,
    connection: &Connection,
    query: &str,
    summary: &mut Summary,
) -> Result<Response<Outgoing>, Refusal> {
    let refused = |text: String| Fault::new(code::INVALID_REQUEST, text).from_origin(Origin::Client);
    let service = named(query).map_err(refused)?;
    let owner = ClientId::from(worker.node.directory.server_id().owner().clone());
    let request = soap::wsdl_request(&owner, &Uuid::new_v4().to_string(), &service)?;
    let call = consumer::begin_own(worker, connection, request, summary).await?;
    let wsdl = consumer::complete_own(call, summary).await?.ok_or_else(|| {
        let text = "the answer of the provider's security server has no WSDL in it";
        Fault::new(code::INCONSISTENT_RESPONSE, text)
    })?;
    let mut response = Response::new(wsdl);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=UTF-8"));
    Ok(response)
}

/// The service that a query names.
fn named(query: &str) -> Result<ServiceId, String> {
    let parameters =
        Parameters::parse(query).map_err(|_| "the query is not correctly percent-encoded".to_owned())?;
    let given = |name: &str| parameters.get(name).filter(|value| !value.is_empty());
    let required = |name: &str| given(name).ok_or_else(|| format!("missing query parameter {name}"));
    let (instance, class) = (required("xRoadInstance")?, required("memberClass")?);
    let member =
        MemberId::new(instance, class, required("memberCode")?).map_err(|error| error.to_string())?;
    let provider = ClientId::new(member, given("subsystemCode")).map_err(|error| error.to_string())?;
    let version = given("version").or_else(|| given("serviceVersion"));
    ServiceId::new(provider, required("serviceCode")?, version).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: Result<(&str, Option<&str>), &str>) {
        match (named(query), expected) {
            (Ok(service), Ok((code, version))) => {
                assert_eq!((service.code(), service.version()), (code, version), "{query}");
            }
            (Err(error), Err(piece)) => assert!(error.contains(piece), "{query}: {error}"),
            (got, _) => panic!("{query}: {got:?}"),
        }
    }

    #[test]
    fn queries_name_services() {
        let member = "xRoadInstance=CW&memberClass=COM&memberCode=2";
        check(&format!("{member}&subsystemCode=s&serviceCode=q&version=v1"), Ok(("q", Some("v1"))));
        check(&format!("{member}&serviceCode=a%20b&version="), Ok(("a b", None)));
        check(&format!("{member}&version=v1"), Err("serviceCode"));
        check("serviceCode=q", Err("xRoadInstance"));
        check("", Err("xRoadInstance"));
        check("a=%ff", Err("percent-encoded"));
    }
}
