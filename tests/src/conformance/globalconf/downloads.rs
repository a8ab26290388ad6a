//! Whole downloads by a client, from what the vectors hold.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use gateway::configuration::client::{Client, Input, Output};
use gateway::configuration::download::Answer;
use gateway::configuration::{Federations, verify_directory};
use protocol::configuration::{Anchor, Instance};
use protocol::time::UtcTime;

use super::super::{Cases, read};
use super::time;

/// A whole client downloads what a function serves: by path and query, over plain HTTP only.
fn round(
    client: &mut Client,
    now: UtcTime,
    serve: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> (Vec<String>, String) {
    client.hurry();
    let (mut asked, mut input) = (Vec::new(), Input::Woken);
    loop {
        input = match client.handle(now, input) {
            Output::Ended(report) => {
                let own = client.configuration().own_instance.clone();
                let verdict = match report.failures.into_iter().next_back() {
                    Some((_, error)) if report.missed.contains(&own) => error.to_string(),
                    _ => "accepted".to_owned(),
                };
                return (asked, verdict);
            }
            Output::Fetch(fetch) => {
                let path = fetch.url.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
                let body = path.map(|(_, path)| serve(path));
                asked.push(fetch.url);
                Input::Answered(match body {
                    None => Answer::Failed("refused".to_owned()),
                    Some(None) => Answer::Got { status: 404, body: Bytes::new() },
                    Some(Some(body)) => Answer::Got { status: 200, body: body.into() },
                })
            }
            Output::WakeAt(_) | Output::Adopt(_) => Input::Woken,
        };
    }
}

fn new_client(anchor: Anchor) -> Client {
    Client::new(anchor, Federations::All, Duration::from_secs(60), Box::new(verify_directory), 1)
}

/// The key of `rotated` is known from the shared parameters of `public` only.
pub(super) fn rotation(folder: &Path, cases: &mut Cases) {
    let folder = folder.join("signed-central");
    let Ok(anchor) = Anchor::parse(&read(&folder.join("configuration_anchor_CS_internal.xml"))) else {
        return cases.case("rotation, anchor", "accepted", "refused");
    };
    let now = time("2026-01-01T00:00:00Z");
    let serve = |tree: &str, path: &str| {
        let path = path.replace("internalconf?version=6", "V6/internalconf");
        std::fs::read(folder.join(tree).join(path)).ok()
    };
    let mut client = new_client(anchor.clone());
    let (_, verdict) = round(&mut client, now, &|path| serve("public", path));
    cases.case("rotation, public/V6 by the anchor", "accepted", verdict);
    let (_, verdict) = round(&mut client, now, &|path| serve("rotated", path));
    cases.case("rotation, rotated/V6 by the cached shared parameters", "accepted", verdict);
    let expires = client.configuration().own().map(Instance::expires);
    cases.case(
        "rotation, expiry",
        "2035-11-11T03:08:40Z",
        expires.map_or(String::new(), |time| time.to_string()),
    );
    let (_, verdict) = round(&mut client, now, &|path| serve("public", path));
    cases.case(
        "rotation, back to public/V6",
        true,
        verdict.contains("older") || verdict.contains("certificate"),
    );
    let (_, verdict) = round(&mut new_client(anchor.clone()), now, &|path| serve("rotated", path));
    cases.case(
        "rotation, rotated/V6 by the anchor alone",
        true,
        verdict.contains("no verification certificate"),
    );

    // Versions are probed from 6 down; 2 is not probed but used.
    let (asked, _) = round(&mut new_client(anchor.clone()), now, &|_| None);
    let probed: Vec<_> = asked
        .iter()
        .filter(|url| url.starts_with("http:"))
        .filter_map(|url| url.split_once('?'))
        .map(|(_, query)| query)
        .collect();
    cases.case("probing", "version=6 version=5 version=4 version=3 version=2", probed.join(" "));
    let mut fixed = anchor;
    for source in &mut fixed.sources {
        source.download_url.push_str("?version=4");
    }
    let (asked, _) = round(&mut new_client(fixed), now, &|_| None);
    cases.case("probing, version in the URL", true, asked.iter().all(|url| url.ends_with("?version=4")));
}

/// A client downloads from the recorded central server, finds the same again, and takes the next state.
pub(super) fn downloaded(folder: &Path, cases: &mut Cases) {
    let Ok(anchor) = Anchor::parse(&read(&folder.join("globalconf/anchor-INTERNAL.xml"))) else { return };
    let serve = |tree: &str, path: &str| {
        let tree = folder.join(tree);
        match path.split_once("?version=") {
            Some((kind, version)) => std::fs::read(tree.join(format!("{kind}.v{version}"))).ok(),
            None => std::fs::read(tree.join("parts").join(path)).ok(),
        }
    };
    let mut client = new_client(anchor);
    let (asked, verdict) =
        round(&mut client, time("2026-11-24T03:10:00Z"), &|path| serve("globalconf", path));
    let asked: Vec<&String> = asked.iter().filter(|url| url.starts_with("http:")).collect();
    cases.case("live/globalconf, downloaded", "accepted", verdict);
    cases.case("live/globalconf, requests", 3, asked.len());
    let (asked, _) = round(&mut client, time("2026-11-24T03:11:00Z"), &|path| serve("globalconf", path));
    cases.case("live/globalconf, requests for the same", 1, asked.len());
    let (_, verdict) = round(&mut client, time("2026-11-24T03:15:00Z"), &|path| serve("globalconf-2", path));
    cases.case("live/globalconf-2, downloaded", "accepted", verdict);
    let (_, verdict) = round(&mut client, time("2026-11-24T03:15:30Z"), &|path| serve("globalconf", path));
    cases.case("live/globalconf, served again later", true, verdict.contains("older"));
}
