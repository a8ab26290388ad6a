//! Archiving and cleaning on a schedule.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use gateway::Clock;
use tokio::process::Command;
use tokio::sync::watch;

use super::StartError;
use crate::archive::{Archiver, ArchivingError, Encryption, EncryptionError, Recipient, Settings};
use crate::config::{ArchiveSettings, Config, EncryptionSettings};
use crate::message_log::MessageLog;

/// Pause after the start, in which what a restart left behind gets its time-stamp.
const FIRST: Duration = Duration::from_secs(120);
/// File of the node's own key in the state folder.
const KEY_FILE: &str = "archive-key.asc";
/// Most of the output of the command that is logged, octets.
const OUTPUT_LIMIT: usize = 2000;

/// What archives the message log.
pub(super) struct Archiving {
    archiver: Archiver,
    settings: ArchiveSettings,
    clock: Clock,
}

impl Archiving {
    /// Opens the folder of archives and reads the keys.
    pub(super) fn open(config: &Config, clock: Clock) -> Result<Option<Self>, StartError> {
        let Some(settings) = &config.archive else { return Ok(None) };
        let refused = |reason: String| StartError::Folder { folder: settings.folder.clone(), reason };
        let encryption = settings.encryption.as_ref().map(|keys| encryption(config, keys, clock));
        let encryption = encryption.transpose().map_err(|error| refused(error.to_string()))?;
        let archive = Settings {
            grouping: settings.grouping,
            max_file_size: settings.max_file_size,
            encryption: encryption.map(Arc::new),
            ..Settings::new(&settings.folder)
        };
        let archiver = Archiver::open(archive, clock).map_err(|error| refused(error.to_string()))?;
        Ok(Some(Self { archiver, settings: settings.clone(), clock }))
    }

    /// Archives and cleans until told to stop.
    pub(super) async fn run(self, log: Arc<MessageLog>, mut stop: watch::Receiver<bool>) {
        let Self { mut archiver, settings, clock } = self;
        let mut pause = FIRST.min(settings.interval);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = settings.interval;
            let (log, keep) = (Arc::clone(&log), settings.keep);
            // It compresses and waits for the disk, so it has a thread of its own.
            let round = tokio::task::spawn_blocking(move || {
                round(&mut archiver, &log, keep, clock);
                archiver
            });
            archiver = match round.await {
                Ok(archiver) => archiver,
                Err(error) => return tracing::error!(%error, "archiving has ended"),
            };
            if let Some(command) = &settings.transfer_command {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return,
                    () = transfer(command, &settings.folder) => {}
                }
            }
        }
    }
}

fn encryption(
    config: &Config,
    keys: &EncryptionSettings,
    clock: Clock,
) -> Result<Encryption, EncryptionError> {
    let now = clock.now();
    let own = config.state_folder.join(KEY_FILE);
    let name = config.server.to_string();
    let mut encryption = Encryption::open(keys.signing_key.as_deref().unwrap_or(&own), &name, now)?;
    for file in &keys.default_keys {
        encryption.add_default(Recipient::open(file, now)?);
    }
    for (member, file) in &keys.member_keys {
        encryption.add_member(member.clone(), Recipient::open(file, now)?);
    }
    Ok(encryption)
}

fn round(archiver: &mut Archiver, log: &MessageLog, keep: Option<Duration>, clock: Clock) {
    match log.reader().map_err(ArchivingError::from).and_then(|reader| archiver.run(&reader)) {
        Ok(done) if done.files.is_empty() => {}
        Ok(done) => {
            tracing::info!(records = done.records, archives = done.files.len(), "message log archived");
        }
        // Records stay in the log until they are archived, so messages go on.
        Err(error) => tracing::error!(%error, "the message log could not be archived"),
    }
    let Some(keep) = keep else { return };
    match log.clean(clock.now().minus(keep), archiver.archived_until()) {
        Ok(cleaned) if cleaned.segments == 0 => {}
        Ok(cleaned) => {
            tracing::info!(records = cleaned.records, octets = cleaned.octets, "old records removed");
        }
        Err(error) => tracing::error!(%error, "old records could not be removed from the message log"),
    }
}

/// Runs the operator's command. Its failure is told and nothing else: the archives stay.
async fn transfer(command: &str, folder: &std::path::Path) {
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .env("CAUSEWAY_ARCHIVES", folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let said = [&output.stdout[..], &output.stderr[..]].concat();
            let said = String::from_utf8_lossy(said.get(..said.len().min(OUTPUT_LIMIT)).unwrap_or_default());
            tracing::error!(status = %output.status, %said, "the transfer command for archives failed");
        }
        Err(error) => tracing::error!(%error, "the transfer command for archives could not be started"),
    }
}
