//! What the health actor knows of one database.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    dispatch::{Dispatcher, Outage},
    events::{Change, CircuitState, HealthState, Reason},
    messages::Retire,
    net::{DialError, Seen},
    policy::{
        admission::Passage,
        backoff::{Backoff, is_about_the_endpoint},
        breaker::{Breaker, Excess, Failed, Observed},
    },
};

/// One database under observation: its breaker, and what the last evidence was.
pub(super) struct Patient {
    pub(super) dispatcher: Arc<Dispatcher>,
    breaker: Breaker,
    /// The present epoch of the gate; evidence of an earlier one is ignored.
    epoch: u64,
    condition: Condition,
    cause: Option<Arc<str>>,
    /// A kind of command that it refuses while it runs others, and since when.
    limit: Option<(Reason, Instant)>,
    /// What the counters said when they were last looked at.
    counted: Counted,
    /// The pool has no connection and waits to be told when to dial.
    pub(super) wants_dial: bool,
    pub(super) is_probed: bool,
    pub(super) next_check: Instant,
    /// Paces what is not about the endpoint.
    pub(super) redial: Backoff,
    last_counted: Option<Instant>,
    last_reason: Option<Reason>,
    /// When an open circuit is probed next.
    next_probe: Instant,
    given_up: bool,
}

/// Commands so far.
#[derive(Clone, Copy, Default)]
struct Counted {
    calls: u64,
    slow: u64,
}

/// How soon a limited database is looked at again.
const LIMIT_CHECK: Duration = Duration::from_secs(1);
/// How long a refusal speaks for the present where no probe can tell.
const LIMIT_MEMORY: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Unknown,
    Well,
    Ill(Reason),
}

impl Patient {
    /// Observation begins anew, also after a restart of the health actor; what was given up stays so.
    pub(super) fn new(dispatcher: Arc<Dispatcher>, now: Instant) -> Self {
        let settings = &dispatcher.settings;
        let is_connected = dispatcher.routes.load().is_some();
        // The first checks are spread over the interval, so that many databases do not all
        // probe at once for ever.
        let is_isolated = dispatcher.is_isolated.load(Relaxed);
        let passage = match dispatcher.gate.passage() {
            Passage::Failed => Passage::Failed,
            _ if is_isolated => Passage::Isolated,
            _ => Passage::Free,
        };
        let first_check = settings.health_check_interval.mul_f64(fastrand::f64());
        let (threshold, recovery) = (settings.failure_threshold, settings.recovery_timeout);
        let mut breaker = Breaker::new(threshold, recovery, now.into_std());
        if is_isolated {
            breaker.isolate();
        }
        Self {
            breaker,
            epoch: dispatcher.gate.set(passage),
            condition: match is_connected {
                true => Condition::Well,
                false => Condition::Unknown,
            },
            cause: None,
            limit: None,
            counted: Counted::of(&dispatcher),
            wants_dial: false,
            is_probed: false,
            next_check: now + settings.health_check_interval / 2 + first_check / 2,
            redial: Backoff::default(),
            last_counted: None,
            last_reason: None,
            next_probe: now,
            given_up: passage == Passage::Failed,
            dispatcher,
        }
    }

