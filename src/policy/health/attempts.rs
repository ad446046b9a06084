//! When a database is tried again, and by which means.

use std::time::{Duration, Instant};

use super::{Action, DatabaseHealth, Fault, Greeting, evidence::LIMIT_CHECK, status::Condition};
use crate::{events::CircuitState, policy::backoff::is_an_answer};

/// The least pause between the probes that close a half-open circuit without any traffic.
const CONFIRM_AFTER: Duration = Duration::from_millis(20);
/// How soon another connection is tried while the present one answers.
const SERVED_CHECK: Duration = Duration::from_secs(1);

impl DatabaseHealth {
    /// An open circuit closes only if the server is found to be back.
    pub(super) fn wait_if_open(&mut self, now: Instant, jitter: f64) {
        if self.needs_probe() && self.circuit() == CircuitState::Open {
            self.wait(now, jitter);
        }
    }

    /// Arranges that the database is tried again: when its endpoint answers, or after a while when
    /// the endpoint is not at fault.
    pub(super) fn wait(&mut self, now: Instant, jitter: f64) {
        let reason = match self.condition {
            Condition::Ill(reason) if is_an_answer(reason) => reason,
            _ => return self.act(Action::AwaitEndpoint),
        };
        // Evidence that comes meanwhile does not hasten an attempt that waits for its time.
        if self.has_attempt() {
            return;
        }
        let pause = self.backoff.pause(reason, jitter);
        self.retry_after(pause, now);
    }

    fn retry_after(&mut self, pause: Duration, now: Instant) {
        self.retry_at = Some(now + pause);
        self.announce_probe(now + pause, now);
        self.act(Action::WakeAfter(pause));
    }

    /// Lets the pool dial, if it waits for that, or probes.
    pub(super) fn try_again(&mut self, after: Duration, now: Instant) {
        if self.wants_dial {
            self.act(Action::Redial(after));
        } else {
            self.probe(now);
        }
    }

    /// Has a connection opened to the database and closed again. It never queues behind commands, and
    /// it is bounded in time as every dial is.
    pub(super) fn probe(&mut self, now: Instant) {
        if self.has_attempt() {
            return;
        }
        self.is_probing = true;
        self.next_check = now + self.check_interval();
        self.act(Action::Probe(self.breaker.pause(now)));
    }

    pub(super) fn probed(
        &mut self,
        epoch: u64,
        result: Result<Greeting, Fault>,
        now: Instant,
        jitter: f64,
    ) {
        self.is_probing = false;
        if epoch != self.epoch {
            return self.ask_again(now, jitter);
        }
        match result {
            Ok(greeting) => self.reached(greeting, now),
            // The pool has no connection that could be asked.
            Err(fault) if self.wants_dial => {
                self.attempt_failed(fault, now, jitter);
                self.wait(now, jitter);
            }
            Err(fault) => self.ask(fault),
        }
    }

    /// Has the present connection asked before a failed attempt counts: no new connection can be opened
    /// to a full server, by a name that is not resolved any more, or with a password that has changed,
    /// while the open ones work.
    fn ask(&mut self, fault: Fault) {
        if self.asking.replace(fault).is_none() {
            self.act(Action::AskConnection);
        }
    }

    /// New connections would fail as well.
    pub(super) fn login_failed(&mut self, fault: Fault) {
        if !self.wants_dial {
            self.ask(fault);
        }
    }

    pub(super) fn asked(&mut self, epoch: u64, has_answered: bool, now: Instant, jitter: f64) {
        let Some(fault) = self.asking.take() else {
            return;
        };
        if epoch != self.epoch {
            return self.ask_again(now, jitter);
        }
        if has_answered {
            self.served(fault, now);
        } else {
            self.attempt_failed(fault, now, jitter);
            self.wait(now, jitter);
        }
    }

    /// New connections cannot be opened, and the present one answers. The database works, and loses it
    /// with that connection.
    fn served(&mut self, fault: Fault, now: Instant) {
        let cause = fault.cause.map(|cause| cause.to_string());
        let cause = cause.unwrap_or_else(|| fault.reason.to_string());
        self.cause = Some(format!("new connections fail: {cause}").into());
        self.condition = Condition::Ill(fault.reason);
        let before = self.circuit();
        self.breaker.probe_succeeded(now);
        self.settle(before, now);
        if self.needs_probe() {
            self.confirm(now);
        } else {
            self.retry_after(SERVED_CHECK, now);
        }
    }

    /// The endpoint does not answer. A pool that has a connection has it asked first.
    pub(super) fn endpoint_failed(
        &mut self,
        fault: Fault,
        next_check: Instant,
        now: Instant,
        jitter: f64,
    ) {
        if self.wants_dial {
            self.attempt_failed(fault, now, jitter);
        } else if self.is_attempt_due(&fault, now) {
            self.ask(fault);
        }
        self.announce_probe(next_check, now);
    }

    /// The circuit has changed since a probe began: it takes a new one to say anything about it.
    fn ask_again(&mut self, now: Instant, jitter: f64) {
        match self.circuit() {
            CircuitState::HalfOpen => self.probe(now),
            CircuitState::Open => self.wait(now, jitter),
            CircuitState::Closed if self.wants_dial => self.wait(now, jitter),
            CircuitState::Closed if self.is_ill() => self.probe(now),
            CircuitState::Closed => {}
        }
    }

    /// The server was reached. A pool that was not need not wait any longer; without one, a circuit that
    /// is not closed yet is put to the proof.
    pub(super) fn follow_up(&mut self, now: Instant) {
        if self.wants_dial {
            self.act(Action::Redial(Duration::ZERO));
        } else if self.needs_probe() {
            self.confirm(now);
        }
    }

    /// Has a half-open circuit put to the proof after a while.
    fn confirm(&mut self, now: Instant) {
        let proof = self.breaker.proof();
        let pause = (proof.lasting / proof.successes).max(CONFIRM_AFTER);
        self.confirm_at = Some(now + pause);
        self.act(Action::WakeAfter(pause));
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        let is_due = |at: &mut Instant| *at <= now;
        if self.retry_at.take_if(is_due).is_some() {
            self.try_again(Duration::ZERO, now);
        }
        if self.confirm_at.take_if(is_due).is_some() {
            self.probe(now);
        }
        self.recover_again(now);
        if self.next_check <= now && !self.wants_dial {
            self.probe(now);
        }
    }

    /// Tells callers when the next probe is due, which is not before an open circuit's pause is over.
    pub(super) fn announce_probe(&mut self, at: Instant, now: Instant) {
        let next_probe = at.max(now + self.breaker.pause(now));
        self.next_probe = next_probe;
        if let (CircuitState::Open, Condition::Ill(reason)) = (self.circuit(), self.condition) {
            let cause = self.cause.clone();
            self.act(Action::AnnounceOutage {
                reason,
                cause,
                next_probe,
            });
        }
    }

    /// Whether only probes can close its circuit.
    fn needs_probe(&self) -> bool {
        !self.given_up && !self.breaker.is_isolated() && self.circuit() != CircuitState::Closed
    }

    /// Whether an attempt is under way or waits for its time.
    fn has_attempt(&self) -> bool {
        self.is_probing || self.asking.is_some() || self.retry_at.is_some()
    }

    pub(super) fn check_interval(&self) -> Duration {
        let interval = self.limits.check_interval;
        match self.limit {
            Some(_) => interval.min(LIMIT_CHECK),
            None => interval,
        }
    }
}
