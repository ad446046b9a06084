//! The circuit breaker of one database.

use std::time::{Duration, Instant};

use crate::events::CircuitState;

/// Opens after a number of failures in a row, and closes again by way of half-open.
///
/// Open to half-open takes a probe that succeeded; time alone never does it, and no caller is
/// sacrificed for it. A half-open circuit closes after a few successes, of probes or trials,
/// and opens again on the first failure. When it opens again soon, probes pause, longer each time,
/// with equal jitter (as Finagle's failure accrual does it).
#[derive(Debug)]
pub(crate) struct Breaker {
    threshold: u32,
    recovery_timeout: Duration,
    state: State,
    // How often in a row it opened again soon after it had been half-open.
    relapses: u32,
    last_closed: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// Failures in a row. Those of commands and those of attempts to reach the server are counted
    /// apart, because a server may greet everybody and serve nobody: only a command that succeeds
    /// shows that commands do.
    Closed {
        commands: u32,
        attempts: u32,
    },
    Open {
        probe_from: Instant,
    },
    HalfOpen {
        successes: u32,
    },
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// A caller's command, or the connection with commands on it.
    Command,
    /// A dial, a knock or a probe.
    Attempt,
}

/// Successes that close a half-open circuit.
pub(crate) const CLOSING_SUCCESSES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A circuit that opens again within this time after it has closed had not recovered.
const STABLE_AFTER: Duration = Duration::from_secs(30);

impl Breaker {
    pub(crate) fn new(threshold: u32, recovery_timeout: Duration) -> Self {
        Self {
            threshold,
            recovery_timeout,
            state: State::closed(),
            relapses: 0,
            last_closed: None,
        }
    }

    pub(crate) fn circuit(&self) -> CircuitState {
        match self.state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// Something counted against the database. `jitter` is a random number from 0 to 1.
    pub(crate) fn failed(&mut self, what: Failed, now: Instant, jitter: f64) {
        match &mut self.state {
            State::Closed { commands, attempts } => {
                match what {
                    Failed::Command => *commands += 1,
                    Failed::Attempt => *attempts += 1,
                }
                if commands.saturating_add(*attempts) >= self.threshold {
                    self.open(now, jitter);
                }
            }
            State::HalfOpen { .. } => self.relapse(now, jitter),
            State::Open { .. } => {}
        }
    }

    /// The server refuses this client, or is none: trying on would only make callers wait.
    pub(crate) fn trip(&mut self, now: Instant, jitter: f64) {
        match self.state {
            State::Closed { .. } => self.open(now, jitter),
            State::HalfOpen { .. } => self.relapse(now, jitter),
            State::Open { .. } => {}
        }
    }

    /// A command succeeded while the circuit let it pass.
    pub(crate) fn succeeded(&mut self, now: Instant) {
        match &mut self.state {
            State::Closed { .. } => self.state = State::closed(),
            State::HalfOpen { successes } => {
                *successes += 1;
                if *successes >= CLOSING_SUCCESSES {
                    self.state = State::closed();
                    self.last_closed = Some(now);
                }
            }
            // It was admitted before the circuit opened, and says nothing about now.
            State::Open { .. } => {}
        }
    }

    /// A connection was opened and proved itself.
    pub(crate) fn probe_succeeded(&mut self, now: Instant) {
        match &mut self.state {
            State::Open { probe_from } if *probe_from <= now => {
                self.state = State::HalfOpen { successes: 0 };
            }
            State::Open { .. } => {}
            State::Closed { attempts, .. } => *attempts = 0,
            State::HalfOpen { .. } => self.succeeded(now),
        }
    }

    fn relapse(&mut self, now: Instant, jitter: f64) {
        self.last_closed = Some(now);
        self.open(now, jitter);
    }

    fn open(&mut self, now: Instant, jitter: f64) {
        let is_relapse = self
            .last_closed
            .is_some_and(|closed| now.saturating_duration_since(closed) < STABLE_AFTER);
        let pause = match is_relapse {
            true => {
                let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.relapses));
                self.relapses += 1;
                doubled
                    .min(self.recovery_timeout)
                    .mul_f64(0.5 + 0.5 * jitter)
            }
            false => {
                self.relapses = 0;
                Duration::ZERO
            }
        };
        self.state = State::Open {
            probe_from: now + pause,
        };
    }

    /// How long an open circuit waits at least before the next probe.
    pub(crate) fn pause(&self, now: Instant) -> Duration {
        match self.state {
            State::Open { probe_from } => probe_from.saturating_duration_since(now),
            State::Closed { .. } | State::HalfOpen { .. } => Duration::ZERO,
        }
    }
}

