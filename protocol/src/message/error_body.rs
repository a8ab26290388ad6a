//! How a fault looks to an information system that called over REST (messages and transport §3.11).

use quick_xml::escape::escape;

use crate::fault::Fault;

/// The HTTP status for a code: 500 for what a server did, 400 for the rest. Letter case is ignored, so
/// that codes of older peers are told apart as well.
pub fn status(code: &str) -> u16 {
    let server = code.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("server."));
    if server { 500 } else { 400 }
}

/// Content type and body for a fault, by the `Accept` headers of the request in order.
pub fn render<'a>(fault: &Fault, accept: impl Iterator<Item = &'a str>) -> (String, String) {
    let xml = accept.flat_map(|value| value.split(',')).find_map(|range| {
        let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match range.as_str() {
            "text/xml" | "application/xml" => Some(range),
            "text/*" => Some("text/xml".to_owned()),
            _ => None,
        }
    });
    match xml {
        Some(media_type) => {
            let detail = fault.detail.as_deref().unwrap_or_default();
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><error><type>{}</type><message>{}</message><detail>{}</detail></error>",
                escape(&*fault.code),
                escape(&fault.text),
                escape(detail)
            );
            (format!("{media_type};charset=utf-8"), body)
        }
        None => {
            let body = serde_json::to_string(&Json {
                r#type: &fault.code,
                message: &fault.text,
                detail: fault.detail.as_deref(),
            });
            ("application/json".to_owned(), body.unwrap_or_default())
        }
    }
}

#[derive(serde::Serialize)]
struct Json<'a> {
    r#type: &'a str,
    message: &'a str,
    detail: Option<&'a str>,
}
