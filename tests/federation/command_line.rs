//! The commands for people: what they print and how they end.

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use causeway::up::plan::NODES;

use crate::support::{Pilot, causeway, persons, run, text, told};

#[test]
fn call_log_and_verify() {
    run(async {
        let pilot = Pilot::start(24).await;
        let folder = tempfile::tempdir().expect("a folder");
        calls(&pilot, folder.path());
        let container = logs(&pilot, folder.path());
        verifies(&pilot, folder.path(), &container).await;
        pilot.federation.stop().await;
    });
}

fn calls(pilot: &Pilot, folder: &Path) {
    let server = format!("http://{}", pilot.clients(0));
    let client = NODES[0].consumer_id();
    let call = |target: &str, more: &[&str]| {
        let mut arguments = vec!["call", "--server", &server, "--client", &client, target];
        arguments.extend(more);
        told(&causeway(&arguments))
    };
    let target = persons("/079200001234");
    let (status, output, errors) = call(&target, &["--verbose"]);
    assert_eq!(status, Some(0), "{errors}");
    assert!(serde_json::from_str::<serde_json::Value>(&output).is_ok(), "{output}");
    assert!(errors.contains("200 OK in ") && errors.contains("x-road-id: "), "{errors}");

    let file = folder.join("answer.json");
    let (status, output, _) = call(&target, &["--output", text(&file)]);
    assert_eq!((status, output.as_str()), (Some(0), ""));
    assert!(std::fs::metadata(&file).is_ok_and(|file| file.len() > 0));

    let sink = format!("{}/sink", NODES[1].test_service_id().expect("a service"));
    let (status, output, _) = call(&sink, &["--data", "abc"]);
    assert_eq!((status, output.as_str()), (Some(0), "{\"bytes\":3}"));
    let (status, output, _) = call(&sink, &["--data", &format!("@{}", text(&file))]);
    assert_eq!(status, Some(0), "{output}");

    let (status, output, errors) = call("CW/GOV/9999/x/y", &[]);
    assert_eq!(status, Some(1), "{output}");
    assert!(output.contains("unknown_member") && errors.contains("the answer was 500"), "{output}{errors}");

    let nowhere = ["call", "--server", "http://127.0.24.99:1", "--client", &client, &target];
    let (status, _, errors) = told(&causeway(&nowhere));
    assert_eq!(status, Some(2));
    assert!(errors.contains("cannot connect to"), "{errors}");
    let (status, _, _) = call(&target, &["--header", "no header"]);
    assert_eq!(status, Some(2));
    let (status, _, _) = call(&target, &["--ca", text(&folder.join("missing.pem"))]);
    assert_eq!(status, Some(2));
}

/// Gives the container of an answer.
fn logs(pilot: &Pilot, folder: &Path) -> std::path::PathBuf {
    let path = pilot.federation.message_log(0);
    let log = text(&path);
    let (status, output, errors) = told(&causeway(&["log", "list", "--log", log, "--json"]));
    assert_eq!(status, Some(0), "{errors}");
    let records: Vec<serde_json::Value> =
        output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(records.len() >= 8, "{output}");
    let first = records[0].clone();
    let id = first["message_id"].as_str().expect("an id");
    assert_eq!(first["side"], "consumer");
    assert_eq!(first["client"], NODES[0].consumer_id().as_str());

    let (status, output, errors) = told(&causeway(&["log", "list", "--log", log, "--limit", "1"]));
    assert_eq!((status, output.lines().count()), (Some(0), 1));
    assert!(errors.contains("--limit"), "{errors}");
    let (status, output, _) = told(&causeway(&["log", "list", "--log", log, "--id", id]));
    assert_eq!((status, output.lines().count()), (Some(0), 2), "request and response: {output}");
    let (status, output, errors) = told(&causeway(&["log", "list", "--log", log, "--id", "nothing"]));
    assert_eq!((status, output.as_str()), (Some(0), ""));
    assert!(errors.contains("no record matches"), "{errors}");
    let (status, _, errors) = told(&causeway(&["log", "list", "--log", log, "--client", "x"]));
    assert_eq!(status, Some(2));
    assert!(errors.contains("--client"), "{errors}");

    let (status, output, _) = told(&causeway(&["log", "show", "--log", log, &first["sequence"].to_string()]));
    assert_eq!(status, Some(0));
    assert!(
        output.contains("GET\n/r1/CW/NDC/2001/population/persons") && output.contains("Signature"),
        "{output}"
    );
    let (status, _, errors) = told(&causeway(&["log", "show", "--log", log, "999999"]));
    assert_eq!(status, Some(2));
    assert!(errors.contains("no message record 999999"), "{errors}");

    // Containers are there once the records are time-stamped.
    let to = folder.join("evidence");
    let end = Instant::now() + Duration::from_secs(40);
    let output = loop {
        let arguments = ["log", "export", "--log", log, "--id", id, "--responses", "--to", text(&to)];
        let (status, output, errors) = told(&causeway(&arguments));
        if status == Some(0) {
            break output;
        }
        assert_eq!(status, Some(1), "{errors}");
        assert!(errors.contains("wait for their time-stamp"), "{errors}");
        assert!(Instant::now() < end, "still not time-stamped");
        std::thread::sleep(Duration::from_millis(500));
    };
    let container = std::path::PathBuf::from(output.trim());
    assert!(container.is_file(), "{output}");
    let (status, _, _) =
        told(&causeway(&["log", "export", "--log", log, "--id", "nothing", "--to", text(&to)]));
    assert_eq!(status, Some(1));

    let (status, output, _) = told(&causeway(&["log", "verify", "--log", log]));
    assert_eq!(status, Some(0), "{output}");
    assert!(output.ends_with("the log is whole\n"), "{output}");
    let (status, _, _) = told(&causeway(&["log", "verify", "--log", text(&folder.join("no-log"))]));
    assert_eq!(status, Some(2));
    container
}

