//! Recorded calls of the built-in services: what clients get of ours is what they got.

use std::path::Path;

use super::http::Message;
use super::nodes::Federation;
use super::{Case, Cases};

/// Exchanges that are played, each with what is different on purpose: the text of faults is ours.
const PLAYED: [&str; 14] = [
    "meta-01-listClients",
    "meta-02-listClients-json",
    "meta-03-soap-listMethods",
    "meta-04-soap-allowedMethods",
    "meta-05-soap-getWsdl",
    "meta-06-rest-listMethods",
    "meta-07-rest-allowedMethods",
    "meta-08-getOpenAPI",
    "meta-09-getOpenAPI-not-openapi",
    "meta-10-getOpenAPI-missing-parameter",
    "meta-13-listClients-unknown-instance",
    "meta-14-soap-member-listMethods",
    "meta-15-getSecurityServerMetrics",
    "error-30-get-root",
];

/// Headers that are made anew for each answer.
const FRESH: [&str; 5] = ["date", "content-length", "x-road-id", "x-road-request-id", "x-road-request-hash"];

/// Calls a consumer's server of ours as it was recorded.
pub(super) async fn calls(live: &Path, federation: &Federation, cases: &mut Cases) {
    for name in PLAYED {
        let folder = live.join("exchanges").join(name);
        let (Some(call), Some(answer)) = (
            Message::read(&folder.join("client-request.http")),
            Message::read(&folder.join("client-response.http")),
        ) else {
            continue;
        };
        federation.provider.answers_with(Message::read(&folder.join("provider-response.http")).as_ref());
        let got = federation.call(&call).await.map_or_else(|error| error, |got| told(&got));
        cases.cases.push(Case::new(format!("{name} called"), told(&answer), got));
    }
}

/// All of an answer that a client can hang on: status, headers, body. Of a fault, its code.
fn told(answer: &Message) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| !FRESH.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    headers.sort();
    let body = match (answer.header("x-road-error"), answer.fault_code()) {
        (Some(code), _) => format!("error {code}"),
        (None, Some(code)) => format!("fault {code}"),
        (None, None) => body_of(answer),
    };
    let headers = headers.join("\n");
    let headers = headers.split("boundary=").next().unwrap_or_default();
    format!("{}\n{}\n{body}", answer.status(), headers)
}

/// The body without what is made anew for each answer, and without what the recorded server loses when
/// it writes a document anew: the order of namespace declarations, and line breaks around the document.
fn body_of(answer: &Message) -> String {
    let mut body = String::from_utf8_lossy(&answer.body).into_owned();
    let content_type = answer.header("content-type").unwrap_or_default();
    if let Some((_, boundary)) = content_type.split_once("boundary=") {
        body = body.replace(boundary, "BOUNDARY");
    }
    if let Some(id) = body.split("<wsdl=").nth(1).and_then(|rest| rest.split('@').next()) {
        body = body.replace(&id.to_owned(), "UUID");
    }
    let xroad = " xmlns:xrd=\"http://x-road.eu/xsd/xroad.xsd\"";
    let identifiers = " xmlns:id=\"http://x-road.eu/xsd/identifiers\"";
    body.replace(&format!("{xroad}{identifiers}"), &format!("{identifiers}{xroad}"))
        .replace("?>\n<wsdl:", "?><wsdl:")
        .replace("</SOAP-ENV:Envelope>\n", "</SOAP-ENV:Envelope>")
}
