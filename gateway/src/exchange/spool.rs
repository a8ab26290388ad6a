//! A body while it passes through: hashed as it comes, kept for whoever needs it later.
//!
//! Up to [`IN_MEMORY`] bytes stay in memory; more go to an anonymous file, so that memory is constant
//! whatever the size of the body.

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

/// Takes a body.
pub(crate) struct Spool {
    keep: Keep,
    hasher: Hasher,
    length: u64,
    held: Held,
}

enum Held {
    Memory(Vec<Bytes>),
    File(File),
    Dropped,
}

/// A body that was taken whole.
#[derive(Clone, Debug)]
pub(crate) struct Spooled {
    length: u64,
    digest: Digest,
    held: Kept,
}

#[derive(Clone, Debug)]
enum Kept {
    Memory(Bytes),
    File(Arc<File>),
    Dropped,
}

impl Spool {
    pub(crate) fn new(algorithm: DigestAlgorithm, keep: Keep) -> Self {
        Self { keep, hasher: Hasher::new(algorithm), length: 0, held: Held::Memory(Vec::new()) }
    }

    /// Takes more bytes. Writes to the spool file go to the page cache at the speed of a copy, so they
    /// are made on the worker's own thread.
    pub(crate) fn push(&mut self, bytes: Bytes, folder: &Path) -> io::Result<()> {
        self.hasher.update(&bytes);
        let at = self.length;
        self.length += bytes.len() as u64;
        if let Keep::ForTheLog(limit) = self.keep
            && self.length > limit
        {
            self.held = Held::Dropped;
        }
        match &mut self.held {
            Held::Dropped => {}
            Held::File(file) => file.write_all_at(&bytes, at)?,
            Held::Memory(pieces) if self.length <= IN_MEMORY as u64 => pieces.push(bytes),
            Held::Memory(pieces) => {
                let file = tempfile::tempfile_in(folder)?;
                let mut offset = 0;
                for piece in pieces.drain(..).chain([bytes]) {
                    file.write_all_at(&piece, offset)?;
                    offset += piece.len() as u64;
                }
                self.held = Held::File(file);
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Spooled {
        let held = match self.held {
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
            Held::File(file) => Kept::File(Arc::new(file)),
            Held::Dropped => Kept::Dropped,
        };
        Spooled { length: self.length, digest: self.hasher.finish(), held }
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
            Kept::File(file) => LoggedBody::File(Arc::clone(file), self.length),
            Kept::Dropped => LoggedBody::DigestOnly { length: self.length, digest: self.digest },
        }
    }

    /// The bytes, if they are in memory.
    pub(crate) fn in_memory(&self) -> Option<&Bytes> {
        match &self.held {
            Kept::Memory(bytes) => Some(bytes),
            Kept::File(_) | Kept::Dropped => None,
        }
    }

    /// The body to be sent on; `None` if it was not kept.
    pub(crate) fn into_outgoing(self) -> Option<Outgoing> {
        match self.held {
            Kept::Memory(bytes) => Some(bytes.into()),
            Kept::File(file) => Some(Outgoing::File { file, at: 0, end: self.length }),
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
        spool.finish()
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
