//! Plain snapshots of what happened so far.

mod histogram;
mod pool;

pub(crate) use histogram::BOUNDS;
pub use histogram::WaitHistogram;
pub use pool::{Evictions, PoolStats};

use std::{collections::BTreeMap, time::Duration};

use crate::events::{CircuitState, HealthState};

/// What all databases of a supervisor did since it was spawned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorStats {
    /// Time since the supervisor was spawned.
    pub uptime: Duration,
    /// Every database by its name.
    pub databases: BTreeMap<String, DatabaseStats>,
}

impl SupervisorStats {
    /// Commands of all databases that have ended, however they ended.
    pub fn commands(&self) -> u64 {
        self.databases.values().map(DatabaseStats::commands).sum()
    }

    /// Share of all ended commands that got a reply that was no error, from 0 to 1.
    pub fn success_rate(&self) -> f64 {
        let succeeded = self.databases.values().map(|stats| stats.succeeded).sum();
        rate(succeeded, self.commands())
    }
}

/// What one database did since the supervisor was spawned.
///
/// A pipeline counts as one command. Every attempt of a command that was let through ends in exactly one
/// of `succeeded`, `error_replies`, `timed_out`, `lost` and `cancelled`, and a call that was not let
/// through in `refused`; nearly all commands need one attempt. A wait for a connection of one's own is
/// counted only if it ends badly: in `timed_out`, in `refused` where too many wait, and in `lost` where
/// the pool crashes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatabaseStats {
    /// State of the database.
    pub health: HealthState,
    /// State of its circuit breaker.
    pub circuit: CircuitState,
    /// Commands that got a reply that was no error.
    pub succeeded: u64,
    /// Commands that the server answered with an error.
    pub error_replies: u64,
    /// Commands whose deadline passed.
    pub timed_out: u64,
    /// Commands whose connection broke, or was closed by a shutdown.
    pub lost: u64,
    /// Commands whose caller had dropped the future before the reply came.
    pub cancelled: u64,
    /// Commands that were refused without sending: circuit open, overloaded, forbidden,
    /// or a blocking call in an async task.
    pub refused: u64,
    /// Attempts that failed and were followed by another.
    pub retried: u64,
    /// Attempts that failed and would have been followed by another, had the retry budget had one
    /// left.
    pub retries_denied: u64,
    /// Commands that took longer than 0.8 times the
    /// [attempt timeout](crate::DatabaseConfig::attempt_timeout), and had neither a shorter deadline nor
    /// a caller who had gone.
    pub slow: u64,
    /// Commands between their call and their reply now.
    pub in_flight: usize,
    /// Bytes of those commands.
    pub in_flight_bytes: usize,
    /// The connections of the database.
    pub pool: PoolStats,
}

impl DatabaseStats {
    /// Commands that have ended, however they ended.
    pub fn commands(&self) -> u64 {
        let attempts = self.succeeded
            + self.error_replies
            + self.timed_out
            + self.lost
            + self.cancelled
            + self.refused;
        // A retry is counted before the connection has counted the attempt that it follows.
        attempts.saturating_sub(self.retried)
    }

    /// Share of the ended commands that got a reply that was no error, from 0 to 1; 1 when
    /// none has ended yet.
    pub fn success_rate(&self) -> f64 {
        rate(self.succeeded, self.commands())
    }
}

fn rate(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}
