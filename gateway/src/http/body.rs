//! Bodies that are sent: in memory, from an anonymous file, or as they come.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

/// Largest piece that is read from a file at once.
const PIECE: usize = 64 * 1024;

/// A body that a node sends.
#[derive(Debug)]
pub enum Outgoing {
    /// No bytes.
    Empty,
    /// All bytes at once.
    Full(Bytes),
    /// Bytes as they come; the channel's bound is the back pressure. An error, or the sender going
    /// away without [`Piece::End`], aborts the message so that the other side sees it cut off.
    Channel(mpsc::Receiver<Piece>),
    /// Bytes of a file from an offset up to an end.
    File {
        /// The file; it may have no name any more.
        file: Arc<File>,
        /// Next byte to be sent.
        at: u64,
        /// First byte that is not sent.
        end: u64,
    },
    /// Several bodies, one after the other.
    Sequence(VecDeque<Outgoing>),
}

/// What is put into the channel of a body.
#[derive(Debug)]
pub enum Piece {
    /// More bytes.
    Data(Bytes),
    /// The body is complete.
    End,
}

/// The body was given up before its end, so that the receiver must not take it for complete.
#[derive(Debug, thiserror::Error)]
#[error("the body was given up before its end")]
pub struct Aborted;

impl From<Bytes> for Outgoing {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl From<String> for Outgoing {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl Outgoing {
    /// A body that is fed through a channel of at most `pieces` waiting pieces.
    pub fn channel(pieces: usize) -> (mpsc::Sender<Piece>, Self) {
        let (sender, receiver) = mpsc::channel(pieces);
        (sender, Self::Channel(receiver))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let piece = match &mut *self {
            Self::Empty => return Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Ok(bytes)
            }
            Self::Channel(receiver) => match ready!(receiver.poll_recv(context)) {
                Some(Piece::Data(bytes)) => Ok(bytes),
                Some(Piece::End) => {
                    *self = Self::Empty;
                    return Poll::Ready(None);
                }
                None => {
                    *self = Self::Empty;
                    Err(Aborted)
                }
            },
            Self::Sequence(bodies) => {
                while let Some(first) = bodies.front_mut() {
                    match ready!(Pin::new(first).poll_frame(context)) {
                        Some(frame) => return Poll::Ready(Some(frame)),
                        None => drop(bodies.pop_front()),
                    }
                }
                *self = Self::Empty;
                return Poll::Ready(None);
            }
            Self::File { file, at, end } => {
                // Spool files were written moments ago: the read is a copy from the page cache.
                let length = usize::try_from(*end - *at).unwrap_or(PIECE).min(PIECE);
                let mut piece = BytesMut::zeroed(length);
                match file.read_exact_at(&mut piece, *at) {
                    Ok(()) => {
                        *at += length as u64;
                        if at == end {
                            *self = Self::Empty;
                        }
                        Ok(piece.freeze())
                    }
                    Err(_) => {
                        *self = Self::Empty;
                        Err(Aborted)
                    }
                }
            }
        };
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::File { at, end, .. } => at == end,
            Self::Sequence(bodies) => bodies.iter().all(Self::is_end_stream),
            Self::Full(_) | Self::Channel(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::File { at, end, .. } => SizeHint::with_exact(end - at),
            Self::Sequence(bodies) => {
                let lengths = bodies.iter().map(|body| body.size_hint().exact());
                let total = lengths.sum::<Option<u64>>();
                total.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Self::Channel(_) => SizeHint::default(),
        }
    }
}

/// Why a received body could not be taken into memory.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// It is longer than the caller allows.
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    /// The connection failed.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

/// Reads a whole body of at most `limit` bytes into memory.
pub async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, CollectError> {
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(CollectError::Broken)?.into_data() else { continue };
        if first.len() + rest.as_ref().map_or(0, BytesMut::len) + data.len() > limit {
            return Err(CollectError::TooLong(limit));
        }
        match &mut rest {
            Some(rest) => rest.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let mut joined = BytesMut::with_capacity(first.len() + data.len());
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                first = Bytes::new();
                rest = Some(joined);
            }
        }
    }
    Ok(rest.map_or(first, BytesMut::freeze))
}
