//! The state of a database as subscribers are told it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::DatabaseHealth;
use crate::{
    events::{CircuitState, HealthState, Reason, Recovery},
    policy::cluster::Shards,
};

/// The last word of the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// No attempt to reach the server has ended yet.
    Unknown,
    Well,
    Ill(Reason),
}

/// The state of a database.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) state: HealthState,
    pub(crate) circuit: CircuitState,
    pub(crate) cause: Option<Arc<str>>,
    /// The end of a local store that stood in until now.
    pub(crate) recovery: Option<Recovery>,
}

impl Status {
    /// Whether the change from one to the other is none.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.circuit == other.circuit && self.state.is_like(&other.state)
    }
}

impl DatabaseHealth {
    pub(super) fn status(&self, now: Instant) -> Status {
        let cause = match self.condition {
            // The reason is not told by the state.
            Condition::Ill(reason) if self.is_stood_in() => {
                let reason = || reason.to_string().into();
                Some(self.cause.clone().unwrap_or_else(reason))
            }
            Condition::Ill(_) => self.cause.clone(),
            Condition::Well | Condition::Unknown => match &self.shards {
                Shards::Part(cause) | Shards::None(cause) => Some(cause.clone()),
                Shards::Unknown | Shards::Whole => None,
            },
        };
        Status {
            state: self.state(now),
            circuit: self.circuit(),
            cause,
            recovery: self.recovery,
        }
    }

    fn state(&self, now: Instant) -> HealthState {
        match (self.circuit(), self.condition) {
            _ if self.given_up => HealthState::Failed,
            _ if self.breaker.is_isolated() => HealthState::Isolated,
            _ if self.is_stood_in() => HealthState::Degraded {
                reason: Reason::MemoryFallback,
            },
            (CircuitState::Closed, Condition::Well) => match (&self.shards, self.limit) {
                // It is not known yet whether its nodes can be reached.
                (Shards::Unknown, _) => HealthState::Starting,
                (Shards::None(_), _) => HealthState::Down {
                    reason: Reason::ShardDown,
                    retry_after: Duration::ZERO,
                },
                (Shards::Part(_), _) => HealthState::Degraded {
                    reason: Reason::ShardDown,
                },
                (Shards::Whole, Some((reason, _))) => HealthState::Degraded { reason },
                (Shards::Whole, None) => HealthState::Healthy,
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
        }
    }

    pub(super) fn is_ill(&self) -> bool {
        matches!(self.condition, Condition::Ill(_))
    }
}
