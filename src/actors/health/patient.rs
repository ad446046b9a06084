//! What the health actor knows of one database.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    dispatch::{Dispatcher, Outage},
    events::{Change, CircuitState, HealthState, Reason},
    messages::Retire,
    net::DialError,
    policy::{
        admission::Passage,
        breaker::{Breaker, Failed},
        redial::{Redial, is_about_the_endpoint},
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
    /// The pool has no connection and waits to be told when to dial.
    pub(super) wants_dial: bool,
    pub(super) is_probed: bool,
    pub(super) next_check: Instant,
    /// Paces what is not about the endpoint.
    pub(super) redial: Redial,
    last_counted: Option<Instant>,
    /// When an open circuit is probed next.
    next_probe: Instant,
    given_up: bool,
}

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
        let is_connected = dispatcher.route.load().is_some();
        // The first checks are spread over the interval, so that many databases do not all
        // probe at once for ever.
        let given_up = dispatcher.gate.passage() == Passage::Failed;
        let passage = match given_up {
            true => Passage::Failed,
            false => Passage::Free,
        };
        let first_check = settings.health_check_interval.mul_f64(fastrand::f64());
        Self {
            breaker: Breaker::new(settings.failure_threshold, settings.recovery_timeout),
            epoch: dispatcher.gate.set(passage),
            condition: match is_connected {
                true => Condition::Well,
                false => Condition::Unknown,
            },
            cause: None,
            wants_dial: false,
            is_probed: false,
            next_check: now + settings.health_check_interval / 2 + first_check / 2,
            redial: Redial::new(),
            last_counted: None,
            next_probe: now,
            given_up,
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

    /// A trial succeeded.
    pub(super) fn trial_succeeded(&mut self, now: Instant) {
        let before = self.circuit();
        self.breaker.succeeded(now.into_std());
        self.settle(before, now);
    }

    /// A connection was opened and proved itself.
    pub(super) fn reached(&mut self, now: Instant) {
        let before = self.circuit();
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
        !self.given_up && self.circuit() != CircuitState::Closed
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
            (CircuitState::Closed, Condition::Well) => HealthState::Healthy,
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
            pool.retire.do_send(Retire);
        }
    }
}
