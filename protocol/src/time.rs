//! Points in time as the protocols write them.
//!
//! This crate never asks what time it is: whoever calls it passes a [`UtcTime`].

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// A point in time in UTC with millisecond resolution.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UtcTime(i64);

/// The text is not an RFC 3339 date and time with an offset.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a date and time with an offset")]
pub struct TimeError;

impl UtcTime {
    /// The time `milliseconds` after 1970-01-01T00:00:00Z.
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// The time `seconds` after 1970-01-01T00:00:00Z; saturates at the ends of the range.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This time and `span` more; saturates.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time less `span`; saturates.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long `earlier` lies before this time; zero if it does not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }

    /// `2026-11-21T16:49:57Z`: whole seconds, as the signed directory writes them.
    pub fn to_seconds_text(self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// `2026-11-21T16:49:57.000Z`: milliseconds, as `xades:SigningTime` has them.
    pub fn to_millis_text(self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// `20261121164957`: as archive and configuration file names have it.
    pub fn to_compact_text(self) -> String {
        self.timestamp().strftime("%Y%m%d%H%M%S").to_string()
    }

    /// `Sat, 21 Nov 2026 16:49:57 GMT`: as HTTP writes dates.
    pub fn to_http_text(self) -> String {
        self.timestamp().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}

impl From<SystemTime> for UtcTime {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => Self(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&if self.0 % 1000 == 0 { self.to_seconds_text() } else { self.to_millis_text() })
    }
}

impl FromStr for UtcTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        text.trim().parse::<Timestamp>().map(|at| Self(at.as_millisecond())).map_err(|_| TimeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let time: UtcTime = "2026-11-21T16:49:57.25+02:00".parse().expect("a date");
        assert_eq!(time.to_millis_text(), "2026-11-21T14:49:57.250Z");
        assert_eq!(time.to_seconds_text(), "2026-11-21T14:49:57Z");
        assert_eq!(time.to_compact_text(), "20261121144957");
        assert_eq!(time.to_http_text(), "Sat, 21 Nov 2026 14:49:57 GMT");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!("yesterday".parse::<UtcTime>(), Err(TimeError));
    }
}
