//! One archive while it is written.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::path::Path;

use protocol::archive::{LINKING_INFORMATION, Link, Linker, file_name};
use protocol::digest::{DigestAlgorithm, Hasher};
use protocol::time::UtcTime;
use tempfile::SpooledTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{ArchivingError, Encryption, Group};
use crate::message_log::{Exporter, StoredRecord};

/// Octets of a container that are held in memory; a longer one waits in a file without a name.
const IN_MEMORY: usize = 1 << 20;

/// An archive that takes containers.
pub(super) struct ArchiveFile {
    zip: ZipWriter<File>,
    linker: Linker,
    group: Group,
    /// Times of the earliest and the latest record.
    times: (UtcTime, UtcTime),
    /// Octets of its containers.
    pub(super) size: u64,
    pub(super) count: u64,
}

/// An archive that is complete, as a zip without a name.
pub(super) struct Finished {
    pub(super) file: File,
    pub(super) group: Group,
    times: (UtcTime, UtcTime),
    last: String,
    pub(super) count: u64,
}

impl ArchiveFile {
    /// Begins an archive that continues `previous`, or a chain. It has no name before it is complete.
    pub(super) fn begin(
        folder: &Path,
        group: Group,
        previous: Option<&Link>,
    ) -> Result<Self, ArchivingError> {
        let file = tempfile::tempfile_in(folder).map_err(ArchivingError::io(folder))?;
        let linker = Linker::new(DigestAlgorithm::Sha512, previous);
        let never = (UtcTime::from_millis(i64::MAX), UtcTime::from_millis(i64::MIN));
        Ok(Self { zip: ZipWriter::new(file), linker, group, times: never, size: 0, count: 0 })
    }

    /// Adds the container of a record.
    pub(super) fn add(
        &mut self,
        folder: &Path,
        exporter: &mut Exporter<'_>,
        record: &StoredRecord,
    ) -> Result<(), ArchivingError> {
        let sequence = record.summary.sequence;
        let mut container = SpooledTempFile::new_in(IN_MEMORY, folder);
        exporter.write(record, &mut container).map_err(|error| ArchivingError::Export { sequence, error })?;
        let failed = |error| ArchivingError::io(folder)(error);
        container.rewind().map_err(failed)?;
        let name = record.file_name();
        let length = container.seek(io::SeekFrom::End(0)).map_err(failed)?;
        container.rewind().map_err(failed)?;
        let options = quick_deflate(record.summary.time).large_file(length >= u64::from(u32::MAX));
        self.zip.start_file(&name, options)?;
        let mut hasher = Hasher::new(self.linker.algorithm());
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = container.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            let octets = buffer.get(..count).unwrap_or_default();
            hasher.update(octets);
            self.zip.write_all(octets).map_err(failed)?;
        }
        self.linker.add(&hasher.finish(), &name);
        let time = record.summary.time;
        self.times = (self.times.0.min(time), self.times.1.max(time));
        self.size += length;
        self.count += 1;
        Ok(())
    }

    /// Adds the linking information and ends the zip.
    pub(super) fn finish(mut self) -> Result<Finished, ArchivingError> {
        self.zip.start_file(LINKING_INFORMATION, quick_deflate(self.times.1))?;
        self.zip.write_all(self.linker.text().as_bytes()).map_err(zip::result::ZipError::from)?;
        let mut file = self.zip.finish()?;
        file.rewind().map_err(zip::result::ZipError::from)?;
        let last = self.linker.last().to_owned();
        Ok(Finished { file, group: self.group, times: self.times, last, count: self.count })
    }
}

impl Finished {
    /// The archive's name and the end of its chain.
    pub(super) fn link(&self, encrypted: bool) -> Link {
        let file = file_name(self.group.name.as_deref(), self.times, &self.last, encrypted);
        Link { digest: self.last.clone(), file }
    }

    /// Writes the zip durably: as it is, or encrypted.
    pub(super) fn write_to(
        &mut self,
        path: &Path,
        encryption: Option<&Encryption>,
        now: UtcTime,
    ) -> Result<(), ArchivingError> {
        let failed = ArchivingError::io(path);
        let mut to = match File::create(path) {
            Ok(file) => io::BufWriter::with_capacity(1 << 16, file),
            Err(error) => return Err(failed(error)),
        };
        match encryption {
            None => drop(io::copy(&mut self.file, &mut to).map_err(ArchivingError::io(path))?),
            Some(encryption) => {
                let name = self.link(false).file;
                encryption.encrypt(self.group.member.as_ref(), (&name, &mut self.file), &mut to, now)?;
            }
        }
        to.into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .map_err(failed)
    }
}

/// Containers are compressed already, so the least effort is enough. X-Road uses DEFLATE here too.
fn quick_deflate(time: UtcTime) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1))
        .last_modified_time(protocol::container::modification_time(time))
}
