//! How often something may be done that others ask for again and again.

use std::time::{Duration, Instant};

/// Lets the first request pass at once, the next after a pause, and each further one after twice as long, up
/// to a limit. After a while without any, all begins anew.
#[derive(Debug)]
pub(crate) struct Pace {
    limit: Duration,
    /// When one passed last, and the pause before the next.
    last: Option<(Instant, Duration)>,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// After this time without one, the next passes at once again.
const FORGET_AFTER: Duration = Duration::from_secs(10);

impl Pace {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, last: None }
    }

    /// Whether a request passes now.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        let pause = match self.last {
            None => FIRST_PAUSE,
            Some((last, pause)) => match now.saturating_duration_since(last) {
                passed if passed < pause => return false,
                passed if passed < FORGET_AFTER => (2 * pause).min(self.limit),
                _ => FIRST_PAUSE,
            },
        };
        self.last = Some((now, pause));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_without_end_pass_ever_more_seldom_and_after_a_rest_at_once() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(2));
        let mut passed = Vec::new();
        for millis in 0..20_000 {
            if pace.allows(start + Duration::from_millis(millis)) {
                passed.push(millis);
            }
        }
        assert_eq!(passed[..6], [0, 100, 300, 700, 1_500, 3_100]);
        let last: Vec<_> = passed.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(last.last(), Some(&2_000));
        let later = start + Duration::from_secs(40);
        assert!(pace.allows(later));
        assert!(pace.allows(later + FIRST_PAUSE));
    }
}
