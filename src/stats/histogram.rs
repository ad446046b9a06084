//! A histogram of waits.

use std::{fmt, time::Duration};

/// Upper bounds in microseconds: 1, 2 and 5 times the powers of ten, from 100 us to 50 s.
pub(crate) const BOUNDS: [u64; 18] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
];

/// A histogram of waits, with bucket bounds of 1, 2 and 5 times the powers of ten from 100 µs to 50 s.
///
/// [`PoolStats::acquire_wait`](crate::PoolStats::acquire_wait) holds it. It counts since the supervisor
/// was spawned; subtract the buckets of two snapshots for the waits between them. `Debug` shows the
/// buckets that are not empty.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitHistogram {
    pub(crate) counts: [u64; BOUNDS.len() + 1],
}

impl WaitHistogram {
    /// The number of waits.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The buckets in ascending order, each as its upper bound and its number of waits. A wait is
    /// counted in the first bucket whose bound it does not exceed. The last bucket has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.map(|micros| Some(Duration::from_micros(micros)));
        bounds.into_iter().chain([None]).zip(self.counts)
    }

    /// An upper bound of the shortest `share` of the waits, such as 0.99 for the 99th percentile. It is
    /// the bound of a bucket: at least 100 µs, and above that at most 2.5 times the exact value. `share`
    /// is limited to the range from 0 to 1. `None` if there were no waits, or if the result is above 50 s.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.count() as f64 * share.clamp(0.0, 1.0))
            .ceil()
            .max(1.0) as u64;
        let mut seen = 0;
        let (bound, _) = self.buckets().find(|(_, count)| {
            seen += count;
            seen >= rank
        })?;
        bound
    }
}

/// Shows the buckets that are not empty, by their bounds.
impl fmt::Debug for WaitHistogram {
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
