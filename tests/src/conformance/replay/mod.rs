//! Recordings of a running federation, and messages crafted from them.
//!
//! [`messages`] verifies the recorded messages: signatures, certificates, and that they answer each
//! other. [`exchanges`] plays them against running gateways that have the
//! recorded keys: a recorded message of a consumer's server is sent to ours over real TLS, and recorded
//! calls of information systems go through two servers of ours, and through one of ours to the recorded
//! server.

mod http;
mod message;
mod metadata;
mod nodes;
mod peer;
mod recorded;
mod soap;
pub mod tls;

use std::path::Path;
use std::sync::Arc;

use protocol::time::UtcTime;

use self::http::Message;
use self::message::{Received, Verdict};
use self::nodes::{Federation, Provider, fresh_ip};
use self::peer::RecordedPeer;
use self::recorded::Recorded;
use super::{Case, Cases, Skipped};

/// When the exchanges were recorded, near the end.
const RECORDED_AT: &str = "2026-11-24T03:16:00Z";
/// When the crafted messages were sent.
const CRAFTED_AT: &str = "2026-11-24T03:39:00Z";

/// Whether an exchange is one with an ordinary service.
fn is_ordinary(name: &str) -> bool {
    ["rest-", "soap-", "ec-", "rsa-soft-", "error-"].iter().any(|start| name.starts_with(start))
}

