//! A second, plain store: one file of batches, read into memory at the start.
//!
//! It keeps the trait honest and is the way out should sled ever have to go. A record of the file is
//! the length of its JSON text (4 octets, big endian), the CRC-32 of the text (4 octets) and the text:
//! a list of pairs, key and value in base64, `null` for a removal. A torn last record is cut off.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{FlockOperation, flock};

use super::{Batch, Pair, Store, StoreError};

const FILE: &str = "state.journal";
const MAX_RECORD: usize = 64 << 20;

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;
type Record = Vec<(String, Option<String>)>;

/// A [`Store`] in one append-only file.
pub struct JournalStore(Mutex<Journal>);

struct Journal {
    pairs: Pairs,
    file: File,
    failed: Option<StoreError>,
}

impl JournalStore {
    /// Opens the store in `folder`, making it when it is not there.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let name = folder.display().to_string();
        let refused = |error: io::Error| StoreError::Open { folder: name.clone(), reason: error.to_string() };
        std::fs::create_dir_all(folder).map_err(refused)?;
        let path = folder.join(FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(refused)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| StoreError::InUse(name.clone()))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(refused)?;
        let (pairs, whole) = replay(&bytes);
        file.set_len(whole as u64).map_err(refused)?;
        file.seek(SeekFrom::Start(whole as u64)).map_err(refused)?;
        file.sync_all().map_err(refused)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(refused)?;
        Ok(Self(Mutex::new(Journal { pairs, file, failed: None })))
    }

    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The pairs after all whole records, and where the last of them ends.
fn replay(bytes: &[u8]) -> (Pairs, usize) {
    let (mut pairs, mut whole) = (Pairs::new(), 0);
    while let Some((batch, after)) = bytes.get(whole..).and_then(next_record) {
        apply(&mut pairs, batch);
        whole += after;
    }
    (pairs, whole)
}

fn next_record(bytes: &[u8]) -> Option<(Batch, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|length| *length <= MAX_RECORD)?;
    let text = rest.get(..length)?;
    if crc32fast::hash(text) != u32::from_be_bytes(*checksum) {
        return None;
    }
    let record: Record = serde_json::from_slice(text).ok()?;
    let mut batch = Batch::default();
    for (key, value) in record {
        let value = value.map(|value| STANDARD.decode(value)).transpose().ok()?;
        batch.changes.push((STANDARD.decode(key).ok()?, value));
    }
    Some((batch, length + 8))
}

fn apply(pairs: &mut Pairs, batch: Batch) {
    for (key, value) in batch.changes {
        match value {
            Some(value) => pairs.insert(key, value),
            None => pairs.remove(&key),
        };
    }
}

fn encode(batch: &Batch) -> io::Result<Vec<u8>> {
    let record: Record = batch
        .changes
        .iter()
        .map(|(key, value)| (STANDARD.encode(key), value.as_ref().map(|value| STANDARD.encode(value))))
        .collect();
    let text = serde_json::to_vec(&record)?;
    let length = u32::try_from(text.len())
        .ok()
        .filter(|_| text.len() <= MAX_RECORD)
        .ok_or_else(|| io::Error::other("a batch is too large"))?;
    let mut bytes = Vec::with_capacity(text.len() + 8);
    bytes.extend(length.to_be_bytes());
    bytes.extend(crc32fast::hash(&text).to_be_bytes());
    bytes.extend(text);
    Ok(bytes)
}

impl Store for JournalStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().pairs.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        let journal = self.lock();
        let from = journal.pairs.range(prefix.to_vec()..);
        Ok(from
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut journal = self.lock();
        if let Some(error) = &journal.failed {
            return Err(error.clone());
        }
        // A crash before `sync_data` returns may leave a torn record, which `replay` cuts off.
        let written = encode(&batch)
            .and_then(|bytes| journal.file.write_all(&bytes))
            .and_then(|()| journal.file.sync_data());
        if let Err(error) = written {
            let error = StoreError::Failed(error.to_string());
            journal.failed = Some(error.clone());
            return Err(error);
        }
        apply(&mut journal.pairs, batch);
        Ok(())
    }
}
