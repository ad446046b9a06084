//! Counters inside, plain snapshots outside.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

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
/// A pipeline counts as one command. Every attempt of a command ends in exactly one of `succeeded`,
/// `error_replies`, `timed_out`, `lost`, `cancelled` and `refused`; nearly all commands need one.
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
    /// Commands that were refused without sending: circuit open, overloaded, forbidden.
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

/// The connections of one database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolStats {
    /// Connections that are open now, probes not included.
    pub open: usize,
    /// The most that may be open at a time.
    pub max: usize,
    /// Commands that wait for a connection now.
    pub parked: usize,
    /// Connections opened so far.
    pub opened: u64,
    /// Attempts to open a connection that failed.
    pub dial_failures: u64,
    /// Connections that broke.
    pub lost: u64,
    /// Connections that the janitor closed because nobody used them.
    pub evicted: u64,
    /// Restarts of the pool after a crash.
    pub restarts: u64,
}

/// The counters behind [`DatabaseStats`]. Connections add to them once per batch of replies.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) succeeded: AtomicU64,
    pub(crate) error_replies: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) retries_denied: AtomicU64,
    pub(crate) slow: AtomicU64,
    pub(crate) open: AtomicUsize,
    pub(crate) parked: AtomicUsize,
    pub(crate) opened: AtomicU64,
    pub(crate) dial_failures: AtomicU64,
    pub(crate) connections_lost: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) restarts: AtomicU64,
}

impl Counters {
    pub(crate) fn snapshot(
        &self,
        health: HealthState,
        circuit: CircuitState,
        (in_flight, in_flight_bytes): (usize, usize),
        max_connections: usize,
    ) -> DatabaseStats {
        DatabaseStats {
            health,
            circuit,
            succeeded: self.succeeded.load(Relaxed),
            error_replies: self.error_replies.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            lost: self.lost.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            refused: self.refused.load(Relaxed),
            retried: self.retried.load(Relaxed),
            retries_denied: self.retries_denied.load(Relaxed),
            slow: self.slow.load(Relaxed),
            in_flight,
            in_flight_bytes,
            pool: PoolStats {
                open: self.open.load(Relaxed),
                max: max_connections,
                parked: self.parked.load(Relaxed),
                opened: self.opened.load(Relaxed),
                dial_failures: self.dial_failures.load(Relaxed),
                lost: self.connections_lost.load(Relaxed),
                evicted: self.evicted.load(Relaxed),
                restarts: self.restarts.load(Relaxed),
            },
        }
    }
}

/// Adds one; the order of counts does not matter to anybody.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// Counts an open connection as long as it lives.
#[must_use = "the connection counts as closed when this is dropped"]
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Counters>);

impl OpenConnection {
    pub(crate) fn new(counters: &Arc<Counters>) -> Self {
        count(&counters.opened);
        counters.open.fetch_add(1, Relaxed);
        Self(counters.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

fn rate(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}
