//! Recordings of a running federation: what travelled on port 5500, without signatures, which are
//! among the cases of evidence.

use std::path::Path;

use protocol::digest::DigestAlgorithm;
use protocol::message::{RestRequest, RestResponse, request_hash};
use protocol::transport::{Direction, Event, MessageType, RequestHead, ResponseHead, check_proxy_version};

use super::http::Recorded;
use super::transport::{decode, encode, outline, rest_body, rest_head};
use super::{Cases, read};

/// All cases.
pub fn cases(recordings: &Path) -> Cases {
    let mut report = Cases::default();
    let mut folders: Vec<_> = std::fs::read_dir(recordings.join("exchanges"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        exchange(
            &name,
            &read(&folder.join("server-request.http")),
            &read(&folder.join("server-response.http")),
            &mut report,
        );
        super::soap::exchange(&name, &folder, &mut report);
    }
    crafted(&recordings.join("crafted"), &mut report);
    report
}

/// Requests that a running server took or refused for what stands in their heads and framing.
fn crafted(folder: &Path, report: &mut Cases) {
    for path in super::files_below(folder) {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".request.http") else { continue };
        let response = read(&folder.join(format!("{name}.response.http")));
        if name == "get-04-no-request-id" {
            let request = Recorded::parse(&read(&path)).unwrap_or_default();
            let code = RequestHead::read("POST", |name| request.header(name)).err().map(|fault| fault.code);
            report.case(format!("crafted/{name}"), "internal_error", code.unwrap_or_default());
        } else {
            exchange(&format!("crafted/{name}"), &read(&path), &response, report);
        }
    }
}

fn exchange(name: &str, request: &[u8], response: &[u8], report: &mut Cases) {
    if request.is_empty() {
        return; // nothing was sent to the other server
    }
    let (Some(request), Some(response)) = (Recorded::parse(request), Recorded::parse(response)) else {
        report.case(format!("{name}, HTTP framing"), "readable", "unreadable");
        return;
    };
    let head = match RequestHead::read("POST", |name| request.header(name)) {
        Ok(head) => head,
        Err(fault) => return report.case(format!("{name}, request head"), "accepted", fault),
    };
    let version = check_proxy_version(request.header("x-proxy-version"), None);
    report.case(
        format!("{name}, request head"),
        "accepted",
        version.err().map_or("accepted".into(), |fault| fault.to_string()),
    );
    let sent = decode(&request.body, &head.content_type, Direction::Request);
    again(&format!("{name}, request"), &sent, &request.body, &head.content_type, Direction::Request, report);

    let status = response.status().unwrap_or_default();
    let answer_head = match ResponseHead::read(status, |name| response.header(name)) {
        Ok(head) => head,
        Err(fault) => return report.case(format!("{name}, response head"), "accepted", fault),
    };
    let answer = decode(&response.body, &answer_head.content_type, Direction::Response);
    again(
        &format!("{name}, response"),
        &answer,
        &response.body,
        &answer_head.content_type,
        Direction::Response,
        report,
    );

    if head.message_type == MessageType::Rest
        && let (Ok(sent), Ok(answer)) = (&sent, &answer)
    {
        consistent(name, sent, head.digest, answer, report);
    }
}

/// Decoding and encoding again must give the same bytes; of a fault only the code is compared.
fn again(
    name: &str,
    decoded: &Result<Vec<Event>, protocol::fault::Fault>,
    body: &[u8],
    content_type: &str,
    direction: Direction,
    report: &mut Cases,
) {
    match decoded {
        Ok(events) => match events.iter().find_map(|event| match event {
            Event::Fault(fault) => Some(&fault.fault),
            _ => None,
        }) {
            Some(fault) => {
                let code = format!("<faultcode>{}</faultcode>", fault.code);
                let stands = String::from_utf8_lossy(body).contains(&code);
                report.case(format!("{name}, fault code"), true, stands);
            }
            None => {
                let same = encode(events, content_type, direction).as_deref() == Some(body);
                report.case(
                    format!("{name}, encoded again"),
                    "same bytes",
                    if same { "same bytes" } else { "other bytes" },
                );
            }
        },
        Err(_) => report.case(format!("{name}, decoded"), "accepted", outline(decoded)),
    }
}

/// The answer's headers fit the request, the request hash among them (§3.8).
fn consistent(name: &str, sent: &[Event], digest: DigestAlgorithm, answer: &[Event], report: &mut Cases) {
    let (Some(request), Some(response)) = (rest_head(sent), rest_head(answer)) else { return };
    let hash = request_hash(
        &DigestAlgorithm::Sha512.digest(request),
        rest_body(sent).map(|body| digest.digest(&body)).as_ref(),
    );
    let verdict = RestRequest::parse(request.clone())
        .map_err(|error| error.to_string())
        .and_then(|request| {
            let response = RestResponse::parse(response.clone()).map_err(|error| error.to_string())?;
            response.check_answers(&request, &hash).map_err(|fault| fault.to_string())
        })
        .map_or_else(|why| why, |()| "consistent".to_owned());
    report.case(format!("{name}, answer"), "consistent", verdict);
}