    pub(super) fn circuit(&self) -> CircuitState {
        self.breaker.circuit()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn is_current(&self, epoch: u64) -> bool {
        epoch == self.epoch
    }

    /// Why the server could not be reached, with where it was looked for.
    pub(super) fn explain(&self, error: &DialError) -> Arc<str> {
        self.dispatcher.explain_dial(error)
    }

    /// Evidence against the database, counted.
    pub(super) fn failed(
        &mut self,
        what: Failed,
        reason: Reason,
        cause: Option<Arc<str>>,
        now: Instant,
    ) {
        // Successes are not reported one by one; the gate remembers that there were some.
        if self.dispatcher.gate.take_success() && self.circuit() == CircuitState::Closed {
            self.breaker.succeeded(now.into_std());
        }
        self.condition = Condition::Ill(reason);
        self.last_reason = Some(reason);
        self.cause = cause;
        let before = self.circuit();
        match reason {
            Reason::Rejected | Reason::NotRedis => {
                self.breaker.trip(now.into_std(), fastrand::f64());
            }
            _ => self.breaker.failed(what, now.into_std(), fastrand::f64()),
        }
        self.settle(before, now);
    }

    pub(super) fn is_loading(&mut self) {
        self.condition = Condition::Ill(Reason::Loading);
        self.cause = None;
    }

    /// An attempt to reach the server failed that nobody but the health actor made. Such attempts
    /// come as fast as they are paced, so they are counted at most four times per attempt timeout: where
    /// connections are refused, the circuit opens after about a second, and not for a quick restart.
    pub(super) fn attempt_failed(&mut self, reason: Reason, cause: Arc<str>, now: Instant) {
        let pace = self.dispatcher.settings.attempt_timeout / 4;
        let is_early = self.last_counted.is_some_and(|last| now - last < pace);
        if is_early && is_about_the_endpoint(reason) {
            return;
        }
        self.last_counted = Some(now);
        self.failed(Failed::Attempt, reason, Some(cause), now);
    }

    /// The server refuses a kind of command to everybody.
    pub(super) fn limited(&mut self, reason: Reason, now: Instant) {
        // One at a time, so that two do not take turns with every command.
        let is_other = |(other, since): (Reason, Instant)| {
            other != reason && now.saturating_duration_since(since) < LIMIT_MEMORY
        };
        if self.limit.is_some_and(is_other) {
            return;
        }
        self.limit = Some((reason, now));
        self.next_check = self.next_check.min(now + LIMIT_CHECK);
    }

    /// Looks at what calls have come to since the last time. Tells whether that opened the circuit.
    pub(super) fn observe(&mut self, now: Instant) -> bool {
        let counted = Counted::of(&self.dispatcher);
        let seen = Observed {
            calls: counted.calls.saturating_sub(self.counted.calls),
            slow: counted.slow.saturating_sub(self.counted.slow),
        };
        self.counted = counted;
        if seen == Observed::default() {
            return false;
        }
        let before = self.circuit();
        let excess = self.breaker.observe(seen, now.into_std(), fastrand::f64());
        let reason = match (excess, self.last_reason) {
            (None, _) => return false,
            (Some(Excess::Failures), Some(reason)) => reason,
            (Some(Excess::Failures), None) => Reason::Unresponsive,
            (Some(Excess::Slowness), _) => Reason::Slow,
        };
        self.condition = Condition::Ill(reason);
        self.cause = None;
        self.settle(before, now);
        true
    }

    /// Lets nobody pass until a [`reset`](Self::reset).
    pub(super) fn isolate(&mut self) {
        self.breaker.isolate();
        self.pass(Passage::Isolated);
    }

    /// Lets everybody pass, as if nothing had happened.
    pub(super) fn reset(&mut self, now: Instant) {
        self.breaker.reset(now.into_std());
        self.redial.reset();
        // One that waits for its time would keep others from being made at once.
        self.is_probed = false;
        self.pass(Passage::Free);
    }

    /// Its pool crashed, or was given up, and there is a new one.
    pub(super) fn restarted(&mut self, now: Instant) {
        self.condition = Condition::Ill(Reason::Restarted);
        self.cause = None;
        if self.given_up {
            self.given_up = false;
            match self.breaker.is_isolated() {
                true => self.isolate(),
                false => self.reset(now),
            }
        }
    }

    fn pass(&mut self, passage: Passage) {
        if !self.given_up {
            self.epoch = self.dispatcher.gate.set(passage);
        }
    }

    pub(super) fn check_interval(&self) -> Duration {
        let interval = self.dispatcher.settings.health_check_interval;
        match self.limit {
            Some(_) => interval.min(LIMIT_CHECK),
            None => interval,
        }
    }

    /// A trial succeeded.
    pub(super) fn trial_succeeded(&mut self, now: Instant) {
        let before = self.circuit();
        self.breaker.succeeded(now.into_std());
        self.settle(before, now);
    }

    /// A connection was opened and proved itself.
    pub(super) fn reached(&mut self, seen: Seen, now: Instant) {
        let before = self.circuit();
        self.limit = self.limit.filter(|(reason, since)| {
            let told = match reason {
                Reason::ReadOnly => seen.is_replica,
                Reason::CannotSave => seen.cannot_save,
                _ => None,
            };
            told.unwrap_or(now.saturating_duration_since(*since) < LIMIT_MEMORY)
        });
        self.condition = Condition::Well;
        self.redial.reset();
        self.breaker.probe_succeeded(now.into_std());
        self.settle(before, now);
    }

    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.epoch = self.dispatcher.gate.set(Passage::Failed);
    }

