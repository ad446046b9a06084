//! The limit on the silence of a peer that does not answer.

use std::time::Duration;

use tokio::time::Instant;

/// Notices a peer that takes requests and never answers. A single slow command must not cost all callers
/// the connection, so the silence is over the limit only after two timeouts and no byte for that time.
#[derive(Debug)]
pub(super) struct Silence {
    limit: Duration,
    /// The limit is longer by this, for now.
    extension: Duration,
    // The time of the first request packed after the last byte came.
    since: Option<Instant>,
    timeouts: u64,
}

impl Silence {
    const MIN_TIMEOUTS: u64 = 2;

    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            extension: Duration::ZERO,
            since: None,
            timeouts: 0,
        }
    }

    /// A request was packed: from the first one after input, silence is measured.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// This process stood still, so the time until now does not count.
    pub(super) fn begin_again(&mut self, now: Instant) {
        self.since = self.since.map(|_| now);
        self.timeouts = 0;
    }

    /// The limit is longer by this from now on.
    pub(super) fn extend(&mut self, extension: Duration) {
        self.extension = extension;
    }

    /// A byte came.
    pub(super) fn end(&mut self) {
        self.since = None;
        self.timeouts = 0;
    }

    pub(super) fn note_timeouts(&mut self, timeouts: u64, now: Instant) {
        if timeouts > 0 {
            self.begin(now);
            self.timeouts += timeouts;
        }
    }

    /// The time at which the silence exceeds the limit; `None` until there were enough timeouts.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let enough = self.timeouts >= Self::MIN_TIMEOUTS;
        self.since
            .filter(|_| enough)
            .map(|since| since + self.limit + self.extension)
    }

    /// The length of the silence, if it exceeds the limit.
    pub(super) fn exceeded(&self, now: Instant) -> Option<Duration> {
        let since = self.since?;
        (self.deadline()? <= now).then(|| now - since)
    }
}
