//! Ports of the node, and other parties as seen from here.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use gateway::Clock;
use gateway::http::Fetcher;
use gateway::snapshot::Snapshot;
use jiff::fmt::rfc2822;
use protocol::time::UtcTime;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Finding, PATIENCE};
use crate::config::Config;
use crate::node::sockets;

/// Peers that are tried at most; a federation has thousands.
const PEERS: usize = 50;
/// A clock further off makes evidence doubtful; much further and OCSP responses seem stale.
const CLOCK_WARNING: u64 = 5;
const CLOCK_BROKEN: u64 = 60;

/// Each port: open while the node runs, free while it does not.
pub(super) async fn ports(config: &Config, is_running: bool, findings: &mut Vec<Finding>) {
    for (setting, address) in sockets(&config.listen) {
        let check = format!("port {address} ([listen] {setting})");
        let reachable = connects(reachable_form(address)).await;
        findings.push(match (is_running, reachable) {
            (true, Ok(())) => Finding::good(check, "open"),
            (true, Err(reason)) => Finding::broken(
                check,
                format!("the node runs, but the port does not answer: {reason}"),
                "look into the node's log, and for a packet filter on this machine",
            ),
            (false, Ok(())) => Finding::broken(
                check,
                "the node does not run, and another program has the port",
                format!(
                    "stop it (ss -ltnp 'sport = :{}' shows which), or choose another port",
                    address.port()
                ),
            ),
            (false, Err(_)) => match gateway::http::bind(address, false) {
                Ok(_) => Finding::good(check, "free; the node does not run"),
                Err(error) => Finding::broken(
                    check,
                    format!("the node could not use the port: {error}"),
                    "choose an address of this machine and a port that the user may open",
                ),
            },
        });
    }
}

/// An address that stands for all is asked at the loopback address.
fn reachable_form(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v6.port()))
        }
        other => other,
    }
}

async fn connects(target: impl tokio::net::ToSocketAddrs) -> Result<(), String> {
    match timeout(PATIENCE, TcpStream::connect(target)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Other servers, OCSP responders and time-stamping services.
pub(super) async fn parties(
    config: &Config,
    snapshot: &Snapshot,
    clock: Clock,
    fetcher: &Fetcher,
    findings: &mut Vec<Finding>,
) {
    let mut urls: BTreeSet<(&'static str, String)> = BTreeSet::new();
    if let Some(own) = snapshot.configuration().own() {
        for service in &own.shared.timestamping_services {
            urls.insert(("time-stamping service", service.url.clone()));
        }
        for authority in &own.shared.approved_cas {
            let certificates = std::iter::once(&authority.top).chain(&authority.intermediates);
            for responder in certificates.flat_map(|certificate| &certificate.ocsp) {
                urls.insert(("OCSP responder", responder.url.clone()));
            }
        }
        if own.shared.timestamping_services.is_empty() {
            findings.push(Finding::broken(
                "time-stamping service",
                "the instance has none, and without one no message may be logged",
                "ask the operator of the registry to approve one",
            ));
        }
    }
    for (kind, url) in urls {
        findings.extend(service(kind, &url, clock, fetcher).await);
    }
    peers(config, snapshot, findings).await;
}

/// Whether a service answers at all, and what time it has.
pub(super) async fn service(kind: &str, url: &str, clock: Clock, fetcher: &Fetcher) -> Vec<Finding> {
    let check = format!("{kind} {url}");
    match fetcher.get(url, None, 64 << 10).await {
        Ok(answer) => {
            let mut findings =
                vec![Finding::good(check, format!("answers (HTTP status {})", answer.status.as_u16()))];
            let date = answer.headers.get("date").and_then(|date| date.to_str().ok());
            findings
                .extend(date.and_then(http_date).map(|theirs| judge_clock(kind, url, clock.now(), theirs)));
            findings
        }
        Err(error) => vec![Finding::broken(
            check,
            format!("does not answer: {}", with_source(&error)),
            "check that it runs, its address in the global configuration, and packet filters in between",
        )],
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn http_date(text: &str) -> Option<UtcTime> {
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(UtcTime::from_millis(date.as_millisecond()))
}

fn judge_clock(kind: &str, url: &str, ours: UtcTime, theirs: UtcTime) -> Finding {
    let off = ours.since(theirs).max(theirs.since(ours)).as_secs();
    let direction = if ours > theirs { "ahead of" } else { "behind" };
    let check = "clock";
    let why = format!("this machine is {off} s {direction} the {kind} {url}");
    let fix = "set the clock by NTP (timedatectl set-ntp true), or find out which of the two is wrong";
    match off {
        0..=CLOCK_WARNING => Finding::good(check, format!("agrees with the {kind} {url} to {off} s")),
        off if off <= CLOCK_BROKEN => Finding::warning(check, why, fix),
        _ => Finding::broken(check, why, fix),
    }
}

async fn peers(config: &Config, snapshot: &Snapshot, findings: &mut Vec<Finding>) {
    let mut attempts = JoinSet::new();
    let instances = snapshot.configuration().instances.values();
    let others = instances
        .flat_map(|instance| &instance.shared.servers)
        .filter(|server| server.id != config.server)
        .filter_map(|server| Some((server.id.to_string(), server.address.clone()?)));
    for (id, address) in others.take(PEERS) {
        let port = config.data_plane.peer_ports.0;
        attempts.spawn(async move {
            let outcome = connects((address.as_str(), port)).await;
            (id, format!("{address}:{port}"), outcome)
        });
    }
    while let Some(done) = attempts.join_next().await {
        let Ok((id, address, outcome)) = done else { continue };
        let check = format!("security server {id}");
        findings.push(match outcome {
            Ok(()) => Finding::good(check, format!("{address} is open")),
            Err(reason) => Finding::warning(
                check,
                format!("{address} cannot be reached: {reason}"),
                "ask its operator whether it runs; check packet filters and its address in the registry",
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn clocks() {
        #[track_caller]
        fn check(theirs: &str, expected: Verdict) {
            let ours: UtcTime = "2026-11-21T16:50:00Z".parse().unwrap();
            let theirs = http_date(theirs).unwrap();
            assert_eq!(judge_clock("registry", "http://r", ours, theirs).verdict, expected);
        }
        check("Sat, 21 Nov 2026 16:50:00 GMT", Verdict::Good);
        check("Sat, 21 Nov 2026 16:49:57 GMT", Verdict::Good);
        check("Sat, 21 Nov 2026 16:50:30 GMT", Verdict::Warning);
        check("Sat, 21 Nov 2026 16:40:00 GMT", Verdict::Broken);
        assert_eq!(http_date("yesterday"), None);
    }
}
