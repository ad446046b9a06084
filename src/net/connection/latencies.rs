//! The latencies of the replies of one turn.

use crate::stats::{BUCKETS, bucket, bucket_bounds};

/// Counted on the connection's own stack, so that a reply costs no atomic operation.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    counts: [u32; BUCKETS],
    /// The buckets that are not empty, a bit for each.
    used: u32,
    longest_nanos: u64,
    /// The bucket of the last one, and what is above its lower bound and not above its upper one. The replies of a turn
    /// are mostly of one bucket, which need not be looked for again.
    last: usize,
    above: u64,
    until: u64,
}

impl Latencies {
    #[inline]
    pub(super) fn record(&mut self, nanos: u64) {
        if nanos <= self.above || nanos > self.until {
            self.last = bucket(nanos);
            (self.above, self.until) = bucket_bounds(self.last);
            self.used |= 1 << self.last;
        }
        self.counts[self.last] += 1;
        self.longest_nanos = self.longest_nanos.max(nanos);
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
    use super::*;

    #[test]
    fn every_latency_is_counted_in_its_bucket() {
        let mut latencies = Latencies::default();
        let mut expected = [0; BUCKETS];
        for nanos in [
            0,
            1,
            10_000,
            10_001,
            15_000,
            9_000,
            20_000,
            60_000_000_000,
            0,
        ] {
            latencies.record(nanos);
            expected[bucket(nanos)] += 1;
        }
        let mut counted = [0; BUCKETS];
        for (bucket, count) in latencies.counts() {
            counted[bucket] = count;
        }
        assert_eq!(counted, expected);
        assert_eq!(latencies.longest_nanos(), 60_000_000_000);
    }
}
