//! Health checks: what is known of a database, together with what its server says when it is asked now.
//!
//! - this file: [`HealthCheck`], [`SupervisorHealth`] · `server`: [`ServerHealth`], what the server says of itself ·
//!   `verdict`: whether a database is live and ready · `wire`: the form for JSON

mod server;
mod verdict;
#[cfg(feature = "serde")]
mod wire;

pub use server::{Replication, ServerHealth};

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    events::{CircuitState, HealthState},
    stats::PoolStats,
};

/// The health of one database; [`Database::health_check`](crate::Database::health_check) makes it.
///
/// [`is_ready`](Self::is_ready) and [`is_live`](Self::is_live) are verdicts for an orchestrator, and
/// [`reasons`](Self::reasons) says why they are what they are. They follow from the state alone, which failed calls and
/// probes have led to: one question without an answer takes no service out of use.
///
/// With the feature `serde` it can be serialized, with these keys: `database`, `healthy`, `ready`, `live`, `reasons`,
/// `state`, `reason`, `circuit_state`, `ping_ms`, `error`, `program`, `version`, `role`, `uptime_seconds`,
/// `connected_clients`, `used_memory`, `used_memory_human`, `max_memory`, `hit_rate` (0 to 1), `replication`, and `pool`
/// with `created_connections`, `available_connections`, `in_use_connections` (shared and leased ones) and
/// `max_connections`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HealthCheck {
    /// The name of the database.
    pub database: Arc<str>,
    /// What is known of it, as in [`Database::state`](crate::Database::state).
    pub state: HealthState,
    /// The state of its circuit.
    pub circuit: CircuitState,
    /// The time between `PING` and its answer, on a connection that was opened for this check. `None` if there was no
    /// answer in time; then `error` says why.
    pub ping: Option<Duration>,
    /// What the server says of itself (`INFO`); `None` if it did not answer, or does not permit the question.
    pub server: Option<ServerHealth>,
    /// Why an answer is missing.
    pub error: Option<Arc<str>>,
    /// The connections of the database.
    pub pool: PoolStats,
}

/// The health of all databases; [`Supervisor::health`](crate::Supervisor::health) makes it.
///
/// With the feature `serde` it is serialized with the keys `ready`, `live`, `uptime_seconds` and `databases`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorHealth {
    /// Time since the supervisor was spawned.
    pub uptime: Duration,
    /// Each database, by its name.
    pub databases: BTreeMap<Arc<str>, HealthCheck>,
}

impl HealthCheck {
    /// Whether the database is [healthy](HealthState::Healthy) and its server has answered this check.
    pub fn is_healthy(&self) -> bool {
        self.state == HealthState::Healthy && self.ping.is_some()
    }
}

impl SupervisorHealth {
    /// Whether each database is [live](HealthCheck::is_live).
    pub fn is_live(&self) -> bool {
        self.databases.values().all(HealthCheck::is_live)
    }

    /// Whether each database is [ready](HealthCheck::is_ready).
    pub fn is_ready(&self) -> bool {
        self.databases.values().all(HealthCheck::is_ready)
    }
}

/// The answers of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) ping: Option<Duration>,
    pub(crate) server: Option<ServerHealth>,
    pub(crate) error: Option<Arc<str>>,
}

impl Answers {
    /// There are none, for this reason.
    pub(crate) fn missing(why: &str) -> Self {
        Self {
            error: Some(why.into()),
            ..Self::default()
        }
    }
}
