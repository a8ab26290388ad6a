//! Keeps the memory of signed messages that were taken over a restart.
//!
//! A thread writes the marks of the memory behind each other, a few times a second and without waiting
//! for the disk: what a crash takes from the end is in the message log, from the last point on that the
//! journal has. A start reads the journal and then those records of the log. Without a journal, or behind
//! a damage, the log is read further back, as far as its messages can still be fresh.
//!
//! docs/message-log.md tells operators about the folder.

mod file;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use certs::evidence::LoggedIdentities;
use gateway::ports::LogPosition;
use gateway::replays::{CLOCK_STEP, Change, Drained, Mark, Replays};
use protocol::time::UtcTime;

use crate::message_log::Reader;
use file::{ENTRY, Entry, MAGIC, decode, encode};

/// How often marks are written. What comes in between is read from the log after a crash.
const INTERVAL: Duration = Duration::from_millis(200);

/// Writes the journal until it is dropped; then all marks are in it.
pub(crate) struct ReplayJournal {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a start found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Restored {
    /// Marks in the journal.
    pub(crate) from_journal: usize,
    /// Messages of the log that were not in it.
    pub(crate) from_log: usize,
}

impl ReplayJournal {
    /// Fills an empty memory from the folder and from the log, then begins to write. `fresh` is how old
    /// an OCSP response may be.
    ///
    /// # Errors
    /// The folder or the log cannot be read.
    pub(crate) fn open(
        folder: &Path,
        replays: Arc<Replays>,
        log: &Reader,
        fresh: Duration,
        now: UtcTime,
    ) -> io::Result<(Self, Restored)> {
        std::fs::create_dir_all(folder)?;
        let (mut writer, found) = read(folder, &replays)?;
        let mut restored = Restored { from_journal: found.marks, from_log: 0 };
        let oldest = now.minus(fresh.saturating_add(CLOCK_STEP));
        let mut identities = LoggedIdentities::default();
        for record in log.requests_served(found.point.unwrap_or(0), oldest) {
            let record = record.map_err(io::Error::other)?;
            let (result, chain) = (record.hash_chain_result.as_ref(), record.hash_chain.as_ref());
            match identities.identify(&record.signature, result, chain) {
                Ok(message) => {
                    let mark = Mark::logged(&message, record.time);
                    restored.from_log += usize::from(replays.restore_logged(mark, fresh, now));
                }
                // It verified once, so this is a fault of ours; one message is no reason not to start.
                Err(fault) => {
                    tracing::error!(sequence = record.sequence, %fault, "a logged request cannot be read");
                }
            }
        }
        if let Some(last) = log.size().checked_sub(1) {
            replays.logged(LogPosition(last));
        }
        writer.write(replays.drain())?;
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("replay-journal".to_owned())
            .spawn(move || run(writer, &replays, &stopped))?;
        Ok((Self { stop: Some(stop), thread: Some(thread) }, restored))
    }
}

impl Drop for ReplayJournal {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to lose but marks that are in the log as well.
            let _ = thread.join();
        }
    }
}

fn run(mut writer: Writer, replays: &Replays, stopped: &mpsc::Receiver<()>) {
    loop {
        let goes_on = matches!(stopped.recv_timeout(INTERVAL), Err(mpsc::RecvTimeoutError::Timeout));
        if let Err(error) = writer.write(replays.drain()) {
            // A journal with a gap is worse than none: without one a start reads the log.
            tracing::error!(%error, "the journal of received messages cannot be written; it is given up");
            writer.give_up();
            return;
        }
        if !goes_on {
            return;
        }
    }
}

/// What was found in the folder.
struct Found {
    marks: usize,
    /// From here on the log may have messages that the journal does not have; none without a journal.
    point: Option<u64>,
}

