//! The counts of a histogram of durations.

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use crate::{
    net::Latencies,
    stats::{BUCKETS, DurationHistogram, bucket},
};

/// The durations, in the buckets of a [`DurationHistogram`].
#[derive(Debug, Default)]
pub(crate) struct Durations {
    counts: [AtomicU64; BUCKETS],
    max_nanos: AtomicU64,
}

impl Durations {
    pub(crate) fn record(&self, duration: Duration) {
        let nanos = duration.as_nanos() as u64;
        self.note_longest(nanos);
        self.counts[bucket(nanos)].fetch_add(1, Release);
    }

    /// Adds those of one turn of a connection. Who sees them sees what was counted before: there are never more
    /// latencies than replies.
    pub(super) fn add(&self, latencies: &Latencies) {
        // Who sees a count sees the longest as well.
        self.note_longest(latencies.longest_nanos());
        for (bucket, count) in latencies.counts() {
            self.counts[bucket].fetch_add(count, Release);
        }
    }

    /// It only reads if there was a longer one, so that connections do not contend for the cache line.
    fn note_longest(&self, nanos: u64) {
        if nanos > self.max_nanos.load(Relaxed) {
            self.max_nanos.fetch_max(nanos, Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> DurationHistogram {
        let counts = std::array::from_fn(|bucket| self.counts[bucket].load(Acquire));
        DurationHistogram {
            counts,
            max: Duration::from_nanos(self.max_nanos.load(Relaxed)),
        }
    }
}
