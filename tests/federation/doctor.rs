//! `causeway doctor` names what is broken, with the fix, and says so in its status.

use causeway::up::plan::NODES;
use serde_json::Value;

use crate::support::{Pilot, causeway, run, text, told};

/// What the doctor finds at a node: exit status and findings.
fn examine(pilot: &Pilot, node: usize) -> (Option<i32>, Vec<Value>) {
    let config = pilot.federation.config(NODES[node].name);
    let (status, output, errors) = told(&causeway(&["doctor", "--config", text(&config), "--json"]));
    let findings: Value =
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}{errors}"));
    (status, findings.as_array().expect("a list").clone())
}

#[track_caller]
fn check(findings: &[Value], check: &str, verdict: &str, why: &str) {
    let has =
        |finding: &Value, key: &str, text: &str| finding[key].as_str().is_some_and(|at| at.contains(text));
    let found = findings.iter().any(|finding| {
        has(finding, "check", check)
            && finding["verdict"] == verdict
            && has(finding, "why", why)
            && (verdict == "good" || finding["fix"].as_str().is_some_and(|fix| !fix.is_empty()))
    });
    assert!(found, "no {verdict} {check:?} with {why:?} in {findings:#?}");
}

fn count(findings: &[Value], verdict: &str) -> usize {
    findings.iter().filter(|finding| finding["verdict"] == verdict).count()
}

#[test]
fn the_doctor_tells_what_is_broken() {
    run(async {
        let mut pilot = Pilot::start(22).await;
        let (status, findings) = examine(&pilot, 0);
        assert_eq!((status, count(&findings, "broken")), (Some(0), 0), "{findings:#?}");
        for what in [
            "state folder",
            "disk space",
            "key token",
            "configuration anchor",
            "registry http://",
            "signed configuration",
            "global configuration",
            "registration",
            "authentication certificate",
            "signing certificate",
            "time-stamping service",
            "OCSP responder",
            "security server CW/NDC/2001/hub1",
            ":5500",
            ":5577",
        ] {
            check(&findings, what, "good", "");
        }
        let config = pilot.federation.config("ministry");
        let (status, output, _) = told(&causeway(&["doctor", "--config", text(&config)]));
        assert_eq!(status, Some(0));
        assert!(output.ends_with("nothing is broken\n"), "{output}");

        // A port that is closed though the node runs cannot be had from outside; a peer that is gone can.
        pilot.federation.stop_one("data-centre").await;
        let (status, findings) = examine(&pilot, 0);
        assert_eq!(status, Some(0), "a peer is not the node's own matter: {findings:#?}");
        check(&findings, "security server CW/NDC/2001/hub1", "warning", "cannot be reached");
        let (status, findings) = examine(&pilot, 1);
        assert_eq!(status, Some(0), "a node that does not run can be examined: {findings:#?}");
        check(&findings, ":5500", "good", "the node does not run");
        pilot.federation.start_again("data-centre").await.expect("it starts again");

        pilot.federation.kill("authority").await;
        let (status, findings) = examine(&pilot, 0);
        assert_eq!(status, Some(1));
        check(&findings, "OCSP responder", "broken", "does not answer");
        check(&findings, "time-stamping service", "broken", "does not answer");
        pilot.federation.start_again("authority").await.expect("it starts again");

        pilot.federation.kill("registry").await;
        let (status, findings) = examine(&pilot, 0);
        assert_eq!(status, Some(1));
        check(&findings, "registry http://", "broken", "does not answer");
        check(&findings, "global configuration", "good", "in force until");
        let (status, output, _) = told(&causeway(&["doctor", "--config", text(&config)]));
        assert_eq!(status, Some(1));
        assert!(output.contains("✗ registry http://") && output.contains("    → "), "{output}");
        pilot.federation.start_again("registry").await.expect("it starts again");

        // An anchor with another registry's key, then one that is none.
        let folder = pilot.federation.role_folder("ministry");
        let anchor = folder.join("anchor.xml");
        let before = std::fs::read_to_string(&anchor).expect("an anchor");
        let own = std::fs::read_to_string(pilot.federation.role_folder("registry").join("ca.pem"));
        let other: String =
            own.expect("a certificate").lines().filter(|line| !line.starts_with("-----")).collect();
        let (start, end) = (before.find("<verificationCert>"), before.find("</verificationCert>"));
        let start = start.expect("a certificate") + "<verificationCert>".len();
        let end = end.expect("a certificate");
        let wrong = format!("{}{other}{}", &before[..start], &before[end..]);
        std::fs::write(&anchor, wrong).expect("written");
        let (status, findings) = examine(&pilot, 0);
        assert_eq!(status, Some(1));
        check(&findings, "configuration anchor", "good", "");
        check(&findings, "registry http://", "good", "answers");
        check(&findings, "signed configuration", "broken", "");
        std::fs::write(&anchor, "<configurationAnchor/>").expect("written");
        let (status, findings) = examine(&pilot, 0);
        assert_eq!(status, Some(1));
        check(&findings, "configuration anchor", "broken", "");
        std::fs::remove_file(&anchor).expect("removed");
        let (status, findings) = examine(&pilot, 0);
        assert_eq!(status, Some(1));
        check(&findings, "configuration anchor", "broken", "");

        let (status, _, errors) = told(&causeway(&["doctor", "--config", text(&anchor)]));
        assert_eq!(status, Some(2), "no file to examine");
        assert!(errors.contains("anchor.xml"), "{errors}");
        pilot.federation.stop().await;
    });
}
