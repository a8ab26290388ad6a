//! `causeway up` as a person uses it: more than once, over leftovers, where it cannot work.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{causeway, folder, text, told};

const NETWORK: &str = "127.0.23";
const OTHER: &str = "127.0.26";

/// A federation that keeps running, and the first process ids that it needs.
struct Up(Child);

impl Up {
    fn start(state: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_causeway"))
            .args(["up", "--network", NETWORK, "--state", text(state)])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let output = child.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(output).lines();
        let running = lines.any(|line| line.is_ok_and(|line| line.contains("keeps running")));
        // The rest is read elsewhere, so that the program can go on printing.
        std::thread::spawn(move || lines.for_each(drop));
        assert!(running, "{:?}", child.wait());
        Self(child)
    }

    fn signal(mut self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, signal).expect("it runs");
        self.0.wait().expect("it ends").code()
    }
}

/// Processes whose arguments have this folder in them.
fn processes(state: &Path) -> usize {
    let entries = std::fs::read_dir("/proc").expect("processes").flatten();
    entries
        .filter(|entry| {
            let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(text(state))
        })
        .count()
}

#[test]
fn up_and_up_again() {
    let folder = folder();
    let state = folder.path().join("state");
    let arguments = ["up", "--once", "--network", NETWORK, "--state", text(&state)];

    let (status, output, errors) = told(&causeway(&arguments));
    assert_eq!(status, Some(0), "{output}{errors}");
    assert!(output.contains("6 exchanges, 6 as expected"), "{output}");
    assert!(output.contains("refused, as it should be"), "{output}");
    // The line that proves the exchange is there to be pasted.
    let line = output.lines().find(|line| line.contains(" verify ")).expect("a line to paste");
    let pasted = Command::new("sh").args(["-c", line.trim()]).output().expect("a shell");
    assert_eq!(told(&pasted).0, Some(0), "{pasted:?}");
    assert_eq!(processes(&state), 0, "nothing is left");

    // The addresses of the first start are kept with the state.
    let running = Up::start(&state);
    let (status, output, errors) = told(&causeway(&["up", "--once", "--state", text(&state)]));
    assert_eq!(status, Some(1), "{output}");
    assert!(errors.contains("is running in") && errors.contains("--state"), "{errors}");
    let (status, _, errors) = told(&causeway(&[
        "up",
        "--once",
        "--network",
        NETWORK,
        "--state",
        text(&folder.path().join("second")),
    ]));
    assert_eq!(status, Some(1));
    assert!(errors.contains("is in use by another program") && errors.contains("ss -ltnp"), "{errors}");

    // Killed: nothing of it stays, and the next start does not mind.
    running.signal(Signal::KILL);
    let (status, output, errors) = told(&causeway(&["up", "--once", "--state", text(&state)]));
    assert_eq!(status, Some(0), "{output}{errors}");
    assert!(output.contains(&format!("http://{NETWORK}.11:8080")), "{output}");
    let end = Instant::now() + Duration::from_secs(20);
    while processes(&state) > 0 {
        assert!(Instant::now() < end, "{} processes are left", processes(&state));
        std::thread::sleep(Duration::from_millis(50));
    }

    assert_eq!(Up::start(&state).signal(Signal::INT), Some(0));
    assert_eq!(processes(&state), 0, "Ctrl-C leaves nothing");
    let (status, _, errors) = told(&causeway(&["up", "--once", "--network", OTHER, "--state", text(&state)]));
    assert_eq!(status, Some(1));
    assert!(errors.contains("was set up with --network 127.0.23"), "{errors}");

    // A set-up that broke off is made anew.
    std::fs::remove_file(state.join("set-up-complete")).expect("removed");
    std::fs::remove_dir_all(state.join("partner")).expect("removed");
    let (status, output, errors) = told(&causeway(&arguments));
    assert_eq!(status, Some(0), "{output}{errors}");
}

#[test]
fn up_where_it_cannot_work() {
    let folder = folder();
    let up = |state: &Path| told(&causeway(&["up", "--once", "--network", OTHER, "--state", text(state)]));

    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).expect("made");
    std::fs::write(foreign.join("letter.txt"), "dear all").expect("written");
    let (status, _, errors) = up(&foreign);
    assert_eq!(status, Some(1));
    assert!(errors.contains("not a pilot federation's"), "{errors}");
    assert!(foreign.join("letter.txt").exists());

    let (status, _, errors) = up(&foreign.join("letter.txt"));
    assert_eq!(status, Some(1));
    assert!(errors.contains("cannot write in") && errors.contains("--state"), "{errors}");

    let (status, _, errors) =
        told(&causeway(&["up", "--once", "--network", "10.0.1", "--state", text(&folder.path().join("x"))]));
    assert_eq!(status, Some(2));
    assert!(errors.contains("loopback"), "{errors}");

    // For root nothing is read-only but a file system.
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).expect("made");
    let mount = |arguments: &[&str]| {
        Command::new("mount").args(arguments).output().is_ok_and(|output| output.status.success())
    };
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).expect("closed");
    let is_root = rustix::process::geteuid().is_root();
    let mounted = is_root && mount(&["-t", "tmpfs", "-o", "ro", "causeway-test", text(&closed)]);
    if is_root && !mounted {
        println!("SKIPPED the read-only folder: this root may not mount one");
        return;
    }
    let (status, _, errors) = up(&closed.join("state"));
    let same = up(&closed);
    if mounted {
        let _ = Command::new("umount").arg(&closed).status();
    }
    assert_eq!(status, Some(1));
    assert!(errors.contains("cannot write in") && errors.contains("--state"), "{errors}");
    assert_eq!(same.0, Some(1));
    assert!(same.2.contains("cannot write in"), "{}", same.2);
}