impl State {
    fn closed() -> Self {
        Self::Closed {
            commands: 0,
            attempts: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECOVERY: Duration = Duration::from_secs(60);

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(5, RECOVERY);
        for _ in 0..5 {
            assert_eq!(breaker.circuit(), CircuitState::Closed);
            breaker.failed(Failed::Command, now, 0.0);
        }
        assert_eq!(breaker.circuit(), CircuitState::Open);
        breaker
    }

    #[test]
    fn failures_must_come_in_a_row() {
        let now = Instant::now();
        let mut breaker = Breaker::new(5, RECOVERY);
        for _ in 0..100 {
            breaker.failed(Failed::Command, now, 0.0);
            breaker.failed(Failed::Attempt, now, 0.0);
            breaker.succeeded(now);
        }
        assert_eq!(breaker.circuit(), CircuitState::Closed);
    }

    #[test]
    fn a_server_that_greets_and_does_not_serve_opens_it() {
        let now = Instant::now();
        let mut breaker = Breaker::new(5, RECOVERY);
        for _ in 0..4 {
            breaker.failed(Failed::Command, now, 0.0);
            breaker.probe_succeeded(now);
            assert_eq!(breaker.circuit(), CircuitState::Closed);
        }
        breaker.failed(Failed::Command, now, 0.0);
        assert_eq!(breaker.circuit(), CircuitState::Open);
    }

    #[test]
    fn an_endpoint_that_flaps_does_not() {
        let now = Instant::now();
        let mut breaker = Breaker::new(5, RECOVERY);
        for _ in 0..100 {
            breaker.failed(Failed::Attempt, now, 0.0);
            breaker.probe_succeeded(now);
        }
        assert_eq!(breaker.circuit(), CircuitState::Closed);
    }

    #[test]
    fn a_probe_opens_it_halfway_and_successes_close_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.succeeded(now);
        assert_eq!(breaker.circuit(), CircuitState::Open, "a late result");
        breaker.probe_succeeded(now);
        for _ in 0..CLOSING_SUCCESSES {
            assert_eq!(breaker.circuit(), CircuitState::HalfOpen);
            breaker.succeeded(now);
        }
        assert_eq!(breaker.circuit(), CircuitState::Closed);
    }

    #[test]
    fn relapses_lengthen_the_pause_up_to_the_recovery_timeout() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        let mut last = Duration::ZERO;
        for _ in 0..12 {
            now += breaker.pause(now);
            breaker.probe_succeeded(now);
            assert_eq!(breaker.circuit(), CircuitState::HalfOpen);
            breaker.failed(Failed::Attempt, now, 1.0);
            assert_eq!(breaker.circuit(), CircuitState::Open);
            assert!(breaker.pause(now) >= last);
            last = breaker.pause(now);
            breaker.probe_succeeded(now);
            assert_eq!(breaker.circuit(), CircuitState::Open, "the pause is kept");
        }
        assert_eq!(last, RECOVERY);
    }

    proptest! {
        /// Whatever happens, a breaker that is open gets out of it by probes and successes.
        #[test]
        fn it_never_sticks(events in prop::collection::vec(0..5_u8, 0..200)) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(3, RECOVERY);
            for event in events {
                match event {
                    0 => breaker.failed(Failed::Command, now, 0.5),
                    1 => breaker.failed(Failed::Attempt, now, 0.5),
                    2 => breaker.succeeded(now),
                    3 => breaker.trip(now, 0.5),
                    _ => breaker.probe_succeeded(now),
                }
                now += Duration::from_millis(100);
            }
            now += breaker.pause(now);
            for _ in 0..=CLOSING_SUCCESSES {
                breaker.probe_succeeded(now);
            }
            breaker.succeeded(now);
            prop_assert_eq!(breaker.circuit(), CircuitState::Closed);
        }
    }
}
