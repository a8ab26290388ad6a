//! What one side may cost a listener: connections, time, and heads of requests that can be read in two
//! ways.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header;

/// Bounds of the connections of one port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Open connections in all.
    pub connections: usize,
    /// Open connections from one address.
    pub per_address: usize,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Time for the head of a request, also while nothing comes.
    pub head: Duration,
    /// How long the other side may take nothing of an answer.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            per_address: 8192,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            stall: Duration::from_secs(60),
        }
    }
}

/// The open connections of one port. All its listeners share it.
#[derive(Debug, Default)]
pub struct Connections {
    limits: Limits,
    open: Mutex<Open>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    /// None yet.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, ..Self::default() })
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts a connection; none when there are too many.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admitted> {
        let mut open = self.lock();
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        if open.total >= self.limits.connections || of_address >= self.limits.per_address {
            drop(open);
            let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
            // Whoever causes these must not fill the log as well.
            if refused.is_power_of_two() {
                tracing::warn!(%address, refused, "too many connections, refused");
            }
            return None;
        }
        open.total += 1;
        open.by_address.insert(address, of_address + 1);
        Some(Admitted { connections: Arc::clone(self), address })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted {
    /// The bounds of its port.
    pub(super) fn limits(&self) -> &Limits {
        &self.connections.limits
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.total = open.total.saturating_sub(1);
        match open.by_address.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.by_address.remove(&self.address)),
        }
    }
}

/// Whether two readers of this head can disagree on where its request ends or whom it is for.
///
/// What hyper sees to by itself does not come here: it refuses lengths that differ or are no numbers, a
/// last transfer coding that is not `chunked`, folded lines, white space before a colon. Of a head with
/// `Transfer-Encoding` and `Content-Length` it drops the latter and ends the connection behind the answer
/// (RFC 9112 §6.3).
pub(super) fn is_ambiguous(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_strange = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(one), None) => {
            !one.as_bytes().eq_ignore_ascii_case(b"chunked") || headers.contains_key(header::CONTENT_LENGTH)
        }
        (Some(_), Some(_)) => true,
    };
    let is_many = |name| headers.get_all(name).iter().nth(1).is_some();
    is_strange || is_many(header::CONTENT_LENGTH) || is_many(header::HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_address_and_in_all() {
        let limits = Limits { connections: 3, per_address: 2, ..Limits::default() };
        let connections = Connections::new(limits);
        let [one, other] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(IpAddr::from);
        let first = connections.admit(one);
        let second = connections.admit(one);
        assert!(first.is_some() && second.is_some());
        assert!(connections.admit(one).is_none(), "third of one address");
        let third = connections.admit(other);
        assert!(third.is_some());
        assert!(connections.admit(other).is_none(), "fourth in all");
        drop(first);
        assert!(connections.admit(one).is_some(), "one has gone");
        drop((second, third));
        assert!(connections.lock().by_address.is_empty());
        assert_eq!(connections.lock().total, 0);
    }

    #[test]
    fn heads_with_two_meanings() {
        let check = |lines: &[(&'static str, &'static str)], expected: bool| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, header::HeaderValue::from_static(value));
            }
            assert_eq!(is_ambiguous(&headers), expected, "{lines:?}");
        };
        check(&[], false);
        check(&[("host", "a"), ("content-length", "1")], false);
        check(&[("host", "a"), ("transfer-encoding", "Chunked")], false);
        check(&[("content-length", "1"), ("transfer-encoding", "chunked")], true);
        check(&[("transfer-encoding", "gzip, chunked")], true);
        check(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], true);
        check(&[("content-length", "1"), ("content-length", "1")], true);
        check(&[("host", "a"), ("host", "b")], true);
    }
}
