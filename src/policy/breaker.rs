//! The circuit breaker of one database.

use std::time::{Duration, Instant};

use super::window::Window;
use crate::events::CircuitState;

/// Opens after a number of failures in a row, or when too many of the calls of the last ten seconds failed
/// or were slow, and closes again by way of half-open.
///
/// Only a successful probe makes an open circuit half-open: time alone does not, and no call of a caller is
/// risked for it. A half-open circuit closes after a few successes, of probes or trials, and opens again when a
/// probe or half of the trials fail. Each time that it opens again soon, the next half-open circuit asks for a longer
/// [`Proof`]. If a half-open circuit opens again, probes succeed and commands fail, so that the next probe
/// pauses, longer each time, up to [`MAX_PAUSE`], with equal jitter (as in Finagle's failure accrual). No
/// other outage has a pause, because that would lengthen the outage of a server that is well again.
#[derive(Debug)]
pub(crate) struct Breaker {
    threshold: u32,
    /// The longest time of a proof.
    recovery_timeout: Duration,
    state: State,
    /// Times in a row that it opened again soon after it had been half-open or closed.
    relapses: u32,
    /// Times in a row that it opened again while it was half-open.
    refuted: u32,
    last_closed: Option<Instant>,
    /// Calls, failures and slow calls of the last ten seconds.
    recent: Window<3>,
    isolated: bool,
}

#[derive(Debug)]
enum State {
    /// Failures in a row. Failures of commands and of attempts to reach the server are counted apart,
    /// because a server may accept connections and run no commands: only a successful command resets the
    /// failures of commands.
    Closed {
        commands: u32,
        attempts: u32,
    },
    Open {
        probe_from: Instant,
    },
    HalfOpen {
        since: Instant,
        successes: u32,
        failures: u32,
    },
}

/// What a half-open circuit asks for before it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Successes of probes or trials. Fewer than half of the trials may fail meanwhile.
    pub(crate) successes: u32,
    /// The least time between the first success and the last.
    pub(crate) lasting: Duration,
    /// The most trials at a time.
    pub(crate) trials: u32,
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// A caller's command, or a connection with commands on it.
    Command,
    /// A dial, a probe, or a check of the endpoint.
    Attempt,
}

/// The calls that have ended since the last observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) calls: u64,
    pub(crate) slow: u64,
}

/// The excess that an [`observation`](Breaker::observe) showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Failures,
    Slowness,
}

/// With fewer calls than this in the window a ratio is not meaningful (as in Hystrix).
const MIN_CALLS: f64 = 20.0;
/// The share of failed calls in the window that opens the circuit (as in Hystrix).
const FAILURE_RATIO: f64 = 0.5;
/// The share of slow calls in the window that opens the circuit. A server at its limit is slow for nearly all
/// calls; a few expensive commands do not reach this share.
const SLOW_RATIO: f64 = 0.8;
/// Successes that close a half-open circuit after a first outage.
pub(crate) const CLOSING_SUCCESSES: u32 = 3;
/// The most successes that a proof asks for.
const MOST_SUCCESSES: u32 = 15;
/// The trials at a time after a first outage. Each relapse takes one away.
const MOST_TRIALS: u32 = 5;
/// The time of the proof after a first relapse. It doubles with each relapse, up to the recovery timeout.
const FIRST_PROOF: Duration = Duration::from_millis(50);
/// The pause before the probe after a half-open circuit has opened again. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause, so that every outage ends within 2 s of the server answering.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// If a circuit opens again within this time after it closed, the server had not recovered.
const STABLE_AFTER: Duration = Duration::from_secs(30);

impl Breaker {
    pub(crate) fn new(threshold: u32, recovery_timeout: Duration, now: Instant) -> Self {
        Self {
            threshold,
            recovery_timeout,
            state: State::closed(),
            relapses: 0,
            refuted: 0,
            last_closed: None,
            recent: Window::new(now),
            isolated: false,
        }
    }

    /// Takes other limits, which hold from the next failure or success on.
    pub(crate) fn change(&mut self, threshold: u32, recovery_timeout: Duration) {
        self.threshold = threshold;
        self.recovery_timeout = recovery_timeout;
    }