/// Reads all files in their order into the memory; gives the writer that goes on with the last one.
fn read(folder: &Path, replays: &Replays) -> io::Result<(Writer, Found)> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        numbers.extend(entry?.file_name().to_str().and_then(file::number));
    }
    numbers.sort_unstable();
    let mut found = Found { marks: 0, point: None };
    let mut is_whole = true;
    let mut end = None;
    for (place, number) in numbers.iter().enumerate() {
        let octets = std::fs::read(folder.join(file::name(*number)))?;
        replays.restore(Change::Slice(*number));
        let mut length = 0;
        if let Some(entries) = octets.strip_prefix(&MAGIC) {
            length = MAGIC.len();
            for entry in entries.as_chunks::<ENTRY>().0 {
                match decode(entry, *number) {
                    Some(Entry::Change(change)) => {
                        found.marks += usize::from(matches!(change, Change::Taken(_)));
                        replays.restore(change);
                    }
                    Some(Entry::Point(position)) if is_whole => found.point = Some(position),
                    Some(Entry::Point(_)) => {}
                    None => break,
                }
                length += ENTRY;
            }
        }
        if length < octets.len().max(MAGIC.len()) && place + 1 < numbers.len() {
            tracing::warn!(number, "the journal of received messages is damaged; the log is read instead");
            is_whole = false;
        }
        end = Some((*number, length));
    }
    let mut writer = Writer { folder: folder.to_owned(), file: None, logged_before: found.point };
    if let Some((number, length)) = end {
        let mut file = OpenOptions::new().write(true).open(folder.join(file::name(number)))?;
        file.set_len(length as u64)?;
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        if length == 0 {
            file.write_all(&MAGIC)?;
        }
        writer.file = Some((number, file));
    }
    Ok((writer, found))
}

struct Writer {
    folder: PathBuf,
    /// The number of the newest slice and its file.
    file: Option<(u64, File)>,
    /// The last point.
    logged_before: Option<u64>,
}

impl Writer {
    fn write(&mut self, drained: Drained) -> io::Result<()> {
        if drained.incomplete {
            return Err(io::Error::other("marks were lost because the disk did not take them"));
        }
        let mut octets = Vec::with_capacity((drained.changes.len() + 1) * ENTRY);
        let mut dropped = Vec::new();
        let mut began = false;
        for change in drained.changes {
            match change {
                Change::Slice(number) => {
                    self.append(&octets)?;
                    octets.clear();
                    self.begin(number)?;
                    began = true;
                }
                Change::Dropped(number) => dropped.push(number),
                change => {
                    let number = self.file.as_ref().map_or(0, |(number, _)| *number);
                    octets.extend(encode(&Entry::Change(change), number).into_iter().flatten());
                }
            }
        }
        if let Some((number, _)) = &self.file
            && self.logged_before != Some(drained.logged_before)
        {
            octets.extend(encode(&Entry::Point(drained.logged_before), *number).into_iter().flatten());
            self.logged_before = Some(drained.logged_before);
        }
        self.append(&octets)?;
        if began && let Some((_, file)) = &self.file {
            // The new file has what is still needed of those that go. A crash before this line leaves both.
            file.sync_data()?;
        }
        for number in dropped {
            std::fs::remove_file(self.folder.join(file::name(number))).or_else(absent_is_fine)?;
        }
        Ok(())
    }

    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some((_, file)) => file.write_all(octets),
            None => Ok(()),
        }
    }

    /// Begins the file of a slice. The one before is durable first: points in the new one vouch for it.
    fn begin(&mut self, number: u64) -> io::Result<()> {
        if let Some((_, file)) = self.file.take() {
            file.sync_data()?;
        }
        let path = self.folder.join(file::name(number));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        file.write_all(&MAGIC)?;
        File::open(&self.folder)?.sync_all()?;
        self.file = Some((number, file));
        Ok(())
    }

    /// Removes the journal, so that the next start reads the log.
    fn give_up(&mut self) {
        self.file = None;
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_str().and_then(file::number).is_some() {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
