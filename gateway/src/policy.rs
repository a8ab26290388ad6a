//! Node-class policy: which class of server may call which, and on what terms.
//!
//! Every instance that publishes `CAUSEWAY-NODE-CLASSES` has a say in the exchanges of its servers; when
//! two instances meet, both must allow the pair and the stricter terms hold. Both ends decide for
//! themselves from their own copy of the signed configuration, and what is not allowed is refused.

use std::time::Duration;

use protocol::configuration::{GlobalConfiguration, Instance, NodeClass, TlsFloor};
use protocol::fault::{Fault, code};
use protocol::id::SecurityServerId;
use protocol::time::UtcTime;

/// What two servers have to keep to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Terms {
    /// Least TLS version between them.
    pub(crate) tls: TlsFloor,
    /// Greatest age of an OCSP response.
    pub(crate) ocsp_live: Option<Duration>,
    /// Messages are time-stamped before they go further.
    pub(crate) synchronous_timestamp: bool,
}

/// Where no instance publishes a policy.
const NO_POLICY: Terms = Terms { tls: TlsFloor::Tls12, ocsp_live: None, synchronous_timestamp: false };

/// The terms on which `consumer` may call services at `provider`.
///
/// # Errors
/// `access_denied.node_class_policy`; the text names the instance and the rule.
pub(crate) fn terms(
    configuration: &GlobalConfiguration,
    consumer: &SecurityServerId,
    provider: &SecurityServerId,
) -> Result<Terms, Fault> {
    let mut terms = NO_POLICY;
    let theirs = [consumer, provider].map(|server| server.owner().instance());
    let instances = if theirs[0] == theirs[1] { &theirs[..1] } else { &theirs[..] };
    for instance in instances.iter().filter_map(|identifier| configuration.instance(identifier)) {
        let Some(classes) = &instance.node_classes else { continue };
        let from = class(instance, consumer)?;
        let to = class(instance, provider)?;
        let Some(pair) = classes.policy.pairs.get(&(from, to)) else {
            return Err(refused(instance, format!("{} may not call {}", name(from), name(to))));
        };
        let live = pair.ocsp_live_seconds.map(Duration::from_secs);
        terms = Terms {
            tls: terms.tls.max(pair.tls),
            ocsp_live: terms.ocsp_live.into_iter().chain(live).min(),
            synchronous_timestamp: terms.synchronous_timestamp || pair.synchronous_timestamp,
        };
    }
    Ok(terms)
}

/// The class of a server in the eyes of an instance: what the instance lists; servers of other
/// instances are partners unless it lists them, whatever class their own instance gives them.
fn class(instance: &Instance, server: &SecurityServerId) -> Result<NodeClass, Fault> {
    let listed = instance.node_classes.as_ref().and_then(|classes| classes.servers.get(server).copied());
    match listed {
        Some(class) => Ok(class),
        None if server.owner().instance() != instance.identifier => Ok(NodeClass::International),
        None => Err(refused(instance, format!("server {server} has no class"))),
    }
}

impl Terms {
    /// Checks the TLS version of the connection between the two servers.
    pub(crate) fn check_tls(&self, version: TlsFloor) -> Result<(), Fault> {
        if version >= self.tls {
            return Ok(());
        }
        Err(fault("node class policy: this pair of classes needs TLS 1.3 between the servers".to_owned()))
    }

