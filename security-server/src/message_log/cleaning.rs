//! Removing old segments (signatures and evidence §6.6).

use protocol::time::UtcTime;

use super::MessageLog;
use super::segment::{ReadError, bodies_folder};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cleaned {
    /// Segments.
    pub segments: u64,
    /// Records in them, time-stamps included.
    pub records: u64,
    /// Octets, bodies included.
    pub octets: u64,
}

impl MessageLog {
    /// Removes segments from the front of the log, with their bodies: those in which every record is
    /// older than `older_than`, has a sequence below `archived_until`, and is time-stamped.
    ///
    /// The hashes of the tree stay, so what follows can still be proved to continue what was removed.
    ///
    /// # Errors
    /// The disk. What was removed before the error is gone, and the log is whole.
    pub fn clean(&self, older_than: UtcTime, archived_until: u64) -> Result<Cleaned, ReadError> {
        let reader = self.reader()?;
        let stamped_until = self.stamper.shared.stamped_until();
        let mut cleaned = Cleaned::default();
        for number in reader.numbers() {
            // The last one says where the log goes on, whether it is sealed or not.
            if number == reader.last().number() {
                break;
            }
            let segment = reader.segment(number)?;
            let Some(trailer) = segment.trailer() else { break };
            let end = segment.first_sequence() + trailer.count;
            // Records behind the last signature share it, so their own sequences do not count.
            let waits = segment.signatures()?.last().is_some_and(|last| last.sequence >= stamped_until);
            if waits || end > archived_until || trailer.times.1 >= older_than.millis() {
                break;
            }
            let length = std::fs::metadata(&segment.path).map_err(ReadError::io(&segment.path))?.len();
            self.storage.remove(&segment.path).map_err(ReadError::io(&segment.path))?;
            self.space.remove(length);
            cleaned.segments += 1;
            cleaned.records += trailer.count;
            cleaned.octets += length;
        }
        let folder = reader.folder();
        if cleaned.segments > 0 {
            self.storage.sync_folder(folder).map_err(ReadError::io(folder))?;
        }
        // A crash before this leaves bodies without a record; the next call removes them.
        cleaned.octets += self.remove_bodies(self.reader()?.first_sequence()?)?;
        Ok(cleaned)
    }

    /// Removes the bodies of records below `first`. Gives their octets.
    fn remove_bodies(&self, first: u64) -> Result<u64, ReadError> {
        let folder = bodies_folder(&self.stamper.folder);
        let mut octets = 0;
        for entry in std::fs::read_dir(&folder).map_err(ReadError::io(&folder))? {
            let entry = entry.map_err(ReadError::io(&folder))?;
            let name = entry.file_name();
            let sequence = name.to_str().and_then(|name| name.strip_suffix(".body")?.parse::<u64>().ok());
            if sequence.is_some_and(|sequence| sequence < first) {
                let path = entry.path();
                let length = entry.metadata().map_err(ReadError::io(&path))?.len();
                self.storage.remove(&path).map_err(ReadError::io(&path))?;
                self.space.remove(length);
                octets += length;
            }
        }
        Ok(octets)
    }
}
