//! The health of one database as a value: events in, actions out.
//!
//! [`DatabaseHealth`] weighs the evidence, opens and closes the circuit, and says what is to be done
//! about it: when to probe, when a pool is to dial, what subscribers are told. [`Endpoint`] paces the
//! question whether anything answers at an address that several databases share. Neither reads a clock
//! or carries anything out, so that each rule is tested as a value, and all of them together at random.

mod attempts;
mod change;
mod endpoint;
mod event;
mod evidence;
mod standing_in;
mod status;

pub(crate) use endpoint::Endpoint;
pub(crate) use event::{Counts, Event, Fault, Greeting};
pub(crate) use status::Status;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use self::{evidence::LIMIT_CHECK, standing_in::StandIn, status::Condition};
use super::{
    backoff::Backoff, breaker::Breaker, cluster::Shards, gate_state::GateState, pace::Pace,
};
use crate::events::{CircuitState, Reason, Recovery};

/// One database under observation: its breaker, the last evidence, and the attempts to reach it.
///
/// Each event is followed by calls of [`poll`](Self::poll) until there is no action left. An action that
/// asks something is answered before the next poll: a gate that was set by
/// [`gate_set`](Self::gate_set), an endpoint that is awaited by [`checked_at`](Self::checked_at).
#[derive(Debug)]
pub(crate) struct DatabaseHealth {
    limits: Limits,
    breaker: Breaker,
    /// The present epoch of the gate; evidence of an earlier one is ignored.
    epoch: u64,
    condition: Condition,
    cause: Option<Arc<str>>,
    /// A kind of command that it refuses while it runs others, and since when.
    limit: Option<(Reason, Instant)>,
    /// How much of it can be used, if it is a cluster.
    shards: Shards,
    given_up: bool,
    stand_in: StandIn,
    /// What is kept for the server is to be carried out there.
    wants_recovery: bool,
    /// The end of a recovery that subscribers have not been told.
    recovery: Option<Recovery>,
    /// The counters at the last look, and when that was.
    counted: Counts,
    looked_at: Instant,
    /// Whether commands have succeeded since then.
    has_succeeded: bool,
    /// From when on unanswered commands are of the present epoch. Nearly all that were sent in an earlier
    /// one have been counted by then. The exception is a caller that left after its command had become
    /// slow: it counts at its deadline.
    unanswered_from: Instant,
    last_reason: Option<Reason>,
    /// When an attempt of the health actor was last counted against the database.
    last_attempt: Option<Instant>,
    /// The pool has no connection and waits to be told when to dial.
    wants_dial: bool,
    /// The settings have changed, and no connection with the new ones was opened yet.
    awaits_connection: bool,
    is_probing: bool,
    /// An attempt has failed, and counts unless the present connection answers, which is being asked.
    asking: Option<Fault>,
    /// How often failed commands may have the database probed.
    probes_for_commands: Pace,
    /// When a command last met a refusal that an attempt to reach the server should meet too.
    refused_at: Option<Instant>,
    /// From when on attempts have succeeded although commands meet such a refusal.
    missed_from: Option<Instant>,
    /// When an attempt is due that does not depend on the endpoint.
    retry_at: Option<Instant>,
    /// When a half-open circuit is put to the proof.
    confirm_at: Option<Instant>,
    /// When it is probed although nothing is wrong.
    next_check: Instant,
    /// When an open circuit is probed next, as callers and subscribers are told.
    next_probe: Instant,
    /// Paces the attempts that do not depend on the endpoint.
    backoff: Backoff,
    published: Option<Status>,
    actions: VecDeque<Action>,
}

/// The settings that the health of a database depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) failure_threshold: u32,
    pub(crate) recovery_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) check_interval: Duration,
    /// A local store may stand in for it.
    pub(crate) has_fallback: bool,
}

/// The state in which observation finds a database: a new one, or one whose health actor has crashed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) is_isolated: bool,
    pub(crate) is_given_up: bool,
    pub(crate) is_connected: bool,
    /// A local store stands in for it.
    pub(crate) is_stood_in: bool,
    /// It is a cluster, whose nodes are to be learnt.
    pub(crate) is_cluster: bool,
    pub(crate) counts: Counts,
}

/// Something that is to be done about it.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Set the gate, and tell the new epoch by [`gate_set`](DatabaseHealth::gate_set).
    SetGate(GateState),
    /// Tell callers why the circuit is open and when that may end.
    AnnounceOutage {
        reason: Reason,
        cause: Option<Arc<str>>,
        next_probe: Instant,
    },
    /// Let the local store serve callers from now on.
    StandIn,
    /// Carry out at the server what the local store keeps for it, and tell the end by
    /// [`Recovered`](Event::Recovered) or [`RecoveryFailed`](Event::RecoveryFailed).
    Recover,
    /// Take the present connections out of service.
    RetireConnections,
    /// Let the pool dial after this pause.
    Redial(Duration),
    /// Probe the database after this pause, with a connection of its own. The probe begins in the
    /// present [`epoch`](DatabaseHealth::epoch).
    Probe(Duration),
    /// Ask the present connection, without a pause, and tell by [`Asked`](Event::Asked) whether it answers.
    AskConnection,
    /// Say when the endpoint answers, and by [`checked_at`](DatabaseHealth::checked_at) when it is
    /// asked next.
    AwaitEndpoint,
    /// The endpoint has answered: it need not be awaited, and others that wait need not wait for long.
    EndpointReached,
    /// Send a [`Tick`](Event::Tick) after this pause.
    WakeAfter(Duration),
    /// Tell subscribers.
    Publish(Status),
}

