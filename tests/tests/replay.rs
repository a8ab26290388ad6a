//! Recordings of a running federation get the verdicts that they are told to get.

use causeway_tests::conformance::{Cases, recordings, replay};

#[track_caller]
fn check(cases: Result<Cases, String>, least: usize) {
    let cases = cases.expect("readable vectors");
    let wrong: Vec<_> = cases.cases.iter().filter(|case| !case.agrees()).collect();
    for case in &wrong {
        println!("{}\n  expected {}\n  got      {}", case.name, case.expected, case.got);
    }
    println!(
        "{} of {} agree, {} skipped",
        cases.cases.len() - wrong.len(),
        cases.cases.len(),
        cases.skipped.len()
    );
    assert!(wrong.is_empty(), "{} of {} differ", wrong.len(), cases.cases.len());
    assert!(cases.cases.len() >= least, "only {} cases", cases.cases.len());
}

#[test]
fn recorded_messages() {
    let Some(recordings) = recordings() else { return println!("the recordings are not here") };
    check(replay::messages(&recordings), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_and_crafted_exchanges() {
    let Some(recordings) = recordings() else { return println!("the recordings are not here") };
    check(replay::exchanges(&recordings).await, 130);
}
