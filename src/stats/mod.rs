//! Snapshots of the counters, as plain data.

mod consumers;
mod display;
mod encryption;
mod fallback;
mod histogram;
mod interval;
mod last_error;
mod near_cache;
mod pool;
mod subscriptions;
#[cfg(feature = "serde")]
mod wire;

pub use consumers::ConsumerTotals;
pub use encryption::Encryption;
pub use fallback::FallbackStats;
pub use histogram::DurationHistogram;
pub(crate) use histogram::{BUCKETS, bucket, bucket_bounds};
pub use last_error::LastError;
pub use near_cache::NearCacheStats;
pub use pool::{Evictions, PoolStats};
pub use subscriptions::SubscriptionStats;
#[cfg(feature = "serde")]
pub(crate) use wire::millis;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    events::{CircuitState, HealthState, TimeInState},
    identity::DatabaseId,
};

/// A snapshot of all databases of a supervisor;
/// [`Supervisor::statistics`](crate::Supervisor::statistics) takes it.
///
/// Taking it waits for no lock of a call and no actor. All numbers are plain fields, so that they can be
/// exported to any metrics system. To be told of changes, subscribe to
/// [`HealthEvents`](crate::HealthEvents).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorStats {
    /// Time since the supervisor was spawned.
    pub uptime: Duration,
    /// All databases by name, and the [replicas](crate::Replica) that serve their reads.
    pub databases: BTreeMap<String, DatabaseStats>,
}

impl SupervisorStats {
    /// Commands of all databases that have ended, in any way.
    pub fn commands(&self) -> u64 {
        self.databases.values().map(DatabaseStats::commands).sum()
    }

    /// Commands of all databases that ended without success, in any way.
    pub fn failures(&self) -> u64 {
        self.databases.values().map(DatabaseStats::failures).sum()
    }

    /// Share of the ended commands of all databases that succeeded, from 0 to 1; 1 if none has ended
    /// yet.
    pub fn success_rate(&self) -> f64 {
        let succeeded = self.databases.values().map(|stats| stats.succeeded).sum();
        rate(succeeded, self.commands())
    }

    /// The number of databases that are healthy, without [replicas](DatabaseStats::replica_of) and
    /// [nodes](DatabaseStats::node_of).
    pub fn healthy(&self) -> usize {
        self.count(|health| *health == HealthState::Healthy)
    }

    /// The number of databases whose commands are let through or served by a fallback, with a problem or before the first
    /// connection.
    pub fn degraded(&self) -> usize {
        self.count(|health| matches!(health, HealthState::Degraded { .. } | HealthState::Starting))
    }

    /// The number of databases whose commands fail at once: down, isolated, failed or stopped.
    pub fn failed(&self) -> usize {
        self.count(|_| true) - self.healthy() - self.degraded()
    }

    fn count(&self, is_meant: impl Fn(&HealthState) -> bool) -> usize {
        let databases = self.databases.values();
        let configured =
            databases.filter(|stats| stats.replica_of.is_none() && stats.node_of.is_none());
        configured.filter(|stats| is_meant(&stats.health)).count()
    }
}

