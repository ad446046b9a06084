//! The limit on restarts of a crashed actor.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The restart intensity of one child: at most 5 restarts in 10 s, as Erlang's supervisors count them, with
/// a growing pause before each.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    recent: VecDeque<Instant>,
}

const MAX_RESTARTS: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The decision about a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    RestartAfter(Duration),
    GiveUp,
}

impl Restarts {
    /// Decides about a crash at `now`.
    pub(crate) fn crashed(&mut self, now: Instant) -> Decision {
        while let Some(first) = self.recent.front()
            && now.duration_since(*first) > WINDOW
        {
            self.recent.pop_front();
        }
        if self.recent.len() >= MAX_RESTARTS {
            return Decision::GiveUp;
        }
        let pause = FIRST_PAUSE * 2_u32.pow(self.recent.len() as u32);
        self.recent.push_back(now);
        Decision::RestartAfter(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_is_given_up_and_rare_crashes_are_not() {
        let start = Instant::now();
        let mut restarts = Restarts::default();
        for crash in 0..MAX_RESTARTS {
            let decision = restarts.crashed(start);
            let pause = FIRST_PAUSE * 2_u32.pow(crash as u32);
            assert_eq!(decision, Decision::RestartAfter(pause));
        }
        assert_eq!(restarts.crashed(start), Decision::GiveUp);

        let mut restarts = Restarts::default();
        for minute in 0..100 {
            let now = start + Duration::from_secs(60 * minute);
            assert_eq!(restarts.crashed(now), Decision::RestartAfter(FIRST_PAUSE));
        }
    }
}
