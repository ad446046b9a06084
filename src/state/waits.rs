//! The histogram of the waits for connections.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::stats::{BOUNDS, WaitHistogram};

/// The waits, in the buckets of a [`WaitHistogram`].
#[derive(Debug, Default)]
pub(crate) struct Waits([AtomicU64; BOUNDS.len() + 1]);

impl Waits {
    pub(crate) fn record(&self, wait: Duration) {
        let micros = wait.as_micros() as u64;
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.0[bucket].fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> WaitHistogram {
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
            buckets
                .find(|bucket| bucket.0 == bound)
                .expect("a bucket")
                .1
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
