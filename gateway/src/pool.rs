//! Open HTTP connections that wait for their next request.
//!
//! A pool belongs to one worker; its connections are driven by that worker's runtime alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::http::Outgoing;

/// Idle connections a key keeps at most.
const PER_KEY: usize = 1024;

/// An HTTP connection with what is known about its other end.
pub(crate) struct Connection<T> {
    /// The other end.
    pub(crate) peer: T,
    sender: SendRequest<Outgoing>,
    used: bool,
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// No byte of the request was written: it can be sent again elsewhere, and comes back.
    #[error("the connection was closed before the request was sent")]
    NotSent(Box<Request<Outgoing>>),
    /// The other side may have seen all of it.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

impl<T> Connection<T> {
    /// HTTP/1.1 over an open stream. Its driver runs until the connection ends.
    pub(crate) async fn start(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: T,
    ) -> Result<Self, hyper::Error> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(128 * 1024)
            .preserve_header_case(false)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "outgoing connection ended");
            }
        });
        Ok(Self { peer, sender, used: false })
    }

    /// Sends a request. The body may still be on its way when the response is there.
    pub(crate) async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>, SendError> {
        self.used = true;
        if self.sender.ready().await.is_err() {
            return Err(SendError::NotSent(Box::new(request)));
        }
        self.sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(request) => SendError::NotSent(Box::new(request)),
            None => SendError::Broken(error.into_error()),
        })
    }

    /// Whether an earlier request went over it, so that the other side may be closing it right now.
    pub(crate) fn was_used(&self) -> bool {
        self.used
    }
}

struct Idle<T> {
    connection: Connection<T>,
    since: Instant,
}

/// Idle connections by the name of their other end.
pub(crate) struct Pool<T> {
    longest_idle: Duration,
    idle: Mutex<HashMap<Arc<str>, Vec<Idle<T>>>>,
}

impl<T> Pool<T> {
    /// Connections that were idle for longer than `longest_idle` are not used again: the other side
    /// is about to close them.
    pub(crate) fn new(longest_idle: Duration) -> Self {
        Self { longest_idle, idle: Mutex::default() }
    }

    /// The connection to `key` that was used last.
    pub(crate) fn take(&self, key: &str) -> Option<Connection<T>> {
        let mut idle = self.lock();
        let waiting = idle.get_mut(key)?;
        while let Some(candidate) = waiting.pop() {
            if candidate.since.elapsed() > self.longest_idle {
                // The others wait even longer.
                waiting.clear();
                return None;
            }
            if !candidate.connection.sender.is_closed() {
                return Some(candidate.connection);
            }
        }
        None
    }

    /// Closes the idle connections to `key`.
    pub(crate) fn forget(&self, key: &str) {
        drop(self.lock().remove(key));
    }

    /// Keeps a connection whose last response was read to its end.
    pub(crate) fn give_back(&self, key: &Arc<str>, connection: Connection<T>) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.lock();
        let waiting = idle.entry(Arc::clone(key)).or_default();
        if waiting.len() < PER_KEY {
            waiting.push(Idle { connection, since: Instant::now() });
        }
        // Those at the front have waited longest; a few a time keeps the work small.
        let stale =
            |idle: &Idle<T>| idle.since.elapsed() > self.longest_idle || idle.connection.sender.is_closed();
        let stale = waiting.iter().take(4).take_while(|idle| stale(idle)).count();
        waiting.drain(..stale);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Idle<T>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