/// A snapshot of one database: its health, the outcomes of its commands, its load, and its connections.
///
/// [`SupervisorStats::databases`] holds it. The counters begin at 0 when the supervisor is spawned
/// or the database is [added](crate::Supervisor::apply), never decrease, and
/// survive restarts of the pool and changes of the settings. They are
/// read one after the other, while commands go on: a command is counted when it has ended, and is in no counter before.
/// Computed values are consistent in every snapshot: successes and failures together are all
/// [`commands`](Self::commands), and a rate is between 0 and 1. [`since`](Self::since) tells what happened between two
/// snapshots.
///
/// # The outcome of a command
///
/// Every attempt of a command that was let through is counted in exactly one of
/// [`succeeded`](Self::succeeded), [`error_replies`](Self::error_replies),
/// [`timed_out`](Self::timed_out), [`lost`](Self::lost) and [`cancelled`](Self::cancelled). A call that
/// was not let through is counted in [`refused`](Self::refused) or [`timed_out`](Self::timed_out), unless a fallback has
/// [served](FallbackStats::served) it. Where a fallback serves a call whose attempt has failed, the attempt is counted, and
/// [`retried`](Self::retried). Nearly all commands need one attempt;
/// [`commands`](Self::commands) counts commands and not attempts.
///
/// A pipeline counts as one command. Probes of the health check are not counted. The question
/// `COMMAND INFO`, which this crate sends before the first use of an
/// [unknown command](crate::Database#unknown-commands), counts as a command. A wait for a lease is
/// counted only if it fails: in `timed_out`, in `refused` if too many callers wait, and in `lost` if the
/// pool crashes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatabaseStats {
    pub(crate) id: DatabaseId,
    /// The database of which it is a [replica](crate::Replica), or the node of a cluster; `None` for one that the configuration
    /// names.
    pub replica_of: Option<Arc<str>>,
    /// The cluster of which it is a node; `None` for one that the configuration names. Commands of the cluster are counted at
    /// the nodes where they ran.
    pub node_of: Option<Arc<str>>,
    /// Whether its connections are encrypted.
    pub encryption: Encryption,
    /// Health of the database, as in its last [`HealthEvent`](crate::HealthEvent).
    pub health: HealthState,
    /// How long it has been that, for the same reason.
    pub health_for: Duration,
    /// The failure behind it, if its text is known. It contains no secret.
    pub cause: Option<Arc<str>>,
    /// State of the circuit breaker.
    pub circuit: CircuitState,
    /// How often the circuit has opened, also from half-open.
    pub trips: u64,
    /// How often its state has changed, in any way.
    pub circuit_changes: u64,
    /// The number of [health events](crate::HealthEvent).
    pub events: u64,
    /// How long the database was in each state.
    pub time_in: TimeInState,
    /// The time from the call to the reply, of all commands that got one; retries and the wait for a connection are
    /// part of it. Blocking commands are left out, and so are commands without a reply: `timed_out` counts those that
    /// reached their deadline.
    pub latency: DurationHistogram,
    /// Bytes written to the server on pooled connections, without greetings, and with TLS before the encryption.
    pub bytes_sent: u64,
    /// Bytes read from it.
    pub bytes_received: u64,
    /// The last failure of a call, after all retries. Refusals (`CircuitOpen`, `Overloaded`, `Isolated`) are not noted,
    /// so that they do not hide the cause of an outage. A fallback may have served the call.
    pub last_error: Option<LastError>,
    /// Commands that got a reply without an error.
    pub succeeded: u64,
    /// Commands that the server answered with an error or with a reply beyond a limit of this crate, and
    /// pipelines in which a command failed.
    pub error_replies: u64,
    /// Commands whose deadline passed while their caller waited.
    pub timed_out: u64,
    /// Commands whose connection ended before the reply: it broke, a shutdown closed it, or its task
    /// ended.
    pub lost: u64,
    /// Commands whose caller dropped the future before the reply came. Sent ones may have run.
    pub cancelled: u64,
    /// Calls that failed at once and were not sent: the circuit was open, the database was isolated or
    /// stopped, a limit was reached, the command is not permitted, or a blocking call was made in an
    /// async task.
    pub refused: u64,
    /// Failed attempts that were followed by a retry, or after which a fallback served the call.
    pub retried: u64,
    /// Failed attempts that were not retried because the retry budget was used up. Its size is a fifth
    /// of the calls of the last 10 s, plus 10 per second. If this grows, the server fails for many
    /// callers.
    pub retries_denied: u64,
    /// Commands that were unanswered for longer than 0.8 times the
    /// [attempt timeout](crate::DatabaseConfig::attempt_timeout) while their caller still waited. They
    /// are also counted by their outcome. A command whose caller has given up by then is not counted
    /// here; it counts as a failure for the circuit.
    pub slow: u64,
    /// Commands between their call and their reply, at this moment.
    /// [`max_in_flight`](crate::DatabaseConfig::max_in_flight) bounds them.
    pub in_flight: usize,
    /// Size of those commands in bytes.
    /// [`max_in_flight_bytes`](crate::DatabaseConfig::max_in_flight_bytes) bounds it.
    pub in_flight_bytes: usize,
    /// What was served in place of the server.
    pub fallback: FallbackStats,
    /// The near cache, once a handle is [cached](crate::Database::cached).
    pub near_cache: Option<NearCacheStats>,
    /// The subscribers of channels, and their connection.
    pub subscriptions: SubscriptionStats,
    /// The consumers of streams.
    pub consumers: ConsumerTotals,
    /// The connections of the database.
    pub pool: PoolStats,
}

impl DatabaseStats {
    /// Commands that have ended, in any way. Retries do not count twice.
    pub fn commands(&self) -> u64 {
        let attempts = self.succeeded
            + self.error_replies
            + self.timed_out
            + self.lost
            + self.cancelled
            + self.refused
            + self.fallback.served;
        // The retry may be counted before the connection has counted the failed attempt.
        attempts.saturating_sub(self.retried).max(self.succeeded)
    }

    /// Commands that ended without success: all but those that got a reply without an error from the server. Calls
    /// served by a fallback count as failures.
    pub fn failures(&self) -> u64 {
        self.commands() - self.succeeded
    }

    /// Share of the ended commands that got a reply without an error from the server, from 0 to 1; 1 if none
    /// has ended yet.
    pub fn success_rate(&self) -> f64 {
        rate(self.succeeded, self.commands())
    }

    /// Whether a restart of the program would be of no use, as in
    /// [`HealthCheck::is_live`](crate::HealthCheck::is_live): the verdict without a question to the server.
    pub fn is_live(&self) -> bool {
        self.health.is_live()
    }

    /// Whether commands can be expected to succeed, as in [`HealthCheck::is_ready`](crate::HealthCheck::is_ready): the
    /// verdict without a question to the server.
    pub fn is_ready(&self) -> bool {
        self.health.is_ready(self.circuit)
    }

    /// Time since the database was added.
    pub fn uptime(&self) -> Duration {
        self.time_in.total()
    }
}

fn rate(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}
