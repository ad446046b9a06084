//! How long callers waited.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds in microseconds: 1, 2 and 5 times the powers of ten, from 100 us to 50 s.
const BOUNDS: [u64; 18] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
];

/// How long callers waited, in buckets of 1, 2 and 5 times the powers of ten from 100 us to 50 s.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitHistogram {
    counts: [u64; BOUNDS.len() + 1],
}

impl WaitHistogram {
    /// How many waits there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The buckets: how many waits were at most so long, and longer than the bucket before. The last
    /// has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.iter().map(|it| Some(Duration::from_micros(*it)));
        bounds.chain([None]).zip(self.counts)
    }

    /// What the given share of the waits, from 0 to 1, did not exceed: the bound of its bucket. `None`
    /// when there were no waits, or it is above 50 s.
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

/// The buckets that are not empty, by their bounds.
impl fmt::Debug for WaitHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (bound, count) in self.buckets().filter(|it| it.1 > 0) {
            match bound {
                Some(bound) => map.entry(&format_args!("<= {bound:?}"), &count),
                None => map.entry(&format_args!("longer"), &count),
            };
        }
        map.finish()
    }
}

/// Counts waits.
#[derive(Debug, Default)]
pub(crate) struct Waits([AtomicU64; BOUNDS.len() + 1]);

impl Waits {
    pub(crate) fn record(&self, wait: Duration) {
        let micros = wait.as_micros() as u64;
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.0[bucket].fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self) -> WaitHistogram {
        WaitHistogram {
            counts: std::array::from_fn(|bucket| self.0[bucket].load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_fall_into_the_bucket_that_bounds_them() {
        let waits = Waits::default();
        assert_eq!(waits.snapshot().quantile(0.5), None);
        for micros in [0, 100, 101, 3_000, 60_000_000] {
            waits.record(Duration::from_micros(micros));
        }
        let histogram = waits.snapshot();
        assert_eq!(histogram.count(), 5);
        let of = |bound| {
            let mut buckets = histogram.buckets();
            buckets.find(|it| it.0 == bound).expect("a bucket").1
        };
        assert_eq!(of(Some(Duration::from_micros(100))), 2);
        assert_eq!(of(Some(Duration::from_micros(200))), 1);
        assert_eq!(of(Some(Duration::from_millis(5))), 1);
        assert_eq!(of(None), 1);
        assert_eq!(histogram.quantile(0.0), Some(Duration::from_micros(100)));
        assert_eq!(histogram.quantile(0.6), Some(Duration::from_micros(200)));
        assert_eq!(histogram.quantile(0.8), Some(Duration::from_millis(5)));
        assert_eq!(histogram.quantile(1.0), None);
        assert_eq!(
            format!("{histogram:?}"),
            "{<= 100µs: 2, <= 200µs: 1, <= 5ms: 1, longer: 1}"
        );
    }
}
