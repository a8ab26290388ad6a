//! A body, or the attachments of a message, while they pass through: hashed as it comes, kept for whoever needs it later.
//!
//! Up to [`IN_MEMORY`] bytes stay in memory; more go to an anonymous file, so that memory is constant
//! whatever the size.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use protocol::digest::{Digest, DigestAlgorithm, Hasher};

use crate::http::Outgoing;
use crate::ports::LoggedBody;

/// Bytes of a body that stay in memory.
pub(crate) const IN_MEMORY: usize = 256 * 1024;

/// How long a body is kept after it was hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    /// Whole: it will be sent on.
    Whole,
    /// Only as long as the message log will take it: up to this many bytes.
    ForTheLog(u64),
}

/// Takes the body of a message, or its attachments one after the other: all of one message together
/// stay within [`IN_MEMORY`], and use one file.
pub(crate) struct Spool {
    keep: Keep,
    algorithm: DigestAlgorithm,
    hasher: Hasher,
    length: u64,
    held: Held,
    /// Bytes that may still be taken into memory.
    room: usize,
    file: Option<Arc<File>>,
    /// Where in the file the present attachment begins.
    start: u64,
}

enum Held {
    Memory(Vec<Bytes>),
    File(Arc<File>),
    Dropped,
}

/// A body or an attachment that was taken whole.
#[derive(Clone, Debug)]
pub(crate) struct Spooled {
    length: u64,
    digest: Digest,
    held: Kept,
}

#[derive(Clone, Debug)]
enum Kept {
    Memory(Bytes),
    File(Arc<File>, u64),
    Dropped,
}

impl Spool {
    pub(crate) fn new(algorithm: DigestAlgorithm, keep: Keep) -> Self {
        Self {
            keep,
            algorithm,
            hasher: Hasher::new(algorithm),
            length: 0,
            held: Held::Memory(Vec::new()),
            room: IN_MEMORY,
            file: None,
            start: 0,
        }
    }

    /// Takes more bytes. Writes to the spool file go to the page cache at the speed of a copy, so they
    /// are made on the worker's own thread.
    pub(crate) fn push(&mut self, bytes: Bytes, folder: &Path) -> io::Result<()> {
        self.hasher.update(&bytes);
        let at = self.start.saturating_add(self.length);
        self.length += bytes.len() as u64;
        if let Keep::ForTheLog(limit) = self.keep
            && self.length > limit
            && let Held::Memory(pieces) = std::mem::replace(&mut self.held, Held::Dropped)
        {
            self.room += pieces.iter().map(Bytes::len).sum::<usize>();
        }
        match &mut self.held {
            Held::Dropped => {}
            Held::File(file) => file.write_all_at(&bytes, at)?,
            Held::Memory(pieces) if bytes.len() <= self.room => {
                self.room -= bytes.len();
                pieces.push(bytes);
            }
            Held::Memory(pieces) => {
                let file = match &self.file {
                    Some(file) => Arc::clone(file),
                    None => Arc::new(tempfile::tempfile_in(folder)?),
                };
                let mut offset = self.start;
                for piece in pieces.drain(..) {
                    self.room += piece.len();
                    file.write_all_at(&piece, offset)?;
                    offset += piece.len() as u64;
                }
                file.write_all_at(&bytes, offset)?;
                self.file = Some(Arc::clone(&file));
                self.held = Held::File(file);
            }
        }
        Ok(())
    }

    /// Ends the present one; another may follow.
    pub(crate) fn complete(&mut self) -> Spooled {
        let held = match std::mem::replace(&mut self.held, Held::Memory(Vec::new())) {
            Held::Memory(mut pieces) => Kept::Memory(match pieces.len() {
                0 => Bytes::new(),
                1 => pieces.swap_remove(0),
                // The log and the next hop want one slice; at most IN_MEMORY bytes are copied.
                _ => {
                    let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
                    pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
                    joined.freeze()
                }
            }),
            Held::File(file) => {
                let start = self.start;
                self.start = start.saturating_add(self.length);
                Kept::File(file, start)
            }
            Held::Dropped => Kept::Dropped,
        };
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new(self.algorithm));
        Spooled { length: std::mem::take(&mut self.length), digest: hasher.finish(), held }
    }
}

