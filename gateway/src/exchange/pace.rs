//! How slowly a body may come in.
//!
//! A sender may be silent for a while. One that sends an octet before each silence gets too long would
//! hold its connection for ever, so all of a body together has to keep a least pace as well.

use std::time::{Duration, Instant};

/// Octets a second that all of a body has to come to, after the first silences.
const LEAST: u64 = 256;
/// Silences that are allowed beyond that.
const SILENCES: u32 = 4;

/// The time that a body of a request has taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    begun: Instant,
    octets: u64,
    silence: Duration,
}

impl Pace {
    /// Begins with nothing; `silence` is the longest time without an octet.
    pub(super) fn new(silence: Duration) -> Self {
        Self { begun: Instant::now(), octets: 0, silence }
    }

    /// How long the next octets may take.
    pub(super) fn wait(&self) -> Duration {
        self.wait_after(self.begun.elapsed())
    }

    fn wait_after(&self, elapsed: Duration) -> Duration {
        let allowed = self.silence * SILENCES + Duration::from_secs(self.octets / LEAST);
        self.silence.min(allowed.saturating_sub(elapsed))
    }

    /// Octets came.
    pub(super) fn came(&mut self, octets: usize) {
        self.octets = self.octets.saturating_add(octets as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(60);

    /// Seconds until a sender of so many octets in each interval is given up; none if it is not.
    fn given_up(octets: usize, seconds: u64) -> Option<u64> {
        let mut pace = Pace::new(SILENCE);
        for round in 0..1000 {
            let elapsed = Duration::from_secs(round * seconds);
            if pace.wait_after(elapsed) < Duration::from_secs(seconds) {
                return Some((round + 1) * seconds);
            }
            pace.came(octets);
        }
        None
    }

    #[test]
    fn trickling_ends_and_slow_lines_do_not() {
        assert_eq!(given_up(1, 61), Some(61), "silence");
        assert_eq!(given_up(1, 59), Some(5 * 59), "an octet before each silence is too long");
        assert!(given_up(100, 1).is_some(), "below the least pace");
        assert_eq!(given_up(300, 1), None);
        assert_eq!(given_up(16 * 1024, 50), None);
    }
}
