//! How many requests an address may make.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time that requests are counted for.
const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that are remembered. When there are more within a minute, those that come last are refused:
/// nobody can make the others forgotten.
const MOST_ADDRESSES: usize = 16_384;

/// Counts the requests of the last minute by address.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    recent: Mutex<HashMap<IpAddr, Vec<Instant>>>,
}

impl Pace {
    /// So many requests a minute and address.
    pub(super) fn new(most: usize) -> Self {
        Self { most, recent: Mutex::default() }
    }

    /// Whether one more request may come now; it is counted if it may.
    pub(super) fn admits(&self, address: IpAddr, now: Instant) -> bool {
        let key = of_one_host(address);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if !recent.contains_key(&key) && recent.len() >= MOST_ADDRESSES {
            recent.retain(|_, times| times.last().is_some_and(|last| is_recent(*last, now)));
            if recent.len() >= MOST_ADDRESSES {
                return false;
            }
        }
        let times = recent.entry(key).or_default();
        times.retain(|time| is_recent(*time, now));
        if times.len() >= self.most {
            return false;
        }
        times.push(now);
        true
    }
}

fn is_recent(time: Instant, now: Instant) -> bool {
    now.saturating_duration_since(time) < MINUTE
}

/// Whoever has one IPv6 address has all of its network.
fn of_one_host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_their_own_pace() {
        let pace = Pace::new(3);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let admitted = [0, 10, 20, 30, 59].map(|seconds| pace.admits(one, at(seconds)));
        assert_eq!(admitted, [true, true, true, false, false]);
        assert!(pace.admits(other, at(59)));
        assert!(pace.admits(one, at(60)), "the first is a minute ago");
        assert!(!pace.admits(one, at(61)));
        assert!(!pace.admits("::ffff:192.0.2.1".parse().unwrap(), at(61)), "the same address");
    }

    #[test]
    fn networks_count_as_one_and_memory_is_bounded() {
        let pace = Pace::new(1);
        let now = Instant::now();
        let v6 = |high: u16, low: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, high, 0, 0, 0, low));
        assert!(pace.admits(v6(0, 1), now) && !pace.admits(v6(0, 2), now) && pace.admits(v6(1, 1), now));
        let pace = Pace::new(1);
        for number in 0..u16::try_from(MOST_ADDRESSES).unwrap() {
            assert!(pace.admits(v6(number, 1), now));
        }
        assert!(!pace.admits(v6(u16::MAX, 1), now));
        assert!(pace.admits(v6(u16::MAX, 1), now + MINUTE), "the others are a minute ago");
        assert_eq!(pace.recent.lock().unwrap().len(), 1);
    }
}
