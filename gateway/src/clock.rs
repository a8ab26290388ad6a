//! The one place that asks what time it is.

use std::time::{Duration, SystemTime};

use protocol::time::UtcTime;

/// The node's clock. Tests and the replay of recordings shift it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    ahead_millis: i64,
}

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self { ahead_millis: 0 }
    }

    /// A clock that shows `time` now and runs on from there.
    pub fn set_to(time: UtcTime) -> Self {
        Self { ahead_millis: time.millis() - UtcTime::from(SystemTime::now()).millis() }
    }

    /// The time now.
    pub fn now(&self) -> UtcTime {
        let now = UtcTime::from(SystemTime::now());
        match u64::try_from(self.ahead_millis) {
            Ok(ahead) => now.plus(Duration::from_millis(ahead)),
            Err(_) => now.minus(Duration::from_millis(self.ahead_millis.unsigned_abs())),
        }
    }
}
