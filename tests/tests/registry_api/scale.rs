//! Lists of a large instance answer fast.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use administration::access::Role;
use http::Method;

use crate::support::Office;

/// What is asked: method, path and body.
const ASKED: &[(Method, &str, Option<&str>)] = &[
    (Method::GET, "/clients?limit=25", None),
    (Method::GET, "/clients?limit=25&sort=member_name&desc=true", None),
    (Method::GET, "/clients?limit=25&offset=300&sort=client_id.member_code", None),
    (Method::GET, "/clients?limit=100&q=member%2050", None),
    (Method::GET, "/clients?limit=25&client_type=SUBSYSTEM&name=77", None),
    (Method::GET, "/clients?limit=25&excluding_group=large", None),
    (Method::GET, "/security-servers?limit=25&sort=owner_name", None),
    (Method::GET, "/security-servers?limit=25&q=99", None),
    (Method::GET, "/members/DEV:COM:000000/subsystems", None),
    (Method::GET, "/global-groups", None),
    (
        Method::POST,
        "/global-groups/large/members",
        Some(r#"{"query":"50","paging_sorting":{"sort":"name"}}"#),
    ),
    (
        Method::POST,
        "/call-checks",
        Some(r#"{"client_id":"DEV:COM:000000:s","provider_id":"DEV:COM:000005:s"}"#),
    ),
];

/// `CAUSEWAY_MEMBERS` members, a fifth as many subsystems and a twentieth as many servers. By default
/// few: the figures of the documentation are those of a release build with 100,000.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_a_large_instance() {
    let members = std::env::var("CAUSEWAY_MEMBERS").ok().and_then(|text| text.parse().ok()).unwrap_or(2000);
    let began = Instant::now();
    let office = Office::declared(&instance(members)).await;
    println!("{members} members declared, read and published in {} s", began.elapsed().as_secs());
    let key = office.api_key(&[Role::RegistrationOfficer]).await;
    let mut client = office.client(&key).await;
    for (method, path, body) in ASKED {
        let mut times = Vec::new();
        for _ in 0..200 {
            let began = Instant::now();
            let answer = client.ask(method, path, *body).await;
            times.push(began.elapsed());
            assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        }
        times.sort_unstable();
        let (median, slow) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{method} {path}: median {:.1} ms, p99 {:.1} ms", millis(median), millis(slow));
        // The bound is for release builds on a free machine; here it only finds what is wildly wrong.
        assert!(median < Duration::from_millis(500), "{path}");
    }
    office.registry.stop().await;
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The file of an instance of this size.
pub(crate) fn instance(members: usize) -> String {
    let mut text = String::from(
        "instance = \"DEV\"\n[[member-class]]\ncode = \"COM\"\ndescription = \"Commercial\"\n\
         [management]\nprovider = \"DEV/COM/000000/s\"\n",
    );
    for number in 0..members {
        let name = number * 7919 % members;
        let _ = write!(
            text,
            "[[member]]\nclass = \"COM\"\ncode = \"{number:06}\"\nname = \"Large member {name}\"\n"
        );
        if number % 5 == 0 {
            text.push_str("[[member.subsystem]]\ncode = \"s\"\nname = \"Services\"\n");
        }
    }
    for number in (0..members).step_by(20) {
        let clients: Vec<String> =
            [0, 5, 10, 15].iter().map(|more| format!("\"DEV/COM/{:06}/s\"", number + more)).collect();
        let _ = write!(
            text,
            "[[security-server]]\nowner = \"DEV/COM/{number:06}\"\ncode = \"ss\"\naddress = \"ss{number}.example\"\n\
             authentication-certificates = []\nclients = [{}]\n",
            clients.join(", ")
        );
    }
    let grouped: Vec<String> =
        (0..members).step_by(5).map(|number| format!("\"DEV/COM/{number:06}/s\"")).collect();
    let _ = write!(
        text,
        "[[global-group]]\ncode = \"large\"\ndescription = \"Many\"\nmembers = [{}]\n",
        grouped.join(", ")
    );
    text
}
