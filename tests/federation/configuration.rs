//! The registry's part while messages pass: it may be down, a certificate may be revoked, a member may go.

use std::time::Duration;

use crate::support::{Pilot, code, persons, run};

#[test]
fn traffic_goes_on_without_the_registry_and_authority() {
    run(async {
        let mut pilot = Pilot::start(14).await;
        pilot.federation.kill("registry").await;
        pilot.federation.kill("authority").await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        for _ in 0..20 {
            pilot.succeed(0, &persons("/079200001234"), "without registry and authority").await;
        }
        // A server that starts now lives on its local copy.
        pilot.federation.stop_one("ministry").await;
        pilot.federation.start_again("ministry").await.expect("it starts without registry and authority");
        pilot.succeed(0, &persons("/079200001234"), "from the local copy").await;
        pilot.federation.start_again("authority").await.expect("the authority starts");
        pilot.federation.start_again("registry").await.expect("the registry starts");
        pilot.federation.stop().await;
    });
}

#[test]
fn a_server_that_is_no_longer_registered_is_refused() {
    run(async {
        let pilot = Pilot::start(15).await;
        pilot.succeed(0, &persons("/079200001234"), "registered").await;
        let file = pilot.federation.role_folder("registry").join("instance.toml");
        let before = std::fs::read_to_string(&file).expect("the instance's file");
        // The consumer's subsystem is taken from the ministry's server, whose connections stay open.
        let after = before.replace("\"CW/GOV/1001/permits\", ", "");
        assert_ne!(before, after);
        std::fs::write(&file, &after).expect("written");
        pilot
            .until(0, &persons("/079200001234"), Duration::from_secs(10), |answer| {
                let code = code(answer);
                code.contains("unknown_member") || code.contains("ssl_authentication_failed")
            })
            .await;
        std::fs::write(&file, before).expect("written");
        pilot
            .until(0, &persons("/079200001234"), Duration::from_secs(10), |answer| answer.status == 200)
            .await;
        pilot.federation.stop().await;
    });
}

/// A registry that is gone too long, and its return. That the provider's server refuses as the consumer's
/// does is shown by `nothing_goes_without_a_configuration_in_force` in `gateway/tests/exchange/refusals.rs`;
/// that a configuration which is wrongly signed, older, foreign or changed is refused, by
/// `what_is_old_or_wrong_changes_nothing` in `gateway/src/configuration/client/tests.rs`.
#[test]
fn an_expired_configuration_stops_traffic_until_there_is_a_new_one() {
    run(async {
        let mut pilot = Pilot::start(20).await;
        pilot.edit("registry", "registry.toml", &[("expiry-seconds = 600", "expiry-seconds = 6")]);
        // The same configuration would be in force for as long as it was said before.
        pilot.edit("registry", "instance.toml", &[("Ministry of Transport", "Ministry of Traffic")]);
        pilot.restart("registry").await;
        let target = persons("/079200001234");
        // The servers have taken the short-lived configuration.
        tokio::time::sleep(Duration::from_secs(3)).await;
        pilot.until(0, &target, Duration::from_secs(10), |answer| answer.status == 200).await;
        pilot.federation.kill("registry").await;
        let outdated = |answer: &causeway::client::Answer| code(answer).ends_with("global_conf_outdated");
        pilot.until(0, &target, Duration::from_secs(15), outdated).await;
        // The clocks of all three agree, so the others are as far.
        for from in [0, 1, 2] {
            let answer = pilot.get(from, &target).await;
            assert_eq!((answer.status.as_u16(), outdated(&answer)), (500, true), "{}", code(&answer));
        }
        // What a server that starts now has is no better.
        pilot.federation.stop_one("partner").await;
        pilot.federation.start_again("registry").await.expect("the registry starts");
        pilot.until(0, &target, Duration::from_secs(15), |answer| answer.status == 200).await;
        pilot.federation.start_again("partner").await.expect("it starts");
        pilot.until(2, &target, Duration::from_secs(15), |answer| answer.status == 200).await;
        pilot.federation.stop().await;
    });
}
