//! Node classes: every pair, and a change of the policy.

use std::time::Duration;

use causeway::up::plan::{ALLOWED, NODES};
use protocol::fault::code::NODE_CLASS_POLICY;

use crate::support::{Pilot, code, run};

/// A service of a node that everybody may call, or for the partner, which offers none, any name.
fn target(node: usize) -> String {
    let test = NODES[node].test_service_id();
    test.map_or_else(|| format!("{}/x", NODES[node].consumer_id()), |service| format!("{service}/bytes/5"))
}

#[test]
fn every_pair_of_classes() {
    run(async {
        let pilot = Pilot::start(11).await;
        for (from, consumer) in NODES.iter().enumerate() {
            for (to, provider) in NODES.iter().enumerate() {
                let answer = pilot.get(from, &target(to)).await;
                let pair = format!("{} → {}", consumer.name, provider.name);
                if ALLOWED.contains(&(consumer.class, provider.class)) {
                    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"xxxxx"[..]), "{pair}");
                } else {
                    assert_eq!(answer.status.as_u16(), 500, "{pair}");
                    assert!(code(&answer).ends_with(NODE_CLASS_POLICY), "{pair}: {}", code(&answer));
                }
            }
        }

        // The policy is changed in the registry's file: both ends follow within a refresh.
        let file = pilot.federation.role_folder("registry").join("instance.toml");
        let before = std::fs::read_to_string(&file).expect("the instance's file");
        let pair = "[[class_pair]]\nconsumer = \"international\"\nprovider = \"state\"\n";
        let pair = if before.contains("[[class-pair]]") {
            pair.replace("class_pair", "class-pair")
        } else {
            pair.to_owned()
        };
        let at = before.find("[management]").expect("the part [management]");
        let (head, tail) = before.split_at(at);
        std::fs::write(&file, format!("{head}{pair}\n{tail}")).expect("written");
        pilot.until(2, &target(0), Duration::from_secs(10), |answer| answer.status == 200).await;
        std::fs::write(&file, before).expect("written");
        pilot
            .until(2, &target(0), Duration::from_secs(10), |answer| code(answer).ends_with(NODE_CLASS_POLICY))
            .await;
        pilot.federation.stop().await;
    });
}
