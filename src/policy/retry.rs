//! The rules of retries: whether, when, and how often a command is sent again.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};

use super::{
    outcome::RetryAdvice,
    window::{SPAN, Window},
};

/// Whether commands may run twice, by the caller's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Idempotence {
    /// The caller has not said so: commands that only read may run twice.
    #[default]
    ByCommand,
    /// All commands may run twice.
    Yes,
    /// No command may run twice, not even one that only reads.
    No,
}

/// The condition under which the next attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// After a pause.
    After(Duration),
    /// As soon as there is another connection.
    Elsewhere,
    /// As soon as there is another connection, which means that the server is ready. It takes no token of
    /// the budget, because it adds no load to a server that would refuse it again.
    OnceReady,
}

/// The next attempt after so many attempts of at most so many, if another may follow. `jitter` is a random number from 0 to 1.
/// The pause is a random part of a limit that doubles ("full jitter"), so that callers that failed together
/// do not come back together.
pub(crate) fn next(
    again: RetryAdvice,
    idempotence: Idempotence,
    is_read_only: impl FnOnce() -> bool,
    (attempts, max_attempts): (u32, u32),
    jitter: f64,
) -> Option<Next> {
    if attempts >= max_attempts {
        return None;
    }
    let may_run_twice = || match idempotence {
        Idempotence::ByCommand => is_read_only(),
        Idempotence::Yes => true,
        Idempotence::No => false,
    };
    let pause = || Next::After(limit(attempts).mul_f64(jitter));
    match again {
        RetryAdvice::Never => None,
        RetryAdvice::Always => Some(pause()),
        // Only once. A command that breaks every connection that it is sent on must not break three. If
        // the second connection leads to the wrong server too, there is no other. And retries that take
        // no token of the budget need a bound.
        RetryAdvice::Elsewhere | RetryAdvice::ElsewhereIfIdempotent | RetryAdvice::OnceReady
            if attempts > 1 =>
        {
            None
        }
        RetryAdvice::Elsewhere => Some(Next::Elsewhere),
        RetryAdvice::OnceReady => Some(Next::OnceReady),
        RetryAdvice::ElsewhereIfIdempotent => may_run_twice().then_some(Next::Elsewhere),
        RetryAdvice::IfIdempotent => may_run_twice().then(pause),
    }
}

fn limit(attempts: u32) -> Duration {
    let schedule = ExponentialBuilder::default()
        .with_min_delay(FIRST_LIMIT)
        .with_max_delay(LAST_LIMIT)
        .with_factor(2.0)
        .without_max_times();
    let mut limits = schedule.build().skip(attempts as usize - 1);
    limits
        .next()
        .expect("BUG: the schedule has no limit on attempts")
}

const FIRST_LIMIT: Duration = Duration::from_millis(8);
const LAST_LIMIT: Duration = Duration::from_millis(512);

/// The budget of retries: a fifth of the calls of the last ten seconds, and ten a second for databases with
/// few calls (the defaults of Finagle's and tower's retry budgets). When all calls fail, a server in trouble
/// gets a fifth more attempts, and not three times as many.
#[derive(Debug)]
pub(crate) struct Budget {
    tokens: Window<1>,
    reserve: f64,
    calls: u64,
    updated: Instant,
}

const SHARE: f64 = 0.2;
const RESERVE_PER_SECOND: f64 = 10.0;

