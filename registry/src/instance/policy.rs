//! Which node classes may talk, and on what terms.

use std::collections::BTreeMap;

use protocol::configuration::{ClassPolicy, NodeClass, PairTerms, TlsFloor};
use serde::{Deserialize, Serialize};

/// The policy as it is kept; none: the instance uses no node classes.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Policy {
    pairs: Option<BTreeMap<String, BTreeMap<String, Terms>>>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
struct Terms {
    tls13: bool,
    ocsp_live_seconds: Option<u64>,
    synchronous_timestamp: bool,
}

impl Policy {
    /// From a class policy, or none.
    pub fn new(policy: Option<&ClassPolicy>) -> Self {
        let Some(policy) = policy else { return Self::default() };
        let mut pairs: BTreeMap<String, BTreeMap<String, Terms>> = BTreeMap::new();
        for ((consumer, provider), terms) in &policy.pairs {
            let terms = Terms {
                tls13: terms.tls == TlsFloor::Tls13,
                ocsp_live_seconds: terms.ocsp_live_seconds,
                synchronous_timestamp: terms.synchronous_timestamp,
            };
            pairs.entry(consumer.name().to_owned()).or_default().insert(provider.name().to_owned(), terms);
        }
        Self { pairs: Some(pairs) }
    }

    /// The class policy; names that are no classes count for nothing.
    pub fn class_policy(&self) -> Option<ClassPolicy> {
        let mut policy = ClassPolicy::default();
        for (consumer, providers) in self.pairs.as_ref()? {
            for (provider, terms) in providers {
                let pair = NodeClass::from_name(consumer).zip(NodeClass::from_name(provider));
                let Some(pair) = pair else { continue };
                let tls = if terms.tls13 { TlsFloor::Tls13 } else { TlsFloor::Tls12 };
                let (ocsp_live_seconds, synchronous_timestamp) =
                    (terms.ocsp_live_seconds, terms.synchronous_timestamp);
                policy.pairs.insert(pair, PairTerms { tls, ocsp_live_seconds, synchronous_timestamp });
            }
        }
        Some(policy)
    }
}
