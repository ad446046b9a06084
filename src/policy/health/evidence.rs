//! The effect of evidence on the circuit and on the state of a database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Action, Counts, DatabaseHealth, Fault, Greeting, status::Condition};
use crate::{
    events::{CircuitState, Reason},
    policy::{
        backoff::is_final,
        breaker::{Excess, Failed, Observed},
    },
};

/// How soon a limited database is looked at again.
pub(super) const LIMIT_CHECK: Duration = Duration::from_secs(1);
/// How long a refusal speaks for the present where no probe can tell.
const LIMIT_MEMORY: Duration = Duration::from_secs(10);
/// How long commands may go on to meet a refusal that an attempt has not met.
const SETTLING: Duration = Duration::from_millis(50);
/// Attempts to reach the server are counted so many times per attempt timeout.
const ATTEMPTS_COUNTED: u32 = 4;

impl DatabaseHealth {
    pub(super) fn connected(&mut self, greeting: Greeting, now: Instant, jitter: f64) {
        self.wants_dial = false;
        self.note_new_connection(now);
        self.reached(greeting, now);
        self.wait_if_open(now, jitter);
    }

    pub(super) fn connection_lost(&mut self, cause: Arc<str>, now: Instant, jitter: f64) {
        let fault = Fault {
            reason: Reason::ConnectionLost,
            cause: Some(cause),
        };
        self.failed(Failed::Command, fault, now, jitter);
        // Where others serve, its pool opens no other that would show that the server is well.
        self.next_check = self.next_check.min(now + LIMIT_CHECK);
        self.wait_if_open(now, jitter);
    }

    /// Successes are not reported one by one; the gate remembers that there were some.
    pub(super) fn command_succeeded(&mut self, now: Instant) {
        self.has_succeeded = true;
        self.refused_at = None;
        self.missed_from = None;
        if self.circuit() == CircuitState::Closed {
            self.breaker.succeeded(now);
        }
    }

    pub(super) fn command_failed(&mut self, reason: Reason, now: Instant, jitter: f64) {
        let is_met_by_attempts = matches!(reason, Reason::Loading | Reason::Rejected);
        if is_met_by_attempts {
            self.refused_at = Some(now);
        }
        if is_met_by_attempts && !self.attempts_miss_it(now) {
            // Every command says the same for a while, and waits for its end: the attempts to reach the
            // server count.
            self.condition = Condition::Ill(reason);
            self.cause = None;
        } else {
            let cause = None;
            self.failed(Failed::Command, Fault { reason, cause }, now, jitter);
        }
        // Some commands may fail for long while probes succeed.
        if self.probes_for_commands.allows(now) {
            self.probe(now);
        } else {
            self.next_check = self.next_check.min(now + LIMIT_CHECK);
        }
        self.wait_if_open(now, jitter);
    }

    /// Whether a server refuses commands and accepts new connections. Refusals that were under way when it
    /// was reached do not show that.
    fn attempts_miss_it(&self, now: Instant) -> bool {
        let has_settled = |from: Instant| now.saturating_duration_since(from) >= SETTLING;
        self.missed_from.is_some_and(has_settled)
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
        if what == Failed::Attempt && is_final(fault.reason) {
            self.breaker.trip(now, jitter);
        } else {
            self.breaker.failed(what, now, jitter);
        }
        self.settle(before, now);
    }

    /// An attempt to reach the server failed. Attempts come as fast as they are paced, so only some of them
    /// are counted: where connections are refused, the circuit opens after about a second, and not for a
    /// quick restart.
    pub(super) fn attempt_failed(&mut self, fault: Fault, now: Instant, jitter: f64) {
        // The process has probably gone, and what it refused is no word of the next one.
        if matches!(fault.reason, Reason::Unreachable | Reason::Loading) {
            self.limit = None;
        }
        // A server that loads its dataset will be ready, and commands wait for that.
        if self.is_attempt_due(&fault, now) && fault.reason != Reason::Loading {
            self.last_attempt = Some(now);
            self.failed(Failed::Attempt, fault, now, jitter);
        } else {
            self.condition = Condition::Ill(fault.reason);
            self.cause = fault.cause;
        }
    }

    /// Whether another failed attempt counts.
    pub(super) fn is_attempt_due(&self, fault: &Fault, now: Instant) -> bool {
        let pace = self.limits.attempt_timeout / ATTEMPTS_COUNTED;
        let is_early = |last: Instant| now.saturating_duration_since(last) < pace;
        is_final(fault.reason) || !self.last_attempt.is_some_and(is_early)
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
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < LIMIT_CHECK;
        self.refused_at = self.refused_at.filter(is_recent);
        self.missed_from = self.refused_at.and(self.missed_from.or(Some(now)));
        if self.attempts_miss_it(now) {
            // The server is no better than its commands.
            self.next_check = self.next_check.min(now + LIMIT_CHECK);
        } else {
            self.condition = Condition::Well;
        }
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
        self.forget_attempts();
        self.refused_at = None;
        self.missed_from = None;
        if !self.given_up {
            self.set_gate();
        }
    }

    /// An attempt that waits for its time would keep others from being made at once.
    pub(super) fn forget_attempts(&mut self) {
        self.backoff.reset();
        self.is_probing = false;
        self.asking = None;
        self.retry_at = None;
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
}
