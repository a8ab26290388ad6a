//! The audit log of the registry: one line of JSON for each act and each refused act (registry and
//! administration §10).

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use administration::audit::{Audit, Event};
use serde_json::{Map, Value, json};

/// A file of lines.
pub(crate) struct AuditLines(Mutex<File>);

impl AuditLines {
    /// Opens the file, or makes it; only the registry may read it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self(Mutex::new(file)))
    }
}

impl Audit for AuditLines {
    fn record(&self, event: Event<'_>) {
        let line = format!("{}\n", line(&event));
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The answer waits for it: what was answered stands in the log after a crash.
        if let Err(error) = file.write_all(line.as_bytes()).and_then(|()| file.sync_data()) {
            tracing::error!(%error, line, "cannot write the audit log");
        }
    }
}

fn line(event: &Event<'_>) -> Value {
    let failed = event.outcome.is_err();
    let name = if failed { format!("{} failed", event.event) } else { event.event.to_owned() };
    let mut line = Map::new();
    line.insert("event".to_owned(), name.into());
    line.insert("user".to_owned(), event.actor.map(|actor| actor.name.clone()).into());
    if let Err(error) = event.outcome {
        line.insert("reason".to_owned(), error.code().into());
        if !error.warnings_told().is_empty() {
            line.insert("warning".to_owned(), true.into());
        }
    }
    line.insert("auth".to_owned(), event.actor.map(|actor| actor.means.name()).into());
    line.insert("url".to_owned(), event.url.into());
    line.insert("data".to_owned(), json!(event.facts));
    Value::Object(line)
}