async fn verifies(pilot: &Pilot, folder: &Path, container: &Path) {
    let (zip, _) = causeway::up::evidence::configuration(&pilot.federation, &NODES[0]).await.expect("a zip");
    let file = folder.join("verificationconf.zip");
    std::fs::write(&file, zip).expect("written");
    // The zip and the server's own copy judge alike.
    let copy = pilot.federation.role_folder("ministry").join("state").join("globalconf");
    for configuration in [&file, &copy] {
        let arguments = ["verify", text(container), "--configuration", text(configuration)];
        let (status, output, errors) = told(&causeway(&arguments));
        assert_eq!(status, Some(0), "{output}{errors}");
        assert!(output.starts_with("VALID\n"), "{output}");
    }
    let judge = |container: &Path, more: &[&str]| {
        let mut arguments = vec!["verify", text(container), "--configuration", text(&file)];
        arguments.extend(more);
        told(&causeway(&arguments))
    };
    let (status, output, _) = judge(container, &["--json"]);
    assert_eq!(status, Some(0));
    let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(report["valid"], true);
    assert!(report["steps"].as_array().is_some_and(|steps| steps.len() >= 5), "{report}");
    assert!(report["signer"].as_str().is_some_and(|signer| signer.contains("population")), "{report}");

    let mut bytes = std::fs::read(container).expect("a container");
    let at = bytes.windows(8).position(|window| window == b"message.").expect("an entry") + 40;
    bytes[at] ^= 1;
    let changed = folder.join("changed.asice");
    std::fs::write(&changed, bytes).expect("written");
    let (status, output, _) = judge(&changed, &["--json"]);
    assert_eq!(status, Some(1), "{output}");
    let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(report["valid"], false);
    assert!(report["code"].is_string() && report["reason"].is_string(), "{report}");

    // Before the certificates were made they did not count.
    let (status, output, _) = judge(container, &["--at", "2001-01-01T00:00:00Z"]);
    assert_eq!(status, Some(1), "{output}");
    std::fs::write(&changed, b"no zip").expect("written");
    assert_eq!(judge(&changed, &[]).0, Some(1), "it was judged, and is no container");

    let (status, _, errors) = judge(&folder.join("missing.asice"), &[]);
    assert_eq!(status, Some(2));
    assert!(errors.contains("not judged"), "{errors}");
    let arguments = ["verify", text(container), "--configuration", text(&changed)];
    assert_eq!(told(&causeway(&arguments)).0, Some(2), "a configuration that is none");
    assert_eq!(judge(container, &["--at", "yesterday"]).0, Some(2));
}

/// A shell with a low limit starts a role, which raises it as far as the shell was allowed.
#[test]
fn roles_may_open_as_many_files_as_the_system_allows() {
    let program = env!("CARGO_BIN_EXE_causeway");
    let script =
        format!("ulimit -S -n 300 && ulimit -H -n 700 && exec {program} sample --listen 127.0.0.1:0");
    let mut role =
        Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().expect("a shell starts");
    let mut said = String::new();
    let output = role.stdout.take().expect("its output");
    std::io::BufReader::new(output).read_line(&mut said).expect("it says something");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", role.id()));
    role.kill().and_then(|()| role.wait()).expect("it ends");
    assert_eq!(said.trim(), "ready");
    let limits = limits.expect("the system tells the limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("open files");
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["700", "700"], "{line}");
}
