//! How long callers waited.

use std::{fmt, time::Duration};

/// Upper bounds in microseconds: 1, 2 and 5 times the powers of ten, from 100 us to 50 s.
pub(crate) const BOUNDS: [u64; 18] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
];

/// How long callers waited, in buckets of 1, 2 and 5 times the powers of ten from 100 us to 50 s.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitHistogram {
    pub(crate) counts: [u64; BOUNDS.len() + 1],
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
