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
            assert_eq!(pilot.get(0, &persons("/079200001234")).await.status, 200);
        }
        // A server that starts now lives on its local copy.
        pilot.federation.stop_one("ministry").await;
        pilot.federation.start_again("ministry").await.expect("it starts without registry and authority");
        assert_eq!(pilot.get(0, &persons("/079200001234")).await.status, 200);
        pilot.federation.start_again("authority").await.expect("the authority starts");
        pilot.federation.start_again("registry").await.expect("the registry starts");
        pilot.federation.stop().await;
    });
}

#[test]
fn a_server_that_is_no_longer_registered_is_refused() {
    run(async {
        let pilot = Pilot::start(15).await;
        assert_eq!(pilot.get(0, &persons("/079200001234")).await.status, 200);
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
