//! The pauses between attempts to open a connection.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::events::Reason;

/// The pace at which one endpoint or one database is tried while it fails.
///
/// An unreachable endpoint is tried often at first, and then in proportion to the length of the outage: a
/// step of 1 % makes the pause about a hundredth of the outage. So a recovery is noticed within 100 ms
/// after outages of up to some 5 s, and within 1 % of longer ones, up to the cap. A full server has room as
/// soon as a client leaves, so it is tried as often. A server that refuses this client will refuse it
/// again, so it is tried seldom, but often enough that an outage ends within 2 s of its acceptance.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    pauses: Option<(Pace, ExponentialBackoff)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Quick,
    Slow,
}

const QUICK_MIN: Duration = Duration::from_millis(25);
const QUICK_MAX: Duration = Duration::from_secs(2);
const QUICK_STEP: f32 = 1.01;
const SLOW_MIN: Duration = Duration::from_secs(1);
const SLOW_MAX: Duration = Duration::from_secs(2);
const SLOW_STEP: f32 = 2.0;

impl Backoff {
    /// The pause before the next attempt, after one that failed for this reason. `jitter` is a random
    /// number from 0 to 1. It shortens the pause by up to a quarter, so that clients that were cut off
    /// together do not come back together.
    pub(crate) fn pause(&mut self, reason: Reason, jitter: f64) -> Duration {
        let pace = pace(reason);
        let pause = match &mut self.pauses {
            Some((current, pauses)) if *current == pace => pauses.next(),
            _ => {
                let (_, pauses) = self.pauses.insert((pace, pauses(pace)));
                pauses.next()
            }
        };
        let pause = pause.expect("BUG: the schedule has no limit on attempts");
        pause.mul_f64(1.0 - 0.25 * jitter)
    }

    /// An attempt succeeded: the next failure starts with the shortest pause.
    pub(crate) fn reset(&mut self) {
        self.pauses = None;
    }
}

/// Whether a failure for this reason is an answer of the server, so that the question whether anything
/// answers at its address is of no use.
pub(crate) fn is_an_answer(reason: Reason) -> bool {
    is_final(reason) || reason == Reason::ServerFull
}

/// Whether the server will refuse this client again, until an operator has changed something.
pub(crate) fn is_final(reason: Reason) -> bool {
    pace(reason) == Pace::Slow
}

fn pace(reason: Reason) -> Pace {
    match reason {
        Reason::Rejected | Reason::NotRedis | Reason::TlsFailed | Reason::NoCredentials => {
            Pace::Slow
        }
        _ => Pace::Quick,
    }
}

fn pauses(pace: Pace) -> ExponentialBackoff {
    let (min, max, step) = match pace {
        Pace::Quick => (QUICK_MIN, QUICK_MAX, QUICK_STEP),
        Pace::Slow => (SLOW_MIN, SLOW_MAX, SLOW_STEP),
    };
    ExponentialBuilder::default()
        .with_min_delay(min)
        .with_max_delay(max)
        .with_factor(step)
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(reason: Reason) -> impl Iterator<Item = Duration> {
        let mut backoff = Backoff::default();
        std::iter::repeat_with(move || backoff.pause(reason, 0.0))
    }

    #[test]
    fn pauses_for_an_unreachable_endpoint_grow_with_the_outage() {
        let mut outage = Duration::ZERO;
        for pause in schedule(Reason::Unreachable).take(2_000) {
            assert!(pause >= QUICK_MIN && pause <= QUICK_MAX);
            let proportion = QUICK_MIN + outage.mul_f64(0.0101);
            assert!(pause <= proportion, "{pause:?} after {outage:?}");
            outage += pause;
        }
        assert!(outage > Duration::from_secs(600), "the cap was reached");
    }

    #[test]
    fn a_rejected_client_tries_seldom() {
        let pauses: Vec<_> = schedule(Reason::Rejected).take(3).collect();
        assert_eq!(pauses, [SLOW_MIN, SLOW_MAX, SLOW_MAX]);
    }

    #[test]
    fn jitter_only_shortens_and_a_success_resets() {
        let mut backoff = Backoff::default();
        for _ in 0..500 {
            let _ = backoff.pause(Reason::Unreachable, 0.5);
        }
        backoff.reset();
        let pause = backoff.pause(Reason::Unreachable, 1.0);
        assert_eq!(pause, QUICK_MIN.mul_f64(0.75));
    }
}
