//! `GET /listClients`: who can be called (messages and transport §6.1).

use hyper::Response;
use hyper::header::{self, HeaderMap, HeaderValue};
use protocol::fault::{Fault, Origin, code};
use protocol::metadata::{accepts_json, clients};

use super::documents::Parameters;
use super::refusal::Refusal;
use crate::http::Outgoing;
use crate::node::Node;

/// The members and subsystems of an instance, the own one unless `xRoadInstance` names another.
///
/// # Errors
/// `global_conf_outdated`; `internal_error` for an unknown instance and an unreadable `Accept`.
pub(super) fn answer(node: &Node, query: &str, headers: &HeaderMap) -> Result<Response<Outgoing>, Refusal> {
    let refused = |text: String| Refusal::from(Fault::new(code::INTERNAL_ERROR, text));
    let now = node.clock.now();
    let snapshot = node.current_snapshot(now)?;
    let accept = headers.get_all(header::ACCEPT).iter().map(HeaderValue::as_bytes);
    let json = accepts_json(accept).map_err(|error| refused(error.to_string()))?;
    let parameters = Parameters::parse(query)
        .map_err(|_| refused("the query is not correctly percent-encoded".to_owned()))?;
    let configuration = snapshot.configuration();
    let asked = parameters.get("xRoadInstance").unwrap_or(&configuration.own_instance);
    let instance = configuration
        .instance(asked)
        .filter(|instance| now <= instance.expires())
        .ok_or_else(|| refused(format!("instance '{asked}' is not known here")))?;
    let (content_type, list) = if json {
        (clients::JSON, clients::json(&instance.shared))
    } else {
        (clients::XML, clients::xml(&instance.shared))
    };
    let mut response = Response::new(Outgoing::from(list));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// What is said to a request that is for no address but that of SOAP, and no `POST` (§5.3).
pub(super) fn not_post(method: &hyper::Method) -> Refusal {
    let text = format!("messages are sent by POST, not by {method}");
    Fault::new(code::INVALID_HTTP_METHOD, text).from_origin(Origin::Client).into()
}