impl Budget {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            tokens: Window::new(now),
            reserve: RESERVE_PER_SECOND,
            calls: 0,
            updated: now,
        }
    }

    /// Takes a token for one retry, and tells whether there was one. `calls` counts all calls so far, so a
    /// call without a retry pays nothing for the budget.
    pub(crate) fn withdraw(&mut self, calls: u64, now: Instant) -> bool {
        self.deposit(calls, now);
        let [tokens] = self.tokens.sums(now);
        if tokens >= 1.0 {
            self.tokens.add(now, [-1.0]);
            return true;
        }
        let is_permitted = self.reserve >= 1.0;
        if is_permitted {
            self.reserve -= 1.0;
        }
        is_permitted
    }

    fn deposit(&mut self, calls: u64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated);
        self.updated = self.updated.max(now);
        let refill = RESERVE_PER_SECOND * elapsed.as_secs_f64();
        self.reserve = (self.reserve + refill).min(RESERVE_PER_SECOND);
        let since = calls.saturating_sub(self.calls) as f64;
        self.calls = self.calls.max(calls);
        // After a longer pause only the calls of the last ten seconds count. They are assumed to be spread
        // evenly.
        let recent = since * SPAN.as_secs_f64() / elapsed.max(SPAN).as_secs_f64();
        self.tokens.add(now, [SHARE * recent]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next_of(again: RetryAdvice, idempotence: Idempotence, is_read_only: bool) -> Option<Next> {
        next(again, idempotence, || is_read_only, (1, 3), 1.0)
    }

    #[test]
    fn a_command_that_may_have_run_is_retried_only_if_idempotent() {
        use Idempotence::{ByCommand, No, Yes};
        for (idempotence, is_read_only, expected) in [
            (ByCommand, true, true),
            (ByCommand, false, false),
            (Yes, true, true),
            (Yes, false, true),
            (No, true, false),
            (No, false, false),
        ] {
            for again in [
                RetryAdvice::IfIdempotent,
                RetryAdvice::ElsewhereIfIdempotent,
            ] {
                let next = next_of(again, idempotence, is_read_only);
                assert_eq!(next.is_some(), expected, "{idempotence:?} {is_read_only}");
            }
            // A command that did not run is retried in any case.
            assert!(next_of(RetryAdvice::Always, idempotence, is_read_only).is_some());
            assert!(next_of(RetryAdvice::Elsewhere, idempotence, is_read_only).is_some());
            assert!(next_of(RetryAdvice::OnceReady, idempotence, is_read_only).is_some());
            assert_eq!(next_of(RetryAdvice::Never, idempotence, is_read_only), None);
        }
    }

    #[test]
    fn attempts_are_limited_and_pauses_double() {
        let after = |attempts, jitter| match next(
            RetryAdvice::Always,
            Idempotence::No,
            || true,
            (attempts, 3),
            jitter,
        ) {
            Some(Next::After(pause)) => Some(pause.as_millis()),
            other => {
                assert_eq!(other, None);
                None
            }
        };
        assert_eq!(after(1, 1.0), Some(8));
        assert_eq!(after(1, 0.5), Some(4));
        assert_eq!(after(2, 1.0), Some(16));
        assert_eq!(after(3, 1.0), None);
        let again = RetryAdvice::Always;
        let only = next(again, Idempotence::Yes, || true, (1, 1), 1.0);
        assert_eq!(only, None, "a setting of 1 sends nothing again");
        let lost = |attempts| {
            let again = RetryAdvice::ElsewhereIfIdempotent;
            next(again, Idempotence::Yes, || true, (attempts, 3), 1.0)
        };
        assert_eq!(lost(1), Some(Next::Elsewhere));
        assert_eq!(lost(2), None, "the command may break its connections");
        let loading = |attempts| {
            next(
                RetryAdvice::OnceReady,
                Idempotence::No,
                || true,
                (attempts, 3),
                1.0,
            )
        };
        assert_eq!(loading(1), Some(Next::OnceReady));
        assert_eq!(loading(2), None, "retries outside the budget are bounded");
    }

    #[test]
    fn a_database_with_few_calls_has_ten_retries_a_second() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let mut permitted = 0;
        for millis in 0..10_000 {
            let now = start + Duration::from_millis(millis);
            permitted += u32::from(budget.withdraw(0, now));
        }
        assert!((100..=110).contains(&permitted), "{permitted}");
    }

    #[test]
    fn calls_before_the_window_grant_no_retries() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert!(budget.withdraw(1_000_000, start + Duration::from_secs(1)));
        let later = start + Duration::from_secs(60);
        let permitted = (0..1_000)
            .filter(|_| budget.withdraw(1_000_000, later))
            .count();
        assert_eq!(permitted, 10);
    }

    proptest! {
        /// Every call fails and asks for retries at once, at random moments.
        #[test]
        fn retries_are_a_fifth_of_the_calls_and_ten_a_second(
            gaps in prop::collection::vec(0..50_u64, 1..2_000),
        ) {
            let start = Instant::now();
            let mut budget = Budget::new(start);
            let (mut now, mut retries) = (start, 0);
            for (calls, gap) in gaps.iter().enumerate() {
                now += Duration::from_millis(*gap);
                for _ in 1..3 {
                    retries += u32::from(budget.withdraw(calls as u64 + 1, now));
                }
            }
            let seconds = (now - start).as_secs_f64();
            let bound = SHARE * gaps.len() as f64 + RESERVE_PER_SECOND * (seconds + 1.0);
            prop_assert!(f64::from(retries) <= bound + 1e-6, "{retries} > {bound}");
        }
    }
}
