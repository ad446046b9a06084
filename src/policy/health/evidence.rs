//! The effect of evidence on the circuit and on the state of a database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Action, Counts, DatabaseHealth, Fault, Greeting, status::Condition};
use crate::{
    events::{CircuitState, Reason},
    policy::{
        backoff::is_about_the_endpoint,
        breaker::{Excess, Failed, Observed},
    },
};

/// How soon a limited database is looked at again.
pub(super) const LIMIT_CHECK: Duration = Duration::from_secs(1);
/// How long a refusal speaks for the present where no probe can tell.
const LIMIT_MEMORY: Duration = Duration::from_secs(10);
/// Attempts to reach the server are counted so many times per attempt timeout.
const ATTEMPTS_COUNTED: u32 = 4;

impl DatabaseHealth {
    pub(super) fn connected(&mut self, greeting: Greeting, now: Instant, jitter: f64) {
        self.wants_dial = false;
        self.reached(greeting, now);
        self.wait_if_open(now, jitter);
    }

    pub(super) fn connection_lost(&mut self, cause: Arc<str>, now: Instant, jitter: f64) {
        let fault = Fault {
            reason: Reason::ConnectionLost,
            cause: Some(cause),
        };
        self.failed(Failed::Command, fault, now, jitter);
        self.wait_if_open(now, jitter);
    }

    /// Successes are not reported one by one; the gate remembers that there were some.
    pub(super) fn command_succeeded(&mut self, now: Instant) {
        self.has_succeeded = true;
        if self.circuit() == CircuitState::Closed {
            self.breaker.succeeded(now);
        }
    }

    pub(super) fn command_failed(&mut self, reason: Reason, now: Instant, jitter: f64) {
        if reason == Reason::Loading {
            // Every command says the same for a while, and waits for its end: the probes count.
            self.condition = Condition::Ill(Reason::Loading);
            self.cause = None;
        } else {
            let cause = None;
            self.failed(Failed::Command, Fault { reason, cause }, now, jitter);
        }
        self.probe(now);
        self.wait_if_open(now, jitter);
    }

    pub(super) fn trial_succeeded(&mut self, now: Instant) {
        let before = self.circuit();
        self.breaker.succeeded(now);
        self.settle(before, now);
    }

