//! When a peer that does not answer is given up.

use std::time::Duration;

use tokio::time::Instant;

/// Notices a peer that takes requests and never answers. A single slow command must not cost
/// everybody the connection, so it takes several timeouts and a long enough time without a byte.
#[derive(Debug)]
pub(super) struct Silence {
    limit: Duration,
    // When the first request was packed since the last byte came.
    since: Option<Instant>,
    timeouts: u64,
}

impl Silence {
    const MIN_TIMEOUTS: u64 = 2;

    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            timeouts: 0,
        }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(super) fn broken(&mut self) {
        self.since = None;
        self.timeouts = 0;
    }

    pub(super) fn note_timeouts(&mut self, timeouts: u64, now: Instant) {
        if timeouts > 0 {
            self.begin(now);
            self.timeouts += timeouts;
        }
    }

    /// When it will have lasted too long, once there were enough timeouts.
    pub(super) fn end(&self) -> Option<Instant> {
        let enough = self.timeouts >= Self::MIN_TIMEOUTS;
        self.since
            .filter(|_| enough)
            .map(|since| since + self.limit)
    }

    pub(super) fn is_over(&self, now: Instant) -> Option<Duration> {
        let since = self.since?;
        (self.end()? <= now).then(|| now - since)
    }
}
