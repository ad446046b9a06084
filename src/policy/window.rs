//! Sums over the last seconds.

use std::time::{Duration, Instant};

/// Sums over the last ten seconds, in steps of one second. Older amounts are forgotten, so that an hour-old
/// failure at a low rate does not count.
#[derive(Debug)]
pub(crate) struct Window<const N: usize> {
    start: Instant,
    /// Number of the newest second, counted from the start.
    newest: u64,
    seconds: [[f64; N]; SECONDS as usize],
}

/// The span of a window.
pub(crate) const SPAN: Duration = Duration::from_secs(SECONDS);
const SECONDS: u64 = 10;

impl<const N: usize> Window<N> {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            newest: 0,
            seconds: [[0.0; N]; SECONDS as usize],
        }
    }

    pub(crate) fn add(&mut self, now: Instant, amounts: [f64; N]) {
        self.advance(now);
        let newest = &mut self.seconds[(self.newest % SECONDS) as usize];
        for (sum, amount) in newest.iter_mut().zip(amounts) {
            *sum += amount;
        }
    }

    pub(crate) fn sums(&mut self, now: Instant) -> [f64; N] {
        self.advance(now);
        let mut sums = [0.0; N];
        for second in self.seconds {
            for (sum, amount) in sums.iter_mut().zip(second) {
                *sum += amount;
            }
        }
        sums
    }

    fn advance(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.start).as_secs();
        let passed = second.saturating_sub(self.newest).min(SECONDS);
        self.newest = self.newest.max(second);
        for back in 0..passed {
            self.seconds[((self.newest - back) % SECONDS) as usize] = [0.0; N];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_older_than_ten_seconds_are_forgotten() {
        let start = Instant::now();
        let mut window = Window::new(start);
        for second in 0..30 {
            let now = start + Duration::from_secs(second);
            window.add(now, [1.0, second as f64]);
            let counted = (second + 1).min(10);
            let oldest = (second + 1).saturating_sub(10);
            let numbers: u64 = (oldest..=second).sum();
            assert_eq!(window.sums(now), [counted as f64, numbers as f64]);
        }
        let later = start + Duration::from_secs(36);
        assert_eq!(window.sums(later)[0], 3.0);
        assert_eq!(window.sums(later + SPAN), [0.0, 0.0]);
    }

    #[test]
    fn a_clock_reading_that_is_late_counts_as_now() {
        let start = Instant::now();
        let mut window = Window::new(start);
        window.add(start + Duration::from_secs(5), [1.0]);
        window.add(start, [1.0]);
        assert_eq!(window.sums(start + Duration::from_secs(14)), [2.0]);
    }
}