    /// The server refuses a kind of command to every caller.
    pub(super) fn refused(&mut self, reason: Reason, now: Instant) {
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

    /// Looks at the calls since the last look.
    pub(super) fn observed(&mut self, counts: Counts, now: Instant, jitter: f64) {
        let earlier = std::mem::replace(&mut self.counted, counts);
        let looked_before = std::mem::replace(&mut self.looked_at, now);
        let has_succeeded = std::mem::take(&mut self.has_succeeded);
        let unanswered = counts.unanswered.saturating_sub(earlier.unanswered);
        if unanswered > 0 && looked_before >= self.unanswered_from {
            self.unanswered(unanswered, has_succeeded, now, jitter);
        }
        let seen = Observed {
            calls: counts.calls.saturating_sub(earlier.calls),
            slow: counts.slow.saturating_sub(earlier.slow),
        };
        if seen == Observed::default() {
            return;
        }
        let before = self.circuit();
        let reason = match self.breaker.observe(seen, now, jitter) {
            None => return,
            Some(Excess::Failures) => self.last_reason.unwrap_or(Reason::Unresponsive),
            Some(Excess::Slowness) => Reason::Slow,
        };
        self.condition = Condition::Ill(reason);
        self.cause = None;
        self.settle(before, now);
        self.wait_if_open(now, jitter);
    }

    /// So many commands were not answered in the time of a healthy reply, and their callers had given
    /// up before. Evidence shall not depend on the patience of callers.
    fn unanswered(&mut self, commands: u64, has_succeeded: bool, now: Instant, jitter: f64) {
        // None of them can have been sent while no command passes.
        if self.given_up || self.circuit() == CircuitState::Open {
            return;
        }
        let threshold = u64::from(self.limits.failure_threshold);
        // Other commands may have succeeded between them, and then they are no series.
        let most = if has_succeeded {
            threshold - 1
        } else {
            threshold
        };
        for _ in 0..commands.min(most.max(1)) {
            let fault = Fault {
                reason: Reason::Unresponsive,
                cause: None,
            };
            self.failed(Failed::Command, fault, now, jitter);
            if self.circuit() == CircuitState::Open {
                break;
            }
        }
        // Last, so that the probe is of the epoch that begins when the circuit opens.
        self.probe(now);
        self.wait_if_open(now, jitter);
    }

    /// Evidence against the database, counted.
    pub(super) fn failed(&mut self, what: Failed, fault: Fault, now: Instant, jitter: f64) {
        self.condition = Condition::Ill(fault.reason);
        self.last_reason = Some(fault.reason);
        self.cause = fault.cause;
        let before = self.circuit();
        match fault.reason {
            Reason::Rejected | Reason::NotRedis => self.breaker.trip(now, jitter),
            _ => self.breaker.failed(what, now, jitter),
        }
        self.settle(before, now);
    }

    /// An attempt to reach the server failed that the health actor alone has made. Such attempts come as
    /// fast as they are paced, so only some of them are counted: where connections are refused, the
    /// circuit opens after about a second, and not for a quick restart.
    pub(super) fn attempt_failed(&mut self, fault: Fault, now: Instant, jitter: f64) {
        let pace = self.limits.attempt_timeout / ATTEMPTS_COUNTED;
        let is_early = |last: Instant| now.saturating_duration_since(last) < pace;
        if self.last_attempt.is_some_and(is_early) && is_about_the_endpoint(fault.reason) {
            return;
        }
        self.last_attempt = Some(now);
        self.failed(Failed::Attempt, fault, now, jitter);
    }

    /// A connection was opened and proved itself. Other databases that wait for the endpoint need not
    /// wait longer than usual, and a half-open circuit is put to the proof.
    pub(super) fn reached(&mut self, greeting: Greeting, now: Instant) {
        let before = self.circuit();
        self.limit = self.limit.filter(|(reason, since)| {
            let told = match reason {
                Reason::ReadOnly => greeting.is_replica,
                Reason::CannotSave => greeting.cannot_save,
                _ => None,
            };
            told.unwrap_or(now.saturating_duration_since(*since) < LIMIT_MEMORY)
        });
        self.condition = Condition::Well;
        self.backoff.reset();
        self.breaker.probe_succeeded(now);
        self.settle(before, now);
        self.act(Action::EndpointReached);
        self.follow_up(now);
    }

    /// Its pool crashed, or was given up, and there is a new one.
    pub(super) fn restarted(&mut self, now: Instant, jitter: f64) {
        self.condition = Condition::Ill(Reason::Restarted);
        self.cause = None;
        if !std::mem::take(&mut self.given_up) {
            // The old pool may have taken an order with it.
            self.wait_if_open(now, jitter);
        } else if self.breaker.is_isolated() {
            self.set_gate();
        } else {
            self.forget(now);
        }
    }

    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.set_gate();
    }

    /// Lets no command pass until a [`reset`](Self::reset).
    pub(super) fn isolate(&mut self, now: Instant) {
        self.breaker.isolate();
        if !self.given_up {
            self.set_gate();
        }
        self.try_again(Duration::ZERO, now);
    }

    /// Lets every command pass, as if nothing had happened.
    pub(super) fn reset(&mut self, now: Instant) {
        self.forget(now);
        // A pool that was told to wait need not, and a server that was said to be well may be ill.
        self.try_again(Duration::ZERO, now);
    }

    fn forget(&mut self, now: Instant) {
        self.breaker.reset(now);
        self.backoff.reset();
        // An attempt that waits for its time would keep others from being made at once.
        self.is_probing = false;
        self.retry_at = None;
        if !self.given_up {
            self.set_gate();
        }
    }

    /// Opens or closes the gate when the circuit has changed.
    pub(super) fn settle(&mut self, before: CircuitState, now: Instant) {
        let after = self.circuit();
        if before == after || self.given_up {
            return;
        }
        if after == CircuitState::Open && self.condition == Condition::Ill(Reason::Unresponsive) {
            // Replies that did not come may come yet, or never. The next attempt gets a connection that
            // owes no reply.
            self.wants_dial = true;
            self.act(Action::RetireConnections);
        }
        self.announce_probe(now + self.breaker.pause(now), now);
        self.set_gate();
    }

    fn set_gate(&mut self) {
        self.act(Action::SetGate(self.gate_state()));
    }
}