    pub(crate) fn circuit(&self) -> CircuitState {
        if self.isolated {
            return CircuitState::Open;
        }
        match self.state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// A failure that counts against the database. `jitter` is a random number from 0 to 1.
    pub(crate) fn failed(&mut self, kind: Failed, now: Instant, jitter: f64) {
        if kind == Failed::Command {
            self.recent.add(now, [0.0, 1.0, 0.0]);
        }
        match &mut self.state {
            State::Closed { commands, attempts } => {
                match kind {
                    Failed::Command => *commands += 1,
                    Failed::Attempt => *attempts += 1,
                }
                if commands.saturating_add(*attempts) >= self.threshold {
                    self.open(now, jitter);
                }
            }
            // As many failures as a closed circuit tolerates do not open it again: a server that always fails some
            // commands would stay out of service for good.
            State::HalfOpen {
                successes,
                failures,
                ..
            } if kind == Failed::Command => {
                *failures += 1;
                let total = f64::from(*successes) + f64::from(*failures);
                if f64::from(*failures) >= FAILURE_RATIO * total {
                    self.relapse(now, jitter);
                }
            }
            State::HalfOpen { .. } => self.relapse(now, jitter),
            State::Open { .. } => {}
        }
    }

    /// Calls have ended. Opens a closed circuit if too many of the recent ones failed or were slow.
    pub(crate) fn observe(&mut self, seen: Observed, now: Instant, jitter: f64) -> Option<Excess> {
        let amounts = [seen.calls as f64, 0.0, seen.slow as f64];
        self.recent.add(now, amounts);
        let State::Closed { .. } = self.state else {
            return None;
        };
        let [calls, failures, slow] = self.recent.sums(now);
        // One failure stands for all calls on a lost connection, and a slow call can still be under way.
        // Neither is sure to be among the calls that have ended.
        let excess = if calls.max(failures) >= MIN_CALLS && failures >= FAILURE_RATIO * calls {
            Excess::Failures
        } else if calls.max(slow) >= MIN_CALLS && slow >= SLOW_RATIO * calls {
            Excess::Slowness
        } else {
            return None;
        };
        self.open(now, jitter);
        Some(excess)
    }

    /// Keeps the circuit open until [`reset`](Self::reset), whatever happens meanwhile.
    pub(crate) fn isolate(&mut self) {
        self.isolated = true;
    }

    pub(crate) fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// Closes the circuit, and forgets all failures.
    pub(crate) fn reset(&mut self, now: Instant) {
        *self = Self::new(self.threshold, self.recovery_timeout, now);
    }

    /// The server refuses this client, or is no Redis server: more attempts would only make callers wait.
    pub(crate) fn trip(&mut self, now: Instant, jitter: f64) {
        match self.state {
            State::Closed { .. } => self.open(now, jitter),
            State::HalfOpen { .. } => self.relapse(now, jitter),
            State::Open { .. } => {}
        }
    }

    /// A command succeeded.
    pub(crate) fn succeeded(&mut self, now: Instant) {
        let proof = self.proof();
        match &mut self.state {
            State::Closed { .. } => self.state = State::closed(),
            State::HalfOpen {
                since, successes, ..
            } => {
                *successes += 1;
                let lasted = now.saturating_duration_since(*since);
                if *successes >= proof.successes && lasted >= proof.lasting {
                    self.state = State::closed();
                    self.refuted = 0;
                    self.last_closed = Some(now);
                    // Calls from before or during the outage must not open the circuit again.
                    self.recent = Window::new(now);
                }
            }
            // The command was admitted before the circuit opened, and says nothing about the present.
            State::Open { .. } => {}
        }
    }

    /// A connection was opened and proved itself.
    pub(crate) fn probe_succeeded(&mut self, now: Instant) {
        match &mut self.state {
            State::Open { probe_from } if *probe_from <= now => {
                self.state = State::HalfOpen {
                    since: now,
                    successes: 0,
                    failures: 0,
                };
            }
            State::Open { .. } => {}
            State::Closed { attempts, .. } => *attempts = 0,
            State::HalfOpen { .. } => self.succeeded(now),
        }
    }

    fn relapse(&mut self, now: Instant, jitter: f64) {
        self.last_closed = Some(now);
        self.refuted += 1;
        self.open(now, jitter);
    }

    fn open(&mut self, now: Instant, jitter: f64) {
        let is_relapse = self
            .last_closed
            .is_some_and(|closed| now.saturating_duration_since(closed) < STABLE_AFTER);
        self.relapses = if is_relapse { self.relapses + 1 } else { 0 };
        let pause = doubled(FIRST_PAUSE, self.refuted).min(MAX_PAUSE);
        self.state = State::Open {
            probe_from: now + pause.mul_f64(0.5 + 0.5 * jitter),
        };
    }

    /// What closes the circuit once it is half-open.
    pub(crate) fn proof(&self) -> Proof {
        let relapses = self.relapses;
        Proof {
            successes: CLOSING_SUCCESSES
                .saturating_mul(relapses.saturating_add(1))
                .min(MOST_SUCCESSES),
            lasting: doubled(FIRST_PROOF, relapses).min(self.recovery_timeout),
            trials: MOST_TRIALS.saturating_sub(relapses).max(1),
        }
    }

    /// The least time that an open circuit waits before the next probe.
    pub(crate) fn pause(&self, now: Instant) -> Duration {
        match self.state {
            State::Open { probe_from } => probe_from.saturating_duration_since(now),
            State::Closed { .. } | State::HalfOpen { .. } => Duration::ZERO,
        }
    }
}

/// The first duration, doubled with each relapse after the first; zero without one.
fn doubled(first: Duration, relapses: u32) -> Duration {
    match relapses.checked_sub(1) {
        None => Duration::ZERO,
        Some(more) => first.saturating_mul(2_u32.saturating_pow(more)),
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
#[path = "breaker_tests.rs"]
mod tests;
