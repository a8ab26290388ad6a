//! Time-stamps from the approved services of the global configuration.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::clock::Clock;
use gateway::http::{FetchError, Fetcher};
use gateway::ports::BoxFuture;
use gateway::snapshot::{Snapshot, SnapshotCell};
use protocol::configuration::{CostPreference, CostType, TimestampingService};
use protocol::digest::Digest;

use super::timestamping::{TimestampError, Timestamper};

/// Longest answer of a service, octets.
const ANSWER_LIMIT: usize = 256 << 10;
/// The interval when the own instance's private parameters are not known.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// Asks the approved services that the operator chose, one after the other.
pub struct ApprovedServices {
    fetcher: Fetcher,
    snapshot: Arc<SnapshotCell>,
    clock: Clock,
    chosen: Vec<String>,
    preference: CostPreference,
}

impl ApprovedServices {
    /// `chosen` are URLs in the order of preference; empty: all that are approved in the own instance.
    pub fn new(
        fetcher: Fetcher,
        snapshot: Arc<SnapshotCell>,
        clock: Clock,
        chosen: Vec<String>,
        preference: CostPreference,
    ) -> Self {
        Self { fetcher, snapshot, clock, chosen, preference }
    }

    /// URLs in the order in which they are asked.
    fn urls(&self, snapshot: &Snapshot) -> Vec<String> {
        let approved =
            snapshot.configuration().own().map_or(&[][..], |own| &own.shared.timestamping_services);
        ordered(approved, &self.chosen, self.preference)
    }

    async fn ask(&self, imprint: Digest) -> Result<Bytes, TimestampError> {
        let snapshot = self.snapshot.load();
        let now = self.clock.now();
        let snapshot =
            snapshot.filter(|snapshot| snapshot.configuration().is_current(now)).ok_or_else(|| {
                TimestampError("global_conf_outdated: the global configuration is not valid".into())
            })?;
        let request = Bytes::from(certs::timestamp::request(&imprint));
        let mut reasons = Vec::new();
        for url in self.urls(&snapshot) {
            match self.ask_one(&url, request.clone(), &imprint, &snapshot).await {
                Ok(token) => return Ok(token),
                Err(reason) => {
                    tracing::warn!(url, reason, "a time-stamping service gave no time-stamp");
                    reasons.push(format!("{url}: {reason}"));
                }
            }
        }
        if reasons.is_empty() {
            return Err(TimestampError(
                "mlog.no_timestamping_provider_found: no service is configured".into(),
            ));
        }
        Err(TimestampError(reasons.join("; ")))
    }

    async fn ask_one(
        &self,
        url: &str,
        request: Bytes,
        imprint: &Digest,
        snapshot: &Snapshot,
    ) -> Result<Bytes, String> {
        let answer = self
            .fetcher
            .post(url, "application/timestamp-query", request, ANSWER_LIMIT)
            .await
            .map_err(|error: FetchError| format!("mlog.timestamp_provider_connection_failed: {error}"))?;
        if answer.status.as_u16() != 200 {
            return Err(format!("mlog.timestamping_non_ok_response: status {}", answer.status));
        }
        certs::timestamp::accept(&answer.body, imprint, snapshot.trust(), self.clock.now())
            .map(|accepted| accepted.token)
            .map_err(|fault| fault.to_string())
    }
}

fn ordered(approved: &[TimestampingService], chosen: &[String], preference: CostPreference) -> Vec<String> {
    let mut services: Vec<&TimestampingService> = if chosen.is_empty() {
        approved.iter().collect()
    } else {
        chosen.iter().filter_map(|url| approved.iter().find(|service| service.url == *url)).collect()
    };
    let order: &[CostType] = match preference {
        CostPreference::None => &[],
        CostPreference::OnlyFree => &[CostType::Free],
        CostPreference::FreeFirst => &[CostType::Free, CostType::Paid, CostType::Undefined],
        CostPreference::OnlyPaid => &[CostType::Paid],
        CostPreference::PaidFirst => &[CostType::Paid, CostType::Free, CostType::Undefined],
    };
    if !order.is_empty() {
        let place = |service: &&TimestampingService| order.iter().position(|cost| *cost == service.cost);
        services.retain(|service| place(service).is_some());
        services.sort_by_key(place);
    }
    services.into_iter().map(|service| service.url.clone()).collect()
}

impl Timestamper for ApprovedServices {
    /// Before the first configuration nothing is known; the messages then fail for other reasons.
    fn is_configured(&self) -> bool {
        self.snapshot.load().is_some_and(|snapshot| !self.urls(&snapshot).is_empty())
    }

    fn interval(&self) -> Duration {
        let snapshot = self.snapshot.load();
        let private = snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.configuration().own())
            .and_then(|own| own.private.as_ref());
        private.map_or(DEFAULT_INTERVAL, |private| Duration::from_secs(private.timestamping_interval_seconds))
    }

    fn timestamp(&self, imprint: Digest) -> BoxFuture<'_, Result<Bytes, TimestampError>> {
        Box::pin(self.ask(imprint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_services() {
        let service = |url: &str, cost| TimestampingService { url: url.into(), cost, ..Default::default() };
        let approved =
            [service("a", CostType::Paid), service("b", CostType::Free), service("c", CostType::Undefined)];
        for (chosen, preference, expected) in [
            (&[][..], CostPreference::None, &["a", "b", "c"][..]),
            (&["c", "x", "a"], CostPreference::None, &["c", "a"]),
            (&[], CostPreference::OnlyFree, &["b"]),
            (&["c"], CostPreference::OnlyFree, &[]),
            (&[], CostPreference::OnlyPaid, &["a"]),
            (&[], CostPreference::FreeFirst, &["b", "a", "c"]),
            (&["b", "c", "a"], CostPreference::PaidFirst, &["a", "b", "c"]),
        ] {
            let chosen: Vec<String> = chosen.iter().map(|url| (*url).to_owned()).collect();
            assert_eq!(ordered(&approved, &chosen, preference), expected, "{chosen:?} {preference:?}");
        }
    }
}