    /// Checks that an OCSP response made at `made` counts as live now. `whose` names its certificate.
    pub(crate) fn check_ocsp(&self, whose: &str, made: UtcTime, now: UtcTime) -> Result<(), Fault> {
        match self.ocsp_live {
            Some(live) if made < now.minus(live) => Err(fault(format!(
                "node class policy: this pair of classes needs an OCSP response of the {whose} certificate \
                 not older than {} seconds",
                live.as_secs()
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

fn name(class: NodeClass) -> &'static str {
    match class {
        NodeClass::State => "state",
        NodeClass::DataCenter => "data-center",
        NodeClass::International => "international",
    }
}

fn refused(instance: &Instance, rule: String) -> Fault {
    fault(format!("node class policy of instance {}: {rule}", instance.identifier))
}

fn fault(text: String) -> Fault {
    Fault::new(code::NODE_CLASS_POLICY, text).within(code::ACCESS_DENIED)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use protocol::configuration::{ClassPolicy, NodeClasses, PairTerms, SharedParameters};
    use protocol::id::MemberId;

    use super::*;

    fn server(instance: &str, code: &str) -> SecurityServerId {
        let owner = MemberId::new(instance, "GOV", "1").expect("a member");
        SecurityServerId::new(owner, code).expect("a server")
    }

    /// An instance with the servers `state`, `hub` and `none`, and these pairs.
    fn instance(identifier: &str, pairs: &[((NodeClass, NodeClass), PairTerms)]) -> (String, Arc<Instance>) {
        let shared = SharedParameters { instance: identifier.to_owned(), ..SharedParameters::default() };
        let mut instance = Instance::new(shared, 6, UtcTime::from_seconds(i64::MAX / 2000));
        let servers = [("state", NodeClass::State), ("hub", NodeClass::DataCenter)];
        instance.node_classes = Some(NodeClasses {
            servers: servers.iter().map(|(code, class)| (server(identifier, code), *class)).collect(),
            policy: ClassPolicy { pairs: pairs.iter().copied().collect() },
        });
        (identifier.to_owned(), Arc::new(instance))
    }

    const PLAIN: PairTerms =
        PairTerms { tls: TlsFloor::Tls12, ocsp_live_seconds: None, synchronous_timestamp: false };
    const STRICT: PairTerms =
        PairTerms { tls: TlsFloor::Tls13, ocsp_live_seconds: Some(60), synchronous_timestamp: true };

    fn configuration() -> GlobalConfiguration {
        use NodeClass::{DataCenter, International, State};
        let a = instance("A", &[((State, DataCenter), PLAIN), ((State, International), STRICT)]);
        let b = instance("B", &[((International, State), PLAIN)]);
        let quiet = Instance::new(
            SharedParameters { instance: "C".to_owned(), ..SharedParameters::default() },
            6,
            UtcTime::from_seconds(1),
        );
        let c = ("C".to_owned(), Arc::new(quiet));
        GlobalConfiguration { own_instance: "A".to_owned(), instances: HashMap::from([a, b, c]) }
    }

    #[track_caller]
    fn check(from: (&str, &str), to: (&str, &str), expected: Result<Terms, &str>) {
        let terms = terms(&configuration(), &server(from.0, from.1), &server(to.0, to.1));
        let terms = terms.as_ref().map_err(|fault| {
            assert_eq!(fault.code, "access_denied.node_class_policy");
            fault.text.as_str()
        });
        assert_eq!(terms, expected.as_ref().map_err(|text| *text), "{from:?} {to:?}");
    }

    #[test]
    fn pairs_and_terms() {
        let strict = Terms {
            tls: TlsFloor::Tls13,
            ocsp_live: Some(Duration::from_secs(60)),
            synchronous_timestamp: true,
        };
        check(("A", "state"), ("A", "hub"), Ok(NO_POLICY));
        check(
            ("A", "hub"),
            ("A", "state"),
            Err("node class policy of instance A: data-center may not call state"),
        );
        check(
            ("A", "none"),
            ("A", "hub"),
            Err("node class policy of instance A: server A/GOV/1/none has no class"),
        );
        // Both instances must agree, and the stricter terms hold.
        check(("A", "state"), ("B", "state"), Ok(strict));
        check(
            ("B", "state"),
            ("A", "state"),
            Err("node class policy of instance B: state may not call international"),
        );
        // An instance that publishes nothing has no say; for others its servers are partners.
        check(("A", "state"), ("C", "x"), Ok(strict));
        check(("C", "x"), ("C", "y"), Ok(NO_POLICY));
    }

    #[test]
    fn terms_are_kept() {
        let now = UtcTime::from_seconds(1000);
        let terms = Terms {
            tls: TlsFloor::Tls13,
            ocsp_live: Some(Duration::from_secs(60)),
            synchronous_timestamp: false,
        };
        assert!(terms.check_tls(TlsFloor::Tls13).is_ok());
        assert!(terms.check_tls(TlsFloor::Tls12).is_err());
        assert!(terms.check_ocsp("signing", UtcTime::from_seconds(940), now).is_ok());
        assert!(terms.check_ocsp("signing", UtcTime::from_seconds(939), now).is_err());
        assert!(NO_POLICY.check_ocsp("signing", UtcTime::from_seconds(0), now).is_ok());
    }
}
