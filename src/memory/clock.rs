//! The time of a server: the system's, carried on by tokio's clock, and moved on by tests.

use std::{
    cell::Cell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::keyspace::Millis;

/// A clock is not moved beyond this time, so that what is reckoned from it has room.
const LAST: Duration = Duration::from_millis(i64::MAX as u64 / 4);

#[derive(Clone, Debug)]
pub(super) struct Clock {
    began: Instant,
    /// The time of the Unix epoch at the beginning, and what it was moved on by.
    offset: Duration,
    /// The latest time that was read. Runtimes with a paused clock and others may use one server, and its time does
    /// not go back.
    latest: Cell<Duration>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            offset: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            latest: Cell::default(),
        }
    }

    /// The time since the Unix epoch.
    pub(super) fn now(&self) -> Duration {
        let now = self.latest.get().max(self.offset + self.began.elapsed());
        self.latest.set(now);
        now
    }

    pub(super) fn millis(&self) -> Millis {
        self.now().as_millis() as Millis
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.offset = self.offset.saturating_add(by).min(LAST);
    }

    /// The instant of a time in milliseconds. A time that is over is now; one too far away is in a year.
    pub(super) fn instant(&self, at: Millis) -> Instant {
        const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        // The first instant at which the time in milliseconds has come.
        let left = Duration::from_millis(at).saturating_sub(self.now());
        Instant::now() + left.min(FAR)
    }
}

/// The end of a span of the system's own time, which also passes while tokio's clock stands still.
#[cfg(feature = "memory-lua")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<std::time::Instant>);

#[cfg(feature = "memory-lua")]
impl Deadline {
    /// A span of zero has no end, nor has one that is too long for the clock.
    pub(super) fn after(span: Duration) -> Self {
        let is_bounded = !span.is_zero();
        Self(
            is_bounded
                .then(std::time::Instant::now)
                .and_then(|now| now.checked_add(span)),
        )
    }

    pub(super) fn is_over(self) -> bool {
        self.0.is_some_and(|end| end <= std::time::Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_not_moved_beyond_all_times() {
        let mut clock = Clock::new();
        for _ in 0..3 {
            clock.advance(Duration::MAX);
        }
        assert!(clock.millis() >= LAST.as_millis() as Millis);
        assert!(clock.millis() < i64::MAX as Millis / 2);
    }
}
