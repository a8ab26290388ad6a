//! Asking the responders of a certificate's issuer (§16.3).

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::ocsp::{self, OcspResponse};
use certs::trust::TrustStore;
use http::StatusCode;
use protocol::configuration::CostType;
use protocol::time::UtcTime;

use super::{REQUEST_TYPE, RESPONSE_TYPE};
use crate::http::Fetcher;

/// Which services are asked, and in what order, by what they cost.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Prioritization {
    /// As the global configuration lists them.
    #[default]
    None,
    /// Only those that are free.
    OnlyFree,
    /// Only those that are paid.
    OnlyPaid,
    /// Free, then paid, then undefined.
    FreeFirst,
    /// Paid, then free, then undefined.
    PaidFirst,
}

impl Prioritization {
    /// The strategy of this name, such as `FREE_FIRST`, letter case ignored.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        Some(match name.as_str() {
            "NONE" => Self::None,
            "ONLY_FREE" => Self::OnlyFree,
            "ONLY_PAID" => Self::OnlyPaid,
            "FREE_FIRST" => Self::FreeFirst,
            "PAID_FIRST" => Self::PaidFirst,
            _ => return None,
        })
    }

    /// Leaves out and sorts services; those of the same cost keep their order.
    pub fn order<T>(self, mut services: Vec<T>, cost: impl Fn(&T) -> CostType) -> Vec<T> {
        let rank = |service: &T| match (self, cost(service)) {
            (Self::None, _) => 0,
            (Self::FreeFirst, CostType::Free) | (Self::PaidFirst, CostType::Paid) => 0,
            (Self::FreeFirst, CostType::Paid) | (Self::PaidFirst, CostType::Free) => 1,
            (Self::OnlyFree, CostType::Free) | (Self::OnlyPaid, CostType::Paid) => 0,
            _ => 2,
        };
        if matches!(self, Self::OnlyFree | Self::OnlyPaid) {
            services.retain(|service| rank(service) == 0);
        }
        services.sort_by_key(rank);
        services
    }
}

/// No responder gave a response that may be kept.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailure {
    /// Neither the global configuration nor the certificate names a responder.
    #[error("no OCSP responder is known for {0}")]
    NoResponder(String),
    /// What the last responder did.
    #[error("no usable OCSP response for {subject}, last tried {url}: {reason}")]
    Refused {
        /// The certificate.
        subject: String,
        /// The responder.
        url: String,
        /// What was wrong.
        reason: String,
    },
}

/// The responders of a certificate in the order in which they are asked: those of its issuer in the
/// own instance, then in the others by name, then the one that the certificate itself names.
pub fn responder_urls(
    subject: &Certificate,
    issuer: &Certificate,
    trust: &TrustStore,
    strategy: Prioritization,
) -> Vec<String> {
    let configuration = trust.configuration();
    let mut instances: Vec<_> = configuration.instances.values().collect();
    instances
        .sort_by_key(|instance| (instance.identifier != configuration.own_instance, &instance.identifier));
    let mut urls: Vec<String> = Vec::new();
    let mut put = |url: &str| {
        if !urls.iter().any(|known| known == url) {
            urls.push(url.to_owned());
        }
    };
    for instance in instances {
        let responders: Vec<_> = instance
            .shared
            .approved_cas
            .iter()
            .flat_map(|service| std::iter::once(&service.top).chain(&service.intermediates))
            .filter(|authority| authority.certificate[..] == issuer.der()[..])
            .flat_map(|authority| &authority.ocsp)
            .collect();
        // Costs are known since version 6 only; before, nothing is left out (§16.3).
        let strategy = if instance.version >= 6 { strategy } else { Prioritization::None };
        for responder in strategy.order(responders, |responder| responder.cost) {
            put(&responder.url);
        }
    }
    if let Some(url) = subject.ocsp_url() {
        put(url);
    }
    urls
}

/// Asks one responder after the other until one gives a response that passes §16.4 steps 1 to 7.
///
/// # Errors
/// When there is no responder, or none gave such a response.
pub async fn fetch(
    subject: &Certificate,
    issuer: &Certificate,
    trust: &TrustStore,
    fetcher: &Fetcher,
    strategy: Prioritization,
    now: UtcTime,
) -> Result<OcspResponse, FetchFailure> {
    let name = || subject.subject_name();
    let mut failure = FetchFailure::NoResponder(name());
    let request = Bytes::from(ocsp::request(subject, issuer));
    for url in responder_urls(subject, issuer, trust, strategy) {
        let (body, limit) = (request.clone(), ocsp::MAX_RESPONSE);
        let answer = fetcher.post_accepting(&url, REQUEST_TYPE, Some(RESPONSE_TYPE), body, limit).await;
        let reason = match answer {
            Ok(answer) if answer.status == StatusCode::OK => {
                // Copied, so that what is kept for an hour does not hold a network buffer.
                let accepted =
                    OcspResponse::parse(Bytes::copy_from_slice(&answer.body)).and_then(|response| {
                        ocsp::check_current(&response, subject, issuer, trust, now).map(|()| response)
                    });
                match accepted {
                    Ok(response) => return Ok(response),
                    Err(fault) => fault.to_string(),
                }
            }
            Ok(answer) => format!("status {}", answer.status),
            Err(error) => error.to_string(),
        };
        tracing::debug!(subject = name(), url, reason, "OCSP responder failed");
        failure = FetchFailure::Refused { subject: name(), url, reason };
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_ordered_by_cost() {
        #[track_caller]
        fn check(name: &str, expected: &str) {
            let services = vec![
                ('a', CostType::Undefined),
                ('b', CostType::Paid),
                ('c', CostType::Free),
                ('d', CostType::Paid),
                ('e', CostType::Free),
            ];
            let strategy = Prioritization::from_name(name).expect("a strategy");
            let ordered: String =
                strategy.order(services, |(_, cost)| *cost).into_iter().map(|(name, _)| name).collect();
            assert_eq!(ordered, expected, "{name}");
        }
        check("NONE", "abcde");
        check("ONLY_FREE", "ce");
        check("only_paid", "bd");
        check("FREE_FIRST", "cebda");
        check("PAID_FIRST", "bdcea");
        assert_eq!(Prioritization::from_name("CHEAPEST"), None);
    }
}
