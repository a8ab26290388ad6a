//! Small parts, put together from what came in.

use bytes::{Bytes, BytesMut};

/// A small part. As long as it came in one piece it is a slice of that; only a part that was cut in
/// transit is put together by copying.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    first: Bytes,
    joined: BytesMut,
}

impl Gathered {
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
        } else {
            let first = std::mem::take(&mut self.first);
            self.joined.extend_from_slice(&first);
            self.joined.extend_from_slice(&piece);
        }
    }

    pub(crate) fn push_up_to(&mut self, mut piece: Bytes, limit: usize) {
        piece.truncate(limit.saturating_sub(self.len()));
        if !piece.is_empty() {
            self.push(piece);
        }
    }

    pub(crate) fn finish(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}