    pub(super) fn is_ill(&self) -> bool {
        matches!(self.condition, Condition::Ill(_))
    }

    /// Whether only probes can get it on.
    pub(super) fn needs_probe(&self) -> bool {
        !self.given_up && !self.breaker.is_isolated() && self.circuit() != CircuitState::Closed
    }

    /// Whether the endpoint, rather than this database's settings, is what fails.
    pub(super) fn waits_for_endpoint(&self) -> bool {
        match self.condition {
            Condition::Ill(reason) => is_about_the_endpoint(reason),
            Condition::Unknown | Condition::Well => true,
        }
    }

    /// The pause before the next attempt that is not about the endpoint.
    pub(super) fn pause(&mut self) -> Duration {
        match self.condition {
            Condition::Ill(reason) => self.redial.pause(reason, fastrand::f64()),
            Condition::Unknown | Condition::Well => Duration::ZERO,
        }
    }

    /// How long an open circuit keeps probes away.
    pub(super) fn breaker_pause(&self, now: Instant) -> Duration {
        self.breaker.pause(now.into_std())
    }

    /// Tells callers when the next probe is due, which is not before an open circuit's pause is over.
    pub(super) fn announce_probe(&mut self, at: Instant) {
        let now = Instant::now();
        let at = at.max(now + self.breaker_pause(now));
        self.next_probe = at;
        if let (CircuitState::Open, Condition::Ill(reason)) = (self.circuit(), self.condition) {
            let outage = Outage {
                reason,
                cause: self.cause.clone(),
                next_probe: at,
            };
            self.dispatcher.outage.store(Some(Arc::new(outage)));
        }
    }

    /// The state as an event.
    pub(super) fn change(&self, now: Instant) -> Change {
        let circuit = self.circuit();
        let state = match (circuit, self.condition) {
            _ if self.given_up => HealthState::Failed,
            _ if self.breaker.is_isolated() => HealthState::Isolated,
            (CircuitState::Closed, Condition::Well) => match self.limit {
                Some((reason, _)) => HealthState::Degraded { reason },
                None => HealthState::Healthy,
            },
            (CircuitState::Closed, Condition::Unknown) => HealthState::Starting,
            (_, Condition::Ill(Reason::Loading)) => HealthState::Degraded {
                reason: Reason::Loading,
            },
            (CircuitState::Open, Condition::Ill(reason)) => HealthState::Down {
                reason,
                retry_after: self.next_probe.saturating_duration_since(now),
            },
            (_, Condition::Ill(reason)) => HealthState::Degraded { reason },
            // Reached again, and still on trial.
            (_, Condition::Well | Condition::Unknown) => HealthState::Degraded {
                reason: Reason::Recovering,
            },
        };
        Change {
            database: self.dispatcher.name(),
            circuit,
            cause: match self.condition {
                Condition::Ill(_) => self.cause.clone(),
                Condition::Well | Condition::Unknown => None,
            },
            state,
        }
    }

    /// Opens or closes the gate when the circuit has changed.
    fn settle(&mut self, before: CircuitState, now: Instant) {
        let after = self.circuit();
        if before == after || self.given_up {
            return;
        }
        let passage = match after {
            CircuitState::Closed => Passage::Free,
            CircuitState::HalfOpen => Passage::Trial,
            CircuitState::Open => Passage::Open,
        };
        if after == CircuitState::Open && self.condition == Condition::Ill(Reason::Unresponsive) {
            self.retire_connection();
        }
        self.announce_probe(now + self.breaker_pause(now));
        self.epoch = self.dispatcher.gate.set(passage);
    }

    /// Replies that did not come may come yet, or never. What is tried next gets a connection that
    /// owes nobody anything.
    fn retire_connection(&mut self) {
        self.wants_dial = true;
        if let Some(pool) = &*self.dispatcher.pool.load() {
            pool.retire.do_send(Retire { only: None });
        }
    }
}

impl Counted {
    fn of(dispatcher: &Dispatcher) -> Self {
        Self {
            calls: dispatcher.attempts(),
            slow: dispatcher.counters.slow.load(Relaxed),
        }
    }
}
