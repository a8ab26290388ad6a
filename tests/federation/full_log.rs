//! A log without room stops traffic, with a code that says so, and nothing else; it goes on by itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{Pilot, code, folder, persons, run, text};

/// More than any disk has.
const FLOOR: &str = "\n[message-log]\nfree-space-floor-megabytes = 1000000000000\n";

#[test]
fn without_room_nothing_passes() {
    run(async {
        let mut pilot = Pilot::start(21).await;
        let target = persons("/079200001234");
        for (server, expected) in [
            ("ministry", "server.clientproxy.logging_failed"),
            ("data-centre", "server.serverproxy.logging_failed"),
        ] {
            let listen = "\n[listen]\n";
            pilot.reconfigure(server, &[(listen, &format!("{FLOOR}{listen}"))]).await;
            for _ in 0..3 {
                assert_eq!(code(&pilot.get(0, &target).await), expected, "{server}");
            }
            pilot.reconfigure(server, &[(FLOOR, "")]).await;
            assert_eq!(pilot.get(0, &target).await.status, 200, "{server} with room");
        }
        // What was refused is not in the log of who refused it, and the logs are whole.
        pilot.federation.stop().await;
    });
}

/// A file system of its own, gone when it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, megabytes: u64) -> Option<Self> {
        let size = format!("size={megabytes}m");
        let made = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "causeway-test", text(at)])
            .output()
            .is_ok_and(|output| output.status.success());
        made.then(|| Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_server_resumes_when_there_is_room() {
    run(async {
        let folder = folder();
        // Three logs reserve 64 MB each, and 256 MB must stay free.
        let Some(disk) = Disk::mount(folder.path(), 512) else {
            println!("SKIPPED a_server_resumes_when_there_is_room: only root may mount a small disk");
            return;
        };
        let filler = folder.path().join("filler");
        let pilot = Pilot::start_in(folder, 25).await;
        let target = persons("/079200001234");
        assert_eq!(pilot.get(0, &target).await.status, 200);
        let file = std::fs::File::create(&filler).expect("a file");
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 150 << 20).expect("room taken");
        let span = Duration::from_secs(10);
        pilot.until(0, &target, span, |answer| code(answer) == "server.clientproxy.logging_failed").await;
        drop(file);
        std::fs::remove_file(&filler).expect("room given");
        pilot.until(0, &target, span, |answer| answer.status == 200).await;
        pilot.federation.stop().await;
        drop(disk);
    });
}
