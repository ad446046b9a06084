//! The latencies of the replies of one turn.

use std::time::Duration;

use tokio::time::Instant;

use crate::stats::{BUCKETS, bucket, bucket_bounds};

/// Counted on the connection's own stack, so that a reply costs no atomic operation.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    counts: [u32; BUCKETS],
    /// The buckets that are not empty, a bit for each.
    used: u32,
    longest_nanos: u64,
    last: Option<Window>,
}

/// The calls of one bucket, by the times at which they began. All replies of a turn have the same time, and most are of
/// one bucket: comparing is cheaper than subtracting.
#[derive(Debug)]
struct Window {
    bucket: usize,
    since: Instant,
    before: Instant,
}

impl Latencies {
    /// Counts a reply to a call that `began` then, if that is in the bucket of the last one.
    #[inline]
    pub(super) fn record_like_last(&mut self, began: Instant) -> bool {
        match &self.last {
            Some(last) if last.since <= began && began < last.before => {
                self.counts[last.bucket] += 1;
                true
            }
            _ => false,
        }
    }

    /// Counts a reply that came `now` to a call that `began` then. `now` is the same for all.
    #[inline(never)]
    pub(super) fn record(&mut self, began: Instant, now: Instant) {
        let nanos = now.saturating_duration_since(began).as_nanos() as u64;
        let bucket = bucket(nanos);
        let is_first = self.used == 0;
        self.counts[bucket] += 1;
        self.used |= 1 << bucket;
        self.longest_nanos = self.longest_nanos.max(nanos);
        if is_first {
            // It may be the only one of its turn.
            return;
        }
        let (above, until) = bucket_bounds(bucket);
        // Longer ones than the longest come back here, so that the longest is known.
        let until = until.min(self.longest_nanos);
        let since = now.checked_sub(Duration::from_nanos(until));
        self.last = since.map(|since| Window {
            bucket,
            since,
            before: now - Duration::from_nanos(above),
        });
    }

    /// The buckets that are not empty, with their counts.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        let mut left = self.used;
        std::iter::from_fn(move || {
            let bucket = left.checked_ilog2()? as usize;
            left ^= 1 << bucket;
            Some((bucket, u64::from(self.counts[bucket])))
        })
    }

    pub(crate) fn longest_nanos(&self) -> u64 {
        self.longest_nanos
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_latency_is_counted_in_its_bucket_and_the_longest_is_known(
            nanos in prop::collection::vec(
                prop_oneof![0..3_u64, 9_990..10_010_u64, 0..100_000_u64, 0..100_000_000_000_u64],
                1..50,
            ),
        ) {
            let now = Instant::now() + Duration::from_secs(200);
            let mut latencies = Latencies::default();
            let mut expected = [0; BUCKETS];
            for nanos in &nanos {
                let began = now - Duration::from_nanos(*nanos);
                if !latencies.record_like_last(began) {
                    latencies.record(began, now);
                }
                expected[bucket(*nanos)] += 1;
            }
            let mut counted = [0; BUCKETS];
            for (bucket, count) in latencies.counts() {
                counted[bucket] = count;
            }
            prop_assert_eq!(counted, expected);
            prop_assert_eq!(Some(latencies.longest_nanos()), nanos.iter().copied().max());
        }
    }
}
