//! A run of archiving: from the log to archives with names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gateway::Clock;
use protocol::archive::Link;

use super::file::ArchiveFile;
use super::state::{DRAFT, Folder, State};
use super::{ArchivingError, Group, Settings};
use crate::message_log::{Exporter, Reader};

/// Archives one log into one folder.
pub struct Archiver {
    settings: Settings,
    clock: Clock,
    folder: Folder,
    state: State,
}

/// What a run did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Archived {
    /// Records that are in an archive now.
    pub records: u64,
    /// The archives, in the order in which they were ended.
    pub files: Vec<PathBuf>,
}

/// Records by group, in order.
type Groups = BTreeMap<Group, Vec<u64>>;

impl Archiver {
    /// Opens the folder. What a crash left there is put in order.
    ///
    /// # Errors
    /// [`ArchivingError`]; another process may be using the folder.
    pub fn open(settings: Settings, clock: Clock) -> Result<Self, ArchivingError> {
        let (folder, state) = Folder::open(&settings.folder)?;
        Ok(Self { settings, clock, folder, state })
    }

    /// Every message record with a lower sequence is in an archive.
    pub fn archived_until(&self) -> u64 {
        self.state.archived_until
    }

    /// Archives all records that have a time-stamp and are in no archive yet.
    ///
    /// # Errors
    /// [`ArchivingError`]. The batches before the one that failed are archived.
    pub fn run(&mut self, reader: &Reader) -> Result<Archived, ArchivingError> {
        let log = reader.log_id();
        if self.state.log.is_empty() {
            self.state.log = log;
        } else if self.state.log != log {
            return Err(ArchivingError::OtherLog(self.settings.folder.display().to_string()));
        }
        let mut exporter = Exporter::new(reader);
        let mut done = Archived::default();
        loop {
            let from = self.state.archived_until.max(reader.first_sequence()?);
            let (until, groups) = self.collect(reader, &mut exporter, from)?;
            if until == from {
                return Ok(done);
            }
            self.archive(reader, &mut exporter, until, groups, &mut done)?;
        }
    }

    /// The next records by group: at most a batch, and none behind one that waits for its time-stamp.
    /// Gives where they end.
    fn collect(
        &self,
        reader: &Reader,
        exporter: &mut Exporter<'_>,
        from: u64,
    ) -> Result<(u64, Groups), ArchivingError> {
        let mut groups = Groups::new();
        let mut count = 0;
        for sequence in from..reader.size() {
            if count >= self.settings.batch.max(1) {
                return Ok((sequence, groups));
            }
            let Some(record) = reader.show(sequence)? else { continue };
            if !exporter.is_stamped(&record)? {
                return Ok((sequence, groups));
            }
            let group = self.settings.grouping.group(record.summary.details.owner());
            groups.entry(group).or_default().push(sequence);
            count += 1;
        }
        Ok((reader.size(), groups))
    }

    /// Writes the archives of a batch, then makes all of them count at once.
    fn archive(
        &mut self,
        reader: &Reader,
        exporter: &mut Exporter<'_>,
        until: u64,
        groups: Groups,
        done: &mut Archived,
    ) -> Result<(), ArchivingError> {
        let mut next = State { archived_until: until, named: Vec::new(), ..self.state.clone() };
        let mut records = 0;
        for (group, sequences) in groups {
            let mut open: Option<ArchiveFile> = None;
            for sequence in sequences {
                let Some(record) = reader.show(sequence)? else { continue };
                let mut archive = match open.take() {
                    Some(archive) => archive,
                    None => {
                        let previous = next.groups.get(group.name.as_deref().unwrap_or_default());
                        let previous = previous.map(super::state::Chain::link);
                        ArchiveFile::begin(self.folder.path(), group.clone(), previous.as_ref())?
                    }
                };
                archive.add(self.folder.path(), exporter, &record)?;
                if archive.size > self.settings.max_file_size {
                    records += self.end(archive, &mut next)?;
                } else {
                    open = Some(archive);
                }
            }
            if let Some(archive) = open {
                records += self.end(archive, &mut next)?;
            }
        }
        self.folder.commit(&next)?;
        done.records += records;
        done.files.extend(next.named.iter().map(|(_, name)| self.folder.path().join(name)));
        self.state = next;
        Ok(())
    }

    /// Ends an archive as a draft and notes its name. Gives the number of its records.
    fn end(&self, archive: ArchiveFile, next: &mut State) -> Result<u64, ArchivingError> {
        let mut finished = archive.finish()?;
        let encryption = self.settings.encryption.as_deref();
        let link: Link = finished.link(encryption.is_some());
        // No other batch uses these names: what a crash leaves of a later one is not owed a name.
        let draft = format!("{}-{}.{DRAFT}", next.archived_until, next.named.len());
        finished.write_to(&self.folder.path().join(&draft), encryption, self.clock.now())?;
        next.named.push((draft, link.file.clone()));
        next.groups.insert(finished.group.name.clone().unwrap_or_default(), link.into());
        Ok(finished.count)
    }
}