impl DatabaseHealth {
    /// Observation begins anew, also after a crash of the health actor. `jitter` is a random number
    /// from 0 to 1, here as everywhere.
    pub(crate) fn new(limits: Limits, found: Found, now: Instant, jitter: f64) -> Self {
        let (threshold, recovery) = (limits.failure_threshold, limits.recovery_timeout);
        let mut breaker = Breaker::new(threshold, recovery, now);
        if found.is_isolated {
            breaker.isolate();
        }
        // The first checks are spread over half the interval, so that many databases are not all
        // probed together for ever.
        let half = limits.check_interval / 2;
        let mut health = Self {
            limits,
            breaker,
            epoch: 0,
            condition: if found.is_connected {
                Condition::Well
            } else {
                Condition::Unknown
            },
            cause: None,
            limit: None,
            shards: if found.is_cluster {
                Shards::Unknown
            } else {
                Shards::Whole
            },
            given_up: found.is_given_up,
            stand_in: if found.is_stood_in {
                StandIn::Serving
            } else {
                StandIn::Idle
            },
            wants_recovery: false,
            recovery: None,
            counted: found.counts,
            looked_at: now,
            has_succeeded: false,
            unanswered_from: now,
            last_reason: None,
            last_attempt: None,
            wants_dial: false,
            awaits_connection: false,
            is_probing: false,
            asking: None,
            probes_for_commands: Pace::new(LIMIT_CHECK),
            refused_at: None,
            missed_from: None,
            retry_at: None,
            confirm_at: None,
            next_check: now + half + half.mul_f64(jitter),
            next_probe: now,
            backoff: Backoff::default(),
            published: None,
            actions: VecDeque::new(),
        };
        if found.is_stood_in {
            health.set_gate();
        }
        health
    }

    /// Takes notice of an event.
    pub(crate) fn on(&mut self, event: Event, now: Instant, jitter: f64) {
        match event {
            Event::Connected(greeting) => self.connected(greeting, now, jitter),
            Event::DialFailed(fault) => {
                self.wants_dial = true;
                self.asking = None;
                self.attempt_failed(fault, now, jitter);
                self.wait(now, jitter);
            }
            Event::LoginFailed(fault) => self.login_failed(fault),
            Event::ConnectionLost(cause) => self.connection_lost(cause, now, jitter),
            Event::CommandSucceeded => self.command_succeeded(now),
            Event::CommandFailed { epoch, reason } if epoch == self.epoch => {
                self.command_failed(reason, now, jitter);
            }
            Event::TrialSucceeded { epoch } if epoch == self.epoch => self.trial_succeeded(now),
            Event::CommandFailed { .. } | Event::TrialSucceeded { .. } => {}
            Event::CommandRefused(reason) => self.refused(reason, now),
            Event::Observed(counts) => self.observed(counts, now, jitter),
            Event::Probed { epoch, result } => self.probed(epoch, result, now, jitter),
            Event::Asked {
                epoch,
                has_answered,
            } => self.asked(epoch, has_answered, now, jitter),
            Event::EndpointAnswered { after } => self.try_again(after, now),
            Event::EndpointFailed { fault, next_check } => {
                self.endpoint_failed(fault, next_check, now, jitter);
            }
            Event::Recovered(recovery) => self.recovered(recovery),
            Event::RecoveryFailed => self.recovery_failed(now),
            Event::Shards(shards) => self.shards = shards,
            Event::Restarted => self.restarted(now, jitter),
            Event::GivenUp => self.give_up(),
            Event::Isolate => self.isolate(now),
            Event::Reset => self.reset(now),
            Event::Reconfigured {
                limits,
                needs_connections,
            } => self.reconfigured(limits, needs_connections, now),
            Event::Tick => self.tick(now),
        }
    }

    /// The next thing to do. A change of state comes last, so that it tells when the next probe is due.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        let status = self.status(now);
        let is_told = |told: &Status| told.is_like(&status);
        if self.published.as_ref().is_some_and(is_told) {
            return None;
        }
        self.published = Some(status.clone());
        self.recovery = None;
        Some(Action::Publish(status))
    }

    /// The gate was set, and counts this epoch.
    pub(crate) fn gate_set(&mut self, epoch: u64, now: Instant) {
        self.epoch = epoch;
        self.unanswered_from = now + self.limits.attempt_timeout;
    }

    /// The endpoint that is awaited is asked next at this time.
    pub(crate) fn checked_at(&mut self, next_check: Instant, now: Instant) {
        self.announce_probe(next_check, now);
    }

    /// The present epoch of the gate.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn circuit(&self) -> CircuitState {
        self.breaker.circuit()
    }

    /// The state that the gate is to have.
    pub(crate) fn gate_state(&self) -> GateState {
        match self.circuit() {
            _ if self.given_up => GateState::Failed,
            _ if self.breaker.is_isolated() => GateState::Isolated,
            // Nobody passes, and callers wait for the end.
            CircuitState::Closed if self.stand_in == StandIn::Recovering => {
                GateState::Trial { at_once: 0 }
            }
            _ if self.is_stood_in() => GateState::Open,
            CircuitState::Closed => GateState::Free,
            CircuitState::HalfOpen => GateState::Trial {
                at_once: self.breaker.proof().trials,
            },
            CircuitState::Open => GateState::Open,
        }
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }
}

#[cfg(test)]
#[path = "case_tests.rs"]
mod case;
#[cfg(test)]
mod decision_tests;
#[cfg(test)]
mod model_tests;
