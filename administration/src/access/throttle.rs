//! How often an address may ask, and how often a password may be wrong.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses or names that are remembered at a time. Beyond it, those with nothing against them are
/// forgotten, and if there are none, everybody new is refused for a moment: memory stays bounded.
const MOST: usize = 50_000;

/// Requests of one address within a second and within a minute (registry and administration §6.5).
pub(crate) struct RateLimit {
    per_second: u32,
    per_minute: u32,
    seen: Mutex<HashMap<IpAddr, Seen>>,
}

struct Seen {
    second: (Instant, u32),
    minute: (Instant, u32),
}

impl RateLimit {
    pub(crate) fn new(per_second: u32, per_minute: u32) -> Self {
        Self { per_second, per_minute, seen: Mutex::default() }
    }

    /// Counts a request; whether it may go on.
    pub(crate) fn admits(&self, address: IpAddr, now: Instant) -> bool {
        let minute = Duration::from_secs(60);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut seen, &address, |one| now.duration_since(one.minute.0) < minute);
        if seen.len() >= MOST && !seen.contains_key(&address) {
            return false;
        }
        let one = seen.entry(address).or_insert(Seen { second: (now, 0), minute: (now, 0) });
        let second = count(&mut one.second, now, Duration::from_secs(1));
        let minute = count(&mut one.minute, now, minute);
        second <= self.per_second && minute <= self.per_minute
    }
}

fn count(window: &mut (Instant, u32), now: Instant, length: Duration) -> u32 {
    if now.duration_since(window.0) >= length {
        *window = (now, 0);
    }
    window.1 = window.1.saturating_add(1);
    window.1
}

/// Wrong passwords of one name from one address: after a few, each further try has to wait longer.
#[derive(Default)]
pub(crate) struct Failures(Mutex<HashMap<(IpAddr, String), Failed>>);

struct Failed {
    count: u32,
    last: Instant,
}

/// So many wrong passwords cost nothing but themselves.
const FREE: u32 = 5;
const LONGEST_WAIT: Duration = Duration::from_secs(300);
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

impl Failures {
    /// How long to wait before a try counts; none: try now.
    pub(crate) fn wait(&self, address: IpAddr, user: &str, now: Instant) -> Option<Duration> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failures.get(&(address, user.to_owned()))?;
        let over = failed.count.checked_sub(FREE)?;
        let wait = Duration::from_secs(1 << over.min(9)).min(LONGEST_WAIT);
        wait.checked_sub(now.duration_since(failed.last)).filter(|left| !left.is_zero())
    }

    pub(crate) fn failed(&self, address: IpAddr, user: &str, now: Instant) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address, user.chars().take(255).collect());
        make_room(&mut failures, &key, |one: &Failed| now.duration_since(one.last) < FORGOTTEN);
        let failed = failures.entry(key).or_insert(Failed { count: 0, last: now });
        if now.duration_since(failed.last) >= FORGOTTEN {
            failed.count = 0;
        }
        failed.count = failed.count.saturating_add(1);
        failed.last = now;
    }

    pub(crate) fn succeeded(&self, address: IpAddr, user: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(address, user.to_owned()));
    }
}

fn make_room<K: Eq + Hash, V>(map: &mut HashMap<K, V>, new: &K, counts: impl Fn(&V) -> bool) {
    if map.len() >= MOST && !map.contains_key(new) {
        map.retain(|_, value| counts(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn twenty_a_second_and_sixhundred_a_minute() {
        let limit = RateLimit::new(20, 600);
        let start = Instant::now();
        for _ in 0..20 {
            assert!(limit.admits(HERE, start));
        }
        assert!(!limit.admits(HERE, start));
        // That makes 21 of this minute; refused ones count as well.
        for request in 21..600 {
            assert!(limit.admits(HERE, start + Duration::from_secs(request / 15)), "{request}");
        }
        assert!(!limit.admits(HERE, start + Duration::from_secs(59)));
        assert!(limit.admits(HERE, start + Duration::from_secs(61)));
    }

    #[test]
    fn wrong_passwords_have_to_wait_longer_and_longer() {
        let failures = Failures::default();
        let now = Instant::now();
        for _ in 0..FREE {
            assert_eq!(failures.wait(HERE, "mai", now), None);
            failures.failed(HERE, "mai", now);
        }
        assert_eq!(failures.wait(HERE, "mai", now), Some(Duration::from_secs(1)));
        assert_eq!(failures.wait(HERE, "lan", now), None);
        for _ in 0..20 {
            failures.failed(HERE, "mai", now);
        }
        assert_eq!(failures.wait(HERE, "mai", now), Some(LONGEST_WAIT));
        assert_eq!(failures.wait(HERE, "mai", now + LONGEST_WAIT), None);
        failures.succeeded(HERE, "mai");
        assert_eq!(failures.wait(HERE, "mai", now), None);
    }
}
