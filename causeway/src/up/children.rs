//! The processes of a pilot federation: started, awaited, stopped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The line that a role prints on its standard output when it serves.
pub const READY: &str = "ready";
/// How long a role may take to start.
const START: Duration = Duration::from_secs(20);
/// How long a role may take to finish what it does.
const STOP: Duration = Duration::from_secs(10);

/// A role that did not come up.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The program itself could not be run.
    #[error("cannot start {name}: {error}")]
    Start {
        /// Whose process.
        name: String,
        /// The system's reason.
        error: std::io::Error,
    },
    /// It ended before it was ready; its own last words tell why.
    #[error("{name} did not start ({status}):\n{words}")]
    Ended {
        /// Whose process.
        name: String,
        /// How it ended.
        status: String,
        /// The end of what it printed.
        words: String,
    },
    /// It is not ready after a long time.
    #[error("{name} is not ready after {} s; what it does stands in {log}", START.as_secs())]
    Slow {
        /// Whose process.
        name: String,
        /// Its log file.
        log: String,
    },
}

/// A running role.
pub struct Role {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Role {
    /// Starts `program`, which is Causeway, with `arguments` and waits until it says that it is ready.
    /// What it logs goes to `log`. The process ends when this one does, however that happens; until then
    /// it keeps `held` open as its standard input, from which it never reads.
    ///
    /// # Errors
    /// When it cannot be run, ends, or is not ready in time.
    pub async fn start(
        program: &Path,
        name: &str,
        arguments: &[&str],
        log: &Path,
        held: Stdio,
    ) -> Result<Self, ChildError> {
        let failed = |error| ChildError::Start { name: name.to_owned(), error };
        let output = File::options().create(true).append(true).open(log).map_err(failed)?;
        let child = Command::new(program)
            .args(arguments)
            .args(["--end-with-parent", &std::process::id().to_string()])
            .stdin(held)
            .stdout(Stdio::piped())
            .stderr(output)
            // Ctrl-C in a terminal reaches the whole group; the parent decides the order instead.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let mut role = Self { name: name.to_owned(), child, log: log.to_owned() };
        match tokio::time::timeout(START, role.wait_ready()).await {
            Ok(true) => Ok(role),
            Ok(false) => {
                let status =
                    role.child.wait().await.map_or_else(|error| error.to_string(), |s| s.to_string());
                Err(ChildError::Ended { name: role.name.clone(), status, words: role.last_words() })
            }
            Err(_) => Err(ChildError::Slow { name: role.name.clone(), log: role.log.display().to_string() }),
        }
    }

    async fn wait_ready(&mut self) -> bool {
        let Some(output) = self.child.stdout.take() else { return false };
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line == READY {
                return true;
            }
        }
        false
    }

    /// Its process id; none when it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whose process it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The last lines of its log.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n")
    }

    /// Ends it at once, as a crash would.
    pub async fn kill(&mut self) {
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }

    /// Asks it to stop and waits; what does not stop in time is killed.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(STOP, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }
}
