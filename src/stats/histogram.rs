//! A histogram of durations.

use std::{fmt, time::Duration};

/// Upper bounds in nanoseconds: 1, 2 and 5 times the powers of ten, from 10 us to 50 s.
const BOUNDS: [u64; 21] = [
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    20_000_000_000,
    50_000_000_000,
];

/// The last bucket has no bound.
pub(crate) const BUCKETS: usize = BOUNDS.len() + 1;

/// The bucket of a duration.
#[inline]
pub(crate) fn bucket(nanos: u64) -> usize {
    BOUNDS.partition_point(|bound| *bound < nanos)
}

/// The bound that all durations in a bucket are above, but for zero, and the one that none is above.
pub(crate) fn bucket_bounds(bucket: usize) -> (u64, u64) {
    let above = bucket.checked_sub(1).map_or(0, |before| BOUNDS[before]);
    let until = BOUNDS.get(bucket).copied().unwrap_or(u64::MAX);
    (above, until)
}

/// A histogram of durations, with bucket bounds of 1, 2 and 5 times the powers of ten from 10 µs to 50 s.
///
/// [`DatabaseStats::latency`](crate::DatabaseStats::latency) is one, and [`PoolStats`](crate::PoolStats) has some. It counts since the database was added;
/// [`since`](Self::since) tells the durations between two snapshots. The buckets that OpenTelemetry advises begin at
/// 1 ms, where most commands of Redis have ended, so these begin earlier.
///
/// `Debug` shows the buckets that are not empty.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    pub(crate) counts: [u64; BUCKETS],
    pub(crate) max: Duration,
}

impl DurationHistogram {
    /// The upper bounds of the buckets in seconds, without that of the last one, which has none: for a metrics system
    /// that is to have the same buckets.
    pub const BOUNDS_IN_SECONDS: [f64; 21] = [
        1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0,
        2.0, 5.0, 10.0, 20.0, 50.0,
    ];

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The buckets in ascending order, each as its upper bound and its number of durations. A duration is
    /// counted in the first bucket whose bound it does not exceed. The last bucket has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.map(|nanos| Some(Duration::from_nanos(nanos)));
        bounds.into_iter().chain([None]).zip(self.counts)
    }

    /// An upper bound of the shortest `share` of the durations, such as 0.99 for the 99th percentile. It is
    /// the bound of a bucket, or the longest duration if that is less: at least 10 µs, and above that at most 2.5
    /// times the exact value. `share` is limited to the range from 0 to 1. `None` if there were none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.count() as f64 * share.clamp(0.0, 1.0))
            .ceil()
            .max(1.0) as u64;
        let mut seen = 0;
        let (bound, _) = self.buckets().find(|(_, count)| {
            seen += count;
            seen >= rank
        })?;
        Some(bound.map_or(self.max, |bound| bound.min(self.max)))
    }

    /// The median, as a [quantile](Self::quantile).
    pub fn p50(&self) -> Option<Duration> {
        self.quantile(0.5)
    }

    /// The 95th percentile, as a [quantile](Self::quantile).
    pub fn p95(&self) -> Option<Duration> {
        self.quantile(0.95)
    }

    /// The 99th percentile, as a [quantile](Self::quantile).
    pub fn p99(&self) -> Option<Duration> {
        self.quantile(0.99)
    }

    /// The longest duration. `None` if there were none.
    pub fn max(&self) -> Option<Duration> {
        (self.count() > 0).then_some(self.max)
    }

    /// The durations after an `earlier` snapshot of the same histogram. Their longest is not known: it is the bound
    /// of the last bucket that is not empty, or the longest ever if that is less.
    pub fn since(&self, earlier: &Self) -> Self {
        let counts: [u64; BUCKETS] = std::array::from_fn(|bucket| {
            self.counts[bucket].saturating_sub(earlier.counts[bucket])
        });
        let last = counts.iter().rposition(|count| *count > 0);
        let bound = last.map(|last| BOUNDS.get(last).map(|nanos| Duration::from_nanos(*nanos)));
        let max = match bound {
            Some(Some(bound)) => bound.min(self.max),
            Some(None) => self.max,
            None => Duration::ZERO,
        };
        Self { counts, max }
    }
}

/// Shows the buckets that are not empty, by their bounds.
impl fmt::Debug for DurationHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (bound, count) in self.buckets().filter(|(_, count)| *count > 0) {
            match bound {
                Some(bound) => map.entry(&format_args!("<= {bound:?}"), &count),
                None => map.entry(&format_args!("longer"), &count),
            };
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(durations: &[Duration]) -> DurationHistogram {
        let mut histogram = DurationHistogram::default();
        for duration in durations {
            histogram.counts[bucket(duration.as_nanos() as u64)] += 1;
            histogram.max = histogram.max.max(*duration);
        }
        histogram
    }

    #[test]
    fn the_bounds_are_the_same_in_seconds() {
        for (nanos, seconds) in BOUNDS.iter().zip(DurationHistogram::BOUNDS_IN_SECONDS) {
            assert_eq!(*nanos, (seconds * 1e9).round() as u64);
        }
    }

    #[test]
    fn durations_fall_into_the_bucket_that_bounds_them() {
        let none = histogram(&[]);
        assert_eq!((none.p50(), none.max()), (None, None));
        let micros = [0, 10, 11, 3_000, 60_000_000].map(Duration::from_micros);
        let some = histogram(&micros);
        assert_eq!(
            format!("{some:?}"),
            "{<= 10µs: 2, <= 20µs: 1, <= 5ms: 1, longer: 1}"
        );
        assert_eq!(some.quantile(0.0), Some(Duration::from_micros(10)));
        assert_eq!(some.p50(), Some(Duration::from_micros(20)));
        assert_eq!(some.quantile(0.8), Some(Duration::from_millis(5)));
        assert_eq!(some.p99(), Some(Duration::from_secs(60)));
        assert_eq!(some.max(), Some(Duration::from_secs(60)));
    }

    proptest! {
        #[test]
        fn a_quantile_is_at_least_the_exact_one_and_at_most_two_and_a_half_times_that(
            nanos in prop::collection::vec(0..100_000_000_000_u64, 1..200),
            share in 0.0..1.0_f64,
        ) {
            let mut sorted = nanos.clone();
            sorted.sort_unstable();
            let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize;
            let exact = Duration::from_nanos(sorted[rank - 1]);
            let durations: Vec<_> = nanos.iter().copied().map(Duration::from_nanos).collect();
            let quantile = histogram(&durations).quantile(share).expect("some");
            prop_assert!(quantile >= exact);
            let is_near = quantile <= exact.mul_f64(2.5) || quantile <= Duration::from_micros(10);
            // Beyond the last bound, only the longest is known.
            prop_assert!(is_near || exact > Duration::from_secs(50), "{exact:?} {quantile:?}");
        }

        #[test]
        fn what_came_after_a_snapshot_is_told_apart(
            before in prop::collection::vec(0..100_000_000_u64, 0..50),
            after in prop::collection::vec(0..100_000_000_u64, 0..50),
        ) {
            let of = |nanos: &[u64]| -> Vec<_> {
                nanos.iter().copied().map(Duration::from_nanos).collect()
            };
            let (before, after) = (of(&before), of(&after));
            let all = histogram(&[before.clone(), after.clone()].concat());
            let interval = all.since(&histogram(&before));
            prop_assert_eq!(interval.counts, histogram(&after).counts);
            prop_assert_eq!(interval.max().is_some(), !after.is_empty());
            prop_assert!(interval.max() >= after.iter().max().copied());
        }
    }
}