impl Spooled {
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The body as the message log gets it; above `limit` bytes only its digest.
    pub(crate) fn for_the_log(&self, limit: u64) -> LoggedBody {
        match &self.held {
            _ if self.length > limit => LoggedBody::DigestOnly { length: self.length, digest: self.digest },
            Kept::Memory(bytes) => LoggedBody::Memory(bytes.clone()),
            Kept::File(file, at) => LoggedBody::File { file: Arc::clone(file), at: *at, length: self.length },
            Kept::Dropped => LoggedBody::DigestOnly { length: self.length, digest: self.digest },
        }
    }

    /// The bytes, if they are in memory.
    pub(crate) fn in_memory(&self) -> Option<&Bytes> {
        match &self.held {
            Kept::Memory(bytes) => Some(bytes),
            Kept::File(..) | Kept::Dropped => None,
        }
    }

    /// The body to be sent on; `None` if it was not kept.
    pub(crate) fn into_outgoing(self) -> Option<Outgoing> {
        match self.held {
            Kept::Memory(bytes) => Some(bytes.into()),
            Kept::File(file, at) => Some(Outgoing::File { file, at, end: at.saturating_add(self.length) }),
            Kept::Dropped => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(keep: Keep, pieces: &[usize]) -> Spooled {
        let mut spool = Spool::new(DigestAlgorithm::Sha512, keep);
        for length in pieces {
            spool.push(Bytes::from(vec![7; *length]), &std::env::temp_dir()).expect("a temporary file");
        }
        spool.complete()
    }

    #[test]
    fn small_bodies_stay_in_memory_and_large_ones_do_not() {
        let small = spool(Keep::Whole, &[10, 20]);
        assert_eq!(small.in_memory().map(Bytes::len), Some(30));
        let large = spool(Keep::Whole, &[IN_MEMORY, 1, 5]);
        assert!(large.in_memory().is_none());
        assert_eq!(large.length, IN_MEMORY as u64 + 6);
        let same = DigestAlgorithm::Sha512.digest(&vec![7; IN_MEMORY + 6]);
        assert_eq!(*large.digest(), same);
        assert!(matches!(large.into_outgoing(), Some(Outgoing::File { at: 0, .. })));
    }

    #[test]
    fn attachments_share_memory_and_one_file() {
        let mut spool = Spool::new(DigestAlgorithm::Sha512, Keep::Whole);
        let mut take = |length: usize, byte: u8| {
            for piece in vec![byte; length].chunks(50_000) {
                spool.push(Bytes::copy_from_slice(piece), &std::env::temp_dir()).expect("a temporary file");
            }
            spool.complete()
        };
        let first = take(200_000, 1);
        let second = take(100_000, 2);
        let third = take(60_000, 3);
        let fourth = take(300_000, 4);
        let fifth = take(0, 5);
        for (place, attachment) in [&first, &third, &fifth].into_iter().enumerate() {
            assert!(attachment.in_memory().is_some(), "{place}");
        }
        let files: Vec<_> = [&second, &fourth]
            .into_iter()
            .map(|attachment| match attachment.for_the_log(u64::MAX) {
                LoggedBody::File { file, at, length } => (file, at, length),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(Arc::ptr_eq(&files[0].0, &files[1].0));
        assert_eq!((files[0].1, files[0].2, files[1].1, files[1].2), (0, 100_000, 100_000, 300_000));
        for (byte, attachment) in (1..).zip([&first, &second, &third, &fourth, &fifth]) {
            let octets = vec![byte; usize::try_from(attachment.length).expect("small")];
            assert_eq!(*attachment.digest(), DigestAlgorithm::Sha512.digest(&octets), "{byte}");
            if let LoggedBody::File { file, at, .. } = attachment.for_the_log(u64::MAX) {
                let mut found = vec![0; octets.len()];
                file.read_exact_at(&mut found, at).expect("written");
                assert_eq!(found, octets, "{byte}");
            }
        }
    }

    #[test]
    fn the_log_gets_a_digest_of_what_is_too_large() {
        let body = spool(Keep::ForTheLog(100), &[90, 20]);
        assert!(matches!(body.for_the_log(100), LoggedBody::DigestOnly { length: 110, .. }));
        assert!(body.into_outgoing().is_none());
        assert!(matches!(
            spool(Keep::Whole, &[101]).for_the_log(100),
            LoggedBody::DigestOnly { length: 101, .. }
        ));
        assert!(matches!(spool(Keep::Whole, &[100]).for_the_log(100), LoggedBody::Memory(_)));
    }
}