/// Whether it is one over SOAP.
fn is_soap(name: &str) -> bool {
    name.contains("soap") || name.starts_with("error-2") || name.starts_with("error-3")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Verifies every recorded message.
///
/// # Errors
/// What cannot be read of the vectors.
pub fn messages(live: &Path) -> Result<Cases, String> {
    let recorded = Recorded::read(live)?;
    let snapshot = recorded.snapshot();
    let mut cases = Cases::default();
    for name in names(&live.join("exchanges")) {
        let folder = live.join("exchanges").join(&name);
        if !is_ordinary(&name) {
            cases.skipped.push(Skipped { name, reason: "a built-in service".to_owned() });
            continue;
        }
        let (Some(request), Some(response)) = (
            Message::read(&folder.join("server-request.http")),
            Message::read(&folder.join("server-response.http")),
        ) else {
            cases.skipped.push(Skipped { name, reason: "nothing was sent to the other server".to_owned() });
            continue;
        };
        let at = begun(&folder)?;
        let request = Received::request(&request);
        let verdict =
            request.as_ref().map_or_else(Verdict::from, |request| request.verify_as_client(&snapshot, at));
        cases.cases.push(Case::new(format!("{name} request verifies"), "accepted", verdict.to_string()));
        let Ok(request) = request else { continue };
        match Received::response(&response) {
            Ok(response) => {
                let verdict = response.verify_as_answer(&request, &snapshot, at);
                let name_of = format!("{name} response verifies");
                cases.cases.push(Case::new(name_of, "accepted", verdict.to_string()));
            }
            Err(fault) => {
                // A fault of the recorded server is read as its client read it.
                let told = Message::read(&folder.join("client-response.http"));
                let told = told.and_then(|message| {
                    message.header("x-road-error").or_else(|| message.fault_code()).map(str::to_owned)
                });
                let name_of = format!("{name} fault");
                cases.cases.push(Case::new(name_of, told.unwrap_or_default(), fault.code.to_string()));
            }
        }
    }
    Ok(cases)
}

fn begun(folder: &Path) -> Result<UtcTime, String> {
    let about = std::fs::read(folder.join("about.json")).map_err(|error| error.to_string())?;
    let about: serde_json::Value = serde_json::from_slice(&about).map_err(|error| error.to_string())?;
    let begun = about["begun"].as_str().and_then(|begun| begun.parse::<UtcTime>().ok());
    begun.ok_or_else(|| format!("{}: no time", folder.display()))
}

/// What clients of ours see where the specification asks for something else than was recorded, or
/// where no ordinary service is meant: exchange, status, code.
const OTHERWISE: [(&str, u16, &str); 3] = [
    // An escaped space in the path is served (§5.6).
    ("rest-02-get-query-and-headers", 200, "0 bytes e3b0c44298fc1c14"),
    // Malformed calls are the client's fault (§0.2 D2).
    ("error-07-malformed-client-header", 400, "client.bad_request"),
    ("error-08-short-path", 400, "client.bad_request"),
];

/// Plays recordings against running gateways.
///
/// # Errors
/// What cannot be read of the vectors, or a gateway that does not start.
pub async fn exchanges(live: &Path) -> Result<Cases, String> {
    let recorded = Arc::new(Recorded::read(live)?);
    let mut cases = Cases::default();
    let at: UtcTime = RECORDED_AT.parse().map_err(|_| "time")?;
    let federation = Federation::start(&recorded, at)?;
    for name in names(&live.join("exchanges")).into_iter().filter(|name| is_ordinary(name)) {
        let folder = live.join("exchanges").join(&name);
        let called = Message::read(&folder.join("provider-response.http"));
        federation.provider.answers_with(called.as_ref());
        if let Some(request) = Message::read(&folder.join("server-request.http")) {
            let expected = Message::read(&folder.join("server-response.http"))
                .map(|response| Received::response(&response).map(drop))
                .map_or("nothing".to_owned(), |read| Verdict::from_result(read).to_string());
            let expected =
                if name == "rest-02-get-query-and-headers" { "accepted".to_owned() } else { expected };
            let got = federation.provider.deliver(&recorded, &request, name.starts_with("ec-")).await;
            cases.cases.push(Case::new(format!("{name} delivered"), expected, got.to_string()));
            if let (Some(expected), Verdict::Accepted) =
                (Message::read(&folder.join("provider-request.http")), &got)
            {
                let seen = federation.provider.seen();
                let name_of = format!("{name} as the provider sees it");
                cases.cases.push(Case::new(name_of, expected.as_called(), seen));
            }
        }
        let (Some(call), Some(answer)) = (
            Message::read(&folder.join("client-request.http")),
            Message::read(&folder.join("client-response.http")),
        ) else {
            continue;
        };
        let expected = OTHERWISE
            .iter()
            .find(|(other, ..)| *other == name)
            .map_or_else(|| answered(&name, &answer), |(_, status, code)| format!("{status} {code}"));
        let got = federation.call(&call).await.map_or_else(|error| error, |got| answered(&name, &got));
        cases.cases.push(Case::new(format!("{name} called"), expected, got));
    }
    metadata::calls(live, &federation, &mut cases).await;
    federation.stop().await;
    recorded_provider(live, &recorded, at, &mut cases).await?;
    crafted(live, &recorded, &mut cases).await?;
    Ok(cases)
}

/// What tells the answer of an exchange apart for its client.
fn answered(name: &str, answer: &Message) -> String {
    if is_soap(name) { soap::answered(answer) } else { answer.as_answered() }
}

/// The recorded provider's server, to the byte and with its keys, against a consumer's server of ours.
/// Over SOAP only: an answer over REST repeats an id that our server makes anew for each call.
async fn recorded_provider(
    live: &Path,
    recorded: &Recorded,
    at: UtcTime,
    cases: &mut Cases,
) -> Result<(), String> {
    let addresses = [fresh_ip(), fresh_ip()];
    let peer = RecordedPeer::start(recorded, at, &addresses[1])?;
    let consumer = Federation::consumer(recorded, at, &addresses)?;
    for name in names(&live.join("exchanges")).into_iter().filter(|name| is_ordinary(name) && is_soap(name)) {
        let folder = live.join("exchanges").join(&name);
        let read = |file: &str| Message::read(&folder.join(file));
        let (Some(call), Some(answer), Some(told)) =
            (read("client-request.http"), read("server-response.http"), read("client-response.http"))
        else {
            continue;
        };
        peer.answers_with(&answer);
        let got = consumer.call(&call).await.map_or_else(|error| error, |got| soap::to_the_byte(&got));
        let name_of = format!("{name} answered by the recorded server");
        cases.cases.push(Case::new(name_of, soap::to_the_byte(&told), got));
    }
    consumer.stop().await;
    Ok(())
}

/// The crafted messages, sent to a provider's server of ours.
async fn crafted(live: &Path, recorded: &Arc<Recorded>, cases: &mut Cases) -> Result<(), String> {
    let at: UtcTime = CRAFTED_AT.parse().map_err(|_| "time")?;
    let folder = live.join("crafted");
    for name in names(&folder) {
        let Some(name) = name.strip_suffix(".request.http") else { continue };
        let request = Message::read(&folder.join(format!("{name}.request.http")));
        let response = Message::read(&folder.join(format!("{name}.response.http")));
        let (Some(request), Some(response)) = (request, response) else { continue };
        let expected = Verdict::from_result(Received::response(&response).map(drop));
        // Several are the same signed message in other clothes, so each goes to a server of its own.
        let provider = Provider::start(recorded, at)?;
        let got = provider.deliver(recorded, &request, true).await;
        cases.cases.push(Case::new(format!("crafted {name}"), expected.to_string(), got.to_string()));
        if name.ends_with("-replay") {
            // The recorded server takes it any number of times (§0.1 item 10), ours once.
            let again = provider.deliver(recorded, &request, true).await;
            let expected = "server.serverproxy.replayed_message".to_owned();
            cases.cases.push(Case::new(format!("crafted {name} once more"), expected, again.to_string()));
        }
        provider.stop().await;
    }
    Ok(())
}
